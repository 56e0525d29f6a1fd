/**
 * One direction of the way from one host to another: how long a packet takes, and whether it gets through.
 *
 * What stands in the way differs: a partition loses packets, so that streams send them again later and datagrams are
 * gone; a hold keeps them, all kinds, until its release; a host that is down answers nothing.
 */
import type { PCGRandom } from "effect/Utils"
import type { Agenda } from "./Agenda.js"

/** What a packet belongs to and must not overtake: a stream's latest arrival so far. */
export interface Lane {
  lastArrival: number
  /** Told when a packet of this lane waits for a way to open; the sender gives up some time after that. */
  readonly stuck: () => void
}

export interface Packet {
  readonly bytes: number
  /** `undefined`: a datagram, which is lost where a stream's segment is sent again. */
  readonly lane: Lane | undefined
  readonly deliver: () => void
}

/** RFC 6298 §2.1 begins with 1 s; Linux has 200 ms once a round trip was measured, which a connected stream has. */
const firstRetransmission = 200
/** RFC 6298 §2.5: "A maximum value MAY be placed on RTO provided it is at least 60 seconds"; Linux takes 120. */
const longestRetransmission = 120_000
/** Linux's tcp_retries2. */
const retransmissions = 15

/** The first moment at or after `from` at which a packet first sent at `sentAt` is sent again. */
const nextRetransmission = (sentAt: number, from: number): number => {
  let at = sentAt + firstRetransmission
  for (let wait = firstRetransmission * 2; at < from; wait = Math.min(wait * 2, longestRetransmission)) at += wait
  return at
}

export class Path {
  latency = 0
  jitter = 0
  bytesPerMilli = Infinity
  /** The probability that a packet is lost, for each time it is sent. */
  loss = 0
  /** Packets that wait for the way to open, in the order they were sent. */
  private readonly waiting: Array<Packet & { readonly sentAt: number }> = []
  private busyUntil = 0
  private partitioned = false
  private held = false
  private down = false

  constructor(
    readonly from: string,
    readonly to: string,
    private readonly agenda: Agenda,
    private readonly random: PCGRandom
  ) {}

  get open(): boolean {
    return !this.partitioned && !this.held && !this.down
  }

  /** Whether what is sent now is neither delivered nor kept, and nobody says so. */
  get loses(): boolean {
    return (this.partitioned || this.down) && !this.held
  }

  /** Whether the host at the end is down. */
  get isDown(): boolean {
    return this.down
  }

  get immediate(): boolean {
    return this.open && this.latency === 0 && this.jitter === 0 && this.loss === 0 && this.bytesPerMilli === Infinity
  }

  set(state: { partitioned?: boolean; held?: boolean; down?: boolean }): void {
    const wasHeld = this.held
    this.partitioned = state.partitioned ?? this.partitioned
    this.held = state.held ?? this.held
    this.down = state.down ?? this.down
    if (!this.open) return
    const { now } = this.agenda
    for (const packet of this.waiting.splice(0)) {
      this.depart(packet, wasHeld ? now : nextRetransmission(packet.sentAt, now))
    }
  }

  /** Send a packet: the time of its arrival, `undefined` when it is lost or waits. */
  send(packet: Packet): number | undefined {
    if (this.open) return this.depart(packet, this.agenda.now)
    if (this.held || packet.lane !== undefined) {
      this.waiting.push({ ...packet, sentAt: this.agenda.now })
      packet.lane?.stuck()
    }
    return undefined
  }

  /** Take back what waits for the way to open. */
  forget(lane: Lane): void {
    for (let index = this.waiting.length - 1; index >= 0; index--) {
      if (this.waiting[index]?.lane === lane) this.waiting.splice(index, 1)
    }
  }

  private depart(packet: Packet, at: number): number | undefined {
    const { lane } = packet
    const start = Math.max(at, this.busyUntil)
    const sent = this.bytesPerMilli === Infinity ? start : start + packet.bytes / this.bytesPerMilli
    this.busyUntil = this.bytesPerMilli === Infinity ? this.busyUntil : sent
    const delay = this.retransmitted(lane !== undefined)
    if (delay === undefined) {
      lane?.stuck()
      return undefined
    }
    const noise = this.jitter === 0 ? 0 : this.random.number() * this.jitter
    const arrival = Math.max(sent + this.latency + noise + delay, lane?.lastArrival ?? 0)
    if (lane !== undefined) lane.lastArrival = arrival
    this.agenda.at(arrival, packet.deliver)
    return arrival
  }

  /** How much later a packet arrives for having been lost; `undefined` when it never does. */
  private retransmitted(reliable: boolean): number | undefined {
    if (this.loss === 0) return 0
    let delay = 0
    let wait = firstRetransmission
    for (let tries = 0; this.random.number() < this.loss; tries++) {
      if (!reliable || tries === retransmissions) return undefined
      delay += wait
      wait = Math.min(wait * 2, longestRetransmission)
    }
    return delay
  }
}
