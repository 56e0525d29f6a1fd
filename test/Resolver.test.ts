import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Fiber, Metric, Stream, TestClock } from "effect"
import { ResolveError } from "../src/DialError.js"
import * as Endpoint from "../src/Endpoint.js"
import * as Resolver from "../src/Resolver.js"
import { ip } from "./support/addresses.js"
import * as Upstream from "./support/upstream.js"

type Names = Parameters<typeof Resolver.layerStatic>[0]

/** The answers as lines: the addresses of a family, or why it has none. */
const resolve = (names: Names, name: string) =>
  Effect.flatMap(
    Resolver.Resolver,
    (resolver) => Stream.runCollect(resolver.resolve(Either.getOrThrow(Endpoint.domainName(name))))
  ).pipe(
    Effect.map((answers) =>
      [...answers].map((answer) =>
        answer._tag === "Addresses"
          ? `${answer.family}: ${answer.addresses.join(" ")}`
          : answer._tag === "Services"
          ? "services"
          : `${answer.family}: ${answer.error.host} ${answer.error.family} ${answer.error.reason}`
      )
    ),
    Effect.provide(Resolver.layerStatic(names))
  )

const names: Names = {
  "db.example": [ip("10.0.0.7"), ip("fd00::7"), ip("10.0.0.8")],
  "v4.example": [ip("10.0.0.9")]
}

describe("a static resolver", () => {
  it.effect("answers for both families, IPv6 first, each in the order given", () =>
    Effect.gen(function*() {
      expect(yield* resolve(names, "db.example")).toEqual(["inet6: fd00::7", "inet: 10.0.0.7 10.0.0.8"])
      expect(Resolver.families).toEqual(["inet6", "inet"])
    }))

  it.effect("says NotFound of a family the name does not have", () =>
    Effect.gen(function*() {
      expect(yield* resolve(names, "v4.example")).toEqual(["inet6: v4.example inet6 NotFound", "inet: 10.0.0.9"])
    }))

  it.effect("says NotFound of both families of a name it does not know", () =>
    Effect.gen(function*() {
      expect(yield* resolve(names, "other.example")).toEqual([
        "inet6: other.example inet6 NotFound",
        "inet: other.example inet NotFound"
      ])
      expect((yield* resolve(names, "constructor")).every((line) => line.endsWith("NotFound"))).toBe(true)
      expect((yield* resolve({ "empty.example": [] }, "empty.example")).length).toBe(2)
    }))

  it.effect("compares names without regard to case or a trailing dot, on either side", () =>
    Effect.gen(function*() {
      const expected = ["inet6: v4.example inet6 NotFound", "inet: 10.0.0.9"]
      expect(yield* resolve(names, "V4.Example")).toEqual(expected)
      expect(yield* resolve({ "V4.EXAMPLE.": [ip("10.0.0.9")] }, "v4.example")).toEqual(expected)
      expect((yield* resolve(names, "v4.example."))[1]).toBe("inet: 10.0.0.9")
    }))

  it.effect("knows an internationalised name however it is written", () =>
    Effect.gen(function*() {
      const addresses = [ip("10.0.0.9")]
      for (const key of ["bücher.example", "xn--bcher-kva.example"]) {
        for (const asked of ["bücher.example", "xn--bcher-kva.example"]) {
          expect((yield* resolve({ [key]: addresses }, asked))[1], `${key} asked as ${asked}`).toBe("inet: 10.0.0.9")
        }
      }
    }))
})

