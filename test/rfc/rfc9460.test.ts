/**
 * RFC 9460, SVCB and HTTPS records: one test a requirement of a client, named by its sentence. The client is a dial with
 * `happyEyeballsV3` ("SVCB-optional", in the RFC's words) over our own resolver; how it races is rfc8305.test.ts.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Random } from "effect"
import * as Address from "../../src/Address.js"
import * as Dialer from "../../src/Dialer.js"
import type * as DnsMessage from "../../src/DnsMessage.js"
import * as DnsResolver from "../../src/DnsResolver.js"
import * as Endpoint from "../../src/Endpoint.js"
import type * as Resolver from "../../src/Resolver.js"
import * as ServiceBinding from "../../src/ServiceBinding.js"
import { NameServer, SimNetwork } from "../../src/testing/index.js"
import { at, ip } from "../support/addresses.js"
import { connected, found, never, none, run } from "../support/dials.js"

// -----------------------------------------------------------------------------
// the places where it is seen
// -----------------------------------------------------------------------------

type Fields = Partial<ServiceBinding.ServiceBinding>

const binding = (priority: number, target: string, fields: Fields = {}) =>
  ServiceBinding.make({ priority, target, ...fields })

const https = (owner: string, priority: number, target: string, fields: Fields = {}): DnsMessage.DnsRecord => ({
  type: "HTTPS",
  name: owner,
  timeToLive: 60,
  binding: binding(priority, target, fields)
})

const cname = (owner: string, target: string): DnsMessage.DnsRecord => ({
  type: "CNAME",
  name: owner,
  timeToLive: 60,
  target
})

const port = (number: number): Fields => ({ port: Address.Port(number) })

/** The name itself is at 192.0.2.1. */
const web = (...records: ReadonlyArray<DnsMessage.DnsRecord>): NameServer.Script => ({
  "web.test": { A: ["192.0.2.1"], HTTPS: { answers: records } }
})

/** The addresses in the order of a dial, once all is known, and what the name server was asked, with the milliseconds. */
const dialed = (
  script: NameServer.Script,
  { alpn, seed, to = "web.test:443" }: {
    readonly alpn?: ReadonlyArray<string>
    readonly seed?: number
    readonly to?: string
  } = {}
) => {
  const server = NameServer.make(script)
  return SimNetwork.run(
    Effect.provide(
      Effect.either(Dialer.resolveAddress(Endpoint.unsafeParse(to), { happyEyeballsV3: { alpn } })),
      DnsResolver.layerServers({ servers: [at("10.0.0.53:53")] })
    ),
    { hosts: { dns: { addresses: ["10.0.0.53"], listeners: server.listeners } }, seed }
  ).pipe(Effect.map((result) => ({
    addresses: Either.match(result, {
      onLeft: ({ reason }): ReadonlyArray<string> => [reason],
      onRight: (addresses) => addresses.map(String)
    }),
    asked: server.log.map(({ at, name, type }) => `${at} ${name} ${type}`)
  })))
}

/** The orders that come of many seeds. */
const orders = (script: NameServer.Script) =>
  Effect.map(
    Effect.forEach(Array.from({ length: 24 }, (_, seed) => seed), (seed) => dialed(script, { seed })),
    (all) => new Set(all.map(({ addresses }) => addresses.join(" ")))
  )

const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(/\s+/g, "").match(/../g) ?? [], (octet) => Number.parseInt(octet, 16))

/** Why RDATA is malformed; `"well-formed"` when it is not. */
const malformed = (rdata: string): string =>
  Either.match(ServiceBinding.decode(hex(rdata)), {
    onLeft: ({ reason }) => reason,
    onRight: () => "well-formed"
  })

// -----------------------------------------------------------------------------
// the record
// -----------------------------------------------------------------------------

