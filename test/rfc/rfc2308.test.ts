/** RFC 2308, Negative Caching of DNS Queries, as far as it concerns a stub and its cache. Exact, in virtual time. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as Resolver from "../../src/Resolver.js"
import * as Upstream from "../support/upstream.js"

const four: Resolver.Query = { families: ["inet"] }

const count = (answer: Resolver.Answer, options?: Resolver.CacheOptions) =>
  Effect.gen(function*() {
    const { asked, resolver } = Upstream.make(() => [[0, answer]])
    const cached = yield* Resolver.makeCached(resolver, options)
    const after = (wait: number) =>
      Effect.gen(function*() {
        yield* TestClock.adjust(wait * 1000)
        const [told] = yield* Upstream.ask(cached, four)
        return [told?.split(" ").slice(1).join(" "), asked.length]
      })
    return { after }
  })

describe("§5 Caching Negative Answers", () => {
  it.scoped("\"Like normal answers negative answers have a time to live (TTL)\", which is counted down", () =>
    Effect.gen(function*() {
      const { after } = yield* count(Upstream.none("inet", "NotFound", 60))
      expect(yield* after(0)).toEqual(["inet NotFound 60s", 1])
      expect(yield* after(59)).toEqual(["inet NotFound 1s", 1])
      expect(yield* after(1)).toEqual(["inet NotFound 60s", 2])
    }))

  it.scoped("negative answers without a SOA, and so without a time, are not cached", () =>
    Effect.gen(function*() {
      const { after } = yield* count(Upstream.none("inet", "NotFound"))
      yield* after(0)
      expect(yield* after(0)).toEqual(["inet NotFound", 2])
    }))

  it.scoped("\"values of one to three hours have been found to work well\": the limit is three hours, and can be less", () =>
    Effect.gen(function*() {
      const day = Upstream.none("inet", "NotFound", 24 * 3600)
      const { after } = yield* count(day)
      yield* after(0)
      expect(yield* after(3 * 3600 - 1)).toEqual(["inet NotFound 1s", 1])
      expect((yield* after(1))[1]).toBe(2)
      const limited = yield* count(day, { maximumNegativeTimeToLive: "10 seconds" })
      yield* limited.after(0)
      expect((yield* limited.after(10))[1]).toBe(2)
    }))
})

describe("§7 Other Negative Responses", () => {
  it.scoped("a server failure need not be cached, and is not unless it is asked for", () =>
    Effect.gen(function*() {
      const { after } = yield* count(Upstream.none("inet", "ServerFailure"))
      yield* after(0)
      expect((yield* after(0))[1]).toBe(2)
    }))

  it.scoped("\"a server failure ... MUST NOT be cached for longer than five (5) minutes\"", () =>
    Effect.gen(function*() {
      const { after } = yield* count(Upstream.none("inet", "ServerFailure"), { failureTimeToLive: "1 hour" })
      yield* after(0)
      expect((yield* after(299))[1]).toBe(1)
      expect((yield* after(1))[1]).toBe(2)
    }))
})
