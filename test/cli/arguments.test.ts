import { Duration, Either, Option } from "effect"
import { describe, expect, it } from "vitest"
import { checkWords, parseFamily, parseNames, parseTimeout, parseType } from "../../src/cli/arguments.js"

describe("--timeout", () => {
  it.each([
    ["10s", 10_000],
    ["500ms", 500],
    ["1m", 60_000],
    ["1.5s", 1500],
    ["2h", 7_200_000],
    ["10 seconds", 10_000],
    ["250 millis", 250],
    ["1 minute", 60_000]
  ])("%j is a time", (text, millis) => {
    expect(Duration.toMillis(Either.getOrThrow(parseTimeout(text)))).toBe(millis)
  })

  it.each(["", "10", "0s", "0 seconds", "-1s", "-1 seconds", "10x", "s", "1e3s", "10S", "10s ", "soon", "10s20ms"])(
    "%j is refused in one line that quotes it",
    (text) => {
      const { message } = Either.getOrThrow(Either.flip(parseTimeout(text)))
      expect(message).toMatch(/^[^\n]+$/)
      expect(message).toContain(JSON.stringify(text))
    }
  )
})

describe("the words of a command line", () => {
  it.each([
    "",
    "trace a:1",
    "trace --json a:1 --timeout 5s",
    "trace --timeout=5s a:1",
    "trace a:1 --timeout -1s",
    "trace -- a:1",
    "connect unix:/run/a=b",
    "demo",
    "trace --help",
    "-h",
    "--version",
    "--completions bash"
  ])("%j is let through", (words) => {
    expect(Either.isRight(checkWords(words.split(" ").filter((word) => word !== "")))).toBe(true)
  })

  it.each([
    ["conect a:1", "unknown command \"conect\": dial takes connect, trace, resolve or demo"],
    ["--json trace a:1", "a command comes before \"--json\": dial takes connect, trace, resolve or demo"],
    [
      "trace --bogus a:1",
      "unknown option \"--bogus\": trace takes --timeout, --attempt-delay, --resolution-delay, --family, --resolver, --server, --ca, --servername, --alpn, --cert, --key and --json"
    ],
    [
      "trace -j a:1",
      "unknown option \"-j\": trace takes --timeout, --attempt-delay, --resolution-delay, --family, --resolver, --server, --ca, --servername, --alpn, --cert, --key and --json"
    ],
    [
      "trace --bogus=1 a:1",
      "unknown option \"--bogus\": trace takes --timeout, --attempt-delay, --resolution-delay, --family, --resolver, --server, --ca, --servername, --alpn, --cert, --key and --json"
    ],
    [
      "trace --constructor a:1",
      "unknown option \"--constructor\": trace takes --timeout, --attempt-delay, --resolution-delay, --family, --resolver, --server, --ca, --servername, --alpn, --cert, --key and --json"
    ],
    ["connect a:1 --json", "unknown option \"--json\": connect takes --ca, --servername, --alpn, --cert and --key"],
    ["trace 127.0.0.1:1 --timeout", "--timeout needs a value, as in --timeout 10s"],
    ["trace --timeout --json a:1", "--timeout needs a value, as in --timeout 10s"],
    ["trace a:1 --json --json", "--json is given twice"],
    ["trace a:1 --timeout 1s --timeout=2s", "--timeout is given twice"],
    ["trace a:1 --json=yes", "--json takes no value"],
    ["trace", "trace needs an endpoint, as in trace example.com:80"],
    ["trace --timeout 1s", "trace needs an endpoint, as in trace example.com:80"],
    ["connect a:1 b:2", "unexpected \"b:2\": connect takes one endpoint"],
    ["demo a:1", "unexpected \"a:1\": demo takes no endpoint"],
    [
      "trace --\u009b2J a:1",
      "unknown option \"--\\u009b2J\": trace takes --timeout, --attempt-delay, --resolution-delay, --family, --resolver, --server, --ca, --servername, --alpn, --cert, --key and --json"
    ]
  ])("%j is blamed on the word that is wrong", (words, reason) => {
    expect(Either.getOrThrow(Either.flip(checkWords(words.split(" ")))).message).toBe(reason)
  })
})

describe("--resolver and --server", () => {
  const names = (resolver?: string, server?: string) =>
    parseNames(Option.fromNullable(resolver), Option.fromNullable(server))

  it.each([
    [undefined, undefined, "System"],
    ["system", undefined, "System"],
    ["dns", undefined, "Dns"],
    [undefined, "192.0.2.53", "Dns"],
    ["dns", "[::1]:5353", "Dns"],
    ["doh=https://dns.example/dns-query", undefined, "Https"]
  ])("%j and %j are %s", (resolver, server, tag) => {
    expect(Either.getOrThrow(names(resolver, server))._tag).toBe(tag)
  })

  it("a server has port 53 unless it says another", () => {
    const servers = (server: string) => {
      const given = Either.getOrThrow(names("dns", server))
      return given._tag === "Dns" ? given.servers?.map(String) : undefined
    }
    expect(servers("192.0.2.53")).toEqual(["192.0.2.53:53"])
    expect(servers("::1")).toEqual(["[::1]:53"])
    expect(servers("[::1]:5353")).toEqual(["[::1]:5353"])
  })

  it.each([
    ["bogus", undefined, "no resolver"],
    ["doh=nothing", undefined, "no resolver"],
    ["doh=ftp://a", undefined, "no resolver"],
    ["system", "192.0.2.53", "--server is for --resolver dns"],
    [undefined, "a name", "no name server"]
  ])("%j and %j are refused", (resolver, server, reason) => {
    expect(Either.getOrThrow(Either.flip(names(resolver, server))).message).toContain(reason)
  })

  it.each(["doh=ftp://user:pw@a/token", "doh=https://user:pw@a:port/token", "https://user:pw@a/token"])(
    "%j is refused without a word of it, as it may hold a secret",
    (resolver) => {
      const { message } = Either.getOrThrow(Either.flip(names(resolver)))
      expect(message).toBe("what is given is no resolver: write system, dns or doh=https://host/dns-query")
    }
  )
})

describe("--family and --type", () => {
  it("are words", () => {
    expect(Either.getOrThrow(parseFamily("any"))).toBeUndefined()
    expect(Either.getOrThrow(parseFamily("inet-first"))).toEqual(["inet", "inet6"])
    expect(Either.getOrThrow(parseType("srv"))).toBe("SRV")
  })

  it("are refused with the words there are", () => {
    expect(Either.getOrThrow(Either.flip(parseFamily("ipv6"))).message).toBe(
      "\"ipv6\" is no family: write any, inet6, inet, inet6-first or inet-first"
    )
    expect(Either.getOrThrow(Either.flip(parseType("constructor"))).message).toContain("no type of record")
  })
})
