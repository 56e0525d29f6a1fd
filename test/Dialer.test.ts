import { describe, expect, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Scope, Stream, Supervisor, TestClock } from "effect"
import * as Dialer from "../src/Dialer.js"
import { AllAttemptsFailed, AttemptError, DialTimeout, InvalidEndpoint, ResolveError } from "../src/DialError.js"
import * as DialEvent from "../src/DialEvent.js"
import * as Endpoint from "../src/Endpoint.js"
import * as Resolver from "../src/Resolver.js"
import { Transport } from "../src/Transport.js"
import { at, ip } from "./support/addresses.js"
import * as FakeTransport from "./support/FakeTransport.js"
import { interruptAtEveryStep } from "./support/steps.js"

const host = "db.example"

const endpoint = `${host}:5432`

const found = (...addresses: ReadonlyArray<string>): Resolver.Answer => {
  const parsed = addresses.map(ip)
  return { _tag: "Addresses", family: parsed[0]?.family ?? "inet", addresses: parsed }
}

const none = (family: Resolver.IpFamily, reason: ResolveError["reason"]): Resolver.Answer =>
  Resolver.noAddresses(family, new ResolveError({ host, family, reason }))

type Script = ReadonlyArray<readonly [at: number, answer: Resolver.Answer | ResolveError | "never"]>

/** A resolver whose answers come at their moments (milliseconds since it was asked), and then end. */
const answering = (script: Script): Layer.Layer<Resolver.Resolver> =>
  Layer.succeed(Resolver.Resolver, {
    resolve: () =>
      Stream.fromIterable(
        script.map(([at], index) => [at - (script[index - 1]?.[0] ?? 0), script[index]?.[1]] as const)
      )
        .pipe(Stream.mapEffect(([wait, answer]) =>
          Effect.zipRight(
            Effect.sleep(wait),
            answer === "never" || answer === undefined
              ? Effect.never
              : answer._tag === "ResolveError"
              ? Effect.fail(answer)
              : Effect.succeed(answer)
          )
        ))
  })

const neverAsked = Layer.succeed(Resolver.Resolver, { resolve: () => Stream.dieMessage("the resolver was asked") })

interface Case {
  readonly to?: Endpoint.Input
  readonly answers?: Script
  readonly table?: { readonly [address: string]: FakeTransport.Scenario }
  readonly options?: Dialer.DialOptions
}

/** A dial in a Scope that outlives it. */
const dialOf = ({ answers, options, table = {}, to = endpoint }: Case) => {
  const transport = FakeTransport.make(table)
  const events: Array<DialEvent.DialEvent> = []
  const ports = Layer.merge(answers === undefined ? neverAsked : answering(answers), transport.layer)
  // Built beforehand: an interruption at every step is to meet the dial, not the building of layers.
  const services = Effect.runSync(Effect.scoped(Layer.build(Layer.provide(Dialer.layer, ports))))
  const program = Effect.provide(
    DialEvent.observe(Dialer.dial(to, options), () => (event) => events.push(event)),
    services
  )
  return { transport, events, program }
}

/** Runs the dial to its end. What failed has left nothing open by then, though its Scope lives on. */
const run = (input: Case) =>
  Effect.gen(function*() {
    const { events, program, transport } = dialOf(input)
    const scope = yield* Scope.make()
    const fiber = yield* Scope.extend(program, scope).pipe(
      Effect.exit,
      Effect.zip(TestClock.currentTimeMillis),
      Effect.fork
    )
    yield* TestClock.adjust("1 hour")
    const [exit, endedAt] = yield* Fiber.join(fiber)
    const winner = Exit.isSuccess(exit) ? [String(exit.value.remoteAddress)] : []
    expect(transport.sockets.filter(({ isOpen }) => isOpen).map(({ remoteAddress }) => String(remoteAddress))).toEqual(
      winner
    )
    for (const event of events) {
      if (event._tag !== "AttemptStarted") continue
      const told = events.filter((other) => "attempt" in other && other.attempt === event.attempt)
      expect(told.map(({ _tag }) => _tag)).toEqual([
        "AttemptStarted",
        expect.stringMatching(/^Attempt(?:Failed|Stopped|Connected)$/)
      ])
    }
    yield* Scope.close(scope, Exit.void)
    expect(transport.open()).toBe(0)
    expect(transport.sockets.every(({ operations }) => operations.at(-1) === "release")).toBe(true)
    return { exit, endedAt, transport, events, connectedTo: winner[0] }
  })

