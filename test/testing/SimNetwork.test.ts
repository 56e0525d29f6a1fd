import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Either, Exit, Fiber, Option, TestClock } from "effect"
import * as Address from "../../src/Address.js"
import * as Attempt from "../../src/Attempt.js"
import * as Dialer from "../../src/Dialer.js"
import { SourceAddress } from "../../src/SourceAddress.js"
import { Behaviour, SimNetwork, Simulation, TestTime, type Topology, Trace } from "../../src/testing/index.js"
import { readAll, readings, sim, text, timed, web } from "./support.js"

const inet4 = (ip: string, port: number): Address.Inet4 =>
  Address.inet4(Either.getOrThrow(Address.parseIpv4(ip)), Address.Port(port))

const hello = Effect.scoped(Effect.gen(function*() {
  const connection = yield* Dialer.dial("web.test:80")
  yield* connection.write("hello")
  return text(Option.getOrThrow(yield* connection.read))
}))

describe("a network", () => {
  const slow = web({ defaultLink: { latency: "20 millis" } })

  it.effect("runs by the TestClock, exact to the millisecond", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(hello)
      yield* TestClock.adjust("79 millis")
      expect(fiber.unsafePoll()).toBeNull()
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(fiber)).toBe("hello")
      yield* SimNetwork.expectQuiet
    }).pipe(Effect.provide(SimNetwork.layer(slow))))

  it.effect("runs under TestTime.settle without anybody adjusting the clock", () =>
    Effect.gen(function*() {
      expect(yield* TestTime.settle(hello)).toBe("hello")
      expect(yield* TestClock.currentTimeMillis).toBe(80)
    }).pipe(Effect.provide(SimNetwork.layer(slow))))

  it.live("runs on the real clock", () =>
    Effect.map(hello, (answer) => expect(answer).toBe("hello")).pipe(
      Effect.provide(SimNetwork.layer(web({ defaultLink: { latency: "1 millis" } })))
    ))

  it.live("says so when it is used under another clock than its own", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Simulation.run(hello))
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("lives by another Clock")
    }).pipe(Effect.provide(SimNetwork.layer(web()))))

  sim("is reached by a name, an address, and from several hosts", {
    hosts: {
      web: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.echo } },
      other: { addresses: ["10.0.0.3"] }
    },
    names: { "web.test": ["10.0.0.2"] }
  }, () =>
    Effect.gen(function*() {
      const { on } = yield* SimNetwork.SimNetwork
      const from = (host: string) =>
        on(host)(Attempt.connect({
          socketType: "stream",
          address: Address.socketAddress(Address.unsafeParse("10.0.0.2"), Address.Port(80)),
          options: {}
        }))
      expect(String((yield* Dialer.dial("web.test:80")).localAddress)).toBe("192.0.2.1:32768")
      expect(String((yield* from("other")).localAddress)).toBe("10.0.0.3:32768")
      expect(String((yield* from("web")).localAddress)).toBe("10.0.0.2:32768")
    }))

  sim("refuses a connect to a port where nobody listens", web(), () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Dialer.dial("10.0.0.2:81"))
      expect(error.message).toContain("connection refused")
    }))

  sim("has no route to an address of a family the host does not have", {
    hosts: { client: { addresses: ["10.0.0.1"] } }
  }, () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Dialer.dial("[fd00::9]:80"))
      expect(error.message).toContain("network unreachable")
    }))

  sim("finds no host at an address that nobody has, after looking for it", web(), () =>
    Effect.gen(function*() {
      const [error, millis] = yield* timed(Effect.flip(Dialer.dial("10.9.9.9:80")))
      expect([error.message.includes("host unreachable"), millis]).toEqual([true, 3000])
    }))

  sim("gives both ends the addresses they see of each other", web(), () =>
    Effect.gen(function*() {
      const { listen } = yield* SimNetwork.SimNetwork
      const address = yield* listen("web", "81", (connection) =>
        connection.write(`${connection.localAddress} from ${connection.remoteAddress}`))
      const connection = yield* Dialer.dial(String(address))
      expect(text(Option.getOrThrow(yield* connection.read))).toBe(`10.0.0.2:81 from ${connection.localAddress}`)
    }))

  sim("binds the local address that is asked for", web(), () =>
    Effect.gen(function*() {
      const inet = inet4("192.0.2.1", 4000)
      const connection = yield* Dialer.dial("10.0.0.2:80", { localAddress: { inet } })
      expect(String(connection.localAddress)).toBe("192.0.2.1:4000")
      const again = yield* Effect.flip(Dialer.dial("10.0.0.2:80", { localAddress: { inet } }))
      expect(again.message).toContain("no local address or port")
      yield* connection.close()
      yield* Effect.scoped(Dialer.dial("10.0.0.2:80", { localAddress: { inet } }))
    }))

  sim("is reached by an IPv4-mapped address, from a mapped one", web(), () =>
    Effect.gen(function*() {
      const address = Address.socketAddress(Address.unsafeParse("::ffff:10.0.0.2"), Address.Port(80))
      const connection = yield* Attempt.connect({ socketType: "stream", address, options: {} })
      expect(String(connection.localAddress)).toBe("[::ffff:192.0.2.1]:32768")
    }))

  sim("does not bind where a listener is", {
    hosts: { ...web().hosts, client: { addresses: ["10.0.0.1"], listeners: { 4000: Behaviour.echo } } }
  }, () =>
    Effect.gen(function*() {
      const inet = inet4("10.0.0.1", 4000)
      const error = yield* Effect.flip(Dialer.dial("10.0.0.2:80", { localAddress: { inet } }))
      expect(error.message).toContain("already in use")
    }))

  sim("does not bind an address of another machine", web(), () =>
    Effect.gen(function*() {
      const inet = inet4("10.0.0.2", 0)
      const error = yield* Effect.flip(Dialer.dial("10.0.0.2:80", { localAddress: { inet } }))
      expect(error.message).toContain("local address not on this machine")
    }))

  sim("has as many descriptors as the host is given", {
    hosts: {
      client: { addresses: ["10.0.0.1"], descriptors: 1 },
      web: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.echo } }
    }
  }, () =>
    Effect.gen(function*() {
      const first = yield* Dialer.dial("10.0.0.2:80")
      expect((yield* Effect.flip(Dialer.dial("10.0.0.2:80"))).message).toContain("too many open files")
      yield* first.close()
      yield* Dialer.dial("10.0.0.2:80")
    }))

  sim("chooses the source address nearest to a destination, and none without a route", {
    hosts: { client: { addresses: ["10.0.0.1", "192.168.1.1", "2001:db8::1", "fe80::1"] } }
  }, () =>
    Effect.gen(function*() {
      const { sourceFor } = yield* SourceAddress
      const source = (to: string) =>
        Effect.map(sourceFor(Address.unsafeParse(to)), Option.match({ onNone: () => "none", onSome: String }))
      expect(
        yield* Effect.forEach([
          "192.168.1.7",
          "10.2.3.4",
          "2001:db8::7",
          "fe80::7%2",
          "127.0.0.1",
          "::1",
          "::ffff:10.0.0.9"
        ], source)
      )
        .toEqual(["192.168.1.1", "10.0.0.1", "2001:db8::1", "fe80::1", "127.0.0.1", "::1", "10.0.0.1"])
      const { on } = yield* SimNetwork.SimNetwork
      expect(on).toBeTypeOf("function")
    }))

  sim("has datagram sockets: whole messages, and nobody is told at the other end that one has closed", {
    hosts: { dns: { addresses: ["10.0.0.53"], listeners: { "dgram 53": Behaviour.echo } } }
  }, () =>
    Effect.gen(function*() {
      const address = Address.socketAddress(Address.unsafeParse("10.0.0.53"), Address.Port(53))
      const connection = yield* Attempt.connect({ socketType: "dgram", address, options: {} })
      yield* connection.write("one")
      yield* connection.write("two")
      const answers = yield* Effect.replicateEffect(connection.read, 2)
      expect(answers.map((bytes) => text(Option.getOrThrow(bytes)))).toEqual(["one", "two"])
      expect(connection.socketType).toBe("dgram")
    }))

  sim("tells a datagram socket that nobody listens where it sent to", web(), () =>
    Effect.gen(function*() {
      const address = Address.socketAddress(Address.unsafeParse("10.0.0.2"), Address.Port(53))
      const connection = yield* Attempt.connect({ socketType: "dgram", address, options: {} })
      yield* connection.write("anybody?")
      expect((yield* Effect.flip(connection.read)).code).toBe("ECONNREFUSED")
    }))

  sim("has UNIX sockets, by path and by abstract name, on one host", {
    hosts: { client: { listeners: { "/run/db.sock": Behaviour.send("path"), "@db": Behaviour.send("abstract") } } }
  }, () =>
    Effect.gen(function*() {
      expect(yield* Effect.flatMap(Dialer.dial("unix:/run/db.sock"), readAll)).toBe("path")
      expect(yield* Effect.flatMap(Dialer.dial("unix:@db"), readAll)).toBe("abstract")
      expect((yield* Effect.flip(Dialer.dial("unix:/run/other.sock"))).message).toContain("no such socket")
    }))

  sim(
    "refuses a UNIX path whose listener is gone, and does not know one that never was",
    {},
    () =>
      Effect.gen(function*() {
        const { listen } = yield* SimNetwork.SimNetwork
        yield* Effect.scoped(listen("client", "/run/gone.sock", Behaviour.echo))
        expect((yield* Effect.flip(Dialer.dial("unix:/run/gone.sock"))).message).toContain("connection refused")
        expect((yield* Effect.flip(Dialer.dial("unix:/run/never.sock"))).message).toContain("no such socket")
      })
  )

  sim("lets a behaviour dial on from its own host", {
    hosts: {
      proxy: {
        addresses: ["10.0.0.3"],
        listeners: {
          80: (connection) =>
            Effect.gen(function*() {
              const behind = yield* Attempt.connect({
                socketType: "stream",
                address: Address.socketAddress(Address.unsafeParse("10.0.0.2"), Address.Port(80)),
                options: {}
              })
              yield* connection.write(`${behind.localAddress} says ${yield* readAll(behind)}`)
            })
        }
      },
      web: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.send("hello") } }
    }
  }, () =>
    Effect.gen(function*() {
      expect(yield* Effect.flatMap(Dialer.dial("10.0.0.3:80"), readAll)).toBe("10.0.0.3:32768 says hello")
    }))

  sim(
    "resets a connection whose behaviour fails, and keeps the failure in the trace",
    web({}, () => Effect.fail(new Error("oops"))),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        expect((yield* connection.lost).reason).toBe("Reset")
        const { trace } = yield* SimNetwork.SimNetwork
        expect((yield* trace).filter((event) => event._tag === "Behaved")).toMatchObject([{
          host: "web",
          failure: "oops"
        }])
      })
  )
})

