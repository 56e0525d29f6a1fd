/**
 * A stub resolver of our own (RFC 1034 §5.3.1): names to addresses by asking name servers over the Transport.
 *
 * It uses no thread, so a silent name server holds up no other name and no exit; an interrupted lookup closes its
 * sockets; it runs on the simulated network. What it does is what the system's does with "files dns": the hosts file
 * first, then resolv.conf's servers, with its search list.
 *
 * What must be true:
 *
 * - AAAA and A are asked for together, and each answer is told as it comes
 * - equal lookups under way are one: less to answer, and no more chances for a forger than one (RFC 5452 §5)
 * - `localhost` never leaves the machine (RFC 6761 §6.3), nor do names that unicast DNS must not see: `.invalid` (§6.4),
 *   `.onion` (RFC 7686), `.local` (RFC 6762 §3, which belongs to mDNS)
 * - only what the chain from the name leads to is believed; a chain that loops or does not end is `InvalidResponse`
 * - a positive answer has the lowest time to live of its chain, a negative one RFC 2308's
 * - the search list goes on only where a name does not exist at all, so that both families are of one host
 *
 * Not here: a cache (`Resolver.cached`), DNSSEC, mDNS, NSS.
 *
 * @since 0.2.0
 */
import { FileSystem } from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as MutableRef from "effect/MutableRef"
import * as Random from "effect/Random"
import type * as Stream from "effect/Stream"
import * as Address from "./Address.js"
import { ResolveError, type ResolveReason } from "./DialError.js"
import * as DnsConfig from "./DnsConfig.js"
import * as DnsExchange from "./DnsExchange.js"
import * as DnsHttps from "./DnsHttps.js"
import * as DnsMessage from "./DnsMessage.js"
import * as Endpoint from "./Endpoint.js"
import * as Feed from "./internal/feed.js"
import { Flights, leaveAll } from "./internal/flights.js"
import { Timers } from "./internal/timers.js"
import { type Answer, families, type IpFamily, noAddresses, type Query, Resolver } from "./Resolver.js"
import * as ServiceBinding from "./ServiceBinding.js"
import type { Transport } from "./Transport.js"

// -----------------------------------------------------------------------------
// the service
// -----------------------------------------------------------------------------

/**
 * The records of one type that a name has.
 *
 * @since 0.2.0
 * @category models
 */
export interface Records {
  /** The name they belong to, at the end of its chain of CNAMEs. */
  readonly canonicalName: string
  readonly records: ReadonlyArray<DnsMessage.DnsRecord>
  /** How long they may be kept: the lowest of the chain. */
  readonly timeToLive: Duration.Duration
}

/**
 * A host that offers a service (RFC 2782), to be dialed.
 *
 * @since 0.2.0
 * @category models
 */
export interface ServiceTarget {
  readonly endpoint: Endpoint.Endpoint
  readonly priority: number
  readonly weight: number
}

/**
 * Looks up records. `query` fails with `ResolveError`: `NotFound` when the name has none of that type.
 *
 * @since 0.2.0
 * @category service
 */
export class DnsResolver extends Context.Tag("effect-dial/DnsResolver")<DnsResolver, {
  readonly query: (
    name: Endpoint.DomainName,
    type: DnsMessage.RecordType
  ) => Effect.Effect<Records, ResolveError>
}>() {}

/**
 * The hosts that offer a service, in the order to try them: the lowest priority first and, within one, a random order
 * in which each comes first as often as its weight says (RFC 2782).
 *
 * The name is the whole one, `_xmpp-client._tcp.example.com`. A record whose target is `.`, or whose port is 0, to which
 * nobody can connect, offers nothing. Fails with `ResolveError`: `NotFound` when there is no other.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Address, DnsResolver } from "effect-dial"
 * import { NameServer, SimNetwork } from "effect-dial/testing"
 * import * as assert from "node:assert"
 *
 * const name = "_xmpp-client._tcp.chat.test"
 * const srv = (priority: number, target: string) =>
 *   ({ type: "SRV", name, timeToLive: 60, priority, weight: 0, port: 5222, target }) as const
 * const server = NameServer.make({ [name]: { SRV: { answers: [srv(20, "b.chat.test"), srv(10, "a.chat.test")] } } })
 * const servers = Option.toArray(Option.getRight(Address.parseSocketAddress("10.0.0.53:53")))
 *
 * const targets = await SimNetwork.run(
 *   Effect.provide(DnsResolver.service(name), DnsResolver.layerServers({ servers })),
 *   { hosts: { dns: { addresses: ["10.0.0.53"], listeners: server.listeners } } }
 * ).pipe(Effect.runPromise)
 * assert.deepStrictEqual(targets.map(({ endpoint }) => String(endpoint)), [
 *   "tcp://a.chat.test.:5222",
 *   "tcp://b.chat.test.:5222"
 * ])
 * ```
 *
 * @since 0.2.0
 * @category services
 */
