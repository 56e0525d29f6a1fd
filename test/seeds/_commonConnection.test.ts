/**
 * _commonConnection: "Subclasses must provide this attribute, which indicates the Connection-alike class to invoke
 * __init__ and connectionLost on." Here the Transport in force makes the handle, and Connection is one program over any.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import * as Connection from "../../src/Connection.js"
import * as Dialer from "../../src/Dialer.js"
import * as Resolver from "../../src/Resolver.js"
import * as FakeTransport from "../support/FakeTransport.js"
import * as Loopback from "../support/loopback.js"
import { onLoopback } from "./onLoopback.js"

describe("_commonConnection", () => {
  it.effect("the transport in force makes the socket", () =>
    Effect.gen(function*() {
      const { layer, sockets } = FakeTransport.make({ "192.0.2.1:80": { outcome: "connected" } })
      const connection = yield* Dialer.dial("192.0.2.1:80").pipe(
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(layer, Resolver.layerStatic({}))),
        Effect.zipLeft(TestClock.adjust("1 second"))
      )
      expect(Connection.isConnection(connection)).toBe(true)
      expect(sockets.length).toBe(1)
      yield* sockets[0]?.lose("Reset") ?? Effect.void
      expect((yield* connection.lost).reason).toBe("Reset")
    }).pipe(Effect.scoped))

  onLoopback("Node's transport makes a socket of Node, behind the same Connection", () =>
    Effect.gen(function*() {
      const { accept, address } = yield* Loopback.listen()
      const connection = yield* Dialer.dial(String(address))
      expect(Connection.isConnection(connection)).toBe(true)
      yield* (yield* accept).reset
      yield* Effect.flip(connection.read)
      expect((yield* connection.lost).reason).toBe("Reset")
    }))
})
