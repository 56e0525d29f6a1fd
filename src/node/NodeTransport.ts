/**
 * The Transport of Node: TCP and UNIX stream sockets over `node:net`, and UDP over `node:dgram` (`internal/datagrams.ts`).
 *
 * One class answers for every quirk of `net.Socket`, so that the floors above know none:
 *
 * - `onread` is used instead of `data` events: the only public way to stop the kernel read itself (`pause` on a plain
 *   socket still reads ahead), and it costs no Readable machinery a chunk. All sockets read into one shared buffer and
 *   hand out a copy, so that an idle connection holds none; libuv fills it and calls back in one step, on POSIX.
 * - an `error` listener stays for the socket's whole life: a late reset is never an uncaughtException
 * - `allowHalfOpen`, or Node would answer the peer's end with ours
 * - addresses are read at connect, because they are undefined after close
 * - `destroy` closes the descriptor at once, a pending connect's too; `resetAndDestroy` would wait for the connect and
 *   throws on anything but TCP
 * - after a read that did not fill the buffer the kernel is asked again only in the loop's next phase: libuv takes a
 *   hang-up that it sees while still inside such a read for a clean end, and a body cut off by a reset looks whole
 * - `resetAndDestroy` while a shutdown is under way fails and leaves the descriptor open for ever
 * - listeners are shared functions that find their handle on the socket: no closures per connection
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Net from "node:net"
import * as Os from "node:os"
import { setImmediate } from "node:timers"
import * as Address from "../Address.js"
import { AttemptError, type ConnectionLost, fromErrno } from "../DialError.js"
import { impossible } from "../internal/impossible.js"
import { type CloseMode, type OpenRequest, type SocketHandle, Transport } from "../Transport.js"
import { DatagramHandle, type DatagramRequest } from "./internal/datagrams.js"
import { rest, type Resting } from "./internal/resting.js"
import { StreamHandle } from "./internal/streamHandle.js"
import { type Receiver, taken, type TakenSocket } from "./internal/taken.js"

/**
 * Twisted: `twisted.internet.tcp.BaseClient`, the POSIX subclass. TCP, UNIX stream and UDP sockets of this process.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Dialer, Resolver } from "effect-dial"
 * import { NodeTransport } from "effect-dial/node"
 *
 * // Real sockets, to literal addresses and UNIX paths only: no name is known.
 * export const network = Layer.provide(Dialer.layer, Layer.merge(Resolver.layerStatic({}), NodeTransport.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Transport> = Layer.succeed(Transport, {
  open: (request) => Effect.suspend(() => open(request))
})

const open = (request: OpenRequest): Effect.Effect<SocketHandle, AttemptError> => {
  const refused = refusal(request)
  return refused === undefined
    ? Effect.succeed(handleFor(zonedRequest(request)))
    : Effect.fail(
      new AttemptError({
        operation: "socket",
        address: request.address,
        localAddress: request.localAddress,
        reason: refused[0],
        detail: refused[1]
      })
    )
}

const handleFor = (request: OpenRequest): SocketHandle =>
  request.socketType === "dgram"
    // `refusal` has seen to it that both are of an IP family.
    ? new DatagramHandle(request as DatagramRequest)
    : new NodeSocketHandle(request)

/** What Node would not refuse, or not in words: it takes an empty path for TCP on localhost and cuts a long one. */
const refusal = (request: OpenRequest): readonly [AttemptError["reason"], string] | undefined => {
  const { address, localAddress } = request
  return impossible(request, maxPathBytes) ?? zoneRefusal(address) ?? (localAddress && zoneRefusal(localAddress))
}