export const service = (name: string): Effect.Effect<ReadonlyArray<ServiceTarget>, ResolveError, DnsResolver> =>
  Effect.gen(function*() {
    const { query } = yield* DnsResolver
    const domain = yield* Effect.mapError(
      Endpoint.domainName(name),
      (cause) => new ResolveError({ host: name, reason: "BadName", cause })
    )
    const { records } = yield* query(domain, "SRV")
    // RFC 2782's ports begin at 0, but RFC 6335 §6 reserves it, and sockets take it for "any". An HTTPS record with that
    // port is not used either (`ServiceBinding.isUsable`).
    const found = records.flatMap((record) =>
      record.type === "SRV" && record.target !== "" && record.port !== 0 ? [record] : []
    )
    const targets = found.flatMap(({ port, priority, target, weight }): ReadonlyArray<ServiceTarget> =>
      Either.match(Endpoint.tcp(`${target}.`, port), {
        onLeft: () => [],
        onRight: (endpoint) => [{ endpoint, priority, weight }]
      })
    )
    if (targets.length === 0) return yield* new ResolveError({ host: name, reason: "NotFound" })
    const priorities = [...new Set(targets.map(({ priority }) => priority))].toSorted((self, that) => self - that)
    const groups = yield* Effect.forEach(
      priorities,
      (priority) => weighted(targets.filter((target) => target.priority === priority))
    )
    return groups.flat()
  })

/** RFC 2782's own procedure: those without a weight stand first, and the running sum chooses. */
const weighted = (targets: ReadonlyArray<ServiceTarget>): Effect.Effect<ReadonlyArray<ServiceTarget>> => {
  const ordered = targets.toSorted((self, that) => Math.min(self.weight, 1) - Math.min(that.weight, 1))
  const total = ordered.reduce((sum, { weight }) => sum + weight, 0)
  if (ordered.length < 2) return Effect.succeed(ordered)
  return Effect.flatMap(Random.nextIntBetween(0, total + 1), (chosen) => {
    const index = ordered.findIndex((_, index) =>
      ordered.slice(0, index + 1).reduce((sum, { weight }) => sum + weight, 0) >= chosen
    )
    const first = ordered[Math.max(0, index)]
    const rest = ordered.filter((target) => target !== first)
    return Effect.map(weighted(rest), (rest) => first === undefined ? rest : [first, ...rest])
  })
}

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * How to resolve, over what resolv.conf says. Every field has a default.
 *
 * @since 0.2.0
 * @category models
 */
export interface DnsOptions {
  /** @default those of resolv.conf */
  readonly servers?: ReadonlyArray<Address.SocketAddress> | undefined
  /** @default that of resolv.conf */
  readonly search?: ReadonlyArray<string> | undefined
  readonly ndots?: number | undefined
  /** How long one server has for one try. */
  readonly timeout?: Duration.DurationInput | undefined
  /** How many times the list of servers is gone through. */
  readonly attempts?: number | undefined
  readonly rotate?: boolean | undefined
  /** See {@link DnsExchange.ExchangeOptions}. */
  readonly randomizeCase?: boolean | undefined
  /** See {@link DnsExchange.ExchangeOptions}. */
  readonly udpPayloadSize?: number | undefined
  /** See {@link DnsExchange.ExchangeOptions}. */
  readonly maxInFlight?: number | undefined
  /** @default those of /etc/hosts */
  readonly hosts?: DnsConfig.Hosts | undefined
}

