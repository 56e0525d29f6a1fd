/**
 * A `Socket` of @effect/platform from an endpoint, for what is written against that: @effect/rpc, DevTools, cluster.
 *
 * What must be true:
 *
 * - each `run` dials anew, and has closed its connection when it ends; run it again and it dials again
 * - a handler begins when the one before it has ended, and nothing is read from the kernel meanwhile: a slow handler
 *   slows the peer, and no buffer grows
 * - what the peer sent before its end has all been handled when `run` ends
 * - a write waits until there is a connection that can take it: while none is up, after this side has ended its half,
 *   and across a run that ended without one. Writes that waited are sent in the order they were asked for
 * - the error says what happened, with this library's own error as its `cause`: `OpenTimeout` when the dial's deadline
 *   passed, `Open` for every other failure of the dial, `Read` and `Write` for a connection that was lost
 *
 * How a run ends: the peer's end is close code 1000, a written `CloseEvent` is its own code, an abort on this side is
 * 1006. Codes that `closeCodeIsError` does not call an error end the run well; the others fail it with `Close`.
 *
 * Not here: when to run again (a Schedule on `run`), and framing. `Socket.toChannel` takes all it can get into a queue
 * without a bound; where a stream has to hold its peer back, use `Connection.stream`.
 *
 * @since 0.2.0
 */
import * as Socket from "@effect/platform/Socket"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import type { Connection } from "../Connection.js"
import { Dialer } from "../Dialer.js"
import type { ConnectionLost, InvalidEndpoint } from "../DialError.js"
import type { DialOptions } from "../DialOptions.js"
import * as Endpoint from "../Endpoint.js"

/**
 * How a socket treats its connections.
 *
 * @since 0.2.0
 * @category models
 */
export interface Handling {
  /**
   * Which close codes fail the run.
   *
   * @default `Socket.defaultCloseCodeIsError`: all but 1000 and 1006
   */
  readonly closeCodeIsError?: ((code: number) => boolean) | undefined
  /**
   * How many handlers may be under way at once; no more is read while so many are. With more than one they begin in
   * order and end as they will.
   *
   * A handler that waits for what a later one will be given waits for ever when it is alone. @effect/rpc has such
   * handlers (a stream's chunk waits for its consumer, who may be waiting for an answer) and bounds them itself, by
   * acknowledging chunks: give it `"unbounded"`.
   *
   * @default 1
   */
  readonly handlerConcurrency?: number | "unbounded" | undefined
}

/**
 * How to dial, and how to treat what was dialed. `timeout` is the limit of an opening.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options extends DialOptions, Handling {}

/**
 * A socket whose every run dials the endpoint. Fails with `InvalidEndpoint`, at once and not in each run.
 *
 * The runs are scoped by themselves. A writer belongs to the Scope it was made in: when the last one's closes, this
 * side's half is ended and reading goes on, as after the last of a request.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PlatformSocket } from "effect-dial/platform"
 * import { Behaviour, SimNetwork } from "effect-dial/testing"
 * import * as assert from "node:assert"
 *
 * const heard: Array<string> = []
 *
 * const program = Effect.gen(function*() {
 *   const socket = yield* PlatformSocket.make("echo.test:7")
 *   const talk = Effect.gen(function*() {
 *     yield* Effect.fork(Effect.scoped(Effect.flatMap(socket.writer, (write) => write("hello"))))
 *     yield* socket.run((bytes) => Effect.sync(() => heard.push(new TextDecoder().decode(bytes))))
 *   })
 *   // The writer's Scope closes when it has written, the server ends when we have, and then the run ends. Twice.
 *   yield* Effect.repeatN(talk, 1)
 * })
 *
 * const network = {
 *   hosts: { echo: { addresses: ["10.0.0.7"], listeners: { 7: Behaviour.echo } } },
 *   names: { "echo.test": ["10.0.0.7"] }
 * }
 * await Effect.runPromise(SimNetwork.run(program, network))
 * assert.deepStrictEqual(heard, ["hello", "hello"])
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (
  endpoint: Endpoint.Input,
  options?: Options
): Effect.Effect<Socket.Socket, InvalidEndpoint, Dialer> =>
  Effect.flatMap(Endpoint.fromInput(endpoint), (destination) =>
    Effect.map(
      Dialer,
      (dialer) => new DialedSocket(Effect.mapError(dialer.dial(destination, options), openError), options ?? {})
    ))

/**
 * The `Socket` service over {@link make}.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { NodeNetwork } from "effect-dial/node"
 * import { PlatformSocket } from "effect-dial/platform"
 *
 * // What `RpcClient.layerProtocolSocket` asks for.
 * export const socket = PlatformSocket.layer("rpc.internal:4000", { handlerConcurrency: "unbounded" }).pipe(
 *   Layer.provide(NodeNetwork.layer)
 * )
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (
  endpoint: Endpoint.Input,
  options?: Options
): Layer.Layer<Socket.Socket, InvalidEndpoint, Dialer> => Layer.effect(Socket.Socket, make(endpoint, options))

/**
 * A socket whose every run opens a connection by this program, in a Scope of the run: a dial of another kind, a TLS
 * upgrade, a proxy. Its failure is the cause of an `Open`, or of an `OpenTimeout` when it is a `DialTimeout`.
 *
 * @since 0.2.0
 * @category constructors
 */
