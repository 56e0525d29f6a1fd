/** What the simulated network makes of datagrams, beyond the laws that hold on Node as well. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Scope } from "effect"
import type { Connection } from "../../src/Connection.js"
import * as Dialer from "../../src/Dialer.js"
import { Behaviour, Fault, SimNetwork, type Topology } from "../../src/testing/index.js"
import { sim, text } from "./support.js"

const dns = (
  extra: Omit<Topology.Topology, "hosts"> = {},
  behaviour: Behaviour.Behaviour = Behaviour.echo
): Topology.Topology => ({
  hosts: { dns: { addresses: ["10.0.0.53", "fd00::53"], listeners: { "dgram 53": behaviour } } },
  defaultLink: { latency: "10 millis" },
  ...extra
})

const hear = (connection: Connection) =>
  Effect.map(connection.read, (bytes) => text(Option.getOrElse(bytes, () => new Uint8Array())))

describe("a simulated datagram socket", () => {
  for (
    const [host, longest] of [["10.0.0.53", 65_507], ["[::ffff:10.0.0.53]", 65_507], ["[fd00::53]", 65_527]] as const
  ) {
    sim(`to ${host} sends up to ${longest} bytes, as on Linux`, dns(), () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial(`udp://${host}:53`)
        const error = yield* Effect.flip(connection.write(new Uint8Array(longest + 1)))
        expect(error).toMatchObject({ reason: "TooLong", code: "EMSGSIZE" })
        yield* connection.write(new Uint8Array(longest))
        expect(Option.getOrThrow(yield* connection.read).length).toBe(longest)
      }))
  }

  sim(
    "keeps what the window holds for a reader that does not come, empty datagrams too",
    dns({ window: 100 }),
    () =>
      Effect.gen(function*() {
        for (const [size, kept] of [[40, 2], [0, 100]] as const) {
          const connection = yield* Dialer.dial("udp://10.0.0.53:53")
          // One at a time: the echo has a window of its own.
          for (let n = 0; n < 150; n++) {
            yield* connection.write(new Uint8Array(size))
            yield* Effect.sleep("1 second")
          }
          const read = yield* Effect.replicateEffect(Effect.timeoutOption(connection.read, "1 second"), 150)
          expect(read.filter(Option.isSome).length).toBe(kept)
        }
      })
  )

  sim(
    "is answered from the port its listener has, though that serves others as well",
    dns({}, (peer) => Effect.forever(Effect.zipRight(peer.read, peer.write(String(peer.localAddress))))),
    () =>
      Effect.gen(function*() {
        const [one, two] = yield* Effect.all([Dialer.dial("udp://10.0.0.53:53"), Dialer.dial("udp://10.0.0.53:53")])
        yield* Effect.zipRight(one.write("?"), two.write("?"))
        expect([yield* hear(one), yield* hear(two)]).toEqual(["10.0.0.53:53", "10.0.0.53:53"])
        const { accounting } = yield* SimNetwork.SimNetwork
        expect(yield* accounting).toMatchObject({ dialed: 2, accepted: 0, listening: 1 })
      })
  )

  sim("takes no descriptor of its listener's host", {
    hosts: { dns: { addresses: ["10.0.0.53"], listeners: { "dgram 53": Behaviour.echo }, descriptors: 1 } }
  }, () =>
    Effect.gen(function*() {
      for (let n = 0; n < 3; n++) yield* (yield* Dialer.dial("udp://10.0.0.53:53")).write("hello")
      const { on } = yield* SimNetwork.SimNetwork
      const socket = Effect.provide(Dialer.dial("udp://10.0.0.53:53"), Dialer.layer)
      expect((yield* on("dns")(socket)).socketType).toBe("dgram")
      expect((yield* Effect.flip(on("dns")(socket))).message).toContain("too many open files")
    }))

  sim(
    "is gone without a word: its listener is not told of it, and what it sends goes nowhere",
    dns({}, (peer) =>
      Effect.zipRight(
        peer.read,
        Effect.forever(Effect.zipRight(Effect.sleep("1 second"), peer.write("still there?")))
      )),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("udp://10.0.0.53:53")
        yield* connection.write("hello")
        expect(yield* hear(connection)).toBe("still there?")
        yield* connection.close()
        yield* Effect.sleep("1 minute")
        const trace = yield* (yield* SimNetwork.SimNetwork).trace
        expect(trace.filter(({ _tag }) => _tag === "Lost" || _tag === "Behaved")).toEqual([])
      })
  )

  sim("is refused from the moment its listener ends, which ends what that had with its senders", {
    hosts: { dns: { addresses: ["10.0.0.53"] } }
  }, () =>
    Effect.gen(function*() {
      const { listen } = yield* SimNetwork.SimNetwork
      const ended: Array<string> = []
      const serving = (peer: Connection) =>
        Effect.tapError(Behaviour.echo(peer), ({ reason }) => Effect.sync(() => ended.push(reason)))
      const listening = yield* Scope.make()
      yield* Scope.extend(listen("dns", "dgram 53", serving), listening)
      const connection = yield* Dialer.dial("udp://10.0.0.53:53")
      yield* connection.write("hello")
      expect(yield* hear(connection)).toBe("hello")
      yield* Scope.close(listening, Exit.void)
      yield* connection.write("hello?")
      expect((yield* Effect.flip(connection.read)).reason).toBe("Refused")
      expect(ended).toEqual(["End"])
    }))

  sim(
    "hears nothing of a host that crashed, and is answered again once it is back",
    dns(),
    () =>
      Effect.gen(function*() {
        const { crash, restart } = yield* SimNetwork.SimNetwork
        const connection = yield* Dialer.dial("udp://10.0.0.53:53")
        yield* connection.write("one")
        expect(yield* hear(connection)).toBe("one")
        yield* crash("dns")
        yield* connection.write("two")
        expect(yield* Effect.timeoutOption(connection.read, "1 minute")).toEqual(Option.none())
        yield* restart("dns")
        yield* connection.write("three")
        expect(yield* hear(connection)).toBe("three")
      })
  )

  sim(
    "hears no more after a silent death of its way",
    dns({ faults: [Fault.on("dns", Fault.silentDeath, { afterBytes: 6 })] }),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("udp://10.0.0.53:53")
        const heard: Array<string> = []
        for (const word of ["one", "two", "three"]) {
          yield* connection.write(word)
          heard.push(yield* Effect.map(Effect.timeoutOption(hear(connection), "1 minute"), Option.getOrElse(() => "-")))
        }
        expect(heard).toEqual(["one", "two", "-"])
      })
  )
})

it.effect("a UNIX datagram listener cannot be: building such a network is a defect", () =>
  Effect.gen(function*() {
    const built = Layer.build(SimNetwork.layer({ hosts: { client: { listeners: { "dgram @name": Behaviour.echo } } } }))
    const cause = yield* Effect.flip(Effect.sandbox(Effect.scoped(built)))
    expect(String(cause)).toContain("dgram @name: there are no UNIX datagram sockets")
  }))