/**
 * The resolver that /etc/resolv.conf and /etc/hosts describe, read through FileSystem and again when they change;
 * `options` go before them.
 *
 * @example
 * ```ts no-run
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Dialer, DnsResolver } from "effect-dial"
 * import { NodeSourceAddress, NodeTransport } from "effect-dial/node"
 *
 * const names = Layer.provide(DnsResolver.layer(), Layer.merge(NodeTransport.layer, NodeContext.layer))
 *
 * export const network = Layer.provide(
 *   Dialer.layer,
 *   Layer.mergeAll(names, NodeTransport.layer, NodeSourceAddress.layer)
 * )
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (
  options: DnsOptions & { readonly files?: DnsConfig.Files | undefined } = {}
): Layer.Layer<Resolver | DnsResolver, never, Transport | FileSystem> =>
  Layer.scopedContext(Effect.gen(function*() {
    const timers = yield* Timers.make
    const watched = yield* DnsConfig.watch(options.files)
    const runtime = yield* Effect.context<Transport>()
    // One exchange for each version of the file, so that what it learned of its servers is kept.
    const newest = MutableRef.make<{ readonly of: DnsConfig.ResolvConf; readonly settings: Settings } | undefined>(
      undefined
    )
    const settings = Effect.flatMap(watched.resolvConf, (conf) => {
      const known = MutableRef.get(newest)
      if (known?.of === conf) return Effect.succeed(known.settings)
      return Effect.map(Effect.provide(settingsOf({ ...conf, ...defined(options) }, timers), runtime), (settings) => {
        MutableRef.set(newest, { of: conf, settings })
        return settings
      })
    })
    return services({ settings, hosts: options.hosts === undefined ? watched.hosts : Effect.succeed(options.hosts) })
  }))

/**
 * A resolver that asks these servers and reads no file: no search list and no hosts but those of the options.
 *
 * @since 0.2.0
 * @category layers
 */
export const layerServers = (
  options: DnsOptions & { readonly servers: ReadonlyArray<Address.SocketAddress> }
): Layer.Layer<Resolver | DnsResolver, never, Transport> =>
  Layer.scopedContext(
    Effect.map(
      Effect.flatMap(
        Timers.make,
        (timers) =>
          settingsOf({ ...DnsConfig.defaultResolvConf, ...defined(options), servers: options.servers }, timers)
      ),
      (settings) => services({ settings: Effect.succeed(settings), hosts: Effect.succeed(options.hosts ?? new Map()) })
    )
  )

/**
 * DNS over HTTPS (RFC 8484) through the HttpClient in the environment, which resolves the host of the URL itself.
 *
 * Questions are POSTed with id 0; a time to live is what is left of it after the response's Age.
 *
 * @since 0.2.0
 * @category layers
 */
export const layerHttps = (
  options: Pick<DnsOptions, "search" | "ndots" | "hosts"> & {
    readonly url: string | URL
    /**
     * How long one question may take.
     *
     * @default "5 seconds"
     */
    readonly timeout?: Duration.DurationInput | undefined
  }
): Layer.Layer<Resolver | DnsResolver, never, HttpClient.HttpClient> =>
  Layer.effectContext(Effect.map(HttpClient.HttpClient, (client) => {
    const settings: Settings = {
      ask: DnsHttps.make(client, { url: options.url, timeout: options.timeout ?? "5 seconds" }),
      search: options.search ?? [],
      ndots: options.ndots ?? 1
    }
    return services({ settings: Effect.succeed(settings), hosts: Effect.succeed(options.hosts ?? new Map()) })
  }))

/** Fields given as `undefined` are not given. */
const defined = ({ timeout, ...options }: DnsOptions): Partial<DnsConfig.ResolvConf> => {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return timeout === undefined ? given : { ...given, timeout: Duration.decode(timeout) }
}

interface Settings {
  readonly ask: DnsExchange.Ask
  readonly search: ReadonlyArray<string>
  readonly ndots: number
}

interface Sources {
  readonly settings: Effect.Effect<Settings>
  readonly hosts: Effect.Effect<DnsConfig.Hosts>
}

const settingsOf = (
  conf: DnsConfig.ResolvConf & DnsExchange.ExchangeOptions,
  timers: Timers
): Effect.Effect<Settings, never, Transport> =>
  Effect.map(DnsExchange.makeWith(conf, timers), (ask) => ({ ask, search: conf.search, ndots: conf.ndots }))

