/**
 * The scenarios of RFC 8305 that users meet, the same on the simulated network and on loopback.
 *
 * On the simulated network the time to connected is exact. On loopback it is what the scenario takes at best, and up to
 * {@link slop} more: a busy machine's, not the dial's (what the dial itself adds is measured in the bench).
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Layer, type Scope } from "effect"
import * as Address from "../src/Address.js"
import type { Connection } from "../src/Connection.js"
import * as Dialer from "../src/Dialer.js"
import type { DialError } from "../src/DialError.js"
import type { DialOptions } from "../src/DialOptions.js"
import * as DnsResolver from "../src/DnsResolver.js"
import { NodeTransport } from "../src/node/index.js"
import { Behaviour, Fault, NameServer, SimNetwork } from "../src/testing/index.js"
import { at } from "./support/addresses.js"
import * as Loopback from "./support/loopback.js"
import { serve } from "./support/nameServer.js"

/** Milliseconds. */
const slop = 400

/** What stands at an address. */
type Host = "good" | "refusing" | "silent" | SlowHost

/** One whose SYN-ACK takes so many milliseconds: in a network of our own making only, loopback has none. */
interface SlowHost {
  readonly synAckAfter: number
}

interface Scenario {
  readonly title: string
  readonly hosts: { readonly [address: string]: Host }
  /** Milliseconds until each family's answer, or that it never comes; 0 by default. */
  readonly delays?: { readonly A?: number | "never"; readonly AAAA?: number | "never" }
  readonly options?: DialOptions
  /** Who wins, or that nobody does; and after how many milliseconds. */
  readonly winner: string | undefined
  readonly after: number
}

// Loopback has one IPv6 address and any number of IPv4 ones: where many of one family are needed they are IPv4, and
// preferred.
const ipv4First: DialOptions = { families: ["inet", "inet6"] }

const scenarios: ReadonlyArray<Scenario> = [
  { title: "both good", hosts: { "::1": "good", "127.0.0.2": "good" }, winner: "::1", after: 0 },
  {
    title: "AAAA is never answered",
    hosts: { "127.0.0.2": "good" },
    delays: { AAAA: "never" },
    winner: "127.0.0.2",
    after: 50
  },
  {
    title: "AAAA is a second late",
    hosts: { "::1": "good", "127.0.0.2": "good" },
    delays: { AAAA: 1000 },
    winner: "127.0.0.2",
    after: 50
  },
  {
    title: "A is late and AAAA good",
    hosts: { "::1": "good", "127.0.0.2": "good" },
    delays: { A: 1000 },
    winner: "::1",
    after: 0
  },
  {
    title: "all refuse",
    hosts: { "::1": "refusing", "127.0.0.2": "refusing", "127.0.0.3": "refusing" },
    winner: undefined,
    after: 20
  },
  {
    title: "the preferred address is silent",
    hosts: { "::1": "silent", "127.0.0.2": "good" },
    winner: "127.0.0.2",
    after: 250
  },
  {
    title: "four of the preferred family are silent and one of the other is good",
    hosts: {
      "127.0.0.2": "silent",
      "127.0.0.3": "silent",
      "127.0.0.4": "silent",
      "127.0.0.5": "silent",
      "::1": "good"
    },
    options: ipv4First,
    winner: "::1",
    after: 250
  }
]

/** Nothing is given up for being slow: what net.connect with autoSelectFamily never reaches is reached. */
const slowScenarios: ReadonlyArray<Scenario> = [
  {
    title: "every SYN-ACK takes 300 ms",
    hosts: { "::1": { synAckAfter: 300 }, "127.0.0.2": { synAckAfter: 300 } },
    winner: "::1",
    after: 300
  },
  {
    title: "every SYN-ACK takes 1.5 s",
    hosts: { "::1": { synAckAfter: 1500 }, "127.0.0.2": { synAckAfter: 1500 }, "127.0.0.3": { synAckAfter: 1500 } },
    winner: "::1",
    after: 1500
  },
  {
    title: "IPv6 takes 300 ms and IPv4 is silent",
    hosts: { "::1": { synAckAfter: 300 }, "127.0.0.2": "silent" },
    winner: "::1",
    after: 300
  },
  {
    title: "IPv6 takes a second and IPv4 100 ms",
    hosts: { "::1": { synAckAfter: 1000 }, "127.0.0.2": { synAckAfter: 100 } },
    winner: "127.0.0.2",
    after: 350
  }
]

const name = "race.test"

