/**
 * The core of the simulated network: sockets, and how they become connections.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type * as Runtime from "effect/Runtime"
import * as Address from "../../Address.js"
import { ConnectionLost, type LostReason } from "../../DialError.js"
import type { CloseMode, OpenRequest } from "../../Transport.js"
import * as Behaviour from "../Behaviour.js"
import type { ConnectFault } from "../Fault.js"
import type { Topology } from "../Topology.js"
import type { PacketKind } from "../Trace.js"
import type { Entry } from "./Agenda.js"
import type { Meter, Report } from "./Channel.js"
import { Datagrams } from "./Datagrams.js"
import type { Host, Listener } from "./Host.js"
import { Injections } from "./Injections.js"
import type { Path } from "./Path.js"
import { Pipe } from "./Pipe.js"
import { Places } from "./Places.js"
import { type Net, SimSocket } from "./Socket.js"
import { mapped } from "./where.js"

/** How a listener's behaviour is run over an accepted socket: the one thing here that needs fibers. */
export type Serve = (network: Network, behaviour: Behaviour.Behaviour, socket: SimSocket) => void

/** One connection being made. */
interface Handshake {
  readonly socket: SimSocket
  readonly there: Host
  readonly path: Path
  readonly back: Path
  readonly local: Address.SocketAddress
  readonly fault: ConnectFault | undefined
  /** How often the host had crashed when it answered. */
  crashes: number
  tries: number
  retry: Entry | undefined
}

/** Linux's tcp_syn_retries: 6 more, after 1, 2, 4 … 32 s, and 64 s of waiting for the last. */
const synRetries = 6

/** How long a host looks for a neighbour nobody is (three ARP or ND probes, one a second). */
const neighbourTimeout = 3000

const defaultWindow = 65536
const defaultRetransmitFor = 924_000

export class Network extends Places implements Net {
  readonly injections: Injections
  /** Bytes taken from writers and not read. */
  readonly meter: Meter = { bytes: 0 }
  private readonly window: number
  private readonly patience: number
  private connections = 0

  constructor(
    topology: Topology,
    clock: Clock.Clock,
    runtime: Runtime.Runtime<never>,
    private readonly serve: Serve
  ) {
    super(topology, clock, runtime)
    this.window = topology.window ?? defaultWindow
    this.patience = topology.retransmitFor === undefined
      ? defaultRetransmitFor
      : Duration.toMillis(topology.retransmitFor)
    this.injections = new Injections(this)
    for (const injection of topology.faults ?? []) this.injections.inject(injection)
  }

  // ---------------------------------------------------------------------------
  // sockets
  // ---------------------------------------------------------------------------

  /** Open a socket on a host; `undefined` when it has no descriptor left. */
  open(host: Host, request: OpenRequest, openedBy: string): SimSocket | undefined {
    const socket = new SimSocket(this, ++this.connections, host.name, request, true, this.agenda.now, openedBy)
    if (
      host.sockets.size >= host.descriptors || this.injections.connectFault(socket, isDescriptorFault) !== undefined
    ) {
      return undefined
    }
    host.sockets.add(socket)
    this.record({
      _tag: "Opened",
      at: this.agenda.now,
      host: host.name,
      connection: socket.id,
      socketType: request.socketType,
      address: String(request.address)
    })
    return socket
  }

  closed(socket: SimSocket, mode: CloseMode | "crash"): void {
    this.host(socket.host).sockets.delete(socket)
    const { onClose } = socket
    socket.onClose = undefined
    onClose?.()
    if (socket.dialed) {
      this.record({ _tag: "Closed", at: this.agenda.now, host: socket.host, connection: socket.id, mode })
    }
  }

  lost(socket: SimSocket, reason: LostReason, code: string | undefined): void {
    if (this.tracing && reason !== "End" && reason !== "Aborted") {
      const text = code === undefined ? reason : `${reason} (${code})`
      this.trace.push({ _tag: "Lost", at: this.agenda.now, host: socket.host, connection: socket.id, reason: text })
    }
  }

