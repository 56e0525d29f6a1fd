/**
 * The cache of `Resolver.cached`: what is kept and for how long (RFC 2308, RFC 8767), and equal lookups that are one.
 *
 * What must be true: an answer is told with what is left of its time to live; whoever leaves takes nothing from the
 * others; a lookup that nobody waits for and the cache does not want is given up.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { ResolveError } from "../DialError.js"
import type { DomainName } from "../Endpoint.js"
import { type Answer, families, type IpFamily, isFailure, isPositive, noAddresses, type Query } from "./answer.js"
import { endAll } from "./endAll.js"
import * as Feed from "./feed.js"

type Resolve = (name: DomainName, query?: Query) => Stream.Stream<Answer, ResolveError>

/**
 * How long answers are kept, and which.
 *
 * @since 0.2.0
 * @category cache
 */
export interface CacheOptions {
  /**
   * How many answers are kept; each family of a name is one. The one not asked for the longest goes first.
   *
   * @default 4096
   */
  readonly capacity?: number | undefined
  /**
   * How long an answer is kept whose resolver cannot tell (getaddrinfo's). 0 keeps it only for those who ask while it is
   * looked up.
   *
   * @default 0
   */
  readonly defaultTimeToLive?: Duration.DurationInput | undefined
  /** @default 0 */
  readonly minimumTimeToLive?: Duration.DurationInput | undefined
  /**
   * RFC 8767 §4 caps what it calls an unreasonable time to live at a week; a day is long for a dial.
   *
   * @default "1 day"
   */
  readonly maximumTimeToLive?: Duration.DurationInput | undefined
  /**
   * The longest that "there is none" is kept (RFC 2308 §5).
   *
   * @default "3 hours"
   */
  readonly maximumNegativeTimeToLive?: Duration.DurationInput | undefined
  /**
   * How long a failure (no answer, a server's) is kept, at most 5 minutes (RFC 2308 §7).
   *
   * @default 0
   */
  readonly failureTimeToLive?: Duration.DurationInput | undefined
  /**
   * Serve stale (RFC 8767): how long after its end an answer may still be given when no new one can be had in time. The
   * RFC suggests 1 to 3 days.
   *
   * @default 0, which never does
   */
  readonly staleFor?: Duration.DurationInput | undefined
  /**
   * Renew in the background an answer that is asked for when less than this part of its time to live is left, 0 to 1.
   *
   * @default 0, which never does
   */
  readonly refreshAhead?: number | undefined
  /**
   * How long the rest of a lookup goes on of which nobody waits any more, once an answer of it was of use: a dial that has
   * connected leaves the other family's answer to the dials after it. One that is given up before that ends at once.
   *
   * @default {@link defaultLingering}
   */
  readonly lingerFor?: Duration.DurationInput | undefined
}

/**
 * RFC 8305 §5: "the DNS client resolver SHOULD still process DNS replies from the network for a short period of time
 * (recommended to be 1 second), as they will populate the DNS cache and can be used for subsequent connections".
 *
 * @since 0.2.0
 * @category cache
 */
export const defaultLingering: Duration.DurationInput = "1 second"

/**
 * RFC 8767 §5: "client response timer ... 1.8 seconds".
 *
 * @since 0.2.0
 * @category cache
 */
export const staleResponseDelay: Duration.DurationInput = "1.8 seconds"

/**
 * RFC 8767 §5: "failure recheck timer ... no more frequently than every 30 seconds". §4 has the same for the time to
 * live of what is stale.
 *
 * @since 0.2.0
 * @category cache
 */
export const staleRecheckDelay: Duration.DurationInput = "30 seconds"

/**
 * What a cache counts, for all caches of the process together.
 *
 * @since 0.2.0
 * @category cache
 */
export const cacheMetrics = {
  hits: Metric.counter("effect_dial_resolver_cache_hits", { incremental: true }),
  misses: Metric.counter("effect_dial_resolver_cache_misses", { incremental: true }),
  coalesced: Metric.counter("effect_dial_resolver_cache_coalesced", { incremental: true }),
  stale: Metric.counter("effect_dial_resolver_cache_stale", { incremental: true }),
  evictions: Metric.counter("effect_dial_resolver_cache_evictions", { incremental: true }),
  size: Metric.gauge("effect_dial_resolver_cache_size")
} as const

/** What one answer is about: a family, or the HTTPS records for a port. */
type Kind = IpFamily | number

interface Entry {
  readonly answer: Answer
  readonly storedAt: number
  readonly expiresAt: number
  /** After a failure: no new lookup before this (RFC 8767's failure recheck timer). */
  readonly recheckAt: number
}

