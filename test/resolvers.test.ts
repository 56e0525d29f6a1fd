/**
 * DnsResolver against name servers that we did not write: unbound and dnsmasq, as Debian has them, on loopback.
 *
 * Each case is asked of both servers, of each in both of its roles (`test/support/nameServers.ts`); what a server cannot
 * say stands in the table with the reason.
 */
import { expect, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type * as DnsMessage from "../src/DnsMessage.js"
import * as DnsResolver from "../src/DnsResolver.js"
import { Resolver } from "../src/Resolver.js"
import type * as ServiceBinding from "../src/ServiceBinding.js"
import { describeWith } from "./support/daemons.js"
import { addresses, asking, name, type Options } from "./support/lookups.js"
import { text as decoded } from "./support/loopback.js"
import * as NameServers from "./support/nameServers.js"

const { four, six } = NameServers

// -----------------------------------------------------------------------------
// what each says
// -----------------------------------------------------------------------------

/** A server in a role, the domain that it has there, and how to find it. */
const houses = {
  resolver: { title: "unbound, resolving", domain: "zone.test", server: "unbound" },
  data: { title: "unbound, of its own data", domain: "data.test", server: "unbound" },
  host: { title: "dnsmasq, of its own data", domain: "host.test", server: "dnsmasq" },
  forwarder: { title: "dnsmasq, forwarding", domain: "zone.test", server: "dnsmasq" }
} as const

type House = keyof typeof houses

/** What is said of AAAA and of A; or why it cannot be said. */
type Said = readonly [aaaa: string, a: string] | { readonly cannot: string }

interface Case {
  readonly title: string
  /** Inside the domain of the house; a whole name has a dot at its end. */
  readonly name: string
  readonly resolver: Said
  readonly data: Said
  readonly host: Said
  /** As unbound says it, whom it asks; but a forwarder need not pass everything on. */
  readonly forwarder?: Said
}

const all = (say: (n: number) => string): string =>
  Array.from({ length: 40 }, (_, n) => say(n + 1)).toSorted().join(" ")

const both = [`${six(1)} 300`, `${four(1)} 300`] as const

/** dnsmasq has no SOA for its own names, so nobody knows how long they do not exist. */
const none = ["NotFound 60", "NotFound 60"] as const
const noneOfDnsmasq = ["NotFound", "NotFound"] as const

const cannot = (why: string) => ({ cannot: why })
const ownNames = cannot("a matter of resolving, not of own names")

const cases: ReadonlyArray<Case> = [
  {
    title: "an A record and no AAAA (NODATA)",
    name: "a",
    resolver: ["NotFound 60", `${four(1)} 300`],
    data: ["NotFound 60", `${four(1)} 300`],
    host: ["NotFound", `${four(1)} 200`]
  },
  {
    title: "an AAAA record and no A (NODATA)",
    name: "aaaa",
    resolver: [`${six(1)} 300`, "NotFound 60"],
    data: [`${six(1)} 300`, "NotFound 60"],
    host: [`${six(1)} 300`, "NotFound"]
  },
  { title: "both families", name: "both", resolver: both, data: both, host: both },
  {
    title: "40 addresses of each family",
    name: "many",
    resolver: [`${all(six)} 300`, `${all(four)} 300`],
    data: [`${all(six)} 300`, `${all(four)} 300`],
    host: [`${all(six)} 300`, `${all(four)} 300`]
  },
  {
    title: "a name in another case than the zone's",
    name: "mIXEd",
    resolver: ["NotFound 60", `${four(1)} 300`],
    data: ownNames,
    host: ownNames
  },
  {
    title: "a name of 253 octets",
    name: `${NameServers.longName}.`,
    resolver: ["NotFound 60", `${four(1)} 300`],
    data: ownNames,
    host: ownNames
  },
  {
    title: "a CNAME, with the lower time to live of the two",
    name: "www",
    resolver: [`${six(1)} 100`, `${four(1)} 100`],
    data: [`${six(1)} 100`, `${four(1)} 100`],
    // local-ttl is that of all of them.
    host: both
  },
  { title: "a chain of 3 CNAMEs", name: "c3", resolver: both, data: both, host: both },
  {
    title: "a chain of 11 CNAMEs, the longest that unbound follows",
    name: "c11",
    resolver: both,
    data: both,
    host: both
  },
  {
    title: "a chain of 16 CNAMEs, the longest that we follow",
    name: "c16",
    resolver: cannot("over 11 it has an answer from the zone, and SERVFAIL from what it keeps of that"),
    data: both,
    host: both
  },
  {
    title: "a chain of 17 CNAMEs",
    name: "c17",
    resolver: cannot("see above"),
    data: ["InvalidResponse", "InvalidResponse"],
    host: ["InvalidResponse", "InvalidResponse"]
  },
  {
    title: "CNAMEs in a circle",
    name: "round",
    resolver: ["ServerFailure", "ServerFailure"],
    data: ["InvalidResponse", "InvalidResponse"],
    host: cannot("with a circle it does not start")
  },
  {
    title: "a CNAME to nothing",
    name: "lost",
    resolver: none,
    data: none,
    host: cannot("it tells an alias only of a name that it knows")
  },
  {
    title: "a DNAME, whose CNAME the server makes for the moment",
    name: "a.old",
    resolver: ["NotFound 0", `${four(2)} 0`],
    data: ownNames,
    host: ownNames
  },
  { title: "NXDOMAIN", name: "gone", resolver: none, data: none, host: noneOfDnsmasq },
  {
    title: "SERVFAIL",
    name: "x.broken.test.",
    resolver: ["ServerFailure", "ServerFailure"],
    data: ownNames,
    host: ownNames
  },
  {
    title: "REFUSED",
    name: "x.refused.test.",
    resolver: ["Refused", "Refused"],
    data: ownNames,
    host: ownNames
  },
  {
    title: "a name that the server has nobody to ask for",
    name: "elsewhere.example.",
    resolver: ["ServerFailure", "ServerFailure"],
    data: ownNames,
    host: ownNames,
    forwarder: ["Refused", "Refused"]
  }
]

const saidBy = (house: House, { forwarder, ...it }: Case): Said =>
  house === "forwarder" ? forwarder ?? it.resolver : it[house]

const full = (house: House, text: string): string => text.endsWith(".") ? text : `${text}.${houses[house].domain}`

/** A record as text. */
const rendered = (record: DnsMessage.DnsRecord): string => {
  switch (record.type) {
    case "A":
    case "AAAA":
      return String(record.address)
    case "MX":
      return `${record.preference} ${record.target}`
    case "SRV":
      return `${record.priority} ${record.weight} ${record.port} ${record.target}`
    case "TXT":
      return record.texts.map(decoded).join(" ")
    case "SOA":
      return `${record.primary} ${record.mailbox} ${record.serial} ${record.minimum}`
    case "HTTPS":
    case "SVCB":
      return binding(record.binding)
    case "Other":
      return `type ${record.code}`
    default:
      return record.target
  }
}

const binding = ({ alpn, ipv4Hint, port, priority, target }: ServiceBinding.ServiceBinding): string =>
  [priority, target === "" ? "." : target, ...alpn ?? [], ...port === undefined ? [] : [port], ...ipv4Hint].join(" ")

const records = (text: string, type: DnsMessage.RecordType) =>
  Effect.flatMap(
    DnsResolver.DnsResolver,
    ({ query }) =>
      Effect.match(query(name(text), type), {
        onFailure: ({ reason }) => [reason],
        onSuccess: ({ records }) => records.map(rendered).toSorted()
      })
  )

const zoneOnly = (said: ReadonlyArray<string>) => ({ resolver: said, forwarder: said })

/** What is said of other types; a house that is not here cannot say it. */
const types: ReadonlyArray<
  readonly [type: DnsMessage.RecordType, name: string, said: { readonly [H in House]?: ReadonlyArray<string> }]
> = [
  ["A", "both", { resolver: [four(1)], data: [four(1)], host: [four(1)], forwarder: [four(1)] }],
  ["CNAME", "www", {
    ...zoneOnly(["both.zone.test"]),
    data: ["both.data.test"],
    host: ["both.host.test"]
  }],
  ["NS", "zone.test.", zoneOnly(["ns.zone.test"])],
  ["MX", "zone.test.", zoneOnly(["10 both.zone.test"])],
  ["TXT", "zone.test.", zoneOnly(["one two"])],
  ["SOA", "zone.test.", zoneOnly(["ns.zone.test mail.root.zone.test 1 60"])],
  ["PTR", "9.2.0.192.in-addr", zoneOnly(["both.zone.test"])],
  ["SVCB", "_dns", zoneOnly(["1 both.zone.test dot"])],
  ["HTTPS", "alias", zoneOnly(["0 both.zone.test"])],
  ["HTTPS", "both", {
    ...zoneOnly([`1 . h2 h3 8443 ${four(1)}`, "2 a.zone.test h2"]),
    data: ["1 . h2", "2 a.data.test"],
    host: ["1 . h2"]
  }],
  ["HTTPS", "a", { resolver: ["NotFound"], data: ["NotFound"], host: ["NotFound"], forwarder: ["NotFound"] }],
  ["SRV", "_chat._tcp", {
    ...zoneOnly(["10 5 5223 a.zone.test", "20 0 5222 b.zone.test"]),
    data: ["10 5 5223 a.data.test", "20 0 5222 b.data.test"],
    host: ["10 5 5223 a.host.test", "20 0 5222 b.host.test"]
  }]
]

const houseNames = Object.keys(houses) as ReadonlyArray<House>

/** Asks the server of a house alone. */
const askHouse = <A, E>(
  house: House,
  self: Effect.Effect<A, E, Resolver | DnsResolver.DnsResolver>,
  options: Options = {}
) => Effect.flatMap(NameServers.Servers, (servers) => asking([servers[houses[house].server].address], options, self))

describeWith([NameServers.unbound, NameServers.dnsmasq], "real name servers", () => {
  layer(NameServers.servers, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    for (const house of houseNames) {
      for (const each of cases) {
        const said = saidBy(house, each)
        if ("cannot" in said) continue
        it.effect(`${houses[house].title}: ${each.title}`, () =>
          Effect.gen(function*() {
            const text = full(house, each.name)
            expect((yield* askHouse(house, addresses(text))).value).toEqual(said)
            // The case of what is asked comes back as it was, even so of what was cached in another.
            expect((yield* askHouse(house, addresses(text), { randomizeCase: true })).value).toEqual(said)
          }))
      }
      it.effect(`${houses[house].title}: records of every type`, () =>
        Effect.gen(function*() {
          for (const [type, text, said] of types) {
            const expected = said[house]
            if (expected === undefined) continue
            const { value } = yield* askHouse(house, records(full(house, text), type))
            expect([type, text, ...value]).toEqual([type, text, ...expected])
          }
        }))

      it.effect(`${houses[house].title}: a service is dialed in the order of its priorities`, () =>
        Effect.gen(function*() {
          const { domain } = houses[house]
          const { value } = yield* askHouse(house, DnsResolver.service(`_chat._tcp.${domain}`))
          expect(value.map(({ endpoint }) => String(endpoint))).toEqual([
            `tcp://a.${domain}.:5223`,
            `tcp://b.${domain}.:5222`
          ])
        }))

      it.effect(`${houses[house].title}: the HTTPS records are told beside the addresses`, () =>
        Effect.gen(function*() {
          const answers = Stream.runCollect(
            Stream.unwrap(Effect.map(Resolver, ({ resolve }) => resolve(name(full(house, "both")), { services: 443 })))
          )
          const { value } = yield* askHouse(house, answers)
          const services = [...value].flatMap((answer) => answer._tag === "Services" ? answer.services : [])
          expect(services.map(({ priority }) => priority).toSorted()).toEqual(house === "host" ? [1] : [1, 2])
        }))

      it.effect(`${houses[house].title}: what is too long for the size that was asked for comes over TCP`, () =>
        Effect.gen(function*() {
          const many = addresses(full(house, "many"))
          expect((yield* askHouse(house, many)).opened).toEqual(["dgram", "dgram"])
          const { opened, value } = yield* askHouse(house, many, { udpPayloadSize: 512 })
          expect(opened).toEqual(["dgram", "dgram", "stream", "stream"])
          expect(value).toEqual([`${all(six)} 300`, `${all(four)} 300`])
        }))

      it.effect(`${houses[house].title}: 50 lookups at once`, () =>
        Effect.gen(function*() {
          const text = full(house, "both")
          const { value } = yield* askHouse(
            house,
            Effect.replicateEffect(addresses(text), 50, { concurrency: "unbounded" })
          )
          expect(new Set(value.map(String))).toEqual(new Set([both.join()]))
        }))
    }

    // dnsmasq sends no datagram of over 1232 octets, whatever it is asked for.
    for (const [house, large] of [["resolver", ["dgram"]], ["forwarder", ["dgram", "stream"]]] as const) {
      it.effect(`${houses[house].title}: 200 addresses come over TCP by default, in one datagram only when that may be large`, () =>
        Effect.gen(function*() {
          const crowd = (options: Options) => askHouse(house, records("crowd.zone.test", "A"), options)
          const byDefault = yield* crowd({})
          expect([byDefault.opened, byDefault.value.length]).toEqual([["dgram", "stream"], 200])
          const { opened, value } = yield* crowd({ udpPayloadSize: 4096 })
          expect([opened, value.length]).toEqual([large, 200])
        }))
    }
  })
})
