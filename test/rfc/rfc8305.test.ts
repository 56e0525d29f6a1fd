/**
 * RFC 8305, Happy Eyeballs Version 2: one test a requirement, named by its sentence. Exact, in virtual time.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either, Layer, Option, Stream, TestClock } from "effect"
import * as AddressPlan from "../../src/AddressPlan.js"
import * as Dialer from "../../src/Dialer.js"
import * as DnsResolver from "../../src/DnsResolver.js"
import * as Endpoint from "../../src/Endpoint.js"
import * as HappyEyeballs from "../../src/HappyEyeballs.js"
import * as Resolution from "../../src/Resolution.js"
import * as Resolver from "../../src/Resolver.js"
import { SourceAddress } from "../../src/SourceAddress.js"
import { NameServer, SimNetwork } from "../../src/testing/index.js"
import { at, ip } from "../support/addresses.js"
import { answering, connected, endpoint, failed, found, never, none, refused, run } from "../support/dials.js"
import * as FakeTransport from "../support/FakeTransport.js"
import * as Upstream from "../support/upstream.js"

const six = "[2001:db8::1]:5432"
const sixToo = "[2001:db8::2]:5432"
const four = "192.0.2.1:5432"
const fourToo = "192.0.2.2:5432"

const aaaa = found("2001:db8::1")
const a = found("192.0.2.1")

const name = Either.getOrThrow(Endpoint.domainName("db.test"))

const good = { [six]: connected(), [four]: connected() }

const dnsAt = (address: string, script: NameServer.Script) => {
  const { listeners, log } = NameServer.make(script)
  return { host: { addresses: [address], listeners }, log }
}

describe("§3 Hostname Resolution Query Handling", () => {
  it.live(
    "\"Both queries SHOULD be made as soon after one another as possible, with the AAAA query made first and immediately followed by the A query\"",
    () =>
      Effect.gen(function*() {
        const { host, log } = dnsAt("10.0.0.53", { "db.test": { A: ["192.0.2.1"], AAAA: ["2001:db8::1"] } })
        yield* SimNetwork.run(
          Effect.provide(
            Dialer.resolveAddress(Endpoint.unsafeParse("db.test:1")),
            DnsResolver.layerServers({ servers: [at("10.0.0.53:53")] })
          ),
          { hosts: { host } }
        )
        expect(log.map(({ at, type }) => [at, type])).toEqual([[0, "AAAA"], [0, "A"]])
      })
  )

  it.effect(
    "\"Implementations SHOULD NOT wait for both families of answers to return before attempting connection establishment\"",
    () =>
      Effect.gen(function*() {
        const { transport } = yield* run({ answers: [[10, aaaa], [60_000, a]], table: good })
        expect(transport.starts()).toEqual([[six, 10]])
      })
  )

  it.effect(
    "\"if a positive AAAA response (a response with at least one valid AAAA record) is received first, the first IPv6 connection attempt is immediately started\"",
    () =>
      Effect.gen(function*() {
        const { endedAt, transport } = yield* run({ answers: [[7, aaaa], [7, "never"]], table: good })
        expect([transport.starts(), endedAt]).toEqual([[[six, 7]], 7])
      })
  )

  it.effect(
    "\"If a positive A response is received first due to reordering, the client SHOULD wait a short time for the AAAA response ... (Resolution Delay)\"",
    () =>
      Effect.gen(function*() {
        const { transport } = yield* run({ answers: [[0, a], [49, aaaa]], table: good })
        expect(transport.starts()).toEqual([[six, 49]])
      })
  )

  it.effect(
    "\"[If] the AAAA response has not been received by the end of the Resolution Delay period, the client SHOULD proceed to sorting addresses ... and staggered connection attempts ... using any IPv4 addresses returned so far\"",
    () =>
      Effect.gen(function*() {
        const { endedAt, transport } = yield* run({ answers: [[5, a], [5, "never"]], table: good })
        expect([transport.starts(), endedAt]).toEqual([[[four, 55]], 55])
      })
  )

  it.effect("\"If a negative AAAA response (no error, no data) is received within the Resolution Delay period ..., the client SHOULD proceed to sorting addresses ... and staggered connection attempts\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({ answers: [[0, a], [20, none("inet6", "NotFound")]], table: good })
      expect(transport.starts()).toEqual([[four, 20]])
    }))

  it.effect("a negative AAAA response that came first leaves nothing to wait for", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({ answers: [[0, none("inet6", "ServerFailure")], [9, a]], table: good })
      expect(transport.starts()).toEqual([[four, 9]])
    }))

  it.effect("a negative A response does not start the wait for a AAAA", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({ answers: [[0, none("inet", "NotFound")], [300, aaaa]], table: good })
      expect(transport.starts()).toEqual([[six, 300]])
    }))

  it.effect("\"If the AAAA response arrives while these connection attempts are in progress ... the newly received IPv6 addresses are incorporated into the list of available candidate addresses\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, found("192.0.2.1", "192.0.2.2")], [100, found("2001:db8::1", "2001:db8::2")]],
        table: { [four]: never, [six]: never, [fourToo]: never, [sixToo]: connected() }
      })
      // As if they had been there from the start, but for what has started.
      expect(transport.starts()).toEqual([[four, 50], [six, 300], [sixToo, 550]])
    }))

  it.effect("the wait is as long as the user says", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, a], [0, "never"]],
        table: good,
        options: { resolutionDelay: "120 millis" }
      })
      expect(transport.starts()).toEqual([[four, 120]])
    }))

  it.effect("a client that prefers IPv4 waits for the A response instead", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, aaaa], [30, a]],
        table: good,
        options: { families: ["inet", "inet6"] }
      })
      expect(transport.starts()).toEqual([[four, 30]])
    }))
})

describe("§3.1 Handling Multiple DNS Server Addresses", () => {
  it.live(
    "\"If DNS queries sent to the IPv6 address do not receive responses, that address may be marked as penalized and queries can be sent to other DNS server addresses\"",
    () =>
      Effect.gen(function*() {
        const six = dnsAt("fd00::53", { "db.test": "silence" })
        const four = dnsAt("10.0.0.53", { "db.test": { A: ["192.0.2.1"] } })
        const lookUp = Dialer.resolveAddress(Endpoint.unsafeParse("db.test:1"), { families: ["inet"] })
        yield* SimNetwork.run(
          Effect.provide(
            Effect.zip(lookUp, lookUp),
            DnsResolver.layerServers({ servers: [at("[fd00::53]:53"), at("10.0.0.53:53")], timeout: "1 second" })
          ),
          { hosts: { six: six.host, four: four.host } }
        )
        expect([six.log.length, four.log.map(({ at }) => at)]).toEqual([1, [1000, 1000]])
      })
  )
})

describe("§4 Sorting Addresses", () => {
  const sixes = found("2001:db8::1", "2001:db8::2", "2001:db8::3")

  it.effect("\"the client MUST sort the addresses received up to this point using Destination Address Selection\"", () =>
    Effect.gen(function*() {
      // No way to IPv6: rule 1 puts it behind IPv4.
      const sources = Layer.succeed(SourceAddress, {
        sourceFor: ({ family }) => Effect.succeed(family === "inet" ? Option.some(ip("10.0.0.9")) : Option.none())
      })
      const transport = FakeTransport.make({ [six]: connected(), [four]: connected() })
      const ports = Layer.mergeAll(answering([[0, a], [10, aaaa]]), transport.layer, sources)
      const dial = Effect.scoped(Dialer.dial(endpoint))
      yield* Effect.fork(Effect.provide(dial, Layer.provide(Dialer.layer, ports)))
      yield* TestClock.adjust("1 second")
      expect(transport.starts()).toEqual([[four, 10]])
    }))

  it.effect("addresses of both families that are there at once are sorted together", () =>
    Effect.gen(function*() {
      const sources = Layer.succeed(SourceAddress, {
        sourceFor: ({ family }) => Effect.succeed(family === "inet" ? Option.some(ip("10.0.0.9")) : Option.none())
      })
      const transport = FakeTransport.make({ [six]: connected(), [four]: connected() })
      const names = Resolver.layerStatic({ "db.example": [ip("2001:db8::1"), ip("192.0.2.1")] })
      const dial = Effect.scoped(Dialer.dial(endpoint))
      yield* Effect.provide(dial, Layer.provide(Dialer.layer, Layer.mergeAll(names, transport.layer, sources)))
      expect(transport.starts()).toEqual([[four, 0]])
    }))

  it.effect("\"the first IPv4 address should be moved up in the list to be second in the list\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, sixes], [0, a]],
        table: { [six]: never, [four]: never, [sixToo]: never, "[2001:db8::3]:5432": connected() }
      })
      expect(transport.starts().map(([address]) => address)).toEqual([six, four, sixToo, "[2001:db8::3]:5432"])
    }))

  it.effect("a client that favours one family more may attempt two of its addresses first (First Address Family Count)", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, sixes], [0, a]],
        table: { [six]: never, [sixToo]: never, [four]: connected() },
        options: { firstAddressFamilyCount: 2 }
      })
      expect(transport.starts().map(([address]) => address)).toEqual([six, sixToo, four])
    }))
})

describe("§5 Connection Attempts", () => {
  it.effect("\"connection attempts SHOULD NOT be made simultaneously\": four silent IPv6 addresses cost one delay, not four", () =>
    Effect.gen(function*() {
      const silent = Object.fromEntries([1, 2, 3, 4].map((n) => [`[2001:db8::${n}]:5432`, never]))
      const { endedAt, transport } = yield* run({
        answers: [[0, found("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4")], [0, a]],
        table: { ...silent, [four]: connected() }
      })
      expect([transport.starts(), endedAt]).toEqual([[[six, 0], [four, 250]], 250])
    }))

  it.effect("\"one connection attempt to a single address is started first, followed by the others in the list, one at a time\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, aaaa], [0, found("192.0.2.1", "192.0.2.2")]],
        table: { [six]: never, [four]: connected(260), [fourToo]: never }
      })
      expect(transport.starts()).toEqual([[six, 0], [four, 250], [fourToo, 500]])
    }))

  it.effect("\"Starting a new connection attempt does not affect previous attempts, as multiple connection attempts may occur in parallel\"", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt } = yield* run({
        answers: [[0, aaaa], [0, a]],
        table: { [six]: connected(1500), [four]: connected(1500) }
      })
      expect([connectedTo, endedAt]).toEqual([six, 1500])
    }))

  it.effect("\"Once one of the connection attempts succeeds ..., all other connections attempts that have not yet succeeded SHOULD be canceled\"", () =>
    Effect.gen(function*() {
      const { events } = yield* run({ answers: [[0, aaaa], [0, a]], table: { [six]: never, [four]: connected(10) } })
      expect(events.map(({ _tag }) => _tag).slice(-3)).toEqual(["AttemptConnected", "AttemptStopped", "Connected"])
    }))

  it.effect("\"Any address that was not yet attempted as a connection SHOULD be ignored\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({ answers: [[0, aaaa], [0, a]], table: good })
      expect(transport.sockets.length).toBe(1)
    }))

  it.effect("\"At that time, the asynchronous DNS query MAY be canceled as new addresses will not be used for this connection\"", () =>
    Effect.gen(function*() {
      const { resolver, seen } = Upstream.make(() => [[0, aaaa], [60_000, a]])
      const transport = FakeTransport.make(good)
      const ports = Layer.merge(Layer.succeed(Resolver.Resolver, resolver), transport.layer)
      yield* Effect.provide(Effect.scoped(Dialer.dial(endpoint)), Layer.provide(Dialer.layer, ports))
      expect(seen.given).toBe(1)
    }))

  describe("\"However, the DNS client resolver SHOULD still process DNS replies from the network for a short period of time (recommended to be 1 second), as they will populate the DNS cache\"", () => {
    /** A lookup that is left once its AAAA is there, and another some time later. */
    const twice = (late: number, pause: number, options?: Resolver.CacheOptions) =>
      Effect.gen(function*() {
        const { asked, resolver } = Upstream.make((_, count) => [
          [0, Upstream.found("2001:db8::1", 60)],
          [count === 0 ? late : 0, Upstream.found("192.0.2.1", 60)]
        ])
        const cached = yield* Resolver.makeCached(resolver, options)
        yield* Stream.runHead(cached.resolve(name))
        yield* TestClock.adjust(pause)
        yield* Effect.fork(Upstream.ask(cached))
        yield* TestClock.adjust("10 seconds")
        return asked.length
      })

    it.scoped("a reply within a second is there for the next lookup", () =>
      Effect.gen(function*() {
        expect(yield* twice(900, 950)).toBe(1)
      }))

    it.scoped("a lookup that is asked for again within it goes on", () =>
      Effect.gen(function*() {
        expect(yield* twice(3000, 500)).toBe(1)
      }))

    it.scoped("what has not come by then is given up", () =>
      Effect.gen(function*() {
        expect(yield* twice(1100, 1500)).toBe(2)
      }))

    it.scoped("as long as the user says", () =>
      Effect.gen(function*() {
        expect(yield* twice(1100, 1500, { lingerFor: "2 seconds" })).toBe(1)
        expect(yield* twice(900, 950, { lingerFor: 0 })).toBe(2)
      }))
  })

  it.effect("\"a subsequent connection MUST NOT be started within 10 milliseconds of the previous attempt\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, aaaa], [0, a]],
        table: { [six]: refused(1), [four]: connected() }
      })
      expect(transport.starts()).toEqual([[six, 0], [four, 10]])
    }))

  it.effect("but where nothing was sent nothing is waited for: there is no network to spare", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, aaaa], [0, a]],
        table: { [six]: { outcome: "NetworkUnreachable", delay: 1 }, [four]: connected() }
      })
      expect(transport.starts()).toEqual([[six, 0], [four, 1]])
    }))

  it.effect("all refused: no stagger is waited for, only the 10 ms between packets", () =>
    Effect.gen(function*() {
      const { endedAt } = yield* failed({
        answers: [[0, found("2001:db8::1", "2001:db8::2")], [0, a]],
        table: { [six]: refused(30), [four]: refused(30), [sixToo]: refused(30) }
      })
      expect(endedAt).toBe(90)
    }))

  it.effect("an answer that comes after all others failed is attempted at once", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt } = yield* run({
        answers: [[0, a], [1000, aaaa]],
        table: { [four]: refused(5), [six]: connected(5) }
      })
      expect([connectedTo, endedAt]).toEqual([six, 1005])
    }))
})

