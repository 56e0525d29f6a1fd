/**
 * The Transport of Node: TCP and UNIX stream sockets over `node:net`.
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
 * - listeners are shared functions that find their handle on the socket: no closures per connection
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Duration from "effect/Duration"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Address from "../Address.js"
import { AttemptError, type AttemptOperation, ConnectionLost, fromErrno, lostFromErrno, type LostReason } from "../DialError.js"
import { type CloseMode, type OpenRequest, type SocketHandle, Transport } from "../Transport.js"

/**
 * Twisted: `twisted.internet.tcp.BaseClient`, the POSIX subclass. TCP and UNIX stream sockets of this process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Transport> = Layer.succeed(Transport, {
  open: (request) => Effect.suspend(() => open(request))
})

const open = (request: OpenRequest): Effect.Effect<SocketHandle, AttemptError> => {
  const refuse = (reason: AttemptError["reason"], cause: string) =>
    Effect.fail(
      new AttemptError({
        operation: "socket",
        address: request.address,
        localAddress: request.localAddress,
        reason,
        cause: new Error(cause)
      })
    )
  if (request.socketType !== "stream") return refuse("Unsupported", "this transport has stream sockets only")
  if (request.localAddress !== undefined && request.localAddress.family !== request.address.family) {
    return refuse("InvalidArgument", `a local address of family ${request.localAddress.family}`)
  }
  if (request.address._tag === "Unix") {
    // Node would take the empty path of an unnamed socket for TCP on localhost.
    if (Equal.equals(request.address, Address.unnamed)) return refuse("InvalidArgument", "a UNIX socket without a name")
    if (request.localAddress !== undefined) {
      return refuse("Unsupported", "Node cannot bind a UNIX socket before it connects")
    }
  }
  return Effect.succeed(new NodeSocketHandle({ ...request, address: scoped(request.address) }))
}

/** Where a named zone gets its number: only this machine's interfaces know. */
const scoped = (address: Address.SocketAddress): Address.SocketAddress => {
  const normal = Address.normalise(address)
  if (normal._tag !== "Inet6" || normal.ip.zone === undefined || normal.scopeId !== 0) return normal
  const scopeId = Os.networkInterfaces()[normal.ip.zone]?.find((info) => info.family === "IPv6" && info.scopeid > 0)
  return scopeId?.family === "IPv6"
    ? Address.inet6(normal.ip, normal.port, { flowInfo: normal.flowInfo, scopeId: scopeId.scopeid })
    : normal
}

// -----------------------------------------------------------------------------
// the handle
// -----------------------------------------------------------------------------

const handleOf: unique symbol = Symbol("effect-dial/NodeSocketHandle")

interface OwnedSocket extends Net.Socket {
  [handleOf]?: NodeSocketHandle | undefined
}

type Resume<A, E> = (exit: Effect.Effect<A, E>) => void

class NodeSocketHandle implements SocketHandle {
  private socket: OwnedSocket | undefined
  private local: Address.SocketAddress | { readonly address: string; readonly port: number } | undefined
  private reason: ConnectionLost | undefined
  private connectWaiter: Resume<void, AttemptError> | undefined
  private readWaiter: Resume<Option.Option<Uint8Array>, ConnectionLost> | undefined
  private lossWaiters: Set<Resume<ConnectionLost, never>> | undefined
  private unread: Uint8Array | undefined
  private peerEnded = false