const services = (sources: Sources): Context.Context<Resolver | DnsResolver> => {
  const lookups: Lookups = new Flights()
  return Context.make(Resolver, { resolve: (name, query) => resolve(sources, lookups, name, query) }).pipe(
    Context.add(DnsResolver, {
      query: (name, type) =>
        Effect.flatMap(
          lookups.wait(keyOf(name, type), lookUp(sources, name, type)),
          (outcome) =>
            outcome._tag === "Found"
              ? Effect.succeed(outcome)
              : Effect.fail(failure(name, type, "NotFound"))
        )
    })
  )
}

const failure = (
  name: Endpoint.DomainName,
  type: DnsMessage.RecordType,
  reason: ResolveReason,
  code?: string
): ResolveError => new ResolveError({ host: String(name), family: DnsMessage.familyOf(type), reason, code })

// -----------------------------------------------------------------------------
// the Resolver
// -----------------------------------------------------------------------------

type Lookups = Flights<Outcome, ResolveError>

/** AAAA and A are begun in one step; whoever leaves gives up what nobody else waits for. */
const resolve = (
  sources: Sources,
  lookups: Lookups,
  name: Endpoint.DomainName,
  query: Query | undefined
): Stream.Stream<Answer> =>
  Feed.toStream((tell, ended) => {
    const wanted: ReadonlyArray<Wanted> = [
      ...(query?.families ?? families).map((family) => addresses(sources, name, family)),
      ...query?.services === undefined ? [] : [bindings(sources, name, query.services)]
    ]
    const left = new Set(wanted)
    const joined = wanted.map((one) =>
      lookups.join(one.key, one.lookup, (exit) => {
        if (Exit.isSuccess(exit)) tell(one.found(exit.value))
        else {
          const failure = Cause.failureOrCause(exit.cause)
          // A defect. (An interruption comes only after everybody has left.)
          if (Either.isRight(failure)) return ended(Exit.failCause(failure.right))
          tell(one.failed(failure.left))
        }
        left.delete(one)
        if (left.size === 0) ended(Exit.void)
      })
    )
    const leave = leaveAll(joined.map(({ leave }) => leave))
    const begun = joined.flatMap(({ begin }) => begin === undefined ? [] : [begin])
    return begun.length === 0 ? Effect.succeed(leave) : Effect.as(Effect.all(begun, { discard: true }), leave)
  })

/** A lookup, and what it becomes for who asked. */
interface Wanted {
  readonly key: string
  readonly lookup: () => Effect.Effect<Outcome, ResolveError>
  readonly found: (outcome: Outcome) => Answer
  readonly failed: (error: ResolveError) => Answer
}

const keyOf = (name: Endpoint.DomainName, type: DnsMessage.RecordType): string => `${type} ${name}`

const addresses = (sources: Sources, name: Endpoint.DomainName, family: IpFamily): Wanted => {
  const type = family === "inet6" ? "AAAA" : "A"
  return {
    key: keyOf(name, type),
    lookup: () => lookUp(sources, name, type),
    failed: (error) => noAddresses(family, error),
    found: (outcome) => {
      if (outcome._tag === "Nothing") {
        const error = failure(name, type, "NotFound", outcome.code)
        return { _tag: "NoAddresses", family, error, timeToLive: outcome.timeToLive }
      }
      const { records, timeToLive } = outcome
      return {
        _tag: "Addresses",
        family,
        addresses: records.flatMap((record) => "address" in record ? [record.address] : []),
        timeToLive: Number.isFinite(Duration.toMillis(timeToLive)) ? timeToLive : undefined
      }
    }
  }
}

