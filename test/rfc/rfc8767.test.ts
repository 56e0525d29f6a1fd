/**
 * RFC 8767, Serving Stale Data to Improve DNS Resiliency, as far as it concerns a stub's cache. Exact, in virtual time.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Metric, TestClock } from "effect"
import * as Resolver from "../../src/Resolver.js"
import * as Upstream from "../support/upstream.js"

const four: Resolver.Query = { families: ["inet"] }

const asking = (cached: Resolver.Resolver["Type"], wait: Duration.DurationInput) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Upstream.ask(cached, four))
    yield* TestClock.adjust(wait)
    return yield* Fiber.join(fiber)
  })

/** A cache that has an answer of 60 seconds and is asked again when that is over; then the resolver does as told. */
const afterItsEnd = (then: Upstream.Answers, options?: Resolver.CacheOptions) =>
  Effect.gen(function*() {
    const upstream = Upstream.make((query, count) =>
      count === 0 ? [[0, Upstream.found("192.0.2.1", 60)]] : then(query, count - 1)
    )
    const cached = yield* Resolver.makeCached(upstream.resolver, { staleFor: "1 day", ...options })
    yield* Upstream.ask(cached, four)
    yield* TestClock.adjust("100 seconds")
    return { cached, ...upstream }
  })

/** Both families are asked for again, and the AAAA is answered 9 seconds after the A. */
const ofTwo = (a: ReturnType<Upstream.Answers>[number]) =>
  Effect.gen(function*() {
    const upstream = Upstream.make((_, count) =>
      count === 0
        ? [[0, Upstream.found("192.0.2.1", 60)], [0, Upstream.found("2001:db8::1", 60)]]
        : [a, [9000, Upstream.none("inet6", "NotFound", 60)]]
    )
    const cached = yield* Resolver.makeCached(upstream.resolver, { staleFor: "1 day" })
    yield* Upstream.ask(cached)
    yield* TestClock.adjust("100 seconds")
    const before = yield* Metric.value(Resolver.cacheMetrics.stale)
    const fiber = yield* Effect.fork(Upstream.ask(cached))
    yield* TestClock.adjust("10 seconds")
    const told = yield* Fiber.join(fiber)
    const after = yield* Metric.value(Resolver.cacheMetrics.stale)
    return { told, counted: after.count - before.count }
  })

describe("§4 Standards Action", () => {
  it.scoped("\"If the data is unable to be authoritatively refreshed when the TTL expires, the record MAY be used as though it is unexpired\"", () =>
    Effect.gen(function*() {
      const { cached } = yield* afterItsEnd(() => [[50, Upstream.none("inet", "ServerFailure")]])
      expect(yield* asking(cached, "1 second")).toEqual(["100050 192.0.2.1 30s"])
    }))

  it.scoped("stale data has a TTL greater than 0, 30 seconds RECOMMENDED", () =>
    Effect.gen(function*() {
      expect(Duration.toSeconds(Resolver.staleRecheckDelay)).toBe(30)
      const { cached } = yield* afterItsEnd(() => [[0, Upstream.none("inet", "Timeout")]])
      expect(yield* asking(cached, "1 second")).toEqual(["100000 192.0.2.1 30s"])
    }))

  it.scoped("the news that a name does not exist replaces what is stale", () =>
    Effect.gen(function*() {
      const { cached } = yield* afterItsEnd(() => [[0, Upstream.none("inet", "NotFound", 60)]])
      expect(yield* asking(cached, "1 second")).toEqual(["100000 inet NotFound 60s"])
      expect(yield* asking(cached, "1 second")).toEqual(["101000 inet NotFound 59s"])
    }))

  it.scoped("a new answer in time is given, and nothing stale", () =>
    Effect.gen(function*() {
      const { cached } = yield* afterItsEnd(() => [[1700, Upstream.found("192.0.2.2", 60)]])
      expect(yield* asking(cached, "10 seconds")).toEqual(["101700 192.0.2.2 60s"])
    }))
})

describe("§5 Example Method", () => {
  it.scoped("the client response timer, 1.8 seconds: what is stale is told then, and the new answer when it comes", () =>
    Effect.gen(function*() {
      const { asked, cached } = yield* afterItsEnd(() => [[3000, Upstream.found("192.0.2.2", 60)]])
      expect(yield* asking(cached, "10 seconds")).toEqual(["101800 192.0.2.1 30s", "103000 192.0.2.2 60s"])
      expect(asked.length).toBe(2)
    }))

  it.scoped("the client response timer is each family's own: what is stale does not follow what is new", () =>
    Effect.gen(function*() {
      const { counted, told } = yield* ofTwo([100, Upstream.found("192.0.2.99", 60)])
      expect(told).toEqual(["100100 192.0.2.99 60s", "101800 2001:db8::1 30s", "109100 inet6 NotFound 60s"])
      expect(counted).toBe(1)
    }))

  it.scoped("the client response timer is each family's own: what is stale does not undo the news that there is nothing", () =>
    Effect.gen(function*() {
      const { counted, told } = yield* ofTwo([100, Upstream.none("inet", "NotFound", 60)])
      expect(told).toEqual(["100100 inet NotFound 60s", "101800 2001:db8::1 30s", "109100 inet6 NotFound 60s"])
      expect(counted).toBe(1)
    }))

  it.scoped("resolution goes on in the background when whoever asked has left with the stale answer", () =>
    Effect.gen(function*() {
      const { cached } = yield* afterItsEnd(() => [[3000, Upstream.found("192.0.2.2", 60)]])
      const fiber = yield* Effect.fork(Upstream.ask(cached, four))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("2 seconds")
      expect(yield* asking(cached, 0)).toEqual(["104000 192.0.2.2 59s"])
    }))

  it.scoped("the failure recheck timer: after a failure there is no new attempt for 30 seconds", () =>
    Effect.gen(function*() {
      const { asked, cached } = yield* afterItsEnd(() => [[0, Upstream.none("inet", "ServerFailure")]])
      yield* asking(cached, 0)
      yield* TestClock.adjust("29 seconds")
      expect(yield* asking(cached, 0)).toEqual(["129000 192.0.2.1 30s"])
      expect(asked.length).toBe(2)
      yield* TestClock.adjust("1 second")
      yield* asking(cached, 0)
      expect(asked.length).toBe(3)
    }))

  it.scoped("the maximum stale timer: what is older is not used", () =>
    Effect.gen(function*() {
      const { cached } = yield* afterItsEnd(() => [[0, Upstream.none("inet", "ServerFailure")]], {
        staleFor: "30 seconds"
      })
      expect(yield* asking(cached, "1 second")).toEqual(["100000 inet ServerFailure"])
    }))

  it.scoped("nothing stale is served unless it is asked for", () =>
    Effect.gen(function*() {
      const { cached } = yield* afterItsEnd(() => [[0, Upstream.none("inet", "ServerFailure")]], { staleFor: 0 })
      expect(yield* asking(cached, "1 second")).toEqual(["100000 inet ServerFailure"])
    }))
})