describe("§6 DNS Answer Changes during Happy Eyeballs Connection Setup", () => {
  it.effect("\"If an address is removed from the list that already had a connection attempt started, the connection attempt SHOULD NOT be canceled\"", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt } = yield* run({
        answers: [[0, none("inet6", "NotFound")], [0, a], [100, found("192.0.2.2")]],
        table: { [four]: connected(200), [fourToo]: never }
      })
      expect([connectedTo, endedAt]).toEqual([four, 200])
    }))

  it.effect("\"If the removed address had not yet had a connection attempt started, it SHOULD be removed from the list of addresses to try\"", () =>
    Effect.gen(function*() {
      const { error, transport } = yield* failed({
        answers: [
          [0, none("inet6", "NotFound")],
          [0, found("192.0.2.1", "192.0.2.2", "192.0.2.3")],
          [100, found("192.0.2.3")]
        ],
        table: { [four]: refused(400), [fourToo]: refused(1), "192.0.2.3:5432": refused(1) }
      })
      expect(transport.starts()).toEqual([[four, 0], ["192.0.2.3:5432", 250]])
      expect(error).toMatchObject({
        attempts: [
          { outcome: "Failed" },
          { outcome: "Failed" },
          { outcome: "NeverTried", why: "a newer answer no longer had it" }
        ]
      })
    }))

  it.effect("\"If an address is added to the list, it should be sorted into the list of addresses not yet attempted\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [
          [0, found("2001:db8::1")],
          [0, found("192.0.2.1", "192.0.2.2")],
          [100, found("2001:db8::1", "2001:db8::2")]
        ],
        table: { [six]: never, [four]: never, [sixToo]: never, [fourToo]: connected() }
      })
      expect(transport.starts().map(([address]) => address)).toEqual([six, four, sixToo, fourToo])
    }))
})

