import { describe, expect, it } from "@effect/vitest"
import { Either, Equal, FastCheck as fc, Hash, Schema } from "effect"
import * as net from "node:net"
import { inspect } from "node:util"
import * as Address from "../src/Address.js"
import { InvalidAddress } from "../src/DialError.js"

const ok = <A>(result: Either.Either<A, InvalidAddress>): A => Either.getOrThrowWith(result, (error) => error)

const refusal = (result: Either.Either<unknown, InvalidAddress>): readonly [number, string] => {
  const error = Either.getOrThrow(Either.flip(result))
  expect(error).toBeInstanceOf(InvalidAddress)
  return [error.position, error.reason]
}

const sign = (order: number) => Math.sign(order)

const octet = fc.integer({ min: 0, max: 255 })
const hextet = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
const groups = fc.tuple(hextet, hextet, hextet, hextet, hextet, hextet, hextet, hextet)
const zoneText = fc.oneof(
  fc.constantFrom("eth0", "en0", "wlan0.100", "0", "2", "02", "4294967296", "A-b_c~d"),
  fc.stringMatching(/^[A-Za-z0-9._~-]{1,15}$/)
)
const ipv4 = fc.integer({ min: 0, max: 0xffffffff }).map((bits) => new Address.Ipv4Address(bits))
const scoped = fc.tuple(fc.constantFrom(0xfe80, 0xfebf, 0xff02, 0xff01, 0xff12), groups).map(
  ([first, [, b, c, d, e, f, g, h]]): Address.Ipv6Groups => [first, b, c, d, e, f, g, h]
)
const mapped = fc.tuple(hextet, hextet).map(([g, h]): Address.Ipv6Groups => [0, 0, 0, 0, 0, 0xffff, g, h])
const ipv6 = fc.oneof(
  fc.oneof(groups, mapped).map((groups) => new Address.Ipv6Address(groups, undefined)),
  fc.tuple(scoped, fc.option(zoneText, { nil: undefined })).map(([groups, zone]) =>
    new Address.Ipv6Address(groups, zone)
  )
)
const ip: fc.Arbitrary<Address.IpAddress> = fc.oneof(ipv4, ipv6)
const port = fc.integer({ min: 0, max: 65535 }).map((n) => Address.Port(n))
const unixPath = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 30 }).map((rest) => `/${rest}`),
  fc.string({ unit: "grapheme", maxLength: 30 }).map((rest) => `./${rest}`),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }).map((name) => `@${name}`)
).map((text) => Address.parseUnixPath(text)).filter(Either.isRight).map((either) => either.right)
const inet6 = fc.record({
  ip: ipv6,
  port,
  flowInfo: fc.integer({ min: 0, max: 0xfffff }),
  scopeId: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffffffff }))
}).map(({ ip, port, ...options }) => Address.inet6(ip, port, options))
const socketAddress: fc.Arbitrary<Address.SocketAddress> = fc.oneof(
  fc.tuple(ipv4, port).map(([ip, port]) => Address.inet4(ip, port)),
  inet6,
  unixPath.map(Address.unix)
)
/** Texts that are nearly addresses, so that a property test visits the grammar's edges and not only its outside. */
const nearly = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom("0", "1", "f", "ffff", ":", "::", ".", "%", "25", "[", "]", "x", "@", "/"),
    maxLength: 20
  })
)