const failed = (input: Case) =>
  Effect.map(run(input), (result) => {
    const { exit } = result
    if (Exit.isSuccess(exit) || exit.cause._tag !== "Fail") throw new Error(`expected a failure: ${exit}`)
    return { ...result, error: exit.cause.error }
  })

const connected = (delay = 0): FakeTransport.Scenario => ({ delay, outcome: "connected" })

const refused = (delay = 0): FakeTransport.Scenario => ({ delay, outcome: "Refused" })

const never: FakeTransport.Scenario = { outcome: "never" }

describe("an endpoint that needs no resolution", () => {
  for (
    const [to, address] of [
      ["192.0.2.1:80", "192.0.2.1:80"],
      ["[2001:db8::1]:80", "[2001:db8::1]:80"],
      ["unix:/run/db.sock", "/run/db.sock"],
      ["unix:@db", "@db"]
    ] as const
  ) {
    it.effect(`${to} is dialed without asking the resolver`, () =>
      Effect.gen(function*() {
        const { connectedTo, endedAt, events } = yield* run({ to, table: { [address]: connected(30) } })
        expect(connectedTo).toBe(address)
        expect(endedAt).toBe(30)
        expect(events.map(({ _tag }) => _tag)).toEqual(["AttemptStarted", "AttemptConnected", "Connected"])
      }))
  }

  it.effect("may be given as a value", () =>
    Effect.gen(function*() {
      const { connectedTo } = yield* run({
        to: Endpoint.fromSocketAddress(at("192.0.2.1:80")),
        table: { "192.0.2.1:80": connected() }
      })
      expect(connectedTo).toBe("192.0.2.1:80")
    }))

  it.effect("text that is no endpoint is InvalidEndpoint, and nothing is asked or opened", () =>
    Effect.gen(function*() {
      const { error, events, transport } = yield* failed({ to: "127.1:80" })
      expect(error).toBeInstanceOf(InvalidEndpoint)
      expect(error).toMatchObject({ input: "127.1:80" })
      expect(events).toEqual([])
      expect(transport.log).toEqual([])
    }))

  it.effect("explicit addresses are attempted in their order, and the name is not looked up", () =>
    Effect.gen(function*() {
      const { connectedTo, transport } = yield* run({
        table: { "192.0.2.1:1": refused(5), "[2001:db8::1]:2": refused(5), "192.0.2.3:3": connected(5) },
        options: { addresses: ["192.0.2.1:1", "[2001:db8::1]:2", "192.0.2.3:3"].map(at) }
      })
      expect(connectedTo).toBe("192.0.2.3:3")
      expect(transport.starts()).toEqual([["192.0.2.1:1", 0], ["[2001:db8::1]:2", 5], ["192.0.2.3:3", 10]])
    }))

  it.effect("an empty list of explicit addresses is AllAttemptsFailed without an attempt", () =>
    Effect.gen(function*() {
      const { endedAt, error } = yield* failed({ options: { addresses: [] } })
      expect(error).toBeInstanceOf(AllAttemptsFailed)
      expect(error).toMatchObject({ endpoint: "tcp://db.example:5432", attempts: [], unresolved: [], elapsedMillis: 0 })
      expect(endedAt).toBe(0)
    }))
})

