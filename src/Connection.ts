/**
 * The live socket a user holds: one program over any Transport's handle.
 *
 * Reading is a pull: nothing leaves the kernel while nobody asks, so a slow reader slows its peer and no buffer grows.
 * Writing suspends until the kernel took the bytes, so a slow peer slows the writer. The two halves end separately: the
 * peer's end is `None` from `read`, not a loss; `end` finishes this side and reading goes on. When both have ended the
 * connection is over and closed, with reason `End`.
 *
 * A Connection belongs to the Scope it was dialed in, which closes it: flush within a deadline, then abort.
 *
 * One with a datagram socket (`socketType` is `"dgram"`, dialed as `udp://`) is the same interface over messages:
 *
 * - a `write` is one datagram and a `read` gives one, whole or not at all; an empty one is one. The `stream` has an
 *   element for each
 * - nobody waits: a datagram that gets lost is not told of, and what comes while nobody reads is kept only while there
 *   is room (on Node 212,992 bytes, Linux's default, where each counts 768 more)
 * - there is no end: `read` never gives `None`, the peer is told of no `end`, and neither of `close` or `abort`
 * - a datagram that finds nobody is answered by some hosts; then the connection is lost as `Refused`. One that is longer
 *   than the network carries fails its own write as `TooLong`, and the connection goes on
 *
 * Not here: how it came to be connected (`Attempt`), and any framing of its bytes.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { SocketAddress, SocketType } from "./Address.js"
import type { ConnectionLost } from "./DialError.js"
import type { SocketHandle } from "./Transport.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-dial/Connection")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * How long an orderly close waits for bytes under way before it aborts.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultFlushTimeout: Duration.DurationInput = "5 seconds"

/**
 * An established connection.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { type Connection, Dialer } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 * import * as assert from "node:assert"
 * import { once } from "node:events"
 * import * as Net from "node:net"
 *
 * const server = Net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1")
 * await once(server, "listening")
 * const { port } = server.address() as Net.AddressInfo
 *
 * // A question, our end, and the whole answer.
 * const ask = (connection: Connection.Connection, question: string) =>
 *   connection.write(question).pipe(
 *     Effect.zipRight(connection.end),
 *     Effect.zipRight(Stream.mkString(Stream.decodeText(connection.stream)))
 *   )
 *
 * const answer = await Dialer.dial(`127.0.0.1:${port}`).pipe(
 *   Effect.flatMap((connection) => ask(connection, "hello")),
 *   Effect.scoped,
 *   Effect.provide(NodeNetwork.layer),
 *   Effect.runPromise
 * )
 * assert.strictEqual(answer, "hello")
 * server.close()
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection extends Pipeable {
  readonly [TypeId]: TypeId

  /** Twisted: `socketType`. */
  readonly socketType: SocketType

  /** Where this end is; fixed when it connected, valid after close. */
  readonly localAddress: SocketAddress

  /** Twisted: `realAddress`. Where the other end is; fixed when it connected, valid after close. */
  readonly remoteAddress: SocketAddress

  /**
   * The next bytes, or `None` once the peer has ended its half (and again on every later read). Fails with the
   * `ConnectionLost` that `lost` tells. A second read while one waits is a defect: two readers would steal from each
   * other. Interrupting a read loses no bytes.
   */
  readonly read: Effect.Effect<Option.Option<Uint8Array>, ConnectionLost>

  /** Every `read` until the peer's end, as a Stream that pulls. */
  readonly stream: Stream.Stream<Uint8Array, ConnectionLost>

  /**
   * Send bytes (text as UTF-8); done when the kernel took all of them. Calls from several fibers are sent whole, one
   * after another. The bytes must not be changed until then. Fails with the `ConnectionLost` that `lost` tells, also
   * after a `close` or `abort`. After `end` it is a defect. Interrupting stops the wait; what was handed over is still sent.
   */
  readonly write: (bytes: Uint8Array | string) => Effect.Effect<void, ConnectionLost>

  /** A Sink that writes all it is given; it does not end the connection. */
  readonly sink: Sink.Sink<void, Uint8Array | string, never, ConnectionLost>

  /** Half-close: after what was written, tell the peer that no more comes. Reading goes on. Again: a no-op. */
  readonly end: Effect.Effect<void, ConnectionLost>

  /** Discard what is unsent and tear the connection down; on TCP the peer sees a reset. Never waits, never fails. */
  readonly abort: Effect.Effect<void>

  /**
   * Flush what was written, for at most `flushTimeout`, and close; abort when the deadline passes. The Scope does this
   * with the default, or with no time to flush when it closes by an interruption. Never fails. Again: a no-op.
   *
   * A Scope closes what it holds one after another, so the deadlines of many connections to peers that do not read add
   * up: give each a Scope of its own, or abort.
   *
   * TCP answers with a reset when it is closed with bytes of the peer unread (RFC 9293 §3.6.1), and a reset may
   * overtake what was written. Where the peer's last word matters, or its having read ours: `end`, then read to `None`.
   */
  readonly close: (options?: {
    /** @default {@link defaultFlushTimeout} */
    readonly flushTimeout?: Duration.DurationInput | undefined
  }) => Effect.Effect<void>

  /**
   * Twisted: `connectionLost(reason)`. Waits for the end of this connection and gives the one reason; the first cause
   * wins. Nothing is read while nobody asks, and so nothing is noticed: the peer's end or reset is seen by the read or
   * write that meets it, a peer that vanished by keep-alive probes and whoever reads then.
   */
  readonly lost: Effect.Effect<ConnectionLost>

  /** Bytes taken from the socket so far. */
  readonly bytesRead: number

  /** Bytes handed over by `write` so far, sent or not. */
  readonly bytesWritten: number
}

