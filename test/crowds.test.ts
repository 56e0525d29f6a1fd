/**
 * Many lookups at once: equal ones are one, no more are under way than may be, and whoever leaves takes nothing from the
 * others.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either, Exit, Fiber, Stream } from "effect"
import * as DnsResolver from "../src/DnsResolver.js"
import * as Endpoint from "../src/Endpoint.js"
import { Flights } from "../src/internal/flights.js"
import { Permits } from "../src/internal/permits.js"
import { Resolver } from "../src/Resolver.js"
import { NameServer, SimNetwork } from "../src/testing/index.js"
import { at } from "./support/addresses.js"
import { within } from "./support/loopback.js"
import { interruptAtEveryStep } from "./support/steps.js"

const name = (text: string) => Either.getOrThrow(Endpoint.domainName(text))

/** A lookup of both families; how many answers it had. */
const lookUp = (text: string) =>
  Effect.flatMap(Resolver, ({ resolve }) => Effect.map(Stream.runCollect(resolve(name(text))), ({ length }) => length))

const query = (text: string) => Effect.flatMap(DnsResolver.DnsResolver, ({ query }) => query(name(text), "A"))

/** A name server that takes 100 ms; with what it was asked, and when. */
const withServer = <A, E>(
  use: Effect.Effect<A, E, Resolver | DnsResolver.DnsResolver>,
  options?: Partial<DnsResolver.DnsOptions>
) => {
  const answer = { A: { answers: ["192.0.2.1"], delay: 100 }, AAAA: { answers: ["2001:db8::1"], delay: 100 } }
  const { listeners, log } = NameServer.make(
    Object.fromEntries(["a", "b", "c", "d", "e", "f"].map((letter) => [`${letter}.test`, answer]))
  )
  const dns = DnsResolver.layerServers({ ...options, servers: [at("10.0.0.53:53")] })
  return SimNetwork.run(Effect.timed(Effect.provide(use, dns)), {
    hosts: { dns: { addresses: ["10.0.0.53"], listeners } }
  }).pipe(Effect.map(([elapsed, value]) => ({ value, millis: Duration.toMillis(elapsed), log })))
}

describe("equal lookups under way", () => {
  it.live("are one, each of whose askers has both answers", () =>
    Effect.gen(function*() {
      const { log, millis, value } = yield* withServer(
        Effect.all(Array.from({ length: 50 }, () => lookUp("a.test")), { concurrency: "unbounded" })
      )
      expect(value).toEqual(Array.from({ length: 50 }, () => 2))
      expect(log.map(({ type }) => type)).toEqual(["AAAA", "A"])
      expect(millis).toBe(100)
    }))

  it.live("are one though one comes later, and are two when the first is over", () =>
    Effect.gen(function*() {
      const later = Effect.delay(query("a.test"), 99)
      const afterwards = Effect.delay(query("a.test"), 101)
      const { log } = yield* withServer(
        Effect.all([query("a.test"), later, afterwards], { concurrency: "unbounded" })
      )
      expect(log.length).toBe(2)
    }))

  it.live("go on for the others when one leaves, be it the one who began", () =>
    Effect.gen(function*() {
      const { log, millis, value } = yield* withServer(Effect.gen(function*() {
        const first = yield* Effect.fork(lookUp("a.test"))
        const second = yield* Effect.fork(lookUp("a.test"))
        yield* Effect.sleep(50)
        yield* Fiber.interrupt(first)
        return yield* Fiber.join(second)
      }))
      expect([value, millis, log.length]).toEqual([2, 100, 2])
    }))

  it.live("are given up when all have left, and asked again after that", () =>
    Effect.gen(function*() {
      const { log, millis, value } = yield* withServer(Effect.gen(function*() {
        const all = yield* Effect.fork(
          Effect.all([lookUp("a.test"), lookUp("a.test")], { concurrency: "unbounded" })
        )
        yield* Effect.sleep(50)
        yield* Fiber.interrupt(all)
        return yield* lookUp("a.test")
      }))
      expect([value, millis, log.length]).toEqual([2, 150, 4])
    }))
})

describe("a lookup that throws before it is under way", () => {
  it.live("is a defect for whoever asked, and nobody's later", () =>
    Effect.gen(function*() {
      const flights = new Flights<string, never>()
      const ask = (lookup: () => Effect.Effect<string>) =>
        Effect.async<string>((resume) => {
          const { begin = Effect.void } = flights.join("a.test", lookup, resume)
          Effect.runSync(begin)
        })
      const bug = () => {
        throw new Error("a bug")
      }
      const defect = Effect.catchAllDefect(ask(bug), (defect) => Effect.succeed(String(defect)))
      expect(yield* within("the defect", defect)).toBe("Error: a bug")
      expect(yield* within("the next lookup", ask(() => Effect.succeed("found")))).toBe("found")
    }))
})

describe("questions under way", () => {
  const each = ["a", "b", "c", "d", "e", "f"]

  it.live("are no more than maxInFlight; the others come in their order, and their wait is not of their timeout", () =>
    Effect.gen(function*() {
      const { log, millis } = yield* withServer(
        Effect.forEach(each, (letter) => query(`${letter}.test`), { concurrency: "unbounded" }),
        { maxInFlight: 2, timeout: "150 millis", attempts: 1 }
      )
      expect(log.map(({ at, name }) => `${at} ${name}`)).toEqual([
        "0 a.test",
        "0 b.test",
        "100 c.test",
        "100 d.test",
        "200 e.test",
        "200 f.test"
      ])
      expect(millis).toBe(300)
    }))

  it.live("give their place up when they are interrupted, waiting or under way", () =>
    Effect.gen(function*() {
      const { log } = yield* withServer(
        Effect.gen(function*() {
          const underWay = yield* Effect.fork(query("a.test"))
          const waiting = yield* Effect.fork(query("b.test"))
          const last = yield* Effect.fork(query("c.test"))
          yield* Effect.sleep(50)
          yield* Fiber.interrupt(waiting)
          yield* Fiber.interrupt(underWay)
          yield* Fiber.join(last)
        }),
        { maxInFlight: 1 }
      )
      expect(log.map(({ at, name }) => `${at} ${name}`)).toEqual(["0 a.test", "50 c.test"])
    }))
})

describe("permits", () => {
  it.live("are given back, whatever step an interruption comes at", () =>
    Effect.gen(function*() {
      const steps = yield* interruptAtEveryStep(() => {
        const permits = new Permits(1)
        const underWay = { now: 0, most: 0 }
        const work = Effect.acquireUseRelease(
          Effect.sync(() => {
            underWay.now += 1
            underWay.most = Math.max(underWay.most, underWay.now)
          }),
          () => Effect.sleep(10),
          () =>
            Effect.sync(() => {
              underWay.now -= 1
            })
        )
        return {
          // The second waits for the first, which nobody interrupts.
          program: Effect.forkDaemon(permits.use(work)).pipe(
            Effect.zipRight(Effect.yieldNow()),
            Effect.zipRight(permits.use(work))
          ),
          after: (exit, step) =>
            Effect.gen(function*() {
              expect(Exit.isSuccess(exit) || Exit.isInterrupted(exit), `step ${step}`).toBe(true)
              expect([underWay.now, underWay.most <= 1], `step ${step}`).toEqual([0, true])
              yield* within(`a permit after step ${step}`, permits.use(Effect.void))
            })
        }
      })
      expect(steps).toBeGreaterThan(50)
    }))
})
