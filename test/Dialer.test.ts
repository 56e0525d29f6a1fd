import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Scope,
  Stream,
  Supervisor,
  TestClock
} from "effect"
import type { Connection } from "../src/Connection.js"
import * as Dialer from "../src/Dialer.js"
import { AllAttemptsFailed, AttemptError, DialTimeout, InvalidEndpoint, ResolveError } from "../src/DialError.js"
import * as DialEvent from "../src/DialEvent.js"
import * as Endpoint from "../src/Endpoint.js"
import type * as HappyEyeballs from "../src/HappyEyeballs.js"
import * as Resolver from "../src/Resolver.js"
import { Transport } from "../src/Transport.js"
import { at, ip } from "./support/addresses.js"
import {
  answering,
  type Case,
  connected,
  dialOf,
  endpoint,
  failed,
  found,
  host,
  never,
  neverAsked,
  none,
  refused,
  run,
  type Script
} from "./support/dials.js"
import * as FakeTransport from "./support/FakeTransport.js"
import { interruptAtEveryStep } from "./support/steps.js"

describe("an endpoint that needs no resolution", () => {
  for (
    const [to, address] of [
      ["192.0.2.1:80", "192.0.2.1:80"],
      ["[2001:db8::1]:80", "[2001:db8::1]:80"],
      ["udp://192.0.2.1:53", "192.0.2.1:53"],
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

  it.effect("of TLS is InvalidEndpoint, and is not dialed in plaintext", () =>
    Effect.gen(function*() {
      for (const to of ["tls://192.0.2.1:443", "tls://db.example:443"]) {
        const { error, events, transport } = yield* failed({ to, table: { "192.0.2.1:443": connected() } })
        expect(error).toMatchObject({ _tag: "InvalidEndpoint", input: to, position: 0 })
        expect(error?.message).toContain("this Dialer speaks no TLS; one that Tls.layer makes does")
        expect(events).toEqual([])
        expect(transport.log).toEqual([])
      }
    }))

  it.effect("opens the sockets of its type, from a name's addresses as from its own", () =>
    Effect.gen(function*() {
      for (
        const [to, type] of [
          ["192.0.2.1:53", "stream"],
          ["udp://192.0.2.1:53", "dgram"],
          ["udp://db.example:53", "dgram"]
        ] as const
      ) {
        const { connectedTo, transport } = yield* run({
          to,
          answers: [[0, found("192.0.2.1")]],
          table: { "192.0.2.1:53": connected() }
        })
        expect(connectedTo).toBe("192.0.2.1:53")
        expect(transport.sockets.map(({ request }) => request.socketType)).toEqual([type])
      }
    }))

  it.effect("explicit addresses are attempted in their order, and the name is not looked up", () =>
    Effect.gen(function*() {
      const { connectedTo, transport } = yield* run({
        table: { "192.0.2.1:1": refused(5), "[2001:db8::1]:2": refused(5), "192.0.2.3:3": connected(5) },
        options: { addresses: ["192.0.2.1:1", "[2001:db8::1]:2", "192.0.2.3:3"].map(at) }
      })
      expect(connectedTo).toBe("192.0.2.3:3")
      expect(transport.starts()).toEqual([["192.0.2.1:1", 0], ["[2001:db8::1]:2", 10], ["192.0.2.3:3", 20]])
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
      // After the Resolution Delay.
      expect(transport.starts()).toEqual([["192.0.2.1:5432", 70]])
      expect(endedAt).toBe(100)
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
        ["192.0.2.1:5432", 50],
        ["[2001:db8::1]:5432", 300],
        ["192.0.2.2:5432", 550]
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
        ["Planned", 50],
        ["AttemptStarted", 50],
        ["AttemptStarted", 300],
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
    ["of a name whose sources are told late", {
      answers: [[5, found("192.0.2.1", "192.0.2.2")], [6, none("inet6", "NotFound")], [
        7,
        found("192.0.2.2", "192.0.2.3")
      ]],
      sourceFor: () => Effect.as(Effect.sleep(4), Option.some(ip("192.0.2.9"))),
      table: { "192.0.2.2:5432": refused(10), "192.0.2.3:5432": connected(10) }
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

describe("source addresses that are told late", () => {
  const sixes = found("2001:db8::1", "2001:db8::2")
  const late = (millis: number) => () => Effect.as(Effect.sleep(millis), Option.some(ip("2001:db8::9")))
  const plans = (events: ReadonlyArray<DialEvent.DialEvent>) =>
    events.flatMap((event) =>
      event._tag === "Planned" ? [[event.at, event.candidates.map(({ address }) => String(address))]] : []
    )

  it.effect("hold up the plan, and no answer: what comes meanwhile is in the next one", () =>
    Effect.gen(function*() {
      const { connectedTo, events } = yield* run({
        answers: [[0, sixes], [5, found("192.0.2.1")]],
        sourceFor: late(10),
        table: { "[2001:db8::1]:5432": never, "192.0.2.1:5432": connected() }
      })
      expect(events.filter(({ _tag }) => _tag === "AddressesResolved").map(({ at }) => at)).toEqual([0, 5])
      expect(plans(events)).toEqual([
        [20, ["[2001:db8::1]:5432", "[2001:db8::2]:5432"]],
        [50, ["[2001:db8::1]:5432", "192.0.2.1:5432", "[2001:db8::2]:5432"]]
      ])
      expect(connectedTo).toBe("192.0.2.1:5432")
    }))

  it.effect("are waited for until the deadline, and no longer", () =>
    Effect.gen(function*() {
      const { endedAt, error } = yield* failed({
        answers: [[0, sixes], [0, none("inet", "NotFound")]],
        sourceFor: () => Effect.never,
        options: { timeout: "1 second" }
      })
      expect(endedAt).toBe(1000)
      expect(error).toMatchObject({ _tag: "DialTimeout", phase: "resolving" })
    }))

  it.effect("hold up no attempt that is under way", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt } = yield* run({
        answers: [[0, found("2001:db8::1")], [5, found("192.0.2.1")]],
        sourceFor: () => Effect.never,
        table: { "[2001:db8::1]:5432": connected(30) }
      })
      expect([connectedTo, endedAt]).toEqual(["[2001:db8::1]:5432", 30])
    }))

  it.effect("a defect in who tells them ends the dial as that defect", () =>
    Effect.gen(function*() {
      for (const wait of [0, 10]) {
        const { exit } = yield* run({
          answers: [[0, sixes], [0, none("inet", "NotFound")]],
          sourceFor: () => Effect.zipRight(Effect.sleep(wait), Effect.dieMessage("no routes"))
        })
        expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      }
    }))
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

describe("families", () => {
  const both: Script = [[0, found("2001:db8::1", "2001:db8::2")], [0, found("192.0.2.1")]]
  const table = { "[2001:db8::1]:5432": refused(20), "[2001:db8::2]:5432": refused(20), "192.0.2.1:5432": refused(20) }
  const order = (families: Dialer.DialOptions["families"]) =>
    Effect.map(
      failed({ answers: both, table, options: { families } }),
      ({ transport }) => transport.starts().map(([address]) => address)
    )

  it.effect("are both used, IPv6 first, unless the user says otherwise", () =>
    Effect.gen(function*() {
      expect(yield* order(undefined)).toEqual(["[2001:db8::1]:5432", "192.0.2.1:5432", "[2001:db8::2]:5432"])
      expect(yield* order(["inet", "inet6"])).toEqual(["192.0.2.1:5432", "[2001:db8::1]:5432", "[2001:db8::2]:5432"])
    }))

  it.effect("can be one alone: the other is not attempted", () =>
    Effect.gen(function*() {
      expect(yield* order(["inet6"])).toEqual(["[2001:db8::1]:5432", "[2001:db8::2]:5432"])
      expect(yield* order(["inet"])).toEqual(["192.0.2.1:5432"])
    }))

  it.effect("the resolver is asked for those that will be used, and no others", () =>
    Effect.gen(function*() {
      const asked: Array<Resolver.Query | undefined> = []
      const resolver = Layer.succeed(Resolver.Resolver, {
        resolve: (_, query) => {
          asked.push(query)
          return Stream.make(none("inet", "NotFound"))
        }
      })
      yield* Effect.flip(Effect.scoped(Dialer.dial(endpoint, { families: ["inet"] }))).pipe(
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(resolver, FakeTransport.make({}).layer))
      )
      expect(asked).toEqual([{ families: ["inet"], services: undefined }])
    }))
})

describe("the limits", () => {
  it.effect("of resolution ends the wait for answers, and is told of each family without one", () =>
    Effect.gen(function*() {
      const { endedAt, error } = yield* failed({
        answers: [[0, "never"]],
        options: { resolutionTimeout: "2 seconds" }
      })
      expect(endedAt).toBe(2000)
      expect(error).toMatchObject({ _tag: "ResolveError", reason: "Timeout", host })
    }))

  it.effect("of resolution lets in at once what waits for the other family, and does not end attempts", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt, events } = yield* run({
        answers: [[0, found("192.0.2.1")], [0, "never"]],
        table: { "192.0.2.1:5432": connected(500) },
        options: { resolutionTimeout: "20 millis" }
      })
      expect([connectedTo, endedAt]).toEqual(["192.0.2.1:5432", 520])
      expect(events).toContainEqual({
        _tag: "ResolutionFailed",
        at: 20,
        name: host,
        error: new ResolveError({ host, family: "inet6", reason: "Timeout" })
      })
    }))

  it.effect("on the attempts in flight delays the next", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, found("2001:db8::1", "2001:db8::2")], [0, none("inet", "NotFound")]],
        table: { "[2001:db8::1]:5432": refused(700), "[2001:db8::2]:5432": connected() },
        options: { maxInFlight: 1 }
      })
      expect(transport.starts()).toEqual([["[2001:db8::1]:5432", 0], ["[2001:db8::2]:5432", 700]])
    }))

  it.effect("an attempt delay under the recommended 100 ms is warned of once for each Dialer", () =>
    Effect.gen(function*() {
      const warnings: Array<unknown> = []
      const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => warnings.push(message)))
      const dialing = (attemptDelay: HappyEyeballs.AttemptDelay) =>
        Effect.scoped(Dialer.dial("192.0.2.1:1", { attemptDelay }))
      yield* Effect.all([dialing("100 millis"), dialing("99 millis"), dialing("20 millis")]).pipe(
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(neverAsked, FakeTransport.make({ "192.0.2.1:1": connected() }).layer)),
        Effect.provide(logger)
      )
      expect(warnings).toEqual([[expect.stringContaining("an attempt delay of 99ms is under the 100 millis")]])
    }))
})