describe("§2.2 RDATA Wire Format", () => {
  describe("\"Clients MUST consider an RR malformed if\"", () => {
    it("\"the end of the RDATA occurs within a SvcParam\"", () => {
      expect(malformed("0001 00")).toBe("well-formed")
      for (const cut of ["00", "0001", "0001 00 00", "0001 00 0003 00", "0001 00 0003 0002", "0001 00 0003 0002 01"]) {
        expect(malformed(cut)).toMatch(/ends/)
      }
    })

    it("\"SvcParamKeys are not in strictly increasing numeric order\", and so none twice", () => {
      expect(malformed("0001 00 0002 0000 0003 0002 0050")).toBe("well-formed")
      expect(malformed("0001 00 0003 0002 0050 0002 0000")).toBe("key 2 follows key 3")
      expect(malformed("0001 00 0003 0002 0050 0003 0002 0050")).toBe("key 3 follows key 3")
    })

    const values: ReadonlyArray<readonly [key: string, good: string, ...bad: ReadonlyArray<string>]> = [
      ["alpn", "0001 0003 026832", "0001 0000", "0001 0001 00", "0001 0002 0268", "0001 0004 02683200"],
      ["no-default-alpn", "0002 0000", "0002 0001 00"],
      ["port", "0003 0002 01bb", "0003 0000", "0003 0001 01", "0003 0003 0001bb"],
      ["ipv4hint", "0004 0004 c0000201", "0004 0000", "0004 0003 c00002", "0004 0005 c000020100"],
      ["ipv6hint", `0006 0010 ${"20".repeat(16)}`, "0006 0000", `0006 000f ${"20".repeat(15)}`],
      ["mandatory", "0000 0002 0001 0001 0003 026832", "0000 0000", "0000 0001 00", "0000 0003 000100"]
    ]
    for (const [key, good, ...bad] of values) {
      it(`"the SvcParamValue for a SvcParamKey does not have the expected format": ${key}`, () => {
        expect(malformed(`0001 00 ${good}`)).toBe("well-formed")
        for (const value of bad) expect(malformed(`0001 00 ${value}`)).not.toBe("well-formed")
      })
    }
  })

  it("\"the uncompressed, fully qualified TargetName\": a compressed one is malformed", () => {
    expect(malformed("0001 c00c")).toMatch(/compressed/)
  })

  it.effect("\"If any RRs are malformed, the client MUST reject the entire RRset and fall back to non-SVCB connection establishment\"", () =>
    Effect.gen(function*() {
      const bad: DnsMessage.DnsRecord = { type: "Other", code: 65, name: "web.test", timeToLive: 60, data: hex("0002") }
      const { addresses } = yield* dialed(web(https("web.test", 1, "", port(8443)), bad))
      expect(addresses).toEqual(["192.0.2.1:443"])
    }))
})

describe("§2.4.1 SvcPriority", () => {
  it.effect("\"If an RRset contains a record in AliasMode, the recipient MUST ignore any ServiceMode records in the set\"", () =>
    Effect.gen(function*() {
      const service = https("web.test", 1, "", port(8443))
      const { addresses } = yield* dialed({
        ...web(service, https("web.test", 0, "svc.test")),
        "svc.test": { A: ["192.0.2.2"] }
      })
      expect(addresses).toEqual(["192.0.2.2:443", "192.0.2.1:443"])
      // Though it is one that says only that there is no such service.
      expect((yield* dialed(web(service, https("web.test", 0, "")))).addresses).toEqual(["192.0.2.1:443"])
    }))

  it.effect("\"A smaller SvcPriority indicates that the domain owner recommends the use of this record over ServiceMode RRs with a larger SvcPriority value\"", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed(web(
        https("web.test", 300, "", port(300)),
        https("web.test", 1, "", port(1)),
        https("web.test", 20, "", port(20))
      ))
      expect(addresses).toEqual(["192.0.2.1:1", "192.0.2.1:20", "192.0.2.1:300", "192.0.2.1:443"])
    }))

  it.effect("\"clients SHOULD apply a random shuffle within a priority level to the records before using them\"", () =>
    Effect.gen(function*() {
      const found = yield* orders({
        ...web(https("web.test", 1, "a.test"), https("web.test", 1, "b.test")),
        "a.test": { A: ["192.0.2.10"] },
        "b.test": { A: ["192.0.2.11"] }
      })
      expect([...found].toSorted()).toEqual([
        "192.0.2.10:443 192.0.2.11:443 192.0.2.1:443",
        "192.0.2.11:443 192.0.2.10:443 192.0.2.1:443"
      ])
    }))
})

