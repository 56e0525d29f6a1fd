/**
 * Connected UDP sockets over `node:dgram`, as the handles of `NodeTransport`.
 *
 * - `connect` makes the kernel deliver only what its peer sends, and tell of ICMP refusals
 * - literals are "looked up" by ourselves, in the same step: Node would ask `dns.lookup`
 * - Node reads on whether anybody asks or not; what is unread beyond {@link roomBytes} is dropped, as a kernel drops what
 *   finds its buffer full
 * - a datagram that is too long is that write's failure alone; a refusal by ICMP, which names no datagram, is the
 *   socket's end
 * - the kernel reports an ICMP refusal to the next call, be it a send: that send has sent nothing
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Dgram from "node:dgram"
import * as Net from "node:net"
import * as Address from "../../Address.js"
import {
  AttemptError,
  type AttemptOperation,
  type AttemptReason,
  ConnectionLost,
  fromErrno,
  lostFromErrno,
  type LostReason
} from "../../DialError.js"
import type { CloseMode, OpenRequest, SocketHandle } from "../../Transport.js"

/** What a socket keeps for a reader that has not come: Linux's default receive buffer. */
const roomBytes = 212_992

/** What Linux counts for a datagram beside its bytes, so that empty ones fill the room too. */
const bookkeepingBytes = 768

/** Why the socket is dead, and the error that says so once somebody asks: an Error captures a stack, which costs. */
interface Death {
  readonly reason: LostReason
  readonly code: string | undefined
  readonly cause: unknown
  error: ConnectionLost | undefined
}

type Resume<A, E = never> = (effect: Effect.Effect<A, E>) => void

type LookupCallback = (error: Error | null, address: string, family: number) => void

const literal = (host: string, options: unknown, callback?: LookupCallback): void => {
  const done = callback ?? options as LookupCallback
  done(null, host, Net.isIP(host))
}

type InetAddress = Exclude<Address.SocketAddress, Address.Unix>

/** A request for one datagram socket of an IP family. */
export interface DatagramRequest extends OpenRequest {
  readonly address: InetAddress
  readonly localAddress?: InetAddress | undefined
}

export class DatagramHandle implements SocketHandle {
  private socket: Dgram.Socket | undefined
  private settled: ((error?: AttemptError) => void) | undefined
  private operation: "bind" | "connect" = "bind"
  private local: Address.SocketAddress | { readonly address: string; readonly port: number } = Address.unnamed
  /** The peer as Node writes it. */
  private peer: { readonly address: string; readonly port: number } | undefined
  private death: Death | undefined
  private readWaiter: Resume<Option.Option<Uint8Array>, ConnectionLost> | undefined
  private readonly lossWaiters = new Set<Resume<ConnectionLost>>()
  private readonly flushWaiters = new Set<Resume<void, ConnectionLost>>()
  private unread: Array<Uint8Array> = []
  private unreadBytes = 0
  /** Datagrams that Node has and has not told of; `unsent` is their bytes. */
  private sending = 0
  unsent = 0

  constructor(private readonly request: DatagramRequest) {
    const socket = Dgram.createSocket({ type: request.address.family === "inet6" ? "udp6" : "udp4", lookup: literal })
    socket.on("error", (error) => this.failed(error))
    socket.on("message", (bytes, from) => this.arrived(bytes, from))
    socket.on("close", () => this.lose("End"))
    this.socket = socket
  }

  get remoteAddress(): Address.SocketAddress {
    return this.request.address
  }

  /** Parsed when somebody asks. */
  get localAddress(): Address.SocketAddress {
    if ("_tag" in this.local) return this.local
    const { address, port } = this.local
    return this.local = Address.socketAddress(Address.unsafeParse(address), Address.Port(port))
  }

  connect(settled: (error?: AttemptError) => void): void {
    const { address, localAddress } = this.request
    this.settled = settled
    const socket = this.socket
    if (socket === undefined) return
    const connect = () => {
      this.operation = "connect"
      socket.connect(address.port, address.ip.toString(), (error?: Error) => {
        if (error) this.failed(error)
        else this.connected(socket)
      })
    }
    // Never settled before this has returned: our own lookup answers in the same step.
    queueMicrotask(() => {
      if (this.socket !== socket || this.settled === undefined) return
      try {
        if (localAddress === undefined) connect()
        else socket.bind({ port: localAddress.port, address: localAddress.ip.toString(), exclusive: true }, connect)
      } catch (error) {
        this.failed(error)
      }
    })
  }

  get read(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return Effect.async((resume) => {
      if (this.unread.length > 0) return resume(this.takeUnread)
      if (this.death !== undefined) return resume(Effect.fail(this.loss(this.death)))
      this.readWaiter = resume
      return Effect.sync(() => {
        this.readWaiter = undefined
      })
    })
  }

  /** Taken by the reader's own step, not handed to it: an interruption in between leaves it for the next read. */
  private get takeUnread(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return Effect.suspend(() => {
      const bytes = this.unread.shift()
      // The socket was closed in between.
      if (bytes === undefined) return Effect.fail(this.loss(this.lose("End")))
      this.unreadBytes -= bytes.length + bookkeepingBytes
      return Effect.succeedSome(bytes)
    })
  }

