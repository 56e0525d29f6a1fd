/** _setRealAddress: "Set the resolved address of this _BaseBaseClient and initiate the connection attempt." */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import * as Dialer from "../../src/Dialer.js"
import * as Resolver from "../../src/Resolver.js"
import * as FakeTransport from "../support/FakeTransport.js"

const dial = (endpoint: string, address: string) =>
  Effect.gen(function*() {
    const transport = FakeTransport.make({ [address]: { outcome: "connected" } })
    const connection = yield* Dialer.dial(endpoint).pipe(
      Effect.scoped,
      Effect.provide(Dialer.layer),
      Effect.provide(Layer.merge(transport.layer, Resolver.layerStatic({}))),
      Effect.zipLeft(TestClock.adjust("1 second"))
    )
    return { connection, asked: transport.sockets[0]?.request.address }
  })

describe("_setRealAddress", () => {
  it.effect("every transport is asked for an address whose scope id is that of its numeric zone", () =>
    Effect.gen(function*() {
      const { asked, connection } = yield* dial("[fe80::1%2]:80", "[fe80::1%2]:80")
      expect(asked).toMatchObject({ _tag: "Inet6", scopeId: 2, port: 80 })
      expect(connection.remoteAddress).toMatchObject({ scopeId: 2 })
    }))

  it.effect("a zone that means nothing to an address is not handed on", () =>
    Effect.gen(function*() {
      const { asked } = yield* dial("[fe80::1%0]:80", "[fe80::1]:80")
      expect(asked).toMatchObject({ scopeId: 0, ip: { zone: undefined } })
    }))

  it.effect("the attempt begins as the address is known", () =>
    Effect.gen(function*() {
      const { connection } = yield* dial("192.0.2.1:80", "192.0.2.1:80")
      expect(String(connection.remoteAddress)).toBe("192.0.2.1:80")
    }))
})
