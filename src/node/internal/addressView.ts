/**
 * Our addresses as Node's sockets tell them. Of a UNIX socket, and of what is not connected, they tell nothing.
 */
import type * as Address from "../../Address.js"

export interface AddressView {
  readonly address: string
  readonly family: "IPv4" | "IPv6"
  readonly port: number
}

export const none: Partial<AddressView> = {}

export const addressView = (address: Address.SocketAddress): Partial<AddressView> =>
  address._tag === "Unix"
    ? none
    : { address: address.ip.toString(), family: address._tag === "Inet4" ? "IPv4" : "IPv6", port: address.port }