describe("answers", () => {
  it.effect("are acted on as they come: an A connects while the AAAA is never answered", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt, transport } = yield* run({
        answers: [[20, found("192.0.2.1")], [20, "never"]],
        table: { "192.0.2.1:5432": connected(30) }
      })
      expect(connectedTo).toBe("192.0.2.1:5432")
      expect(transport.starts()).toEqual([["192.0.2.1:5432", 20]])
      expect(endedAt).toBe(50)
    }))

  it.effect("of both families alternate, IPv6 first", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, found("2001:db8::1", "2001:db8::2")], [0, found("192.0.2.1", "192.0.2.2")]],
        table: {
          "[2001:db8::1]:5432": never,
          "192.0.2.1:5432": never,
          "[2001:db8::2]:5432": never,
          "192.0.2.2:5432": connected()
        }
      })
      expect(transport.starts()).toEqual([
        ["[2001:db8::1]:5432", 0],
        ["192.0.2.1:5432", 250],
        ["[2001:db8::2]:5432", 500],
        ["192.0.2.2:5432", 750]
      ])
    }))

  it.effect("that come late change the order of what has not started", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, found("192.0.2.1", "192.0.2.2")], [100, found("2001:db8::1")]],
        table: { "192.0.2.1:5432": never, "192.0.2.2:5432": connected(), "[2001:db8::1]:5432": never }
      })
      expect(transport.starts()).toEqual([
        ["192.0.2.1:5432", 0],
        ["[2001:db8::1]:5432", 250],
        ["192.0.2.2:5432", 500]
      ])
    }))

  it.effect("that come after every attempt failed are attempted at once", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt } = yield* run({
        answers: [[0, found("192.0.2.1")], [4000, found("2001:db8::1")]],
        table: { "192.0.2.1:5432": refused(1), "[2001:db8::1]:5432": connected(1) }
      })
      expect(connectedTo).toBe("[2001:db8::1]:5432")
      expect(endedAt).toBe(4001)
    }))

  it.effect("of one family are enough when the other has none", () =>
    Effect.gen(function*() {
      const { connectedTo } = yield* run({
        answers: [[0, none("inet6", "ServerFailure")], [10, found("192.0.2.1")]],
        table: { "192.0.2.1:5432": connected() }
      })
      expect(connectedTo).toBe("192.0.2.1:5432")
    }))

  it.effect("already there are used when the lookup as a whole fails afterwards", () =>
    Effect.gen(function*() {
      const { connectedTo } = yield* run({
        answers: [[0, found("192.0.2.1")], [10, new ResolveError({ host, reason: "Temporary" })]],
        table: { "192.0.2.1:5432": connected(50) }
      })
      expect(connectedTo).toBe("192.0.2.1:5432")
    }))

  it.effect("naming one address twice have it attempted once", () =>
    Effect.gen(function*() {
      const { error } = yield* failed({
        answers: [[0, found("192.0.2.1", "192.0.2.1")], [5, found("192.0.2.1")]],
        table: { "192.0.2.1:5432": refused(1) }
      })
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", attempts: [{ attempt: 0 }] })
    }))
})

describe("a name without an address is a ResolveError", () => {
  const cases: ReadonlyArray<readonly [string, Script, Partial<ResolveError>]> = [
    [
      "NotFound when no family has one",
      [[0, none("inet6", "NotFound")], [20, none("inet", "NotFound")]],
      { reason: "NotFound", family: undefined }
    ],
    [
      "with the reason that says more than NotFound, whichever came first",
      [[0, none("inet6", "NotFound")], [20, none("inet", "Temporary")]],
      { reason: "Temporary", family: undefined }
    ],
    [
      "with the first reason that says more, when several do",
      [[0, none("inet6", "ServerFailure")], [20, none("inet", "Timeout")]],
      { reason: "ServerFailure", family: undefined }
    ],
    [
      "with its family when only one was answered",
      [[20, none("inet", "Refused")]],
      { reason: "Refused", family: "inet" }
    ],
    [
      "with the reason of a lookup that failed as a whole",
      [[20, new ResolveError({ host, reason: "BadName", code: "EAI_BADFLAGS" })]],
      { reason: "BadName", code: "EAI_BADFLAGS", family: undefined }
    ],
    ["NotFound when the resolver ends without an answer", [], { reason: "NotFound", family: undefined }]
  ]
  for (const [behaviour, answers, expected] of cases) {
    it.effect(behaviour, () =>
      Effect.gen(function*() {
        const { endedAt, error, transport } = yield* failed({ answers })
        expect(error).toBeInstanceOf(ResolveError)
        expect(error).toMatchObject({ host, ...expected })
        expect(endedAt).toBe(answers.at(-1)?.[0] ?? 0)
        expect(transport.log).toEqual([])
      }))
  }
})

