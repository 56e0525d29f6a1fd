/** RFC 7050, Discovery of the IPv6 Prefix Used for IPv6 Address Synthesis, and its use for literals (RFC 8305 §7.1). */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import * as Dialer from "../../src/Dialer.js"
import * as Nat64 from "../../src/Nat64.js"
import * as Resolver from "../../src/Resolver.js"
import { Behaviour, Fault, SimNetwork, type Topology } from "../../src/testing/index.js"
import { ip } from "../support/addresses.js"

const discovered = (...addresses: ReadonlyArray<string>) =>
  Effect.map(
    Effect.provide(Nat64.discover, Resolver.layerStatic({ "ipv4only.arpa": addresses.map(ip) })),
    ({ prefixes }) => prefixes.map(({ ip, length }) => `${ip}/${length}`)
  )

describe("§3 Node Behavior", () => {
  it.effect("finds the prefix around 192.0.0.170 or 192.0.0.171, whatever its length", () =>
    Effect.gen(function*() {
      expect(yield* discovered("64:ff9b::192.0.0.170")).toEqual(["64:ff9b::/96"])
      expect(yield* discovered("64:ff9b::192.0.0.171")).toEqual(["64:ff9b::/96"])
      expect(yield* discovered("2001:db8:122:344:c0:0:aa00::")).toEqual(["2001:db8:122:344::/64"])
      expect(yield* discovered("2001:db8:c000:aa::")).toEqual(["2001:db8::/32"])
    }))

  it.effect("finds every prefix of a network that has several, in the order of the answer", () =>
    Effect.gen(function*() {
      expect(yield* discovered("2001:db8:1::192.0.0.170", "64:ff9b::192.0.0.170")).toEqual([
        "2001:db8:1::/96",
        "64:ff9b::/96"
      ])
    }))

  it.effect("an answer without the addresses, or none, is a network without NAT64", () =>
    Effect.gen(function*() {
      expect(yield* discovered("2001:db8::1")).toEqual([])
      expect(yield* discovered()).toEqual([])
    }))
})

describe("RFC 8305 §7.1 a literal IPv4 address", () => {
  const listeners = { 80: Behaviour.send("hello") }
  const dialed = (
    client: ReadonlyArray<string>,
    names: Topology.Topology["names"] = {},
    to = "198.51.100.7:80"
  ) =>
    SimNetwork.run(
      Effect.gen(function*() {
        const dial = Effect.map(
          Effect.either(Effect.scoped(Dialer.dial(to))),
          (result) => result._tag === "Right" ? String(result.right.remoteAddress) : result.left._tag
        )
        const told = [yield* dial, yield* dial]
        const { trace } = yield* SimNetwork.SimNetwork
        return [...told, (yield* trace).filter(({ _tag }) => _tag === "Lookup").length]
      }).pipe(Effect.provide(Nat64.layer)),
      {
        hosts: {
          client: { addresses: client },
          gateway: { addresses: ["64:ff9b::198.51.100.7"], listeners },
          web: { addresses: ["198.51.100.7"], listeners }
        },
        names
      }
    )
  const dns64 = { "ipv4only.arpa": { inet6: { answer: ["64:ff9b::192.0.0.170"], timeToLive: "1 hour" } } } as const
  const gateway = `[${ip("64:ff9b::198.51.100.7")}]:80`

  it.live("is reached through the NAT64 of a network without IPv4; the prefix is asked for once", () =>
    Effect.gen(function*() {
      expect(yield* dialed(["2001:db8::9"], dns64)).toEqual([gateway, gateway, 1])
    }))

  it.live("is reached over UDP as over TCP", () =>
    Effect.gen(function*() {
      expect(yield* dialed(["2001:db8::9"], dns64, "udp://198.51.100.7:80")).toEqual([gateway, gateway, 1])
    }))

  it.live("is dialed as it is where there is IPv4, and nothing is asked", () =>
    Effect.gen(function*() {
      expect(yield* dialed(["2001:db8::9", "198.51.100.1"], dns64)).toEqual(["198.51.100.7:80", "198.51.100.7:80", 0])
    }))

  it.live("fails as it would where there is neither", () =>
    Effect.gen(function*() {
      expect((yield* dialed(["2001:db8::9"])).slice(0, 1)).toEqual(["AllAttemptsFailed"])
    }))

  it.live("does not wait for ever for a discovery that is not answered", () =>
    Effect.gen(function*() {
      expect((yield* dialed(["2001:db8::9"], { "ipv4only.arpa": Fault.noAnswer })).slice(0, 1)).toEqual([
        "AllAttemptsFailed"
      ])
    }))

  it.live("within an acquire, it waits for the discovery alone and not for what is left of its time", () =>
    Effect.gen(function*() {
      const elapsed = yield* SimNetwork.run(
        Effect.gen(function*() {
          const start = yield* Clock.currentTimeMillis
          yield* Effect.scoped(Effect.acquireRelease(Dialer.dial("198.51.100.7:80"), () => Effect.void))
          return (yield* Clock.currentTimeMillis) - start
        }).pipe(Effect.provide(Nat64.layer)),
        {
          hosts: {
            client: { addresses: ["2001:db8::9"] },
            gateway: { addresses: ["64:ff9b::198.51.100.7"], listeners }
          },
          names: dns64
        }
      )
      expect(elapsed).toBeLessThan(1000)
    }))
})
