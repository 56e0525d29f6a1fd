/**
 * failIfNotConnected(err): "Generic method called when the attempts to connect failed. It basically cleans everything
 * it can: call connectionFailed, stop read and write, delete socket related members." Once, and for the first cause.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import * as Attempt from "../../src/Attempt.js"
import * as SocketOptions from "../../src/SocketOptions.js"
import { at } from "../support/addresses.js"
import * as FakeTransport from "../support/FakeTransport.js"
import * as Loopback from "../support/loopback.js"
import { attempt, onLoopback } from "./onLoopback.js"

const address = "192.0.2.1:80"

describe("failIfNotConnected", () => {
  for (const [first, delay, timeout] of [["Refused", 10, 20], ["AttemptTimeout", 20, 10]] as const) {
    it.effect(`${first} first: that is told, after stop, close and release in this order, once`, () =>
      Effect.gen(function*() {
        const transport = FakeTransport.make({ [address]: { delay, outcome: "Refused" } })
        const failing = yield* Attempt.connect(
          { socketType: "stream", address: at(address), options: SocketOptions.defaults },
          { timeout }
        ).pipe(
          Effect.scoped,
          Effect.flip,
          Effect.map(({ reason }) => [...transport.log.map(({ operation }) => operation), `told ${reason}`]),
          Effect.provide(transport.layer),
          Effect.fork
        )
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(failing)).toEqual([
          "open",
          "connect",
          "stopReadingAndWriting",
          "close orderly",
          "release",
          `told ${first}`
        ])
        expect(transport.log.map(({ at }) => at)).toEqual([0, 0, 10, 10, 10])
      }))
  }

  onLoopback("a refused connect is Refused, with the errno kept", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(attempt(yield* Loopback.refusing()))
      expect(error).toMatchObject({ operation: "connect", reason: "Refused", code: "ECONNREFUSED" })
    }))
})
