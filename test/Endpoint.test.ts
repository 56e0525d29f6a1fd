import { describe, expect, it } from "@effect/vitest"
import { Either, Equal, FastCheck as fc, Hash, Schema } from "effect"
import { inspect } from "node:util"
import * as Address from "../src/Address.js"
import { InvalidEndpoint } from "../src/DialError.js"
import * as Endpoint from "../src/Endpoint.js"

const ok = <A, E>(result: Either.Either<A, E>): A => Either.getOrThrowWith(result, (error) => error)

const refusal = (result: Either.Either<unknown, InvalidEndpoint>): readonly [number, string] => {
  const error = Either.getOrThrow(Either.flip(result))
  expect(error).toBeInstanceOf(InvalidEndpoint)
  return [error.position, error.reason]
}

const notAddress = (host: string, reason: string) =>
  `"${host}" looks like an IPv4 address but is not one in dotted decimal: ${reason}`

const ipv4 = fc.integer({ min: 0, max: 0xffffffff }).map((bits) => new Address.Ipv4Address(bits))
const ipv6 = fc.ipV6().map((text) => ok(Address.parseIpv6(text)))
const zoned = fc.tuple(fc.ipV6(), fc.stringMatching(/^[A-Za-z0-9._~-]{1,15}$/)).map(([text, zone]) =>
  new Address.Ipv6Address([0xfe80, ...ok(Address.parseIpv6(text)).groups.slice(1)] as never, zone)
)
const label = fc.stringMatching(/^[a-z0-9_](?:[a-z0-9_-]{0,20}[a-z0-9_])?$/)
const name = fc.tuple(
  fc.array(fc.oneof(label, label.map((text) => text.toUpperCase()), fc.constantFrom("bücher", "日本", "xn--ls8h")), {
    minLength: 1,
    maxLength: 5
  }),
  fc.constantFrom("", ".")
).map(([labels, dot]) => Endpoint.domainName(labels.join(".") + dot))
  .filter(Either.isRight)
  .map((either) => either.right)
const port = fc.integer({ min: 0, max: 65535 })
const unixText = fc.tuple(
  fc.constantFrom("/", "//", "///", "./", "../", "@", "@@", "/?#%20 "),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 })
).map(([start, rest]) => start + rest)
const hostConstructors: ReadonlyArray<
  readonly [string, (host: string | Endpoint.Host, port: number) => Either.Either<Endpoint.Endpoint, InvalidEndpoint>]
> = [["tcp", Endpoint.tcp], ["tls", Endpoint.tls], ["udp", Endpoint.udp]]
const endpoint: fc.Arbitrary<Endpoint.Endpoint> = fc.oneof(
  fc.tuple(
    fc.constantFrom(...hostConstructors),
    fc.oneof<[fc.Arbitrary<Endpoint.Host>]>(fc.oneof(ipv4, ipv6, zoned, name)),
    port
  ).map(([[, make], host, port]) => ok(make(host, port))),
  unixText.map((text) => Endpoint.unix(text)).filter(Either.isRight).map((either) => either.right)
)
/** Texts that are nearly endpoints, so that a property test visits the grammar's edges and not only its outside. */
const nearly = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
  fc.array(
    fc.constantFrom(
      "tcp",
      "tls",
      "udp",
      "unix",
      ":",
      "//",
      "/",
      "[",
      "]",
      "::1",
      "%",
      "25",
      "a",
      ".",
      "-",
      "ü",
      "。",
      "\u00ad",
      "１",
      "80",
      "0x",
      "@",
      "xn--",
      " ",
      "\ud800"
    ),
    { maxLength: 12 }
  ).map((parts) => parts.join(""))
)

