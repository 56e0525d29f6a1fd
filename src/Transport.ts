/**
 * The port to the operating system: ONE socket of one type to ONE address.
 *
 * A Transport opens a {@link SocketHandle}, a bundle of primitive operations that know nothing of names, races,
 * deadlines or retries. `Attempt` drives a handle until it is connected and cleans up a handle that is not;
 * `Connection` is the program over a connected one. What Twisted's `_BaseBaseClient` asked of its subclasses through
 * inherited attributes is the shape of a handle, and a platform is a Layer: `node/NodeTransport` is one.
 *
 * Who writes a Transport owes its users this:
 *
 * - `open` neither waits nor performs network I/O; a failure leaves nothing behind
 * - `connect` never settles re-entrantly, and an attempt given up is `close`d, not cancelled
 * - the first cause of death wins: whatever ends the socket first is what `lost`, `read` and `write` report from then on
 * - `stopReadingAndWriting`, `close` and `release` are idempotent, never fail and never wait
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { SocketAddress, SocketType } from "./Address.js"
import type { AttemptError, ConnectionLost } from "./DialError.js"
import type { SocketOptions } from "./SocketOptions.js"

/**
 * What a socket is opened for.
 *
 * @since 0.1.0
 * @category models
 */
export interface OpenRequest {
  /** Twisted: `socketType`. A `"dgram"` socket connects without a packet: it fixes its peer, and nobody need be there. */
  readonly socketType: SocketType
  /** Twisted: `realAddress`. Where to connect; fully resolved. */
  readonly address: SocketAddress
  /** Bind here first. `undefined` lets the kernel choose; port 0 lets it choose the port. */
  readonly localAddress?: SocketAddress | undefined
  readonly options: SocketOptions
}

/**
 * How a socket is closed: `orderly` lets the kernel send what it holds and a FIN; `abort` discards it and, on a
 * connected TCP socket, sends RST.
 *
 * @since 0.1.0
 * @category models
 */
export type CloseMode = "orderly" | "abort"

/**
 * One socket's primitive operations.
 *
 * @since 0.1.0
 * @category models
 */
export interface SocketHandle {
  /**
   * Start to bind and connect; called at most once. `settled` is told of the outcome, nothing or the `AttemptError` of
   * the step that failed: once, never before `connect` has returned, and not at all after `stopReadingAndWriting`.
   * (A callback, because an attempt can be settled by others as well, and only `Attempt` decides who was first.)
   */
  readonly connect: (settled: (error?: AttemptError) => void) => void

  /** Where this end is, as getsockname tells. Defined once `connect` has succeeded, and for ever after. */
  readonly localAddress: SocketAddress

  /** Twisted: `realAddress`. Where the other end is. Defined once `connect` has succeeded, and for ever after. */
  readonly remoteAddress: SocketAddress

  /**
   * The next bytes, `None` once the peer has ended its half. Nothing is taken from the kernel while no read waits. One
   * read at a time. An interrupted read loses no bytes: the next one gets them. Fails with the reason in `lost`.
   *
   * Of a datagram socket: the next datagram, as it was sent, and never `None`. What came before a refusal comes first.
   * Such a socket may read on while nobody asks, up to a bound, and drops what is beyond it.
   */
  readonly read: Effect.Effect<Option.Option<Uint8Array>, ConnectionLost>

  /**
   * How many bytes a `read` would have without waiting, and `take`, which is that read: the next chunk of them. For what
   * comes in many small chunks at a time, such as the records of TLS. Absent: a read may always wait.
   */
  readonly buffered?: number | undefined
  readonly take?: (() => Uint8Array | undefined) | undefined

  /**
   * Hand bytes to the kernel, in the order of the calls; done when it took all of them. The bytes belong to the
   * socket until then. Interrupting stops the wait; what was handed over is still sent. Fails with the reason in
   * `lost`.
   *
   * Of a datagram socket: one datagram, an empty one too. One that is too long fails as `TooLong` and is no loss.
   */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionLost>

  /** How many of the bytes written the kernel has not taken yet. */
  readonly unsent: number

  /** Wait until the kernel has everything that was written. Fails with the reason in `lost`. */
  readonly flush: Effect.Effect<void, ConnectionLost>

  /**
   * What an orderly close waits for when all is flushed, within the same deadline, so that what was written is not lost
   * to a reset. Absent: nothing.
   */
  readonly farewell?: Effect.Effect<void, ConnectionLost> | undefined

  /**
   * End this side's half after everything written (FIN); the other half goes on. A second call is a no-op. A datagram
   * socket has nothing to send for it.
   */
  readonly end: Effect.Effect<void, ConnectionLost>

  /**
   * Twisted: `connectionLost`. Waits for the end of an established socket and gives its one reason. A death that the
   * platform can only see by reading or writing is seen then.
   */
  readonly lost: Effect.Effect<ConnectionLost>

  /** Twisted: `_stopReadingAndWriting`. No notification of this socket reaches anyone from here on. */
  readonly stopReadingAndWriting: Effect.Effect<void>

  /** Twisted: `_closeSocket(orderly)`. Give the socket back to the operating system, whatever state it is in. */
  readonly close: (mode: CloseMode) => Effect.Effect<void>

  /** Twisted: `_collectSocketDetails`. Drop every reference to the platform's socket and its listeners. */
  readonly release: Effect.Effect<void>
}

/**
 * Twisted: `_commonConnection`, and the I/O half of `reactor`. The layer in force makes the socket handles.
 *
 * @since 0.1.0
 * @category port
 */
export class Transport extends Context.Tag("effect-dial/Transport")<Transport, {
  /**
   * Make the socket. Fails when the platform cannot have such a socket (`operation: "socket"`).
   */
  readonly open: (request: OpenRequest) => Effect.Effect<SocketHandle, AttemptError>
}>() {}