  behaved(socket: SimSocket, cause: Cause.Cause<unknown>): void {
    if (!this.tracing || Cause.isInterruptedOnly(cause)) return
    const failure = Cause.failureOption(cause)
    // That a connection was lost is in the trace already.
    if (Option.isSome(failure) && failure.value instanceof ConnectionLost) return
    const [first] = Cause.prettyErrors(cause)
    this.trace.push({
      _tag: "Behaved",
      at: this.agenda.now,
      host: socket.host,
      connection: socket.id,
      failure: first?.message ?? "failed"
    })
  }

  connect(socket: SimSocket): void {
    const { address } = socket.request
    const here = this.host(socket.host)
    if (!here.up) return socket.failed("connect", "ENETDOWN")
    if (this.injections.connectFault(socket, isForbidden) !== undefined) return socket.failed("connect", "EACCES")
    if (address._tag === "Unix") return this.connectUnix(socket, here, address)
    if (
      address._tag === "Inet6" && Address.isLinkLocal(address.ip) && address.scopeId === 0 &&
      address.ip.zone === undefined
    ) {
      return socket.failed("connect", "EINVAL")
    }
    const local = this.bind(socket, here, address)
    if (local === undefined) return
    const there = this.owner(address.ip, here)
    if (socket.request.socketType === "dgram") return this.connectDatagrams(socket, here, there, local)
    const fault = this.injections.connectFault(socket, isAnswerFault)
    if (there === undefined) {
      this.agenda.after(neighbourTimeout, () => socket.failed("connect", "EHOSTUNREACH"))
      return
    }
    const path = this.path(here.name, there.name)
    const back = this.path(there.name, here.name)
    this.syn({ socket, there, path, back, local, fault, crashes: 0, tries: 0, retry: undefined })
  }

  /** Bind to a local address and port; `undefined` when that failed, which the socket has been told. */
  private bind(
    socket: SimSocket,
    here: Host,
    address: Address.Inet4 | Address.Inet6
  ): Address.SocketAddress | undefined {
    const { localAddress: asked, socketType } = socket.request
    const fault = this.injections.connectFault(socket, isBindFault)
    if (fault !== undefined) {
      socket.failed("bind", fault._tag === "BindInUse" ? "EADDRINUSE" : "EADDRNOTAVAIL")
      return undefined
    }
    if (asked !== undefined && asked._tag !== "Unix" && !here.has(asked.ip)) {
      socket.failed("bind", "EADDRNOTAVAIL")
      return undefined
    }
    const source = asked === undefined || asked._tag === "Unix" || Address.isUnspecified(asked.ip)
      ? here.sourceFor(address.ip)
      : asked.ip
    if (source === undefined) {
      socket.failed("connect", "ENETUNREACH")
      return undefined
    }
    const wanted = asked === undefined || asked._tag === "Unix" ? 0 : asked.port
    const ip = Address.isIpv4Mapped(address.ip) && source._tag === "Ipv4Address" ? mapped(source) : source
    const port = wanted === 0 ? here.ephemeral(socketType, ip) : Address.Port(wanted)
    if (port === undefined) {
      socket.failed("connect", "EADDRNOTAVAIL")
      return undefined
    }
    const local = address._tag === "Inet6" && ip._tag === "Ipv6Address"
      ? Address.normalise(
        Address.inet6(new Address.Ipv6Address(ip.groups, address.ip.zone), port, { scopeId: address.scopeId })
      )
      : Address.socketAddress(ip, port)
    // Node asks for SO_REUSEADDR on a stream's socket: only a listener is in its way there.
    const taken = socketType === "dgram"
      ? !here.isFree(socketType, local)
      : here.listenerAt(socketType, local) !== undefined
    if (wanted !== 0 && taken) {
      socket.failed("bind", "EADDRINUSE")
      return undefined
    }
    socket.onClose = here.bind(socketType, local, address)
    if (socket.onClose !== undefined) return local
    socket.failed("connect", "EADDRNOTAVAIL")
    return undefined
  }

  // ---------------------------------------------------------------------------
  // the handshake
  // ---------------------------------------------------------------------------

