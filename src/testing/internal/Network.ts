/**
 * The core of the simulated network: hosts, ways, faults, and the making of connections.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type * as Runtime from "effect/Runtime"
import { PCGRandom } from "effect/Utils"
import * as Address from "../../Address.js"
import { ConnectionLost, type LostReason } from "../../DialError.js"
import { type CloseMode, type OpenRequest } from "../../Transport.js"
import * as Behaviour from "../Behaviour.js"
import type { ConnectFault, Injection, StreamFault } from "../Fault.js"
import { isStreamFault } from "../Fault.js"
import type { LinkQuality, Topology } from "../Topology.js"
import type { NetworkEvent, PacketKind } from "../Trace.js"
import { Agenda, type Entry } from "./Agenda.js"
import type { Meter, Report } from "./Channel.js"
import { Datagrams } from "./Datagrams.js"
import { Host, type Listener } from "./Host.js"
import { Names } from "./Names.js"
import { Path } from "./Path.js"
import { Pipe } from "./Pipe.js"
import { type Net, SimSocket } from "./Socket.js"
import { mapped, parseWhere } from "./where.js"

/** How a listener's behaviour is run over an accepted socket: the one thing here that needs fibers. */
export type Serve = (network: Network, behaviour: Behaviour.Behaviour, socket: SimSocket) => void

interface Active {
  readonly injection: Injection
  timesLeft: number
  active: boolean
}

/** One connection being made. */
interface Handshake {
  readonly socket: SimSocket
  readonly there: Host
  readonly path: Path
  readonly back: Path
  readonly local: Address.SocketAddress
  readonly fault: ConnectFault | undefined
  tries: number
  retry: Entry | undefined
}

/** Linux's tcp_syn_retries: 6 more, after 1, 2, 4 … 32 s, and 64 s of waiting for the last. */
const synRetries = 6

/** How long a host looks for a neighbour nobody is (three ARP or ND probes, one a second). */
const neighbourTimeout = 3000

const defaultClient = { addresses: ["192.0.2.1", "2001:db8::1"] }
const defaultWindow = 65536
const defaultRetransmitFor = 924_000

export class Network implements Net {
  readonly agenda: Agenda
  readonly hosts = new Map<string, Host>()
  readonly names: Names
  readonly trace: Array<NetworkEvent> = []
  private readonly paths = new Map<string, Path>()
  private readonly owners = new Map<string, Host>()
  private readonly injections: Array<Active> = []
  private readonly random: PCGRandom
  private readonly window: number
  private readonly patience: number
  private readonly tracing: boolean
  /** Bytes taken from writers and not read. */
  readonly meter: Meter = { bytes: 0 }
  private connections = 0

  constructor(
    private readonly topology: Topology,
    clock: Clock.Clock,
    runtime: Runtime.Runtime<never>,
    private readonly serve: Serve
  ) {
    this.agenda = new Agenda(clock, runtime)
    this.random = new PCGRandom(topology.seed ?? 0)
    this.window = topology.window ?? defaultWindow
    this.patience = topology.retransmitFor === undefined
      ? defaultRetransmitFor
      : Duration.toMillis(topology.retransmitFor)
    this.tracing = topology.trace ?? true
    const hosts: NonNullable<Topology["hosts"]> = { client: defaultClient, ...topology.hosts }
    for (const [name, { addresses, descriptors, listeners }] of Object.entries(hosts)) {
      const host = new Host(name, (addresses ?? []).map(Address.unsafeParse), descriptors ?? Infinity)
      this.hosts.set(name, host)
      for (const address of host.addresses) {
        const text = String(address)
        if (this.owners.has(text)) {
          throw new Error(`${text} is given to two hosts: ${this.owners.get(text)?.name} and ${name}`)
        }
        this.owners.set(text, host)
      }
      for (const [where, behaviour] of Object.entries(listeners ?? {})) this.listen(host, where, behaviour, undefined)
    }
    for (const { between: [a, b], oneWay, ...quality } of topology.links ?? []) {
      this.shape(this.path(a, b), quality)
      if (oneWay !== true) this.shape(this.path(b, a), quality)
    }
    this.names = new Names(topology.names ?? {}, () => this.agenda.now, (event) => this.record(event))
    for (const injection of topology.faults ?? []) this.inject(injection)
  }

  // ---------------------------------------------------------------------------
  // hosts and ways
  // ---------------------------------------------------------------------------

  host(name: string): Host {
    const host = this.hosts.get(name)
    if (host === undefined) {
      throw new Error(`no host ${JSON.stringify(name)}; there are ${[...this.hosts.keys()].join(", ")}`)
    }
    return host
  }

