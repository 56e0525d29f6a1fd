/**
 * The order in which a dial attempts the addresses it knows (RFC 8305 §4).
 *
 * Pure: addresses in, an order out. Addresses are taken in the order given within each family (the resolver's, or
 * RFC 6724's) and the families alternate, so that a family that is broken costs one attempt, not all of its addresses.
 *
 * Not here: when an attempt starts (`HappyEyeballs`).
 *
 * @since 0.1.0
 */
import type { IpAddress } from "./Address.js"
import type { IpFamily } from "./Resolver.js"

/**
 * The family attempted first, when it has an address: IPv6, as RFC 8305 §4 and RFC 6724's default policy prefer it.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultFirstFamily: IpFamily = "inet6"

/**
 * Alternate the families, beginning with `firstFamily`; what one family has left over comes last, and an address that
 * stands in the list twice is attempted once.
 *
 * @since 0.1.0
 * @category planning
 */
export const interleave = (
  addresses: ReadonlyArray<IpAddress>,
  firstFamily: IpFamily = defaultFirstFamily
): ReadonlyArray<IpAddress> => {
  const unique = [...new Map(addresses.map((address) => [String(address), address])).values()]
  const first = unique.filter((address) => address.family === firstFamily)
  const second = unique.filter((address) => address.family !== firstFamily)
  return Array.from(
    { length: Math.max(first.length, second.length) },
    (_, index) => [first[index], second[index]]
  ).flat().filter((address) => address !== undefined)
}
