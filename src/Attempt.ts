/**
 * The life of one attempt to connect one socket to one address: prepare, connect, settle exactly once, clean up in
 * order.
 *
 * What must be true, whatever mix of success, error, timeout, stop and interruption arrives:
 *
 * - there is exactly one outcome: a Connection, an `AttemptError`, or the interruption; the first cause wins and every
 *   later one changes nothing
 * - an attempt that does not connect is cleaned up before anyone hears of it, once, in the seed's order: stop reading
 *   and writing, close the socket, release what referred to it, notify (which here is the Effect's own exit)
 * - the cleanup is this one program, the same for every Transport
 *
 * Twisted: `failIfNotConnected` is the failing half of {@link connect}, `_finishInit` its prepare step, and
 * `stopConnecting` is interrupting it.
 *
 * Not here: which address, in what order, beside which others (`HappyEyeballs`), and for which name (`Dialer`).
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Address from "./Address.js"
import * as Connection from "./Connection.js"
import { AttemptError } from "./DialError.js"
import { type Alarm, setAlarm } from "./internal/alarm.js"
import type { Timers } from "./internal/timers.js"
import { type OpenRequest, type SocketHandle, Transport } from "./Transport.js"

/**
 * Open a socket for the request and connect it.
 *
 * The Connection belongs to the Scope in the environment, which closes it (flush, then abort). Fails with an
 * `AttemptError`; with `AttemptTimeout` in it when `timeout` passes first. Interrupting it destroys the pending
 * connect at once.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Address, Attempt, SocketOptions } from "effect-dial"
 * import { NodeTransport } from "effect-dial/node"
 * import * as assert from "node:assert"
 * import { once } from "node:events"
 * import * as Net from "node:net"
 *
 * const server = Net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1")
 * await once(server, "listening")
 * const { port } = server.address() as Net.AddressInfo
 *
 * const address = Address.socketAddress(Address.unsafeParse("127.0.0.1"), Address.Port(port))
 * const connected = Attempt.connect(
 *   { socketType: "stream", address, options: SocketOptions.defaults },
 *   { timeout: "2 seconds" }
 * )
 *
 * const remote = await connected.pipe(
 *   Effect.map((connection) => connection.remoteAddress),
 *   Effect.scoped,
 *   Effect.provide(NodeTransport.layer),
 *   Effect.runPromise
 * )
 * assert.deepStrictEqual(remote, address)
 * server.close()
 * ```
 *
 * @since 0.1.0
 * @category connecting
 */
export const connect = (
  request: OpenRequest,
  options?: {
    /** The longest this attempt may take. `undefined`: as long as the kernel lets it. */
    readonly timeout?: Duration.DurationInput | undefined
  }
): Effect.Effect<Connection.Connection, AttemptError, Transport | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Transport,
      (transport) =>
        Effect.flatMap(Effect.scope, (home) =>
          Effect.flatMap(Scope.fork(home, ExecutionStrategy.sequential), (own) =>
            Effect.tapErrorCause(
              restore(connectIn(own, transport, request, options?.timeout, undefined)),
              (cause) =>
                Scope.close(own, Exit.failCause(cause))
            )))
    )
  )

/**
 * {@link connect} with its services as values, in a Scope that is the attempt's own: closing the connection closes it,
 * so that a long-lived parent keeps nothing of connections that are over.
 *
 * @internal
 */
export const connectIn = (
  own: Scope.CloseableScope,
  transport: Transport["Type"],
  request: OpenRequest,
  timeout: Duration.DurationInput | undefined,
  timers: Timers | undefined
): Effect.Effect<Connection.Connection, AttemptError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      transport.open(normalised(request)),
      (handle) =>
        Effect.flatMap(startLimit(timeout, timers), (limit) =>
          Effect.matchCauseEffect(awaitSettlement(restore, handle, limit, request), {
            onFailure: (cause) =>
              failIfNotConnected(handle).pipe(
                Effect.zipRight(limit?.alarm.stop ?? Effect.void),
                Effect.zipRight(Effect.failCause(cause))
              ),
            onSuccess: () => {
              const connection = Connection.fromHandle(handle, request.socketType, Scope.close(own, Exit.void))
              // Not Effect.addFinalizer: it carries this fiber's FiberRefs into the fiber that closes, which then grow by
              // an entry a connection.
              return Effect.as(Scope.addFinalizerExit(own, Connection.closing(connection)), connection)
            }
          }))
    )
  )

/**
 * {@link connectIn} for whoever needs no fiber to wait for it: begins, waits for nothing, is not to be interrupted, and
 * calls `settled` once. What did not connect is cleaned up, and what did is closed, when `own` is.
 *
 * @internal
 */
