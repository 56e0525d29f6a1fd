/**
 * The SocketHandle over a `tls.TLSSocket`: the handshake, and then what every stream socket does. It answers for the
 * quirks of TLS in Node:
 *
 * - it takes the chunks where Node pushes them, before a Readable has a buffer and events of them: a record has at most
 *   16 KiB, and each event costs a tenth of decrypting one. What nobody reads stops the kernel read at once; after the
 *   handshake alone, which does not ask, one read is ahead of us. Whoever waits for bytes has those of a whole phase of
 *   the loop.
 * - Node calls back from inside OpenSSL, and runs all that waits for its turn there, so a fiber may find OpenSSL on the
 *   stack. Told to end then, OpenSSL loses what has come and is not yet decrypted; freed then, it crashes. So nobody
 *   hears of the handshake, nothing ends and nothing is closed in order in the phase of the loop in which something came.
 * - a TLS socket that is destroyed when the socket below it is gone frees OpenSSL's state at once: that one goes first
 *   only when nobody destroys the TLS socket, which follows by itself
 * - `destroy` sends no close_notify; `end` right before it does, as far as the kernel takes it at once, which it does
 *   when nothing else is unsent
 * - `resetAndDestroy` throws on a TLS socket; the socket below it is the one to reset, unless a shutdown is under way
 * - Node tells an end of the stream below as it tells a close_notify. They are told apart by the bytes below: see
 *   {@link TlsHandle.endedShort}.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Net from "node:net"
import { Readable } from "node:stream"
import * as Tls from "node:tls"
import type * as Address from "../../Address.js"
import { type AttemptError, ConnectionLost } from "../../DialError.js"
import type { TlsError } from "../../TlsError.js"
import type { CloseMode, SocketHandle } from "../../Transport.js"
import { Carrier } from "./carrier.js"
import { rest, type Resting } from "./resting.js"
import { type Death, type Resume, StreamHandle } from "./streamHandle.js"
import { received, type Receiver, type TakenSocket } from "./taken.js"

/** What TLS is spoken over: a socket of Node itself, or a stream over any handle. */
export type Wire = Net.Socket | Carrier

/** How a handshake ended: with what Node says went wrong, or well. */
export type Shaken = (cause?: unknown) => void

export class TlsHandle extends StreamHandle<Tls.TLSSocket> implements SocketHandle, Resting {
  private shaken: Shaken | undefined
  private established = false
  private peerEnded = false
  /** Decrypted, and not read yet. */
  private readonly queue: Array<Uint8Array> = []
  private queued = 0
  /** How the stream has ended, while what came before that is not all read. */
  private verdict: "Whole" | "Truncated" | "Reset" | undefined
  /** Whether Node reads from the kernel. */
  private flowing = true
  /** Whether the kernel may not be asked for more in this phase of the loop. */
  private resting = false
  /** Whether anything has come since the handshake. */
  private heard = false
  private hearWaiter: Resume<void> | undefined
  private aborted = false
  private restWaiters: Array<Resume<void>> = []
  /** How many bytes the wire had read at the end of the newest phase of the loop in which anything but an end came. */
  private seen = 0

  constructor(
    private readonly under: SocketHandle,
    private readonly wire: Wire,
    private readonly allowTruncation: boolean,
    /** The error that the loss of the connection by a failure of TLS has for its cause. */
    private readonly tlsError: (cause: unknown) => TlsError
  ) {
    super()
  }

  get remoteAddress(): Address.SocketAddress {
    return this.under.remoteAddress
  }

  get localAddress(): Address.SocketAddress {
    return this.under.localAddress
  }

  /** Whether the handshake resumed a session. */
  get resumed(): boolean {
    return this.socket?.isSessionReused() ?? false
  }

  /** Start the handshake. `shaken` is told of its outcome once, and never before this has returned. */
  shake(options: Tls.ConnectionOptions, shaken: Shaken): Tls.TLSSocket {
    this.shaken = shaken
    const socket = Tls.connect({ ...options, socket: this.wire } as Tls.ConnectionOptions)
    this.socket = socket
    socket.on("error", (error) => this.failed(error))
    socket.on("secureConnect", () => {
      this.established = true
      socket.push = (chunk: Uint8Array | null) => chunk === null ? this.ended(socket) : this.arrived(chunk)
      this.touch()
    })
    // A ticket that came of the wire is no close_notify.
    socket.on("session", () => {
      this.touch()
      if (this.established) this.hear()
    })
    socket.on("close", () => {
      this.settle(Object.assign(new Error("closed"), { code: "ERR_SOCKET_CLOSED" }))
      this.lose("End")
      this.hear()
    })
    return socket
  }

