/**
 * One simulated machine: its addresses, ports, listeners and open sockets.
 */
import type * as Fiber from "effect/Fiber"
import * as Address from "../../Address.js"
import type { Behaviour } from "../Behaviour.js"
import type { SimSocket } from "./Socket.js"

export interface Listener {
  readonly key: string
  readonly host: string
  readonly socketType: Address.SocketType
  readonly address: Address.SocketAddress
  readonly behaviour: Behaviour
  /** Where it was opened, when that was during the run. */
  readonly openedBy: string | undefined
  readonly openedAt: number
  /** Of a datagram listener, what it has with each sender: no sockets of their own, it is the one socket for all. */
  readonly flows: Set<SimSocket>
}

/** Linux's ip_local_port_range. */
const firstEphemeral = 32768
const lastEphemeral = 60999

export class Host {
  up = true
  /** How often it went down: what began in an earlier life it knows nothing of. */
  crashes = 0
  readonly listeners = new Map<string, Listener>()
  readonly sockets = new Set<SimSocket>()
  readonly behaviours = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  /** UNIX paths that were bound once: the file stays when the listener is gone. */
  readonly files = new Set<string>()
  /** How many sockets hold each local port: several may, towards different destinations. */
  private readonly ports = new Map<string, number>()
  private readonly pairs = new Set<string>()
  private nextEphemeral = firstEphemeral

  constructor(
    readonly name: string,
    readonly addresses: ReadonlyArray<Address.IpAddress>,
    readonly descriptors: number
  ) {}

  /** Whether an address is this machine's: its own, loopback, or one of these mapped. */
  has(ip: Address.IpAddress): boolean {
    const plain = Address.unmap(ip)
    return Address.isLoopback(plain) || Address.isUnspecified(plain) || this.addresses.some((own) => sameIp(own, plain))
  }

  /** The address it would send from, as the kernel chooses: loopback from loopback, else the nearest of the family. */
  sourceFor(destination: Address.IpAddress): Address.IpAddress | undefined {
    const plain = Address.unmap(destination)
    if (this.has(plain)) return plain
    const scope = Address.isLinkLocal(plain)
    const candidates = this.addresses.filter((own) => own.family === plain.family)
    const scoped = candidates.filter((own) => Address.isLinkLocal(own) === scope)
    let best: Address.IpAddress | undefined
    let length = -1
    for (const own of scoped) {
      const common = commonPrefix(own, plain)
      if (common > length) {
        best = own
        length = common
      }
    }
    return best
  }

  /** The listener for what arrives at an address: one bound to it before one bound to any. */
  listenerAt(socketType: Address.SocketType, address: Address.SocketAddress): Listener | undefined {
    if (address._tag === "Unix") return this.listeners.get(keyOf(socketType, address))
    const ip = Address.unmap(address.ip)
    return this.listeners.get(`${socketType} ${ipText(ip)} ${address.port}`) ??
      this.listeners.get(`${socketType} * ${address.port}`)
  }

  /** Whether nobody has it, no listener and no other socket. */
  isFree(socketType: Address.SocketType, address: Address.SocketAddress): boolean {
    return !this.ports.has(keyOf(socketType, address)) && this.listenerAt(socketType, address) === undefined
  }

  /** An ephemeral port, or `undefined` when all are taken. */
  ephemeral(socketType: Address.SocketType, ip: Address.IpAddress): Address.Port | undefined {
    for (let tries = firstEphemeral; tries <= lastEphemeral; tries++) {
      const port = Address.Port(this.nextEphemeral)
      this.nextEphemeral = port === lastEphemeral ? firstEphemeral : port + 1
      if (this.isFree(socketType, Address.socketAddress(ip, port))) return port
    }
    return undefined
  }

  /**
   * Take a local port towards a destination; gives the way to give it back, `undefined` when a socket has the very same.
   * As with SO_REUSEADDR, which Node sets: one port serves several destinations.
   */
  bind(
    socketType: Address.SocketType,
    address: Address.SocketAddress,
    destination: Address.SocketAddress
  ): (() => void) | undefined {
    const key = keyOf(socketType, address)
    const pair = `${key} ${destination}`
    if (this.pairs.has(pair)) return undefined
    this.pairs.add(pair)
    this.ports.set(key, (this.ports.get(key) ?? 0) + 1)
    return () => {
      this.pairs.delete(pair)
      const count = this.ports.get(key) ?? 0
      if (count <= 1) this.ports.delete(key)
      else this.ports.set(key, count - 1)
    }
  }
}

/** One name for an address under which listeners and ports are kept. */
export const keyOf = (socketType: Address.SocketType, address: Address.SocketAddress): string => {
  if (address._tag === "Unix") return `${socketType} ${address.path}`
  const ip = Address.unmap(address.ip)
  return `${socketType} ${Address.isUnspecified(ip) ? "*" : ipText(ip)} ${address.port}`
}

/** Without the zone: an address is on one link of one machine here. */
const ipText = (ip: Address.IpAddress): string =>
  ip._tag === "Ipv4Address" || ip.zone === undefined
    ? String(ip)
    : String(new Address.Ipv6Address(ip.groups, undefined))

const sameIp = (self: Address.IpAddress, that: Address.IpAddress): boolean => ipText(self) === ipText(that)

const commonPrefix = (self: Address.IpAddress, that: Address.IpAddress): number => {
  const a = Address.octets(self)
  const b = Address.octets(that)
  for (let index = 0; index < a.length; index++) {
    const difference = a[index]! ^ b[index]!
    if (difference !== 0) return index * 8 + Math.clz32(difference) - 24
  }
  return a.length * 8
}