describe("AllAttemptsFailed", () => {
  it.effect("keeps every attempt with its start, end, address and reason, and every lookup that failed", () =>
    Effect.gen(function*() {
      const { endedAt, error, events } = yield* failed({
        answers: [[10, none("inet6", "ServerFailure")], [20, found("192.0.2.1", "192.0.2.2")]],
        table: { "192.0.2.1:5432": { delay: 400, outcome: "HostUnreachable" }, "192.0.2.2:5432": refused(100) }
      })
      expect(error).toBeInstanceOf(AllAttemptsFailed)
      expect(error).toMatchObject({
        endpoint: "tcp://db.example:5432",
        elapsedMillis: 420,
        attempts: [
          {
            outcome: "Failed",
            attempt: 0,
            address: at("192.0.2.1:5432"),
            startedAt: 20,
            endedAt: 420,
            error: { reason: "HostUnreachable" }
          },
          {
            outcome: "Failed",
            attempt: 1,
            address: at("192.0.2.2:5432"),
            startedAt: 270,
            endedAt: 370,
            error: { reason: "Refused" }
          }
        ],
        unresolved: [{ family: "inet6", reason: "ServerFailure" }]
      })
      expect(endedAt).toBe(420)
      expect(error.message).toBe(
        "dial tcp://db.example:5432: both attempts failed in 420 ms: " +
          "192.0.2.1:5432 host unreachable after 400 ms; 192.0.2.2:5432 connection refused after 100 ms; " +
          new ResolveError({ host, family: "inet6", reason: "ServerFailure" }).message
      )
      expect(events.at(-1)).toEqual({ _tag: "DialFailed", at: 420, error })
    }))
})