export const fromConnection = <E, R>(
  open: Effect.Effect<Connection, E, R>,
  options: Handling = {}
): Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Effect.map(Effect.context<Exclude<R, Scope.Scope>>(), (context) =>
    new DialedSocket(
      // What is in force where it is run goes before: a span, an observer.
      Effect.mapInputContext(Effect.mapError(open, openError), (input: Context.Context<Scope.Scope>) =>
        Context.merge(context, input) as Context.Context<R>),
      options
    ))

const openError = (cause: unknown): Socket.SocketGenericError =>
  new Socket.SocketGenericError({ reason: Predicate.isTagged(cause, "DialTimeout") ? "OpenTimeout" : "Open", cause })

// -----------------------------------------------------------------------------
// the socket
// -----------------------------------------------------------------------------

type Handler<E, R> = (bytes: Uint8Array) => Effect.Effect<unknown, E, R> | void

interface RunOptions {
  readonly onOpen?: Effect.Effect<void> | undefined
}

/** One run: its connection, once there is one, and whether it takes writes. */
interface Session {
  readonly scope: Scope.Scope
  /** Ends the run, from this side. */
  readonly close: (event: Socket.CloseEvent) => void
  connection: Connection | undefined
  /** This side has ended or closes, or will as soon as it is connected. */
  ended: boolean
}

/** The fields that change are what runs and writers, who know nothing of each other, have to agree on. */
class DialedSocket implements Socket.Socket {
  readonly [Socket.TypeId]: Socket.TypeId = Socket.TypeId
  /** The runs under way, in the order they began. */
  readonly #sessions = new Set<Session>()
  /** Open while one of them takes writes. */
  readonly #writable = Effect.unsafeMakeLatch(false)
  #writers = 0

  constructor(
    private readonly open: Effect.Effect<Connection, Socket.SocketGenericError, Scope.Scope>,
    private readonly options: Handling
  ) {}

  readonly run = <_, E = never, R = never>(
    handler: (bytes: Uint8Array) => Effect.Effect<_, E, R> | void,
    options?: RunOptions
  ): Effect.Effect<void, Socket.SocketError | E, R> =>
    Effect.scopedWith((scope) => this.#run(scope, handler, options?.onOpen ?? Effect.void)).pipe(
      Effect.flatMap(({ code, reason }): Effect.Effect<void, Socket.SocketCloseError> =>
        (this.options.closeCodeIsError ?? Socket.defaultCloseCodeIsError)(code)
          ? Effect.fail(new Socket.SocketCloseError({ reason: "Close", code, closeReason: reason }))
          : Effect.void
      ),
      // Wherever it is run, as the platform's own: their consumers fork them in regions that are not.
      Effect.interruptible
    )