/** Node takes for a host name, and looks up, what it does not read as an address. */
const zoneRefusal = (address: Address.SocketAddress): readonly [AttemptError["reason"], string] | undefined => {
  if (address._tag !== "Inet6") return undefined
  const { ip } = zoned(address) as Address.Inet6
  if (ip.zone === undefined) {
    return Address.isLinkLocal(ip) && !Address.isIpv4Mapped(ip)
      ? ["InvalidArgument", "a link-local address needs a zone, as in fe80::1%eth0"]
      : undefined
  }
  if (Os.networkInterfaces()[ip.zone] === undefined) {
    return ["InvalidArgument", `no interface ${ip.zone}${ip.zone.startsWith("25") ? " (%25 is a URL's way)" : ""}`]
  }
  return Net.isIP(ip.toString()) === 0 ? ["Unsupported", `Node cannot name the interface ${ip.zone}`] : undefined
}

const maxPathBytes = Os.platform() === "linux" ? Address.linuxUnixPathMaxBytes : Address.bsdUnixPathMaxBytes

/** As sun_path has it: an abstract name begins with NUL. */
const sunPath = (path: Address.UnixPath): string => path._tag === "Abstract" ? `\0${path.name}` : path.path

const zonedRequest = (request: OpenRequest): OpenRequest =>
  request.address._tag === "Inet6"
    ? {
      ...request,
      address: zoned(request.address),
      localAddress: request.localAddress && zoned(request.localAddress)
    }
    : request

/**
 * A zone has a number, the scope id, and a name, and only this machine knows which belong together. Both are needed:
 * the number is the address's, and the name is the only form libuv takes.
 */
const zoned = (address: Address.SocketAddress): Address.SocketAddress => {
  const normal = Address.normalise(address)
  if (normal._tag !== "Inet6" || normal.ip.zone === undefined) return normal
  const { groups, zone } = normal.ip
  for (const [name, infos] of Object.entries(Os.networkInterfaces())) {
    for (const info of infos ?? []) {
      if (info.family === "IPv6" && info.scopeid !== 0 && (name === zone || String(info.scopeid) === zone)) {
        const ip = new Address.Ipv6Address(groups, name)
        return Address.inet6(ip, normal.port, { flowInfo: normal.flowInfo, scopeId: info.scopeid })
      }
    }
  }
  return normal
}

// -----------------------------------------------------------------------------
// the handle
// -----------------------------------------------------------------------------

const handleOf: unique symbol = Symbol("effect-dial/NodeSocketHandle")

interface OwnedSocket extends Net.Socket {
  [handleOf]?: NodeSocketHandle | undefined
}

class NodeSocketHandle extends StreamHandle<OwnedSocket> implements SocketHandle, Resting {
  private local: Address.SocketAddress | { readonly address: string; readonly port: number } | undefined
  private settled: ((error?: AttemptError) => void) | undefined
  private unread: Uint8Array | undefined
  private peerEnded = false
  /** Whether the kernel may not be asked for more in this phase of the loop. */
  private resting = false
  /** Whether Node reads on for a receiver. */
  private reading = false
  /** Whether an end that Node tells of now may be a reset. */
  private doubtful = false

  constructor(private readonly request: OpenRequest) {
    super()
    const { keepAlive, noDelay } = request.options
    const socket: OwnedSocket = new Net.Socket(
      keepAlive === undefined
        ? { allowHalfOpen: true, noDelay: noDelay ?? true, onread } as Net.SocketConstructorOpts
        : {
          allowHalfOpen: true,
          noDelay: noDelay ?? true,
          onread,
          keepAlive: true,
          keepAliveInitialDelay: keepAliveMillis(keepAlive)
        } as Net.SocketConstructorOpts
    )
    socket[handleOf] = this
    socket.on("error", onError)
    socket.on("connect", onConnect)
    socket.on("end", onEnd)
    socket.on("close", onClose)
    // Or Node would start to read as soon as it is connected.
    socket.pause()
    this.socket = socket
  }

  get remoteAddress(): Address.SocketAddress {
    return this.request.address
  }

  get localAddress(): Address.SocketAddress {
    const local = this.local
    if (local === undefined) return Address.unnamed
    if ("_tag" in local) return local
    const parsed = Address.socketAddress(Address.unsafeParse(local.address), Address.Port(local.port))
    this.local = parsed
    return parsed
  }

