/**
 * A live connection in Node's way, a callback for each operation: what a Duplex drives once it is connected.
 *
 * There are two. Over a socket of Node no Effect runs for a chunk: bytes come in the callback of Node's read, and go by
 * `socket.write`. One of NodeTransport is handed over whole; one of TLS goes on reading for itself, and is ended by its
 * own handle. Over any other Connection, such as one of the simulated network, each operation is a fiber.
 *
 * What must be true: one read and one write at a time are all that is asked of it; a callback never comes within the
 * call that it answers, except for bytes that were there already; what fails is told by `lost` alone, and the callback
 * of the operation that met it does not come.
 */
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Net from "node:net"
import * as Connection from "../../Connection.js"
import { isReceivable, isTakeable, received, taken, type TakenSocket } from "./taken.js"

/** Runs an effect in a fiber of its own. */
export type Fork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>

/** What a connection tells: bytes, answered by whether more are wanted, the peer's end, and its own death, once. */
export interface Receiver {
  readonly bytes: (bytes: Buffer) => boolean
  readonly end: () => void
  readonly lost: (error: Error) => void
}

export interface Channel {
  /** Ask for bytes, until the receiver wants no more; asking again is asking once. */
  readonly read: () => void
  readonly write: (bytes: Uint8Array, done: () => void) => void
  readonly writev: (chunks: ReadonlyArray<Uint8Array>, done: () => void) => void
  /** End our half after everything written. */
  readonly end: (done: () => void) => void
  /** Node's socket, where one carries the bytes: its options may be set. */
  readonly socket: Net.Socket | undefined
}

/** Takes a connection over. Whoever closes it closes the channel. */
export const make = (connection: Connection.Connection, fork: Fork, receiver: Receiver): Channel => {
  const { bequeath, closed, handle } = Connection.take(connection)
  const heir = Connection.fromHandle(handle, connection.socketType, closed)
  bequeath(heir)
  const fibers = new FiberChannel(heir, fork, receiver)
  if (isTakeable(handle)) {
    const given = handle[taken](receiver)
    // A socket that died in between tells of it in the next read.
    return given === undefined ? fibers : new SocketChannel(given, receiver, (done) => given.socket.end(done))
  }
  const given = isReceivable(handle) ? handle[received](receiver) : undefined
  return given === undefined ? fibers : new SocketChannel(given, receiver, (done) => fibers.end(done))
}

class SocketChannel implements Channel {
  readonly socket: Net.Socket
  #unread: Uint8Array | undefined
  /** Of the one write under way. */
  #done: (() => void) | undefined
  readonly #wrote = (error?: Error | null): void => {
    if (!error) this.#done?.()
  }

  constructor(
    private readonly taken: TakenSocket,
    private readonly receiver: Receiver,
    readonly end: Channel["end"]
  ) {
    this.socket = taken.socket
    this.#unread = taken.unread
  }

  read(): void {
    const unread = this.#unread
    if (unread !== undefined) {
      this.#unread = undefined
      if (this.receiver.bytes(bufferOf(unread))) this.read()
    } else if (this.taken.ended) {
      this.receiver.end()
    } else {
      this.taken.pull()
    }
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#done = done
    this.socket.write(bytes, this.#wrote)
  }

  writev(chunks: ReadonlyArray<Uint8Array>, done: () => void): void {
    const { socket } = this
    socket.cork()
    chunks.forEach((chunk, index) => {
      if (index < chunks.length - 1) socket.write(chunk)
      else this.write(chunk, done)
    })
    socket.uncork()
  }
}

class FiberChannel implements Channel {
  readonly socket = undefined
  #reading = false

  constructor(
    private readonly connection: Connection.Connection,
    private readonly fork: Fork,
    private readonly receiver: Receiver
  ) {}

  read(): void {
    if (this.#reading) return
    this.#reading = true
    this.#run(this.connection.read, (bytes) => {
      this.#reading = false
      if (Option.isNone(bytes)) this.receiver.end()
      else if (this.receiver.bytes(bufferOf(bytes.value))) this.read()
    })
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#run(this.connection.write(bytes), done)
  }

  writev(chunks: ReadonlyArray<Uint8Array>, done: () => void): void {
    this.write(Buffer.concat(chunks), done)
  }

  end(done: () => void): void {
    this.#run(this.connection.end, done)
  }

  /** In a tick of its own: what a listener throws there is an uncaughtException, and no defect of a fiber. */
  #run<A, E>(effect: Effect.Effect<A, E>, done: (value: A) => void): void {
    this.fork(effect).addObserver((exit) => {
      process.nextTick(() => {
        if (Exit.isSuccess(exit)) done(exit.value)
        else this.receiver.lost(errorOf(exit.cause))
      })
    })
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The Error that a fiber failed with: ours as it is. */
export const errorOf = (cause: Cause.Cause<unknown>): Error => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error : new Error(String(error), { cause: error })
}