type Waiter = (answer: Answer) => void

/** One lookup under way, for some kinds of one name. */
interface Flight {
  readonly waiters: Map<Kind, Set<Waiter>>
  /** Whether it goes on when nobody waits: its answer is wanted for the cache. */
  kept: boolean
  /** Whether somebody has had an answer of it. */
  used: boolean
  fiber: Fiber.RuntimeFiber<unknown> | undefined
}

/** Something for an asker: an answer, and whether it is the last of its kind. */
interface Delivery {
  readonly answer: Answer
  readonly last: boolean
}

export class Cache {
  /** In the order in which they were last asked for. */
  private readonly entries = new Map<string, Entry>()
  private readonly flights = new Map<string, Flight>()
  private readonly limits: {
    readonly [
      K in "defaults" | "minimum" | "maximum" | "negative" | "failure" | "stale" | "response" | "recheck" | "linger"
    ]: number
  }
  private readonly capacity: number

  constructor(
    private readonly lookup: Resolve,
    private readonly options: CacheOptions,
    private readonly scope: Scope.Scope
  ) {
    this.capacity = Math.max(1, options.capacity ?? 4096)
    this.limits = {
      defaults: Duration.toMillis(options.defaultTimeToLive ?? 0),
      minimum: Duration.toMillis(options.minimumTimeToLive ?? 0),
      maximum: Duration.toMillis(options.maximumTimeToLive ?? "1 day"),
      negative: Duration.toMillis(options.maximumNegativeTimeToLive ?? "3 hours"),
      failure: Math.min(Duration.toMillis(options.failureTimeToLive ?? 0), 300_000),
      stale: Duration.toMillis(options.staleFor ?? 0),
      response: Duration.toMillis(staleResponseDelay),
      recheck: Duration.toMillis(staleRecheckDelay),
      linger: Duration.toMillis(options.lingerFor ?? defaultLingering)
    }
  }

  resolve(name: DomainName, query: Query | undefined): Stream.Stream<Answer, ResolveError> {
    const kinds: ReadonlyArray<Kind> = query?.services === undefined
      ? query?.families ?? families
      : [...query.families ?? families, query.services]
    return Feed.toStream((tell, ended) => {
      const asker = new Asker(kinds.length, tell, () => ended(Exit.void), this.linger)
      return Effect.clockWith((clock) =>
        Effect.map(
          this.ask(name, kinds, asker, clock.unsafeCurrentTimeMillis()),
          () => asker.holdsNothing ? Effect.void : asker.leave
        )
      )
    })
  }

  private ask(
    name: DomainName,
    kinds: ReadonlyArray<Kind>,
    asker: Asker,
    now: number
  ): Effect.Effect<void> {
    const counts = { hits: 0, misses: 0, coalesced: 0, stale: 0 }
    const missing: Array<Kind> = []
    const renewed: Array<Kind> = []
    const late: Array<Effect.Effect<void>> = []
    for (const kind of kinds) {
      const key = keyOf(name, kind)
      const entry = this.newest(key)
      if (entry !== undefined && now < entry.expiresAt) {
        counts.hits += 1
        asker.post({ answer: aged(entry, now), last: true })
        if (this.isDue(entry, now) && !this.flights.has(key)) renewed.push(kind)
        continue
      }
      const stale = this.stale(entry, now)
      if (stale !== undefined && entry !== undefined && now < entry.recheckAt) {
        counts.stale += 1
        asker.post({ answer: stale, last: true })
        continue
      }
      const told = { any: false }
      const waiter: Waiter = (answer) => {
        told.any = true
        // RFC 8767 §4: what is stale is better than an error, but not than the news that there is nothing.
        if (stale !== undefined && isFailure(answer)) asker.post({ answer: stale, last: true })
        else asker.post({ answer, last: true })
      }
      const flight = this.flights.get(key)
      if (flight === undefined) missing.push(kind)
      else counts.coalesced += 1
      asker.waiting.push([kind, waiter])
      if (flight !== undefined) join(flight, kind, waiter, asker)
      if (stale !== undefined) {
        if (flight !== undefined) flight.kept = true
        late.push(this.answerLate(asker, stale, told))
      }
    }
    counts.misses = missing.length
    const flights = [
      missing.length === 0 ? Effect.void : this.start(name, missing, asker, late.length > 0),
      renewed.length === 0 ? Effect.void : this.start(name, renewed, undefined, true)
    ]
    return Effect.all([...flights, ...late, count(counts, this.entries.size)], { discard: true })
  }

