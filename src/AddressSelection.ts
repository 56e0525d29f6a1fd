/**
 * In what order to try the addresses of a name: RFC 6724 §6, destination address selection.
 *
 * What must be true:
 *
 * - the rules are the RFC's, in its order, with those that RFC 8305 §4 adds between rules 8 and 9; the policy table is a
 *   value that a user may replace
 * - a rule whose facts the platform does not tell (3, 4 and 7, mostly) decides nothing
 * - what no rule decides stays in the order it came in (rule 10)
 *
 * Rule 9 (longest matching prefix) compares IPv6 destinations only. RFC 6724 has it for both families, but IPv4 prefixes
 * say nothing of distance and the rule undoes the round-robin of DNS: resolvers that had it took it out.
 *
 * Not here: the source addresses themselves (`SourceAddress`), and the alternation of families (`AddressPlan`).
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Address from "./Address.js"
import type { SourceAddress } from "./SourceAddress.js"

// -----------------------------------------------------------------------------
// the policy table
// -----------------------------------------------------------------------------

/**
 * A row of the policy table (RFC 6724 §2.1): what it says of the addresses under a prefix. IPv4 addresses are looked up
 * as IPv4-mapped ones (::ffff:0:0/96).
 *
 * @since 0.2.0
 * @category policy
 */
export interface PolicyEntry {
  readonly prefix: Address.Ipv6Address
  /** In bits, 0 to 128. */
  readonly length: number
  readonly precedence: number
  readonly label: number
}

/**
 * The policy table: the longest prefix that fits an address is its row. An address under none has precedence and label 0.
 *
 * @since 0.2.0
 * @category policy
 */
export type Policy = ReadonlyArray<PolicyEntry>

const row = (prefix: string, length: number, precedence: number, label: number): PolicyEntry => ({
  prefix: Either.getOrThrow(Address.parseIpv6(prefix)),
  length,
  precedence,
  label
})

/**
 * RFC 6724 §2.1's default table.
 *
 * @since 0.2.0
 * @category policy
 */
export const defaultPolicy: Policy = [
  row("::1", 128, 50, 0),
  row("::", 0, 40, 1),
  row("::ffff:0:0", 96, 35, 4),
  row("2002::", 16, 30, 2),
  row("2001::", 32, 5, 5),
  row("fc00::", 7, 3, 13),
  row("::", 96, 1, 3),
  row("fec0::", 10, 1, 11),
  row("3ffe::", 16, 1, 12)
]

/**
 * The table of draft-ietf-6man-rfc6724-update: a unique local prefix (fd00::/8, a /48 as a rule) that is known to be
 * this site's own is preferred to everything global, where RFC 6724 puts all of them behind IPv4.
 *
 * @since 0.2.0
 * @category policy
 */
export const preferKnownLocal = (
  prefixes: ReadonlyArray<{ readonly prefix: Address.Ipv6Address; readonly length: number }>,
  policy: Policy = defaultPolicy
): Policy => [...policy, ...prefixes.map((known) => ({ ...known, precedence: 45, label: 14 }))]

/** An address as IPv6 has it, in 16 bits each: an IPv4 one as its mapped address (RFC 6724 §2.1). */
type Groups = Address.Ipv6Groups

const groupsOf = (ip: Address.IpAddress): Groups =>
  ip._tag === "Ipv6Address" ? ip.groups : [0, 0, 0, 0, 0, 0xffff, ip.bits >>> 16, ip.bits & 0xffff]

/** Each table, the longest prefix first. */
const longestFirst = new WeakMap<Policy, Policy>()

const rowsOf = (policy: Policy): Policy => {
  const known = longestFirst.get(policy)
  if (known !== undefined) return known
  const rows = policy.toSorted((self, that) => that.length - self.length)
  longestFirst.set(policy, rows)
  return rows
}

const classify = (groups: Groups, policy: Policy): { readonly precedence: number; readonly label: number } =>
  rowsOf(policy).find(({ length, prefix }) => commonBits(groups, prefix.groups) >= length) ??
    { precedence: 0, label: 0 }

// -----------------------------------------------------------------------------
// scopes (RFC 6724 §3.1, §3.2)
// -----------------------------------------------------------------------------

const globalScope = 0xe

const scopeOf = (ip: Address.IpAddress): number => {
  if (ip._tag === "Ipv4Address") {
    // §3.2: 127/8 and 169.254/16 are link-local; every other IPv4 address, private ones too, is global.
    return Address.isLoopback(ip) || Address.isLinkLocal(ip) ? 0x2 : globalScope
  }
  // By its own prefix, and not as the guards of Address do: §3.3 has every address with an IPv4 one in it global.
  const [first] = ip.groups
  if (first >> 8 === 0xff) return first & 0xf
  // §3.4: the loopback address is link-local.
  if ((first & 0xffc0) === 0xfe80 || ip.groups.every((group, index) => group === (index === 7 ? 1 : 0))) return 0x2
  return (first & 0xffc0) === 0xfec0 ? 0x5 : globalScope
}