/** RFC 9460 §9.1: the name itself for the ports of http and https, a prefix for every other. */
const bindings = (sources: Sources, name: Endpoint.DomainName, port: number): Wanted => {
  const itself = port === 443 || port === 80
  const owner = itself ? Either.right(name) : Endpoint.domainName(`_${port}._https.${name}`)
  return {
    key: keyOf(Either.getOrElse(owner, () => name), "HTTPS"),
    lookup: () =>
      Effect.flatMap(
        Effect.mapError(owner, () => failure(name, "HTTPS", "BadName")),
        (owner) => lookUp(sources, owner, "HTTPS")
      ),
    failed: (error) => ({ _tag: "Services", services: [], error }),
    found: (outcome) => {
      const { timeToLive } = outcome
      if (outcome._tag === "Nothing") return { _tag: "Services", services: [], timeToLive }
      const services = outcome.records.flatMap((record) => "binding" in record ? [record.binding] : [])
      // §2.5.2: a target of "." is the record's owner, which is not the name that was asked for behind a prefix.
      const named = (service: ServiceBinding.ServiceBinding) => {
        const target = ServiceBinding.targetOf(service, outcome.canonicalName)
        return target === undefined ? service : { ...service, target }
      }
      return { _tag: "Services", services: itself ? services : services.map(named), timeToLive }
    }
  }
}

// -----------------------------------------------------------------------------
// one name, one type
// -----------------------------------------------------------------------------

type Outcome = ({ readonly _tag: "Found" } & Records) | Nothing

interface Nothing {
  readonly _tag: "Nothing"
  /** Whether the name itself does not exist (NXDOMAIN), and not only such a record of it. */
  readonly noName: boolean
  readonly timeToLive?: Duration.Duration | undefined
  /** The rule by which nobody was asked. */
  readonly code?: string | undefined
}

const nothing: Nothing = { _tag: "Nothing", noName: true }

const lookUp = (
  { hosts, settings }: Sources,
  name: Endpoint.DomainName,
  type: DnsMessage.RecordType
): Effect.Effect<Outcome, ResolveError> => {
  const special = specialName(name, type)
  if (special !== undefined) return Effect.succeed(special)
  return Effect.flatMap(hosts, (hosts) => {
    const listed = hosts.get(name.ascii)
    const family = DnsMessage.familyOf(type)
    // A name that the file has is the file's: DNS is not asked for its other family, as glibc does not.
    if (listed !== undefined && family !== undefined) return Effect.succeed(fromList(name, listed, family))
    return Effect.flatMap(settings, ({ ask, ndots, search }) => {
      const candidates = searched(name, search, ndots)
      const go = (index: number, before: Nothing | undefined): Effect.Effect<Outcome, ResolveError> => {
        const candidate = candidates[index]
        if (candidate === undefined) return Effect.succeed(before ?? nothing)
        return Effect.flatMap(
          Effect.mapError(chase(ask, candidate, type), (error) => new ResolveError({ ...error, host: String(name) })),
          (outcome) => {
            if (outcome._tag === "Found") return Effect.succeed(outcome)
            const all = before === undefined ? outcome : { ...outcome, timeToLive: lower(before, outcome) }
            return outcome.noName ? go(index + 1, all) : Effect.succeed(all)
          }
        )
      }
      return go(0, undefined)
    })
  })
}

/** That none of several names exists may be believed for as long as each of them may be. */
const lower = (self: Nothing, that: Nothing): Duration.Duration | undefined =>
  self.timeToLive && that.timeToLive && Duration.min(self.timeToLive, that.timeToLive)

const loopback: { readonly [F in IpFamily]: Address.IpAddress } = {
  inet: Either.getOrThrow(Address.parse("127.0.0.1")),
  inet6: Either.getOrThrow(Address.parse("::1"))
}

/** Names that are nobody's to be asked for, each with the RFC that says so. */
const kept: ReadonlyMap<string, string> = new Map([["invalid", "RFC6761"], ["onion", "RFC7686"], ["local", "RFC6762"]])

const specialName = (name: Endpoint.DomainName, type: DnsMessage.RecordType): Outcome | undefined => {
  const top = name.ascii.slice(name.ascii.lastIndexOf(".") + 1)
  if (top === "localhost") {
    const family = DnsMessage.familyOf(type)
    return family === undefined ? { _tag: "Nothing", noName: false } : fromList(name, [loopback[family]], family)
  }
  const code = kept.get(top)
  return code === undefined ? undefined : { ...nothing, code }
}