describe("parse", () => {
  it.each<readonly [string, string]>([
    ["tcp://example.com:443", "tcp://example.com:443"],
    ["example.com:443", "tcp://example.com:443"],
    ["TCP://EXAMPLE.com:0", "tcp://example.com:0"],
    ["localhost:80", "tcp://localhost:80"],
    ["example.com.:80", "tcp://example.com.:80"],
    ["_imap._tcp.example:80", "tcp://_imap._tcp.example:80"],
    ["xn--ls8h.la:80", "tcp://xn--ls8h.la:80"],
    ["1.2.3.4foo:80", "tcp://1.2.3.4foo:80"],
    ["3com.com:80", "tcp://3com.com:80"],
    ["Bücher.example:80", "tcp://xn--bcher-kva.example:80"],
    ["faß.de:80", "tcp://xn--fa-hia.de:80"],
    ["日本。jp：".slice(0, -1) + ":80", "tcp://xn--wgv71a.jp:80"],
    ["ｅｘａｍｐｌｅ.com:80", "tcp://example.com:80"],
    ["a.١:80", "tcp://a.xn--9hb:80"],
    ["127.0.0.1:80", "tcp://127.0.0.1:80"],
    ["tcp://[::1]:80", "tcp://[::1]:80"],
    ["[2001:DB8::0:1]:80", "tcp://[2001:db8::1]:80"],
    ["[fe80::1%eth0]:80", "tcp://[fe80::1%eth0]:80"],
    ["[::ffff:1.2.3.4]:80", "tcp://[::ffff:1.2.3.4]:80"],
    ["tls://example.com:443", "tls://example.com:443"],
    ["TLS://[::1]:443", "tls://[::1]:443"],
    ["udp://example.com:53", "udp://example.com:53"],
    ["Udp://[fe80::1%eth0]:53", "udp://[fe80::1%eth0]:53"],
    // a scheme's name alone is a host, as any other
    ["tcp:80", "tcp://tcp:80"],
    ["tls:80", "tcp://tls:80"],
    ["udp:80", "tcp://udp:80"],
    ["tcp://unix:80", "tcp://unix:80"],
    ["udp://udp:80", "udp://udp:80"],
    ["unix:/run/x.sock", "unix:/run/x.sock"],
    ["UNIX:/run/X.sock", "unix:/run/X.sock"],
    ["unix:///run/x.sock", "unix:/run/x.sock"],
    ["unix:////x", "unix:////x"],
    ["unix:./x", "unix:./x"],
    ["unix:/a b?c#d%20:80 ", "unix:/a b?c#d%20:80 "],
    ["unix:@abstract", "unix:@abstract"],
    ["unix:@@", "unix:@@"]
  ])("reads %s as %s", (text, canonical) => {
    const parsed = ok(Endpoint.parse(text))
    expect(Endpoint.format(parsed)).toBe(canonical)
    expect(String(parsed)).toBe(canonical)
  })

  it.each<readonly [string, number, string]>([
    ["", 0, "it is empty"],
    // the port
    ["example.com", 11, "the port is missing"],
    ["example.com:", 12, "the port is missing"],
    ["tcp://example.com", 17, "the port is missing"],
    ["tls://[::1]", 11, "the port is missing"],
    ["udp://example.com", 17, "the port is missing"],
    ["tcp://[::1]", 11, "the port is missing"],
    ["tcp://[::1]:", 12, "the port is missing"],
    ["example.com:65536", 12, "port \"65536\" is over 65535"],
    ["example.com:080", 12, "port \"080\" has a leading zero"],
    ["tcp://example.com:http", 18, "\"h\" is not a decimal digit of a port"],
    ["example.com:-1", 12, "\"-\" is not a decimal digit of a port"],
    ["a:80:81", 0, "an IPv6 address has to stand in brackets, as in [::1]:80"],
    ["host:80:81", 7, "a second \":\" follows the host"],
    // the host
    [":80", 0, "the host is missing"],
    ["tcp://:80", 6, "the host is missing"],
    ["tcp://", 6, "the host is missing"],
    [".:80", 0, "a label of the name is empty"],
    ["a..b:80", 2, "a label of the name is empty"],
    [".a:80", 0, "a label of the name is empty"],
    ["a.-b:80", 2, "a label begins with a hyphen"],
    ["tcp://a-.b:80", 7, "a label ends in a hyphen"],
    ["a.b!c:80", 3, "\"!\" cannot stand in a name"],
    ["a%41:80", 1, "\"%\" cannot stand in a name"],
    ["*.a:80", 0, "\"*\" cannot stand in a name"],
    [`a.${"b".repeat(64)}:80`, 65, "a label is over 63 octets"],
    [`${"abc.".repeat(63)}de:80`, 253, "the name is over 253 octets"],
    // names outside ASCII
    ["a.ü!:80", 3, "\"!\" cannot stand in a name"],
    ["a.ü！:80", 2, "\"!\" cannot stand in a name"],
    ["ü..a:80", 2, "a label of the name is empty"],
    ["a.\u00ad.ü:80", 2, "a label of the name is empty"],
    ["tcp://a.xn--a.b:80", 8, "\"xn--a\" is not valid in an internationalised name"],
    ["a.℀:80", 2, "\"℀\" is not valid in an internationalised name"],
    ["a.b\ud800:80", 2, "\"b\\ud800\" is not valid in an internationalised name"],
    [`a.${"ü".repeat(63)}:80`, 2, "a label is over 63 octets"],
    [`${"ü".repeat(1025)}:80`, 1024, "the name is over 253 octets"],
    // a host that ends in a number is never a name
    ["127.1:80", 5, notAddress("127.1", "it has 2 parts, four are needed")],
    [
      "tcp://012.1.2.3:80",
      6,
      notAddress("012.1.2.3", "part \"012\" has a leading zero, which some systems read as octal")
    ],
    ["0x7f.1:80", 1, notAddress("0x7f.1", "\"x\" is not a decimal digit")],
    ["2130706433:80", 0, notAddress("2130706433", "part \"2130706433\" is over 255")],
    ["1.2.3.4.5:80", 7, notAddress("1.2.3.4.5", "it has more than four parts")],
    ["1.2.3.4.:80", 7, notAddress("1.2.3.4.", "it has more than four parts")],
    ["foo.0x4:80", 0, notAddress("foo.0x4", "\"f\" is not a decimal digit")],
    ["foo.0X:80", 0, notAddress("foo.0X", "\"f\" is not a decimal digit")],
    ["foo.09.:80", 0, notAddress("foo.09.", "\"f\" is not a decimal digit")],
    ["１.２.３.４:80", 0, notAddress("１.２.３.４", "\"１\" is not a decimal digit")],
    ["a.０x4:80", 0, notAddress("a.０x4", "\"a\" is not a decimal digit")],
    ["1.2.3.４:80", 6, notAddress("1.2.3.４", "\"４\" is not a decimal digit")],
    ["1.2.3.4。:80", 7, notAddress("1.2.3.4。", "\"。\" is not a decimal digit")],
    // IPv6
    ["::1:80", 0, "an IPv6 address has to stand in brackets, as in [::1]:80"],
    ["tcp://::1", 6, "an IPv6 address has to stand in brackets, as in [::1]:80"],
    ["fe80::1%eth0:80", 0, "an IPv6 address has to stand in brackets, as in [::1]:80"],
    ["[::1:80", 0, "\"[\" is never closed"],
    ["[::1]80", 5, "\":\" and a port have to follow \"]\", not \"8\""],
    ["tcp://[::g]:80", 9, "\"g\" is not a hexadecimal digit"],
    ["[1.2.3.4]:80", 8, "it has 2 groups, eight or a \"::\" are needed"],
    ["[localhost]:80", 1, "\"l\" is not a hexadecimal digit"],
    ["[fe80::1%]:80", 9, "the zone after \"%\" is empty"],
    ["[::1%lo]:80", 5, "only a link-local address (fe80::/10, or multicast ff01 and ff02) has a zone"],
    // what a URL has and an endpoint has not
    ["tcp://user:pw@host:80", 13, "an endpoint has no user"],
    ["tcp://host:80/", 13, "an endpoint has no path"],
    ["host:80/x", 7, "an endpoint has no path"],
    ["host:80?x", 7, "an endpoint has no query"],
    ["host:80#x", 7, "an endpoint has no fragment"],
    ["tcp:\\\\host:80", 4, "\"//\" has to follow \"tcp:\""],
    ["a\\b:80", 1, "an endpoint has no backslash"],
    [" host:80", 0, "U+0020 cannot stand in an endpoint"],
    ["host:80 ", 7, "U+0020 cannot stand in an endpoint"],
    ["ho\tst:80", 2, "U+0009 cannot stand in an endpoint"],
    ["ho\u00a0st:80", 2, "U+00A0 cannot stand in an endpoint"],
    ["ho\0st:80", 2, "U+0000 cannot stand in an endpoint"],
    [" tcp://host:80", 0, "U+0020 cannot stand in an endpoint"],
    // schemes
    ["http://host:80", 0, "unknown scheme \"http\": the schemes are tcp, tls, udp, unix"],
    ["://host:80", 0, "unknown scheme \"\": the schemes are tcp, tls, udp, unix"],
    ["tcp:host:80", 4, "\"//\" has to follow \"tcp:\""],
    ["tcp:/host:80", 4, "\"//\" has to follow \"tcp:\""],
    ["tls:host:80", 4, "\"//\" has to follow \"tls:\""],
    ["udp:/host:80", 4, "\"//\" has to follow \"udp:\""],
    ["dtls://host:80", 0, "unknown scheme \"dtls\": the schemes are tcp, tls, udp, unix"],
    // UNIX sockets
    ["unix:", 5, "the path is empty"],
    ["unix:80", 5, "a path begins with \"/\", \"./\" or \"../\""],
    ["unix:x.sock", 5, "a path begins with \"/\", \"./\" or \"../\""],
    ["unix://x/y", 7, "a UNIX endpoint has no host: it is unix:/path or unix:///path"],
    ["unix:@", 6, "the abstract name is empty"],
    ["unix:/a\0", 7, "U+0000 cannot stand in it"],
    ["unix:///a\0", 9, "U+0000 cannot stand in it"],
    [`unix:/${"a".repeat(107)}`, 112, "it is over 107 bytes of UTF-8"],
    [`unix:@${"a".repeat(108)}`, 113, "it is over 107 bytes of UTF-8"],
    ["/run/x.sock", 0, "an endpoint has no path"],
    ["@abstract", 0, "an endpoint has no user"]
  ])("refuses %j at %i: %s", (text, position, reason) => {
    expect(refusal(Endpoint.parse(text))).toEqual([position, reason])
  })

  it("takes a name of 253 octets and labels of 63", () => {
    const text = `${`${"a".repeat(63)}.`.repeat(3)}${"b".repeat(61)}`
    expect(text.length).toBe(253)
    expect(String(ok(Endpoint.parse(`${text}.:80`)))).toBe(`tcp://${text}.:80`)
  })

  it("reads back what an endpoint prints", () => {
    fc.assert(
      fc.property(endpoint, (endpoint) => {
        const again = ok(Endpoint.parse(Endpoint.format(endpoint)))
        expect(Equal.equals(again, endpoint)).toBe(true)
        expect(Hash.hash(again)).toBe(Hash.hash(endpoint))
        expect(Endpoint.format(again)).toBe(Endpoint.format(endpoint))
      }),
      { numRuns: 1000 }
    )
  })

  it("gives every text an Either: an endpoint that reads back as itself, or a position inside the text", () => {
    fc.assert(
      fc.property(nearly, (text) => {
        const result = Endpoint.parse(text)
        if (Either.isRight(result)) {
          expect(Equal.equals(ok(Endpoint.parse(String(result.right))), result.right)).toBe(true)
        } else {
          expect(result.left.input).toBe(text)
          expect(result.left.position).toBeGreaterThanOrEqual(0)
          expect(result.left.position).toBeLessThanOrEqual(text.length)
          expect(result.left.message).toContain(result.left.reason)
        }
      }),
      { numRuns: 5000 }
    )
  })

  it("names no host that WHATWG URL reads as another one", () => {
    const host = fc.array(fc.constantFrom("a", "Z", "0", "1", "0x", "f", ".", "-", "ü", "。", "１", "ｘ", "_", "255"), {
      minLength: 1,
      maxLength: 8
    }).map((parts) => parts.join(""))
    fc.assert(
      fc.property(host, (host) => {
        const result = Endpoint.parse(`${host}:80`)
        if (Either.isRight(result)) expect(Endpoint.hostText(result.right)).toBe(new URL(`http://${host}/`).hostname)
      }),
      { numRuns: 5000 }
    )
  })

  it("refuses a text of a million characters at once and with a short reason", () => {
    for (
      const unit of ["a", "a.", ".", ":", "[", "1.", "ü", "ü.", "xn--", "xn--a.", "tcp://", "unix:", "/", "@", "%", "-"]
    ) {
      for (const start of ["", "tcp://", "[", "unix:/", "unix:@"]) {
        expect(refusal(Endpoint.parse(`${start}${unit.repeat(1_000_000)}:80`))[1].length).toBeLessThan(200)
      }
    }
  })

  it("throws the error itself from unsafeParse", () => {
    expect(() => Endpoint.unsafeParse("127.1:80")).toThrow(InvalidEndpoint)
    expect(Endpoint.unsafeParse("a:80")).toBeInstanceOf(Endpoint.HostEndpoint)
  })
})

