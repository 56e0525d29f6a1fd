import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, Random, TestClock } from "effect"
import * as Dialer from "../src/Dialer.js"
import { History, type HistoryOptions, layer } from "../src/History.js"
import * as Resolver from "../src/Resolver.js"
import { SourceAddress } from "../src/SourceAddress.js"
import { ip } from "./support/addresses.js"
import * as FakeTransport from "./support/FakeTransport.js"

const here = ip("10.0.0.9")
const there = ip("192.0.2.1")

const remembering = <A, E>(effect: Effect.Effect<A, E, History>, options?: HistoryOptions) =>
  Effect.provide(effect, layer(options))

const connected = (roundTrip: number) => ({ _tag: "Connected", roundTrip }) as const

const recall = (address = there, source = here) =>
  Effect.flatMap(History, (history) =>
    Effect.map(history.recall(address, source), ({ roundTrip, used }) => [
      roundTrip === undefined ? undefined : Duration.toMillis(roundTrip),
      used
    ]))

describe("a history", () => {
  it.effect("knows nothing of an address it was not told of", () =>
    remembering(Effect.map(recall(), (known) => expect(known).toEqual([undefined, false]))))

  it.effect("remembers that an address was used, and its round-trip time, smoothed by an eighth", () =>
    remembering(Effect.gen(function*() {
      const { learn } = yield* History
      yield* learn(there, here, connected(80))
      expect(yield* recall()).toEqual([80, true])
      yield* learn(there, here, connected(160))
      expect(yield* recall()).toEqual([90, true])
    })))

  it.effect("a failure forgets both", () =>
    remembering(Effect.gen(function*() {
      const { learn } = yield* History
      yield* learn(there, here, connected(80))
      yield* learn(there, here, { _tag: "Failed" })
      expect(yield* recall()).toEqual([undefined, false])
    })))

  it.effect("is dropped when the machine reaches the address from elsewhere: another network", () =>
    remembering(Effect.gen(function*() {
      const { learn } = yield* History
      yield* learn(there, here, connected(80))
      expect(yield* recall(there, ip("172.16.0.9"))).toEqual([undefined, false])
      expect(yield* recall()).toEqual([undefined, false])
    })))

  it.effect("expires, and holds so many addresses at most", () =>
    remembering(
      Effect.gen(function*() {
        const { learn } = yield* History
        for (const n of [1, 2, 3]) yield* learn(ip(`192.0.2.${n}`), here, connected(n))
        expect(yield* recall(ip("192.0.2.1"))).toEqual([undefined, false])
        expect(yield* recall(ip("192.0.2.2"))).toEqual([2, true])
        yield* TestClock.adjust("1 minute")
        expect(yield* recall(ip("192.0.2.2"))).toEqual([undefined, false])
      }),
      { capacity: 2, timeToLive: "1 minute" }
    ))
})

describe("dials with a history", () => {
  const host = "db.test"
  const addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]

  const dialing = (delays: (address: string) => number, dials: number) =>
    Effect.gen(function*() {
      const table = Object.fromEntries(addresses.map((address) => [
        `${address}:1`,
        {
          get delay() {
            return delays(address)
          },
          outcome: "connected" as const
        }
      ]))
      const transport = FakeTransport.make(table)
      const sources = Layer.succeed(SourceAddress, { sourceFor: () => Effect.succeed(Option.some(here)) })
      const names = Resolver.layerStatic({ [host]: addresses.map(ip) })
      const network = Layer.provide(Dialer.layer, Layer.mergeAll(transport.layer, sources, names, layer()))
      const one = Effect.scoped(Dialer.dial(`${host}:1`))
      return yield* Effect.map(
        Effect.forEach(Array.from({ length: dials }), () =>
          Effect.zipRight(
            Effect.fork(Effect.map(one, ({ remoteAddress }) => String(remoteAddress))),
            TestClock.adjust("1 second")
          )).pipe(
            Effect.zipRight(Effect.map(TestClock.currentTimeMillis, () =>
              transport.starts().map(([address]) =>
                address.replace(":1", "")
              ))),
            Effect.provide(network)
          ),
        (starts) =>
          starts
      )
    })

  it.effect("an address that was slower than the race is not attempted first again", () =>
    Effect.gen(function*() {
      // The first is slower than the Connection Attempt Delay, so the second is tried beside it and wins.
      const starts = yield* dialing((address) => address === "192.0.2.1" ? 900 : 30, 3)
      expect(starts).toEqual(["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.2"])
    }))

  it.effect("the order settles although every round trip is noisy", () =>
    Effect.gen(function*() {
      const noise = yield* Effect.map(Effect.random, (random) => random)
      const jitter = yield* Effect.forEach(Array.from({ length: 400 }), () => noise.nextIntBetween(0, 10)).pipe(
        Effect.withRandom(Random.make("noise"))
      )
      const starts = yield* dialing(() => 20 + (jitter.shift() ?? 0), 100)
      expect(new Set(starts.slice(10)).size).toBe(1)
    }))
})
