import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, type Scope } from "effect"
import * as Dgram from "node:dgram"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import type * as Address from "../../src/Address.js"
import * as Attempt from "../../src/Attempt.js"
import { NodeTransport } from "../../src/node/index.js"
import type { Transport } from "../../src/Transport.js"
import { at } from "../support/addresses.js"
import * as Loopback from "../support/loopback.js"

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
  it.live(title, () => Loopback.leavesNoSocket(Effect.scoped(Effect.provide(self(), NodeTransport.layer))))

/** What the longest packet of each family carries; one to a mapped address is an IPv4 one. */
const longestOf = [["127.0.0.1", 65_507], ["::ffff:127.0.0.1", 65_507], ["::1", 65_527]] as const

const strangerWorker = `
const { parentPort, workerData: { gate } } = require("node:worker_threads")
const state = new Int32Array(gate)
const socket = require("node:dgram").createSocket("udp4")
parentPort.postMessage("ready")
Atomics.wait(state, 0, 0)
socket.send("evil", state[0], "127.0.0.1", () => {
  Atomics.store(state, 1, 1)
  Atomics.notify(state, 1)
  socket.close()
})
`

/** Writes to a port of this machine from a thread of its own, and blocks this one until it has. */
const writer: Effect.Effect<(port: number) => void, never, Scope.Scope> = Effect.gen(function*() {
  const gate = new SharedArrayBuffer(8)
  const state = new Int32Array(gate)
  const write = (port: number) => {
    Atomics.store(state, 0, port)
    Atomics.notify(state, 0)
    Atomics.wait(state, 1, 0, 5000)
  }
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => new Worker(strangerWorker, { eval: true, workerData: { gate } })),
    (worker) => Effect.promise(() => worker.terminate())
  )
  yield* Effect.promise(() => once(worker, "message"))
  return write
})

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
      expect(lost).toMatchObject({ _tag: "ConnectionLost", reason: "Refused", code: "ECONNREFUSED" })
      expect(lost.message).toBe(`connection to ${address} lost: nobody listens there (ECONNREFUSED)`)
      expect(lost.cause).toMatchObject({ code: "ECONNREFUSED" })
    }))

  for (const [host, longest] of longestOf) {
    scenario(
      `to ${host} sends up to ${longest} bytes, fails the write of more, and goes on`,
      () =>
        Effect.gen(function*() {
          const listener = yield* peer(host.startsWith("::ffff:") ? "127.0.0.1" : host)
          const address = Loopback.inet(host, Loopback.portNumber(listener.address))
          const connection = yield* connect(address)
          const error = yield* Effect.flip(connection.write(new Uint8Array(longest + 1)))
          expect(error).toMatchObject({ _tag: "ConnectionLost", reason: "TooLong", code: "EMSGSIZE" })
          expect(error.message).toBe(
            `write to ${address}: the datagram is longer than the network carries (EMSGSIZE)`
          )
          yield* connection.write(new Uint8Array(longest).fill(1))
          const answer = Option.getOrThrow(yield* connection.read)
          expect([answer.length, answer.every((byte) => byte === 1)]).toEqual([longest, true])
          yield* connection.write("short")
          expect(text(yield* connection.read)).toBe("short")
        })
    )
  }

  scenario("keeps no more of a flood of empty datagrams than the kernel would", () =>
    Effect.gen(function*() {
      const { address, socket } = yield* peer()
      const connection = yield* connect(address)
      const { localAddress } = connection
      const sent = 5000
      yield* Effect.promise(async () => {
        for (let n = 0; n < sent; n++) {
          await new Promise((resolve) => socket.send("", Loopback.portNumber(localAddress), "127.0.0.1", resolve))
        }
      })
      yield* Loopback.turns(50)
      // One is read: there is room for the answer that ends the count.
      yield* connection.read
      const kept = { count: 1 }
      yield* connection.write("the last")
      yield* Effect.repeat(connection.read, {
        until: (bytes) => Option.getOrThrow(bytes).length > 0 || ++kept.count > sent
      })
      expect(kept.count).toBeGreaterThan(100)
      expect(kept.count).toBeLessThan(300)
    }))

  scenario("bound to its own peer's address is refused, not connected to itself", () =>
    Effect.gen(function*() {
      const address = yield* Effect.scoped(Effect.map(peer(), ({ address }) => address))
      const error = yield* Effect.flip(connect(address, address))
      expect(error).toMatchObject({ operation: "connect", reason: "Refused", code: undefined })
    }))

  scenario("has taken nothing from a stranger who wrote before it was connected", () =>
    Effect.gen(function*() {
      const { address } = yield* peer()
      const stranger = yield* writer
      // Bound, and not yet connected: whoever writes now is heard by the kernel.
      const { connect: original } = Dgram.Socket.prototype
      const here = yield* Effect.acquireUseRelease(
        Effect.sync(() => {
          Dgram.Socket.prototype.connect = function(this: Dgram.Socket, ...rest: ReadonlyArray<unknown>) {
            stranger(this.address().port)
            return Reflect.apply(original, this, rest)
          }
        }),
        () => connect(address, at("127.0.0.1:0")),
        () =>
          Effect.sync(() => {
            Dgram.Socket.prototype.connect = original
          })
      )
      yield* here.write("good")
      expect(text(yield* here.read)).toBe("good")
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