describe("constructors", () => {
  it.each<readonly [string, string]>([
    ["Example.com", "tcp://example.com:80"],
    ["::1", "tcp://[::1]:80"],
    ["fe80::1%2", "tcp://[fe80::1%2]:80"],
    ["10.0.0.1", "tcp://10.0.0.1:80"]
  ])("make a TCP endpoint of host %s", (host, text) => {
    expect(String(ok(Endpoint.tcp(host, 80)))).toBe(text)
    expect(Equal.equals(ok(Endpoint.tcp(host, 80)), Endpoint.unsafeParse(text))).toBe(true)
  })

  it("make one of each scheme, alike in all else", () => {
    for (const [name, make] of hostConstructors) {
      expect(String(ok(make("Example.com", 80)))).toBe(`${name}://example.com:80`)
      expect(Equal.equals(ok(make("::1", 80)), Endpoint.unsafeParse(`${name}://[::1]:80`))).toBe(true)
      expect(refusal(make("a b", 80))).toEqual([1, "U+0020 cannot stand in a name"])
      expect(refusal(make("a", 65536))).toEqual([0, "a port is an integer from 0 to 65535"])
    }
  })

  it.each<readonly [string, number, number, string]>([
    ["", 80, 0, "the host is missing"],
    ["[::1]", 80, 0, "a host by itself has no brackets"],
    ["a b", 80, 1, "U+0020 cannot stand in a name"],
    ["a/b", 80, 1, "\"/\" cannot stand in a name"],
    ["ü/b", 80, 1, "\"/\" cannot stand in a name"],
    ["host:80", 80, 0, "\"h\" is not a hexadecimal digit"],
    ["127.1", 80, 5, notAddress("127.1", "it has 2 parts, four are needed")],
    ["a", 65536, 0, "a port is an integer from 0 to 65535"],
    ["a", -1, 0, "a port is an integer from 0 to 65535"],
    ["a", 1.5, 0, "a port is an integer from 0 to 65535"],
    ["a", Number.NaN, 0, "a port is an integer from 0 to 65535"]
  ])("refuse host %j with port %d at %i: %s", (host, port, position, reason) => {
    expect(refusal(Endpoint.tcp(host, port))).toEqual([position, reason])
  })

  it("take addresses and names as they are", () => {
    const ip = Address.unsafeParse("::1")
    expect(ok(Endpoint.tcp(ip, 80))).toMatchObject({ host: ip, port: 80 })
    const name = ok(Endpoint.domainName("a."))
    expect(ok(Endpoint.tcp(name, 80))).toMatchObject({ host: name })
  })

  it("make a UNIX endpoint of a path or of @name", () => {
    expect(String(ok(Endpoint.unix("/a")))).toBe("unix:/a")
    expect(String(ok(Endpoint.unix("@a")))).toBe("unix:@a")
    expect(refusal(Endpoint.unix("a"))).toEqual([0, "a path begins with \"/\", \"./\" or \"../\""])
    expect(refusal(Endpoint.unix("/abc", { maxBytes: 3 }))).toEqual([3, "it is over 3 bytes of UTF-8"])
  })

  it("make an endpoint of a socket address, whose scope id becomes the zone", () => {
    const ip = ok(Address.parseIpv6("fe80::1"))
    const address = Address.inet6(ip, Address.Port(80), { scopeId: 2, flowInfo: 7 })
    expect(String(Endpoint.fromSocketAddress(address))).toBe("tcp://[fe80::1%2]:80")
    for (const text of ["1.2.3.4:80", "[::1]:80"]) {
      const address = ok(Address.parseSocketAddress(text))
      expect(String(Endpoint.fromSocketAddress(address))).toBe(`tcp://${text}`)
      expect(String(Endpoint.fromSocketAddress(address, "Tls"))).toBe(`tls://${text}`)
      expect(String(Endpoint.fromSocketAddress(address, "Udp"))).toBe(`udp://${text}`)
    }
    expect(String(Endpoint.fromSocketAddress(ok(Address.parseSocketAddress("@a")), "Udp"))).toBe("unix:@a")
  })

  it("take an endpoint or its text as input", () => {
    const endpoint = Endpoint.unsafeParse("a:80")
    expect(ok(Endpoint.fromInput(endpoint))).toBe(endpoint)
    expect(Equal.equals(ok(Endpoint.fromInput("a:80")), endpoint)).toBe(true)
    expect(refusal(Endpoint.fromInput("a"))).toEqual([1, "the port is missing"])
  })
})

