import type { StreamFault } from "../Fault.js"
import type { PacketKind } from "../Trace.js"
import type { Path } from "./Path.js"

/** What a socket learns from the channels it holds the ends of. */
export interface ChannelEnd {
  /** There is something to read: bytes, or the end. */
  readonly readable: () => void
  /** The other end, or the network, broke the connection. */
  readonly wasReset: (code: string) => void
  /** What was sent was never acknowledged. */
  readonly timedOut: () => void
}

/** How a channel tells what it sends. `arrives` is `undefined` for what is lost or waits. */
export type Report = (kind: PacketKind, bytes: number, arrives: number | undefined) => void

/** Bytes in flight, of all channels together. */
export interface Meter {
  bytes: number
}

/** One direction of a connection: a stream's `Pipe` or a datagram socket's `Datagrams`. */
export interface Channel {
  readonly path: Path
  sender: ChannelEnd | undefined
  receiver: ChannelEnd | undefined
  /** Bytes the network accepted, and bytes that arrived. */
  readonly sent: number
  readonly delivered: number
  /** Whether what is sent now gets nowhere, and nobody says so. */
  readonly lost: boolean

  // the sender's end
  /** Bytes that wait to be accepted. */
  readonly unsent: number
  /** Queue bytes; `done` once the network took them all. */
  write(bytes: Uint8Array, done: () => void): void
  /** Queue the end; `done` once it is on its way. */
  end(done: () => void): void
  /** The sender is gone: what was not accepted is dropped, and the end follows what was. */
  closeOrderly(): void
  /** Break the connection off: what is under way is discarded, and the receiver is told. */
  reset(): void

  // the receiver's end
  /** Whether the end has arrived. It may stand behind bytes that were not read. */
  readonly ended: boolean
  /** What arrived and was not read: a stream's bytes, or datagrams. */
  readonly unread: number
  /** What can be read now. */
  take(): Uint8Array | undefined
  /** The receiver has closed. True when it left bytes unread, which breaks a stream off. */
  closeReceiver(): boolean

  // both
  /** Nothing arrives any more; what has arrived can be read. */
  cut(): void
  /** Nothing is sent, arrives or can be read any more, and nobody is told. */
  kill(): void
  /** Let a fault happen once `offset` bytes were sent (now, when they were). */
  inject(fault: StreamFault, offset: number): void
}