/**
 * @since 0.1.0
 * @category guards
 */
export const isConnection = (u: unknown): u is Connection => Predicate.hasProperty(u, TypeId)

/**
 * The Connection over a handle that is connected. For those who write an `Attempt` of their own or upgrade a
 * connection: the caller has to see that `close` or `abort` is run.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromHandle = (
  handle: SocketHandle,
  socketType: SocketType,
  /** Run once the socket is closed and released; it may be run again. */
  closed: Effect.Effect<void> = Effect.void
): Connection => new ConnectionImpl(handle, socketType, closed)

/**
 * How a Scope closes a connection: who is interrupted does not wait for a peer that does not read. (Made out here, where
 * its closure holds the connection and nothing of the attempt, which would be two KiB a connection held.)
 *
 * @internal
 */
export const closing = (connection: Connection) => (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  connection.close(Exit.isInterrupted(exit) ? noFlush : undefined)

const noFlush = { flushTimeout: 0 }

/**
 * A connection in the hands of what is made of it: TLS, a stream of the platform.
 *
 * @internal
 */
export interface Taken {
  readonly handle: SocketHandle
  /** To be run once the handle is closed: it is released, and the Scope of the connection keeps nothing of it. */
  readonly closed: Effect.Effect<void>
  /** Who goes on with it: whatever closes or aborts the connection that was taken closes or aborts this one instead. */
  readonly bequeath: (heir: Connection) => void
}

/**
 * Take the handle of a connection, to go on with it in another way. What the connection had read and nobody took is
 * still the handle's. From here on its own `read`, `write` and `end` are defects, and so is taking it while a read
 * waits, after an `end`, or twice. Closing it aborts, until there is an heir.
 *
 * @internal
 */
export const take = (connection: Connection): Taken =>
  connection instanceof ConnectionImpl
    ? connection.take()
    : { handle: foreign(connection), closed: Effect.void, bequeath: () => {} }

/** A Connection that somebody else implements, as the handle that it must stand on. */
const foreign = (connection: Connection): SocketHandle => ({
  connect: (settled) => queueMicrotask(settled),
  localAddress: connection.localAddress,
  remoteAddress: connection.remoteAddress,
  read: connection.read,
  write: (bytes) => connection.write(bytes),
  unsent: 0,
  flush: Effect.void,
  end: connection.end,
  lost: connection.lost,
  stopReadingAndWriting: Effect.void,
  close: (mode) => mode === "abort" ? connection.abort : connection.close(),
  release: Effect.void
})

/**
 * The fields that change are the state of the one socket behind it, and only the methods here touch them. A class
 * with getters, not a record of Effects: an idle connection costs its fields and nothing else.
 */
class ConnectionImpl implements Connection {
  readonly [TypeId]: TypeId = TypeId
  /** Whoever took it over, or that somebody did. */
  #heir: Connection | "none yet" | undefined
  #read: Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> | undefined
  #reading = false
  #peerEnded = false
  #ended = false
  #closed = false
  #finished = false
  #bytesRead = 0
  #bytesWritten = 0

  constructor(
    private readonly handle: SocketHandle,
    readonly socketType: SocketType,
    private readonly closed: Effect.Effect<void>
  ) {}

  get localAddress(): SocketAddress {
    return this.handle.localAddress
  }

  get remoteAddress(): SocketAddress {
    return this.handle.remoteAddress
  }

  get bytesRead(): number {
    return this.#bytesRead
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  get lost(): Effect.Effect<ConnectionLost> {
    return this.handle.lost
  }

  /** Made once for whoever reads at all: a reader of small chunks would make thousands. */
  get read(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return this.#read ??= Effect.suspend(() => this.#readOnce())
  }

  #readOnce(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    if (this.#heir !== undefined) return this.#misused("a read after it was taken over")
    if (this.#reading) return this.#misused("a second read while one waits")
    if (this.#peerEnded) return Effect.succeedNone
    const { buffered } = this.handle
    if (buffered !== undefined && buffered > 0) return this.#takeBuffered
    this.#reading = true
    return Effect.onExit(this.handle.read, (exit) => {
      this.#reading = false
      if (exit._tag === "Failure") return Effect.void
      if (Option.isNone(exit.value)) {
        this.#peerEnded = true
        return this.#closeIfBothEnded
      }
      this.#bytesRead += exit.value.value.length
      return Effect.void
    })
  }

  /** One step, so that an interruption comes before it or after it, and takes no bytes along. */
  get #takeBuffered(): Effect.Effect<Option.Option<Uint8Array>> {
    return Effect.sync(() => {
      const bytes = this.handle.take?.()
      if (bytes === undefined) throw this.#misuse("two reads at once")
      this.#bytesRead += bytes.length
      return Option.some(bytes)
    })
  }

  get stream(): Stream.Stream<Uint8Array, ConnectionLost> {
    return Stream.repeatEffectChunkOption(Effect.flatMap(
      Effect.mapError(this.read, Option.some),
      (bytes) => Option.isNone(bytes) ? Effect.fail(Option.none()) : Effect.succeed(Chunk.of(bytes.value))
    ))
  }

  write(bytes: Uint8Array | string): Effect.Effect<void, ConnectionLost> {
    return Effect.suspend(() => {
      if (this.#heir !== undefined) return this.#misused("a write after it was taken over")
      if (this.#ended) return this.#misused("a write after end")
      // While a close flushes no more is taken; it ends with the reason that the write fails with.
      if (this.#closed) return Effect.flatMap(this.handle.lost, Effect.fail)
      const data = typeof bytes === "string" ? encoder.encode(bytes) : bytes
      this.#bytesWritten += data.length
      return this.handle.write(data)
    })
  }

  get sink(): Sink.Sink<void, Uint8Array | string, never, ConnectionLost> {
    return Sink.forEach((bytes: Uint8Array | string) => this.write(bytes))
  }

  get end(): Effect.Effect<void, ConnectionLost> {
    return Effect.suspend(() => {
      if (this.#heir !== undefined) return this.#misused("an end after it was taken over")
      if (this.#ended || this.#closed) return Effect.void
      this.#ended = true
      return Effect.flatMap(this.handle.end, () => {
        this.#finished = true
        return this.#closeIfBothEnded
      })
    })
  }

  get abort(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (isConnection(this.#heir)) return this.#heir.abort
      this.#closed = true
      return this.#dispose("abort")
    })
  }

  close(options?: { readonly flushTimeout?: Duration.DurationInput | undefined }): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (isConnection(this.#heir)) return this.#heir.close(options)
      this.#closed = true
      if (this.#heir !== undefined) return this.#dispose("abort")
      const { farewell, unsent } = this.handle
      const flushTimeout = options?.flushTimeout ?? defaultFlushTimeout
      if (unsent === 0 && (farewell === undefined || flushTimeout === 0)) return this.#dispose("orderly")
      return (farewell === undefined ? this.handle.flush : Effect.zipRight(this.handle.flush, farewell)).pipe(
        Effect.interruptible,
        Effect.timeoutOption(flushTimeout),
        Effect.exit,
        Effect.flatMap((exit) => {
          // A farewell alone that was not heard in time takes nothing of what was written.
          const flushed = exit._tag === "Success" && (Option.isSome(exit.value) || this.handle.unsent === 0)
          return this.#dispose(flushed ? "orderly" : "abort")
        }),
        Effect.uninterruptible
      )
    })
  }

  take(): Taken {
    const problem = this.#heir !== undefined
      ? "taken over twice"
      : this.#reading
      ? "taken over while a read waits"
      : this.#ended
      ? "taken over after end"
      : undefined
    if (problem !== undefined) throw this.#misuse(problem)
    this.#heir = "none yet"
    return {
      handle: this.handle,
      closed: Effect.zipRight(this.handle.release, this.closed),
      bequeath: (heir) => {
        this.#heir = heir
      }
    }
  }

  #misuse(what: string): Error {
    return new Error(`connection to ${this.remoteAddress}: ${what}`)
  }

  #misused(what: string): Effect.Effect<never> {
    return Effect.die(this.#misuse(what))
  }

  get #closeIfBothEnded(): Effect.Effect<void> {
    return this.#peerEnded && this.#finished ? this.#dispose("orderly") : Effect.void
  }

  #dispose(mode: "orderly" | "abort"): Effect.Effect<void> {
    return Effect.zipRight(Effect.zipRight(this.handle.close(mode), this.handle.release), this.closed)
  }

  pipe() {
    return pipeArguments(this, arguments)
  }
}

const encoder = new TextEncoder()