describe("§8 Summary of Configurable Values", () => {
  const values: ReadonlyArray<readonly [string, Duration.DurationInput, number]> = [
    ["Resolution Delay: \"Recommended to be 50 milliseconds\"", Resolution.defaultResolutionDelay, 50],
    ["Connection Attempt Delay: \"Recommended to be 250 milliseconds\"", HappyEyeballs.defaultAttemptDelay, 250],
    [
      "Minimum Connection Attempt Delay: \"Recommended to be 100 milliseconds\"",
      HappyEyeballs.recommendedMinimumAttemptDelay,
      100
    ],
    [
      "Minimum Connection Attempt Delay: \"MUST NOT be less than 10 milliseconds\"",
      HappyEyeballs.minimumAttemptDelay,
      10
    ],
    ["Maximum Connection Attempt Delay: \"Recommended to be 2 seconds\"", HappyEyeballs.maximumAttemptDelay, 2000]
  ]
  for (const [name, value, millis] of values) {
    it(name, () => {
      expect(Duration.toMillis(value)).toBe(millis)
    })
  }

  it("First Address Family Count: \"Recommended to be 1\"", () => {
    expect(AddressPlan.defaultFirstAddressFamilyCount).toBe(1)
  })

  const bounded = (attemptDelay: Duration.DurationInput) =>
    Effect.map(
      run({
        answers: [[0, aaaa], [0, a]],
        table: { [six]: never, [four]: connected() },
        options: { attemptDelay }
      }),
      ({ transport }) => transport.starts()
    )

  it.effect("\"The Connection Attempt Delay MUST have a lower bound\" (§5): one below the minimum is the minimum", () =>
    Effect.gen(function*() {
      expect(yield* bounded("1 millis")).toEqual([[six, 0], [four, 10]])
    }))

  it.effect("\"The Connection Attempt Delay SHOULD have an upper bound\" (§5): one above the maximum is the maximum", () =>
    Effect.gen(function*() {
      expect(yield* bounded("1 hour")).toEqual([[six, 0], [four, 2000]])
    }))
})

