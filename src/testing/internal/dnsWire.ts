/**
 * A Transport for one lookup of the fuzz: each socket hears what the case has for it, once it was asked something.
 *
 * It does what a kernel does for a connected socket: what comes from another address is not heard, and what comes after
 * the close is nobody's.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Address from "../../Address.js"
import { AttemptError, ConnectionLost, type LostReason } from "../../DialError.js"
import type { CloseMode, OpenRequest, SocketHandle, Transport } from "../../Transport.js"
import type { Agenda } from "./Agenda.js"
import { type Asked, type Case, isMutant, octetsOf, type Reply, streamOf } from "./dnsCase.js"
import { idOf, questionOf } from "./dnsOracle.js"

/** What one socket was for, and what it heard. */
export interface Heard {
  readonly request: OpenRequest
  readonly asked: Asked | undefined
  /** Datagrams, or the pieces of a stream, in the order in which they came. */
  readonly pieces: ReadonlyArray<Uint8Array>
  readonly open: boolean
}

const local = Address.unsafeParse("192.0.2.250")

export class Wire {
  readonly sockets: Array<Socket> = []
  /** Every message that was sent, and how many of them a truthful server would not have. */
  readonly messages: Array<Uint8Array> = []
  mutants = 0
  /** What a server was asked that it could not read. */
  unreadable = 0
  private readonly asked: Array<Asked> = []

  constructor(
    private readonly of: Case,
    readonly agenda: Agenda,
    private readonly watch: (bytes: Uint8Array) => void
  ) {}

  readonly transport: Transport["Type"] = {
    open: (request) =>
      Effect.sync(() => {
        const { replies } = this.of
        const reply = replies[Math.min(this.sockets.length, replies.length - 1)]
        const socket = new Socket(this, request, reply ?? { packets: [], cuts: [], end: "silence" })
        this.sockets.push(socket)
        return socket
      })
  }

  /** The messages that answer what was written on a socket. */
  answer(socket: Socket, written: Uint8Array): void {
    const { reply, request } = socket
    const query = request.socketType === "stream" ? written.subarray(2) : written
    const question = questionOf(query)
    if (question === undefined) {
      this.unreadable += 1
      return
    }
    const asked = { id: idOf(query), question }
    const earlier = this.asked.at(-1) ?? asked
    this.asked.push(asked)
    socket.asked = asked
    const built = reply.packets.map((packet) => ({ packet, bytes: octetsOf(packet, asked, earlier) }))
    for (const { bytes } of built) {
      this.watch(bytes)
      this.messages.push(bytes)
    }
    this.mutants += reply.packets.filter(isMutant).length
    if (request.socketType === "stream") {
      const frames = built.map(({ bytes, packet }) => ({ bytes, frame: packet.frame }))
      for (const piece of streamOf(frames, reply.cuts)) this.agenda.soon(() => socket.hear(piece))
    } else {
      for (const { bytes, packet } of built) {
        if (packet.from === "the server") this.agenda.after(packet.delay, () => socket.hear(bytes))
      }
    }
    const { end } = reply
    if (end === "end" || end === "reset") this.agenda.after(1, () => socket.finish(end === "end" ? "End" : "Reset"))
  }
}

type Piece = Effect.Effect<Option.Option<Uint8Array>, ConnectionLost>

class Socket implements SocketHandle, Heard {
  readonly pieces: Array<Uint8Array> = []
  readonly localAddress: Address.SocketAddress
  readonly unsent = 0
  readonly flush = Effect.void
  readonly end = Effect.void
  readonly lost: Effect.Effect<ConnectionLost>
  asked: Asked | undefined
  open = true
  private taken = 0
  private over: Piece | undefined
  private waiter: ((piece: Piece) => void) | undefined
  private readonly death = Deferred.unsafeMake<ConnectionLost>(FiberId.none)

  constructor(private readonly wire: Wire, readonly request: OpenRequest, readonly reply: Reply) {
    this.lost = Deferred.await(this.death)
    this.localAddress = Address.socketAddress(local, Address.Port(49_152 + wire.sockets.length % 16_384))
  }

  get remoteAddress(): Address.SocketAddress {
    return this.request.address
  }

  connect(settled: (error?: AttemptError) => void): void {
    const { address } = this.request
    const refused = this.request.socketType === "stream" && this.reply.end === "refused"
    this.wire.agenda.soon(() => {
      if (this.open) {
        settled(refused ? new AttemptError({ operation: "connect", address, reason: "Refused" }) : undefined)
      }
    })
  }

  readonly read: Piece = Effect.suspend(() =>
    this.next() ?? Effect.async((resume) => {
      this.waiter = resume
    })
  )

  readonly write = (bytes: Uint8Array): Effect.Effect<void, ConnectionLost> =>
    Effect.suspend(() => {
      const { reply, request } = this
      // ICMP says that nobody is there.
      if (request.socketType === "dgram" && reply.end === "refused") {
        return Effect.fail(this.loss("Error", "ECONNREFUSED"))
      }
      this.wire.answer(this, bytes.slice())
      return Effect.void
    })

  readonly stopReadingAndWriting = Effect.sync(() => {
    this.waiter = undefined
  })

  readonly close = (mode: CloseMode): Effect.Effect<void> =>
    Effect.sync(() => {
      this.open = false
      const lost = this.loss(mode === "abort" ? "Aborted" : "End")
      this.over ??= Effect.fail(lost)
      Deferred.unsafeDone(this.death, Effect.succeed(lost))
      this.wake()
    })

  readonly release = Effect.void

  hear(piece: Uint8Array): void {
    if (!this.open) return
    this.pieces.push(piece)
    this.wake()
  }

  finish(reason: "End" | "Reset"): void {
    this.over = reason === "End" ? Effect.succeedNone : Effect.fail(this.loss(reason))
    this.wake()
  }

  private loss(reason: LostReason, code?: string): ConnectionLost {
    return new ConnectionLost({ address: this.request.address, reason, code })
  }

  private next(): Piece | undefined {
    const piece = this.pieces[this.taken]
    if (piece === undefined) return this.over
    this.taken += 1
    return Effect.succeed(Option.some(piece))
  }

  private wake(): void {
    const { waiter } = this
    const piece = waiter === undefined ? undefined : this.next()
    if (piece === undefined) return
    this.waiter = undefined
    waiter?.(piece)
  }
}
