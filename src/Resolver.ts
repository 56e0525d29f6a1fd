/**
 * The port through which a name becomes addresses.
 *
 * A resolver answers with a Stream of {@link Answer}s, one per address family and in the order they arrive, because a
 * dial acts on each as it comes (RFC 8305 §3): an AAAA that is never answered must not hold back an A that was. An
 * answer is positive (addresses, possibly with a time to live) or negative (a `ResolveError` for that family).
 *
 * Resolvers are made of resolvers: {@link cached}, {@link orElse} and {@link filter} take one and give one.
 *
 * Not here: any platform's resolver (`node/NodeResolver`), asking name servers (`DnsResolver`), sorting. A literal
 * address never reaches a resolver; `Dialer` sees to that.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as MutableRef from "effect/MutableRef"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Address from "./Address.js"
import { ResolveError } from "./DialError.js"
import { type DomainName, domainName } from "./Endpoint.js"
import { type Answer, families, type IpFamily, isPositive, noAddresses, type Query } from "./internal/answer.js"
import * as Feed from "./internal/feed.js"
import { Cache, type CacheOptions } from "./internal/resolverCache.js"

export { type Answer, families, type IpFamily, noAddresses, type Query } from "./internal/answer.js"

export {
  cacheMetrics,
  type CacheOptions,
  defaultLingering,
  staleRecheckDelay,
  staleResponseDelay
} from "./internal/resolverCache.js"

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
  const answer = (name: string, addresses: ReadonlyArray<Address.IpAddress>, family: IpFamily): Answer => {
    const own = addresses.filter((address) => address.family === family)
    return own.length > 0
      ? { _tag: "Addresses", family, addresses: own }
      : noAddresses(family, new ResolveError({ host: name, family, reason: "NotFound" }))
  }
  const table = new Map(Object.entries(names).map(([name, addresses]) => [key(name), addresses]))
  // An error costs more than all the rest of a lookup: one for each name and family that was asked for.
  const answers = new Map<string, Answer>()
  const answerTo = (name: DomainName, family: IpFamily): Answer => {
    const addresses = table.get(name.ascii)
    const text = `${family} ${name}`
    const known = answers.get(text)
    if (addresses === undefined || known !== undefined) return known ?? answer(String(name), [], family)
    const made = answer(String(name), addresses, family)
    answers.set(text, made)
    return made
  }
  return Layer.succeed(Resolver, {
    resolve: (name, query) =>
      Feed.toStream((tell, ended) => {
        for (const family of query?.families ?? families) tell(answerTo(name, family))
        ended(Exit.void)
        return Effect.succeed(Effect.void)
      })
  })
}

const key = (name: string): string =>
  Either.match(domainName(name), { onLeft: () => name.toLowerCase(), onRight: ({ ascii }) => ascii })

// -----------------------------------------------------------------------------
// resolvers made of resolvers
// -----------------------------------------------------------------------------

type Service = Resolver["Type"]

/**
 * The second resolver for every name of which the first has no address at all, be it that there is none or that it
 * failed. Addresses of the first are told as they come; what it had none of is told when it has ended.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Address, Resolver } from "effect-dial"
 * import { NodeResolver } from "effect-dial/node"
 *
 * const pinned = Resolver.layerStatic({ "db.internal": [Address.unsafeParse("10.0.0.7")] })
 *
 * // The pinned names, and the system's for the rest.
 * export const names = Layer.effect(
 *   Resolver.Resolver,
 *   Effect.zipWith(
 *     Effect.provide(Resolver.Resolver, pinned),
 *     Effect.provide(Resolver.Resolver, NodeResolver.layer),
 *     Resolver.orElse
 *   )
 * )
 * ```
 *
 * @since 0.2.0
 * @category combinators
 */