describe("a dial that asks for more than a connection", () => {
  const answers: Script = [[0, found("2001:db8::1")], [0, found("192.0.2.1")]]
  const table = { "[2001:db8::1]:5432": connected(10), "192.0.2.1:5432": connected(10) }
  const six = "[2001:db8::1]:5432"

  /** Milliseconds until the connection to an address is established, or the error of that. */
  type Plan = { readonly [address: string]: number | "never" | Error }

  const establishing = (
    plan: Plan,
    options?: Dialer.DialOptions & { readonly cleanup?: number }
  ) =>
    Effect.gen(function*() {
      const transport = FakeTransport.make(table)
      const events: Array<readonly [string, number]> = []
      const closed: Array<readonly [string, number]> = []
      const establish = (connection: Connection) =>
        Effect.gen(function*() {
          const address = String(connection.remoteAddress)
          const outcome = plan[address] ?? 0
          yield* Effect.addFinalizer(() =>
            Effect.zipRight(
              Effect.sleep(options?.cleanup ?? 0),
              Effect.map(TestClock.currentTimeMillis, (at) => {
                closed.push([address, at])
              })
            )
          )
          if (outcome === "never") return yield* Effect.never
          if (outcome instanceof Error) return yield* Effect.fail(outcome)
          return yield* Effect.as(Effect.sleep(outcome), `established with ${address}`)
        })
      const scope = yield* Scope.make()
      const fiber = yield* DialEvent.observe(
        Scope.extend(Dialer.dialWith(endpoint, establish, options), scope),
        () => ({ _tag, at }) => events.push([_tag, at])
      ).pipe(
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(answering(answers), transport.layer)),
        Effect.exit,
        Effect.zip(
          Effect.suspend(() => Effect.map(TestClock.currentTimeMillis, (at) => ({ at, open: transport.open() })))
        ),
        Effect.fork
      )
      yield* TestClock.adjust("1 hour")
      const [exit, { at, open }] = yield* Fiber.join(fiber)
      const whileOpen = [...closed]
      yield* Effect.zipLeft(Effect.fork(Scope.close(scope, Exit.void)), TestClock.adjust("1 hour"))
      expect(transport.open()).toBe(0)
      return { exit, at, open, events, closed: whileOpen, transport }
    })

  it.effect("has it once it is established", () =>
    Effect.gen(function*() {
      const { at, events, exit, open } = yield* establishing({ [six]: 30 })
      expect(exit).toEqual(Exit.succeed(`established with ${six}`))
      expect([at, open]).toEqual([40, 1])
      expect(events.slice(-4)).toEqual([
        ["AttemptStarted", 0],
        ["AttemptEstablishing", 10],
        ["AttemptConnected", 40],
        ["Connected", 40]
      ])
    }))

  it.effect("one that is slow to be established keeps its place while the next is tried, and may still win", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* establishing({ [six]: 800, "192.0.2.1:5432": "never" })
      expect(exit).toEqual(Exit.succeed(`established with ${six}`))
      expect(at).toBe(810)
    }))

  it.effect("one that is connected but never established loses to one that is, and is closed", () =>
    Effect.gen(function*() {
      const { at, closed, exit, open } = yield* establishing({ [six]: "never", "192.0.2.1:5432": 40 })
      expect(exit).toEqual(Exit.succeed("established with 192.0.2.1:5432"))
      expect([at, open, closed]).toEqual([300, 1, [[six, 300]]])
    }))

  it.effect("the socket of a loser is gone before the winner is there, though its own cleanup takes a minute", () =>
    Effect.gen(function*() {
      const { at, closed, open } = yield* establishing({ [six]: "never", "192.0.2.1:5432": 0 }, { cleanup: 60_000 })
      expect([at, open]).toEqual([260, 1])
      expect(closed).toEqual([[six, 60_260]])
    }))

  it.effect("one that fails to be established is a failed attempt, and the next is tried", () =>
    Effect.gen(function*() {
      const { at, events, exit } = yield* establishing({ [six]: new Error("bad certificate"), "192.0.2.1:5432": 5 })
      expect(exit).toEqual(Exit.succeed("established with 192.0.2.1:5432"))
      expect(events).toContainEqual(["AttemptFailed", 10])
      expect(at).toBe(25)
    }))

  it.effect("when none can be established the errors are told, each with its cause", () =>
    Effect.gen(function*() {
      const [bad, worse] = [new Error("bad certificate"), new Error("worse certificate")]
      const { exit } = yield* establishing({ [six]: bad, "192.0.2.1:5432": worse })
      const error = Option.getOrThrow(Cause.failureOption(Exit.isFailure(exit) ? exit.cause : Cause.empty))
      expect(error).toMatchObject({
        _tag: "AllAttemptsFailed",
        attempts: [
          { error: { operation: "establish", reason: "NotEstablished", cause: bad } },
          { error: { operation: "establish", reason: "NotEstablished", cause: worse } }
        ]
      })
      expect(error.message).toContain("connected, but not established: bad certificate")
    }))

  it.effect("the deadline covers it, and says that it was establishing", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* establishing({ [six]: "never", "192.0.2.1:5432": "never" }, {
        timeout: "1 second",
        cleanup: 60_000
      })
      expect(at).toBe(1000)
      expect(exit).toMatchObject({ cause: { error: { _tag: "DialTimeout", phase: "establishing" } } })
    }))

  it.effect("the limit of an attempt covers it", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* establishing({ [six]: "never", "192.0.2.1:5432": "never" }, {
        attemptTimeout: "100 millis"
      })
      expect(at).toBe(200)
      expect(exit).toMatchObject({
        cause: { error: { attempts: [{ error: { operation: "establish", reason: "AttemptTimeout" } }, {}] } }
      })
    }))

  it.effect("within an acquire too, and nobody waits for what is left of it", () =>
    Effect.gen(function*() {
      const acquired = (establish: Effect.Effect<string>) =>
        Effect.gen(function*() {
          const start = yield* TestClock.currentTimeMillis
          const dial = Dialer.dialWith("192.0.2.1:5432", () => establish, {
            timeout: Duration.infinity,
            attemptTimeout: "10 seconds"
          })
          const fiber = yield* Effect.exit(Effect.scoped(Effect.uninterruptible(dial))).pipe(
            Effect.provide(Dialer.layer),
            Effect.provide(Layer.merge(neverAsked, FakeTransport.make(table).layer)),
            Effect.zip(TestClock.currentTimeMillis),
            Effect.fork
          )
          yield* TestClock.adjust("1 hour")
          const [exit, ended] = yield* Fiber.join(fiber)
          return [Exit.isSuccess(exit), ended - start]
        })
      expect(yield* acquired(Effect.succeed("established"))).toEqual([true, 10])
      expect(yield* acquired(Effect.never)).toEqual([false, 10_000])
    }))
})

