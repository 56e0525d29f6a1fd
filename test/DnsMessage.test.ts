import { describe, expect, it } from "@effect/vitest"
import * as Packet from "dns-packet"
import { Either, FastCheck as fc } from "effect"
import * as Address from "../src/Address.js"
import * as DnsMessage from "../src/DnsMessage.js"
import * as ServiceBinding from "../src/ServiceBinding.js"
import { ip } from "./support/addresses.js"

const message = (fields: Partial<DnsMessage.Message>): DnsMessage.Message => ({
  id: 7,
  response: true,
  truncated: false,
  authoritative: false,
  recursionAvailable: true,
  responseCode: "NoError",
  question: { name: "example.com", type: "A" },
  answers: [],
  authorities: [],
  additionals: [],
  udpPayloadSize: undefined,
  ...fields
})

const decoded = (bytes: Uint8Array): DnsMessage.Message => Either.getOrThrow(DnsMessage.decode(bytes))

const refused = (bytes: Uint8Array): string => Either.getOrThrow(Either.flip(DnsMessage.decode(bytes))).message

/** Octets from hexadecimal, spaces ignored. */
const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(/\s+/g, "").match(/../g) ?? [], (octet) => Number.parseInt(octet, 16))

const records: ReadonlyArray<DnsMessage.DnsRecord> = [
  { name: "example.com", timeToLive: 300, type: "A", address: ip("192.0.2.1") },
  { name: "example.com", timeToLive: 300, type: "AAAA", address: ip("2001:db8::1") },
  { name: "www.example.com", timeToLive: 60, type: "CNAME", target: "example.com" },
  { name: "example.com", timeToLive: 60, type: "NS", target: "ns1.example.net" },
  { name: "1.2.0.192.in-addr.arpa", timeToLive: 60, type: "PTR", target: "example.com" },
  {
    name: "example.com",
    timeToLive: 3600,
    type: "SOA",
    primary: "ns1.example.com",
    mailbox: "hostmaster.example.com",
    serial: 4_000_000_000,
    refresh: 1,
    retry: 2,
    expire: 3,
    minimum: 900
  },
  {
    name: "_sip._tcp.example.com",
    timeToLive: 60,
    type: "SRV",
    priority: 10,
    weight: 20,
    port: 5060,
    target: "sip.example.com"
  },
  { name: "example.com", timeToLive: 60, type: "MX", preference: 10, target: "mail.example.com" },
  { name: "example.com", timeToLive: 60, type: "TXT", texts: [new Uint8Array([104, 105]), new Uint8Array([33])] },
  {
    name: "example.com",
    timeToLive: 60,
    type: "HTTPS",
    binding: ServiceBinding.make({
      priority: 1,
      target: "svc.example.net",
      alpn: ["h2", "h3"],
      port: Address.Port(8443),
      ipv4Hint: [Address.unsafeParse("192.0.2.7") as Address.Ipv4Address],
      ipv6Hint: [Address.unsafeParse("2001:db8::7") as Address.Ipv6Address],
      mandatory: [1],
      others: new Map([[700, new Uint8Array([1, 2])]])
    })
  },
  {
    name: "example.com",
    timeToLive: 60,
    type: "SVCB",
    binding: ServiceBinding.make({ priority: 0, target: "alias.example.net" })
  },
  { name: "example.com", timeToLive: 60, type: "Other", code: 99, data: new Uint8Array([1, 2, 3]) }
]

describe("a question", () => {
  it("keeps the case of its name, wants recursion, and has EDNS only when a payload size is given", () => {
    const plain = Packet.decode(DnsMessage.encodeQuestion(9, { name: "eXamPle.com", type: "AAAA" }) as never)
    expect(plain).toMatchObject({ id: 9, type: "query", flag_rd: true, questions: [{ name: "eXamPle.com" }] })
    expect(plain.additionals).toEqual([])
    const edns = decoded(DnsMessage.encodeQuestion(9, { name: "a.b", type: "HTTPS" }, { udpPayloadSize: 1232 }))
    expect(edns).toMatchObject({ udpPayloadSize: 1232, question: { name: "a.b", type: "HTTPS" }, response: false })
  })
})