describe("DomainName", () => {
  it("keeps a trailing dot as fully qualified, which is another name", () => {
    const relative = ok(Endpoint.domainName("Example.com"))
    const absolute = ok(Endpoint.domainName("example.com."))
    expect(relative).toMatchObject({ _tag: "DomainName", ascii: "example.com", fullyQualified: false })
    expect(absolute).toMatchObject({ _tag: "DomainName", ascii: "example.com", fullyQualified: true })
    expect([String(relative), String(absolute)]).toEqual(["example.com", "example.com."])
    expect(Equal.equals(relative, absolute)).toBe(false)
    expect(Equal.equals(relative, ok(Endpoint.domainName("EXAMPLE.COM")))).toBe(true)
  })

  it("is never an address", () => {
    expect(refusal(Endpoint.domainName("1.2.3.4"))).toEqual([0, "\"1.2.3.4\" is an IPv4 address, not a name"])
    expect(refusal(Endpoint.domainName("::1"))).toEqual([0, "\":\" cannot stand in a name"])
  })

  it("has only labels of 1 to 63 letters, digits, hyphens inside and underscores, and is its own mapping", () => {
    fc.assert(fc.property(fc.oneof(name, nearly.map((text) => Endpoint.domainName(text))), (found) => {
      const result = Either.isEither(found) ? found : Either.right(found)
      if (Either.isLeft(result)) return
      const { ascii } = result.right
      expect(ascii.length).toBeLessThanOrEqual(253)
      for (const label of ascii.split(".")) expect(label).toMatch(/^(?!-)[a-z0-9_-]{1,63}(?<!-)$/)
      expect(ok(Endpoint.domainName(ascii)).ascii).toBe(ascii)
    }))
  })
})