  connect(settled: (error?: AttemptError) => void): void {
    queueMicrotask(settled)
  }

  get read(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return Effect.async((resume) => {
      if (this.buffered > 0) return resume(this.takeQueued)
      this.finish()
      if (this.death !== undefined) return resume(Effect.fail(this.loss(this.death)))
      if (this.peerEnded) return resume(Effect.succeedNone)
      this.readWaiter = resume
      if (!this.resting) this.flow()
      return Effect.sync(() => {
        this.readWaiter = undefined
      })
    })
  }

  /** Once it is released, nothing: whoever was told of bytes before that still takes them. */
  get buffered(): number {
    return this.socket === undefined ? 0 : this.queued
  }

  /** What came before it died comes first. */
  protected override lastRead(death: Death): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return this.queued > 0 ? this.takeQueued : super.lastRead(death)
  }

  take(): Uint8Array | undefined {
    const bytes = this.queue.shift()
    if (bytes !== undefined) this.queued -= bytes.length
    return bytes
  }

  [received](receiver: Receiver): TakenSocket | undefined {
    const { socket } = this
    if (socket === undefined || this.death !== undefined) return undefined
    this.receiver = receiver
    const pull = () => {
      this.asked = true
      this.deliver()
    }
    return { socket, unread: undefined, ended: this.peerEnded, pull }
  }

  /** Give the receiver what it asked for, or see that it comes. */
  private deliver(): void {
    while (this.asked && this.queued > 0) {
      this.asked = false
      // It may have asked in between.
      if (this.receiver?.bytes(this.take() as Buffer) === true) this.asked = true
    }
    if (!this.asked) return
    if (this.verdict !== undefined) this.finish()
    else if (!this.resting) this.flow()
  }

  /**
   * Under TLS 1.3 a server answers the end of the handshake with its tickets. Closed before they have come, this side's
   * kernel would answer them with a reset, which takes what was written away from a peer that has not read it yet. So
   * who has written, and heard nothing since, says that it is done and waits for the tickets, or the peer's end.
   */
  get farewell(): Effect.Effect<void, ConnectionLost> | undefined {
    const { socket } = this
    if (socket === undefined || this.heard || !socket.bytesWritten || socket.getProtocol() !== "TLSv1.3") {
      return undefined
    }
    return Effect.zipRight(
      this.end,
      Effect.async((resume) => {
        if (this.heard || this.death !== undefined) return resume(Effect.void)
        this.hearWaiter = resume
      })
    )
  }

  /** Taken by the reader's own step, not handed to it: an interruption in between leaves them for the next read. */
  private get takeQueued(): Effect.Effect<Option.Option<Uint8Array>> {
    return Effect.sync(() => Option.fromNullable(this.take()))
  }

  get stopReadingAndWriting(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.shaken = undefined
      this.readWaiter = undefined
    })
  }

  close(mode: CloseMode): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { socket } = this
      if (socket === undefined) return Effect.void
      this.lose(mode === "abort" ? "Aborted" : "End")
      if (mode === "abort") return this.abort(socket)
      return this.established && this.resting
        ? Effect.zipRight(this.untilRested, this.farewellAndClose(socket))
        : this.farewellAndClose(socket)
    })
  }

  private farewellAndClose(socket: Tls.TLSSocket): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.established && !this.aborted && !socket.writableEnded && !socket.destroyed) socket.end()
      socket.destroy()
      return this.under.close("orderly")
    })
  }

  private abort(socket: Tls.TLSSocket): Effect.Effect<void> {
    this.aborted = true
    if (this.wire instanceof Carrier) {
      return Effect.zipRight(this.under.close("abort"), Effect.sync(() => socket.destroy()))
    }
    if (socket.writableEnded === socket.writableFinished) return this.under.close("abort")
    socket.destroy()
    return this.under.close("orderly")
  }

  private get untilRested(): Effect.Effect<void> {
    return Effect.async((resume) => {
      this.restWaiters.push(resume)
    })
  }

  get release(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.socket = undefined
    })
  }

  // ---------------------------------------------------------------------------
  // what Node tells
  // ---------------------------------------------------------------------------

  private settle(cause?: unknown): void {
    const { shaken } = this
    this.shaken = undefined
    shaken?.(cause)
  }

  private failed(error: unknown): void {
    if (this.shaken !== undefined) return this.settle(error)
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof ConnectionLost) this.lose(error.reason, error.code, error)
    else if (code?.startsWith("ERR_SSL_") === true) this.lose("Error", code, this.tlsError(error))
    else this.loseTo(error)
  }

  /** Plain bytes have come; whether the kernel is asked for more right away. */
  private arrived(bytes: Uint8Array): boolean {
    this.queue.push(bytes)
    this.queued += bytes.length
    this.touch()
    this.hear()
    this.deliver()
    // Not before the loop's next phase: see `endedShort`.
    return this.flowing = false
  }

  /** Ask the kernel for more, as Readable itself would. */
  private flow(): void {
    if (this.flowing) return
    this.flowing = true
    this.socket?._read(0)
  }

  private hear(): void {
    this.heard = true
    const waiter = this.hearWaiter
    this.hearWaiter = undefined
    waiter?.(Effect.void)
  }

  /** Something that is no end has come of the wire, and perhaps more together with it. */
  private touch(): void {
    if (this.resting) return
    this.resting = true
    rest(this)
  }

  /** To end, OpenSSL looks for the peer's close_notify, and throws away what it finds before that. */
  protected override get busy(): boolean {
    return this.resting
  }

  /** The loop's next phase: OpenSSL is done, and whoever waited for that may go on. */
  rested(): void {
    this.resting = false
    this.seen = this.wire.bytesRead
    if (this.established) this.settle()
    const waiters = this.restWaiters
    this.restWaiters = []
    waiters.forEach((resume) => resume(Effect.void))
    this.endWhenWritten()
    if (this.asked) return this.deliver()
    const reader = this.readWaiter
    if (reader === undefined) return
    if (this.queued === 0) return this.flow()
    this.readWaiter = undefined
    reader(this.takeQueued)
  }

  /** An end has come: of the peer's own making, or of somebody else's. */
  private ended(socket: Tls.TLSSocket): boolean {
    this.flowing = false
    this.verdict = this.wasReset(socket) ? "Reset" : !this.allowTruncation && this.endedShort() ? "Truncated" : "Whole"
    this.finish()
    return false
  }

  /** Tell of the end, once all that came before it has been read and more is asked for. */
  private finish(): void {
    const { socket, verdict } = this
    if (verdict === undefined || this.queued > 0) return
    this.verdict = undefined
    if (verdict === "Reset") this.lose(verdict, "ECONNRESET")
    else if (verdict === "Truncated") this.lose(verdict, undefined, this.tlsError(undefined))
    this.peerEnded = true
    this.hear()
    this.receiver?.end()
    const reader = this.readWaiter
    this.readWaiter = undefined
    reader?.(Effect.succeedNone)
    if (socket === undefined) return
    Readable.prototype.push.call(socket, null)
    socket.read(0)
  }

  /**
   * libuv takes a hang-up for an end when it sees it right behind a read in which nobody stopped it, and nobody does in
   * one of tickets alone. The kernel knows better: a socket that was reset has no peer. (Nor has one whose halves have
   * both ended; this one must not have.)
   */
  private wasReset({ writableEnded }: Tls.TLSSocket): boolean {
    return !(this.wire instanceof Carrier) && this.remoteAddress._tag !== "Unix" && !writableEnded &&
      this.wire.remoteAddress === undefined
  }

  /**
   * Whether the end is the wire's own and no close_notify. Over a carrier that is the question which of them ended. Over
   * a socket of Node it is how much the wire has read since the newest chunk: of an end by itself nothing, of a record
   * that was cut off more than a close_notify has; which may also have come together with that chunk, but then in the
   * same phase of the loop, because after a chunk the kernel is asked again only in the next.
   *
   * What is not seen: an end by itself after something else that is no data, a KeyUpdate, say, came by itself; and a cut
   * in the first bytes of a record, as many as a close_notify may have. One that is padded to more is taken for a cut.
   */
  private endedShort(): boolean {
    if (this.wire instanceof Carrier) return this.wire.readableEnded
    const since = this.wire.bytesRead - this.seen
    return !this.resting && (since === 0 || since > mostOfAnAlert)
  }
}

/**
 * The octets of the longest record of two bytes without padding: TLS 1.2 with a block cipher and SHA-384 (RFC 5246
 * §6.2.3.2: header 5, IV 16, and 2, the MAC's 48 and the block's padding in 64). Those of TLS 1.3 are 24.
 */
const mostOfAnAlert = 85
