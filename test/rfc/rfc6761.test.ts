/**
 * Names that are special: RFC 6761 (localhost, invalid, test, example), RFC 6762 (local) and RFC 7686 (onion), as far as
 * they concern "Name resolution APIs and libraries". In virtual time, over the simulated network.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { DnsResolver } from "../../src/DnsResolver.js"
import * as Endpoint from "../../src/Endpoint.js"
import { addresses, beside } from "../support/stub.js"

const query = (name: string, type: "TXT" | "HTTPS") =>
  Effect.gen(function*() {
    const resolver = yield* DnsResolver
    return (yield* Effect.flip(resolver.query(yield* Endpoint.domainName(name), type))).reason
  })

/** Would be answered, were it asked. */
const everything = {
  localhost: { A: ["203.0.113.66"], AAAA: ["2001:db8::66"] },
  "db.localhost": { A: ["203.0.113.66"] },
  "db.invalid": { A: ["203.0.113.66"] },
  "db.local": { A: ["203.0.113.66"] },
  "db.onion": { A: ["203.0.113.66"] }
}

describe("RFC 6761 §6.3 \"localhost.\"", () => {
  it.live("\"Name resolution APIs and libraries SHOULD recognize localhost names as special and SHOULD always return the IP loopback address for address queries\", under any label and in any case", () =>
    Effect.gen(function*() {
      for (const name of ["localhost", "localhost.", "LocalHost", "db.localhost", "a.b.LOCALHOST."]) {
        const { value } = yield* beside(everything, addresses(name))
        expect(value).toEqual(["::1", "127.0.0.1"])
      }
    }))

  it.live("\"and negative responses for all other query types\"", () =>
    Effect.gen(function*() {
      const { value } = yield* beside(
        everything,
        Effect.all([query("localhost", "TXT"), query("db.localhost", "HTTPS")])
      )
      expect(value).toEqual(["NotFound", "NotFound"])
    }))

  it.live("\"Name resolution APIs SHOULD NOT send queries for localhost names to their configured caching DNS server(s)\"", () =>
    Effect.gen(function*() {
      const all = Effect.all([addresses("localhost"), addresses("db.localhost."), query("localhost", "TXT")])
      const { asked } = yield* beside(everything, all, { search: ["corp.test"] })
      expect(asked).toEqual([])
    }))

  it.live("a name that only ends in those letters is no localhost name", () =>
    Effect.gen(function*() {
      const { asked, value } = yield* beside({ "notlocalhost": { A: ["192.0.2.1"] } }, addresses("notlocalhost."))
      expect(value).toContain("192.0.2.1")
      expect(asked).toEqual(["notlocalhost AAAA", "notlocalhost A"])
    }))
})

for (
  const [title, top] of [
    [
      "RFC 6761 §6.4 \"invalid.\": \"SHOULD always return immediate negative responses\" and \"SHOULD NOT send queries\"",
      "invalid"
    ],
    [
      "RFC 6762 §22.1 \"local.\": \"SHOULD NOT send queries for these names to their configured (unicast) caching DNS server(s)\"",
      "local"
    ],
    [
      "RFC 7686 §2 \"onion.\": \"Resolvers MUST either respond to requests for .onion names by resolving them according to [tor-rendezvous] or by responding with NXDOMAIN\"",
      "onion"
    ]
  ] as const
) {
  it.live(title, () =>
    Effect.gen(function*() {
      const all = Effect.all([addresses(`db.${top}`), addresses(`${top.toUpperCase()}.`), query(`db.${top}`, "TXT")])
      const { asked, value } = yield* beside(everything, all)
      expect(value).toEqual([["NotFound", "NotFound"], ["NotFound", "NotFound"], "NotFound"])
      expect(asked).toEqual([])
    }))
}

for (const name of ["db.test", "www.example", "1.2.0.10.in-addr.arpa"]) {
  it.live(`RFC 6761 §6.1, §6.2, §6.5 ${name}: "Name resolution APIs and libraries SHOULD NOT recognize" such names as special`, () =>
    Effect.gen(function*() {
      const { asked } = yield* beside({}, addresses(name))
      expect(asked).toEqual([`${name} AAAA`, `${name} A`])
    }))
}