  private packet(shake: Handshake, kind: PacketKind, forth: boolean, arrives: number | undefined): void {
    const { path, socket } = shake
    this.record({
      _tag: "Packet",
      at: this.agenda.now,
      connection: socket.id,
      kind,
      from: forth ? path.from : path.to,
      to: forth ? path.to : path.from,
      bytes: 0,
      arrives: arrives ?? null
    })
  }

  private syn(shake: Handshake): void {
    const { path, socket } = shake
    if (socket.state !== "connecting") return
    const arrives = path.send({ bytes: 0, lane: undefined, deliver: () => this.synArrived(shake) })
    this.packet(shake, "SYN", true, arrives)
    const wait = 1000 * 2 ** shake.tries
    shake.retry = this.agenda.after(wait, () => {
      if (shake.tries === synRetries) return socket.failed("connect", "ETIMEDOUT")
      shake.tries += 1
      this.syn(shake)
    })
  }

  /** Answer a SYN with something that settles the client's connect. */
  private answer(shake: Handshake, kind: PacketKind, settle: () => void): void {
    const arrives = shake.back.send({
      bytes: 0,
      lane: undefined,
      deliver: () => {
        if (shake.socket.state !== "connecting") return
        this.agenda.cancel(shake.retry)
        settle()
      }
    })
    this.packet(shake, kind, false, arrives)
  }

  private synArrived(shake: Handshake): void {
    const { fault, socket, there } = shake
    if (!there.up || fault?._tag === "SilentSyn" || fault?._tag === "BacklogFull") return
    shake.crashes = there.crashes
    if (fault?._tag === "HostUnreachable" || fault?._tag === "NetworkUnreachable") {
      const code = fault._tag === "HostUnreachable" ? "EHOSTUNREACH" : "ENETUNREACH"
      return this.answer(shake, "UNREACHABLE", () => socket.failed("connect", code))
    }
    const answer = () => {
      if (fault?._tag === "Refused" || there.listenerAt("stream", socket.request.address) === undefined) {
        return this.answer(shake, "RST", () => socket.failed("connect", "ECONNREFUSED"))
      }
      this.answer(shake, "SYN-ACK", () => this.established(shake))
    }
    if (fault?._tag === "SlowSynAck") this.agenda.after(Duration.toMillis(fault.delay), answer)
    else answer()
  }

  private established(shake: Handshake): void {
    const { back, fault, local, path, socket, there } = shake
    const forth = this.pipe(socket.id, path, back)
    const reply = this.pipe(socket.id, back, path)
    forth.twin = reply
    reply.twin = forth
    const arrives = path.send({
      bytes: 0,
      lane: forth,
      deliver: () => {
        if (forth.broken) return
        const listener = there.listenerAt("stream", socket.request.address)
        if (listener === undefined || !there.up || there.crashes > shake.crashes) {
          // Whatever follows is answered with a reset, by a host that is up.
          forth.closeReceiver()
          if (there.up) reply.reset()
          return
        }
        this.accept(listener, there, socket, local, reply, forth, fault)
      }
    })
    this.packet(shake, "ACK", true, arrives)
    socket.connected(local, forth, reply)
    this.injections.strikeAll(socket)
  }

  private accept(
    listener: Listener,
    there: Host,
    client: SimSocket,
    from: Address.SocketAddress,
    outgoing: Pipe | Datagrams,
    incoming: Pipe | Datagrams,
    fault?: ConnectFault
  ): void {
    const { address, options, socketType } = client.request
    const socket = new SimSocket(
      this,
      client.id,
      there.name,
      { socketType, address: from, options: { ...options, keepAlive: undefined } },
      false,
      this.agenda.now,
      `${there.name} accepting on ${listener.address}`
    )
    if (socketType === "stream") {
      there.sockets.add(socket)
    } else {
      listener.flows.add(socket)
      socket.onClose = () => listener.flows.delete(socket)
    }
    socket.peer = client
    client.peer = socket
    socket.connected(address, outgoing, incoming)
    const behaviour = fault?._tag === "AcceptedThenClosed"
      ? Behaviour.close
      : fault?._tag === "AcceptedThenReset"
      ? Behaviour.reset
      : listener.behaviour
    this.serve(this, behaviour, socket)
  }