  constructor(private readonly request: OpenRequest) {
    const { keepAlive, noDelay } = request.options
    const socket: OwnedSocket = new Net.Socket({
      allowHalfOpen: true,
      noDelay: noDelay ?? true,
      ...(keepAlive === undefined ? undefined : {
        keepAlive: true,
        keepAliveInitialDelay: Duration.toMillis(Duration.decode(keepAlive))
      }),
      onread
    } as Net.SocketConstructorOpts)
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

  get connect(): Effect.Effect<void, AttemptError> {
    return Effect.async((resume) => {
      this.connectWaiter = resume
      const { address, localAddress } = this.request
      try {
        this.socket?.connect(
          address._tag === "Unix"
            ? { path: sunPath(address.path) }
            : {
              host: String(address.ip),
              port: address.port,
              autoSelectFamily: false,
              ...(localAddress === undefined || localAddress._tag === "Unix" ? undefined : {
                localAddress: String(localAddress.ip),
                localPort: localAddress.port
              })
            }
        )
      } catch (cause) {
        this.failed(cause)
      }
      return Effect.sync(() => {
        this.connectWaiter = undefined
      })
    })
  }

  get read(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return Effect.async((resume) => {
      if (this.unread !== undefined) {
        const bytes = this.unread
        this.unread = undefined
        return resume(Effect.succeedSome(bytes))
      }
      if (this.peerEnded) return resume(Effect.succeedNone)
      if (this.reason !== undefined) return resume(Effect.fail(this.reason))
      this.readWaiter = resume
      this.socket?.resume()
      return Effect.sync(() => {
        this.readWaiter = undefined
        this.socket?.pause()
      })
    })
  }

  write(bytes: Uint8Array): Effect.Effect<void, ConnectionLost> {
    return Effect.suspend(() => {
      const socket = this.socket
      if (this.reason !== undefined || socket === undefined) return Effect.fail(this.lose("End"))
      let finished: Effect.Effect<void, ConnectionLost> | undefined
      let waiter: Resume<void, ConnectionLost> | undefined
      socket.write(bytes, (error) => {
        finished = error ? Effect.fail(this.loseTo(error)) : Effect.void
        waiter?.(finished)
      })
      // The kernel took it all at once: no need to wait for Node to say so.
      if (socket.writableLength === 0 && !socket.errored) return Effect.void
      return Effect.async((resume) => {
        if (finished !== undefined) return resume(finished)
        waiter = resume
        return Effect.sync(() => {
          waiter = undefined
        })
      })
    })
  }

  get unsent(): number {
    return this.socket?.writableLength ?? 0
  }

  get flush(): Effect.Effect<void, ConnectionLost> {
    // A write of nothing is done when everything before it is.
    return Effect.suspend(() => this.unsent === 0 ? Effect.void : this.write(nothing))
  }

  get end(): Effect.Effect<void, ConnectionLost> {
    return Effect.async((resume) => {
      if (this.reason !== undefined || this.socket === undefined) return resume(Effect.fail(this.lose("End")))
      this.socket.end((error?: Error | null) => resume(error ? Effect.fail(this.loseTo(error)) : Effect.void))
    })
  }

  get lost(): Effect.Effect<ConnectionLost> {
    return Effect.async((resume) => {
      if (this.reason !== undefined) return resume(Effect.succeed(this.reason))
      const waiters = this.lossWaiters ??= new Set()
      waiters.add(resume)
      return Effect.sync(() => {
        waiters.delete(resume)
      })
    })
  }

  get stopReadingAndWriting(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.connectWaiter = undefined
      this.readWaiter = undefined
      this.socket?.pause()
    })
  }

  close(mode: CloseMode): Effect.Effect<void> {
    return Effect.sync(() => {
      const socket = this.socket
      if (socket === undefined) return
      if (mode === "abort" && !socket.connecting && !socket.destroyed && this.request.address._tag !== "Unix") {
        socket.resetAndDestroy()
      } else {
        socket.destroy()
      }
      this.lose(mode === "abort" ? "Aborted" : "End")
    })
  }

  get release(): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.socket === undefined) return
      this.socket[handleOf] = undefined
      this.socket = undefined
      this.unread = undefined
    })
  }

  // ---------------------------------------------------------------------------
  // what Node tells
  // ---------------------------------------------------------------------------

  connected(socket: Net.Socket): void {
    if (this.request.address._tag !== "Unix") {
      // getsockname now: after a close Node has forgotten. Parsed when somebody asks.
      this.local = { address: socket.localAddress ?? "0.0.0.0", port: socket.localPort ?? 0 }
    }
    const waiter = this.connectWaiter
    this.connectWaiter = undefined
    waiter?.(Effect.void)
  }

  /** Node's `error`: before the connect it fails the attempt, after it the connection. */
  failed(cause: unknown): void {
    const waiter = this.connectWaiter
    if (waiter === undefined) {
      this.loseTo(cause)
      return
    }
    this.connectWaiter = undefined
    const { code, syscall } = cause as NodeJS.ErrnoException
    const operation: AttemptOperation = syscall === "bind" ? "bind" : "connect"
    const { address, localAddress } = this.request
    waiter(Effect.fail(
      new AttemptError({ operation, address, localAddress, reason: fromErrno(code, operation), code, cause })
    ))
  }

  /** Bytes, or with `undefined` the peer's end. */
  arrived(bytes: Uint8Array | undefined): void {
    const waiter = this.readWaiter
    this.readWaiter = undefined
    if (bytes === undefined) {
      this.peerEnded = true
      waiter?.(Effect.succeedNone)
    } else if (waiter === undefined) {
      this.unread = bytes
    } else {
      waiter(Effect.succeedSome(bytes))
    }
  }

  private loseTo(cause: unknown): ConnectionLost {
    const { code } = cause as NodeJS.ErrnoException
    return this.lose(lostFromErrno(code), code, cause)
  }

  /** The first cause wins. */
  lose(reason: LostReason, code?: string, cause?: unknown): ConnectionLost {
    if (this.reason !== undefined) return this.reason
    const lost = new ConnectionLost({ address: this.remoteAddress, reason, code, cause })
    this.reason = lost
    const reader = this.readWaiter
    this.readWaiter = undefined
    reader?.(Effect.fail(lost))
    const waiters = this.lossWaiters
    this.lossWaiters = undefined
    waiters?.forEach((resume) => resume(Effect.succeed(lost)))
    return lost
  }
}

/** As sun_path has it: an abstract name begins with NUL. */
const sunPath = (path: Address.UnixPath): string => path._tag === "Abstract" ? `\0${path.name}` : path.path

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
  this[handleOf]?.arrived(undefined)
}

function onClose(this: OwnedSocket): void {
  this[handleOf]?.lose("End")
}

/** What Node reads into, as large as libuv's own reads (64 KiB). */
const readBuffer = new Uint8Array(65536)

const onread = {
  buffer: readBuffer,
  callback(this: OwnedSocket, size: number): boolean {
    this[handleOf]?.arrived(readBuffer.slice(0, size))
    // One read, one chunk: the next `read` starts the kernel read again.
    return false
  }
}

const nothing = new Uint8Array(0)
