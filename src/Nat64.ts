/**
 * IPv4 literals on a network without IPv4 (RFC 8305 §7.1): behind a NAT64, an IPv4 address is reached as an IPv6 one
 * made of the network's prefix and the address (RFC 6052), and the prefix is learned by asking for a name that has none
 * (RFC 7050).
 *
 * Names need none of this: a network with a NAT64 has a DNS64, which answers for them.
 *
 * Not here: CLAT, and networks that tell their prefix otherwise (RFC 8781, RFC 7225).
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as MutableRef from "effect/MutableRef"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Address from "./Address.js"
import * as Dialer from "./Dialer.js"
import type { DialOptions } from "./DialOptions.js"
import * as Endpoint from "./Endpoint.js"
import { within } from "./internal/sideBySide.js"
import { Resolver } from "./Resolver.js"
import { SourceAddress } from "./SourceAddress.js"

/**
 * The lengths a prefix can have, in bits (RFC 6052 §2.2).
 *
 * @since 0.2.0
 * @category models
 */
export type PrefixLength = 32 | 40 | 48 | 56 | 64 | 96

/**
 * The prefix of a NAT64.
 *
 * @since 0.2.0
 * @category models
 */
export interface Prefix {
  readonly ip: Address.Ipv6Address
  readonly length: PrefixLength
}

const lengths: ReadonlyArray<PrefixLength> = [96, 64, 56, 48, 40, 32]

/**
 * RFC 6052 §2.1's Well-Known Prefix, 64:ff9b::/96.
 *
 * @since 0.2.0
 * @category models
 */
export const wellKnownPrefix: Prefix = { ip: Either.getOrThrow(Address.parseIpv6("64:ff9b::")), length: 96 }

/** Where the four octets of the IPv4 address stand: after the prefix, but never in octet 8 (bits 64 to 71 are zero). */
const placesOf = (length: PrefixLength): ReadonlyArray<number> =>
  Array.from({ length: 5 }, (_, index) => length / 8 + index).filter((octet) => octet !== 8).slice(0, 4)

/**
 * The IPv6 address by which a NAT64 with this prefix is asked for an IPv4 address (RFC 6052 §2.2).
 *
 * `None` where the Well-Known Prefix may not stand for the address: §3.1, it "MUST NOT be used to represent non-global
 * IPv4 addresses".
 *
 * @example
 * ```ts
 * import { Option } from "effect"
 * import { Address, Nat64 } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const address = Address.unsafeParse("192.0.2.33") as Address.Ipv4Address
 * const prefix = { ip: Address.unsafeParse("2001:db8:122:344::") as Address.Ipv6Address, length: 64 } as const
 * assert.strictEqual(String(Option.getOrThrow(Nat64.synthesize(prefix, address))), "2001:db8:122:344:c0:2:2100:0")
 * ```
 *
 * @since 0.2.0
 * @category synthesis
 */
export const synthesize = (prefix: Prefix, address: Address.Ipv4Address): Option.Option<Address.Ipv6Address> => {
  if (isWellKnown(prefix) && !isGlobal(address)) return Option.none()
  const places = placesOf(prefix.length)
  const embedded = Address.octets(address)
  const bytes = Address.octets(prefix.ip).map((octet, index) => {
    const place = places.indexOf(index)
    return place >= 0 ? embedded[place] ?? 0 : index < prefix.length / 8 ? octet : 0
  })
  return Option.map(Option.getRight(Address.fromOctets(bytes)), (ip) => ip as Address.Ipv6Address)
}

/**
 * The IPv4 address in an IPv6 one made with this prefix; `None` when it was made with another.
 *
 * @since 0.2.0
 * @category synthesis
 */
export const extract = (prefix: Prefix, address: Address.Ipv6Address): Option.Option<Address.Ipv4Address> => {
  const bytes = Address.octets(address)
  const own = Address.octets(prefix.ip)
  const octets = prefix.length / 8
  if (bytes.subarray(0, octets).some((octet, index) => octet !== own[index])) return Option.none()
  if (prefix.length < 96 && bytes[8] !== 0) return Option.none()
  const embedded = Uint8Array.from(placesOf(prefix.length).map((place) => bytes[place] ?? 0))
  return Option.map(Option.getRight(Address.fromOctets(embedded)), (ip) => ip as Address.Ipv4Address)
}

const isWellKnown = ({ ip, length }: Prefix): boolean => length === 96 && String(ip) === String(wellKnownPrefix.ip)

/** RFC 1918, RFC 6598, loopback, link-local, multicast and what is reserved are not global. */
const isGlobal = (address: Address.Ipv4Address): boolean => {
  const [first = 0, second = 0] = Address.octets(address)
  return !(first === 10 || first === 127 || first === 0 || first >= 224 || first === 172 && (second & 0xf0) === 16 ||
    first === 192 && second === 168 || first === 169 && second === 254 || first === 100 && (second & 0xc0) === 64)
}

// -----------------------------------------------------------------------------
// discovery (RFC 7050)
// -----------------------------------------------------------------------------

