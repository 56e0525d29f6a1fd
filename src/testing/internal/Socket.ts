/**
 * A simulated socket: the contract of `Transport`'s SocketHandle over two channels. Both ends of a connection are one
 * of these, and both are held as the same `Connection`.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Address from "../../Address.js"
import {
  AttemptError,
  type AttemptOperation,
  ConnectionLost,
  fromErrno,
  lostFromErrno,
  type LostReason
} from "../../DialError.js"
import type { CloseMode, OpenRequest, SocketHandle } from "../../Transport.js"
import type { Agenda } from "./Agenda.js"
import type { Channel, ChannelEnd } from "./Channel.js"

/** What a socket needs of the network it is in. */
export interface Net {
  readonly agenda: Agenda
  /** Begin to connect; ends with `connected` or `failed`. */
  readonly connect: (socket: SimSocket) => void
  /** The descriptor is given back. */
  readonly closed: (socket: SimSocket, mode: CloseMode | "crash") => void
  readonly lost: (socket: SimSocket, reason: LostReason, code: string | undefined) => void
}

/** Why the socket is dead, and the error that says so once somebody asks: an Error captures a stack, which costs. */
interface Death {
  readonly reason: LostReason
  readonly code: string | undefined
  error: ConnectionLost | undefined
}

type Resume<A, E> = (exit: Effect.Effect<A, E>) => void

/** Linux's tcp_keepalive_time, tcp_keepalive_intvl and tcp_keepalive_probes. */
const keepAliveIdle = 7_200_000
const keepAliveInterval = 75_000
const keepAliveProbes = 9

export class SimSocket implements SocketHandle, ChannelEnd {
  state: "new" | "connecting" | "failed" | "connected" | "closed" = "new"
  localAddress: Address.SocketAddress = Address.unnamed
  remoteAddress: Address.SocketAddress
  incoming: Channel | undefined
  outgoing: Channel | undefined
  /** The socket at the other end, while that has one. */
  peer: SimSocket | undefined
  /** Runs once, when the descriptor is given back. */
  onClose: (() => void) | undefined
  private death: Death | undefined
  /** A reset that stands behind bytes that arrived before it. */
  private pendingReset: string | undefined
  private settled: ((error?: AttemptError) => void) | undefined
  private readWaiter: Resume<Option.Option<Uint8Array>, ConnectionLost> | undefined
  private writeWaiters: Set<Resume<void, ConnectionLost>> | undefined
  private lossWaiters: Set<Resume<ConnectionLost, never>> | undefined
  private endRequested = false

  constructor(
    private readonly net: Net,
    /** Numbers the connection: both ends have the same. */
    readonly id: number,
    readonly host: string,
    readonly request: OpenRequest,
    /** Whether it was opened through a Transport, and not accepted by a listener. */
    readonly dialed: boolean,
    readonly openedAt: number,
    readonly openedBy: string
  ) {
    this.remoteAddress = request.address
  }

  // ---------------------------------------------------------------------------
  // the handle
  // ---------------------------------------------------------------------------

  connect(settled: (error?: AttemptError) => void): void {
    this.settled = settled
    this.state = "connecting"
    this.net.agenda.soon(() => {
      if (this.state === "connecting") this.net.connect(this)
    })
  }

  get read(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return Effect.suspend(() =>
      this.ready() ?? Effect.async((resume) => {
        this.readWaiter = resume
        return Effect.sync(() => {
          if (this.readWaiter === resume) this.readWaiter = undefined
        })
      })
    )
  }

  write(bytes: Uint8Array): Effect.Effect<void, ConnectionLost> {
    if (this.request.socketType === "dgram" && bytes.length > longestDatagram(this.remoteAddress)) {
      return Effect.suspend(() =>
        Effect.fail(
          this.death === undefined
            ? new ConnectionLost({ address: this.remoteAddress, reason: "TooLong", code: "EMSGSIZE" })
            : this.loss(this.death)
        )
      )
    }
    return this.handOver((outgoing, done) => outgoing.write(bytes, done))
  }

  get unsent(): number {
    return this.outgoing?.unsent ?? 0
  }

  get flush(): Effect.Effect<void, ConnectionLost> {
    // A write of nothing is done when everything before it is.
    return Effect.suspend(() => this.unsent === 0 ? Effect.void : this.write(nothing))
  }