describe("§2.4.2 AliasMode", () => {
  /** The name, and so many aliases of it: the last has an address. */
  const chain = (links: number): NameServer.Script => ({
    ...web(https("web.test", 0, "c1.test")),
    ...Object.fromEntries(Array.from({ length: links }, (_, n) => [`c${n + 1}.test`, {
      A: [`192.0.2.${n + 11}`],
      HTTPS: { answers: n + 1 < links ? [https(`c${n + 1}.test`, 0, `c${n + 2}.test`)] : [] }
    }]))
  })

  it.effect("\"If multiple AliasMode RRs are present, clients or recursive resolvers SHOULD pick one at random\"", () =>
    Effect.gen(function*() {
      const found = yield* orders({
        ...web(https("web.test", 0, "a.test"), https("web.test", 0, "b.test")),
        "a.test": { A: ["192.0.2.10"] },
        "b.test": { A: ["192.0.2.11"] }
      })
      expect([...found].toSorted()).toEqual(["192.0.2.10:443 192.0.2.1:443", "192.0.2.11:443 192.0.2.1:443"])
    }))

  it("\"In AliasMode, recipients MUST ignore any SvcParams that are present\"", () => {
    expect(ServiceBinding.decode(hex("0000 016100 0003 0002 0050"))).toEqual(Either.right(binding(0, "a")))
  })

  it.effect("\"Clients and recursive resolvers MUST follow CNAMEs as normal\"", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed({
        "web.test": {
          A: ["192.0.2.1"],
          HTTPS: { answers: [cname("web.test", "w.test"), https("w.test", 0, "svc.test")] }
        },
        "svc.test": {
          A: {
            answers: [cname("svc.test", "s.test"), {
              type: "A",
              name: "s.test",
              timeToLive: 60,
              address: ip("192.0.2.2")
            }]
          },
          HTTPS: { answers: [cname("svc.test", "s.test"), https("s.test", 1, "", port(8443))] }
        }
      })
      expect(addresses).toEqual(["192.0.2.2:8443", "192.0.2.2:443", "192.0.2.1:443"])
    }))

  it.effect("\"This limit MUST NOT be zero, i.e., implementations MUST be able to follow at least one AliasMode record\"", () =>
    Effect.gen(function*() {
      expect((yield* dialed(chain(1))).addresses).toEqual(["192.0.2.11:443", "192.0.2.1:443"])
      expect((yield* dialed(chain(8))).addresses).toEqual(["192.0.2.18:443", "192.0.2.1:443"])
    }))

  it.effect("\"clients and recursive resolvers MUST impose a limit on the total number of SVCB aliases they will follow for each resolution request\"", () =>
    Effect.gen(function*() {
      const { addresses, asked } = yield* dialed(chain(40))
      expect(addresses).toEqual(["192.0.2.1:443"])
      expect(asked.filter((text) => text.endsWith("HTTPS")).length).toBeLessThan(20)
    }))

  it.effect("\"AliasMode records only apply to queries for the specific RR type\": \"the follow-up query to the TargetName MUST also be for type $T\" (§6)", () =>
    Effect.gen(function*() {
      const { asked } = yield* dialed(chain(1))
      expect(asked).toContain("0 c1.test HTTPS")
      expect(asked.some((text) => text.endsWith("SVCB"))).toBe(false)
    }))
})

describe("§2.4.3 ServiceMode", () => {
  it.effect("\"clients MUST ignore any SvcParam that they do not recognize\"", () =>
    Effect.gen(function*() {
      const strange = { ...port(8443), others: new Map([[7, hex("01")], [65_000, hex("")]]) }
      const { addresses } = yield* dialed(web(https("web.test", 1, "", strange)))
      expect(addresses).toEqual(["192.0.2.1:8443", "192.0.2.1:443"])
    }))

  it.effect("\"Clients MUST reject any RR whose recognized SvcParams are not self-consistent\"", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed(web(
        https("web.test", 1, "", { ...port(1), noDefaultAlpn: true }),
        https("web.test", 2, "", { ...port(2), mandatory: [ServiceBinding.keys.ipv4Hint] }),
        https("web.test", 3, "", port(3))
      ))
      expect(addresses).toEqual(["192.0.2.1:3", "192.0.2.1:443"])
    }))
})

