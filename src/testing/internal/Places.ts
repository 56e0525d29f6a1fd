/**
 * The places of a simulated network, hosts and the ways between them, and the record of what happens there.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Runtime from "effect/Runtime"
import { PCGRandom } from "effect/Utils"
import * as Address from "../../Address.js"
import type { Behaviour } from "../Behaviour.js"
import type { LinkQuality, Topology } from "../Topology.js"
import type { NetworkEvent } from "../Trace.js"
import { Agenda } from "./Agenda.js"
import { Host, type Listener } from "./Host.js"
import { Names } from "./Names.js"
import { Path } from "./Path.js"
import { parseWhere } from "./where.js"

const defaultClient = { addresses: ["192.0.2.1", "2001:db8::1"] }

export class Places {
  readonly agenda: Agenda
  readonly hosts = new Map<string, Host>()
  readonly names: Names
  readonly trace: Array<NetworkEvent> = []
  protected readonly tracing: boolean
  private readonly paths = new Map<string, Path>()
  private readonly owners = new Map<string, Host>()
  private readonly random: PCGRandom

  constructor(protected readonly topology: Topology, clock: Clock.Clock, runtime: Runtime.Runtime<never>) {
    this.agenda = new Agenda(clock, runtime)
    this.random = new PCGRandom(topology.seed ?? 0)
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
  }

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

  private shape(path: Path, { bytesPerSecond, jitter, latency, loss }: LinkQuality): void {
    if (latency !== undefined) path.latency = Duration.toMillis(latency)
    if (jitter !== undefined) path.jitter = Duration.toMillis(jitter)
    if (bytesPerSecond !== undefined) path.bytesPerMilli = bytesPerSecond / 1000
    if (loss !== undefined) path.loss = loss
  }

  /** A host goes down or comes up, for everyone who sends to it. */
  setUp(host: Host, up: boolean): void {
    host.up = up
    if (!up) host.crashes += 1
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
  listen(host: Host, where: string, behaviour: Behaviour, openedBy: string | undefined): Listener {
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
      flows: new Set()
    }
    host.listeners.set(key, listener)
    return listener
  }

  /** Stop to listen; what a datagram listener has with its senders ends with its one socket. */
  unlisten({ flows, host, key }: Listener): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.host(host).listeners.delete(key)
      return Effect.forEach(flows, (flow) => flow.close("orderly"), { discard: true })
    })
  }

  record(event: NetworkEvent): void {
    if (this.tracing) this.trace.push(event)
  }

  steered(what: string): void {
    if (this.tracing) this.trace.push({ _tag: "Steered", at: this.agenda.now, what })
  }
}