  /** What is stale is told when nothing new has come in time; the new answer may still follow. */
  private answerLate(asker: Asker, stale: Answer, told: { readonly any: boolean }): Effect.Effect<void> {
    const tell = Effect.suspend(() => {
      if (told.any) return Effect.void
      asker.post({ answer: stale, last: false })
      return Metric.increment(cacheMetrics.stale)
    })
    return Effect.map(
      Effect.forkDaemon(Effect.interruptible(Effect.zipRight(Effect.sleep(this.limits.response), tell))),
      (fiber) => {
        asker.fibers.push(fiber)
      }
    )
  }

  private start(
    name: DomainName,
    kinds: ReadonlyArray<Kind>,
    asker: Asker | undefined,
    kept: boolean
  ): Effect.Effect<void> {
    const flight: Flight = {
      waiters: new Map(kinds.map((kind) => [kind, new Set()])),
      kept,
      used: false,
      fiber: undefined
    }
    for (const kind of kinds) this.flights.set(keyOf(name, kind), flight)
    for (const [kind, waiter] of asker?.waiting ?? []) {
      if (asker !== undefined && flight.waiters.has(kind)) join(flight, kind, waiter, asker)
    }
    const services = kinds.find((kind) => typeof kind === "number")
    const query = { families: kinds.filter((kind) => typeof kind !== "number"), services }
    const lookup = Feed.runForEach(
      this.lookup(name, query),
      (answer) => this.arrived(name, flight, answer)
    ).pipe(
      Effect.catchAll((error) => this.unanswered(name, flight, error)),
      Effect.zipRight(Effect.suspend(() => this.unanswered(name, flight, undefined))),
      Effect.onExit((exit) => {
        for (const kind of kinds) {
          if (this.flights.get(keyOf(name, kind)) === flight) this.flights.delete(keyOf(name, kind))
        }
        if (exit._tag === "Success") return Effect.void
        // A defect, or the end of the layer: whoever waits hears of it, and nothing is kept.
        const error = new ResolveError({ host: String(name), reason: "Unknown", cause: exit.cause })
        for (const [kind, waiters] of flight.waiters) waiters.forEach((tell) => tell(negative(kind, error)))
        return Effect.void
      })
    )
    return Effect.map(Effect.forkIn(Effect.interruptible(lookup), this.scope), (fiber) => {
      flight.fiber = fiber
    })
  }

  /** Give a lookup up that nobody wants, a little later: somebody may want it again until then. */
  private readonly linger = (flight: Flight): Effect.Effect<void> =>
    Effect.asVoid(Effect.forkIn(
      Effect.interruptible(Effect.zipRight(
        Effect.sleep(this.limits.linger),
        Effect.suspend(() => isWanted(flight) || flight.fiber === undefined ? Effect.void : endAll([flight.fiber]))
      )),
      this.scope
    ))

  private arrived(name: DomainName, flight: Flight, answer: Answer): Effect.Effect<void> {
    return Effect.clockWith((clock) => {
      const kind = [...flight.waiters.keys()].find((kind) =>
        answer._tag === "Services" ? typeof kind === "number" : kind === answer.family
      )
      if (kind === undefined) return Effect.void
      const key = keyOf(name, kind)
      const evicted = this.store(key, answer, clock.unsafeCurrentTimeMillis())
      if (this.flights.get(key) === flight) this.flights.delete(key)
      const waiters = flight.waiters.get(kind)
      flight.waiters.delete(kind)
      flight.used ||= waiters !== undefined && waiters.size > 0
      waiters?.forEach((tell) => tell(answer))
      return evicted === 0 ? Effect.void : Metric.incrementBy(cacheMetrics.evictions, evicted)
    })
  }

  /** What the resolver never answered, because it failed or ended. */
  private unanswered(name: DomainName, flight: Flight, error: ResolveError | undefined): Effect.Effect<void> {
    return Effect.forEach([...flight.waiters.keys()], (kind) => {
      const none = error ?? new ResolveError({ host: String(name), reason: "NotFound" })
      return this.arrived(name, flight, negative(kind, none))
    }, { discard: true })
  }

  /** How many entries had to go for it. */
  private store(key: string, answer: Answer, now: number): number {
    const known = this.entries.get(key)
    if (isFailure(answer)) {
      const until = now + this.limits.failure
      if (known !== undefined && this.stale(known, now) !== undefined) {
        this.entries.set(key, { ...known, recheckAt: now + this.limits.recheck })
      } else if (until > now) {
        this.entries.set(key, { answer, storedAt: now, expiresAt: until, recheckAt: 0 })
      }
      return this.evict()
    }
    this.entries.delete(key)
    const timeToLive = this.timeToLive(answer)
    if (timeToLive > 0) this.entries.set(key, { answer, storedAt: now, expiresAt: now + timeToLive, recheckAt: 0 })
    return this.evict()
  }