describe("§2.5 Special Handling of \".\" in TargetName", () => {
  it.effect("§2.5.1: \"a TargetName of \".\" indicates that the service is not available or does not exist\", and \"clients encountering this indication MAY ignore it and attempt to connect without the use of SVCB\"", () =>
    Effect.gen(function*() {
      expect((yield* dialed(web(https("web.test", 0, "")))).addresses).toEqual(["192.0.2.1:443"])
    }))

  it.effect("§2.5.2: \"if TargetName has the value \".\", then the owner name of this record MUST be used as the effective TargetName\"", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed(web(https("web.test", 1, "", port(8443))))
      expect(addresses).toEqual(["192.0.2.1:8443", "192.0.2.1:443"])
      // Behind a prefix, the owner is another name than that of the dial.
      const prefixed = yield* dialed({
        "web.test": { A: ["192.0.2.1"] },
        "_8443._https.web.test": {
          A: ["192.0.2.2"],
          HTTPS: { answers: [https("_8443._https.web.test", 1, "", port(9443))] }
        }
      }, { to: "web.test:8443" })
      expect(prefixed.addresses).toEqual(["192.0.2.2:9443", "192.0.2.1:8443"])
    }))
})

// -----------------------------------------------------------------------------
// the client
// -----------------------------------------------------------------------------

describe("§3 Client Behavior", () => {
  it.effect("\"SVCB-optional clients SHOULD issue in parallel any other DNS queries that might be needed\"", () =>
    Effect.gen(function*() {
      const { asked } = yield* dialed(web())
      expect(asked).toEqual(["0 web.test AAAA", "0 web.test A", "0 web.test HTTPS"])
    }))

  it.effect("\"SVCB-optional clients SHALL append to the priority list an endpoint consisting of the final value of $QNAME, the authority endpoint's port number, and no SvcParams\"", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed({
        ...web(https("web.test", 0, "b.test")),
        "b.test": { A: ["192.0.2.10"], HTTPS: { answers: [https("b.test", 0, "c.test")] } },
        "c.test": { A: ["192.0.2.11"], HTTPS: { answers: [https("c.test", 1, "d.test", port(8443))] } },
        "d.test": { A: ["192.0.2.12"] }
      })
      // The service, the last name of the chain, and, after those, the authority; the name between is none of them.
      expect(addresses).toEqual(["192.0.2.12:8443", "192.0.2.11:443", "192.0.2.1:443"])
    }))

  it.effect("\"Clients SHOULD try higher-priority alternatives first, with fallback to lower-priority alternatives\", and both families of one before the next", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed({
        ...web(https("web.test", 2, "b.test"), https("web.test", 1, "a.test")),
        "a.test": { A: ["192.0.2.10"], AAAA: ["2001:db8::10"] },
        "b.test": { A: ["192.0.2.11"], AAAA: ["2001:db8::11"] }
      })
      expect(addresses).toEqual([
        "[2001:db8::10]:443",
        "192.0.2.10:443",
        "[2001:db8::11]:443",
        "192.0.2.11:443",
        "192.0.2.1:443"
      ])
    }))

  it.effect("\"If the client is SVCB-optional and connecting using this list of endpoints has failed, the client now attempts to use non-SVCB connection modes\"", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed(web(https("web.test", 1, "gone.test", port(8443))))
      expect(addresses).toEqual(["192.0.2.1:443"])
    }))

  it.effect("\"clients MUST be able to fetch additional information that is required to use a SVCB record, if it is not included in the initial response\" (§5.2)", () =>
    Effect.gen(function*() {
      const { addresses, asked } = yield* dialed({
        ...web(https("web.test", 1, "svc.test")),
        "svc.test": { A: ["192.0.2.2"] }
      })
      expect(asked.slice(3)).toEqual(["0 svc.test AAAA", "0 svc.test A", "0 svc.test HTTPS"])
      expect(addresses).toEqual(["192.0.2.2:443", "192.0.2.1:443"])
    }))
})