export const orElse: {
  (that: Service): (self: Service) => Service
  (self: Service, that: Service): Service
} = dual(2, (self: Service, that: Service): Service => ({
  resolve: (name, query) =>
    Stream.suspend(() => {
      const held: Array<Answer> = []
      const found = MutableRef.make(false)
      const first = Stream.filter(Stream.catchAll(self.resolve(name, query), () => Stream.empty), (answer) => {
        const positive = isPositive(answer)
        if (positive) MutableRef.set(found, true)
        else held.push(answer)
        return positive
      })
      return Stream.concat(
        first,
        Stream.suspend(() => MutableRef.get(found) ? Stream.fromIterable(held) : that.resolve(name, query))
      )
    })
}))

/**
 * The resolver without the addresses that `keep` refuses, those in the hints of HTTPS records included. A family of
 * which nothing is left is `NotFound`, with `"Filtered"` as its code.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Address, Resolver } from "effect-dial"
 * import { NodeResolver } from "effect-dial/node"
 *
 * // No name leads to this machine.
 * export const names = Layer.effect(
 *   Resolver.Resolver,
 *   Effect.map(Resolver.Resolver, Resolver.filter((address) => !Address.isLoopback(address)))
 * ).pipe(Layer.provide(NodeResolver.layer))
 * ```
 *
 * @since 0.2.0
 * @category combinators
 */
export const filter: {
  (keep: (address: Address.IpAddress, name: DomainName) => boolean): (self: Service) => Service
  (self: Service, keep: (address: Address.IpAddress, name: DomainName) => boolean): Service
} = dual(2, (self: Service, keep: (address: Address.IpAddress, name: DomainName) => boolean): Service => ({
  resolve: (name, query) => {
    const feed = Feed.fromStream(self.resolve(name, query))
    return Feed.toStream((tell, ended) => feed((answer) => tell(filtered(answer, name, keep)), ended))
  }
}))

const filtered = (
  answer: Answer,
  name: DomainName,
  keep: (address: Address.IpAddress, name: DomainName) => boolean
): Answer => {
  if (answer._tag === "NoAddresses") return answer
  if (answer._tag === "Services") {
    const services = answer.services.map((service) => ({
      ...service,
      ipv4Hint: service.ipv4Hint.filter((address) => keep(address, name)),
      ipv6Hint: service.ipv6Hint.filter((address) => keep(address, name))
    }))
    return { ...answer, services }
  }
  const { family, timeToLive } = answer
  const addresses = answer.addresses.filter((address) => keep(address, name))
  const error = () => new ResolveError({ host: String(name), family, reason: "NotFound", code: "Filtered" })
  return addresses.length > 0
    ? { ...answer, addresses }
    : { _tag: "NoAddresses", family, error: error(), timeToLive }
}

/**
 * The resolver in the environment with a cache before it.
 *
 * An answer is given again with what is left of its time to live. Equal questions under way are one, and the one who
 * leaves takes nothing from the others; when all have left, the lookup is given up. Lookups in the background belong to
 * the layer's Scope.
 *
 * @example
 * ```ts no-run
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { DnsResolver, Resolver } from "effect-dial"
 * import { NodeTransport } from "effect-dial/node"
 *
 * export const names = Resolver.cached({ staleFor: "1 day" }).pipe(
 *   Layer.provide(DnsResolver.layer()),
 *   Layer.provide(Layer.merge(NodeTransport.layer, NodeContext.layer))
 * )
 * ```
 *
 * @since 0.2.0
 * @category cache
 */
export const cached = (options?: CacheOptions): Layer.Layer<Resolver, never, Resolver> =>
  Layer.scoped(Resolver, Effect.flatMap(Resolver, (resolver) => makeCached(resolver, options)))

/**
 * A resolver with a cache before it, whose background lookups belong to the Scope. See {@link cached}.
 *
 * @since 0.2.0
 * @category cache
 */
export const makeCached = (
  resolver: Service,
  options?: CacheOptions
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const cache = new Cache(resolver.resolve, options ?? {}, scope)
    return { resolve: (name, query) => cache.resolve(name, query) }
  })
