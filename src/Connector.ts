/**
 * One endpoint as a state machine: Disconnected, Connecting, Connected, as Twisted's connector is.
 *
 * What must be true:
 *
 * - `connect` is legal only while Disconnected, `stopConnecting` only while Connecting; elsewhere each is a
 *   `WrongState`. `disconnect` is always legal: it stops, closes, or does nothing
 * - whoever waits in a `connect` that another fiber stopped gets `ConnectStopped`
 * - the connection's owner hears of a loss before the state says Disconnected, when it waits for `Connection.lost`
 *   itself; a loss that nobody's read or write meets is not noticed (see there)
 * - a state is entered before anyone is told of it, so connecting again from inside a notification works
 * - the Scope the connector was made in ends all of it
 *
 * Not here: when to reconnect. That is a policy over `changes` and `connect`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as MutableRef from "effect/MutableRef"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Connection } from "./Connection.js"
import { Dialer, type DialOptions } from "./Dialer.js"
import { type ConnectionLost, ConnectStopped, type DialError, type InvalidEndpoint } from "./DialError.js"
import * as Endpoint from "./Endpoint.js"

/**
 * Where a connector stands. `because` of Disconnected is what ended the last connection or attempt, `undefined` before
 * the first.
 *
 * @since 0.1.0
 * @category models
 */
export type State =
  | { readonly _tag: "Disconnected"; readonly because: DialError | ConnectStopped | ConnectionLost | undefined }
  | { readonly _tag: "Connecting" }
  | { readonly _tag: "Connected"; readonly connection: Connection }

/**
 * A call that the connector's state does not allow.
 *
 * @since 0.1.0
 * @category errors
 */
export class WrongState extends Data.TaggedError("WrongState")<{
  readonly operation: "connect" | "stopConnecting"
  readonly state: State["_tag"]
  readonly destination: string
}> {
  override get message(): string {
    return `${this.operation} ${this.destination}: not possible while ${this.state.toLowerCase()}`
  }
}

/**
 * Twisted: `IConnector`. One endpoint's connection, made and unmade on command.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connector {
  /** Twisted: `getDestination`. */
  readonly destination: Endpoint.Endpoint

  /**
   * Dial, and wait for the Connection. The connector owns it: `disconnect` or the connector's Scope closes it. Fails
   * with the dial's error, `ConnectStopped` when stopped meanwhile, `WrongState` unless Disconnected. Interrupting it
   * stops connecting.
   *
   * To connect again, wait for the state Disconnected in `changes`. A read or a write tells its fiber of an end or a
   * loss before the connector knows of it, and so does `lost` who asks for it late: a connect right after that is a
   * `WrongState`.
   */
  readonly connect: Effect.Effect<Connection, DialError | ConnectStopped | WrongState>

  /** Twisted: `stopConnecting`. Give the dial up; its sockets are gone when this returns. */
  readonly stopConnecting: Effect.Effect<void, WrongState>

  /** Twisted: `disconnect`. Connecting: stop. Connected: close (flush, then abort). Disconnected: nothing. */
  readonly disconnect: Effect.Effect<void>

  /** The state now. */
  readonly state: Effect.Effect<State>

  /** The state now and every later one, in order; it does not end by itself. */
  readonly changes: Stream.Stream<State>
}

/**
 * A connector for an endpoint, Disconnected. Fails with `InvalidEndpoint`. When the Scope closes it disconnects.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Connector } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 * import * as assert from "node:assert"
 * import { once } from "node:events"
 * import * as Net from "node:net"
 *
 * const server = Net.createServer((socket) => socket.end("one line\n")).listen(0, "127.0.0.1")
 * await once(server, "listening")
 * const { port } = server.address() as Net.AddressInfo
 *
 * const program = Effect.gen(function*() {
 *   const connector = yield* Connector.make(`127.0.0.1:${port}`)
 *   const session = Effect.gen(function*() {
 *     const connection = yield* connector.connect
 *     const said = yield* Stream.mkString(Stream.decodeText(connection.stream))
 *     yield* connection.end
 *     return said
 *   })
 *   const first = yield* session
 *   // A read tells of the end before the connector knows of it: to connect again, wait for the state.
 *   yield* connector.changes.pipe(Stream.filter((state) => state._tag === "Disconnected"), Stream.runHead)
 *   return [first, yield* session]
 * })
 *
 * const said = await program.pipe(Effect.scoped, Effect.provide(NodeNetwork.layer), Effect.runPromise)
 * assert.deepStrictEqual(said, ["one line\n", "one line\n"])
 * server.close()
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  endpoint: Endpoint.Input,
  options?: DialOptions
): Effect.Effect<Connector, InvalidEndpoint, Dialer | Scope.Scope> =>
  Effect.gen(function*() {
    const destination = yield* Endpoint.fromInput(endpoint)
    const dialer = yield* Dialer
    const scope = yield* Effect.scope
    const phase = yield* SubscriptionRef.make<Phase>({ _tag: "Disconnected", because: undefined })
    return new Machine(destination, dialer.dial(destination, options), scope, phase)
  })

// -----------------------------------------------------------------------------
// the machine
// -----------------------------------------------------------------------------

/**
 * A {@link State} with the fiber to interrupt to leave it. A session is one fiber: dial, hold the connection until it
 * is lost, clean up.
 */
