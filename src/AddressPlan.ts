/**
 * The order in which a dial attempts the addresses it knows (RFC 8305 §4).
 *
 * Pure: addresses in, an order out. Addresses are taken in the order given within each family (RFC 6724's, or the
 * resolver's) and the families alternate, so that a family that is broken costs one attempt, not all of its addresses.
 *
 * Not here: the sort (`AddressSelection`), and when an attempt starts (`HappyEyeballs`).
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import type { IpAddress } from "./Address.js"
import type { IpFamily } from "./Resolver.js"

/**
 * How to interleave.
 *
 * @since 0.2.0
 * @category models
 */
export interface InterleaveOptions {
  /**
   * The family to begin with.
   *
   * @default that of the first address
   */
  readonly firstFamily?: IpFamily | undefined
  /**
   * RFC 8305 §8's First Address Family Count: how many addresses of the first family come before one of the other, at
   * least 1. From then on they alternate.
   *
   * @default {@link defaultFirstAddressFamilyCount}
   */
  readonly firstAddressFamilyCount?: number | undefined
}

/**
 * RFC 8305 §8: "First Address Family Count: ... Recommended to be 1; 2 may be used to more aggressively favor a
 * particular address family."
 *
 * @since 0.2.0
 * @category defaults
 */
export const defaultFirstAddressFamilyCount = 1

/**
 * Alternate the families; what one family has left over comes last, and an address that stands in the list twice is
 * attempted once.
 *
 * @example
 * ```ts
 * import { Address, AddressPlan } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const sorted = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"].map(Address.unsafeParse)
 *
 * assert.deepStrictEqual(AddressPlan.interleave(sorted).map(String), [
 *   "2001:db8::1",
 *   "192.0.2.1",
 *   "2001:db8::2",
 *   "2001:db8::3"
 * ])
 * ```
 *
 * @since 0.1.0
 * @category planning
 */
export const interleave = (
  addresses: ReadonlyArray<IpAddress>,
  options?: InterleaveOptions
): ReadonlyArray<IpAddress> =>
  alternate(addresses.map((address) => ({ address })), options).map(({ address }) => address)

/**
 * {@link interleave} for addresses with something beside them.
 *
 * @internal
 */
export const alternate = <A extends { readonly address: IpAddress }>(
  candidates: ReadonlyArray<A>,
  options?: InterleaveOptions
): ReadonlyArray<A> => {
  const all = unique(candidates)
  const firstFamily = options?.firstFamily ?? all[0]?.address.family
  const ahead = Math.max(1, options?.firstAddressFamilyCount ?? defaultFirstAddressFamilyCount) - 1
  const ofFirst = all.filter(({ address }) => address.family === firstFamily)
  const first = ofFirst.slice(ahead)
  const second = all.filter(({ address }) => address.family !== firstFamily)
  const alternating = Array.from(
    { length: Math.max(first.length, second.length) },
    (_, index) => [first[index], second[index]]
  )
  return [...ofFirst.slice(0, ahead), ...alternating.flat().filter((candidate) => candidate !== undefined)]
}

/** Up to so many are compared with each other, which is cheaper than a text for each. */
const few = 8

const unique = <A extends { readonly address: IpAddress }>(candidates: ReadonlyArray<A>): ReadonlyArray<A> =>
  candidates.length > few
    ? [...new Map(candidates.map((candidate) => [String(candidate.address), candidate])).values()]
    : candidates.filter(({ address }, index) =>
      !candidates.some((other, before) => before < index && other.address[Equal.symbol](address))
    )
