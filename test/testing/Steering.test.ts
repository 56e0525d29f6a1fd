import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Scope } from "effect"
import * as Dialer from "../../src/Dialer.js"
import type { DialError } from "../../src/DialError.js"
import { Behaviour, Fault, SimNetwork, type Topology } from "../../src/testing/index.js"
import { readings, sim, text, timed, web } from "./support.js"

describe("steering", () => {
  const slow = web({ defaultLink: { latency: "10 millis" } })

  sim("a partition loses a SYN; its retry connects after the repair", slow, () =>
    Effect.gen(function*() {
      const { partition, repair } = yield* SimNetwork.SimNetwork
      yield* partition("client", "web")
      yield* Effect.fork(Effect.delay(repair("client", "web"), "1500 millis"))
      const [, millis] = yield* timed(Dialer.dial("10.0.0.2:80"))
      expect(millis).toBe(1000 + 2000 + 20)
    }))

  sim(
    "a partition delays a stream until the first retransmission after the repair",
    slow,
    () =>
      Effect.gen(function*() {
        const { partition, repair } = yield* SimNetwork.SimNetwork
        const connection = yield* Dialer.dial("10.0.0.2:80")
        yield* partition("client", "web")
        yield* connection.write("hello")
        yield* Effect.fork(Effect.delay(repair("client", "web"), "300 millis"))
        const [answer, millis] = yield* timed(connection.read)
        // Sent again 200 ms after it was sent, then 400 ms after that.
        expect([text(Option.getOrThrow(answer)), millis]).toEqual(["hello", 600 + 20])
      })
  )

  sim("a partition that stays ends a connection that sends as TimedOut", slow, () =>
    Effect.gen(function*() {
      const { partition } = yield* SimNetwork.SimNetwork
      const connection = yield* Dialer.dial("10.0.0.2:80")
      yield* partition("client", "web")
      yield* connection.write("hello")
      const [lost, millis] = yield* timed(connection.lost)
      expect([lost.reason, millis]).toEqual(["TimedOut", 924_000])
    }))

  sim("a one-way partition lets the other way through", slow, () =>
    Effect.gen(function*() {
      const { listen, partitionOneWay } = yield* SimNetwork.SimNetwork
      const address = yield* listen("web", "81", Behaviour.after("1 second", Behaviour.send("hello")))
      const connection = yield* Dialer.dial(String(address))
      yield* partitionOneWay("client", "web")
      expect(text(Option.getOrThrow(yield* connection.read))).toBe("hello")
    }))

  sim("held packets go on their way in order when they are released", slow, () =>
    Effect.gen(function*() {
      const { hold, release } = yield* SimNetwork.SimNetwork
      const connection = yield* Dialer.dial("10.0.0.2:80")
      yield* hold("client", "web")
      yield* connection.write("one ")
      yield* connection.write("two")
      yield* Effect.fork(Effect.delay(release("client", "web"), "10 minutes"))
      const [answer, millis] = yield* timed(connection.read)
      expect([text(Option.getOrThrow(answer)), millis]).toEqual(["one two", 600_020])
    }))

  sim(
    "a crashed host says nothing, and knows nothing of its connections once it is back",
    slow,
    () =>
      Effect.gen(function*() {
        const { crash, restart } = yield* SimNetwork.SimNetwork
        const connection = yield* Dialer.dial("10.0.0.2:80")
        yield* crash("web")
        expect(yield* Effect.timeoutOption(connection.lost, "1 hour")).toEqual(Option.none())
        yield* connection.write("hello?")
        yield* Effect.fork(Effect.delay(restart("web"), "1 second"))
        const [lost, millis] = yield* timed(connection.lost)
        // Sent again after 200, 400 and 800 ms: answered with a reset.
        expect([lost.reason, millis]).toEqual(["Reset", 1400 + 20])
        yield* Effect.scoped(Dialer.dial("10.0.0.2:80"))
      })
  )

  sim("a crashed host does not answer a SYN", slow, () =>
    Effect.gen(function*() {
      const { crash } = yield* SimNetwork.SimNetwork
      yield* crash("web")
      const error = yield* Effect.flip(Dialer.dial("10.0.0.2:80", { timeout: "5 seconds" }))
      expect(error._tag).toBe("DialTimeout")
    }))

  sim(
    "what had arrived from a host before it crashed can still be read",
    web({}, Behaviour.send("last words")),
    () =>
      Effect.gen(function*() {
        const { crash } = yield* SimNetwork.SimNetwork
        const connection = yield* Dialer.dial("10.0.0.2:80")
        yield* Effect.sleep("1 second")
        yield* crash("web")
        expect(yield* readings(connection)).toEqual(["last words", "end"])
      })
  )

  sim("what had arrived before a reset can still be read, and then the reset", web(), () =>
    Effect.gen(function*() {
      const { listen } = yield* SimNetwork.SimNetwork
      const address = yield* listen(
        "web",
        "81",
        (connection) => Effect.zipRight(connection.write("last words"), Effect.delay(connection.abort, "1 second"))
      )
      const connection = yield* Dialer.dial(String(address))
      yield* Effect.sleep("5 seconds")
      expect(yield* readings(connection)).toEqual(["last words", "Reset"])
    }))

  sim("a crash interrupts the host's behaviours", {}, () =>
    Effect.gen(function*() {
      const { crash, listen } = yield* SimNetwork.SimNetwork
      const ended: Array<string> = []
      const address = yield* listen("client", "80", () =>
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => ended.push("interrupted"))))
      yield* Dialer.dial(String(address))
      yield* Effect.sleep("1 second")
      yield* crash("client")
      yield* Effect.sleep("1 second")
      expect(ended).toEqual(["interrupted"])
    }))
})