const script = ({ delays, hosts }: Scenario): NameServer.Script => {
  const reply = (family: Address.AddressFamily, delay: number | "never" | undefined): NameServer.Said =>
    delay === "never" ? "silence" : {
      answers: Object.keys(hosts).filter((host) => Address.unsafeParse(host).family === family),
      delay: delay ?? 0
    }
  return { [name]: { A: reply("inet", delays?.A), AAAA: reply("inet6", delays?.AAAA) } }
}

/** Who won, and the milliseconds it took. */
const outcome = <R>(dial: Effect.Effect<Connection, DialError, R>) =>
  Effect.map(
    Effect.timed(Effect.either(dial)),
    ([elapsed, result]) => ({
      winner: result._tag === "Right" && result.right.remoteAddress._tag !== "Unix"
        ? String(result.right.remoteAddress.ip)
        : undefined,
      millis: Duration.toMillis(elapsed)
    })
  )

describe("on the simulated network, to the millisecond", () => {
  for (const scenario of [...scenarios, ...slowScenarios]) {
    it.live(`${scenario.title}: ${scenario.after} ms`, () =>
      Effect.gen(function*() {
        // Loopback addresses are each host's own there: the same scenario, one host an address.
        const hosts = Object.entries(scenario.hosts)
        const elsewhere = (address: string) => address === "::1" ? "2001:db8::2" : `10.0.0.${address.at(-1)}`
        const moved: Scenario = {
          ...scenario,
          hosts: Object.fromEntries(hosts.map(([address, host]) => [elsewhere(address), host]))
        }
        const names = NameServer.make(script(moved))
        const dns = DnsResolver.layerServers({ servers: [at("10.0.1.53:53")] })
        const dial = Effect.provide(
          Effect.scoped(outcome(Dialer.dial(`${name}:80`, scenario.options))),
          Layer.provide(Dialer.layer, dns)
        )
        const { millis, winner } = yield* SimNetwork.run(dial, {
          hosts: {
            dns: { addresses: ["10.0.1.53"], listeners: names.listeners },
            ...Object.fromEntries(hosts.map(([address, host]) => [
              address,
              { addresses: [elsewhere(address)], listeners: host === "refusing" ? {} : { 80: Behaviour.echo } }
            ]))
          },
          faults: hosts.flatMap(([address, host]) =>
            host === "silent"
              ? [Fault.on(address, Fault.silentSyn)]
              : typeof host === "object"
              ? [Fault.on(address, Fault.slowSynAck(host.synAckAfter))]
              : []
          )
        })
        expect([winner, millis]).toEqual([scenario.winner && elsewhere(scenario.winner), scenario.after])
      }))
  }
})

describe(`on loopback, within ${slop} ms`, () => {
  /** A port on which every host of the scenario does what it does. */
  const onLoopback = (hosts: Scenario["hosts"]): Effect.Effect<number, never, Scope.Scope> =>
    Effect.gen(function*() {
      const [first, ...others] = Object.entries(hosts)
      if (first === undefined) return 0
      const open = (host: string, what: Host, port: number): Effect.Effect<number, never, Scope.Scope> => {
        const where = { host, port }
        if (typeof what === "object") return Effect.dieMessage("loopback has no slow SYN-ACK")
        if (what === "refusing") return port === 0 ? freePort(host) : Effect.succeed(port)
        return Effect.map(
          what === "silent" ? Loopback.silent(where) : Effect.map(Loopback.listen(where), ({ address }) => address),
          (address) => address._tag === "Unix" ? 0 : address.port
        )
      }
      const port = yield* open(first[0], first[1], 0)
      for (const [host, what] of others) yield* open(host, what, port)
      return port
    })

  const freePort = (host: string) =>
    Effect.scoped(
      Effect.map(Loopback.listen({ host, port: 0 }), ({ address }) => address._tag === "Unix" ? 0 : address.port)
    )

  for (const scenario of scenarios) {
    it.live(`${scenario.title}: ${scenario.after} ms`, () =>
      Effect.scoped(Effect.gen(function*() {
        const port = yield* onLoopback(scenario.hosts)
        const { address } = yield* serve(script(scenario))
        const network = Layer.provide(
          Dialer.layer,
          Layer.provideMerge(DnsResolver.layerServers({ servers: [address] }), NodeTransport.layer)
        )
        const { millis, winner } = yield* Effect.provide(
          outcome(Dialer.dial(`${name}:${port}`, scenario.options)),
          network
        )
        expect(winner).toBe(scenario.winner)
        // Timers may be a millisecond early.
        expect(millis).toBeGreaterThanOrEqual(scenario.after - 2)
        expect(millis).toBeLessThanOrEqual(scenario.after + slop)
      })), 20_000)
  }
})
