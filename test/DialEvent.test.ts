import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Stream, TestClock } from "effect"
import * as Dialer from "../src/Dialer.js"
import { AttemptError, ConnectStopped, ResolveError } from "../src/DialError.js"
import * as DialEvent from "../src/DialEvent.js"
import * as Endpoint from "../src/Endpoint.js"
import * as Resolver from "../src/Resolver.js"
import { at, ip } from "./support/addresses.js"
import * as FakeTransport from "./support/FakeTransport.js"

const host = "db.example"

const notFound = new ResolveError({ host, family: "inet6", reason: "NotFound" })

/** AAAA is answered with nothing at 10 ms, A with three addresses at 20 ms. */
const resolver = Layer.succeed(Resolver.Resolver, {
  resolve: () =>
    Stream.fromIterable<Resolver.Answer>([
      Resolver.noAddresses("inet6", notFound),
      { _tag: "Addresses", family: "inet", addresses: ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(ip) }
    ]).pipe(Stream.mapEffect((answer) => Effect.as(Effect.sleep("10 millis"), answer)))
})

const table: { readonly [address: string]: FakeTransport.Scenario } = {
  "192.0.2.1:5432": { delay: "5 millis", outcome: "Refused" },
  "192.0.2.2:5432": { outcome: "never" },
  "192.0.2.3:5432": { delay: "4 millis", outcome: "connected" }
}

/** A dial that is observed, run to its end. */
const dial = (
  watch: (dial: Effect.Effect<unknown, unknown, Dialer.Dialer>) => Effect.Effect<unknown, unknown, Dialer.Dialer>,
  options?: { readonly to?: Endpoint.Input; readonly table?: typeof table }
) =>
  Effect.gen(function*() {
    const transport = FakeTransport.make(options?.table ?? table)
    const fiber = yield* watch(Effect.scoped(Dialer.dial(options?.to ?? `${host}:5432`))).pipe(
      Effect.provide(Dialer.layer),
      Effect.provide(Layer.merge(resolver, transport.layer)),
      Effect.exit,
      Effect.fork
    )
    yield* TestClock.adjust("1 minute")
    const exit = yield* Fiber.join(fiber)
    expect(transport.open()).toBe(0)
    return exit
  })

const first = at("192.0.2.1:5432")
const second = at("192.0.2.2:5432")
const third = at("192.0.2.3:5432")

describe("the events of a dial", () => {
  it.effect("come in the order things happened, each with its milliseconds since the dial began", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("3 minutes")
      const events: Array<DialEvent.DialEvent> = []
      yield* dial((self) => DialEvent.observe(self, () => (event) => events.push(event)))
      expect(events).toEqual([
        { _tag: "ResolutionStarted", at: 0, name: host },
        { _tag: "ResolutionFailed", at: 10, name: host, error: notFound },
        {
          _tag: "AddressesResolved",
          at: 20,
          name: host,
          family: "inet",
          addresses: [ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3")]
        },
        { _tag: "Planned", at: 20, candidates: [{ address: first }, { address: second }, { address: third }] },
        { _tag: "AttemptStarted", at: 20, attempt: 0, address: first },
        { _tag: "AttemptFailed", at: 25, attempt: 0, address: first, error: expect.any(AttemptError) },
        { _tag: "AttemptStarted", at: 30, attempt: 1, address: second },
        { _tag: "AttemptStarted", at: 280, attempt: 2, address: third },
        { _tag: "AttemptConnected", at: 284, attempt: 2, address: third },
        {
          _tag: "AttemptStopped",
          at: 284,
          attempt: 1,
          address: second,
          error: new ConnectStopped({ target: "192.0.2.2:5432" })
        },
        { _tag: "Connected", at: 284, address: third, localAddress: at("127.0.0.1:4") }
      ])
    }))

  it.effect("end with DialFailed and the error of the dial", () =>
    Effect.gen(function*() {
      const events: Array<DialEvent.DialEvent> = []
      const exit = yield* dial((self) => DialEvent.observe(self, () => (event) => events.push(event)), {
        to: "192.0.2.1:5432"
      })
      expect(events.map(({ _tag, at }) => [_tag, at])).toEqual([
        ["AttemptStarted", 0],
        ["AttemptFailed", 5],
        ["DialFailed", 5]
      ])
      expect(exit).toMatchObject({
        cause: { error: events.flatMap((e) => e._tag === "DialFailed" ? [e.error] : [])[0] }
      })
    }))

  it.effect("can be printed as JSON", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      yield* dial((self) => DialEvent.observe(self, () => (event) => lines.push(JSON.stringify(event))))
      expect(JSON.parse(lines[4] ?? "")).toEqual({
        _tag: "AttemptStarted",
        at: 20,
        attempt: 0,
        address: "192.0.2.1:5432"
      })
    }))
})