type Phase =
  | Extract<State, { _tag: "Disconnected" }>
  | (Extract<State, { _tag: "Connecting" }> & { readonly session: Fiber.Fiber<void> })
  | (Extract<State, { _tag: "Connected" }> & {
    readonly session: Fiber.Fiber<void>
    /** Whether the connection is lost and the session about to end. */
    readonly lost: MutableRef.MutableRef<boolean>
  })

type Outcome = Deferred.Deferred<Connection, DialError | ConnectStopped>

class Machine implements Connector {
  constructor(
    readonly destination: Endpoint.Endpoint,
    private readonly dial: Effect.Effect<Connection, DialError, Scope.Scope>,
    private readonly home: Scope.Scope,
    private readonly phase: SubscriptionRef.SubscriptionRef<Phase>
  ) {}

  get state(): Effect.Effect<State> {
    return Effect.map(SubscriptionRef.get(this.phase), toState)
  }

  get changes(): Stream.Stream<State> {
    return Stream.map(this.phase.changes, toState)
  }

  get connect(): Effect.Effect<Connection, DialError | ConnectStopped | WrongState> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(this, function*() {
        yield* restore(this.lossOver)
        const outcome: Outcome = yield* Deferred.make<Connection, DialError | ConnectStopped>()
        const session = yield* SubscriptionRef.modifyEffect(this.phase, (phase) =>
          phase._tag === "Disconnected"
            ? Effect.map(
              Effect.forkIn(this.session(outcome), this.home),
              (session): [Fiber.Fiber<void>, Phase] => [session, { _tag: "Connecting", session }]
            )
            : Effect.fail(this.wrongState("connect", phase)))
        return yield* Effect.onInterrupt(restore(Deferred.await(outcome)), () => Fiber.interrupt(session))
      })
    )
  }

  /** Who waits for `lost` hears of it first, and may connect again at once: the session then ends before it does. */
  private get lossOver(): Effect.Effect<void> {
    return Effect.flatMap(
      SubscriptionRef.get(this.phase),
      (phase) =>
        phase._tag === "Connected" && MutableRef.get(phase.lost)
          ? Effect.asVoid(Fiber.await(phase.session))
          : Effect.void
    )
  }

  get stopConnecting(): Effect.Effect<void, WrongState> {
    return Effect.flatMap(SubscriptionRef.get(this.phase), (phase) =>
      phase._tag === "Connecting"
        ? Effect.asVoid(Fiber.interrupt(phase.session))
        : Effect.fail(this.wrongState("stopConnecting", phase)))
  }

  get disconnect(): Effect.Effect<void> {
    return Effect.flatMap(
      SubscriptionRef.get(this.phase),
      (phase) => phase._tag === "Disconnected" ? Effect.void : Effect.asVoid(Fiber.interrupt(phase.session))
    )
  }

  private session(outcome: Outcome): Effect.Effect<void> {
    return Effect.uninterruptible(
      Effect.gen(this, function*() {
        const scope = yield* Scope.make()
        const dialed = yield* Effect.exit(Effect.interruptible(Scope.extend(this.dial, scope)))
        if (Exit.isSuccess(dialed)) {
          const connection = dialed.value
          const lost = MutableRef.make(false)
          yield* SubscriptionRef.update(
            this.phase,
            (phase): Phase =>
              phase._tag === "Connecting" ? { _tag: "Connected", connection, session: phase.session, lost } : phase
          )
          yield* Deferred.succeed(outcome, connection)
          yield* Effect.exit(Effect.interruptible(connection.lost))
          MutableRef.set(lost, true)
          // Whoever waits for `lost` itself goes first.
          yield* Effect.yieldNow()
          yield* Scope.close(scope, Exit.void)
          yield* this.leave(yield* connection.lost)
        } else {
          yield* Scope.close(scope, dialed)
          const because = Cause.isInterruptedOnly(dialed.cause)
            ? new ConnectStopped({ target: Endpoint.format(this.destination) })
            : Option.getOrUndefined(Cause.failureOption(dialed.cause))
          yield* this.leave(because)
          yield* because === undefined
            ? Deferred.failCause(outcome, dialed.cause)
            : Deferred.fail(outcome, because)
        }
      })
    )
  }

  private leave(because: Extract<State, { _tag: "Disconnected" }>["because"]): Effect.Effect<void> {
    return SubscriptionRef.set(this.phase, { _tag: "Disconnected", because })
  }

  private wrongState(operation: WrongState["operation"], phase: Phase): WrongState {
    return new WrongState({ operation, state: phase._tag, destination: Endpoint.format(this.destination) })
  }
}

const toState = (phase: Phase): State => {
  switch (phase._tag) {
    case "Disconnected":
      return phase
    case "Connecting":
      return { _tag: "Connecting" }
    case "Connected":
      return { _tag: "Connected", connection: phase.connection }
  }
}