describe("the deadline", () => {
  it.effect("is 30 seconds from the start of the dial by default, and covers the lookup", () =>
    Effect.gen(function*() {
      const { endedAt, error } = yield* failed({ answers: [[0, "never"]] })
      expect(error).toBeInstanceOf(DialTimeout)
      expect(error).toMatchObject({
        phase: "resolving",
        timeoutMillis: 30_000,
        attempts: [],
        unresolved: [{ family: "inet6", reason: "Timeout" }, { family: "inet", reason: "Timeout" }]
      })
      expect(error.message).toBe(
        "dial tcp://db.example:5432: timed out after 30000 ms while resolving: " +
          "resolve db.example (AAAA): no answer in time; resolve db.example (A): no answer in time"
      )
      expect(endedAt).toBe(30_000)
    }))

  it.effect("of a dial whose attempts are under way tells of them", () =>
    Effect.gen(function*() {
      const { endedAt, error } = yield* failed({
        answers: [[100, found("192.0.2.1", "192.0.2.2")]],
        table: { "192.0.2.1:5432": refused(50), "192.0.2.2:5432": never },
        options: { timeout: "1 second" }
      })
      expect(error).toMatchObject({
        _tag: "DialTimeout",
        phase: "connecting",
        timeoutMillis: 1000,
        attempts: [
          { outcome: "Failed", attempt: 0, startedAt: 100, endedAt: 150, error: { reason: "Refused" } },
          { outcome: "Stopped", attempt: 1, address: at("192.0.2.2:5432"), startedAt: 150, endedAt: 1000 }
        ]
      })
      expect(endedAt).toBe(1000)
    }))

  it.effect("tells of the addresses that never had their turn", () =>
    Effect.gen(function*() {
      const { error } = yield* failed({
        answers: [[0, found("192.0.2.1", "192.0.2.2", "192.0.2.3")]],
        table: { "192.0.2.1:5432": never, "192.0.2.2:5432": never },
        options: { timeout: "300 millis" }
      })
      expect(error).toMatchObject({
        _tag: "DialTimeout",
        attempts: [
          { outcome: "Stopped", startedAt: 0, endedAt: 300 },
          { outcome: "Stopped", startedAt: 250, endedAt: 300 },
          { outcome: "NeverTried", address: at("192.0.2.3:5432") }
        ]
      })
    }))

  it.effect("that passes while only a lookup is still waited for says resolving", () =>
    Effect.gen(function*() {
      const { error } = yield* failed({
        answers: [[0, found("192.0.2.1")], [0, "never"]],
        table: { "192.0.2.1:5432": refused(10) },
        options: { timeout: "1 second" }
      })
      expect(error).toMatchObject({ _tag: "DialTimeout", phase: "resolving", attempts: [{ outcome: "Failed" }] })
    }))

  it.effect("may be none: a dial then waits as long as the network lets it", () =>
    Effect.gen(function*() {
      const { endedAt, error } = yield* failed({
        to: "192.0.2.1:80",
        table: { "192.0.2.1:80": { delay: "50 minutes", outcome: "TimedOut" } },
        options: { timeout: Duration.infinity }
      })
      expect(error._tag).toBe("AllAttemptsFailed")
      expect(endedAt).toBe(50 * 60 * 1000)
    }))

  for (
    const [which, addresses] of [
      ["one address", ["192.0.2.1:80"]],
      ["several addresses", ["192.0.2.1:80", "192.0.2.2:80"]]
    ] as const
  ) {
    it.effect(`that passes in the instant of the connect, with ${which}, leaves nothing open when the dial failed`, () =>
      Effect.gen(function*() {
        const { endedAt, events, exit } = yield* run({
          table: { "192.0.2.1:80": connected(1000), "192.0.2.2:80": connected(750) },
          options: { timeout: "1 second", addresses: addresses.map(at) }
        })
        expect(endedAt).toBe(1000)
        expect(events.at(-1)?._tag).toBe(Exit.isSuccess(exit) ? "Connected" : "DialFailed")
        if (Exit.isFailure(exit)) {
          expect(Cause.failureOption(exit.cause)).toMatchObject({ value: { _tag: "DialTimeout", phase: "connecting" } })
        }
      }))
  }

  it.effect("is told as the deadline and not as the attempt's limit when one address has all of it", () =>
    Effect.gen(function*() {
      for (const attemptTimeout of [undefined, "1 second", "2 seconds"] as const) {
        const { error, events } = yield* failed({
          to: "192.0.2.1:80",
          table: { "192.0.2.1:80": never },
          options: { timeout: "1 second", attemptTimeout }
        })
        expect(error).toMatchObject({
          _tag: "DialTimeout",
          phase: "connecting",
          timeoutMillis: 1000,
          attempts: [{ outcome: "Stopped", startedAt: 0, endedAt: 1000 }]
        })
        expect(events.map(({ _tag, at }) => [_tag, at])).toEqual([
          ["AttemptStarted", 0],
          ["AttemptStopped", 1000],
          ["DialFailed", 1000]
        ])
      }
    }))

  it.effect("gives way to a shorter limit of the attempt, even with one address", () =>
    Effect.gen(function*() {
      const { endedAt, error } = yield* failed({
        to: "192.0.2.1:80",
        table: { "192.0.2.1:80": never },
        options: { timeout: "1 second", attemptTimeout: "300 millis" }
      })
      expect(endedAt).toBe(300)
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", attempts: [{ error: { reason: "AttemptTimeout" } }] })
    }))
})

