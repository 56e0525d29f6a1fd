/**
 * One direction of one simulated connection: the sender's queue, what is under way, the receiver's buffer, and the
 * window that bounds the two together.
 *
 * A byte is taken from the writer when the window has room, and the window has room again when the reader has read and
 * the word of it has travelled back. That is all of TCP's flow control a library can see: a writer waits for a slow
 * reader, and a long way carries one window each round trip.
 */
import * as Duration from "effect/Duration"
import type { StreamFault } from "../Fault.js"
import type { Agenda, Entry } from "./Agenda.js"
import type { Channel, ChannelEnd, Meter, Report } from "./Channel.js"
import type { Lane, Path } from "./Path.js"

interface Unsent {
  readonly bytes: Uint8Array
  taken: number
  done: (() => void) | undefined
}

interface Armed {
  readonly fault: StreamFault
  readonly offset: number
}

/** The most one read gives when more has arrived: what Node reads at once. */
const readLimit = 65536

export class Pipe implements Channel, Lane {
  lastArrival = 0
  sent = 0
  delivered = 0
  /** The other direction of the same connection. */
  twin: Pipe | undefined
  receiver: ChannelEnd | undefined
  sender: ChannelEnd | undefined
  ended = false

  private readonly queue: Array<Unsent> = []
  private readonly buffer: Array<Uint8Array> = []
  private buffered = 0
  /** Bytes accepted and not read, as far as this end knows. */
  private inFlight = 0
  private finWanted: (() => void) | undefined
  private finSent = false
  /** Nothing of this pipe matters any more. */
  private dead = false
  /** Whoever is to receive has closed; what arrives is answered with RST. */
  private closed = false
  private faults: Array<Armed> | undefined
  private slice = Infinity
  private bytesPerMilli = Infinity
  private throttledUntil = 0
  private stalledUntil = 0
  private frozen = false
  private silent = false
  private swallowing = false
  private finLost = false
  private corruption = 0
  private givingUp: Entry | undefined

  constructor(
    private readonly agenda: Agenda,
    readonly path: Path,
    private readonly back: Path,
    private readonly window: number,
    private readonly patience: number,
    private readonly meter: Meter,
    private readonly report: Report
  ) {}

  // ---------------------------------------------------------------------------
  // the sender's end
  // ---------------------------------------------------------------------------

  get unsent(): number {
    return this.queue.reduce((sum, { bytes, taken }) => sum + bytes.length - taken, 0)
  }

  write(bytes: Uint8Array, done: () => void): void {
    const item: Unsent = { bytes, taken: 0, done }
    this.queue.push(item)
    this.pump()
  }

  end(done: () => void): void {
    this.finWanted = done
    this.pump()
  }

  closeOrderly(): void {
    this.queue.length = 0
    if (!this.finSent) this.end(() => {})
    this.sender = undefined
  }

  reset(): void {
    if (this.dead) return
    // What has arrived is the receiver's: it can be read before the reset is.
    this.cut()
    const { receiver } = this
    if (this.silent) return
    // In a lane of its own: it waits for no retransmission of what it discards.
    const arrives = this.path.send({
      bytes: 0,
      lane: { lastArrival: 0, stuck: () => {} },
      deliver: () => receiver?.wasReset("ECONNRESET")
    })
    this.report("RST", 0, arrives)
  }

  /** Whether it was broken off. */
  get broken(): boolean {
    return this.dead
  }

  get lost(): boolean {
    return this.silent || this.path.loses
  }

  cut(): void {
    this.dead = true
    this.queue.length = 0
    this.weigh(this.buffered - this.inFlight)
    this.path.forget(this)
    this.agenda.cancel(this.givingUp)
    this.givingUp = undefined
  }

  kill(): void {
    this.cut()
    this.buffer.length = 0
    this.buffered = 0
    this.weigh(-this.inFlight)
  }

  readonly stuck = (): void => {
    this.givingUp ??= this.agenda.after(this.patience, () => {
      this.givingUp = undefined
      if (this.dead || this.inFlight === 0) return
      if (this.sender === undefined) this.kill()
      else this.sender.timedOut()
    })
  }

  private pump(): void {
    if (this.dead) return
    this.fire()
    for (let item = this.queue[0]; item !== undefined && !this.dead; item = this.queue[0]) {
      const rest = item.bytes.length - item.taken
      const size = Math.min(rest, this.window - this.inFlight, this.slice, this.untilNextFault())
      if (size <= 0 && rest > 0) return
      if (size > 0) this.transmit(item.bytes.slice(item.taken, item.taken + size))
      item.taken += size
      if (item.taken === item.bytes.length) {
        this.queue.shift()
        item.done?.()
      }
      this.fire()
    }
    if (this.finWanted === undefined || this.finSent || this.dead) return
    this.finSent = true
    const done = this.finWanted
    this.transmitEnd()
    done()
  }

  private transmit(bytes: Uint8Array): void {
    const size = bytes.length
    this.sent += size
    if (this.swallowing) return
    if (this.corruption !== 0) {
      bytes[0] = bytes[0]! ^ this.corruption
      this.corruption = 0
    }
    this.weigh(size)
    if (this.silent) {
      this.report("DATA", size, undefined)
      return this.stuck()
    }
    if (this.frozen) return this.report("DATA", size, undefined)
    this.delay(size)
    this.report("DATA", size, this.path.send({ bytes: size, lane: this, deliver: () => this.arrived(bytes) }))
  }

