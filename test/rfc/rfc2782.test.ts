/** RFC 2782, the location of services: what a client has to do with SRV records. Over the simulated network. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import type * as DnsMessage from "../../src/DnsMessage.js"
import * as DnsResolver from "../../src/DnsResolver.js"
import * as Endpoint from "../../src/Endpoint.js"
import { beside } from "../support/stub.js"

const owner = "_xmpp-client._tcp.chat.test"

const srv = (priority: number, weight: number, target: string, port = 5222): DnsMessage.DnsRecord => ({
  type: "SRV",
  name: owner,
  timeToLive: 60,
  priority,
  weight,
  port,
  target
})

const found = (answers: ReadonlyArray<DnsMessage.DnsRecord>, seed = 0) =>
  Effect.map(
    beside({ [owner]: { SRV: { answers } } }, Effect.either(DnsResolver.service(owner)), { seed }),
    ({ value }) => value
  )

const targets = (answers: ReadonlyArray<DnsMessage.DnsRecord>, seed = 0) =>
  Effect.map(found(answers, seed), (value) =>
    Either.isLeft(value)
      ? value.left.reason
      : value.right.map(({ endpoint }) => Endpoint.hostText(endpoint)))

/** How often each comes first, of 300 times. */
const firsts = (answers: ReadonlyArray<DnsMessage.DnsRecord>) =>
  Effect.map(
    beside({ [owner]: { SRV: { answers } } }, Effect.replicateEffect(DnsResolver.service(owner), 300)),
    ({ value }) => (name: string) =>
      value.filter(([first]) => first !== undefined && Endpoint.hostText(first.endpoint) === name).length
  )

describe("Priority", () => {
  it.live("\"A client MUST attempt to contact the target host with the lowest-numbered priority it can reach\"", () =>
    Effect.gen(function*() {
      const answers = [srv(20, 9, "c.test"), srv(10, 0, "a.test"), srv(15, 5, "b.test"), srv(65_535, 0, "d.test")]
      for (const seed of [1, 2, 3]) {
        expect(yield* targets(answers, seed)).toEqual(["a.test.", "b.test.", "c.test.", "d.test."])
      }
    }))
})

describe("Weight", () => {
  it.live("\"Larger weights SHOULD be given a proportionately higher probability of being selected\"", () =>
    Effect.gen(function*() {
      const count = yield* firsts([srv(1, 10, "light.test"), srv(1, 30, "heavy.test")])
      // Three in four: 225 of 300, within five standard deviations.
      expect(count("heavy.test.")).toBeGreaterThan(185)
      expect(count("heavy.test.")).toBeLessThan(265)
    }))

  it.live("\"In the presence of records containing weights greater than 0, records with weight 0 should have a very small chance of being selected\"", () =>
    Effect.gen(function*() {
      const count = yield* firsts([srv(1, 0, "spare.test"), srv(1, 99, "main.test")])
      expect(count("spare.test.")).toBeLessThan(20)
    }))

  it.live("\"Continue the ordering process until there are no unordered SRV RRs\": every target is there, once", () =>
    Effect.gen(function*() {
      const answers = [srv(1, 0, "a.test"), srv(1, 5, "b.test"), srv(1, 50, "c.test"), srv(1, 0, "d.test")]
      for (const seed of [1, 2, 3, 4, 5]) {
        const names = yield* targets(answers, seed)
        expect([...names].toSorted()).toEqual(["a.test.", "b.test.", "c.test.", "d.test."])
      }
    }))
})

describe("Port and Target", () => {
  it.live("\"The port on this target host of this service\"; its name is whole and goes through no search list", () =>
    Effect.gen(function*() {
      const value = yield* found([srv(10, 7, "a.test", 5269)])
      expect(Either.getOrThrow(value)).toEqual([{
        endpoint: Endpoint.unsafeParse("tcp://a.test.:5269"),
        priority: 10,
        weight: 7
      }])
    }))

  it.live("\"A Target of \".\" means that the service is decidedly not available at this domain\": \"If there is precisely one SRV RR, and its Target is \".\" (the root domain), abort\"", () =>
    Effect.gen(function*() {
      expect(yield* targets([srv(0, 0, "")])).toBe("NotFound")
      // Among others it stands for none.
      expect(yield* targets([srv(0, 0, ""), srv(1, 0, "a.test")])).toEqual(["a.test."])
    }))

  it.live("port 0 is reserved (RFC 6335 §6) and can be connected to by nobody: such a record offers nothing", () =>
    Effect.gen(function*() {
      expect(yield* targets([srv(0, 0, "a.test", 0), srv(1, 0, "b.test", 1)])).toEqual(["b.test."])
      expect(yield* targets([srv(0, 0, "a.test", 0)])).toBe("NotFound")
    }))

  it.live("a domain without such records says NotFound, and its user may fall back to its address", () =>
    Effect.gen(function*() {
      expect(yield* targets([])).toBe("NotFound")
    }))
})