  connect(settled: (error?: AttemptError) => void): void {
    this.settled = settled
    const { address, localAddress } = this.request
    try {
      this.socket?.connect(
        address._tag === "Unix"
          ? { path: sunPath(address.path) }
          : localAddress === undefined || localAddress._tag === "Unix"
          ? { host: address.ip.toString(), port: address.port, autoSelectFamily: false }
          : {
            host: address.ip.toString(),
            port: address.port,
            autoSelectFamily: false,
            localAddress: localAddress.ip.toString(),
            localPort: localAddress.port
          }
      )
    } catch (cause) {
      queueMicrotask(() => this.failed(cause))
    }
  }

  get read(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return Effect.async((resume) => {
      if (this.unread !== undefined && this.socket !== undefined) return resume(this.takeUnread)
      if (this.peerEnded) return resume(Effect.succeedNone)
      if (this.death !== undefined) return resume(Effect.fail(this.loss(this.death)))
      this.readWaiter = resume
      if (!this.resting) this.socket?.resume()
      return Effect.sync(() => {
        this.readWaiter = undefined
        this.socket?.pause()
      })
    })
  }

  /** Taken by the reader's own step, not handed to it: an interruption in between leaves them for the next read. */
  private get takeUnread(): Effect.Effect<Option.Option<Uint8Array>> {
    return Effect.sync(() => {
      const bytes = this.unread
      this.unread = undefined
      return Option.fromNullable(bytes)
    })
  }