describe("the limits of one attempt", () => {
  it.effect("attemptTimeout ends an attempt that takes longer, and starts the next", () =>
    Effect.gen(function*() {
      const { error, transport } = yield* failed({
        answers: [[0, found("192.0.2.1", "192.0.2.2")]],
        table: { "192.0.2.1:5432": never, "192.0.2.2:5432": never },
        options: { attemptTimeout: "100 millis" }
      })
      expect(transport.starts()).toEqual([["192.0.2.1:5432", 0], ["192.0.2.2:5432", 100]])
      expect(error).toMatchObject({
        _tag: "AllAttemptsFailed",
        attempts: [
          { endedAt: 100, error: { reason: "AttemptTimeout" } },
          { endedAt: 200, error: { reason: "AttemptTimeout" } }
        ]
      })
    }))

  it.effect("attemptDelay is the time between two starts", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, found("192.0.2.1", "192.0.2.2", "192.0.2.3")]],
        table: { "192.0.2.1:5432": never, "192.0.2.2:5432": never, "192.0.2.3:5432": connected() },
        options: { attemptDelay: "1 second" }
      })
      expect(transport.starts().map(([, at]) => at)).toEqual([0, 1000, 2000])
    }))
})

describe("what the transport is asked for", () => {
  const both = {
    answers: [[0, found("2001:db8::1")], [0, found("192.0.2.1")]],
    table: { "[2001:db8::1]:5432": refused(), "192.0.2.1:5432": connected() }
  } satisfies Case

  it.effect("a stream socket with noDelay on, not bound, by default", () =>
    Effect.gen(function*() {
      const { transport } = yield* run(both)
      expect(transport.sockets.map(({ request }) => request)).toEqual([
        {
          socketType: "stream",
          address: at("[2001:db8::1]:5432"),
          localAddress: undefined,
          options: { noDelay: true }
        },
        { socketType: "stream", address: at("192.0.2.1:5432"), localAddress: undefined, options: { noDelay: true } }
      ])
    }))

  it.effect("the local address of the attempt's own family", () =>
    Effect.gen(function*() {
      const localAddress = { inet: at("198.51.100.1:0"), inet6: at("[2001:db8::9]:0") }
      const { exit, transport } = yield* run({ ...both, options: { localAddress } })
      expect(transport.sockets.map(({ request }) => request.localAddress)).toEqual([
        localAddress.inet6,
        localAddress.inet
      ])
      expect(exit).toMatchObject({ value: { localAddress: localAddress.inet } })
      const onlyInet = yield* run({ ...both, options: { localAddress: { inet: localAddress.inet } } })
      expect(onlyInet.transport.sockets.map(({ request }) => request.localAddress)).toEqual([
        undefined,
        localAddress.inet
      ])
    }))

  it.effect("the options given, over the defaults", () =>
    Effect.gen(function*() {
      const asked = (socket: Dialer.DialOptions["socket"]) =>
        Effect.map(run({ ...both, options: { socket } }), ({ transport }) => transport.sockets[0]?.request.options)
      expect(yield* asked({ keepAlive: "10 seconds" })).toEqual({ noDelay: true, keepAlive: "10 seconds" })
      expect(yield* asked({ noDelay: false })).toEqual({ noDelay: false })
    }))
})