describe("parseIpv4", () => {
  it.each(["0.0.0.0", "127.0.0.1", "255.255.255.255", "192.0.2.1", "10.20.30.40"])("reads %s", (text) => {
    expect(String(ok(Address.parseIpv4(text)))).toBe(text)
  })

  it.each<readonly [string, number, string]>([
    ["", 0, "an IPv4 address is missing"],
    ["127.1", 5, "it has 2 parts, four are needed"],
    ["1", 1, "it has 1 part, four are needed"],
    ["2130706433", 0, "part \"2130706433\" is over 255"],
    ["012.1.2.3", 0, "part \"012\" has a leading zero, which some systems read as octal"],
    ["1.2.3.00", 6, "part \"00\" has a leading zero, which some systems read as octal"],
    ["0x7f.1", 1, "\"x\" is not a decimal digit"],
    ["1.2.3.256", 6, "part \"256\" is over 255"],
    ["1.2.3.4.5", 7, "it has more than four parts"],
    ["1.2.3.4.", 7, "it has more than four parts"],
    ["1..2.3", 2, "part 2 is empty"],
    [".1.2.3", 0, "part 1 is empty"],
    ["1.2.3.", 6, "part 4 is empty"],
    [" 1.2.3.4", 0, "U+0020 is not a decimal digit"],
    ["1.2.3.4\n", 7, "U+000A is not a decimal digit"],
    ["-1.2.3.4", 0, "\"-\" is not a decimal digit"],
    ["1.2.3.+4", 6, "\"+\" is not a decimal digit"],
    ["1.2.3.٤", 6, "\"٤\" is not a decimal digit"],
    ["1.2.3.4/8", 7, "\"/\" is not a decimal digit"]
  ])("refuses %j at %i: %s", (text, position, reason) => {
    expect(refusal(Address.parseIpv4(text))).toEqual([position, reason])
  })

  it("takes exactly what node:net calls IPv4", () => {
    const text = fc.oneof(
      nearly,
      fc.array(fc.oneof(octet.map(String), fc.constantFrom("", "00", "256", "0x1", "1e1")), {
        minLength: 3,
        maxLength: 5
      }).map((parts) => parts.join("."))
    )
    fc.assert(fc.property(text, (text) => {
      expect(Either.isRight(Address.parseIpv4(text))).toBe(net.isIPv4(text))
    }))
  })
})

