/**
 * The stream that clients of Node take for a `net.Socket`: what they call on one, told in the order Node tells it, over
 * a {@link Line} that is opened when somebody first wants something of it.
 *
 * It is no `net.Socket`: that class owns a descriptor from the moment it connects by itself, and everything before the
 * descriptor (names, the race, a proxy, TLS) would be Node's again. What is documented of `net.Socket` is here; of its
 * private fields, none.
 *
 * - Nothing is dialed for a stream that nobody uses: a client may make one long before it connects, or never connect,
 *   and an error would find nobody listening. Wanting is `connect`, a write, a read (a listener for `data` or `readable`
 *   is one), and listening for `connect`, `ready` or `secureConnect`.
 * - Until it is connected it says `connecting`, as a socket does whose `connect` was called.
 * - `destroy` with bytes that the kernel has not taken is a reset for the peer, not an end: what was cut off must not
 *   look whole.
 */
import type * as Net from "node:net"
import * as Stream from "node:stream"
import type { Connection } from "../../Connection.js"
import { ConnectionLost } from "../../DialError.js"
import { isSecured } from "../../Tls.js"
import { addressView, none } from "./addressView.js"
import { type Channel, type Fork, make, type Receiver } from "./channel.js"
import { IdleTimer } from "./idleTimer.js"
import type { Line } from "./line.js"
import { closed, endedByPeer, withCode } from "./nodeError.js"
import { tlsView } from "./tlsView.js"
import { Tuning } from "./tuning.js"

type Done = (error?: Error | null) => void

export interface StreamOptions {
  readonly allowHalfOpen?: boolean | undefined
  readonly highWaterMark?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const wants: ReadonlySet<unknown> = new Set(["connect", "ready", "secureConnect"])

export class DialedSocket extends Stream.Duplex implements Net.Socket {
  connecting = true
  timeout?: number
  readonly autoSelectFamilyAttemptedAddresses: Array<string> = []

  readonly #line: Line
  #started = false
  #channel: Channel | undefined
  #local = none
  #remote = none
  #reset = false
  #peerEnded = false
  /** Whether the stream asked for bytes that have not come. */
  #reading = false
  /** The one write under way: it waits for the connection, and then for the kernel. */
  #unwritten: Uint8Array | ReadonlyArray<Uint8Array> | undefined
  #unwrittenBytes = 0
  #writeDone: Done | undefined
  #endDone: Done | undefined
  #bytesRead = 0
  #bytesWritten = 0
  readonly #tuning = new Tuning()
  readonly #idle = new IdleTimer(() => this.emit("timeout"), () => this.#channel?.socket)
  readonly #receiver: Receiver = {
    bytes: (bytes) => this.#arrived(bytes),
    end: () => this.#ended(),
    lost: (error) => this.#lost(error)
  }

  constructor(line: Line, options: StreamOptions) {
    super({
      allowHalfOpen: options.allowHalfOpen ?? false,
      // Told with `hadError`, and once nothing is open: see `_destroy`.
      emitClose: false,
      ...(options.highWaterMark === undefined ? {} : { highWaterMark: options.highWaterMark })
    })
    this.#line = line
    this.on("end", onPeerEnd)
    this.on("newListener", onNewListener)
    if (options.signal !== undefined) Stream.addAbortSignal(options.signal, this)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // from nothing to connected
  // -------------------------------------------------------------------------------------------------------------------

  /** Whatever a client asks to be connected to: where this goes was said when it was made. */
  connect(...args: ReadonlyArray<unknown>): this {
    const listener = args.at(-1)
    if (this.destroyed) throw closed("ERR_SOCKET_CLOSED")
    if (typeof listener === "function") this.once("connect", listener as () => void)
    if (this.connecting) this.start()
    else process.nextTick(tellConnected, this)
    return this
  }

  /** Somebody wants something. */
  start(): void {
    if (this.#started || this.destroyed) return
    this.#started = true
    this.off("newListener", onNewListener)
    this.#idle.touch()
    this.#line.open((outcome, fork) => {
      if (outcome instanceof Error) this.destroy(withCode(outcome))
      else this.#connected(outcome, fork)
    })
  }

  /** A connection that is there already: nothing is told. */
  adopt(): this {
    this.#started = true
    this.off("newListener", onNewListener)
    this.#line.open((connection, fork) => this.#take(connection as Connection, fork))
    process.nextTick(() => this.#startReading())
    return this
  }

  #take(connection: Connection, fork: Fork): void {
    this.connecting = false
    this.#local = addressView(connection.localAddress)
    this.#remote = addressView(connection.remoteAddress)
    if (isSecured(connection)) Object.assign(this, tlsView(connection.tls))
    this.#channel = make(connection, fork, this.#receiver)
    this.#tuning.apply(this.#channel.socket)
  }

  #connected(connection: Connection, fork: Fork): void {
    this.#take(connection, fork)
    this.autoSelectFamilyAttemptedAddresses.push(String(connection.remoteAddress))
    this.#idle.touch()
    if (this.#writeDone !== undefined) this.#send()
    if (this.#endDone !== undefined) this.#channel?.end(this.#finished)
    tellConnected(this)
    this.#startReading()
  }

  /** As Node's sockets do: an end or a loss is noticed though nobody reads yet. */
  #startReading(): void {
    if (this.destroyed) return
    if (this.#reading) this.#channel?.read()
    else if (!this.isPaused()) this.read(0)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what the connection tells
  // -------------------------------------------------------------------------------------------------------------------

  #arrived(bytes: Buffer): boolean {
    this.#reading = false
    this.#bytesRead += bytes.length
    this.#idle.touch()
    return !this.destroyed && this.push(bytes)
  }

  #ended(): void {
    this.#reading = false
    this.#peerEnded = true
    if (this.destroyed) return
    this.push(null)
    this.read(0)
  }