describe("interrupting a dial", () => {
  const interruptedAfter = (millis: number, input: Case) =>
    Effect.gen(function*() {
      const { events, program, transport } = dialOf(input)
      const scope = yield* Scope.make()
      const fiber = yield* Effect.fork(Scope.extend(program, scope))
      yield* TestClock.adjust(millis)
      const exit = yield* Fiber.interrupt(fiber)
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(yield* TestClock.currentTimeMillis).toBe(millis)
      expect(transport.open()).toBe(0)
      return { events: events.map(({ _tag, at }) => [_tag, at]), transport }
    })

  it.effect("frees every socket at once, though its scope lives on, and says Stopped of each and nothing after", () =>
    Effect.gen(function*() {
      const { events, transport } = yield* interruptedAfter(300, {
        answers: [[0, found("192.0.2.1", "192.0.2.2")], [0, "never"]],
        table: { "192.0.2.1:5432": never, "192.0.2.2:5432": never }
      })
      expect(transport.sockets.length).toBe(2)
      expect(events).toEqual([
        ["ResolutionStarted", 0],
        ["AddressesResolved", 0],
        ["AttemptStarted", 0],
        ["AttemptStarted", 250],
        ["AttemptStopped", 300],
        ["AttemptStopped", 300]
      ])
    }))

  it.effect("gives up the lookup", () =>
    Effect.gen(function*() {
      let given = 0
      const scope = yield* Scope.make()
      const fiber = yield* Dialer.dial(endpoint).pipe(
        Scope.extend(scope),
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(
          Layer.succeed(Resolver.Resolver, {
            resolve: () => Stream.fromEffect(Effect.onInterrupt(Effect.never, () => Effect.sync(() => given += 1)))
          }),
          FakeTransport.make({}).layer
        )),
        Effect.fork
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      expect(given).toBe(1)
    }))

  const interrupted: ReadonlyArray<readonly [string, Case]> = [
    ["of a name", {
      answers: [[5, found("192.0.2.1", "192.0.2.2")], [6, none("inet6", "NotFound")]],
      table: { "192.0.2.1:5432": refused(10), "192.0.2.2:5432": connected(10) },
      options: { attemptTimeout: "1 second" }
    }],
    ["of a literal", { to: "192.0.2.1:80", table: { "192.0.2.1:80": connected(10) } }],
    ["of a literal that is refused", { to: "192.0.2.1:80", table: { "192.0.2.1:80": refused(10) } }],
    ["of a literal at its deadline", { to: "192.0.2.1:80", table: { "192.0.2.1:80": never } }],
    ["of several addresses at its deadline", {
      table: { "192.0.2.1:80": never, "[2001:db8::1]:80": never },
      options: { addresses: ["192.0.2.1:80", "[2001:db8::1]:80"].map(at), timeout: "400 millis" }
    }]
  ]
  for (const [which, input] of interrupted) {
    it.effect(
      `${which}, at any step, leaves no socket that was not told to be Connected, no fiber, no untold attempt`,
      () =>
        Effect.gen(function*() {
          const steps = yield* interruptAtEveryStep(() => {
            const { events, program, transport } = dialOf(input)
            const scope = Effect.runSync(Scope.make())
            const supervisor = Effect.runSync(Supervisor.track)
            return {
              program: Effect.supervised(Scope.extend(program, scope), supervisor),
              after: (exit, step) =>
                Effect.gen(function*() {
                  const context = `step ${step}: ${events.map(({ _tag }) => _tag)}`
                  const told = events.some(({ _tag }) => _tag === "Connected")
                  if (Exit.isSuccess(exit)) expect(told, context).toBe(true)
                  if (!told) expect(transport.open(), context).toBe(0)
                  expect([...yield* supervisor.value].length, context).toBe(0)
                  for (const event of events) {
                    if (event._tag !== "AttemptStarted") continue
                    const same = events.filter((other) => "attempt" in other && other.attempt === event.attempt)
                    expect(same.length, context).toBe(2)
                  }
                  yield* Scope.close(scope, exit)
                  expect(transport.open(), context).toBe(0)
                })
            }
          })
          expect(steps).toBeGreaterThan(50)
        }),
      60_000
    )
  }
})

