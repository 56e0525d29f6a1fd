import * as Address from "../../Address.js"
import { keyOf } from "./Host.js"

/** Where a listener is, from its text; see `Topology.Host.listeners`. Throws what is wrong with it. */
export const parseWhere = (text: string): {
  readonly socketType: Address.SocketType
  readonly address: Address.SocketAddress
  readonly key: (address: Address.SocketAddress) => string
} => {
  const datagram = text.startsWith("dgram ")
  const socketType = datagram ? "dgram" : "stream"
  const rest = datagram ? text.slice("dgram ".length) : text
  const address = /^[0-9]+$/.test(rest)
    ? Address.socketAddress(any, Address.Port(Number(rest)))
    : unwrap(Address.parseSocketAddress(rest))
  if (datagram && address._tag === "Unix") throw new Error(`${text}: there are no UNIX datagram sockets`)
  return { socketType, address, key: (address) => keyOf(socketType, address) }
}

/** The IPv4 address inside an IPv6 one, as a dual-stack socket sees it. */
export const mapped = (ip: Address.Ipv4Address): Address.Ipv6Address =>
  new Address.Ipv6Address([0, 0, 0, 0, 0, 0xffff, ip.bits >>> 16, ip.bits & 0xffff], undefined)

const any = Address.unsafeParse("::")

const unwrap = <A>(
  result: { readonly _tag: "Right"; readonly right: A } | { readonly _tag: "Left"; readonly left: Error }
): A => {
  if (result._tag === "Left") throw result.left
  return result.right
}