// -----------------------------------------------------------------------------
// candidates and rules
// -----------------------------------------------------------------------------

/**
 * A destination and what is known of it.
 *
 * @since 0.2.0
 * @category models
 */
export interface Candidate {
  readonly address: Address.IpAddress
  /** Where it would be reached from: `None` when there is no way to it, `undefined` when nobody can tell. */
  readonly source?: Option.Option<Address.IpAddress> | undefined
  /** Whether that source is deprecated (rule 3). */
  readonly deprecated?: boolean | undefined
  /** Whether that source is a home address, or a care-of address (rule 4). */
  readonly mobility?: "home" | "care-of" | undefined
  /** Whether it is reached through a tunnel (rule 7). */
  readonly encapsulated?: boolean | undefined
  /** The round-trip time known from earlier connections (RFC 8305 §4). */
  readonly roundTrip?: Duration.Duration | undefined
  /** Whether it was connected to before (RFC 8305 §4). */
  readonly used?: boolean | undefined
}

/**
 * The rule that put one address before another.
 *
 * @since 0.2.0
 * @category models
 */
export type Rule =
  | "AvoidUnusableDestinations"
  | "PreferMatchingScope"
  | "AvoidDeprecatedAddresses"
  | "PreferHomeAddresses"
  | "PreferMatchingLabel"
  | "PreferHigherPrecedence"
  | "PreferNativeTransport"
  | "PreferSmallerScope"
  | "PreferLowerRoundTrip"
  | "PreferUsed"
  | "UseLongestMatchingPrefix"
  | "LeaveTheOrder"

/**
 * A rule as the RFCs number and name it.
 *
 * @since 0.2.0
 * @category rendering
 */
export const ruleText: { readonly [R in Rule]: string } = {
  AvoidUnusableDestinations: "rule 1: avoid unusable destinations",
  PreferMatchingScope: "rule 2: prefer matching scope",
  AvoidDeprecatedAddresses: "rule 3: avoid deprecated addresses",
  PreferHomeAddresses: "rule 4: prefer home addresses",
  PreferMatchingLabel: "rule 5: prefer matching label",
  PreferHigherPrecedence: "rule 6: prefer higher precedence",
  PreferNativeTransport: "rule 7: prefer native transport",
  PreferSmallerScope: "rule 8: prefer smaller scope",
  PreferLowerRoundTrip: "RFC 8305 §4: prefer lower round-trip time",
  PreferUsed: "RFC 8305 §4: prefer addresses used before",
  UseLongestMatchingPrefix: "rule 9: use longest matching prefix",
  LeaveTheOrder: "rule 10: leave the order unchanged"
}

/** A candidate's facts, made once for a sort: for each rule a number, and the lower comes first. */
interface Facts {
  readonly candidate: Candidate
  readonly ranks: ReadonlyArray<readonly [Rule, number]>
  /** How many bits of an IPv6 destination its source shares. */
  readonly commonPrefix: number | undefined
}

/** The subnet prefix of a source address, as nearly every IPv6 link has it (RFC 4291 §2.5.1). */
const sourcePrefixBits = 64

const factsOf = (candidate: Candidate, policy: Policy): Facts => {
  const { address, deprecated, encapsulated, mobility, roundTrip, used } = candidate
  const source = candidate.source === undefined ? undefined : Option.getOrUndefined(candidate.source)
  const groups = groupsOf(address)
  const { label, precedence } = classify(groups, policy)
  const scope = scopeOf(address)
  const flag = (good: boolean): number => good ? 0 : 1
  return {
    candidate,
    ranks: [
      ["AvoidUnusableDestinations", flag(candidate.source === undefined || source !== undefined)],
      ["PreferMatchingScope", flag(source !== undefined && scopeOf(source) === scope)],
      ["AvoidDeprecatedAddresses", flag(deprecated !== true)],
      ["PreferHomeAddresses", mobility === "home" ? 0 : mobility === "care-of" ? 2 : 1],
      ["PreferMatchingLabel", flag(source !== undefined && classify(groupsOf(source), policy).label === label)],
      ["PreferHigherPrecedence", -precedence],
      ["PreferNativeTransport", flag(encapsulated !== true)],
      ["PreferSmallerScope", scope],
      ["PreferLowerRoundTrip", roundTrip === undefined ? Infinity : Duration.toMillis(roundTrip)],
      ["PreferUsed", flag(used === true)]
    ],
    commonPrefix: address.family === "inet6"
      ? source === undefined ? 0 : Math.min(sourcePrefixBits, commonBits(groups, groupsOf(source)))
      : undefined
  }
}