describe("parseIpv6", () => {
  it.each<readonly [string, string]>([
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:0db8:0000:0000:0000:0000:0002:0001", "2001:db8::2:1"],
    // RFC 5952 §4.2.2: one zero group is not shortened
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    // RFC 5952 §4.2.3: the longest run, then the first
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["0:0:1:0:0:1:0:0", "::1:0:0:1:0:0"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["1:2:3:4:5::1.2.3.4", "1:2:3:4:5:0:102:304"],
    ["::1.2.3.4", "::102:304"],
    // RFC 5952 §5
    ["::ffff:1.2.3.4", "::ffff:1.2.3.4"],
    ["::FFFF:c000:201", "::ffff:192.0.2.1"],
    ["0:0:0:0:0:ffff:0:0", "::ffff:0.0.0.0"],
    ["::ffff:0:1.2.3.4", "::ffff:0:102:304"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    ["FEBF::1%Eth0.100", "febf::1%Eth0.100"],
    ["fe80::1%2", "fe80::1%2"],
    ["ff02::fb%en0", "ff02::fb%en0"],
    ["ff01::1%lo", "ff01::1%lo"]
  ])("reads %s as %s", (text, canonical) => {
    expect(String(ok(Address.parseIpv6(text)))).toBe(canonical)
    expect(String(ok(Address.parse(text)))).toBe(canonical)
  })

  it.each<readonly [string, number, string]>([
    ["", 0, "an IPv6 address is missing"],
    [":", 0, "a single \":\" stands next to no group"],
    [":::", 2, "\"::\" can appear only once"],
    ["1::2::3", 4, "\"::\" can appear only once"],
    ["1:2:3:4:5:6:7", 13, "it has 7 groups, eight or a \"::\" are needed"],
    ["1:2:3:4:5:6:7:8:9", 16, "it has more than eight groups"],
    ["1:2:3:4:5:6:7:1.2.3.4", 14, "the dotted quad would make more than eight groups"],
    ["1:2:3:4:5:6:7::8", 13, "\"::\" stands for at least one group, but eight are there without it"],
    ["1:2:3:4:5:6::1.2.3.4", 11, "\"::\" stands for at least one group, but eight are there without it"],
    [":1:2:3:4:5:6:7", 0, "a single \":\" stands next to no group"],
    ["1:2:3:4:5:6:7:", 13, "a single \":\" stands next to no group"],
    ["::1:", 3, "a single \":\" stands next to no group"],
    ["::12345", 6, "group \"12345\" has more than four digits"],
    ["::g", 2, "\"g\" is not a hexadecimal digit"],
    ["1:2:x::", 4, "\"x\" is not a hexadecimal digit"],
    ["::1.2.3", 7, "it has 3 parts, four are needed"],
    ["::01.2.3.4", 2, "part \"01\" has a leading zero, which some systems read as octal"],
    ["1.2.3.4::", 1, "a dotted quad can stand only at the end"],
    ["::1.2.3.4:5", 3, "a dotted quad can stand only at the end"],
    ["[::1]", 0, "\"[\" is not a hexadecimal digit"],
    ["::1 ", 3, "U+0020 is not a hexadecimal digit"],
    ["::1/64", 3, "\"/\" is not a hexadecimal digit"],
    ["fe80::1%", 8, "the zone after \"%\" is empty"],
    ["fe80::1%e/0", 9, "\"/\" cannot stand in a zone"],
    ["fe80::1%a%b", 9, "\"%\" cannot stand in a zone"],
    [`fe80::1%${"a".repeat(65)}`, 72, "the zone is over 64 characters"],
    ["::1%lo", 4, "only a link-local address (fe80::/10, or multicast ff01 and ff02) has a zone"],
    ["2001:db8::1%eth0", 12, "only a link-local address (fe80::/10, or multicast ff01 and ff02) has a zone"]
  ])("refuses %j at %i: %s", (text, position, reason) => {
    expect(refusal(Address.parseIpv6(text))).toEqual([position, reason])
  })

  it("says whether the address or its zone is at fault", () => {
    expect(Either.getOrThrow(Either.flip(Address.parse("fe80::x%1"))).kind).toBe("ipv6")
    expect(Either.getOrThrow(Either.flip(Address.parse("fe80::1%/"))).kind).toBe("zone")
    expect(Either.getOrThrow(Either.flip(Address.parse("1.2.3"))).kind).toBe("ipv4")
  })

  it("takes exactly what node:net calls IPv6, zones aside", () => {
    const shuffled = fc.array(fc.constantFrom("0", "1", "abcd", "00001", "1.2.3.4", ":", "::", "ffff"), {
      maxLength: 18
    })
      .map((parts) => parts.join(""))
    const counted = fc.array(fc.constantFrom("0", "1", "abcd", "", "ffff"), { minLength: 2, maxLength: 10 })
      .map((parts) => parts.join(":"))
    fc.assert(
      fc.property(
        fc.oneof(nearly, shuffled, counted, ipv6.map(String)).filter((text) => !text.includes("%")),
        (text) => {
          expect(Either.isRight(Address.parseIpv6(text))).toBe(net.isIPv6(text))
        }
      ),
      { numRuns: 2000 }
    )
  })

  it("prints as WHATWG URL does, but for IPv4-mapped addresses, which RFC 5952 gives a dotted quad", () => {
    fc.assert(fc.property(groups, (groups) => {
      const address = new Address.Ipv6Address(groups, undefined)
      fc.pre(!Address.isIpv4Mapped(address))
      const plain = groups.map((group) => group.toString(16)).join(":")
      expect(`[${String(address)}]`).toBe(new URL(`http://[${plain}]/`).hostname)
    }))
  })
})

describe("parse", () => {
  it("reads back what an address prints", () => {
    fc.assert(fc.property(ip, (ip) => {
      const again = ok(Address.parse(String(ip)))
      expect(Equal.equals(again, ip)).toBe(true)
      expect(Hash.hash(again)).toBe(Hash.hash(ip))
      expect(String(again)).toBe(String(ip))
    }))
  })

  it("gives every text an Either whose position is inside the text", () => {
    fc.assert(
      fc.property(nearly, (text) => {
        const results = [
          Address.parse,
          Address.parseIpv4,
          Address.parseIpv6,
          Address.parsePort,
          Address.parseSocketAddress
        ]
          .map((parse): Either.Either<unknown, InvalidAddress> => parse(text))
        for (const result of results) {
          if (Either.isRight(result)) continue
          expect(result.left.input).toBe(text)
          expect(result.left.position).toBeGreaterThanOrEqual(0)
          expect(result.left.position).toBeLessThanOrEqual(text.length)
          expect(result.left.message).toContain(result.left.reason)
        }
      }),
      { numRuns: 2000 }
    )
  })

  it("refuses a text of a million characters at once and with a short reason", () => {
    for (const unit of ["1", ".", ":", "1.", "1:", "::", "%", "fe80::1%a", "0", "["]) {
      const text = unit.repeat(1_000_000)
      for (const parse of [Address.parse, Address.parseIpv6, Address.parsePort, Address.parseSocketAddress]) {
        expect(refusal(parse(text))[1].length).toBeLessThan(200)
      }
    }
  })

  it("throws the error itself from unsafeParse", () => {
    expect(() => Address.unsafeParse("127.1")).toThrow(InvalidAddress)
    expect(Address.unsafeParse("127.0.0.1")).toBeInstanceOf(Address.Ipv4Address)
  })
})

describe("IpAddress", () => {
  it("is equal by value, and a zone is part of the value", () => {
    const same = (a: string, b: string) => Equal.equals(Address.unsafeParse(a), Address.unsafeParse(b))
    expect(same("1.2.3.4", "1.2.3.4")).toBe(true)
    expect(same("::1", "0::0:1")).toBe(true)
    expect(same("fe80::1%a", "fe80::1%a")).toBe(true)
    expect(same("fe80::1%a", "fe80::1%A")).toBe(false)
    expect(same("fe80::1", "fe80::1%a")).toBe(false)
    expect(same("1.2.3.4", "::ffff:1.2.3.4")).toBe(false)
  })

  it("prints as its text in JSON and with its kind at a console", () => {
    const ip = Address.unsafeParse("fe80::1%eth0")
    expect(JSON.stringify({ ip })).toBe("{\"ip\":\"fe80::1%eth0\"}")
    expect(inspect(ip)).toBe("Ipv6Address(fe80::1%eth0)")
    expect(inspect(Address.unsafeParse("10.0.0.1"))).toBe("Ipv4Address(10.0.0.1)")
  })

  it("names its family", () => {
    expect(Address.unsafeParse("1.2.3.4").family).toBe("inet")
    expect(Address.unsafeParse("::").family).toBe("inet6")
  })

  it("is told from other values", () => {
    expect(Address.isIpAddress(Address.unsafeParse("::"))).toBe(true)
    expect(Address.isIpAddress("::")).toBe(false)
    expect(Address.isIpAddress(Address.unix(ok(Address.pathname("/a"))))).toBe(false)
  })

  it("goes through its octets and back, but for the zone", () => {
    fc.assert(fc.property(ip, (ip) => {
      const bytes = Address.octets(ip)
      expect(bytes.length).toBe(ip.family === "inet" ? 4 : 16)
      const padded = Uint8Array.of(7, ...bytes, 7).subarray(1, -1)
      expect(String(ok(Address.fromOctets(padded)))).toBe(String(ip).replace(/%.*/, ""))
    }))
    expect(Array.from(Address.octets(Address.unsafeParse("192.0.2.255")))).toEqual([192, 0, 2, 255])
  })

  it("is not made of any other number of octets", () => {
    expect(refusal(Address.fromOctets(new Uint8Array(5)))).toEqual([0, "an address is 4 or 16 octets, not 5"])
    expect(refusal(Address.fromOctets(new Uint8Array(0)))).toEqual([0, "an address is 4 or 16 octets, not 0"])
  })

  it.each<readonly [string, string]>([
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["128.0.0.1", ""],
    ["::1", "loopback"],
    ["::2", ""],
    ["::ffff:127.0.0.1", "mapped loopback"],
    ["::127.0.0.1", ""],
    ["169.254.1.1", "linkLocal"],
    ["169.253.1.1", ""],
    ["fe80::1", "linkLocal"],
    ["febf::1%2", "linkLocal"],
    ["fec0::1", ""],
    ["::ffff:169.254.1.1", "mapped linkLocal"],
    ["0.0.0.0", "unspecified"],
    ["::", "unspecified"],
    ["::ffff:0.0.0.0", "mapped unspecified"],
    ["0.0.0.1", ""],
    ["224.0.0.1", "multicast"],
    ["239.255.255.255", "multicast"],
    ["240.0.0.1", ""],
    ["ff02::1", "multicast"],
    ["::ffff:224.0.0.1", "mapped multicast"],
    ["::fffe:1.2.3.4", ""],
    ["1::ffff:1.2.3.4", ""]
  ])("classes %s as [%s]", (text, classes) => {
    const ip = Address.unsafeParse(text)
    const found = [
      Address.isIpv4Mapped(ip) && "mapped",
      Address.isLoopback(ip) && "loopback",
      Address.isLinkLocal(ip) && "linkLocal",
      Address.isUnspecified(ip) && "unspecified",
      Address.isMulticast(ip) && "multicast"
    ]
    expect(found.filter((name) => name !== false).join(" ")).toBe(classes)
  })

  it("gives the IPv4 address inside a mapped one and leaves the others alone", () => {
    fc.assert(fc.property(ipv4, (ip) => {
      expect(Equal.equals(Address.unmap(Address.unsafeParse(`::ffff:${ip}`)), ip)).toBe(true)
      expect(Address.unmap(ip)).toBe(ip)
    }))
    const plain = Address.unsafeParse("2001:db8::1")
    expect(Address.unmap(plain)).toBe(plain)
  })
})

describe("Port", () => {
  it.each(["0", "1", "80", "65535"])("reads %s", (text) => {
    expect(String(ok(Address.parsePort(text)))).toBe(text)
  })

  it.each<readonly [string, number, string]>([
    ["", 0, "the port is missing"],
    ["65536", 0, "port \"65536\" is over 65535"],
    ["100000", 0, "port \"100000\" is over 65535"],
    ["080", 0, "port \"080\" has a leading zero"],
    ["00", 0, "port \"00\" has a leading zero"],
    ["+80", 0, "\"+\" is not a decimal digit of a port"],
    ["80 ", 2, "U+0020 is not a decimal digit of a port"],
    ["8o", 1, "\"o\" is not a decimal digit of a port"],
    ["http", 0, "\"h\" is not a decimal digit of a port"],
    ["1e3", 1, "\"e\" is not a decimal digit of a port"]
  ])("refuses %j at %i: %s", (text, position, reason) => {
    expect(refusal(Address.parsePort(text))).toEqual([position, reason])
  })

  it("is made of integers from 0 to 65535 and of no other number", () => {
    expect([0, 1, 65535].every((n) => Address.Port.is(n))).toBe(true)
    expect([-1, 65536, 1.5, Number.NaN, Number.POSITIVE_INFINITY].some((n) => Address.Port.is(n))).toBe(false)
    expect(() => Address.Port(70000)).toThrow()
  })
})

describe("UnixPath", () => {
  it("has a pathname and an abstract form, which are never equal", () => {
    const path = ok(Address.pathname("/run/x.sock"))
    const name = ok(Address.abstract("x"))
    expect([String(path), String(name)]).toEqual(["/run/x.sock", "@x"])
    expect(Equal.equals(path, ok(Address.pathname("/run/x.sock")))).toBe(true)
    expect(Equal.equals(name, ok(Address.abstract("x")))).toBe(true)
    expect(Equal.equals(ok(Address.pathname("/x")), ok(Address.abstract("/x")))).toBe(false)
  })

  it.each<readonly [string, number, string]>([
    ["", 0, "the path is empty"],
    ["x.sock", 0, "a path begins with \"/\", \"./\" or \"../\""],
    [".../x", 0, "a path begins with \"/\", \"./\" or \"../\""],
    ["/a\0b", 2, "U+0000 cannot stand in it"],
    ["/a\ud800b", 2, "U+D800 cannot stand in it"],
    [`/${"a".repeat(107)}`, 107, "it is over 107 bytes of UTF-8"],
    [`/${"é".repeat(54)}`, 54, "it is over 107 bytes of UTF-8"],
    ["@", 1, "the abstract name is empty"],
    ["@a\0", 2, "U+0000 cannot stand in it"],
    [`@${"a".repeat(108)}`, 108, "it is over 107 bytes of UTF-8"]
  ])("refuses %j at %i: %s", (text, position, reason) => {
    expect(refusal(Address.parseUnixPath(text))).toEqual([position, reason])
  })

  it("fits 107 bytes on Linux, and as many as it is told", () => {
    expect(Either.isRight(Address.pathname(`/${"a".repeat(106)}`))).toBe(true)
    expect(Either.isRight(Address.abstract("a".repeat(107)))).toBe(true)
    const options = { maxBytes: Address.bsdUnixPathMaxBytes }
    expect(Either.isRight(Address.pathname(`/${"a".repeat(102)}`, options))).toBe(true)
    expect(refusal(Address.pathname(`/${"a".repeat(103)}`, options))).toEqual([103, "it is over 103 bytes of UTF-8"])
  })

  it("does not cut a character in two", () => {
    expect(refusal(Address.pathname(`/${"a".repeat(104)}💩`))).toEqual([105, "it is over 107 bytes of UTF-8"])
    expect(Either.isRight(Address.pathname(`/${"a".repeat(102)}💩`))).toBe(true)
  })
})

describe("SocketAddress", () => {
  it.each<readonly [string, string]>([
    ["1.2.3.4:80", "1.2.3.4:80"],
    ["[::1]:0", "[::1]:0"],
    ["[FE80::1%eth0]:80", "[fe80::1%eth0]:80"],
    ["[fe80::1%0]:80", "[fe80::1]:80"],
    ["[::ffff:1.2.3.4]:65535", "[::ffff:1.2.3.4]:65535"],
    ["/run/x.sock", "/run/x.sock"],
    ["./x: [y]", "./x: [y]"],
    ["../x", "../x"],
    ["@name", "@name"]
  ])("reads %s as %s", (text, canonical) => {
    expect(String(ok(Address.parseSocketAddress(text)))).toBe(canonical)
  })

  it.each<readonly [string, number, string]>([
    ["", 0, "the host is missing"],
    ["1.2.3.4", 7, "the port is missing"],
    ["1.2.3.4:", 8, "the port is missing"],
    [":80", 0, "the host is missing"],
    ["1.2.3:80", 5, "it has 3 parts, four are needed"],
    ["localhost:80", 0, "\"l\" is not a decimal digit"],
    ["1.2.3.4:99999", 8, "port \"99999\" is over 65535"],
    ["1.2.3.4:80:81", 0, "an IPv6 address has to stand in brackets, as in [::1]:80"],
    ["::1:80", 0, "an IPv6 address has to stand in brackets, as in [::1]:80"],
    ["[::1", 0, "\"[\" is never closed"],
    ["[::1]", 5, "the port is missing"],
    ["[::1]80", 5, "\":\" and a port have to follow \"]\", not \"8\""],
    ["[::1]:", 6, "the port is missing"],
    ["[]:80", 1, "an IPv6 address is missing"],
    ["[1.2.3.4]:80", 8, "it has 2 groups, eight or a \"::\" are needed"],
    ["[::1%lo]:80", 5, "only a link-local address (fe80::/10, or multicast ff01 and ff02) has a zone"],
    ["@", 1, "the abstract name is empty"],
    ["/\0", 1, "U+0000 cannot stand in it"]
  ])("refuses %j at %i: %s", (text, position, reason) => {
    const result = Address.parseSocketAddress(text)
    expect(refusal(result)).toEqual([position, reason])
    expect(Either.getOrThrow(Either.flip(result)).kind).toBe("socket address")
  })

  it("reads back what a normalised address prints, but for its flow label and the number of a named zone", () => {
    fc.assert(fc.property(socketAddress, (address) => {
      const normal = Address.normalise(address)
      const again = ok(Address.parseSocketAddress(String(address)))
      expect(String(again)).toBe(String(address))
      expect(Equal.equals(Address.normalise(again), again)).toBe(true)
      const printed = normal._tag !== "Inet6" ? normal : Address.inet6(normal.ip, normal.port, {
        scopeId: normal.ip.zone === String(normal.scopeId) ? normal.scopeId : 0
      })
      expect(Equal.equals(again, printed)).toBe(true)
      expect(Hash.hash(again)).toBe(Hash.hash(printed))
    }))
  })

  it("is made in the family of its address", () => {
    expect(Address.socketAddress(Address.unsafeParse("1.2.3.4"), Address.Port(1))._tag).toBe("Inet4")
    expect(Address.socketAddress(Address.unsafeParse("::ffff:1.2.3.4"), Address.Port(1))._tag).toBe("Inet6")
    expect(Address.unix(ok(Address.pathname("/a"))).family).toBe("unix")
  })

  it("is told from other values", () => {
    expect(Address.isSocketAddress(ok(Address.parseSocketAddress("@a")))).toBe(true)
    expect(Address.isSocketAddress(Address.unsafeParse("::"))).toBe(false)
    expect(Address.isSocketAddress(null)).toBe(false)
  })

  it("prints as its text in JSON and with its kind at a console", () => {
    const address = ok(Address.parseSocketAddress("[::1]:80"))
    expect(JSON.stringify([address])).toBe("[\"[::1]:80\"]")
    expect(inspect({ address })).toBe("{ address: Inet6([::1]:80) }")
  })

  it("keeps flow and scope in their bits", () => {
    const address = Address.inet6(ok(Address.parseIpv6("fe80::1")), Address.Port(1), {
      flowInfo: 0x1fffff,
      scopeId: -1
    })
    expect([address.flowInfo, address.scopeId]).toEqual([0xfffff, 0xffffffff])
  })

  it("differs by flow, scope and zone", () => {
    const address = Address.inet6(ok(Address.parseIpv6("fe80::1")), Address.Port(1))
    const variants = [{}, { flowInfo: 1 }, { scopeId: 1 }].map((options) =>
      Address.inet6(address.ip, address.port, options)
    )
    expect(variants.map((variant) => Equal.equals(address, variant))).toEqual([true, false, false])
  })
})

describe("normalise", () => {
  it.each<readonly [string, number, string, number]>([
    ["fe80::1", 0, "fe80::1", 0],
    ["fe80::1", 3, "fe80::1%3", 3],
    ["fe80::1%3", 0, "fe80::1%3", 3],
    ["fe80::1%3", 4, "fe80::1%3", 3],
    ["fe80::1%0", 4, "fe80::1", 0],
    ["fe80::1%eth0", 0, "fe80::1%eth0", 0],
    ["fe80::1%eth0", 2, "fe80::1%eth0", 2],
    ["fe80::1%02", 0, "fe80::1%02", 0],
    ["fe80::1%4294967295", 0, "fe80::1%4294967295", 4294967295],
    ["fe80::1%4294967296", 0, "fe80::1%4294967296", 0],
    ["2001:db8::1", 3, "2001:db8::1", 0],
    ["::1", 1, "::1", 0]
  ])("turns %s with scope id %i into %s with %i", (text, scopeId, zoned, expected) => {
    const address = Address.inet6(ok(Address.parseIpv6(text)), Address.Port(80), { scopeId, flowInfo: 5 })
    const normal = Address.normalise(address)
    expect(Equal.equals(
      normal,
      Address.inet6(ok(Address.parseIpv6(zoned)), Address.Port(80), { scopeId: expected, flowInfo: 5 })
    )).toBe(true)
    expect(String(normal)).toBe(String(address))
  })

  it("changes nothing the second time, and nothing but IPv6", () => {
    fc.assert(fc.property(socketAddress, (address) => {
      const once = Address.normalise(address)
      expect(Address.normalise(once)).toBe(once)
      if (address._tag !== "Inet6") expect(once).toBe(address)
    }))
  })
})

describe("Order", () => {
  const sorted = <A>(order: (a: A, b: A) => number, values: ReadonlyArray<A>) => values.toSorted(order).map(String)

  it("puts IPv4 before IPv6, and each by value and then by zone", () => {
    const texts = ["0.0.0.0", "9.0.0.0", "10.0.0.0", "255.0.0.1", "::", "::1", "::ffff:1.2.3.4", "2::", "10::"]
    const all = [...texts, "fe80::1", "fe80::1%a", "fe80::1%b"]
    expect(sorted(Address.IpOrder, all.toReversed().map(Address.unsafeParse))).toEqual(all)
  })

  it("puts inet before inet6 before unix, and each by address and port", () => {
    const texts = ["1.2.3.4:9", "1.2.3.4:80", "9.0.0.1:1", "[::1]:9", "[::1]:80", "[fe80::1%1]:1", "/a", "/b", "@a"]
    expect(sorted(Address.SocketAddressOrder, texts.toReversed().map((text) => ok(Address.parseSocketAddress(text)))))
      .toEqual(texts)
  })

  it("is total, and 0 exactly where values are equal", () => {
    fc.assert(fc.property(ip, ip, (a, b) => {
      expect(sign(Address.IpOrder(a, b))).toBe(0 - sign(Address.IpOrder(b, a)))
      expect(Address.IpOrder(a, b) === 0).toBe(Equal.equals(a, b))
    }))
    fc.assert(fc.property(socketAddress, socketAddress, socketAddress, (a, b, c) => {
      const order = Address.SocketAddressOrder
      expect(sign(order(a, b))).toBe(0 - sign(order(b, a)))
      expect(order(a, b) === 0).toBe(Equal.equals(a, b))
      if (order(a, b) <= 0 && order(b, c) <= 0) expect(order(a, c)).toBeLessThanOrEqual(0)
    }))
  })
})

describe("schemas", () => {
  it("decode to values and encode to the canonical text", () => {
    const roundTrip = <A>(schema: Schema.Schema<A, string>, text: string) =>
      Schema.encodeSync(schema)(Schema.decodeSync(schema)(text))
    expect(roundTrip(Address.IpAddressFromString, "2001:DB8::0:1")).toBe("2001:db8::1")
    expect(roundTrip(Address.PortFromString, "443")).toBe("443")
    expect(roundTrip(Address.SocketAddressFromString, "[fe80::0:1%2]:80")).toBe("[fe80::1%2]:80")
  })

  it("carry the reason in the ParseError", () => {
    const message = <A>(schema: Schema.Schema<A, string>, text: string) =>
      Either.getOrThrow(Either.flip(Schema.decodeEither(schema)(text))).message
    expect(message(Address.IpAddressFromString, "127.1")).toContain("it has 2 parts, four are needed")
    expect(message(Address.PortFromString, "080")).toContain("port \"080\" has a leading zero")
    expect(message(Address.SocketAddressFromString, "::1:80")).toContain("has to stand in brackets")
  })

  it("take values of their own kind only", () => {
    expect(Schema.is(Address.IpAddressFromSelf)(Address.unsafeParse("::"))).toBe(true)
    expect(Schema.is(Address.IpAddressFromSelf)("::")).toBe(false)
    expect(Schema.is(Address.PortFromSelf)(80)).toBe(true)
    expect(Schema.is(Address.PortFromSelf)(-1)).toBe(false)
    expect(Schema.is(Address.SocketAddressFromSelf)(ok(Address.parseSocketAddress("@a")))).toBe(true)
  })
})