  write(bytes: Uint8Array): Effect.Effect<void, ConnectionLost> {
    return Effect.async((resume) => {
      const socket = this.socket
      if (this.death !== undefined || socket === undefined) return resume(Effect.fail(this.loss(this.lose("End"))))
      this.sending += 1
      this.unsent += bytes.length
      const sent = (error?: unknown) => {
        this.sending -= 1
        this.unsent -= bytes.length
        const failure = error ? this.sendError(error) : undefined
        if (this.sending === 0) this.wake(this.flushWaiters, Effect.void)
        resume(failure === undefined ? Effect.void : Effect.fail(failure))
      }
      try {
        socket.send(bytes, sent)
      } catch (error) {
        sent(error)
      }
    })
  }

  /** What concerns this datagram alone leaves the socket as it is. */
  private sendError(cause: unknown): ConnectionLost | undefined {
    const { code } = cause as NodeJS.ErrnoException
    // A queue on its way is full: lost there, as on any other queue it meets.
    if (code === "ENOBUFS") return undefined
    const reason = lostFromErrno(code)
    return reason === "TooLong"
      ? new ConnectionLost({ address: this.remoteAddress, reason, code, cause })
      : this.loss(this.lose(reason, code, cause))
  }

  get flush(): Effect.Effect<void, ConnectionLost> {
    return Effect.async((resume) => {
      if (this.death !== undefined) return resume(Effect.fail(this.loss(this.death)))
      if (this.sending === 0) return resume(Effect.void)
      this.flushWaiters.add(resume)
      return Effect.sync(() => {
        this.flushWaiters.delete(resume)
      })
    })
  }

  /** Datagrams have no end: nothing is sent, and the peer is told nothing. */
  get end(): Effect.Effect<void, ConnectionLost> {
    return this.flush
  }

  get lost(): Effect.Effect<ConnectionLost> {
    return Effect.async((resume) => {
      if (this.death !== undefined) return resume(Effect.succeed(this.loss(this.death)))
      this.lossWaiters.add(resume)
      return Effect.sync(() => {
        this.lossWaiters.delete(resume)
      })
    })
  }

  get stopReadingAndWriting(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.settled = undefined
      this.readWaiter = undefined
    })
  }

  close(mode: CloseMode): Effect.Effect<void> {
    return Effect.sync(() => {
      this.unread = []
      this.unreadBytes = 0
      this.lose(mode === "abort" ? "Aborted" : "End")
      const socket = this.socket
      this.socket = undefined
      socket?.close()
    })
  }

  /** Nothing is left to drop: Node has the socket until it tells of its close. */
  readonly release = Effect.void

  // ---------------------------------------------------------------------------
  // what Node tells
  // ---------------------------------------------------------------------------

  private connected(socket: Dgram.Socket): void {
    const local = socket.address()
    const peer = socket.remoteAddress()
    this.local = local
    this.peer = peer
    // A free port that is dialed may be the very one that the kernel gives to this end. Nobody listens there.
    const toItself = local.port === peer.port && local.address === peer.address
    this.settle(toItself ? this.attemptError("connect", "Refused", new Error("connected to itself")) : undefined)
  }

  private arrived(bytes: Uint8Array, from: Dgram.RemoteInfo): void {
    // Until it was connected the kernel took from anybody what came to its port.
    if (from.port !== this.peer?.port || from.address !== this.peer.address) return
    const size = bytes.length + bookkeepingBytes
    if (this.death !== undefined || this.unreadBytes + size > roomBytes) return
    this.unread.push(new Uint8Array(bytes))
    this.unreadBytes += size
    const reader = this.readWaiter
    this.readWaiter = undefined
    reader?.(this.takeUnread)
  }

  private failed(cause: unknown): void {
    const { code } = cause as NodeJS.ErrnoException
    if (this.settled === undefined) {
      this.lose(lostFromErrno(code), code, cause)
      return
    }
    // Node makes the socket as it binds, and without a local address binds by itself, inside its connect.
    const operation = code === "EMFILE" || code === "ENFILE"
      ? "socket"
      : this.request.localAddress === undefined
      ? "connect"
      : this.operation
    this.settle(this.attemptError(operation, fromErrno(code, operation), cause, code))
  }

  private attemptError(
    operation: AttemptOperation,
    reason: AttemptReason,
    cause: unknown,
    code?: string
  ): AttemptError {
    const { address, localAddress } = this.request
    return new AttemptError({ operation, address, localAddress, reason, code, cause })
  }

  private settle(error: AttemptError | undefined): void {
    const { settled } = this
    this.settled = undefined
    settled?.(error)
  }

  /** The first cause wins; what arrived before it can still be read. */
  private lose(reason: LostReason, code?: string, cause?: unknown): Death {
    if (this.death !== undefined) return this.death
    const death: Death = this.death = { reason, code, cause, error: undefined }
    const reader = this.readWaiter
    this.readWaiter = undefined
    if (reader !== undefined) reader(Effect.fail(this.loss(death)))
    if (this.lossWaiters.size > 0) this.wake(this.lossWaiters, Effect.succeed(this.loss(death)))
    if (this.flushWaiters.size > 0) this.wake(this.flushWaiters, Effect.fail(this.loss(death)))
    return death
  }

  private loss(death: Death): ConnectionLost {
    const { cause, code, reason } = death
    return death.error ??= new ConnectionLost({ address: this.remoteAddress, reason, code, cause })
  }

  private wake<A, E>(waiters: Set<Resume<A, E>>, effect: Effect.Effect<A, E>): void {
    const all = [...waiters]
    waiters.clear()
    for (const resume of all) resume(effect)
  }
}