  /** A stream of bytes has no frames of text: it is the same. */
  readonly runRaw = this.run

  readonly writer: Socket.Socket["writer"] = Effect.acquireRelease(
    Effect.sync(() => {
      this.#writers += 1
      return (chunk: Uint8Array | string | Socket.CloseEvent) => this.#write(chunk)
    }),
    () =>
      Effect.suspend(() => {
        this.#writers -= 1
        return this.#writers === 0 ? this.#end : Effect.void
      })
  )

  /** From the dial to the close code. */
  #run<E, R>(
    scope: Scope.Scope,
    handler: Handler<E, R>,
    onOpen: Effect.Effect<void>
  ): Effect.Effect<Socket.CloseEvent, Socket.SocketGenericError | E, R> {
    // Not a race: those of effect 3.22 wait for ever when they are interrupted as they start their fibers.
    const over = Deferred.unsafeMake<Socket.CloseEvent, Socket.SocketGenericError | E>(FiberId.none)
    /** A fiber of the run, whose failure ends it. */
    const part = <E1 extends E, R1>(effect: Effect.Effect<void, E1, R1>) =>
      forkIn(scope, effect, (exit) => {
        if (Exit.isFailure(exit)) Deferred.unsafeDone(over, Exit.failCause(exit.cause))
      })
    const { handlerConcurrency = 1 } = this.options
    const handled = (connection: Connection) =>
      handlerConcurrency === 1
        ? handleEach(connection, handler)
        : handleSeveral(
          connection,
          handler,
          handlerConcurrency === "unbounded" ? Number.MAX_SAFE_INTEGER : handlerConcurrency,
          part
        )
    const hold = (session: Session, connection: Connection) =>
      // In this order: what `onOpen` does at once comes before a write that waited, and before a read.
      Effect.zipRight(
        part(Effect.zipRight(this.#connected(session, connection), onOpen)),
        forkIn(scope, handled(connection), (exit) => Deferred.unsafeDone(over, exit))
      )
    return Effect.acquireUseRelease(
      this.#enter(scope, (event) => Deferred.unsafeDone(over, Exit.succeed(event))),
      (session) =>
        Effect.flatMap(
          Scope.extend(this.open, scope),
          (connection) => Effect.zipRight(hold(session, connection), Deferred.await(over))
        ),
      (session) => this.#leave(session)
    )
  }

  #write(chunk: Uint8Array | string | Socket.CloseEvent): Effect.Effect<void, Socket.SocketGenericError> {
    return Effect.suspend(() => {
      const session = this.#target
      // Looked for again once the latch is open: whoever waited may come too late, and waits on.
      if (session?.connection === undefined) return Effect.zipRight(this.#writable.await, this.#write(chunk))
      if (!Socket.isCloseEvent(chunk)) return Effect.mapError(session.connection.write(chunk), writeError)
      session.ended = true
      session.close(chunk)
      return this.#settle
    })
  }

  /** Whom a write goes to: of several runs at once the last. */
  get #target(): Session | undefined {
    return [...this.#sessions].findLast(({ connection, ended }) => connection !== undefined && !ended)
  }

  get #settle(): Effect.Effect<void> {
    return Effect.suspend(() => this.#target === undefined ? this.#writable.close : this.#writable.open)
  }

  #enter(scope: Scope.Scope, close: Session["close"]): Effect.Effect<Session> {
    return Effect.sync(() => {
      const session: Session = { scope, close, connection: undefined, ended: false }
      this.#sessions.add(session)
      return session
    })
  }

  #connected(session: Session, connection: Connection): Effect.Effect<void> {
    return Effect.suspend(() => {
      session.connection = connection
      return Effect.zipRight(session.ended ? endHalf(session.scope, connection) : Effect.void, this.#settle)
    })
  }

  #leave(session: Session): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#sessions.delete(session)
      return this.#settle
    })
  }

  /** Nobody is left who could write. */
  get #end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const sessions = [...this.#sessions].filter(({ ended }) => !ended)
      sessions.forEach((session) => {
        session.ended = true
      })
      const ending = Effect.forEach(
        sessions,
        ({ connection, scope }) => connection === undefined ? Effect.void : endHalf(scope, connection),
        { discard: true }
      )
      return Effect.zipRight(ending, this.#settle)
    })
  }
}