/** RFC 7050 §2.2: a name with these IPv4 addresses and, outside a network with a DNS64, no IPv6 address. */
const discoveryName = new Endpoint.DomainName("ipv4only.arpa", true)
const wellKnownAddresses: ReadonlySet<string> = new Set(["192.0.0.170", "192.0.0.171"])

/**
 * The prefixes of this network's NAT64, as RFC 7050 §3 finds them; none where there is no NAT64. Their order is that of
 * the answer.
 *
 * @since 0.2.0
 * @category discovery
 */
export interface Discovery {
  readonly prefixes: ReadonlyArray<Prefix>
  /** How long it may be kept, where the resolver tells. */
  readonly timeToLive: Duration.Duration | undefined
}

/**
 * Ask the resolver in the environment what NAT64 this network has. A lookup that fails finds none.
 *
 * @since 0.2.0
 * @category discovery
 */
export const discover: Effect.Effect<Discovery, never, Resolver> = Effect.flatMap(
  Resolver,
  (resolver) =>
    Stream.runFold(
      Stream.catchAll(resolver.resolve(discoveryName, { families: ["inet6"] }), () => Stream.empty),
      undiscovered,
      (found, answer) =>
        answer._tag === "Addresses"
          ? { prefixes: answer.addresses.flatMap(prefixesIn), timeToLive: answer.timeToLive }
          : found
    )
)

const undiscovered: Discovery = { prefixes: [], timeToLive: undefined }

const prefixesIn = (address: Address.IpAddress): ReadonlyArray<Prefix> => {
  if (address._tag !== "Ipv6Address") return []
  const candidates = lengths.map((length): Prefix => {
    const bytes = Address.octets(address).map((octet, index) => index < length / 8 ? octet : 0)
    return { ip: Either.getOrThrow(Address.fromOctets(bytes)) as Address.Ipv6Address, length }
  })
  // §3: "if the Well-Known Address is found at more than one position, the network is misconfigured".
  const fitting = candidates.filter((prefix) =>
    Option.exists(extract(prefix, address), (embedded) => wellKnownAddresses.has(String(embedded)))
  )
  return fitting.length === 1 ? fitting : []
}

// -----------------------------------------------------------------------------
// the layer
// -----------------------------------------------------------------------------

/**
 * How long a discovery is kept whose answer tells no time, and one that found nothing.
 *
 * @since 0.2.0
 * @category defaults
 */
export const defaultTimeToLive: Duration.DurationInput = "1 minute"

/**
 * How long a dial waits for the discovery, beside its own deadline.
 *
 * @since 0.2.0
 * @category defaults
 */
export const discoveryTimeout: Duration.DurationInput = "2 seconds"

/**
 * A Dialer made from the Dialer in the environment that reaches IPv4 literals through this network's NAT64 when there
 * is no IPv4 here, and is that Dialer in everything else. The literal itself is attempted last.
 *
 * The prefix is asked for when it is first needed, and kept for its time to live. With IPv4 here nothing is asked.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Nat64 } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 *
 * export const network = Layer.provide(Nat64.layer, NodeNetwork.layer)
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer: Layer.Layer<Dialer.Dialer, never, Dialer.Dialer | Resolver | SourceAddress> = Layer.effect(
  Dialer.Dialer,
  Effect.gen(function*() {
    const dialer = yield* Dialer.Dialer
    const { sourceFor } = yield* SourceAddress
    const resolver = yield* Resolver
    const known = MutableRef.make<{ readonly prefixes: ReadonlyArray<Prefix>; readonly until: number } | undefined>(
      undefined
    )
    const prefixes = Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const kept = MutableRef.get(known)
      if (kept !== undefined && now < kept.until) return kept.prefixes
      const found = yield* within(
        Effect.provideService(discover, Resolver, resolver),
        discoveryTimeout,
        () => Effect.succeed(undiscovered)
      )
      const until = now + Duration.toMillis(found.timeToLive ?? defaultTimeToLive)
      MutableRef.set(known, { prefixes: found.prefixes, until })
      return found.prefixes
    })
    const translated = (
      input: Endpoint.Input,
      options: DialOptions | undefined
    ): Effect.Effect<DialOptions | undefined> => {
      const endpoint = Either.getOrUndefined(Endpoint.fromInput(input))
      if (
        endpoint === undefined || endpoint._tag === "Unix" || endpoint.host._tag !== "Ipv4Address" ||
        options?.addresses !== undefined
      ) {
        return Effect.succeed(options)
      }
      const { host, port } = endpoint
      return Effect.flatMap(
        sourceFor(host),
        (source) =>
          Option.isSome(source) ? Effect.succeed(options) : Effect.map(prefixes, (prefixes) => {
            const made = prefixes.flatMap((prefix) => Option.toArray(synthesize(prefix, host)))
            return made.length === 0
              ? options
              : { ...options, addresses: [...made, host].map((ip) => Address.socketAddress(ip, port)) }
          })
      )
    }
    return Dialer.make((endpoint, establish, options) =>
      Effect.flatMap(translated(endpoint, options), (options) => dialer.dialWith(endpoint, establish, options))
    )
  })
)