describe("a cache", () => {
  const four: Resolver.Query = { families: ["inet"] }
  const both: Upstream.Answers = () => [[0, Upstream.found("2001:db8::1", 60)], [0, Upstream.found("192.0.2.1", 30)]]

  it.scoped("gives an answer again with what is left of its time, each family by itself", () =>
    Effect.gen(function*() {
      const { asked, resolver } = Upstream.make((query) =>
        both(query, 0).filter(([, answer]) =>
          typeof answer === "object" && "family" in answer && (query?.families ?? []).includes(answer.family as "inet")
        )
      )
      const cached = yield* Resolver.makeCached(resolver)
      expect(yield* Upstream.ask(cached)).toEqual(["0 2001:db8::1 60s", "0 192.0.2.1 30s"])
      yield* TestClock.adjust("20 seconds")
      expect(yield* Upstream.ask(cached)).toEqual(["20000 2001:db8::1 40s", "20000 192.0.2.1 10s"])
      expect(asked.length).toBe(1)
      yield* TestClock.adjust("10 seconds")
      // The A has come to its end, the AAAA has not: only the A is asked for.
      expect(yield* Upstream.ask(cached)).toEqual(["30000 2001:db8::1 30s", "30000 192.0.2.1 30s"])
      expect(asked).toEqual([["db.test inet6+inet", 0], ["db.test inet", 30_000]])
    }))

  it.scoped("keeps names apart that differ in their trailing dot, and not in their case", () =>
    Effect.gen(function*() {
      const { asked, resolver } = Upstream.make(() => [[0, Upstream.found("192.0.2.1", 30)]])
      const cached = yield* Resolver.makeCached(resolver)
      yield* Upstream.ask(cached, four, "DB.test")
      yield* Upstream.ask(cached, four, "db.test")
      yield* Upstream.ask(cached, four, "db.test.")
      expect(asked.map(([text]) => text)).toEqual(["db.test inet", "db.test. inet"])
    }))

  it.scoped("makes one lookup of equal questions, and a late family holds up no other", () =>
    Effect.gen(function*() {
      const { asked, resolver } = Upstream.make(
        () => [[10, Upstream.found("192.0.2.1", 30)], [500, Upstream.found("2001:db8::1", 30)]]
      )
      const cached = yield* Resolver.makeCached(resolver)
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.fork(Upstream.ask(cached)))
      yield* TestClock.adjust("1 second")
      for (const fiber of fibers) expect(yield* Fiber.join(fiber)).toEqual(["10 192.0.2.1 30s", "510 2001:db8::1 30s"])
      expect(asked.length).toBe(1)
    }))

  it.scoped("one who leaves takes nothing from the others; the last one ends the lookup", () =>
    Effect.gen(function*() {
      const { resolver, seen } = Upstream.make(() => [[100, Upstream.found("192.0.2.1", 30)]])
      const cached = yield* Resolver.makeCached(resolver)
      const first = yield* Effect.fork(Upstream.ask(cached, four))
      const second = yield* Effect.fork(Upstream.ask(cached, four))
      yield* TestClock.adjust("50 millis")
      yield* Fiber.interrupt(first)
      expect(seen.given).toBe(0)
      yield* Fiber.interrupt(second)
      expect(seen.given).toBe(1)
    }))

  it.scoped("keeps nothing whose time nobody tells, unless it is said how long", () =>
    Effect.gen(function*() {
      const { asked, resolver } = Upstream.make(() => [[0, Upstream.found("192.0.2.1")]])
      const plain = yield* Resolver.makeCached(resolver)
      yield* Effect.repeatN(Upstream.ask(plain, four), 1)
      expect(asked.length).toBe(2)
      const keeping = yield* Resolver.makeCached(resolver, { defaultTimeToLive: "5 seconds" })
      yield* Effect.repeatN(Upstream.ask(keeping, four), 1)
      expect(asked.length).toBe(3)
    }))

  it.scoped("holds times between its bounds", () =>
    Effect.gen(function*() {
      const { resolver } = Upstream.make((_, count) => [[0, Upstream.found("192.0.2.1", count === 0 ? 1 : 1e9)]])
      const cached = yield* Resolver.makeCached(resolver, { minimumTimeToLive: "10 seconds" })
      yield* Upstream.ask(cached, four)
      expect(yield* Upstream.ask(cached, four)).toEqual(["0 192.0.2.1 10s"])
      yield* TestClock.adjust("10 seconds")
      yield* Upstream.ask(cached, four)
      expect(yield* Upstream.ask(cached, four)).toEqual([`10000 192.0.2.1 ${24 * 3600}s`])
    }))

  it.scoped("holds so many answers, and lets go first what was not asked for the longest", () =>
    Effect.gen(function*() {
      const { asked, resolver } = Upstream.make(() => [[0, Upstream.found("192.0.2.1", 30)]])
      const cached = yield* Resolver.makeCached(resolver, { capacity: 2 })
      for (const text of ["a.test", "b.test", "a.test", "c.test", "a.test", "b.test"]) {
        yield* Upstream.ask(cached, four, text)
      }
      expect(asked.map(([text]) => text)).toEqual(["a.test inet", "b.test inet", "c.test inet", "b.test inet"])
    }))

  it.scoped("renews in the background what is asked for near its end", () =>
    Effect.gen(function*() {
      const { asked, resolver } = Upstream.make((_, count) => [[100, Upstream.found(`192.0.2.${count + 1}`, 100)]])
      const cached = yield* Resolver.makeCached(resolver, { refreshAhead: 0.2 })
      yield* Effect.zipLeft(Effect.fork(Upstream.ask(cached, four)), TestClock.adjust("70 seconds"))
      yield* Upstream.ask(cached, four)
      expect(asked.length).toBe(1)
      yield* TestClock.adjust("20 seconds")
      expect(yield* Upstream.ask(cached, four)).toEqual(["90000 192.0.2.1 10.1s"])
      yield* TestClock.adjust("1 second")
      expect(yield* Upstream.ask(cached, four)).toEqual(["91000 192.0.2.2 99.1s"])
      expect(asked.map(([, at]) => at)).toEqual([0, 90_000])
    }))

  it.scoped("tells a defect of the resolver as an error, and keeps nothing of it", () =>
    Effect.gen(function*() {
      const broken: Resolver.Resolver["Type"] = { resolve: () => Stream.dieMessage("a bug") }
      const cached = yield* Resolver.makeCached(broken, { failureTimeToLive: "1 minute" })
      expect(yield* Upstream.ask(cached, four)).toEqual(["0 inet Unknown"])
    }))

  it.scoped("counts what it does", () =>
    Effect.gen(function*() {
      const { resolver } = Upstream.make(() => [[0, Upstream.found("192.0.2.1", 30)]])
      const before = yield* Metric.value(Resolver.cacheMetrics.hits)
      const cached = yield* Resolver.makeCached(resolver)
      yield* Effect.repeatN(Upstream.ask(cached, four), 3)
      expect((yield* Metric.value(Resolver.cacheMetrics.hits)).count - before.count).toBe(3)
    }))
})