describe("§3.1 Handling Resolution Failures", () => {
  it.effect("\"If DNS responses are not cryptographically protected, clients MAY treat SVCB resolution failure as fatal or nonfatal\": it is not fatal", () =>
    Effect.gen(function*() {
      for (const HTTPS of [{ code: "ServerFailure" }, "silence"] as const) {
        const { addresses } = yield* dialed({ "web.test": { A: ["192.0.2.1"], HTTPS } })
        expect(addresses).toEqual(["192.0.2.1:443"])
      }
    }))

  it.effect("\"If the client is unable to complete SVCB resolution due to its chain length limit, the client MUST fall back to the authority endpoint\", as it does in a loop", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed({
        ...web(https("web.test", 0, "b.test")),
        "b.test": { A: ["192.0.2.10"], HTTPS: { answers: [https("b.test", 0, "web.test")] } }
      })
      expect(addresses).toEqual(["192.0.2.1:443"])
      expect((yield* dialed(web(https("web.test", 0, "web.test")))).addresses).toEqual(["192.0.2.1:443"])
    }))
})

const services = (...all: ReadonlyArray<ServiceBinding.ServiceBinding>): Resolver.Answer => ({
  _tag: "Services",
  services: all
})

const options = { happyEyeballsV3: {} }

describe("§5.1 Optimistic Pre-connection and Connection Reuse", () => {
  it.effect("\"Clients implementing this optimization SHOULD wait for 50 milliseconds before starting optimistic pre-connection\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, found("2001:db8::1")], [0, none("inet", "NotFound")], [0, "never"]],
        table: { "[2001:db8::1]:5432": connected() },
        options
      })
      expect(transport.starts()).toEqual([["[2001:db8::1]:5432", 50]])
    }))

  const starts = (at: number) =>
    Effect.map(
      run({
        answers: [[0, none("inet6", "NotFound")], [0, found("192.0.2.1")], [at, services(binding(1, "", port(8443)))]],
        table: { "192.0.2.1:8443": connected(), "192.0.2.1:5432": never },
        options
      }),
      ({ transport }) => transport.starts()
    )

  it.effect("records that come in that time are followed from the start", () =>
    Effect.gen(function*() {
      expect(yield* starts(30)).toEqual([["192.0.2.1:8443", 30]])
    }))

  it.effect("records that come later are followed from then on", () =>
    Effect.gen(function*() {
      expect(yield* starts(90)).toEqual([["192.0.2.1:5432", 50], ["192.0.2.1:8443", 300]])
    }))
})

// -----------------------------------------------------------------------------
// the parameters
// -----------------------------------------------------------------------------

describe("§7.1 \"alpn\" and \"no-default-alpn\"", () => {
  it("§7.1.1: \"the client starts with the list of alpn-ids from the \"alpn\" SvcParamKey, and it adds the default set unless the \"no-default-alpn\" SvcParamKey is present\"", () => {
    const alpnOf = (fields: Fields) => ServiceBinding.alpnOf(binding(1, "", fields), ["http/1.1"])
    expect(alpnOf({})).toEqual(["http/1.1"])
    expect(alpnOf({ alpn: ["h2", "h3"] })).toEqual(["h2", "h3", "http/1.1"])
    expect(alpnOf({ alpn: ["h2"], noDefaultAlpn: true })).toEqual(["h2"])
  })

  it("§7.1.1: \"length-value pairs are concatenated\", of octets that need be no text", () => {
    const value = binding(1, "", { alpn: ["h2", "\u0000,\u00ff"] })
    expect(ServiceBinding.encode(value)).toEqual(hex("0001 00 0001 0007 026832 03002cff"))
    expect(ServiceBinding.decode(ServiceBinding.encode(value))).toEqual(Either.right(value))
  })

  it.effect("§7.1.2: \"Clients SHOULD NOT attempt connection to a service endpoint whose SVCB ALPN set does not contain any supported protocols\"", () =>
    Effect.gen(function*() {
      const script = web(
        https("web.test", 1, "", { ...port(1), alpn: ["h3"], noDefaultAlpn: true }),
        https("web.test", 2, "", { ...port(2), alpn: ["h2"], noDefaultAlpn: true }),
        https("web.test", 3, "", { ...port(3), alpn: ["h3"] })
      )
      // What is spoken over QUIC alone is not spoken here.
      expect((yield* dialed(script)).addresses).toEqual(["192.0.2.1:2", "192.0.2.1:3", "192.0.2.1:443"])
      expect((yield* dialed(script, { alpn: ["http/1.1"] })).addresses).toEqual(["192.0.2.1:3", "192.0.2.1:443"])
      expect((yield* dialed(script, { alpn: ["h2"] })).addresses).toEqual(["192.0.2.1:2", "192.0.2.1:443"])
    }))
})

