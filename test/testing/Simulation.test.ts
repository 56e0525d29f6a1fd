import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Random, Schedule, TestClock } from "effect"
import dgram from "node:dgram"
import dns from "node:dns"
import * as net from "node:net"
import * as Dialer from "../../src/Dialer.js"
import { Behaviour, SimNetwork, Simulation, Swarm, TestTime } from "../../src/testing/index.js"
import * as Loopback from "../support/loopback.js"

describe("a simulation", () => {
  it.live("takes no time for what sleeps, and ends at the exact moment", () =>
    Effect.gen(function*() {
      const program = Effect.zipRight(Effect.sleep("23 hours"), Effect.clockWith((clock) => clock.currentTimeMillis))
      expect(yield* Simulation.run(program)).toBe(23 * 3_600_000)
    }))

  it.live("wakes those who sleep to one moment in the order in which they fell asleep", () =>
    Effect.gen(function*() {
      const woken: Array<number> = []
      const sleep = (n: number) => Effect.delay(Effect.sync(() => woken.push(n)), "1 second")
      yield* Simulation.run(Effect.forEach([1, 2, 3, 4], sleep, { concurrency: "unbounded" }))
      expect(woken).toEqual([1, 2, 3, 4])
    }))

  it.live("fails as its effect does, and dies as it does", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(Simulation.run(Effect.fail("no")))).toBe("no")
      expect(yield* Effect.exit(Simulation.run(Effect.die("bug")))).toEqual(Exit.die("bug"))
    }))

  it.live("that can never end is Stuck, at its time, after its finalizers ran", () =>
    Effect.gen(function*() {
      let cleaned = false
      const program = Effect.zipRight(Effect.sleep("3 seconds"), Effect.never).pipe(
        Effect.ensuring(Effect.zipRight(
          Effect.sleep("1 second"),
          Effect.sync(() => {
            cleaned = true
          })
        ))
      )
      const error = yield* Effect.flip(Simulation.run(program))
      expect(error).toMatchObject({ _tag: "Stuck", reason: "nothing scheduled", at: 3000 })
      expect(cleaned).toBe(true)
    }))

  it.live("that is busy for ever is Stuck at its time limit", () =>
    Effect.gen(function*() {
      const program = Effect.repeat(Effect.void, Schedule.spaced("1 second"))
      const error = yield* Effect.flip(Simulation.run(program, { timeLimit: "1 minute" }))
      expect(error).toMatchObject({ _tag: "Stuck", reason: "time limit" })
    }))

  it.live("gives promises that are settled their turn", () =>
    Effect.gen(function*() {
      const program = Effect.replicateEffect(Effect.promise(() => Promise.resolve(1)), 50)
      expect((yield* Simulation.run(program)).length).toBe(50)
    }))

  it.live("has the randomness of its seed", () =>
    Effect.gen(function*() {
      const draw = (seed: number) => Simulation.run(Effect.replicateEffect(Random.nextInt, 3), { seed })
      expect(yield* draw(1)).toEqual(yield* draw(1))
      expect(yield* draw(1)).not.toEqual(yield* draw(2))
    }))

  it("touches no timer, socket or resolver of the platform", () => {
    const forbidden = (): never => {
      throw new Error("the platform was touched")
    }
    const kept = {
      setTimeout: globalThis.setTimeout,
      setInterval: globalThis.setInterval,
      setImmediate: globalThis.setImmediate,
      connect: net.Socket.prototype.connect,
      listen: net.Server.prototype.listen,
      createSocket: dgram.createSocket,
      lookup: dns.lookup
    }
    try {
      Object.assign(globalThis, { setTimeout: forbidden, setInterval: forbidden, setImmediate: forbidden })
      Object.assign(net.Socket.prototype, { connect: forbidden })
      Object.assign(net.Server.prototype, { listen: forbidden })
      Object.assign(dgram, { createSocket: forbidden })
      Object.assign(dns, { lookup: forbidden })
      expect(() => setTimeout(() => {}, 1)).toThrow("touched")
      expect(Swarm.run({ from: 100, seeds: 50 })).toEqual([])
    } finally {
      const { connect, createSocket, listen, lookup, ...timers } = kept
      Object.assign(globalThis, timers)
      Object.assign(net.Socket.prototype, { connect })
      Object.assign(net.Server.prototype, { listen })
      Object.assign(dgram, { createSocket })
      Object.assign(dns, { lookup })
    }
  })
})

describe("TestTime.settle", () => {
  it.effect("moves the TestClock to every moment somebody waits for", () =>
    Effect.gen(function*() {
      const program = Effect.zipRight(Effect.sleep("1 hour"), Effect.sleep("30 minutes"))
      yield* TestTime.settle(program)
      expect(yield* TestClock.currentTimeMillis).toBe(5_400_000)
    }))

  it.effect("wakes fibers that are not its own as well", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<string>()
      yield* Effect.fork(Effect.delay(Deferred.succeed(gate, "opened"), "1 minute"))
      expect(yield* TestTime.settle(Deferred.await(gate))).toBe("opened")
    }))

  it.effect("fails as its effect does", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(TestTime.settle(Effect.delay(Effect.fail("no"), "1 second")))).toBe("no")
    }))

  it.effect("interrupted, interrupts its effect", () =>
    Effect.gen(function*() {
      let stopped = false
      const program = Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          stopped = true
        }))
      const fiber = yield* Effect.fork(TestTime.settle(program))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      expect(stopped).toBe(true)
    }))

  it.effect("runs a dial that times out", () =>
    Effect.gen(function*() {
      const error = yield* TestTime.settle(
        Effect.flip(Effect.scoped(Dialer.dial("web.test:80", { timeout: "10 seconds" })))
      )
      expect(error._tag).toBe("DialTimeout")
    }).pipe(Effect.provide(SimNetwork.layer({
      hosts: { web: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.echo } } },
      names: { "web.test": { inet: { answer: ["10.0.0.2"], delay: "1 hour" }, inet6: { answer: [], delay: "1 hour" } } }
    }))))

  it.live("waits for turns of the event loop where it is told to, and the clock does not move meanwhile", () =>
    Effect.gen(function*() {
      const threeTurns = Effect.async<void>((resume) => {
        setImmediate(() => setImmediate(() => setImmediate(() => resume(Effect.void))))
      })
      const program = Effect.raceFirst(Effect.as(threeTurns, "turns"), Effect.as(Effect.sleep("1 milli"), "time"))
      expect(yield* Simulation.run(program)).toBe("time")
      expect(yield* Simulation.run(program, { idle: Loopback.turns(5) })).toBe("turns")
      const alone = yield* Effect.flip(Simulation.run(threeTurns))
      expect(alone).toMatchObject({ _tag: "Stuck", reason: "nothing scheduled" })
      yield* Simulation.run(threeTurns, { idle: Loopback.turns(5) })
    }))
})