describe("orElse", () => {
  const first = Resolver.layerStatic({ "pinned.test": [ip("10.0.0.7")] })
  const second = Resolver.layerStatic({ "pinned.test": [ip("fd00::9")], "other.test": [ip("10.0.0.8")] })
  const asked = (text: string) =>
    Effect.flatMap(
      Effect.all([Effect.provide(Resolver.Resolver, first), Effect.provide(Resolver.Resolver, second)]),
      ([self, that]) => Upstream.ask(Resolver.orElse(self, that), undefined, text)
    )

  it.effect("asks the second only for a name of which the first has nothing", () =>
    Effect.gen(function*() {
      expect(yield* asked("pinned.test")).toEqual(["0 10.0.0.7", "0 inet6 NotFound"])
      expect(yield* asked("other.test")).toEqual(["0 inet6 NotFound", "0 10.0.0.8"])
      expect(yield* asked("none.test")).toEqual(["0 inet6 NotFound", "0 inet NotFound"])
    }))

  it.effect("asks the second when the first fails", () =>
    Effect.gen(function*() {
      const failing: Resolver.Resolver["Type"] = {
        resolve: () => Stream.fail(new ResolveError({ host: "a.test", reason: "Temporary" }))
      }
      const that = yield* Effect.provide(Resolver.Resolver, second)
      expect(yield* Upstream.ask(Resolver.orElse(that)(failing), undefined, "other.test")).toContain("0 10.0.0.8")
    }))
})

describe("filter", () => {
  it.effect("leaves out what is refused, and says NotFound where nothing is left", () =>
    Effect.gen(function*() {
      const names = Resolver.layerStatic({ "a.test": [ip("10.0.0.7"), ip("192.0.2.1"), ip("::1")] })
      const resolver = yield* Effect.provide(Resolver.Resolver, names)
      const allowed = Resolver.filter(resolver, (address) => String(address).startsWith("192."))
      expect(yield* Upstream.ask(allowed, undefined, "a.test")).toEqual(["0 inet6 NotFound", "0 192.0.2.1"])
    }))
})
