/** Dials of `udp://` endpoints: what connected means, and which of several addresses it is. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, type Scope, Stream } from "effect"
import type { Connection } from "../src/Connection.js"
import * as Connector from "../src/Connector.js"
import * as Dialer from "../src/Dialer.js"
import type { ConnectionLost } from "../src/DialError.js"
import * as History from "../src/History.js"
import { NodeTransport } from "../src/node/index.js"
import * as Resolver from "../src/Resolver.js"
import { Behaviour, Fault, SimNetwork, type Topology } from "../src/testing/index.js"
import { ip } from "./support/addresses.js"
import * as Loopback from "./support/loopback.js"
import { listenForDatagrams } from "./testing/datagramListener.js"
import { sim, text, timed } from "./testing/support.js"

/** Ask, and wait for the answer. */
const answer = (connection: Connection): Effect.Effect<string, ConnectionLost> =>
  Effect.zipRight(
    connection.write("anybody there?"),
    Effect.map(connection.read, (bytes) => text(Option.getOrThrow(bytes)))
  )

const saying = (word: string): Behaviour.Behaviour => (connection) =>
  Effect.forever(Effect.zipRight(connection.read, connection.write(word)))

const network = (topology: Topology.Topology = {}): Topology.Topology => ({
  hosts: {
    client: { addresses: ["192.0.2.1", "2001:db8::1"] },
    one: { addresses: ["10.0.0.1", "2001:db8::11"], listeners: { "dgram 53": saying("one") } },
    two: { addresses: ["10.0.0.2"], listeners: { "dgram 53": saying("two") } },
    web: { addresses: ["10.0.0.3"] }
  },
  names: { "dns.test": ["10.0.0.1", "10.0.0.2"], "dual.test": ["2001:db8::11", "10.0.0.2"], "web.test": ["10.0.0.3"] },
  defaultLink: { latency: "10 millis" },
  ...topology
})

describe("a dial of a udp endpoint", () => {
  sim("of an address or a name gives a datagram socket", network(), () =>
    Effect.gen(function*() {
      for (const [to, word] of [["udp://10.0.0.2:53", "two"], ["udp://dns.test:53", "one"]] as const) {
        const connection = yield* Dialer.dial(to)
        expect(connection.socketType).toBe("dgram")
        expect(yield* answer(connection)).toBe(word)
      }
    }))

  sim(
    "sends nothing: it takes no time, and connects though nobody is there",
    network({ faults: [Fault.on("one", Fault.silentSyn)] }),
    () =>
      Effect.gen(function*() {
        const [connection, took] = yield* timed(Dialer.dial("udp://dns.test:53"))
        expect([String(connection.remoteAddress), took]).toEqual(["10.0.0.1:53", 0])
        const packets = (yield* (yield* SimNetwork.SimNetwork).trace).filter(({ _tag }) => _tag === "Packet")
        expect(packets).toEqual([])
      })
  )

  sim(
    "takes the first address that there is a way to",
    network({ hosts: { ...network().hosts, client: { addresses: ["192.0.2.1"] } } }),
    () =>
      Effect.gen(function*() {
        const { connection, report } = yield* Dialer.dialReport("udp://dual.test:53")
        expect(String(connection.remoteAddress)).toBe("10.0.0.2:53")
        expect(report.elapsedMillis).toBe(0)
      })
  )

  sim(
    "and no way to any address fails with all of them, as any dial does",
    network({ hosts: { client: { addresses: [] } }, names: network().names ?? {} }),
    () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Dialer.dial("udp://dual.test:53"))
        expect(error.message).toBe(
          "dial udp://dual.test:53: both attempts failed in 0 ms: " +
            "[2001:db8::11]:53 network unreachable (ENETUNREACH) after 0 ms; " +
            "10.0.0.2:53 network unreachable (ENETUNREACH) after 0 ms"
        )
      })
  )

  for (
    const [what, faults, after] of [
      ["is silent", [Fault.on("one", Fault.silentSyn)], 270],
      ["refuses", [Fault.on("one", Fault.refused)], 40]
    ] as const
  ) {
    sim(
      `that has to be answered takes the second address when the first ${what}`,
      network({ faults: [...faults] }),
      () =>
        Effect.gen(function*() {
          expect(yield* timed(Dialer.dialWith("udp://dns.test:53", answer))).toEqual(["two", after])
        })
    )
  }

  sim("can be bound to a local address", network(), () =>
    Effect.gen(function*() {
      const localAddress = { inet: Loopback.inet("192.0.2.1", 5353) }
      const connection = yield* Dialer.dial("udp://10.0.0.2:53", { localAddress })
      expect(String(connection.localAddress)).toBe("192.0.2.1:5353")
    }))

  sim(
    "that connected has taught nothing of its address, one that was answered has",
    network(),
    () =>
      Effect.gen(function*() {
        const { recall } = yield* History.History
        const known = recall(ip("10.0.0.1"), ip("192.0.2.1"))
        yield* Dialer.dial("udp://dns.test:53")
        expect(yield* known).toEqual({ used: false })
        yield* Dialer.dialWith("udp://dns.test:53", answer)
        const { roundTrip, used } = yield* known
        expect([used, roundTrip && Duration.toMillis(roundTrip)]).toEqual([true, 20])
      }).pipe(Effect.provide(Layer.provideMerge(Dialer.layer, History.layer())))
  )

  sim("refused later is lost, and its Connector can be connected again", network(), () =>
    Effect.gen(function*() {
      const connector = yield* Connector.make("udp://web.test:53")
      const first = yield* connector.connect
      yield* first.write("anybody?")
      expect((yield* Effect.flip(first.read)).reason).toBe("Refused")
      yield* connector.changes.pipe(Stream.filter(({ _tag }) => _tag === "Disconnected"), Stream.runHead)
      const { listen } = yield* SimNetwork.SimNetwork
      yield* listen("web", "dgram 53", saying("now"))
      expect(yield* Effect.flatMap(connector.connect, answer)).toBe("now")
    }))
})

describe("on this machine", () => {
  const scenario = (
    name: string,
    self: () => Effect.Effect<void, unknown, Dialer.Dialer | Scope.Scope>,
    names: { readonly [name: string]: ReadonlyArray<string> }
  ) =>
    it.live(name, () =>
      Loopback.leavesNoSocket(Effect.scoped(Effect.provide(
        self(),
        Layer.provide(
          Dialer.layer,
          Layer.merge(
            NodeTransport.layer,
            Resolver.layerStatic(Object.fromEntries(
              Object.entries(names).map(([name, addresses]) => [name, addresses.map(ip)])
            ))
          )
        )
      ))))

  scenario(
    "a dial that has to be answered takes the address where somebody answers",
    () =>
      Effect.gen(function*() {
        const address = yield* listenForDatagrams(
          "127.0.0.2",
          (peer) => Effect.forever(Effect.zipRight(peer.read, peer.write("here")))
        )
        const to = `udp://two.internal:${Loopback.portNumber(address)}`
        expect(yield* Effect.map(Dialer.dial(to), ({ remoteAddress }) => String(remoteAddress))).toMatch("127.0.0.1:")
        expect(yield* Dialer.dialWith(to, answer)).toBe("here")
      }),
    { "two.internal": ["127.0.0.1", "127.0.0.2"] }
  )
})