/** Run with a Scope that nobody closes. */
const neverClosed = <A, E, R>(
  effect: Effect.Effect<A, E, R | Scope.Scope>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> => Effect.flatMap(Scope.make(), (scope) => Scope.extend(effect, scope))

describe("accounting", () => {
  sim(
    "counts what is open",
    web({ defaultLink: { latency: "10 millis" } }, Behaviour.after("2 seconds", Behaviour.discard)),
    () =>
      Effect.gen(function*() {
        const { accounting } = yield* SimNetwork.SimNetwork
        const none = { dialed: 0, accepted: 0, listening: 1, bytesInFlight: 0, pendingTimers: 0, lookups: 0 }
        expect(yield* accounting).toEqual(none)
        const connection = yield* Dialer.dial("10.0.0.2:80")
        yield* connection.write("hello")
        const { bytesInFlight, pendingTimers } = yield* accounting
        expect(bytesInFlight).toBe(5)
        expect(pendingTimers).toBeGreaterThan(0)
        yield* Effect.sleep("1 second")
        expect(yield* accounting).toEqual({ ...none, dialed: 1, accepted: 1, bytesInFlight: 5 })
        yield* connection.abort
        yield* Effect.sleep("5 seconds")
        expect(yield* accounting).toEqual(none)
      })
  )

  const leakOf = (
    effect: Effect.Effect<unknown, DialError, SimNetwork.Provided>,
    topology: Topology.Topology = web()
  ) =>
    Effect.flatMap(
      Effect.flip(SimNetwork.run(effect, topology)),
      (error) => error._tag === "LeakDetected" ? Effect.succeed(error.leaks[0]) : Effect.fail(error)
    )

  it.live("names a socket that was left open, and who opened it", () =>
    Effect.gen(function*() {
      const leak = yield* leakOf(
        Effect.gen(function*() {
          yield* Effect.sleep("5 seconds")
          yield* Effect.withSpan(
            Effect.flatMap(Effect.scope, () => Dialer.dial("10.0.0.2:80")).pipe(neverClosed),
            "fetchUser"
          )
        })
      )
      expect(leak).toMatchObject({ what: "socket", description: "connected to 10.0.0.2:80 on client", openedAt: 5000 })
      expect(leak.openedBy).toContain("in fetchUser")
    }))

  it.live("names a lookup that nobody waits for any more", () =>
    Effect.gen(function*() {
      const leak = yield* leakOf(
        Effect.forkDaemon(Effect.ignore(Dialer.dial("web.test:80"))).pipe(
          Effect.zipLeft(Effect.sleep("1 second")),
          neverClosed
        ),
        web({ names: { "web.test": Fault.noAnswer } })
      )
      expect(leak).toMatchObject({ what: "lookup", description: "of web.test" })
    }))

  it.live("names a listener that was left open", () =>
    Effect.gen(function*() {
      const leak = yield* leakOf(
        Effect.flatMap(SimNetwork.SimNetwork, ({ listen }) => listen("web", "81", Behaviour.echo)).pipe(
          neverClosed
        )
      )
      expect(leak).toMatchObject({ what: "listener", description: "on [::]:81 of web" })
    }))
})