describe("§7.2 \"port\"", () => {
  it.effect("\"the TCP or UDP port that should be used to reach this alternative endpoint. If this key is not present, clients SHALL use the authority endpoint's port number\"", () =>
    Effect.gen(function*() {
      const prefixed = "_8443._https.web.test"
      const script: NameServer.Script = {
        "web.test": { A: ["192.0.2.1"] },
        [prefixed]: {
          HTTPS: { answers: [https(prefixed, 1, "svc.test", port(9443)), https(prefixed, 2, "svc.test")] }
        },
        "svc.test": { A: ["192.0.2.2"] }
      }
      const { addresses } = yield* dialed(script, { to: "web.test:8443" })
      expect(addresses).toEqual(["192.0.2.2:9443", "192.0.2.2:8443", "192.0.2.1:8443"])
    }))
})

describe("§7.3 \"ipv4hint\" and \"ipv6hint\"", () => {
  const hints: Fields = {
    ipv4Hint: [ip("192.0.2.7") as Address.Ipv4Address],
    ipv6Hint: [ip("2001:db8::7") as Address.Ipv6Address]
  }

  it.effect("\"The \"ipv4hint\" and \"ipv6hint\" keys convey IP addresses that clients MAY use to reach the service\": before the addresses are there", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, services(binding(1, "", hints))], [0, "never"]],
        table: { "[2001:db8::7]:5432": never, "192.0.2.7:5432": connected() },
        options
      })
      expect(transport.starts()).toEqual([["[2001:db8::7]:5432", 50], ["192.0.2.7:5432", 300]])
    }))

  it.effect("\"If A and AAAA records for TargetName are locally available, the client SHOULD ignore these hints\"", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, found("2001:db8::1")], [0, none("inet", "NotFound")], [0, services(binding(1, "", hints))]],
        table: { "[2001:db8::1]:5432": connected() },
        options
      })
      expect(transport.starts()).toEqual([["[2001:db8::1]:5432", 0]])
    }))

  it.effect("\"Otherwise, clients SHOULD perform A and/or AAAA queries for TargetName\", and \"SHOULD use the IP address in those responses\"", () =>
    Effect.gen(function*() {
      const { addresses, asked } = yield* dialed({
        ...web(https("web.test", 1, "svc.test", hints)),
        "svc.test": { A: ["192.0.2.2"], AAAA: ["2001:db8::2"] }
      })
      expect(addresses).toEqual(["[2001:db8::2]:443", "192.0.2.2:443", "192.0.2.1:443"])
      expect(asked).toContain("0 svc.test AAAA")
    }))

  it.effect("\"clients SHOULD pick addresses to use in a random order\"", () =>
    Effect.gen(function*() {
      const many: Fields = { ipv4Hint: ["192.0.2.7", "192.0.2.8"].map((text) => ip(text) as Address.Ipv4Address) }
      const firsts = yield* Effect.forEach(Array.from({ length: 24 }, (_, seed) => seed), (seed) =>
        Effect.map(
          Effect.withRandom(
            run({
              answers: [[0, none("inet6", "NotFound")], [0, services(binding(1, "", many))], [0, "never"]],
              table: { "192.0.2.7:5432": connected(), "192.0.2.8:5432": connected() },
              options
            }),
            Random.make(seed)
          ),
          ({ connectedTo }) => connectedTo
        ))
      expect(new Set(firsts)).toEqual(new Set(["192.0.2.7:5432", "192.0.2.8:5432"]))
    }))
})

