/**
 * Connected UDP sockets over `node:dgram`, as the handles of `NodeTransport`.
 *
 * - `connect` makes the kernel deliver only what its peer sends, and tell of ICMP refusals
 * - literals are "looked up" by ourselves, in the same step: Node would ask `dns.lookup`
 * - Node reads on whether anybody asks or not; what is unread beyond {@link roomBytes} is dropped, as a kernel drops what
 *   finds its buffer full
 * - an error of one send (too long, say) is that write's; a refusal by ICMP, which names no datagram, is the socket's end
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Dgram from "node:dgram"
import * as Net from "node:net"
import * as Address from "../../Address.js"
import { AttemptError, ConnectionLost, fromErrno, lostFromErrno, type LostReason } from "../../DialError.js"
import type { CloseMode, OpenRequest, SocketHandle } from "../../Transport.js"

/** What a socket keeps for a reader that has not come: Linux's default receive buffer. */
const roomBytes = 212_992

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
  private local: Address.SocketAddress = Address.unnamed
  private death: ConnectionLost | undefined
  private readWaiter: Resume<Option.Option<Uint8Array>, ConnectionLost> | undefined
  private readonly lossWaiters = new Set<Resume<ConnectionLost>>()
  private unread: Array<Uint8Array> = []
  private unreadBytes = 0
  readonly unsent = 0

  constructor(private readonly request: DatagramRequest) {
    const socket = Dgram.createSocket({ type: request.address.family === "inet6" ? "udp6" : "udp4", lookup: literal })
    socket.on("error", (error) => this.failed(error))
    socket.on("message", (bytes) => this.arrived(bytes))
    socket.on("close", () => this.lose("End"))
    this.socket = socket
  }

  get remoteAddress(): Address.SocketAddress {
    return this.request.address
  }

  get localAddress(): Address.SocketAddress {
    return this.local
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
      if (this.death !== undefined) return resume(Effect.fail(this.death))
      this.readWaiter = resume
      return Effect.sync(() => {
        this.readWaiter = undefined
      })
    })
  }

  /** Taken by the reader's own step, not handed to it: an interruption in between leaves it for the next read. */
  private get takeUnread(): Effect.Effect<Option.Option<Uint8Array>> {
    return Effect.sync(() => {
      const bytes = this.unread.shift()
      this.unreadBytes -= bytes?.length ?? 0
      return Option.fromNullable(bytes)
    })
  }

  write(bytes: Uint8Array): Effect.Effect<void, ConnectionLost> {
    return Effect.async((resume) => {
      const socket = this.socket
      if (this.death !== undefined || socket === undefined) return resume(Effect.fail(this.death ?? this.lose("End")))
      try {
        socket.send(bytes, (error) => resume(error ? Effect.fail(this.sendError(error)) : Effect.void))
      } catch (error) {
        resume(Effect.fail(this.sendError(error)))
      }
    })
  }

  /** What concerns this datagram alone leaves the socket as it is. */
  private sendError(cause: unknown): ConnectionLost {
    const { code } = cause as NodeJS.ErrnoException
    return code === "EMSGSIZE" || code === "ENOBUFS"
      ? new ConnectionLost({ address: this.remoteAddress, reason: "Error", code, cause })
      : this.lose(lostFromErrno(code), code, cause)
  }

  readonly flush = Effect.void

  /** Datagrams have no end. */
  readonly end = Effect.void

  get lost(): Effect.Effect<ConnectionLost> {
    return Effect.async((resume) => {
      if (this.death !== undefined) return resume(Effect.succeed(this.death))
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
      this.lose(mode === "abort" ? "Aborted" : "End")
      const socket = this.socket
      this.socket = undefined
      socket?.close()
    })
  }

  get release(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.unread = []
      this.unreadBytes = 0
    })
  }

  // ---------------------------------------------------------------------------
  // what Node tells
  // ---------------------------------------------------------------------------

  private connected(socket: Dgram.Socket): void {
    const { address, port } = socket.address()
    this.local = Address.socketAddress(Address.unsafeParse(address), Address.Port(port))
    const settled = this.settled
    this.settled = undefined
    settled?.()
  }

  private arrived(bytes: Uint8Array): void {
    if (this.death !== undefined || this.unreadBytes + bytes.length > roomBytes) return
    this.unread.push(new Uint8Array(bytes))
    this.unreadBytes += bytes.length
    const reader = this.readWaiter
    this.readWaiter = undefined
    reader?.(this.takeUnread)
  }

  private failed(cause: unknown): void {
    const { code } = cause as NodeJS.ErrnoException
    const settled = this.settled
    this.settled = undefined
    if (settled !== undefined) {
      const { address, localAddress } = this.request
      // Without a local address Node binds by itself, inside its connect.
      const operation = localAddress === undefined ? "connect" : this.operation
      return settled(
        new AttemptError({ operation, address, localAddress, reason: fromErrno(code, operation), code, cause })
      )
    }
    this.lose(lostFromErrno(code), code, cause)
  }

  /** The first cause wins; what arrived before it can still be read. */
  private lose(reason: LostReason, code?: string, cause?: unknown): ConnectionLost {
    if (this.death !== undefined) return this.death
    const death = this.death = new ConnectionLost({ address: this.remoteAddress, reason, code, cause })
    const reader = this.readWaiter
    this.readWaiter = undefined
    reader?.(Effect.fail(death))
    const waiters = [...this.lossWaiters]
    this.lossWaiters.clear()
    waiters.forEach((resume) => resume(Effect.succeed(death)))
    return death
  }
}