describe("the report of a dial", () => {
  it.effect("tells of every address: its times, its outcome, or that it was never tried", () =>
    Effect.gen(function*() {
      const transport = FakeTransport.make({
        "[2001:db8::1]:5432": refused(20),
        "192.0.2.1:5432": connected(30),
        "[2001:db8::2]:5432": never
      })
      const fiber = yield* Effect.scoped(Dialer.dialReport(endpoint)).pipe(
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(
          answering([[5, found("2001:db8::1", "2001:db8::2")], [5, found("192.0.2.1")]]),
          transport.layer
        )),
        Effect.fork
      )
      yield* TestClock.adjust("1 second")
      const { connection, report } = yield* Fiber.join(fiber)
      expect(String(connection.remoteAddress)).toBe("192.0.2.1:5432")
      expect(report).toMatchObject({
        elapsedMillis: 55,
        unresolved: [],
        attempts: [
          { outcome: "Failed", attempt: 0, address: at("[2001:db8::1]:5432"), startedAt: 5, endedAt: 25 },
          { outcome: "Connected", attempt: 1, address: at("192.0.2.1:5432"), startedAt: 25, endedAt: 55 },
          { outcome: "NeverTried", address: at("[2001:db8::2]:5432"), why: "the dial ended before its turn" }
        ]
      })
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

  it.effect("ten thousand addresses that there is no way to are all told of, in their order", () =>
    Effect.gen(function*() {
      const addresses = Array.from({ length: 10_000 }, (_, i) => ip(`10.1.${i >> 8}.${i & 255}`))
      const refusing = Layer.succeed(Transport, {
        open: ({ address }) =>
          Effect.fail(new AttemptError({ operation: "connect", address, reason: "NetworkUnreachable" }))
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