describe("Endpoint", () => {
  it("needs resolution exactly when its host is a name", () => {
    const needs = (text: string) => Endpoint.requiresResolution(Endpoint.unsafeParse(text))
    const names = ["localhost:80", "a.b.:80", "tls://a:443", "udp://a:53"]
    const literals = ["1.2.3.4:80", "[::1]:80", "tls://[::1]:443", "udp://1.2.3.4:53", "unix:/a", "unix:@a"]
    expect(names.filter(needs)).toEqual(names)
    expect(literals.filter(needs)).toEqual([])
  })

  it("shows its host without brackets", () => {
    const host = (text: string) => Endpoint.hostText(Endpoint.unsafeParse(text))
    expect(["a.:80", "tls://1.2.3.4:80", "udp://[fe80::1%2]:80", "unix:/a", "unix:@a"].map(host))
      .toEqual(["a.", "1.2.3.4", "fe80::1%2", "/a", "@a"])
  })

  it("is reached by sockets of one type", () => {
    const type = (text: string) => Endpoint.socketType(Endpoint.unsafeParse(text))
    expect(["a:80", "tls://a:443", "udp://a:53", "unix:/a"].map(type)).toEqual(["stream", "stream", "dgram", "stream"])
  })

  it("is carried by itself, but a TLS one by the TCP one of the same host and port", () => {
    const carrier = (text: string) => String(Endpoint.transport(Endpoint.unsafeParse(text)))
    expect(["tls://a.:443", "tls://[::1]:443"].map(carrier)).toEqual(["tcp://a.:443", "tcp://[::1]:443"])
    for (const text of ["tcp://a:80", "udp://a:53", "unix:/a"]) expect(carrier(text)).toBe(text)
  })

  it("is equal by scheme, host and port", () => {
    const same = (a: string, b: string) => Equal.equals(Endpoint.unsafeParse(a), Endpoint.unsafeParse(b))
    expect(same("A:80", "tcp://a:80")).toBe(true)
    expect(same("a:80", "a:81")).toBe(false)
    expect(same("a:80", "a.:80")).toBe(false)
    expect(same("tls://A:80", "tls://a:80")).toBe(true)
    expect(same("tls://a:80", "tcp://a:80")).toBe(false)
    expect(same("udp://a:80", "tcp://a:80")).toBe(false)
    expect(same("unix:/a", "unix:///a")).toBe(true)
    expect(same("unix:/a", "unix:@/a")).toBe(false)
  })

  it("prints as its text in JSON and with its kind at a console", () => {
    expect(JSON.stringify(Endpoint.unsafeParse("a:80"))).toBe("\"tcp://a:80\"")
    expect(inspect(Endpoint.unsafeParse("unix:@a"))).toBe("Unix(unix:@a)")
    expect(inspect(Endpoint.unsafeParse("udp://a:53"))).toBe("Udp(udp://a:53)")
  })

  it("is told from other values", () => {
    expect(Endpoint.isEndpoint(Endpoint.unsafeParse("a:80"))).toBe(true)
    expect(Endpoint.isEndpoint("a:80")).toBe(false)
    expect(Endpoint.isEndpoint({ _tag: "Tcp" })).toBe(false)
  })

  it("has a schema that encodes to the canonical text and carries the reason in the ParseError", () => {
    const schema = Endpoint.EndpointFromString
    expect(Schema.encodeSync(schema)(Schema.decodeSync(schema)("A:80"))).toBe("tcp://a:80")
    const error = Either.getOrThrow(Either.flip(Schema.decodeEither(schema)("127.1:80")))
    expect(error.message).toContain("looks like an IPv4 address but is not one in dotted decimal")
    expect(Schema.is(Endpoint.EndpointFromSelf)(Endpoint.unsafeParse("a:80"))).toBe(true)
  })
})
