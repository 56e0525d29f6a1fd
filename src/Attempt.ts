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
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Address from "./Address.js"
import * as Connection from "./Connection.js"
import { AttemptError } from "./DialError.js"
import { endAll } from "./internal/endAll.js"
import { type OpenRequest, type SocketHandle, Transport } from "./Transport.js"

/**
 * Open a socket for the request and connect it.
 *
 * The Connection belongs to the Scope in the environment, which closes it (flush, then abort). Fails with an
 * `AttemptError`; with `AttemptTimeout` in it when `timeout` passes first. Interrupting it destroys the pending
 * connect at once.
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
  Effect.flatMap(Transport, (transport) =>
    Effect.flatMap(Effect.scope, (scope) => connectIn(scope, transport, request, options)))

/**
 * {@link connect} with the Scope and the Transport as values: for those who make many attempts.
 *
 * @since 0.1.0
 * @category connecting
 */
export const connectIn = (
  scope: Scope.Scope,
  transport: Transport["Type"],
  request: OpenRequest,
  options?: { readonly timeout?: Duration.DurationInput | undefined }
): Effect.Effect<Connection.Connection, AttemptError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(transport.open({ ...request, address: Address.normalise(request.address) }), (handle) =>
      Effect.flatMap(startTimer(options?.timeout), (timer) =>
        Effect.matchCauseEffect(awaitSettlement(restore, handle, timer, request), {
          onFailure: (cause) =>
            Effect.zipRight(Effect.zipRight(failIfNotConnected(handle), stopTimer(timer)), Effect.failCause(cause)),
          onSuccess: () => {
            const connection = Connection.fromHandle(handle, request.socketType)
            // Not Effect.addFinalizer: it carries this fiber's FiberRefs into the fiber that closes, which then grow by
            // an entry a connection.
            return Effect.as(Scope.addFinalizer(scope, connection.close()), connection)
          }
        })))
  )

/** An interruption that came while the timer was being stopped is heard, before the connection is anybody's. */
const awaitSettlement = (
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  handle: SocketHandle,
  timer: Timer,
  request: OpenRequest
): Effect.Effect<void, AttemptError> => {
  const settled = restore(settlement(handle, timer, request))
  return timer === undefined ? settled : Effect.zipRight(Effect.zipRight(settled, endAll([timer])), restore(Effect.void))
}

/** The first of the connect's outcome and the timer: `resume` takes one, the later does nothing. */
const settlement = (handle: SocketHandle, timer: Timer, request: OpenRequest): Effect.Effect<void, AttemptError> =>
  Effect.async((resume) => {
    handle.connect((error) => resume(error === undefined ? Effect.void : Effect.fail(error)))
    timer?.addObserver((exit) => {
      if (Exit.isSuccess(exit)) resume(Effect.fail(timedOut(request)))
    })
  })

/**
 * Twisted: `failIfNotConnected`. The cleanup of an attempt that did not connect, in the order observers may rely on.
 * The close is the orderly one, as in the seed: nothing was sent that a reset could discard.
 */
const failIfNotConnected = (handle: SocketHandle): Effect.Effect<void> =>
  handle.stopReadingAndWriting.pipe(
    Effect.ensuring(handle.close("orderly")),
    Effect.ensuring(handle.release)
  )

type Timer = Fiber.RuntimeFiber<void> | undefined

const startTimer = (timeout: Duration.DurationInput | undefined): Effect.Effect<Timer> =>
  timeout === undefined
    ? Effect.succeed(undefined)
    : Effect.forkDaemon(Effect.interruptible(Effect.sleep(timeout)))

const stopTimer = (timer: Timer): Effect.Effect<void> => timer === undefined ? Effect.void : endAll([timer])

const timedOut = ({ address, localAddress }: OpenRequest): AttemptError =>
  new AttemptError({ operation: "connect", address, localAddress, reason: "AttemptTimeout" })
