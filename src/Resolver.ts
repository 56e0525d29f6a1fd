/**
 * The port through which a name becomes addresses.
 *
 * A resolver answers with a Stream of {@link Answer}s, one per address family and in the order they arrive, because a
 * dial acts on each as it comes (RFC 8305 §3): an AAAA that is never answered must not hold back an A that was. An
 * answer is positive (addresses, possibly with a time to live) or negative (a `ResolveError` for that family).
 *
 * Not here: any platform's resolver (`node/NodeResolver`), sorting, caching. A literal address never reaches a
 * resolver; `Dialer` sees to that.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Address from "./Address.js"
import { ResolveError } from "./DialError.js"
import { type DomainName, domainName } from "./Endpoint.js"
import type { ServiceBinding } from "./ServiceBinding.js"

/**
 * The family of an IP address.
 *
 * @since 0.1.0
 * @category models
 */
export type IpFamily = Exclude<Address.AddressFamily, "unix">

/**
 * What a resolver says of one family of one name.
 *
 * - `Addresses`: those found, in the resolver's order of preference; at least one. `timeToLive` is how long the answer
 *   may be kept, `undefined` when the resolver cannot tell (getaddrinfo)
 * - `NoAddresses`: none, and why; `timeToLive` is how long that may be kept (RFC 2308)
 * - `Services`: what its HTTPS records say, only when the {@link Query} asked for them; empty when there are none, with
 *   the `error` when that is not certain
 *
 * @since 0.1.0
 * @category models
 */
export type Answer =
  | {
    readonly _tag: "Addresses"
    readonly family: IpFamily
    readonly addresses: ReadonlyArray<Address.IpAddress>
    readonly timeToLive?: Duration.Duration | undefined
  }
  | {
    readonly _tag: "NoAddresses"
    readonly family: IpFamily
    readonly error: ResolveError
    readonly timeToLive?: Duration.Duration | undefined
  }
  | {
    readonly _tag: "Services"
    readonly services: ReadonlyArray<ServiceBinding>
    readonly timeToLive?: Duration.Duration | undefined
    readonly error?: ResolveError | undefined
  }

/**
 * What is wanted of a name.
 *
 * @since 0.2.0
 * @category models
 */
export interface Query {
  /**
   * The families to look up.
   *
   * @default {@link families}
   */
  readonly families?: ReadonlyArray<IpFamily> | undefined
  /**
   * Look up the HTTPS records (RFC 9460) of the name for this port too, and answer with `Services`. A resolver that
   * cannot leaves it out.
   *
   * @default undefined, which does not
   */
  readonly services?: number | undefined
}

/**
 * Twisted: the resolver half of `reactor`. Looks names up for a dial.
 *
 * `resolve(name)` starts the lookups when it is run, emits each family's answer as it arrives and ends after the last.
 * It fails only when nothing at all can be said of the name; interrupting it gives the lookups up at once.
 *
 * @example
 * ```ts
 * import { Layer, Stream } from "effect"
 * import { Address, Resolver } from "effect-dial"
 *
 * // Every name is this machine.
 * const here: ReadonlyArray<Resolver.Answer> = [
 *   { _tag: "Addresses", family: "inet6", addresses: [Address.unsafeParse("::1")] },
 *   { _tag: "Addresses", family: "inet", addresses: [Address.unsafeParse("127.0.0.1")] }
 * ]
 *
 * export const everywhere = Layer.succeed(Resolver.Resolver, { resolve: () => Stream.fromIterable(here) })
 * ```
 *
 * @since 0.1.0
 * @category port
 */
export class Resolver extends Context.Tag("effect-dial/Resolver")<Resolver, {
  readonly resolve: (name: DomainName, query?: Query) => Stream.Stream<Answer, ResolveError>
}>() {}

/**
 * A resolver that knows the given names and no others: for tests, demos and pinned addresses.
 *
 * Keys are compared as domain names are, without regard to case or a trailing dot. Both families answer at once, IPv6
 * first; a name or family it does not hold is `NotFound`. The addresses are given as `Address.parse` reads them.
 *
 * @example
 * ```ts
 * import { Address, Resolver } from "effect-dial"
 *
 * export const names = Resolver.layerStatic({
 *   "db.internal": [Address.unsafeParse("10.0.0.7"), Address.unsafeParse("fd00::7")]
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerStatic = (
  names: { readonly [name: string]: ReadonlyArray<Address.IpAddress> }
): Layer.Layer<Resolver> => {
  const table = new Map(Object.entries(names).map(([name, addresses]) => [key(name), addresses]))
  return Layer.succeed(Resolver, {
    resolve: (name, query) => {
      const known = table.get(name.ascii) ?? []
      return Stream.fromIterable((query?.families ?? families).map((family): Answer => {
        const addresses = known.filter((address) => address.family === family)
        return addresses.length > 0
          ? { _tag: "Addresses", family, addresses }
          : noAddresses(family, new ResolveError({ host: String(name), family, reason: "NotFound" }))
      }))
    }
  })
}

/**
 * Both families, in the order their questions are sent (RFC 8305 §3: AAAA first, A right after).
 *
 * @since 0.1.0
 * @category models
 */
export const families: ReadonlyArray<IpFamily> = ["inet6", "inet"]

/**
 * A negative answer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const noAddresses = (family: IpFamily, error: ResolveError): Answer => ({ _tag: "NoAddresses", family, error })

const key = (name: string): string =>
  Either.match(domainName(name), { onLeft: () => name.toLowerCase(), onRight: ({ ascii }) => ascii })
