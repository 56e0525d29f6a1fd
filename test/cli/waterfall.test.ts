import { describe, expect, it } from "vitest"
import { columns, fit, type Line, paint, part } from "../../src/cli/lines.js"
import * as Transcript from "../../src/cli/transcript.js"
import * as Waterfall from "../../src/cli/waterfall.js"
import { Address, DialError, type DialEvent, Endpoint } from "../../src/index.js"
import { at, connected, failed, hostile, secured, unsecured } from "./events.js"

const plain = (lines: ReadonlyArray<Line>) => lines.map((line) => paint(line, false))
const draw = (events: ReadonlyArray<DialEvent.DialEvent>, now: number, width = 80) =>
  plain(Waterfall.draw(events, { now, width }))

describe("the waterfall", () => {
  it("gives every answer and every attempt a row, its start, its length and its outcome", () => {
    expect(draw(connected, 291)).toEqual([
      "                      start      took  0            300 ms",
      "  AAAA               0.0 ms     10 ms  ━                    2001:db8::1",
      "  A                  0.0 ms     20 ms  ━╸                   192.0.2.1, 192.0.2.2",
      "  #0  2001:db8::1     11 ms    280 ms  ╺━━━━━━━━━━━━━━━━━╸  stopped",
      "  #1  192.0.2.1      261 ms     10 ms                  ━╸   refused",
      "  #2  192.0.2.2      271 ms     20 ms                   ━╸  connected",
      "  connected to 192.0.2.2:443 from 192.0.2.77:50000 in 291 ms"
    ])
  })

  it("says what a failed dial came to", () => {
    expect(draw(failed, 16)).toEqual([
      "                    start      took  0                          20 ms",
      "  AAAA             0.0 ms    3.0 ms  ━━━━━                             not found",
      "  A                0.0 ms    4.0 ms  ━━━━━━╸                           192.0.2.1",
      "  #0  192.0.2.1    5.0 ms     10 ms          ━━━━━━━━━━━━━━━━╸         refused",
      "  failed in 16 ms: no address connected"
    ])
  })

  it("gives a handshake a bar of its own, and says what was agreed on and whose certificate it is", () => {
    expect(draw(secured, 60, 100)).toEqual([
      "                    start      took  0                                           60 ms",
      "  #0  192.0.2.1    0.0 ms     10 ms  ━━━━━━━━╸                                          connected",
      "      TLS           10 ms     20 ms          ━━━━━━━━━━━━━━━━╸                          TLS: expired",
      "  #1  192.0.2.2     30 ms     10 ms                          ╺━━━━━━━━                  connected",
      "      TLS           40 ms     20 ms                                  ╺━━━━━━━━━━━━━━━━  TLSv1.3, h2",
      "  connected to 192.0.2.2:443 from 192.0.2.77:50001 in 60 ms",
      "  secured by TLSv1.3, h2, TLS_AES_128_GCM_SHA256",
      "    CN=db.example for db.example",
      "    valid from 2025-01-01 to 2026-01-01",
      "    issued by CN=Example CA"
    ])
    expect(draw(secured.slice(0, 5), 50).at(-1)).toMatch(/^ {6}TLS +40 ms +10 ms .* shaking hands$/)
  })

  it("lets the bar of what is under way grow with the time", () => {
    const events = connected.slice(0, 3)
    expect(draw(events, 50).at(-1)).toMatch(/^ {2}#0 {2}2001:db8::1 +11 ms +40 ms +╺━+ +connecting$/)
    expect(draw(events, 150).at(-1)).toMatch(/^ {2}#0 {2}2001:db8::1 +11 ms +140 ms +╺━+ +connecting$/)
    expect(draw(events, 50)[2]).toMatch(/^ {2}A .* asking$/)
  })

  it("shows a family that had not answered when the dial was over", () => {
    const events = connected.filter((event) => !(event._tag === "AddressesResolved" && event.family === "inet"))
    expect(draw(events, 291)[2]).toMatch(/^ {2}A .* no answer yet$/)
  })

  it("tells a dial that connected and was not secured from one that did not connect", () => {
    expect(draw(unsecured, 31).at(-1)).toBe("  failed in 31 ms: connected, but TLS failed")
  })

  it("asks nobody any more when the dial was interrupted", () => {
    const [, aaaa] = Waterfall.draw(connected.slice(0, 1), { now: 30, width: 80, over: true })
    expect(aaaa?.at(-1)).toMatchObject({ text: "no answer yet", tone: "stopped" })
    expect(draw(connected.slice(0, 1), 30)[1]).toContain("asking")
  })

  it("shows a name that failed as a whole in one row", () => {
    const error = new DialError.ResolveError({ host: "db.example", reason: "Timeout" })
    expect(
      draw([
        { _tag: "ResolutionStarted", at: 0, name: "db.example" },
        { _tag: "ResolutionFailed", at: 5, name: "db.example", error },
        { _tag: "DialFailed", at: 5, error }
      ], 5).slice(1).map((line) => line.replaceAll(/ +[━╸╺]+ +/g, " "))
    ).toEqual([
      "  name    0.0 ms    5.0 ms timeout",
      "  failed in 5.0 ms: the name gave no address, timeout"
    ])
  })

  it("never draws a line that would wrap, however narrow the terminal", () => {
    for (let width = 1; width <= 200; width++) {
      for (const line of draw(connected, 291, width)) expect(line.length).toBeLessThanOrEqual(width)
    }
  })

  it("leaves the bars out where there is no room for them, and keeps the outcomes", () => {
    expect(draw(connected, 291, 64).join("\n")).not.toMatch(/[━╸╺]/)
    expect(draw(connected, 291, 64)[4]).toBe("  #1  192.0.2.1      261 ms     10 ms  refused")
  })

  it("draws nothing before anything happened", () => {
    expect(draw([], 10)).toEqual([])
  })

  it("has one colour for each outcome, and none without colours", () => {
    const [, , , stopped, refused, won] = Waterfall.draw(connected, { now: 291, width: 80 })
    expect([stopped, refused, won].map((line) => line?.at(-1)?.tone)).toEqual(["stopped", "failed", "connected"])
    expect([stopped, refused, won].map((line) => line?.find((part) => part.text.includes("━"))?.tone))
      .toEqual(["stopped", "failed", "connected"])
    expect(paint(won ?? [], true)).toContain("\u001B[0;32mconnected")
    expect(draw(connected, 291).join("")).not.toContain("\u001B")
  })

  it("draws what a peer made of its certificate in the room there is, and obeys none of it", () => {
    for (const width of [1, 20, 40, 80, 200]) {
      for (const line of draw(hostile, 60, width)) {
        expect(columns(line)).toBeLessThanOrEqual(width)
        expect(line).not.toMatch(/\p{C}/u)
      }
    }
  })

  it("shows escape codes in a path and does not obey them", () => {
    const endpoint = Endpoint.unsafeParse("unix:/tmp/\u001B[2Jx")
    if (endpoint._tag !== "Unix") throw new Error("not a UNIX endpoint")
    const lines = Waterfall.draw(
      [{ _tag: "AttemptStarted", at: 0, attempt: 0, address: Address.unix(endpoint.path) }],
      { now: 1, width: 80 }
    )
    expect(paint(lines.at(-1) ?? [], true)).not.toContain("\u001B[2J")
    expect(paint([part("\u009B2J\u202E\u007F")], true)).toBe("\\u009b2J\\u202e\\u007f")
    expect(paint(lines.at(-1) ?? [], false)).toContain("/tmp/\\u001b[2Jx")
  })
})

describe("text on a terminal", () => {
  it.each([
    ["plain", 5],
    ["é", 1],
    ["e\u0301", 1],
    ["数据库", 6],
    ["データ", 6],
    ["한국어", 6],
    ["ＡＢ", 4],
    ["𠀀", 2],
    ["🚀", 2],
    ["a…━", 3]
  ])("%j takes its columns", (text, width) => {
    expect(columns(text)).toBe(width)
  })

  it.each([
    ["数据库", 6, "数据库"],
    ["数据库", 7, "数据库 "],
    ["数据库", 5, "数据…"],
    ["数据库", 4, "数… "],
    ["数据库", 1, "…"],
    ["数据库", 0, ""],
    ["e\u0301e\u0301e\u0301", 2, "e\u0301…"]
  ])("%j is fitted in %i columns", (text, width, fitted) => {
    expect(fit(text, width)).toBe(fitted)
  })

  it("never wraps and keeps its columns, however wide the characters of a path are", () => {
    const endpoint = Endpoint.unsafeParse(`unix:/run/${"数据库🚀".repeat(7)}/\u202E`)
    if (endpoint._tag !== "Unix") throw new Error("not a UNIX endpoint")
    const address = Address.unix(endpoint.path)
    const events: ReadonlyArray<DialEvent.DialEvent> = [
      { _tag: "AttemptStarted", at: 0, attempt: 0, address },
      { _tag: "AttemptConnected", at: 1, attempt: 0, address },
      { _tag: "Connected", at: 1, address, localAddress: Address.unnamed }
    ]
    for (let width = 1; width <= 200; width++) {
      for (const line of draw(events, 1, width)) expect(columns(line)).toBeLessThanOrEqual(width)
    }
    const [header = "", row = ""] = draw(events, 1, 100)
    expect(columns(row.slice(0, row.indexOf("0.0 ms") + 6))).toBe(header.indexOf("start") + 5)
  })
})

describe("the log of a dial", () => {
  const log = (events: ReadonlyArray<DialEvent.DialEvent>) =>
    events.map((event, index) => paint(Transcript.line(event, events.slice(0, index)), false))

  it("is a line for each event, with the time since the start and how long an attempt took", () => {
    expect(log(connected)).toEqual([
      "    0.0 ms  resolving db.example",
      "     10 ms  AAAA 2001:db8::1",
      "     11 ms  #0 [2001:db8::1]:443 started",
      "     20 ms  A 192.0.2.1, 192.0.2.2",
      "    261 ms  #1 192.0.2.1:443 started",
      "    271 ms  #1 192.0.2.1:443 failed after 10 ms: refused (ECONNREFUSED)",
      "    271 ms  #2 192.0.2.2:443 started",
      "    290 ms  #2 192.0.2.2:443 connected after 20 ms",
      "    291 ms  #0 [2001:db8::1]:443 stopped after 280 ms",
      "    291 ms  connected to 192.0.2.2:443 from 192.0.2.77:50000"
    ])
  })

  it("gives a peer no more of a line than it needs, and obeys nothing that it says", () => {
    const lines = log(hostile)
    for (const line of lines) {
      expect(line.length).toBeLessThan(500)
      expect(line).not.toMatch(/\p{C}/u)
    }
    expect(lines.join(" ")).toContain("TLSv1.3, \\u001b[2J, CN=\\u001b]0;x\\u0007\\u202e")
  })

  it("says why a lookup or a dial failed", () => {
    expect(log(failed).filter((line) => !line.includes("#"))).toEqual([
      "    0.0 ms  resolving db.example",
      "    3.0 ms  AAAA not found (ENOTFOUND)",
      "    4.0 ms  A 192.0.2.1",
      "     16 ms  failed: no address connected"
    ])
  })

  it("tells minutes in seconds", () => {
    expect(log([{ _tag: "AttemptStarted", at: 75_000, attempt: 0, address: at("192.0.2.1") }])).toEqual([
      "    75.0 s  #0 192.0.2.1:443 started"
    ])
  })
})