describe("§8 ServiceMode RR Compatibility and Mandatory Keys", () => {
  it.effect("\"A ServiceMode RR is considered \"compatible\" by a client if the client recognizes all the mandatory keys\"", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed(web(
        https("web.test", 1, "", { ...port(1), mandatory: [700], others: new Map([[700, hex("01")]]) }),
        https("web.test", 2, "", { ...port(2), mandatory: [ServiceBinding.keys.alpn], alpn: ["h2"] })
      ))
      expect(addresses).toEqual(["192.0.2.1:2", "192.0.2.1:443"])
    }))

  it.effect("\"and their values indicate that successful connection establishment is possible\": port 0 does not", () =>
    Effect.gen(function*() {
      expect((yield* dialed(web(https("web.test", 1, "", port(0))))).addresses).toEqual(["192.0.2.1:443"])
    }))

  it.effect("ECH, which is for a layer above, may be mandatory: such a record is not used", () =>
    Effect.gen(function*() {
      const ech = { ...port(1), mandatory: [ServiceBinding.keys.ech], ech: hex("0000") }
      expect((yield* dialed(web(https("web.test", 1, "", ech)))).addresses).toEqual(["192.0.2.1:443"])
    }))

  it.effect("\"If the SVCB RRset contains no compatible RRs, the client will generally act as if the RRset is empty\"", () =>
    Effect.gen(function*() {
      const { addresses } = yield* dialed(web(https("web.test", 1, "svc.test", { mandatory: [700] })))
      expect(addresses).toEqual(["192.0.2.1:443"])
    }))

  it("\"listed keys MUST also appear in the SvcParams\"", () => {
    expect(ServiceBinding.isUsable(binding(1, "", { mandatory: [ServiceBinding.keys.port] }))).toBe(false)
    expect(ServiceBinding.isUsable(binding(1, "", { mandatory: [ServiceBinding.keys.port], ...port(1) }))).toBe(true)
  })

  it("\"in strictly increasing numeric order\", and \"MUST NOT appear in its own value-list\"", () => {
    const params = "0001 0003 026832 0003 0002 0050"
    expect(malformed(`0001 00 0000 0004 00010003 ${params}`)).toBe("well-formed")
    expect(malformed(`0001 00 0000 0004 00030001 ${params}`)).toMatch(/do not increase/)
    expect(malformed(`0001 00 0000 0004 00010001 ${params}`)).toMatch(/do not increase/)
    expect(malformed(`0001 00 0000 0004 00000001 ${params}`)).toMatch(/lists itself/)
  })
})

describe("§9 Using Service Bindings with HTTP", () => {
  it("\"The \"automatically mandatory\" keys are \"port\" and \"no-default-alpn\"\": \"clients must either implement these keys or ignore any RR in which they appear\"", () => {
    const none: ReadonlySet<number> = new Set([ServiceBinding.keys.alpn])
    expect(ServiceBinding.isUsable(binding(1, "", { alpn: ["h2"] }), none)).toBe(true)
    expect(ServiceBinding.isUsable(binding(1, "", port(8443)), none)).toBe(false)
    expect(ServiceBinding.isUsable(binding(1, "", { alpn: ["h2"], noDefaultAlpn: true }), none)).toBe(false)
  })

  it.effect("\"Clients MUST NOT perform SVCB queries or accept SVCB responses for \"https\" or \"http\" schemes\"", () =>
    Effect.gen(function*() {
      const record = https("web.test", 1, "", port(8443))
      const svcb = { ...record, type: "SVCB" } as DnsMessage.DnsRecord
      const { addresses, asked } = yield* dialed(web(svcb))
      expect(addresses).toEqual(["192.0.2.1:443"])
      expect(asked.some((text) => text.endsWith("SVCB"))).toBe(false)
    }))

  it.effect("§9.1: \"if the scheme is \"https\" and the port is 443, then the client's original QNAME is equal to the service name\", else behind its port", () =>
    Effect.gen(function*() {
      expect((yield* dialed(web())).asked).toContain("0 web.test HTTPS")
      expect((yield* dialed(web(), { to: "web.test:8443" })).asked).toContain("0 _8443._https.web.test HTTPS")
      // §9.5: "If the "http" URL explicitly specifies port 80, specify port 443."
      expect((yield* dialed(web(), { to: "web.test:80" })).asked).toContain("0 web.test HTTPS")
    }))
})

describe("where it is not asked for", () => {
  it.effect("a dial asks for no HTTPS record, and follows none", () =>
    Effect.gen(function*() {
      const { transport } = yield* run({
        answers: [[0, none("inet6", "NotFound")], [0, found("192.0.2.1")], [0, services(binding(1, "", port(8443)))]],
        table: { "192.0.2.1:5432": connected(), "192.0.2.1:8443": connected() }
      })
      expect(transport.starts()).toEqual([["192.0.2.1:5432", 0]])
    }))
})
