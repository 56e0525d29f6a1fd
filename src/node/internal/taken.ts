/**
 * How a connected stream socket of NodeTransport passes into other hands: those of `node:tls`, which go on with its
 * descriptor, and those of a stream of Node, which want its bytes without an Effect for each of them.
 *
 * What must be true: no byte is lost or doubled on the way; the handle's listeners stay, so that a late error finds one;
 * `close`, `release` and `lost` of the handle still do what they did.
 */
import type * as Net from "node:net"
import type { ConnectionLost } from "../../DialError.js"
import type { SocketHandle } from "../../Transport.js"

/** What the handle tells whoever took the socket and wants its bytes. */
export interface Receiver {
  /** Bytes, which are the receiver's own, and whether it wants more. After a `false` none come until the next `pull`. */
  readonly bytes: (bytes: Buffer) => boolean
  /** The peer has ended its half. */
  readonly end: () => void
  /** The socket is dead; told once. */
  readonly lost: (lost: ConnectionLost) => void
}

/** A socket in other hands. */
export interface TakenSocket {
  /** To write to and to end. It was made with `onread`: it emits no `data`, and is paused. */
  readonly socket: Net.Socket
  /** What had been taken from the kernel and by nobody: it comes before everything else. */
  readonly unread: Uint8Array | undefined
  /** Whether the peer's end has already been seen. */
  readonly ended: boolean
  /** Ask for bytes; for a receiver. */
  readonly pull: () => void
}

/**
 * The method of a handle that lets its socket be written to, and tells a receiver of what it reads, once; `undefined` when
 * it is dead. No read may be waiting. Everything else is still the handle's, its `end` above all.
 */
export const received: unique symbol = Symbol.for("effect-dial/node/received")

interface Receivable extends SocketHandle {
  readonly [received]: (receiver: Receiver) => TakenSocket | undefined
}

/** Whether a handle reads by itself and tells of it: one of TLS, which has to know what it read. */
export const isReceivable = (handle: SocketHandle): handle is Receivable => received in handle

/** The method of a handle that gives its socket away, once: `undefined` when it is dead. No read may be waiting. */
export const taken: unique symbol = Symbol.for("effect-dial/node/taken")

interface Takeable extends SocketHandle {
  readonly [taken]: (receiver?: Receiver) => TakenSocket | undefined
}

/** Whether there is a socket of Node behind a handle, and not something else that carries bytes. */
export const isTakeable = (handle: SocketHandle): handle is Takeable => taken in handle