export const begin = (
  own: Scope.CloseableScope,
  transport: Transport["Type"],
  request: OpenRequest,
  timeout: Duration.DurationInput | undefined,
  timers: Timers | undefined,
  settled: (exit: Exit.Exit<Connection.Connection, AttemptError>) => void
): Effect.Effect<void> =>
  Effect.matchCauseEffect(transport.open(normalised(request)), {
    onFailure: (cause) => Effect.sync(() => settled(Exit.failCause(cause))),
    onSuccess: (handle) =>
      Effect.flatMap(startLimit(timeout, timers), (limit) => {
        const outcome = new Outcome(handle, limit)
        return Effect.map(Scope.addFinalizerExit(own, outcome.close), () => {
          const settle = (error: AttemptError | undefined) => {
            if (outcome.settled) return
            outcome.settled = true
            limit?.alarm.cancel()
            if (error !== undefined) return settled(Exit.fail(error))
            outcome.connection = Connection.fromHandle(handle, request.socketType, Scope.close(own, Exit.void))
            settled(Exit.succeed(outcome.connection))
          }
          if (limit !== undefined) limit.ring = () => settle(timedOut(request))
          handle.connect(settle)
        })
      })
  })

/** What an attempt came to, and how its Scope ends it. */
class Outcome {
  settled = false
  connection: Connection.Connection | undefined

  constructor(private readonly handle: SocketHandle, private readonly limit: Limit | undefined) {}

  readonly close = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
    if (this.connection !== undefined) return Connection.closing(this.connection)(exit)
    this.settled = true
    const cleanup = failIfNotConnected(this.handle)
    return this.limit === undefined ? cleanup : Effect.zipRight(cleanup, this.limit.alarm.stop)
  }
}

/** Twisted: `_setRealAddress`. */
const normalised = (request: OpenRequest): OpenRequest => {
  const address = Address.normalise(request.address)
  return address === request.address ? request : { ...request, address }
}

/** An interruption that came while the limit was being stopped is heard, before the connection is anybody's. */
const awaitSettlement = (
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  handle: SocketHandle,
  limit: Limit | undefined,
  request: OpenRequest
): Effect.Effect<void, AttemptError> => {
  const settled = restore(settlement(handle, limit, request))
  return limit === undefined || limit.alarm.stopsAtOnce
    ? settled
    : Effect.zipRight(Effect.zipRight(settled, limit.alarm.stop), restore(Effect.void))
}

/** The first of the connect's outcome and the limit: `resume` takes one, the later does nothing. */
const settlement = (
  handle: SocketHandle,
  limit: Limit | undefined,
  request: OpenRequest
): Effect.Effect<void, AttemptError> =>
  Effect.async((resume) => {
    if (limit !== undefined) limit.ring = () => resume(Effect.fail(timedOut(request)))
    handle.connect((error) => {
      if (limit !== undefined) {
        limit.ring = undefined
        limit.alarm.cancel()
      }
      resume(error === undefined ? Effect.void : Effect.fail(error))
    })
  })

/**
 * Twisted: `failIfNotConnected`. The cleanup of an attempt that did not connect, in the order observers may rely on.
 * The close is the orderly one, as in the seed: nothing was sent that a reset could discard.
 */
const failIfNotConnected = (handle: SocketHandle): Effect.Effect<void> =>
  followed(handle.stopReadingAndWriting, followed(handle.close("orderly"), handle.release))

/** `Effect.ensuring` where nothing is interrupted: without a defect that is a third of its steps. */
const followed = (self: Effect.Effect<void>, next: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.matchCauseEffect(self, {
    onFailure: (cause) => Effect.ensuring(Effect.failCause(cause), next),
    onSuccess: () => next
  })

/** A limit that runs; `ring` is what happens when it is reached. */
interface Limit {
  ring: (() => void) | undefined
  readonly alarm: Alarm
}

const startLimit = (
  timeout: Duration.DurationInput | undefined,
  timers: Timers | undefined
): Effect.Effect<Limit | undefined> => {
  if (timeout === undefined) return Effect.succeed(undefined)
  const held: { ring: (() => void) | undefined } = { ring: undefined }
  return Effect.map(
    setAlarm(timers, timeout, () => held.ring?.()),
    (alarm) => Object.assign(held, { alarm })
  )
}

const timedOut = ({ address, localAddress }: OpenRequest): AttemptError =>
  new AttemptError({ operation: "connect", address, localAddress, reason: "AttemptTimeout" })