  private pipe(connection: number, path: Path, back: Path): Pipe {
    return new Pipe(this.agenda, path, back, this.window, this.patience, this.meter, this.reporter(connection, path))
  }

  private reporter(connection: number, { from, to }: Path): Report {
    return this.tracing
      ? (kind, bytes, arrives) =>
        this.record({
          _tag: "Packet",
          at: this.agenda.now,
          connection,
          kind,
          from,
          to,
          bytes,
          arrives: arrives ?? null
        })
      : silence
  }

  // ---------------------------------------------------------------------------
  // UNIX and datagram sockets
  // ---------------------------------------------------------------------------

  private connectUnix(socket: SimSocket, here: Host, address: Address.Unix): void {
    const fault = this.injections.connectFault(socket, () => true)
    if (fault?._tag === "SilentSyn") return
    this.agenda.soon(() => {
      if (socket.state !== "connecting") return
      const listener = here.listenerAt(socket.request.socketType, address)
      if (listener === undefined) {
        const wasThere = address.path._tag === "Abstract" ||
          here.files.has(`${socket.request.socketType} ${address.path}`)
        return socket.failed("connect", wasThere ? "ECONNREFUSED" : "ENOENT")
      }
      if (fault?._tag === "Refused") return socket.failed("connect", "ECONNREFUSED")
      if (fault?._tag === "BacklogFull") return socket.failed("connect", "EAGAIN")
      const path = this.path(here.name, here.name)
      const forth = this.pipe(socket.id, path, path)
      const reply = this.pipe(socket.id, path, path)
      forth.twin = reply
      reply.twin = forth
      socket.connected(Address.unnamed, forth, reply)
      this.injections.strikeAll(socket)
      this.accept(listener, here, socket, Address.unnamed, reply, forth, fault)
    })
  }

  private connectDatagrams(
    socket: SimSocket,
    here: Host,
    there: Host | undefined,
    local: Address.SocketAddress
  ): void {
    const { address } = socket.request
    const forthPath = this.path(here.name, (there ?? here).name)
    const backPath = this.path((there ?? here).name, here.name)
    const fault = this.injections.connectFault(socket, isDatagramFault)
    const claim = () => {
      if (there === undefined || !there.up || fault !== undefined && fault._tag !== "Refused") return
      const listener = there.listenerAt("dgram", address)
      if (listener === undefined || fault !== undefined) {
        backPath.send({ bytes: 0, lane: undefined, deliver: () => socket.wasReset("ECONNREFUSED") })
        return
      }
      this.accept(listener, there, socket, local, reply, forth)
    }
    const forth = new Datagrams(forthPath, this.window, this.meter, this.reporter(socket.id, forthPath), claim)
    const reply = new Datagrams(
      backPath,
      this.window,
      this.meter,
      this.reporter(socket.id, backPath),
      // A listener's socket is not connected, and so not told that a sender is gone.
      () => {}
    )
    socket.connected(local, forth, reply)
    this.injections.strikeAll(socket)
  }
}

const isDescriptorFault = ({ _tag }: ConnectFault): boolean => _tag === "NoDescriptors"

const isBindFault = ({ _tag }: ConnectFault): boolean => _tag === "BindInUse" || _tag === "LocalAddressNotAvailable"

const isForbidden = ({ _tag }: ConnectFault): boolean => _tag === "PermissionDenied"

const isAnswerFault = (fault: ConnectFault): boolean =>
  !isDescriptorFault(fault) && !isBindFault(fault) && !isForbidden(fault)

/** What befalls datagrams: the others are of a handshake, which they have not. */
const isDatagramFault = ({ _tag }: ConnectFault): boolean =>
  _tag === "Refused" || _tag === "SilentSyn" || _tag === "HostUnreachable" || _tag === "NetworkUnreachable"

const silence: Report = () => {}