/** A fiber of the Scope, and who is told of its exit. */
const forkIn = <A, E, R>(
  scope: Scope.Scope,
  effect: Effect.Effect<A, E, R>,
  ended: (exit: Exit.Exit<A, E>) => void
): Effect.Effect<void, never, R> => Effect.map(Effect.forkIn(effect, scope), (fiber) => fiber.addObserver(ended))

/** Not waited for: a peer that does not read would hold up the Scope of a writer that is done. */
const endHalf = (scope: Scope.Scope, connection: Connection): Effect.Effect<void> =>
  Effect.asVoid(Effect.forkIn(Effect.interruptible(Effect.ignore(connection.end)), scope))

const writeError = (cause: ConnectionLost): Socket.SocketGenericError =>
  new Socket.SocketGenericError({ reason: "Write", cause })

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

/** Each read goes to the handler, and the next is when that has ended; the close code when there are no more. */
const handleEach = <E, R>(
  connection: Connection,
  handler: Handler<E, R>
): Effect.Effect<Socket.CloseEvent, Socket.SocketGenericError | E, R> => {
  const next = readOf(connection)
  const loop: Effect.Effect<Socket.CloseEvent, Socket.SocketGenericError | E, R> = Effect.flatMap(
    next,
    (got) => Socket.isCloseEvent(got) ? Effect.succeed(got) : Effect.zipRight(begin(handler, got), loop)
  )
  return loop
}

/** {@link handleEach} with so many at once, each in a fiber that `fork` makes. */
const handleSeveral = <E, R>(
  connection: Connection,
  handler: Handler<E, R>,
  concurrency: number,
  fork: (handling: Effect.Effect<void, E, R>) => Effect.Effect<void, never, R>
): Effect.Effect<Socket.CloseEvent, Socket.SocketGenericError, R> => {
  const next = readOf(connection)
  const room = Effect.unsafeMakeSemaphore(concurrency)
  const admitted: Effect.Effect<Socket.CloseEvent, Socket.SocketGenericError, R> = Effect.flatMap(next, (got) => {
    if (Socket.isCloseEvent(got)) return Effect.as(room.take(concurrency - 1), got)
    // Begun here, one after another: a parser in the handler has to be fed in order.
    const handling = begin(handler, got)
    return handling === Effect.void
      ? admitted
      : Effect.zipRight(fork(Effect.ensuring(handling, room.release(1))), Effect.zipRight(room.take(1), admitted))
  })
  return Effect.zipRight(room.take(1), admitted)
}

/** The next bytes, or how there came to be no more. */
const readOf = (connection: Connection): Effect.Effect<Uint8Array | Socket.CloseEvent, Socket.SocketGenericError> =>
  Effect.matchEffect(connection.read, {
    onSuccess: (bytes) => Effect.succeed(Option.getOrElse(bytes, () => new Socket.CloseEvent(1000))),
    onFailure: (cause) => {
      switch (cause.reason) {
        // Closed on this side by whoever else holds the connection.
        case "End":
          return Effect.succeed(new Socket.CloseEvent(1000))
        case "Aborted":
          return Effect.succeed(new Socket.CloseEvent(1006))
        default:
          return Effect.fail(new Socket.SocketGenericError({ reason: "Read", cause }))
      }
    }
  })

/** A handler that is interrupted, and not the run with it, has ended like another: so it is on the platform's sockets. */
const begin = <E, R>(handler: Handler<E, R>, bytes: Uint8Array): Effect.Effect<void, E, R> => {
  const handling = handler(bytes)
  return Effect.isEffect(handling)
    ? Effect.catchAllCause(
      Effect.asVoid(handling),
      (cause) => Cause.isInterruptedOnly(cause) ? Effect.void : Effect.failCause(cause)
    )
    : Effect.void
}
