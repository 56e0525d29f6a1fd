/**
 * reactor: the IReactorTime, IReactorCore and IReactorFDSet that a client is given. Here time is Effect's Clock, names
 * and sockets are the two ports in the environment, and each can be replaced alone.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import * as Dialer from "../../src/Dialer.js"
import * as NodeTransport from "../../src/node/NodeTransport.js"
import * as Resolver from "../../src/Resolver.js"
import { ip } from "../support/addresses.js"
import * as FakeTransport from "../support/FakeTransport.js"
import * as Loopback from "../support/loopback.js"
import { onLoopback } from "./onLoopback.js"

describe("reactor", () => {
  it.effect("its time is the Clock: under a test clock a dial of 30 seconds takes none", () =>
    Effect.gen(function*() {
      const { layer, open } = FakeTransport.make({ "192.0.2.1:80": { outcome: "never" } })
      const dialing = yield* Effect.scoped(Dialer.dial("192.0.2.1:80")).pipe(
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(layer, Resolver.layerStatic({}))),
        Effect.flip,
        Effect.fork
      )
      yield* TestClock.adjust("29999 millis")
      expect(open()).toBe(1)
      yield* TestClock.adjust("1 millis")
      expect((yield* Fiber.join(dialing))._tag).toBe("DialTimeout")
      expect(open()).toBe(0)
    }))

  onLoopback("its resolver can be replaced while its sockets stay real", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen()
      const connection = yield* Dialer.dial(`db.internal:${Loopback.portNumber(address)}`).pipe(
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(NodeTransport.layer, Resolver.layerStatic({ "db.internal": [ip("127.0.0.1")] })))
      )
      expect(connection.remoteAddress).toEqual(address)
    }))
})
