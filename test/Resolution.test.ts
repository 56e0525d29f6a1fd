/** The end of a resolution: it comes, whatever else comes at the same time, and nothing is told after it. */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Either, Fiber, Layer, Option, Supervisor, TestClock } from "effect"
import * as Dialer from "../src/Dialer.js"
import * as Endpoint from "../src/Endpoint.js"
import * as Resolution from "../src/Resolution.js"
import * as Resolver from "../src/Resolver.js"
import * as ServiceBinding from "../src/ServiceBinding.js"
import { SourceAddress } from "../src/SourceAddress.js"
import { answering, endpoint, failed, found, none, refused, type Script } from "./support/dials.js"
import * as Upstream from "./support/upstream.js"

const named = Either.getOrThrow(Endpoint.parse(endpoint)) as Endpoint.Named

const a = found("192.0.2.1")

/** One address alone is in order, and nobody is asked for its source. */
const two = found("192.0.2.1", "192.0.2.2")

/** A machine that takes 10 ms to tell the source of each address. */
const sourceFor: SourceAddress["Type"]["sourceFor"] = () => Effect.as(Effect.sleep(10), Option.none())

const order: Resolution.Order = (addresses) => Effect.as(Effect.sleep(10), addresses.map((address) => ({ address })))

/** Everything that a resolution tells, with its moment, and its end; `undefined` instead when there is none in an hour. */
const resolution = (
  resolver: Resolver.Resolver["Type"],
  options: Resolution.ResolutionOptions,
  ports?: Partial<Resolution.Ports>
) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const tell = (what: string) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        lines.push(`${at} ${what}`)
      })
    const run = Resolution.run({ resolver, order, ...ports }, named, options, {
      answered: (_, answer) =>
        answer._tag === "Services" ? tell("services") : tell(
          answer._tag === "Addresses"
            ? `${answer.family} ${answer.addresses.join(" ")}`
            : `${answer.family} ${answer._tag === "NoAddresses" ? answer.error.reason : answer.reason}`
        ),
      planned: (plan) => tell(`plan ${plan.map(({ address }) => String(address)).join(" ")}`)
    })
    const fiber = yield* Effect.fork(Effect.zipRight(run, tell("end")))
    yield* TestClock.adjust("1 hour")
    yield* Fiber.interrupt(fiber)
    return lines
  })

const scripted = (script: Script) => Effect.provide(Resolver.Resolver, answering(script))

describe("a resolution whose time is over", () => {
  const limited: Resolution.ResolutionOptions = { resolutionTimeout: "100 millis" }

  const told = [
    "0 inet 192.0.2.1",
    "60 plan 192.0.2.1:5432",
    "100 inet6 Timeout",
    "110 end"
  ]

  it.effect("ends when the addresses are in order, though its lookup ends meanwhile", () =>
    Effect.gen(function*() {
      const resolver = yield* scripted([[0, a], [102, none("inet6", "Timeout")]])
      expect(yield* resolution(resolver, limited)).toEqual(told)
    }))

  it.effect("tells of each family once when the resolver's time is over at the same moment", () =>
    Effect.gen(function*() {
      const resolver = yield* scripted([[0, a], [100, none("inet6", "Timeout")]])
      expect(yield* resolution(resolver, limited)).toEqual(told)
    }))

  it.effect("takes no answer that comes while the addresses are put in order", () =>
    Effect.gen(function*() {
      const resolver = yield* scripted([[0, a], [105, found("2001:db8::1")], [105, "never"]])
      expect(yield* resolution(resolver, limited)).toEqual(told)
    }))

  it.effect("asks for no more names, whatever records come", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const binding = ServiceBinding.make({ priority: 1, target: "other.test" })
      const { resolve } = yield* scripted([[0, a], [105, { _tag: "Services", services: [binding] }], [105, "never"]])
      const resolver: Resolver.Resolver["Type"] = {
        resolve: (name, query) => {
          asked.push(String(name))
          return resolve(name, query)
        }
      }
      yield* resolution(resolver, { ...limited, happyEyeballsV3: {} })
      expect(asked).toEqual(["db.example"])
    }))

  it.effect("gives resolveAddress what is known", () =>
    Effect.gen(function*() {
      const fiber = yield* Dialer.resolveAddress(named, limited).pipe(
        Effect.provide(answering([[0, two], [102, none("inet6", "Timeout")]])),
        Effect.provide(Layer.succeed(SourceAddress, { sourceFor })),
        Effect.timeoutOption("1 minute"),
        Effect.fork
      )
      yield* TestClock.adjust("1 hour")
      expect(Option.map(yield* Fiber.join(fiber), (addresses) => addresses.map(String))).toEqual(
        Option.some(["192.0.2.1:5432", "192.0.2.2:5432"])
      )
    }))

  it.effect("lets a dial fail whose addresses have all failed", () =>
    Effect.gen(function*() {
      const { endedAt, error } = yield* failed({
        answers: [[0, two], [102, none("inet6", "Timeout")]],
        table: { "192.0.2.1:5432": refused(), "192.0.2.2:5432": refused() },
        options: { ...limited, timeout: "1 minute" },
        sourceFor
      })
      expect([error._tag, endedAt]).toEqual(["AllAttemptsFailed", 120])
    }))
})

describe("a lookup that has ended", () => {
  it.scoped("leaves nothing of itself behind", () =>
    Effect.gen(function*() {
      // Each of the two has an alarm of 1.8 seconds while it is renewed, for what is stale.
      const upstream = Upstream.make((_, count) => [
        [count * 100, Upstream.found("192.0.2.1", 10)],
        [count * 100, Upstream.found("2001:db8::1", 10)]
      ])
      const resolver = yield* Resolver.makeCached(upstream.resolver, { staleFor: "1 day" })
      yield* Upstream.ask(resolver, undefined, named.host.ascii)
      yield* TestClock.adjust("20 seconds")
      const supervisor = yield* Supervisor.track
      const fiber = yield* Resolution.run({ resolver }, named, {}, {
        answered: () => Effect.void,
        planned: () => Effect.void
      }).pipe(Effect.supervised(supervisor), Effect.fork)
      yield* TestClock.adjust("200 millis")
      yield* Fiber.join(fiber)
      expect((yield* supervisor.value).map((fiber) => fiber.unsafePoll())).toEqual([])
    }))
})