const fromList = (name: Endpoint.DomainName, list: ReadonlyArray<Address.IpAddress>, family: IpFamily): Outcome => {
  const found = list.filter((address) => address.family === family)
  if (found.length === 0) return { _tag: "Nothing", noName: false }
  const type = family === "inet6" ? "AAAA" : "A"
  return {
    _tag: "Found",
    canonicalName: name.ascii,
    records: found.map((address) => ({ name: name.ascii, timeToLive: 0, type, address })),
    // Nobody says how long; the file is read again when it changes.
    timeToLive: Duration.infinity
  }
}

/** The names to try, in order: resolv.conf(5), `search` and `ndots`. */
const searched = (
  { ascii, fullyQualified }: Endpoint.DomainName,
  search: ReadonlyArray<string>,
  ndots: number
): ReadonlyArray<string> => {
  if (fullyQualified || search.length === 0) return [ascii]
  const others = search.map((domain) => `${ascii}.${domain}`).filter((name) =>
    Either.isRight(Endpoint.domainName(name))
  )
  return ascii.split(".").length - 1 >= ndots ? [ascii, ...others] : [...others, ascii]
}

/**
 * How long a chain of CNAMEs may be. BIND and unbound ask on 11 times, each time for as much of it as one server knows,
 * so that what they answer can be longer than that; glibc and c-ares follow all that is in one answer.
 */
const longestChain = 16

/** Ask for a name, and for what its chain of CNAMEs leads to where the answer does not say that too. */
const chase = (
  ask: DnsExchange.Ask,
  name: string,
  type: DnsMessage.RecordType,
  seen: ReadonlyArray<string> = [],
  until: Duration.Duration = Duration.infinity
): Effect.Effect<Outcome, ResolveError> =>
  Effect.flatMap(ask({ name, type }), (message) => {
    const chain = follow(message, name, type, seen)
    if (chain === undefined) {
      return Effect.fail(
        new ResolveError({ host: name, family: DnsMessage.familyOf(type), reason: "InvalidResponse", code: "CNAME" })
      )
    }
    const { canonicalName, records, timeToLive } = chain
    const kept = Duration.min(until, timeToLive)
    if (records.length > 0) return Effect.succeed<Outcome>({ _tag: "Found", canonicalName, records, timeToLive: kept })
    const negative = negativeTimeToLive(message)
    const ended = message.responseCode === "NameError" || negative !== undefined || canonicalName === name
    return ended
      ? Effect.succeed<Outcome>({
        _tag: "Nothing",
        noName: message.responseCode === "NameError",
        timeToLive: negative && Duration.min(kept, negative)
      })
      : chase(ask, canonicalName, type, chain.seen, kept)
  })

interface Chain {
  readonly canonicalName: string
  readonly records: ReadonlyArray<DnsMessage.DnsRecord>
  readonly timeToLive: Duration.Duration
  readonly seen: ReadonlyArray<string>
}

/** Where the CNAMEs of a message lead from a name; `undefined` when round in a circle or too far. */
const follow = (
  { answers }: DnsMessage.Message,
  asked: string,
  type: DnsMessage.RecordType,
  before: ReadonlyArray<string>
): Chain | undefined => {
  const step = (name: string, seconds: number, seen: ReadonlyArray<string>): Chain | undefined => {
    if (seen.includes(name) || seen.length > longestChain) return undefined
    const records = answers.filter((record) => record.name === name && record.type === type)
    const alias = type === "CNAME"
      ? undefined
      : answers.find((record) => record.name === name && record.type === "CNAME")
    const own = records.length > 0 ? records : alias === undefined ? [] : [alias]
    const least = Math.min(seconds, ...own.map(({ timeToLive }) => timeToLive))
    return records.length === 0 && alias?.type === "CNAME"
      ? step(alias.target, least, [...seen, name])
      : { canonicalName: name, records, timeToLive: Duration.seconds(least), seen }
  }
  return step(asked.toLowerCase(), Infinity, before)
}

/** RFC 2308 §5: "the minimum of the MINIMUM field of the SOA record and the TTL of the SOA itself". */
const negativeTimeToLive = ({ authorities }: DnsMessage.Message): Duration.Duration | undefined => {
  const soa = authorities.find((record) => record.type === "SOA")
  return soa?.type === "SOA" ? Duration.seconds(Math.min(soa.minimum, soa.timeToLive)) : undefined
}