  #lost(error: Error): void {
    if (!(error instanceof ConnectionLost) || error.reason !== "End") this.destroy(withCode(error))
    // Both have ended: what is unread is still to be read, and then the stream destroys itself.
    else if (!this.#peerEnded || !this.writableFinished) this.destroy()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the stream
  // -------------------------------------------------------------------------------------------------------------------

  override _read(): void {
    this.#reading = true
    if (this.#channel === undefined) this.start()
    else this.#channel.read()
  }

  override _write(chunk: Uint8Array, _: unknown, done: Done): void {
    this.#hand(chunk, chunk.length, done)
  }

  override _writev(chunks: ReadonlyArray<{ readonly chunk: Uint8Array }>, done: Done): void {
    const all = chunks.map(({ chunk }) => chunk)
    this.#hand(all, all.reduce((sum, { length }) => sum + length, 0), done)
  }

  #hand(bytes: Uint8Array | ReadonlyArray<Uint8Array>, size: number, done: Done): void {
    this.#unwritten = bytes
    this.#unwrittenBytes = size
    this.#writeDone = done
    this.#idle.touch()
    if (this.#channel === undefined) this.start()
    else this.#send()
  }

  #send(): void {
    const bytes = this.#unwritten ?? []
    if (bytes instanceof Uint8Array) this.#channel?.write(bytes, this.#written)
    else this.#channel?.writev(bytes, this.#written)
  }

  readonly #written = (): void => {
    // Of a write that a destroy cut off Node says that it was done.
    if (this.destroyed) return
    this.#idle.touch()
    this.#bytesWritten += this.#unwrittenBytes
    this.#settleWrite(null)
  }

  #settleWrite(error: Error | null): void {
    const done = this.#writeDone
    this.#writeDone = undefined
    this.#unwritten = undefined
    done?.(error)
  }

  override _final(done: Done): void {
    if (this.#started) {
      this.#endDone = done
      this.#channel?.end(this.#finished)
    } else {
      // Nobody wanted anything, and nobody will: there is nothing to dial for.
      this.once("finish", this.destroy)
      done()
    }
  }

  readonly #finished = (): void => {
    const done = this.#endDone
    this.#endDone = undefined
    done?.()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const early = this.connecting
    this.connecting = false
    this.#channel = undefined
    this.#idle.stop()
    this.#line.close(this.#reset, () => {
      this.#settleWrite(error ?? closed(early ? "ERR_SOCKET_CLOSED_BEFORE_CONNECTION" : "ERR_SOCKET_CLOSED"))
      this.emit("close", error !== null)
    })
    callback(error)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the rest of a net.Socket
  // -------------------------------------------------------------------------------------------------------------------

  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once("finish", this.destroy)
  }

  resetAndDestroy(): this {
    this.#reset = true
    return this.destroy()
  }

  setTimeout(millis: number, listener?: () => void): this {
    if (this.destroyed) return this
    this.timeout = millis
    this.#idle.start(millis)
    if (listener !== undefined) {
      if (millis === 0) this.off("timeout", listener)
      else this.once("timeout", listener)
    }
    return this
  }

  setNoDelay(enable = true): this {
    this.#tuning.noDelay(Boolean(enable))
    return this
  }

  setKeepAlive(enable = false, initialDelay = 0): this {
    this.#tuning.keepAlive(Boolean(enable), initialDelay)
    return this
  }

  ref(): this {
    this.#tuning.ref()
    return this
  }

  unref(): this {
    this.#tuning.unref()
    return this
  }

  address(): Net.AddressInfo | {} {
    return { ...this.#local }
  }

  get pending(): boolean {
    return this.#channel === undefined
  }

  get readyState(): Net.SocketReadyState {
    if (this.connecting) return "opening"
    if (this.readable) return this.writable ? "open" : "readOnly"
    return this.writable ? "writeOnly" : "closed"
  }

  get bufferSize(): number {
    return this.writableLength
  }

  get bytesRead(): number {
    return this.#bytesRead
  }

  /** What was written, whether the kernel has it or not. */
  get bytesWritten(): number {
    return this.#bytesWritten + this.writableLength
  }

  // The local ones are optional in Node's types, which under exactOptionalPropertyTypes no getter can be.

  get localAddress(): string {
    return this.#local.address as string
  }

  get localPort(): number {
    return this.#local.port as number
  }

  get localFamily(): string {
    return this.#local.family as string
  }

  get remoteAddress(): string | undefined {
    return this.#remote.address
  }

  get remotePort(): number | undefined {
    return this.#remote.port
  }

  get remoteFamily(): string | undefined {
    return this.#remote.family
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// listeners and views, shared by all
// ---------------------------------------------------------------------------------------------------------------------

function tellConnected(socket: DialedSocket): void {
  socket.emit("connect")
  socket.emit("ready")
  if ("encrypted" in socket) socket.emit("secureConnect")
}

function onNewListener(this: DialedSocket, event: unknown): void {
  if (wants.has(event)) this.start()
}

/** As in Node, the writable half says whose end it was. */
function onPeerEnd(this: DialedSocket): void {
  if (!this.allowHalfOpen) this.write = writeAfterPeerEnd
}

function writeAfterPeerEnd(this: DialedSocket, ...args: ReadonlyArray<unknown>): boolean {
  if (!this.writableEnded) return Reflect.apply(Stream.Duplex.prototype.write, this, args)
  const error = endedByPeer()
  const done = args.slice(1).find((arg) => typeof arg === "function") as Done | undefined
  if (done !== undefined) process.nextTick(done, error)
  this.destroy(error)
  return false
}
