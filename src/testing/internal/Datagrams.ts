/**
 * One direction of a simulated datagram socket: whole messages, which arrive whole, late, in another order or not at
 * all. Nobody waits for room: what finds the receiver's buffer full is dropped.
 */
import type { StreamFault } from "../Fault.js"
import type { Channel, ChannelEnd, Meter, Report } from "./Channel.js"
import type { Path } from "./Path.js"

export class Datagrams implements Channel {
  sent = 0
  delivered = 0
  readonly ended = false
  readonly unsent = 0
  sender: ChannelEnd | undefined
  receiver: ChannelEnd | undefined
  private buffer: Array<Uint8Array> = []
  private buffered = 0
  private dead = false
  /** How many bytes may be sent before nothing arrives any more. */
  private silentAfter = Infinity

  constructor(
    readonly path: Path,
    private readonly window: number,
    private readonly meter: Meter,
    private readonly report: Report,
    /** Nobody receives: make somebody, or say that there is nobody (the sender is told one way later). */
    private readonly unclaimed: () => void
  ) {}

  get unread(): number {
    return this.buffer.length
  }

  get lost(): boolean {
    return this.path.loses
  }

  write(bytes: Uint8Array, done: () => void): void {
    const copy = bytes.slice()
    const silent = this.sent >= this.silentAfter
    this.sent += copy.length
    let weight = 0
    const arrives = silent ? undefined : this.path.send({
      bytes: copy.length,
      lane: undefined,
      deliver: () => {
        this.meter.bytes -= weight
        this.arrived(copy)
      }
    })
    // One that waits behind a hold is not on its way, one that is lost never will be.
    if (arrives !== undefined) weight = copy.length
    this.meter.bytes += weight
    this.report("DATAGRAM", copy.length, arrives)
    done()
  }

  /** Datagrams have no end. */
  end(done: () => void): void {
    done()
  }

  take(): Uint8Array | undefined {
    const bytes = this.buffer.shift()
    if (bytes !== undefined) this.buffered -= roomFor(bytes)
    return bytes
  }

  closeOrderly(): void {
    this.sender = undefined
  }

  closeReceiver(): boolean {
    this.receiver = undefined
    this.clear()
    return false
  }

  reset(): void {
    this.closeOrderly()
  }

  cut(): void {
    this.dead = true
  }

  kill(): void {
    this.cut()
    this.clear()
  }

  /** Of what befalls a stream's bytes, a datagram only gets lost. */
  inject(fault: StreamFault, offset: number): void {
    if (fault._tag === "SilentDeath") this.silentAfter = Math.min(this.silentAfter, Math.max(offset, this.sent))
  }

  private clear(): void {
    this.buffer = []
    this.buffered = 0
  }

  private arrived(bytes: Uint8Array): void {
    if (this.dead) return
    if (this.receiver === undefined) this.unclaimed()
    if (this.receiver === undefined || this.buffered + roomFor(bytes) > this.window) return
    this.delivered += bytes.length
    this.buffer.push(bytes)
    this.buffered += roomFor(bytes)
    this.receiver.readable()
  }
}

/** An empty datagram takes room too, or any number of them would find it. */
const roomFor = (bytes: Uint8Array): number => Math.max(1, bytes.length)
