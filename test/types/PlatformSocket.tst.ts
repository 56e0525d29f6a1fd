import type * as Socket from "@effect/platform/Socket"
import { Context, Effect, type Layer, type Scope } from "effect"
import { expect, test } from "tstyche"
import type { Connection } from "../../src/Connection.js"
import type { Dialer } from "../../src/Dialer.js"
import type { InvalidEndpoint } from "../../src/DialError.js"
import * as PlatformSocket from "../../src/platform/PlatformSocket.js"

class Cache extends Context.Tag("test/Cache")<Cache, string>() {}

declare const open: Effect.Effect<Connection, string, Cache | Scope.Scope>

test("a socket needs a Dialer to be made, and fails for text that is no endpoint", () => {
  expect(PlatformSocket.make("db.test:1")).type.toBe<Effect.Effect<Socket.Socket, InvalidEndpoint, Dialer>>()
  expect(PlatformSocket.layer("db.test:1")).type.toBe<Layer.Layer<Socket.Socket, InvalidEndpoint, Dialer>>()
})

test("a socket over another program needs what that needs, but no Scope", () => {
  expect(PlatformSocket.fromConnection(open)).type.toBe<Effect.Effect<Socket.Socket, never, Cache>>()
})

test("a run fails as its handler does, or with a SocketError, and needs what its handler needs", () => {
  const run = Effect.flatMap(
    PlatformSocket.make("db.test:1"),
    (socket) => socket.run(() => Effect.flatMap(Cache, () => Effect.fail("full")))
  )
  expect(run).type.toBe<Effect.Effect<void, InvalidEndpoint | Socket.SocketError | string, Dialer | Cache>>()
})