  private transmitEnd(): void {
    if (this.silent || this.frozen || this.finLost || this.swallowing) return this.report("FIN", 0, undefined)
    this.delay(0)
    this.report("FIN", 0, this.path.send({ bytes: 0, lane: this, deliver: () => this.endArrived() }))
  }

  /** What this connection's own faults add to the way. */
  private delay(size: number): void {
    let throttled = 0
    if (this.bytesPerMilli !== Infinity) {
      this.throttledUntil = Math.max(this.agenda.now, this.throttledUntil) + size / this.bytesPerMilli
      throttled = this.throttledUntil + this.path.latency
    }
    this.lastArrival = Math.max(this.lastArrival, this.stalledUntil, throttled)
  }

  // ---------------------------------------------------------------------------
  // the receiver's end
  // ---------------------------------------------------------------------------

  get unread(): number {
    return this.buffered
  }

  /** What can be read now. Pieces come one at a time from a sliced pipe, together otherwise. */
  take(): Uint8Array | undefined {
    const first = this.buffer[0]
    if (first === undefined) return undefined
    let bytes = first
    if (this.buffer.length > 1 && this.slice === Infinity) {
      const size = Math.min(this.buffered, readLimit)
      bytes = new Uint8Array(size)
      for (let filled = 0; filled < size;) {
        const piece = this.buffer[0]!
        const part = piece.subarray(0, size - filled)
        bytes.set(part, filled)
        filled += part.length
        if (part.length === piece.length) this.buffer.shift()
        else this.buffer[0] = piece.subarray(part.length)
      }
    } else {
      this.buffer.shift()
    }
    this.buffered -= bytes.length
    this.acknowledge(bytes.length)
    return bytes
  }

  closeReceiver(): boolean {
    this.closed = true
    this.receiver = undefined
    const left = this.buffered
    this.buffer.length = 0
    this.buffered = 0
    this.weigh(-left)
    return left > 0
  }

  private arrived(bytes: Uint8Array): void {
    if (this.dead) return
    if (this.path.isDown) {
      // The host went down meanwhile: sent again until it answers.
      this.path.send({ bytes: bytes.length, lane: this, deliver: () => this.arrived(bytes) })
      return
    }
    if (this.closed) return this.refuse()
    this.delivered += bytes.length
    this.buffer.push(bytes)
    this.buffered += bytes.length
    this.receiver?.readable()
  }

  private endArrived(): void {
    if (this.dead) return
    this.ended = true
    this.receiver?.readable()
  }

  /** Bytes for a socket that is no more: the sender gets RST, one way later, and so does whoever was cut off. */
  private refuse(): void {
    const { receiver, sender } = this
    this.cut()
    if (receiver !== undefined) this.agenda.soon(() => receiver.wasReset("ECONNRESET"))
    this.back.send({
      bytes: 0,
      lane: { lastArrival: 0, stuck: () => {} },
      deliver: () => sender?.wasReset("ECONNRESET")
    })
  }

  private acknowledge(size: number): void {
    const credit = () => {
      if (this.dead) return
      this.weigh(-size)
      this.pump()
    }
    if (this.dead) return this.weigh(-size)
    if (this.silent) return
    if (this.back.immediate) credit()
    else this.back.send({ bytes: 0, lane: { lastArrival: 0, stuck: this.stuck }, deliver: credit })
  }

  // ---------------------------------------------------------------------------
  // faults
  // ---------------------------------------------------------------------------

  inject(fault: StreamFault, offset: number): void {
    const faults = this.faults ??= []
    faults.push({ fault, offset })
    faults.sort((self, that) => self.offset - that.offset)
    this.pump()
  }

  private untilNextFault(): number {
    const next = this.faults?.[0]
    return next === undefined ? Infinity : Math.max(1, next.offset - this.sent)
  }

  private fire(): void {
    for (let next = this.faults?.[0]; next !== undefined && next.offset <= this.sent; next = this.faults?.[0]) {
      this.faults?.shift()
      this.happen(next.fault)
    }
  }

  private happen(fault: StreamFault): void {
    switch (fault._tag) {
      case "Sliced":
        this.slice = fault.bytes
        return
      case "Stalled": {
        const duration = Duration.decode(fault.duration)
        if (Duration.isFinite(duration)) this.stalledUntil = this.agenda.now + Duration.toMillis(duration)
        else this.frozen = true
        return
      }
      case "Throttled":
        this.bytesPerMilli = fault.bytesPerSecond / 1000
        return
      case "Corrupted":
        this.corruption = fault.bits
        return
      case "FinLost":
        this.finLost = true
        return
      case "HalfClosed":
        return this.endEarly()
      case "Truncated":
        this.endEarly()
        if (this.twin !== undefined) this.twin.closed = true
        return
      case "Broken":
        return this.breakOff()
      case "SilentDeath":
        this.silent = true
        if (this.twin !== undefined) this.twin.silent = true
        return
    }
  }

  /** The receiver sees the end here; the rest is taken from the writer and lost. */
  private endEarly(): void {
    if (this.finSent) return
    this.transmitEnd()
    this.swallowing = true
  }

  /** A box in the middle resets both ends. */
  private breakOff(): void {
    const { sender, twin } = this
    this.reset()
    if (twin === undefined) return
    twin.cut()
    this.agenda.after(0, () => sender?.wasReset("ECONNRESET"))
  }

  private weigh(bytes: number): void {
    this.inFlight += bytes
    this.meter.bytes += bytes
  }
}