describe("an observer", () => {
  it.effect("is asked once as each dial begins, with its endpoint", () =>
    Effect.gen(function*() {
      const dials: Array<string> = []
      const counts: Array<number> = []
      yield* dial((self) =>
        DialEvent.observe(Effect.zipRight(self, self), (endpoint) => {
          dials.push(Endpoint.format(endpoint))
          const index = counts.push(0) - 1
          return () => {
            counts[index] = (counts[index] ?? 0) + 1
          }
        })
      )
      expect(dials).toEqual([`tcp://${host}:5432`, `tcp://${host}:5432`])
      expect(counts).toEqual([11, 11])
    }))

  it.effect("is told beside the observer already in force", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      yield* dial(
        (self) =>
          DialEvent.observe(
            DialEvent.observe(self, () => ({ _tag }) => told.push(`inner ${_tag}`)),
            () => ({ _tag }) => told.push(`outer ${_tag}`)
          ),
        { to: "192.0.2.3:5432" }
      )
      expect(told.toSorted()).toEqual([
        "inner AttemptConnected",
        "inner AttemptStarted",
        "inner Connected",
        "outer AttemptConnected",
        "outer AttemptStarted",
        "outer Connected"
      ])
    }))

  it.effect("does not hear of dials outside the effect it observes", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      yield* dial(
        (self) => Effect.zipRight(DialEvent.observe(Effect.void, () => ({ _tag }) => told.push(_tag)), self)
      )
      expect(told).toEqual([])
    }))

  const throwing: ReadonlyArray<readonly [string, DialEvent.Observe]> = [
    ["that throws at every event", () => () => {
      throw new Error("an observer's bug")
    }],
    ["that throws as the dial begins", () => {
      throw new Error("an observer's bug")
    }]
  ]
  for (const [who, broken] of throwing) {
    it.effect(`${who} changes nothing: the dial succeeds, the others are told, the bug is logged`, () =>
      Effect.gen(function*() {
        const told: Array<string> = []
        const logged: Array<string> = []
        const healthy: DialEvent.Observe = () => ({ _tag }) => told.push(_tag)
        const logger = Logger.make(({ message }) => {
          logged.push(String(message))
        })
        const exit = yield* dial(
          (self) => DialEvent.observe(DialEvent.observe(DialEvent.observe(self, healthy), broken), healthy),
          { to: "192.0.2.3:5432" }
        ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
        expect(exit._tag).toBe("Success")
        expect(told.toSorted()).toEqual([
          "AttemptConnected",
          "AttemptConnected",
          "AttemptStarted",
          "AttemptStarted",
          "Connected",
          "Connected"
        ])
        expect(logged[0]).toMatch(/observer threw/)
      }))
  }
})

describe("what became of each address", () => {
  const refused = new AttemptError({ operation: "connect", address: first, reason: "Refused" })
  const stopped = new ConnectStopped({ target: String(second) })
  const events: ReadonlyArray<DialEvent.DialEvent> = [
    { _tag: "ResolutionStarted", at: 0, name: host },
    { _tag: "ResolutionFailed", at: 1, name: host, error: notFound },
    { _tag: "AttemptStarted", at: 2, attempt: 0, address: first },
    { _tag: "AttemptStarted", at: 3, attempt: 1, address: second },
    { _tag: "AttemptFailed", at: 4, attempt: 0, address: first, error: refused },
    { _tag: "AttemptStarted", at: 5, attempt: 2, address: third }
  ]

  it("is told of each attempt in starting order, the ones under way as stopped now", () => {
    expect(DialEvent.reports(events, 9)).toEqual([
      { outcome: "Failed", attempt: 0, address: first, startedAt: 2, endedAt: 4, error: refused },
      { outcome: "Stopped", attempt: 1, address: second, startedAt: 3, endedAt: 9 },
      { outcome: "Stopped", attempt: 2, address: third, startedAt: 5, endedAt: 9 }
    ])
  })

  it("keeps the moment at which an attempt was stopped or connected", () => {
    const ended = DialEvent.reports([
      ...events,
      { _tag: "AttemptConnected", at: 6, attempt: 2, address: third },
      { _tag: "AttemptStopped", at: 7, attempt: 1, address: second, error: stopped }
    ], 9)
    expect(ended.slice(1)).toEqual([
      { outcome: "Stopped", attempt: 1, address: second, startedAt: 3, endedAt: 7 },
      { outcome: "Connected", attempt: 2, address: third, startedAt: 5, endedAt: 6 }
    ])
  })

  it("tells last of the addresses that were planned and never tried", () => {
    const fourth = at("192.0.2.4:5432")
    expect(DialEvent.reports(events, 9, [fourth, first, second, third]).slice(3)).toEqual([
      { outcome: "NeverTried", address: fourth, why: "the dial ended before its turn" }
    ])
  })

  it("has the lookups that failed beside it, in their order", () => {
    const second = new ResolveError({ host, family: "inet", reason: "Timeout" })
    expect(DialEvent.unresolved([...events, { _tag: "ResolutionFailed", at: 8, name: host, error: second }])).toEqual([
      notFound,
      second
    ])
  })
})
