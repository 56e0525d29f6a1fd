/** `dial resolve`, and `dial trace` by names of a scripted server, as a user runs them. */
import { Effect, Exit, Scope } from "effect"
import * as Http from "node:http"
import type * as Net from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Address from "../../src/Address.js"
import * as DnsMessage from "../../src/DnsMessage.js"
import * as NameServer from "../../src/testing/NameServer.js"
import { ip } from "../support/addresses.js"
import { serve } from "../support/nameServer.js"
import { dial, listen, objects } from "./dial.js"

const a = (name: string, timeToLive: number, address: string): DnsMessage.DnsRecord => ({
  name,
  timeToLive,
  type: "A",
  address: ip(address) as Address.Ipv4Address
})

const aaaa = (name: string, timeToLive: number, address: string): DnsMessage.DnsRecord => ({
  name,
  timeToLive,
  type: "AAAA",
  address: ip(address) as Address.Ipv6Address
})

const script: NameServer.Script = {
  "web.test": {
    A: {
      answers: [
        { name: "web.test", timeToLive: 30, type: "CNAME", target: "edge.test" },
        a("edge.test", 300, "127.0.0.1")
      ]
    },
    AAAA: { answers: [aaaa("web.test", 60, "::1")] },
    HTTPS: {
      answers: [{
        name: "web.test",
        timeToLive: 90,
        type: "HTTPS",
        binding: {
          priority: 1,
          target: "",
          alpn: ["h2"],
          noDefaultAlpn: false,
          port: Address.Port(8443),
          ipv4Hint: [],
          ipv6Hint: [],
          mandatory: [],
          others: new Map()
        }
      }]
    },
    TXT: {
      answers: [{ name: "web.test", timeToLive: 5, type: "TXT", texts: [new TextEncoder().encode("say \u001b[2J")] }]
    }
  },
  "four.test": { A: { answers: [a("four.test", 60, "127.0.0.1"), a("four.test", 60, "127.0.0.2")] } },
  "_mail._tcp.web.test": {
    SRV: {
      answers: [{
        name: "_mail._tcp.web.test",
        timeToLive: 7,
        type: "SRV",
        priority: 10,
        weight: 5,
        port: 25,
        target: "edge.test"
      }]
    }
  },
  "broken.test": { code: "ServerFailure" }
}

const scope = Effect.runSync(Scope.make())
const http = Http.createServer()
let server = ""
let url = ""

beforeAll(async () => {
  const { address } = await Effect.runPromise(Scope.extend(serve(script), scope))
  server = String(address)
  const { replies } = NameServer.make(script)
  http.on("request", async (request, response) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk)
    const query = DnsMessage.decode(new Uint8Array(Buffer.concat(chunks)))
    if (query._tag === "Left") return response.writeHead(400).end()
    const [reply] = replies(query.right, "tcp", 0)
    return response.writeHead(200, { "content-type": "application/dns-message" }).end(reply?.bytes)
  })
  await new Promise<void>((listening) => http.listen(0, "127.0.0.1", listening))
  url = `http://127.0.0.1:${(http.address() as Net.AddressInfo).port}/dns-query`
})

