/**
 * RFC 6555, Happy Eyeballs as it was first: what of it its successor (RFC 8305, which obsoletes it) left as it is and users
 * still expect. Exact, in virtual time.
 *
 * Not here, because the successor took it back: §4.2's cache of the family that works, by which a host whose IPv6 is
 * broken would begin with IPv4 for ten minutes.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, TestClock } from "effect"
import type * as Address from "../../src/Address.js"
import * as AddressSelection from "../../src/AddressSelection.js"
import * as Dialer from "../../src/Dialer.js"
import * as HappyEyeballs from "../../src/HappyEyeballs.js"
import { SourceAddress } from "../../src/SourceAddress.js"
import { ip } from "../support/addresses.js"
import { answering, connected, endpoint, found, never, run } from "../support/dials.js"
import * as FakeTransport from "../support/FakeTransport.js"

const six = "[2001:db8::1]:5432"
const four = "192.0.2.1:5432"

const both = [[0, found("2001:db8::1", "2001:db8::2")], [0, found("192.0.2.1", "192.0.2.2")]] as const

describe("§4.2 preference of a family", () => {
  it.effect("\"implementations MUST prefer the first IP address family returned by the host's address preference policy\": of IPv4, where it says so (RFC 6724 §10.3)", () =>
    Effect.gen(function*() {
      const sources = Layer.succeed(SourceAddress, {
        sourceFor: ({ family }) => Effect.succeed(Option.some(ip(family === "inet" ? "192.0.2.9" : "2001:db8::9")))
      })
      const transport = FakeTransport.make({ [six]: connected(), [four]: connected() })
      const ports = Layer.mergeAll(
        answering([[0, found("192.0.2.1")], [10, found("2001:db8::1")]]),
        transport.layer,
        sources
      )
      const policy: AddressSelection.Policy = [
        ...AddressSelection.defaultPolicy.filter(({ label }) => label !== 4),
        { prefix: ip("::ffff:0:0") as Address.Ipv6Address, length: 96, precedence: 100, label: 4 }
      ]
      const dial = Effect.scoped(Dialer.dial(endpoint, { policy }))
      yield* Effect.fork(Effect.provide(dial, Layer.provide(Dialer.layer, ports)))
      yield* TestClock.adjust("1 second")
      expect(transport.starts()).toEqual([[four, 10]])
    }))
})

describe("§5.4 more than one address of a family", () => {
  it.effect("the second attempt is of the other family, whatever the first has left", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({ answers: both, table: { [six]: never, [four]: connected() } })
      expect(transport.starts()).toEqual([[six, 0], [four, 250]])
    }))
})

describe("§5.5 pacing", () => {
  it("\"It is RECOMMENDED that connection attempts be paced 150-250 ms apart to balance human factors against network load\"", () => {
    const pace = Duration.toMillis(HappyEyeballs.defaultAttemptDelay)
    expect(pace).toBeGreaterThanOrEqual(150)
    expect(pace).toBeLessThanOrEqual(250)
  })
})

describe("debugging and troubleshooting", () => {
  it.effect("the race of families can be switched off, to see what one of them does by itself", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, found("192.0.2.1")]],
        table: { [four]: connected(900) },
        options: { families: ["inet"] }
      })
      expect(transport.starts()).toEqual([[four, 0]])
    }))

  it.effect("what each address did is told beside the connection, and not only when all failed", () =>
    Effect.gen(function*() {
      const transport = FakeTransport.make({ [six]: never, [four]: connected() })
      const network = Layer.provide(Dialer.layer, Layer.merge(answering(both), transport.layer))
      const told = yield* Effect.fork(Effect.scoped(Effect.provide(Dialer.dialReport(endpoint), network)))
      yield* TestClock.adjust("1 second")
      const { report } = yield* told
      expect(report.attempts.map(({ address, outcome }) => `${address} ${outcome}`)).toEqual([
        `${six} Stopped`,
        `${four} Connected`,
        "[2001:db8::2]:5432 NeverTried",
        "192.0.2.2:5432 NeverTried"
      ])
    }))
})
