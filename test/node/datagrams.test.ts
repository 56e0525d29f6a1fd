import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, type Scope } from "effect"
import * as Dgram from "node:dgram"
import { once } from "node:events"
import type * as Address from "../../src/Address.js"
import * as Attempt from "../../src/Attempt.js"
import { NodeTransport } from "../../src/node/index.js"
import type { Transport } from "../../src/Transport.js"
import { at } from "../support/addresses.js"

/** A UDP socket that sends back what it gets, and can send by itself. */
const peer = (host = "127.0.0.1"): Effect.Effect<
  { readonly address: Address.SocketAddress; readonly socket: Dgram.Socket },
  never,
  Scope.Scope
> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = Dgram.createSocket(host.includes(":") ? "udp6" : "udp4")
      socket.on("message", (bytes, from) => socket.send(bytes, from.port, from.address))
      socket.bind(0, host)
      await once(socket, "listening")
      return {
        socket,
        address: at(host.includes(":") ? `[${host}]:${socket.address().port}` : `${host}:${socket.address().port}`)
      }
    }),
    ({ socket }) => Effect.promise(() => new Promise((resolve) => socket.close(() => resolve(undefined))))
  )

const connect = (address: Address.SocketAddress, localAddress?: Address.SocketAddress) =>
  Attempt.connect({ socketType: "dgram", address, localAddress, options: {} })

const scenario = (title: string, self: () => Effect.Effect<void, unknown, Transport | Scope.Scope>) =>
  it.live(title, () => Effect.scoped(Effect.provide(self(), NodeTransport.layer)))

const text = (bytes: Option.Option<Uint8Array>) =>
  Option.match(bytes, {
    onNone: () => "the end",
    onSome: (bytes) => new TextDecoder().decode(bytes)
  })

describe("a UDP socket", () => {
  for (const host of ["127.0.0.1", "::1"]) {
    scenario(
      `over ${host} keeps the boundaries of what is sent, an empty datagram's too`,
      () =>
        Effect.gen(function*() {
          const { address } = yield* peer(host)
          const connection = yield* connect(address)
          expect(connection.socketType).toBe("dgram")
          expect(connection.remoteAddress).toEqual(address)
          expect(connection.localAddress.family).toBe(address.family)
          for (const sent of ["one", "", "three"]) {
            yield* connection.write(sent)
            expect(text(yield* connection.read)).toBe(sent)
          }
        })
    )
  }

  scenario("can be bound to a local address and port", () =>
    Effect.gen(function*() {
      const { address } = yield* peer()
      const first = yield* connect(address, at("127.0.0.2:0"))
      expect(String(first.localAddress)).toMatch(/^127\.0\.0\.2:\d+$/)
      const taken = yield* Effect.flip(connect(address, first.localAddress))
      expect(taken).toMatchObject({ operation: "bind", reason: "AddressInUse" })
    }))

  scenario("hears only its peer", () =>
    Effect.gen(function*() {
      const { address } = yield* peer()
      const stranger = yield* peer()
      const connection = yield* connect(address)
      const { localAddress } = connection
      if (localAddress._tag === "Unix") return expect.unreachable()
      yield* Effect.promise(() =>
        new Promise((resolve) => stranger.socket.send("evil", localAddress.port, "127.0.0.1", resolve))
      )
      yield* connection.write("good")
      expect(text(yield* connection.read)).toBe("good")
    }))

  scenario("refused by ICMP is lost, by a typed reason, at the next operation", () =>
    Effect.gen(function*() {
      const address = yield* Effect.scoped(Effect.map(peer(), ({ address }) => address))
      const connection = yield* connect(address)
      yield* connection.write("anybody there?")
      const lost = yield* Effect.flip(connection.read)
      expect(lost).toMatchObject({ _tag: "ConnectionLost", code: "ECONNREFUSED" })
    }))

  scenario("fails the write of a datagram that is too long, and goes on", () =>
    Effect.gen(function*() {
      const { address } = yield* peer()
      const connection = yield* connect(address)
      expect(yield* Effect.flip(connection.write(new Uint8Array(70_000)))).toMatchObject({ code: "EMSGSIZE" })
      yield* connection.write("short")
      expect(text(yield* connection.read)).toBe("short")
    }))

  scenario("loses nothing to an interrupted read", () =>
    Effect.gen(function*() {
      const { address } = yield* peer()
      const connection = yield* connect(address)
      yield* Fiber.interrupt(yield* Effect.fork(connection.read))
      yield* connection.write("still here")
      expect(text(yield* connection.read)).toBe("still here")
    }))

  scenario("is closed by its Scope, and what waits is told", () =>
    Effect.gen(function*() {
      const { address } = yield* peer()
      const reading = yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* connect(address)
        return yield* Effect.forkDaemon(Effect.flip(connection.read))
      }))
      expect(yield* Fiber.join(reading)).toMatchObject({ _tag: "ConnectionLost" })
    }))
})