afterAll(async () => {
  http.closeAllConnections()
  http.close()
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

const lines = (stdout: Buffer) => stdout.toString().trimEnd().split("\n")

describe("dial resolve", () => {
  it("shows each answer with its time to live, and the order of a dial with the rule that made it", async () => {
    const { code, stderr, stdout } = await dial(["resolve", "web.test", "--server", server])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const [first, second, ...order] = lines(stdout)
    expect([first, second].toSorted()).toEqual(["A      127.0.0.1  30 s", "AAAA   ::1  60 s"])
    expect(order).toEqual([
      "order",
      "  1  ::1  from ::1",
      "  2  127.0.0.1  from 127.0.0.1  after 1 by rule 6: prefer higher precedence"
    ])
  })

  it("--json says the same, one object a line", async () => {
    const { code, stdout } = await dial(["resolve", "four.test", "--server", server, "--json"])
    expect(code).toBe(0)
    const [first, second, ...order] = objects(stdout)
    expect(new Set([first, second])).toEqual(
      new Set([
        { _tag: "NoAddresses", type: "AAAA", reason: "NotFound" },
        { _tag: "Addresses", type: "A", timeToLive: 60, addresses: ["127.0.0.1", "127.0.0.2"] }
      ])
    )
    expect(order).toEqual([
      { _tag: "Order", place: 1, address: "127.0.0.1", source: "127.0.0.1" },
      {
        _tag: "Order",
        place: 2,
        address: "127.0.0.2",
        source: expect.stringMatching(/^127\./),
        because: expect.stringMatching(/^rule /)
      }
    ])
  })

  it.each([
    [["web.test", "--type", "HTTPS"], ["HTTPS  1 . alpn=h2 port=8443  90 s"]],
    [["_mail._tcp.web.test", "--type", "srv"], ["SRV    10 5 25 edge.test  7 s"]],
    // What a stranger wrote moves nobody's cursor.
    [["web.test", "--type", "TXT"], [String.raw`TXT    "say \u001b[2J"  5 s`]]
  ])("%j shows the records of that type", async (args, expected) => {
    const { code, stdout } = await dial(["resolve", ...args, "--server", server])
    expect(code).toBe(0)
    expect(lines(stdout)).toEqual(expected)
  })

  it("asks a DNS over HTTPS server that it is given", async () => {
    const { code, stderr, stdout } = await dial(["resolve", "web.test", "--resolver", `doh=${url}`])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(lines(stdout)).toContain("A      127.0.0.1  30 s")
  })

  it.each([
    ["gone.test", "no such name or no address of this kind"],
    ["broken.test", "the name server failed: "]
  ])("exits 1 for %s and says why on standard error", async (name, why) => {
    const { code, stderr, stdout } = await dial(["resolve", name, "--server", server])
    expect(code).toBe(1)
    expect(lines(stdout)).toHaveLength(2)
    expect(stderr).toContain(`resolve ${name}: ${why}`)
    expect(stderr.trimEnd().split("\n")).toHaveLength(1)
  })

  it("names the server that cannot be asked", async () => {
    const { close, endpoint } = await listen(() => {})
    await close()
    const { code, stderr } = await dial(["resolve", "web.test", "--server", endpoint])
    expect(code).toBe(1)
    expect(stderr).toBe(
      `resolve web.test: temporary failure, try again: ${endpoint} could not be asked (ECONNREFUSED)\n`
    )
  })

  it("says of a DNS over HTTPS server that cannot be asked what failed, and nothing of its URL", async () => {
    const { close, endpoint } = await listen(() => {})
    await close()
    const url = `http://login:secret1@${endpoint}/secret2?key=secret3`
    const { code, stderr, stdout } = await dial(["resolve", "web.test", "--resolver", `doh=${url}`])
    expect(code).toBe(1)
    expect(stderr).toBe("resolve web.test: temporary failure, try again: the HTTP request failed (ECONNREFUSED)\n")
    expect(stdout.toString()).not.toMatch(/login|secret/)
  })

  it.each([
    [["bad name"], "invalid endpoint \"bad name\""],
    [["127.0.0.1"], "is an IPv4 address, not a name"],
    [["web.test", "--type", "BOGUS"], "\"BOGUS\" is no type of record"],
    [["web.test", "--type", "A", "--resolver", "system"], "--type needs --resolver dns"],
    [["web.test", "--server", "nobody"], "\"nobody\" is no name server"]
  ])("%j exits 2 with one line", async (args, why) => {
    const { code, stderr, stdout } = await dial(["resolve", ...args])
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toContain(why)
    expect(stderr.trimEnd().split("\n")).toHaveLength(1)
  })
})

describe("dial trace by names of its own server", () => {
  it("dials the family that it is told to prefer first, and only those it is told", async () => {
    const peer = await listen((socket) => socket.resume())
    const at = `web.test:${peer.port}`
    const first = await dial(["trace", at, "--server", server, "--family", "inet-first", "--json"])
    const only = await dial(["trace", at, "--server", server, "--family", "inet6", "--json"])
    await peer.close()
    expect(first.code).toBe(0)
    expect(objects(first.stdout)).toContainEqual(expect.objectContaining({ _tag: "Connected", address: "127.0.0.1" }))
    // Nobody listens on ::1.
    expect(only.code).toBe(1)
    expect(objects(only.stdout).filter(({ _tag }) => _tag === "AttemptStarted")).toMatchObject([{ address: "::1" }])
  })

  it("takes the delays it is told", async () => {
    const { code, stdout } = await dial([
      "trace",
      "web.test:1",
      "--server",
      server,
      "--resolution-delay",
      "0",
      "--attempt-delay",
      "100ms",
      "--json"
    ])
    expect(code).toBe(1)
    expect(objects(stdout).filter(({ _tag }) => _tag === "AttemptFailed")).toHaveLength(2)
  })
})