  get stopReadingAndWriting(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.settled = undefined
      this.readWaiter = undefined
      this.socket?.pause()
    })
  }

  close(mode: CloseMode): Effect.Effect<void> {
    return Effect.sync(() => {
      const socket = this.socket
      if (socket === undefined) return
      this.lose(mode === "abort" ? "Aborted" : "End")
      const resettable = this.request.address._tag !== "Unix" && !socket.connecting && !socket.destroyed &&
        socket.writableEnded === socket.writableFinished
      if (mode === "abort" && resettable) socket.resetAndDestroy()
      else socket.destroy()
    })
  }

  get release(): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.socket === undefined) return
      this.socket[handleOf] = undefined
      this.socket = undefined
    })
  }

  [taken](receiver?: Receiver): TakenSocket | undefined {
    const { socket, unread } = this
    if (socket === undefined || this.death !== undefined) return undefined
    this.unread = undefined
    this.receiver = receiver
    // A socket that still flows, as after its last read, would throw away what is given back to it.
    socket.pause()
    const pull = () => {
      this.asked = true
      if (!this.resting && !this.reading) this.readOn()
    }
    return { socket, unread, ended: this.peerEnded, pull }
  }

  // ---------------------------------------------------------------------------
  // what Node tells
  // ---------------------------------------------------------------------------

  connected(socket: Net.Socket): void {
    const { address } = this.request
    if (address._tag !== "Unix") {
      // getsockname now: after a close Node has forgotten. Parsed when somebody asks.
      const local = this.local = { address: socket.localAddress ?? "0.0.0.0", port: socket.localPort ?? 0 }
      if (local.port === address.port && local.address === address.ip.toString()) return this.connectedToItself()
    }
    this.settle(undefined)
  }

  /**
   * A dial of a free port of the ephemeral range of this machine may be given that very port for its own end, and then
   * connects to itself (RFC 9293 §3.5, simultaneous open). Nobody listens there: Go's selfConnect, too, calls it refused.
   */
  private connectedToItself(): void {
    const { address, localAddress } = this.request
    this.settle(
      new AttemptError({
        operation: "connect",
        address,
        localAddress,
        reason: "Refused",
        cause: new Error("nobody listens: the socket was connected to itself")
      })
    )
  }

  /** Node's `error`: before the connect it fails the attempt, after it the connection. */
  failed(cause: unknown): void {
    if (this.settled === undefined) {
      this.loseTo(cause)
      return
    }
    const { code, syscall } = cause as NodeJS.ErrnoException
    // Node makes the socket inside bind or connect; no descriptor left can only be socket(2)'s word.
    const operation = code === "EMFILE" || code === "ENFILE" ? "socket" : syscall === "bind" ? "bind" : "connect"
    const { address, localAddress } = this.request
    this.settle(new AttemptError({ operation, address, localAddress, reason: fromErrno(code, operation), code, cause }))
  }

  private settle(error: AttemptError | undefined): void {
    const settled = this.settled
    this.settled = undefined
    settled?.(error)
  }

  /** Whether Node may read on. */
  arrived(buffer: Uint8Array, size: number): boolean {
    const partial = size < buffer.length
    const { receiver } = this
    if (receiver !== undefined) return this.delivered(receiver, Buffer.from(buffer.subarray(0, size)), partial)
    if (partial) this.rest()
    this.unread = buffer.slice(0, size)
    const reader = this.readWaiter
    this.readWaiter = undefined
    reader?.(this.takeUnread)
    // One read, one chunk: the next `read` starts the kernel read again.
    return false
  }

  /**
   * A receiver is not made to wait for the next phase of the loop, which costs a twelfth of a round trip on loopback:
   * its end is doubted instead. But when both halves have ended Node closes the socket before anybody can doubt.
   */
  private delivered(receiver: Receiver, bytes: Buffer, partial: boolean): boolean {
    const rests = partial && this.socket?.writableEnded === true
    this.doubtful = partial && !rests
    if (rests) this.rest()
    this.asked = false
    // It may have asked in between.
    if (receiver.bytes(bytes)) this.asked = true
    this.reading = this.asked && !rests
    return this.reading
  }

  private readOn(): void {
    this.reading = this.receiver !== undefined
    this.socket?.resume()
  }

  private rest(): void {
    this.resting = true
    rest(this)
  }

  /** The loop's next phase: whoever asked meanwhile may read. */
  rested(): void {
    this.resting = false
    if (this.readWaiter !== undefined || this.asked) this.readOn()
  }

  ended(): void {
    // Once our own half is over a turn of the loop is, too, and the end is none of a hang-up.
    if (this.doubtful && this.receiver !== undefined && this.socket?.writableFinished === false) {
      return this.doubtEnd(this.receiver)
    }
    this.peerEnded = true
    this.receiver?.end()
    const reader = this.readWaiter
    this.readWaiter = undefined
    reader?.(Effect.succeedNone)
  }

  /**
   * An end that libuv may have made of a hang-up: the kernel, asked again, says for certain. It answers within the next
   * turn of the loop, an end by silence, since Node tells of one only once.
   */
  private doubtEnd(receiver: Receiver): void {
    this.socket?.pause()
    this.socket?.resume()
    setImmediate(() =>
      setImmediate(() => {
        if (this.death !== undefined) return
        this.peerEnded = true
        receiver.end()
      })
    )
  }
}

/** Node keeps whole seconds, and takes what is below one for none. */
const keepAliveMillis = (after: Duration.DurationInput): number => {
  const millis = Duration.toMillis(after)
  return millis > 0 ? Math.max(1000, millis) : 0
}

// -----------------------------------------------------------------------------
// listeners, shared by all sockets
// -----------------------------------------------------------------------------

function onConnect(this: OwnedSocket): void {
  this[handleOf]?.connected(this)
}

function onError(this: OwnedSocket, error: Error): void {
  this[handleOf]?.failed(error)
}

function onEnd(this: OwnedSocket): void {
  this[handleOf]?.ended()
}

function onClose(this: OwnedSocket): void {
  this[handleOf]?.lose("End")
}

/** What Node reads into, as large as libuv's own reads (64 KiB). */
const makeReadBuffer = (): Uint8Array => new Uint8Array(65536)

const onread = {
  // On Windows libuv hands the buffer to the kernel and the bytes come later: there each socket has one of its own.
  buffer: Os.platform() === "win32" ? makeReadBuffer : makeReadBuffer(),
  callback(this: OwnedSocket, size: number, buffer: Uint8Array): boolean {
    return this[handleOf]?.arrived(buffer, size) ?? false
  }
}