describe("a link", () => {
  sim(
    "with bandwidth carries so much, for all its connections together",
    web({
      defaultLink: { bytesPerSecond: 1_000_000 },
      window: 10_000_000
    }, Behaviour.send(new Uint8Array(500_000))),
    () =>
      Effect.gen(function*() {
        const read = Effect.scoped(Effect.flatMap(Dialer.dial("10.0.0.2:80"), readings))
        const [, millis] = yield* timed(Effect.all([read, read], { concurrency: 2 }))
        expect(millis).toBe(1000)
      })
  )

  sim(
    "with latency carries one window each round trip",
    web({
      defaultLink: { latency: "50 millis" },
      window: 1000
    }, Behaviour.send(new Uint8Array(5000))),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        const [, millis] = yield* timed(readings(connection))
        expect(millis).toBe(100 + 4 * 100)
      })
  )

  const noisy = (seed: number): Topology.Topology => ({
    ...web({ seed, defaultLink: { latency: "10 millis", jitter: "40 millis", loss: 0.2 } }),
    window: 100
  })
  const sent = Array.from({ length: 2000 }, (_, index) => String.fromCharCode(97 + index % 26)).join("")
  const pumped = Effect.scoped(Effect.gen(function*() {
    const connection = yield* Dialer.dial("10.0.0.2:80")
    const [answer] = yield* Effect.all([readAll(connection), Effect.zipRight(connection.write(sent), connection.end)], {
      concurrency: 2
    })
    const { trace } = yield* SimNetwork.SimNetwork
    return [answer, Trace.format(yield* trace)] as const
  }))

  it.live.each([1, 2, 3, 4, 5])(
    "with jitter and loss delays a stream and neither loses, doubles nor reorders a byte (seed %i)",
    (seed) =>
      Effect.gen(function*() {
        const [answer] = yield* SimNetwork.run(pumped, noisy(seed))
        expect(answer).toBe(sent)
      })
  )

  it.live("gives the same trace for the same seed, and another for another", () =>
    Effect.gen(function*() {
      const [, first] = yield* SimNetwork.run(pumped, noisy(1))
      const [, again] = yield* SimNetwork.run(pumped, noisy(1))
      const [, other] = yield* SimNetwork.run(pumped, noisy(2))
      expect(again).toBe(first)
      expect(other).not.toBe(first)
    }))

  sim("one way can differ from the other", {
    ...web(),
    links: [
      { between: ["client", "web"], latency: "10 millis", oneWay: true },
      { between: ["web", "client"], latency: "30 millis", oneWay: true }
    ]
  }, () =>
    Effect.gen(function*() {
      const [, millis] = yield* timed(Dialer.dial("10.0.0.2:80"))
      expect(millis).toBe(40)
    }))

  sim("that loses half of its datagrams loses datagrams", {
    hosts: { dns: { addresses: ["10.0.0.53"], listeners: { "dgram 53": Behaviour.echo } } },
    defaultLink: { loss: 0.5 }
  }, () =>
    Effect.gen(function*() {
      const address = Address.socketAddress(Address.unsafeParse("10.0.0.53"), Address.Port(53))
      const connection = yield* Attempt.connect({ socketType: "dgram", address, options: {} })
      for (let n = 0; n < 100; n++) yield* connection.write("x")
      const count = (n: number): Effect.Effect<number> =>
        Effect.flatMap(
          Effect.timeoutOption(Effect.ignore(connection.read), "1 second"),
          Option.match({ onNone: () => Effect.succeed(n), onSome: () => count(n + 1) })
        )
      const arrived = yield* count(0)
      expect(arrived).toBeGreaterThan(10)
      expect(arrived).toBeLessThan(50)
    }))
})