describe("resolveAddress", () => {
  const resolve = (to: string, answers?: Script) =>
    Effect.gen(function*() {
      const fiber = yield* Dialer.resolveAddress(Endpoint.unsafeParse(to)).pipe(
        Effect.map((addresses) => addresses.map(String)),
        Effect.provide(answers === undefined ? neverAsked : answering(answers)),
        Effect.either,
        Effect.fork
      )
      yield* TestClock.adjust("1 hour")
      return yield* yield* Fiber.join(fiber)
    })

  it.effect("gives a literal itself, without asking the resolver", () =>
    Effect.gen(function*() {
      expect(yield* resolve("[2001:db8::1]:80")).toEqual(["[2001:db8::1]:80"])
      expect(yield* resolve("unix:/run/db.sock")).toEqual(["/run/db.sock"])
    }))

  it.effect("gives every address in the order a dial would attempt them, once all answers are in", () =>
    Effect.gen(function*() {
      expect(yield* resolve(endpoint, [[0, found("192.0.2.1", "192.0.2.2")], [90, found("2001:db8::1")]])).toEqual([
        "[2001:db8::1]:5432",
        "192.0.2.1:5432",
        "192.0.2.2:5432"
      ])
    }))

  it.effect("fails with the reason that says most", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        resolve(endpoint, [[0, none("inet6", "NotFound")], [9, none("inet", "Timeout")]])
      )
      expect(error).toMatchObject({ _tag: "ResolveError", host, reason: "Timeout" })
      const silent = yield* Effect.flip(resolve(endpoint, []))
      expect(silent).toMatchObject({ _tag: "ResolveError", host, reason: "NotFound" })
    }))
})

describe("a Dialer whose layer is gone", () => {
  it.effect("still keeps the deadlines of its dials", () =>
    Effect.gen(function*() {
      const transport = FakeTransport.make({ "192.0.2.1:5432": never })
      const dialer = yield* Dialer.Dialer.pipe(
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(Resolver.layerStatic({}), transport.layer))
      )
      const dial = yield* Effect.fork(
        Effect.flip(Effect.scoped(dialer.dial("192.0.2.1:5432", { timeout: "1 second" })))
      )
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(dial))._tag).toBe("DialTimeout")
      expect(transport.open()).toBe(0)
    }))
})

describe("what a name may answer", () => {
  const resolved = (...addresses: ReadonlyArray<string>) =>
    Dialer.resolveAddress(Endpoint.unsafeParse(endpoint)).pipe(
      Effect.provide(Resolver.layerStatic({ [host]: addresses.map(ip) })),
      Effect.match({ onFailure: ({ reason }) => reason, onSuccess: (found) => found.map(String) })
    )

  it.effect("a mapped address is the IPv4 address it stands for, and attempted once", () =>
    Effect.map(resolved("127.0.0.1", "::ffff:127.0.0.1"), (found) => expect(found).toEqual(["127.0.0.1:5432"])))

  it.effect("an unspecified address is a sinkhole's no, not this machine", () =>
    Effect.gen(function*() {
      expect(yield* resolved("0.0.0.0", "::")).toBe("NotFound")
      expect(yield* resolved("0.0.0.0", "192.0.2.1")).toEqual(["192.0.2.1:5432"])
    }))

  it.effect("ten thousand addresses that refuse at once are all told of, in their order", () =>
    Effect.gen(function*() {
      const addresses = Array.from({ length: 10_000 }, (_, i) => ip(`10.1.${i >> 8}.${i & 255}`))
      const refusing = Layer.succeed(Transport, {
        open: ({ address }) => Effect.fail(new AttemptError({ operation: "connect", address, reason: "Refused" }))
      })
      const error = yield* Effect.flip(Effect.scoped(Dialer.dial(endpoint, { timeout: Infinity }))).pipe(
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(Resolver.layerStatic({ [host]: addresses }), refusing))
      )
      expect(error._tag === "AllAttemptsFailed" && error.attempts.map(({ address }) => String(address))).toEqual(
        addresses.map((address) => `${address}:5432`)
      )
    }))
})
