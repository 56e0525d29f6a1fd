/**
 * RFC 8305, Happy Eyeballs Version 2: one test a requirement, named by its sentence. Exact, in virtual time.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as AddressPlan from "../../src/AddressPlan.js"
import * as HappyEyeballs from "../../src/HappyEyeballs.js"
import * as Resolution from "../../src/Resolution.js"
import { connected, failed, found, never, none, refused, run } from "../support/dials.js"

const six = "[2001:db8::1]:5432"
const sixToo = "[2001:db8::2]:5432"
const four = "192.0.2.1:5432"
const fourToo = "192.0.2.2:5432"

const aaaa = found("2001:db8::1")
const a = found("192.0.2.1")

const good = { [six]: connected(), [four]: connected() }

describe("§3 Hostname Resolution Query Handling", () => {
  it.effect(
    "\"implementations SHOULD NOT wait for both families of answers to return before attempting connection establishment\"",
    () =>
      Effect.gen(function*() {
        const { transport } = yield* run({ answers: [[10, aaaa], [60_000, a]], table: good })
        expect(transport.starts()).toEqual([[six, 10]])
      })
  )

  it.effect(
    "\"If a positive AAAA response ... is received first, the first IPv6 connection attempt is immediately started\"",
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
    "\"[If] the AAAA response has not been received by the end of the Resolution Delay period, the client SHOULD proceed to sorting and staggered connection attempts\"",
    () =>
      Effect.gen(function*() {
        const { endedAt, transport } = yield* run({ answers: [[5, a], [5, "never"]], table: good })
        expect([transport.starts(), endedAt]).toEqual([[[four, 55]], 55])
      })
  )

  it.effect("\"If a negative AAAA response is received within the Resolution Delay period ..., the client SHOULD proceed to sorting and staggered connection attempts\"", () =>
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

describe("§3.1 / §4 a new answer during the race", () => {
  it.effect("an address that a newer answer no longer has is not attempted, unless it was already", () =>
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

  it.effect("an attempt under way is not cancelled because a new answer does not have its address", () =>
    Effect.gen(function*() {
      const { connectedTo, endedAt } = yield* run({
        answers: [[0, none("inet6", "NotFound")], [0, a], [100, found("192.0.2.2")]],
        table: { [four]: connected(200), [fourToo]: never }
      })
      expect([connectedTo, endedAt]).toEqual([four, 200])
    }))
})

describe("§4 Sorting Addresses", () => {
  const sixes = found("2001:db8::1", "2001:db8::2", "2001:db8::3")

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

  it.effect("\"one connection attempt is started first, followed by the others one at a time, until the first connection succeeds\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, aaaa], [0, found("192.0.2.1", "192.0.2.2")]],
        table: { [six]: never, [four]: connected(260), [fourToo]: never }
      })
      expect(transport.starts()).toEqual([[six, 0], [four, 250], [fourToo, 500]])
    }))

  it.effect("\"starting a new connection attempt does not affect previous attempts, as multiple connection attempts may occur in parallel\"", () =>
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

  it.effect("a Connection Attempt Delay below the minimum is the minimum", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, aaaa], [0, a]],
        table: { [six]: never, [four]: connected() },
        options: { attemptDelay: "1 millis" }
      })
      expect(transport.starts()).toEqual([[six, 0], [four, 10]])
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