describe("a response", () => {
  for (const record of records) {
    it(`has its ${record.type} record as a value`, () => {
      expect(decoded(DnsMessage.encodeResponse(message({ answers: [record] }))).answers).toEqual([record])
    })
  }

  it("has its sections, flags, code and question", () => {
    const [first, , third, , , soa] = records
    if (first === undefined || third === undefined || soa === undefined) throw new Error("no records")
    const whole = message({
      truncated: true,
      authoritative: true,
      responseCode: "NameError",
      question: { name: "EXAMPLE.com", type: "HTTPS" },
      answers: [third, first],
      authorities: [soa],
      additionals: [first],
      udpPayloadSize: 4096
    })
    expect(decoded(DnsMessage.encodeResponse(whole))).toEqual(whole)
  })

  it("with compressed names is read as if they were not", () => {
    const bytes = hex(`
      0007 8180 0001 0002 0000 0000
      03777777 076578616d706c65 03636f6d 00 0001 0001
      c00c 0005 0001 0000003c 0002 c010
      c010 0001 0001 0000003c 0004 c0000201`)
    expect(decoded(bytes).answers).toEqual([
      { name: "www.example.com", timeToLive: 60, type: "CNAME", target: "example.com" },
      { name: "example.com", timeToLive: 60, type: "A", address: ip("192.0.2.1") }
    ])
  })

  it("has the root, in the question or as a mailbox, as the empty name", () => {
    const soa: DnsMessage.DnsRecord = {
      name: "",
      timeToLive: 1,
      type: "SOA",
      primary: "",
      mailbox: "",
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum: 1
    }
    const whole = message({ question: { name: "", type: "NS" }, authorities: [soa] })
    expect(decoded(DnsMessage.encodeResponse(whole))).toEqual(whole)
  })

  it("has a TTL of 0 where its top bit is set (RFC 2181 §8)", () => {
    const [first] = records
    if (first === undefined) throw new Error("no records")
    const bytes = DnsMessage.encodeResponse(message({ answers: [{ ...first, timeToLive: 0x8000_0001 }] }))
    expect(decoded(bytes).answers[0]?.timeToLive).toBe(0)
  })

  it("about names that are no host names has them as Other, and no dot inside a label passes for a name", () => {
    const bytes = hex(`
      0007 8180 0000 0002 0000 0000
      03612e62 00 0001 0001 0000003c 0004 c0000201
      0161 00 0005 0001 0000003c 0006 04652e6675 00`)
    expect(decoded(bytes).answers.map(({ type }) => type)).toEqual(["Other", "Other"])
  })
})

describe("what is not a message is refused in words, with the octet", () => {
  const header = "0007 8180 0000 0001 0000 0000"
  it.each([
    ["nothing", "", "shorter than a header"],
    ["a pointer to itself", `${header} c00c 0001 0001 0000003c 0004 c0000201`, "leads to no name"],
    ["a pointer forward", `${header} c020 0001 0001 0000003c 0004 c0000201`, "leads to no name"],
    ["a loop of pointers", `${header} 0161 c00c 0001 0001 0000003c 0004 c0000201`, "leads to no name"],
    ["a name of over 255 octets", `${header} ${"3f".padEnd(128, "61").repeat(5)} 00`, "over 255 octets"],
    ["a label of a kind that is none", `${header} 40 00`, "unknown type"],
    ["a record cut off", `${header} 00 0001 0001 0000`, "cut off"],
    ["data cut off", `${header} 00 0001 0001 0000003c 0004 c000`, "cut off"],
    ["an A record of five octets", `${header} 00 0001 0001 0000003c 0005 c000020101`, "does not fill"],
    ["an A record of three octets", `${header} 00 0001 0001 0000003c 0003 c00002`, "does not fill"],
    ["a CNAME with more after it", `${header} 00 0005 0001 0000003c 0004 0161 00 01`, "does not fill"],
    ["a SOA cut short", `${header} 00 0006 0001 0000003c 0004 00 00 0001`, "does not fill"],
    ["a text longer than its record", `${header} 00 0010 0001 0000003c 0002 0561`, "does not fill"],
    ["more records than it has", "0007 8180 0000 ffff 0000 0000", "ends inside a name"],
    ["octets after its end", "0007 8180 0000 0000 0000 0000 00", "left over"],
    [
      "a service binding out of order",
      `${header} 00 0041 0001 0000003c 000d 0001 00 0003 0002 0050 0002 0000`,
      "not a service binding"
    ]
  ])("%s", (_, text, reason) => {
    expect(refused(hex(text))).toContain(reason)
  })

  it("whatever comes, it is a message or a MalformedMessage", () => {
    const bytes = records.map((record) => DnsMessage.encodeResponse(message({ answers: [record, record] })))
    fc.assert(
      fc.property(
        fc.constantFrom(...bytes),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.option(fc.nat(200)),
        (valid, changes, length) => {
          const mutant = Uint8Array.from(length === null ? valid : valid.subarray(0, length))
          for (const [at, octet] of changes) if (mutant.length > 0) mutant[at % mutant.length] = octet
          const result = DnsMessage.decode(mutant)
          if (Either.isLeft(result)) {
            expect(result.left._tag).toBe("MalformedMessage")
            return
          }
          // What was accepted means the same when it is said again; but the mailbox of a SOA, which nobody dials, may be
          // any labels at all, of which dns-packet writes those of names alone.
          const { answers, question } = result.right
          const plain = answers.filter((record) =>
            record.type !== "Other" && record.name !== "" &&
            !(record.type === "SOA" && !/^[\w.-]+$/.test(record.mailbox))
          )
          const said = { ...result.right, answers: plain, additionals: [], authorities: [] }
          const again = decoded(DnsMessage.encodeResponse(said))
          expect([again.question, again.answers]).toEqual([question, plain])
        }
      ),
      { numRuns: 2000 }
    )
  })
})