  path(from: string, to: string): Path {
    const key = `${from} ${to}`
    const known = this.paths.get(key)
    if (known !== undefined) return known
    const there = this.host(to)
    const path = new Path(this.host(from).name, to, this.agenda, this.random)
    if (from !== to) this.shape(path, this.topology.defaultLink ?? {})
    path.set({ down: !there.up })
    this.paths.set(key, path)
    return path
  }

  get allPaths(): Iterable<Path> {
    return this.paths.values()
  }

  private shape(path: Path, { bytesPerSecond, jitter, latency, loss }: LinkQuality): void {
    if (latency !== undefined) path.latency = Duration.toMillis(latency)
    if (jitter !== undefined) path.jitter = Duration.toMillis(jitter)
    if (bytesPerSecond !== undefined) path.bytesPerMilli = bytesPerSecond / 1000
    if (loss !== undefined) path.loss = loss
  }

  /** A host goes down or comes up, for everyone who sends to it. */
  setUp(host: Host, up: boolean): void {
    host.up = up
    for (const path of this.paths.values()) {
      if (path.to === host.name) path.set({ down: !up })
    }
  }

  /** An address of a host under which a listener can be dialed. */
  dialable(host: Host, address: Address.SocketAddress): Address.SocketAddress {
    return address._tag === "Unix" || !Address.isUnspecified(address.ip)
      ? address
      : Address.socketAddress(host.addresses[0] ?? Address.unsafeParse("127.0.0.1"), address.port)
  }

  /** The host that has an address, as seen from another. */
  owner(ip: Address.IpAddress, from: Host): Host | undefined {
    const plain = Address.unmap(ip)
    if (from.has(plain)) return from
    return this.owners.get(
      plain._tag === "Ipv6Address" && plain.zone !== undefined
        ? String(new Address.Ipv6Address(plain.groups, undefined))
        : String(plain)
    )
  }

  /** Listen. Throws when the place is taken or is none. */
  listen(host: Host, where: string, behaviour: Behaviour.Behaviour, openedBy: string | undefined): Listener {
    const parsed = parseWhere(where)
    const address = parsed.address._tag !== "Unix" && parsed.address.port === 0
      ? Address.socketAddress(
        parsed.address.ip,
        host.ephemeral(parsed.socketType, parsed.address.ip) ?? Address.Port(0)
      )
      : parsed.address
    const key = parsed.key(address)
    if (host.listeners.has(key) || (address._tag !== "Unix" && !host.isFree(parsed.socketType, address))) {
      throw new Error(`${host.name} cannot listen on ${where}: it is in use`)
    }
    if (address._tag === "Unix") host.files.add(key)
    const listener: Listener = {
      key,
      host: host.name,
      socketType: parsed.socketType,
      address,
      behaviour,
      openedBy,
      openedAt: this.agenda.now,
      flows: new Map()
    }
    host.listeners.set(key, listener)
    return listener
  }

  record(event: NetworkEvent): void {
    if (this.tracing) this.trace.push(event)
  }

  steered(what: string): void {
    if (this.tracing) this.trace.push({ _tag: "Steered", at: this.agenda.now, what })
  }

  // ---------------------------------------------------------------------------
  // faults
  // ---------------------------------------------------------------------------

  /** Add a fault; gives the way to take it back. */
  inject(injection: Injection): () => void {
    const entry: Active = { injection, timesLeft: injection.times ?? Infinity, active: false }
    this.injections.push(entry)
    const begin = () => {
      entry.active = true
      const { fault } = injection
      if (!isStreamFault(fault)) return
      for (const host of this.hosts.values()) {
        for (const socket of host.sockets) {
          if (socket.dialed && socket.state === "connected" && this.applies(entry, socket)) {
            this.strike(entry, fault, socket)
          }
        }
      }
    }
    const stop = () => {
      entry.active = false
    }
    const at = injection.at === undefined ? 0 : Duration.toMillis(injection.at)
    if (at > 0) {
      this.agenda.after(at, () => {
        this.steered(`${injection.fault._tag} begins on ${injection.target}`)
        begin()
      })
    } else {
      begin()
    }
    if (injection.lasting !== undefined) this.agenda.after(at + Duration.toMillis(injection.lasting), stop)
    return stop
  }

  private applies({ active, injection: { target }, timesLeft }: Active, socket: SimSocket): boolean {
    if (!active || timesLeft <= 0) return false
    if (target === "*") return true
    const { address } = socket.request
    if (target === String(address)) return true
    if (address._tag === "Unix") return target === socket.host
    if (target === String(address.ip)) return true
    const owner = this.owner(address.ip, this.host(socket.host))?.name
    return owner !== undefined && (target === owner || target === `${owner}:${address.port}`)
  }

  /** The first connect fault of these kinds that befalls a socket now. */
  connectFault(socket: SimSocket, befalls: (fault: ConnectFault) => boolean): ConnectFault | undefined {
    for (const entry of this.injections) {
      const { fault } = entry.injection
      if (isStreamFault(fault) || !befalls(fault) || !this.applies(entry, socket)) continue
      entry.timesLeft -= 1
      return fault
    }
    return undefined
  }