describe("slow but viable", () => {
  for (const delay of [300, 1500]) {
    it.effect(`every address answers after ${delay} ms: it connects, in that time`, () =>
      Effect.gen(function*() {
        const { connectedTo, endedAt } = yield* run({
          answers: [[0, aaaa], [0, a]],
          table: { [six]: connected(delay), [four]: connected(delay) }
        })
        expect([connectedTo, endedAt]).toEqual([six, delay])
      }))
  }

  it.effect("IPv6 answers after 300 ms and IPv4 is silent: it connects in 300 ms", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt } = yield* run({
        answers: [[0, aaaa], [0, a]],
        table: { [six]: connected(300), [four]: never }
      })
      expect([connectedTo, endedAt]).toEqual([six, 300])
    }))

  it.effect("AAAA a second late: the Resolution Delay and the connect", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt } = yield* run({
        answers: [[0, a], [1000, aaaa]],
        table: { [four]: connected(20), [six]: connected(20) }
      })
      expect([connectedTo, endedAt]).toEqual([four, 70])
    }))

  it.effect("A late with AAAA good: no wait", () =>
    Effect.gen(function*() {
      const { endedAt } = yield* run({
        answers: [[0, aaaa], [1000, a]],
        table: { [four]: connected(20), [six]: connected(20) }
      })
      expect(endedAt).toBe(20)
    }))
})