  get end(): Effect.Effect<void, ConnectionLost> {
    return Effect.suspend(() => {
      if (this.endRequested) return Effect.void
      this.endRequested = true
      return this.handOver((outgoing, done) => outgoing.end(done))
    })
  }

  get lost(): Effect.Effect<ConnectionLost> {
    return Effect.async((resume) => {
      if (this.death !== undefined) return resume(Effect.succeed(this.loss(this.death)))
      const waiters = this.lossWaiters ??= new Set()
      waiters.add(resume)
      return Effect.sync(() => {
        waiters.delete(resume)
      })
    })
  }

  get stopReadingAndWriting(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.settled = undefined
      this.readWaiter = undefined
      this.writeWaiters = undefined
    })
  }

  close(mode: CloseMode): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.state === "closed") return
      const { incoming, outgoing, state } = this
      this.state = "closed"
      if (state === "connected" && this.death === undefined) {
        const leftUnread = incoming?.closeReceiver() ?? false
        // A UNIX socket has no reset of its own; one that leaves bytes unread is a reset everywhere.
        if (leftUnread || (mode === "abort" && this.remoteAddress._tag !== "Unix")) {
          outgoing?.reset()
          incoming?.kill()
        } else {
          outgoing?.closeOrderly()
        }
      }
      this.lose(mode === "abort" ? "Aborted" : "End")
      this.net.closed(this, mode)
    })
  }

  get release(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.incoming = undefined
      this.outgoing = undefined
      this.peer = undefined
    })
  }

  // ---------------------------------------------------------------------------
  // what the network tells
  // ---------------------------------------------------------------------------

  connected(local: Address.SocketAddress, outgoing: Channel, incoming: Channel): void {
    this.state = "connected"
    this.localAddress = local
    this.outgoing = outgoing
    this.incoming = incoming
    outgoing.sender = this
    incoming.receiver = this
    this.keepAlive()
    this.settle()
  }

  failed(operation: AttemptOperation, code: string): void {
    if (this.state !== "connecting") return
    this.state = "failed"
    this.settle(attemptError(this.request, operation, code))
  }

  readable(): void {
    const waiter = this.readWaiter
    if (waiter === undefined) return
    this.readWaiter = undefined
    // Taken by the reader itself: one that is interrupted before it runs leaves the bytes to the next.
    waiter(Effect.suspend(() => this.ready() ?? this.read))
  }

  wasReset(code: string): void {
    if (this.state !== "connected" || this.death !== undefined) return
    this.outgoing?.kill()
    if (this.request.socketType === "dgram") {
      this.incoming?.cut()
      this.lose(lostFromErrno(code), code)
    } else if (this.writeWaiters === undefined && this.incoming !== undefined && this.incoming.unread > 0) {
      // As a kernel does: what came before the reset can still be read, and the reader then meets it.
      this.incoming.cut()
      this.pendingReset = code
    } else {
      this.incoming?.kill()
      this.lose(lostFromErrno(code), code)
    }
  }

  timedOut(): void {
    if (this.state !== "connected") return
    this.outgoing?.cut()
    this.incoming?.kill()
    this.lose("TimedOut", "ETIMEDOUT")
  }

  /** The host it is on went down: it is gone and tells nobody. */
  crash(): void {
    if (this.state === "closed") return
    this.state = "closed"
    // A datagram that has left needs its sender no more.
    if (this.request.socketType === "stream") this.outgoing?.cut()
    this.incoming?.closeReceiver()
    this.settle(attemptError(this.request, "connect", "ENETDOWN"))
    this.lose("Error", "ENETDOWN")
    this.net.closed(this, "crash")
  }

  // ---------------------------------------------------------------------------

  private settle(error?: AttemptError): void {
    const { settled } = this
    this.settled = undefined
    settled?.(error)
  }

  private ready(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> | undefined {
    const { incoming } = this
    if (this.death !== undefined) {
      // What came before a refusal can still be read.
      const bytes = this.request.socketType === "dgram" && this.state === "connected" ? incoming?.take() : undefined
      return bytes === undefined ? Effect.fail(this.loss(this.death)) : Effect.succeedSome(bytes)
    }
    if (incoming === undefined) return Effect.fail(this.loss(this.lose("End")))
    const bytes = incoming.take()
    if (bytes !== undefined) return Effect.succeedSome(bytes)
    if (this.pendingReset !== undefined) {
      return Effect.fail(this.loss(this.reset(this.pendingReset)))
    }
    return incoming.ended ? Effect.succeedNone : undefined
  }

  /** Give something to the outgoing channel, and wait until that has taken it. */
  private handOver(give: (outgoing: Channel, done: () => void) => void): Effect.Effect<void, ConnectionLost> {
    return Effect.suspend(() => {
      if (this.pendingReset !== undefined) this.reset(this.pendingReset)
      if (this.death !== undefined) return Effect.fail(this.loss(this.death))
      if (this.outgoing === undefined) return Effect.fail(this.loss(this.lose("End")))
      let taken = false
      let waiter: Resume<void, ConnectionLost> | undefined
      give(this.outgoing, () => {
        taken = true
        if (waiter === undefined) return
        this.forgetWriter(waiter)
        waiter(Effect.void)
      })
      if (taken) return Effect.void
      return Effect.async((resume) => {
        waiter = resume
        const waiters = this.writeWaiters ??= new Set()
        waiters.add(resume)
        return Effect.sync(() => this.forgetWriter(resume))
      })
    })
  }

  private forgetWriter(resume: Resume<void, ConnectionLost>): void {
    this.writeWaiters?.delete(resume)
    if (this.writeWaiters?.size === 0) this.writeWaiters = undefined
  }

  private reset(code: string): Death {
    return this.lose(lostFromErrno(code), code)
  }

  /** The first cause wins. */
  private lose(reason: LostReason, code?: string): Death {
    if (this.death !== undefined) return this.death
    const death: Death = { reason, code, error: undefined }
    this.death = death
    const reader = this.readWaiter
    const writers = this.writeWaiters
    const waiters = this.lossWaiters
    this.readWaiter = undefined
    this.writeWaiters = undefined
    this.lossWaiters = undefined
    this.net.lost(this, reason, code)
    reader?.(Effect.fail(this.loss(death)))
    writers?.forEach((resume) => resume(Effect.fail(this.loss(death))))
    waiters?.forEach((resume) => resume(Effect.succeed(this.loss(death))))
    return death
  }

  private loss(death: Death): ConnectionLost {
    const { code, reason } = death
    return death.error ??= new ConnectionLost({ address: this.remoteAddress, reason, code })
  }

  // ---------------------------------------------------------------------------
  // keep-alive probes
  // ---------------------------------------------------------------------------

  private keepAlive(): void {
    const { keepAlive } = this.request.options
    if (keepAlive === undefined || this.request.socketType !== "stream" || this.remoteAddress._tag === "Unix") return
    const millis = Duration.toMillis(keepAlive)
    const idle = millis === 0 ? keepAliveIdle : Math.max(1000, Math.floor(millis / 1000) * 1000)
    const { agenda } = this.net
    let seen = this.incoming?.delivered ?? 0
    let unanswered = 0
    const probe = () => {
      const { incoming, outgoing, peer } = this
      if (this.state !== "connected" || this.death !== undefined || incoming === undefined || outgoing === undefined) {
        return
      }
      if (incoming.delivered > seen) {
        seen = incoming.delivered
        unanswered = 0
        agenda.after(idle, probe)
      } else if (outgoing.lost || incoming.lost) {
        unanswered += 1
        if (unanswered > keepAliveProbes) this.timedOut()
        else agenda.after(keepAliveInterval, probe)
      } else if (peer === undefined || peer.state === "closed") {
        this.wasReset("ECONNRESET")
      } else {
        unanswered = 0
        agenda.after(idle, probe)
      }
    }
    agenda.after(idle, probe)
  }
}

const nothing = new Uint8Array(0)

/**
 * RFC 791 and RFC 8200 count a packet's length in 16 bits, IPv4 its own header of 20 octets among it, and RFC 768 has a
 * header of 8.
 */
const longestDatagram = (to: Address.SocketAddress): number =>
  to._tag === "Inet6" && !Address.isIpv4Mapped(to.ip) ? 65_535 - 8 : 65_535 - 20 - 8

export const attemptError = (request: OpenRequest, operation: AttemptOperation, code: string): AttemptError =>
  new AttemptError({
    operation,
    address: request.address,
    localAddress: request.localAddress,
    reason: fromErrno(code, operation),
    code
  })