const commonBits = (self: Groups, that: Groups): number => {
  const index = self.findIndex((group, index) => group !== that[index])
  // Math.clz32 counts in 32 bits.
  return index < 0 ? 128 : 16 * index + Math.clz32((self[index] ?? 0) ^ (that[index] ?? 0)) - 16
}

const compareFacts = (self: Facts, that: Facts): { readonly order: -1 | 0 | 1; readonly rule: Rule } => {
  for (const [index, [rule, rank]] of self.ranks.entries()) {
    const other = that.ranks[index]?.[1] ?? rank
    if (rank !== other) return { order: rank < other ? -1 : 1, rule }
  }
  if (self.commonPrefix !== undefined && that.commonPrefix !== undefined && self.commonPrefix !== that.commonPrefix) {
    return { order: self.commonPrefix > that.commonPrefix ? -1 : 1, rule: "UseLongestMatchingPrefix" }
  }
  return { order: 0, rule: "LeaveTheOrder" }
}

/**
 * Which of two comes first, and the rule that says so.
 *
 * @since 0.2.0
 * @category sorting
 */
export const compare = (
  self: Candidate,
  that: Candidate,
  policy: Policy = defaultPolicy
): { readonly order: -1 | 0 | 1; readonly rule: Rule } => compareFacts(factsOf(self, policy), factsOf(that, policy))

/**
 * The candidates in the order of RFC 6724 §6; equals stay as they were.
 *
 * @example
 * ```ts
 * import { Option } from "effect"
 * import { Address, AddressSelection } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const candidate = (address: string, source: string | undefined): AddressSelection.Candidate => ({
 *   address: Address.unsafeParse(address),
 *   source: Option.map(Option.fromNullable(source), Address.unsafeParse)
 * })
 *
 * // This machine has no IPv6 beyond its link.
 * const sorted = AddressSelection.sort([
 *   candidate("2001:db8:1::1", undefined),
 *   candidate("198.51.100.121", "198.51.100.117")
 * ])
 * assert.deepStrictEqual(sorted.map(({ address }) => String(address)), ["198.51.100.121", "2001:db8:1::1"])
 * ```
 *
 * @since 0.2.0
 * @category sorting
 */
export const sort = (
  candidates: ReadonlyArray<Candidate>,
  policy: Policy = defaultPolicy
): ReadonlyArray<Candidate> =>
  candidates.map((candidate) => factsOf(candidate, policy))
    .toSorted((self, that) => compareFacts(self, that).order)
    .map(({ candidate }) => candidate)

/**
 * What is asked for each address before the sort.
 *
 * @since 0.2.0
 * @category selecting
 */
export interface Knowledge {
  readonly sourceAddress: Option.Option<SourceAddress["Type"]>
  /** What earlier connections taught of an address, reached from this source. */
  readonly recall?:
    | ((
      address: Address.IpAddress,
      source: Address.IpAddress
    ) => Effect.Effect<Pick<Candidate, "roundTrip" | "used">>)
    | undefined
  /** @default {@link defaultPolicy} */
  readonly policy?: Policy | undefined
}

/**
 * Ask where each address would be reached from, and sort. One address alone is asked nothing about; without
 * `SourceAddress` the order stays as it is.
 *
 * @since 0.2.0
 * @category selecting
 */
export const select = (
  addresses: ReadonlyArray<Address.IpAddress>,
  { policy, recall, sourceAddress }: Knowledge
): Effect.Effect<ReadonlyArray<Candidate>> => {
  if (addresses.length < 2 || Option.isNone(sourceAddress)) {
    return Effect.succeed(addresses.map((address) => ({ address })))
  }
  const { sourceFor } = sourceAddress.value
  return Effect.map(
    Effect.forEach(addresses, (address) =>
      Effect.flatMap(sourceFor(address), (source) => {
        // Without a zone nobody can tell: there may well be a way to it.
        if (Option.isNone(source) && vague(address)) return Effect.succeed<Candidate>({ address })
        const candidate: Candidate = { address, source }
        return recall === undefined || Option.isNone(source)
          ? Effect.succeed(candidate)
          : Effect.map(recall(address, source.value), ({ roundTrip, used }) => ({ ...candidate, roundTrip, used }))
      })),
    (candidates) => sort(candidates, policy)
  )
}

const vague = (address: Address.IpAddress): boolean =>
  address._tag === "Ipv6Address" && address.zone === undefined && Address.isLinkLocal(address)