  private evict(): number {
    const over = this.entries.size - this.capacity
    for (const key of [...this.entries.keys()].slice(0, Math.max(0, over))) this.entries.delete(key)
    return Math.max(0, over)
  }

  private timeToLive(answer: Answer): number {
    const { defaults, maximum, minimum, negative } = this.limits
    const own = answer.timeToLive === undefined ? undefined : Duration.toMillis(answer.timeToLive)
    // RFC 2308 §5: without a SOA there is nothing that says how long.
    if (!isPositive(answer)) return own === undefined ? 0 : Math.min(own, negative)
    return Math.min(maximum, Math.max(minimum, own ?? defaults))
  }

  private newest(key: string): Entry | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    this.entries.delete(key)
    this.entries.set(key, entry)
    return entry
  }

  private isDue({ answer, expiresAt, storedAt }: Entry, now: number): boolean {
    const part = this.options.refreshAhead ?? 0
    return part > 0 && isPositive(answer) && expiresAt - now < part * (expiresAt - storedAt)
  }

  private stale(entry: Entry | undefined, now: number): Answer | undefined {
    return entry !== undefined && isPositive(entry.answer) && now < entry.expiresAt + this.limits.stale
      ? { ...entry.answer, timeToLive: Duration.decode(staleRecheckDelay) }
      : undefined
  }
}

/** Whoever waits for the answers to one name: so many kinds of them. */
class Asker {
  readonly waiting: Array<readonly [Kind, Waiter]> = []
  readonly joined: Array<readonly [Flight, Kind, Waiter]> = []
  readonly fibers: Array<Fiber.RuntimeFiber<unknown>> = []

  constructor(
    private left: number,
    private readonly tell: (answer: Answer) => void,
    private readonly ended: () => void,
    private readonly linger: (flight: Flight) => Effect.Effect<void>
  ) {}

  post({ answer, last }: Delivery): void {
    this.tell(answer)
    if (last && --this.left === 0) this.ended()
  }

  get holdsNothing(): boolean {
    return this.joined.length === 0 && this.fibers.length === 0
  }

  /** A lookup that nobody waits for any more is given up, unless the cache wants it. */
  readonly leave: Effect.Effect<void> = Effect.suspend(() => {
    const idle = new Set<Fiber.RuntimeFiber<unknown>>(this.fibers)
    const lingering = new Set<Flight>()
    for (const [flight, kind, waiter] of this.joined) {
      flight.waiters.get(kind)?.delete(waiter)
      if (isWanted(flight) || flight.fiber === undefined || flight.waiters.size === 0) continue
      if (flight.used) lingering.add(flight)
      else idle.add(flight.fiber)
    }
    return Effect.zipRight(Effect.forEach(lingering, this.linger, { discard: true }), endAll([...idle]))
  })
}

const isWanted = ({ kept, waiters }: Flight): boolean =>
  kept || [...waiters.values()].some((waiters) => waiters.size > 0)

const join = (flight: Flight, kind: Kind, waiter: Waiter, asker: Asker): void => {
  flight.waiters.get(kind)?.add(waiter)
  asker.joined.push([flight, kind, waiter])
}

const negative = (kind: Kind, failure: ResolveError): Answer => {
  const family = typeof kind === "number" ? undefined : kind
  const error = new ResolveError({ ...failure, family })
  return family === undefined ? { _tag: "Services", services: [], error } : noAddresses(family, error)
}

const keyOf = (name: DomainName, kind: Kind): string => `${kind} ${name}`

const aged = ({ answer, expiresAt }: Entry, now: number): Answer => ({
  ...answer,
  timeToLive: Duration.millis(expiresAt - now)
})

const count = (
  { coalesced, hits, misses, stale }: { readonly [K in "hits" | "misses" | "coalesced" | "stale"]: number },
  size: number
): Effect.Effect<void> => {
  const effects = [
    hits > 0 ? Metric.incrementBy(cacheMetrics.hits, hits) : undefined,
    misses > 0 ? Metric.incrementBy(cacheMetrics.misses, misses) : undefined,
    coalesced > 0 ? Metric.incrementBy(cacheMetrics.coalesced, coalesced) : undefined,
    stale > 0 ? Metric.incrementBy(cacheMetrics.stale, stale) : undefined,
    Metric.set(cacheMetrics.size, size)
  ]
  return Effect.all(effects.filter((effect) => effect !== undefined), { discard: true })
}