  private strike(entry: Active, fault: StreamFault, socket: SimSocket): void {
    entry.timesLeft -= 1
    const { afterBytes, direction } = entry.injection
    const channel = direction === "sent" ? socket.outgoing : socket.incoming
    channel?.inject(fault, afterBytes ?? 0)
  }

  private strikeAll(socket: SimSocket): void {
    for (const entry of this.injections) {
      const { fault } = entry.injection
      if (isStreamFault(fault) && this.applies(entry, socket)) this.strike(entry, fault, socket)
    }
  }

  // ---------------------------------------------------------------------------
  // sockets
  // ---------------------------------------------------------------------------

  /** Open a socket on a host; `undefined` when it has no descriptor left. */
  open(host: Host, request: OpenRequest, openedBy: string): SimSocket | undefined {
    const socket = new SimSocket(this, ++this.connections, host.name, request, true, this.agenda.now, openedBy)
    if (host.sockets.size >= host.descriptors || this.connectFault(socket, isDescriptorFault) !== undefined) {
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
    const fault = this.connectFault(socket, isAnswerFault)
    if (there === undefined) {
      this.agenda.after(neighbourTimeout, () => socket.failed("connect", "EHOSTUNREACH"))
      return
    }
    const path = this.path(here.name, there.name)
    const back = this.path(there.name, here.name)
    this.syn({ socket, there, path, back, local, fault, tries: 0, retry: undefined })
  }

  /** Bind to a local address and port; `undefined` when that failed, which the socket has been told. */
  private bind(
    socket: SimSocket,
    here: Host,
    address: Address.Inet4 | Address.Inet6
  ): Address.SocketAddress | undefined {
    const { localAddress: asked, socketType } = socket.request
    const fault = this.connectFault(socket, isBindFault)
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
    if (wanted !== 0 && here.listenerAt(socketType, local) !== undefined) {
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
    if (!there.up || fault?._tag === "SilentSyn") return
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
        if (!there.up) {
          forth.closeReceiver()
          return
        }
        const listener = there.listenerAt("stream", socket.request.address)
        if (listener === undefined) return reply.reset()
        this.accept(listener, there, socket, local, reply, forth, fault)
      }
    })
    this.packet(shake, "ACK", true, arrives)
    socket.connected(local, forth, reply)
    this.strikeAll(socket)
  }

  private accept(
    listener: Listener,
    there: Host,
    client: SimSocket,
    from: Address.SocketAddress,
    outgoing: Pipe | Datagrams,
    incoming: Pipe | Datagrams,
    fault?: ConnectFault
  ): SimSocket {
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
    there.sockets.add(socket)
    socket.peer = client
    client.peer = socket
    socket.connected(address, outgoing, incoming)
    const behaviour = fault?._tag === "AcceptedThenClosed"
      ? Behaviour.close
      : fault?._tag === "AcceptedThenReset"
      ? Behaviour.reset
      : listener.behaviour
    this.serve(this, behaviour, socket)
    return socket
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
    const fault = this.connectFault(socket, () => true)
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
      const path = this.path(here.name, here.name)
      const forth = this.pipe(socket.id, path, path)
      const reply = this.pipe(socket.id, path, path)
      forth.twin = reply
      reply.twin = forth
      socket.connected(Address.unnamed, forth, reply)
      this.strikeAll(socket)
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
    const unreachable = (path: Path, sender: () => SimSocket | undefined) => () => {
      path.send({ bytes: 0, lane: undefined, deliver: () => sender()?.wasReset("ECONNREFUSED") })
    }
    const refuseForth = unreachable(backPath, () => socket)
    const claim = () => {
      if (there === undefined || !there.up) return
      const listener = there.listenerAt("dgram", address)
      if (listener === undefined) return refuseForth()
      const server = this.accept(listener, there, socket, local, reply, forth)
      listener.flows.set(String(local), server)
    }
    const forth = new Datagrams(forthPath, this.window, this.meter, this.reporter(socket.id, forthPath), claim)
    const reply = new Datagrams(
      backPath,
      this.window,
      this.meter,
      this.reporter(socket.id, backPath),
      unreachable(forthPath, () => socket.peer)
    )
    socket.connected(local, forth, reply)
  }
}

const isDescriptorFault = ({ _tag }: ConnectFault): boolean => _tag === "NoDescriptors"

const isBindFault = ({ _tag }: ConnectFault): boolean => _tag === "BindInUse" || _tag === "LocalAddressNotAvailable"

const isAnswerFault = (fault: ConnectFault): boolean => !isDescriptorFault(fault) && !isBindFault(fault)

const silence: Report = () => {}
