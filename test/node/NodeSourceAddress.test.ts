import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option } from "effect"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { readdirSync } from "node:fs"
import { NodeSourceAddress } from "../../src/node/index.js"
import { SourceAddress } from "../../src/SourceAddress.js"
import { ip } from "../support/addresses.js"

const sourceFor = (address: string) =>
  Effect.flatMap(SourceAddress, ({ sourceFor }) => Effect.map(sourceFor(ip(address)), Option.map(String)))

const descriptors = () => readdirSync("/proc/self/fd").length

const scenario = (title: string, self: () => Effect.Effect<void, never, SourceAddress>) =>
  it.live(title, () => Effect.provide(self(), NodeSourceAddress.layer))

describe("the kernel's own choice", () => {
  scenario("for loopback is loopback", () =>
    Effect.gen(function*() {
      expect(yield* sourceFor("127.0.0.1")).toEqual(Option.some("127.0.0.1"))
      expect(yield* sourceFor("::1")).toEqual(Option.some("::1"))
    }))

  scenario(
    "is none where there is no way: a link-local address without a zone, a zone that is none",
    () =>
      Effect.gen(function*() {
        expect(yield* sourceFor("fe80::1")).toEqual(Option.none())
        expect(yield* sourceFor("fe80::1%nosuchinterface0")).toEqual(Option.none())
      })
  )

  scenario(
    "is asked once for many dials to one destination, be they at once or one after another",
    () =>
      Effect.gen(function*() {
        const opened: Array<unknown> = []
        const count = (message: unknown) => opened.push(message)
        subscribe("udp.socket", count)
        yield* Effect.forEach(Array.from({ length: 50 }), () => sourceFor("127.0.0.3"), { concurrency: "unbounded" })
        expect(opened.length).toBe(1)
        const [took] = yield* Effect.timed(Effect.forEach(Array.from({ length: 50 }), () => sourceFor("127.0.0.3")))
        // An answer is kept for a second, and a machine may sleep that long.
        expect(opened.length - 1).toBeLessThanOrEqual(Math.ceil(Duration.toSeconds(took)) - 1)
        yield* sourceFor("127.0.0.4")
        unsubscribe("udp.socket", count)
      })
  )

  scenario("goes on for the others when one of those who asked leaves", () =>
    Effect.gen(function*() {
      const leaving = yield* Effect.fork(sourceFor("127.0.0.5"))
      const staying = yield* Effect.fork(sourceFor("127.0.0.5"))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(leaving)
      expect(yield* Fiber.join(staying)).toEqual(Option.some("127.0.0.1"))
    }))

  scenario("leaves no socket, however often it is asked, and interrupted too", () =>
    Effect.gen(function*() {
      const before = descriptors()
      yield* Effect.forEach(Array.from({ length: 50 }), () => sourceFor("127.0.0.1"), { concurrency: "unbounded" })
      const fiber = yield* Effect.fork(sourceFor("127.0.0.1"))
      yield* Fiber.interrupt(fiber)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      expect(descriptors()).toBeLessThanOrEqual(before)
    }))
})
