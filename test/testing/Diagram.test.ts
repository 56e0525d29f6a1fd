import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Dialer from "../../src/Dialer.js"
import { Behaviour, Diagram, Fault, SimNetwork, Trace } from "../../src/testing/index.js"

const traceOf = Effect.gen(function*() {
  yield* Effect.scoped(Effect.gen(function*() {
    const connection = yield* Dialer.dial("web.test:80")
    yield* connection.write("hello")
    yield* connection.read
  }))
  yield* Effect.ignore(Effect.scoped(Dialer.dial("10.0.0.2:81")))
  const network = yield* SimNetwork.SimNetwork
  yield* network.partition("client", "web")
  yield* Effect.ignore(Effect.scoped(Dialer.dial("10.0.0.2:80", { timeout: "2 seconds" })))
  return yield* network.trace
})

const run = SimNetwork.run(traceOf, {
  hosts: { web: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.echo } } },
  names: { "web.test": { inet: ["10.0.0.2"], inet6: Fault.empty } },
  defaultLink: { latency: "20 millis" }
})

describe("a diagram", () => {
  it.live("shows who sent what to whom when, and what was lost", () =>
    Effect.gen(function*() {
      expect(`\n${Diagram.render(yield* run, { brief: true })}`).toBe(`
      client                            web
   0  ? web.test                        │
      = inet6: NotFound                 │
      = inet: 10.0.0.2                  │
      ● #1 opens to 10.0.0.2:80         │
      │── SYN #1 (20) ─────────────────▶│
  20  │◀───────────── SYN-ACK #1 (40) ──│
  40  │── DATA 5 #1 (60) ──────────────▶│
  60  │◀────────────── DATA 5 #1 (80) ──│
  80  │── FIN #1 (100) ────────────────▶│
      ○ #1 closes (orderly)             │
      ● #2 opens to 10.0.0.2:81         │
      │── SYN #2 (100) ────────────────▶│
 100  │◀──────────────── RST #2 (120) ──│
      │◀──────────────── FIN #1 (120) ──│
 120  ○ #2 closes (orderly)             │
      ══ partition client | web ══════════════════════════════════════════
      ● #3 opens to 10.0.0.2:80         │
      │── SYN #3 ──────────────────────X│
1120  │── SYN #3 ──────────────────────X│
2120  ○ #3 closes (orderly)             │
`)
    }))

  it("of nothing is nothing", () => {
    expect(Diagram.render([])).toBe("")
  })

  it.live("can have its columns in another order", () =>
    Effect.gen(function*() {
      const [header] = Diagram.render(yield* run, { hosts: ["web", "client"], width: 40 }).split("\n")
      expect(header?.trim().split(/\s+/)).toEqual(["web", "client"])
    }))
})

describe("a trace", () => {
  it.live("is one JSON object a line, the same for the same run", () =>
    Effect.gen(function*() {
      const text = Trace.format(yield* run)
      expect(Trace.format(yield* run)).toBe(text)
      const events = text.trimEnd().split("\n").map((line) => JSON.parse(line))
      expect(events.every((event) => typeof event._tag === "string" && typeof event.at === "number")).toBe(true)
      expect(events.filter((event) => event._tag === "Dial").map(({ event }) => event._tag)).toContain("Connected")
    }))
})
