/**
 * One direction of a simulated datagram socket: whole messages, which arrive whole, late, in another order or not at
 * all. Nobody waits for room: what finds the receiver's buffer full is dropped.
 */
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

  constructor(
    readonly path: Path,
    private readonly window: number,
    private readonly meter: Meter,
    private readonly report: Report,
    /** Nobody receives: make somebody, or say that there is nobody (the sender is told one way later). */
    private readonly unclaimed: () => void
  ) {}

  get unread(): number {
    return this.buffered
  }

  get lost(): boolean {
    return this.path.loses
  }

  write(bytes: Uint8Array, done: () => void): void {
    const copy = bytes.slice()
    this.sent += copy.length
    let weight = 0
    const arrives = this.path.send({
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
    this.buffered -= bytes?.length ?? 0
    return bytes
  }

  closeOrderly(): void {
    this.sender = undefined
  }

  closeReceiver(): boolean {
    this.receiver = undefined
    this.kill()
    return false
  }

  reset(): void {
    this.closeOrderly()
  }

  cut(): void {}

  kill(): void {
    this.buffer = []
    this.buffered = 0
  }

  inject(): void {}

  private arrived(bytes: Uint8Array): void {
    if (this.receiver === undefined) this.unclaimed()
    if (this.receiver === undefined || this.buffered + bytes.length > this.window) return
    this.delivered += bytes.length
    this.buffer.push(bytes)
    this.buffered += bytes.length
    this.receiver.readable()
  }
}
