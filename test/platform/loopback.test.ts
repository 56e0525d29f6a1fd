/**
 * The same socket on this machine's kernel, and beside it the platform's own: where the two differ is why this one is.
 */
import { NodeSocket } from "@effect/platform-node"
import * as Socket from "@effect/platform/Socket"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import type { SocketAddress } from "../../src/Address.js"
import type { Dialer } from "../../src/Dialer.js"
import { fromSocketAddress } from "../../src/Endpoint.js"
import * as NodeNetwork from "../../src/node/NodeNetwork.js"
import * as PlatformSocket from "../../src/platform/PlatformSocket.js"
import * as Loopback from "../support/loopback.js"

type Make = (address: SocketAddress) => Effect.Effect<Socket.Socket, unknown, Dialer>

const ours: Make = (address) => PlatformSocket.make(fromSocketAddress(address))

const theirs: Make = (address) => NodeSocket.makeNet({ host: "127.0.0.1", port: Loopback.portNumber(address) })

const live = <E>(name: string, test: () => Effect.Effect<unknown, E, Scope.Scope | Dialer>, timeout?: number): void =>
  it.live(name, () =>
    Loopback.leavesNoSocket(Effect.scoped(Effect.suspend(test))).pipe(
      Effect.provide(NodeNetwork.layer)
    ), timeout)

const ignore = (): void => {}

describe("a run that is interrupted while it connects", () => {
  /** How many of its SYNs were still unanswered, before and after. */
  const pending = (make: Make) =>
    Effect.gen(function*() {
      const address = yield* Loopback.silent()
      const synSent = () =>
        Loopback.tcpRows(Loopback.portNumber(address)).filter(({ state }) => state === "SYN_SENT").length
      const socket = yield* make(address)
      const run = yield* Effect.fork(socket.run(ignore))
      yield* Loopback.until("a SYN that nobody answers", () => synSent() > 0)
      const before = synSent()
      yield* Fiber.interrupt(run)
      yield* Loopback.turns(10)
      return [before, synSent()]
    })

  live("leaves nothing in SYN_SENT", () =>
    Effect.gen(function*() {
      expect(yield* pending(ours)).toEqual([1, 0])
    }))

  // Its `destroySoon` waits for the connect. The listener that goes refuses it in the end.
  live("leaves its SYN_SENT when it is NodeSocket's", () =>
    Effect.gen(function*() {
      expect(yield* pending(theirs)).toEqual([1, 1])
    }))
})

describe("a handler that does not come to its end", () => {
  const size = 64 * 1024 * 1024

  const flooded = (make: Make, taken: (taken: () => number) => Effect.Effect<number>) =>
    Effect.gen(function*() {
      const source = yield* Loopback.source(size)
      const socket = yield* make(source.address)
      const run = yield* Effect.fork(Effect.exit(socket.run(() => Effect.never)))
      const left = yield* taken(source.taken)
      yield* Fiber.interrupt(run)
      return left
    })

  live("holds the peer back: what has left it is what the kernel holds", () =>
    Effect.gen(function*() {
      const left = yield* flooded(ours, (taken) => Loopback.stalled("what the peer sends", taken))
      expect(left).toBeLessThan(size / 4)
    }), 20_000)

  live("holds nothing back when it is NodeSocket's: everything has left the peer", () =>
    Effect.gen(function*() {
      const left = yield* flooded(theirs, (taken) =>
        Effect.as(Loopback.until("all to be sent", () => taken() >= size), size))
      expect(left).toBe(size)
    }), 20_000)
})

describe("bytes with the end right behind them", () => {
  const handled = (make: Make) =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.halfCloser("last words")
      const socket = yield* make(address)
      const heard: Array<string> = []
      yield* socket.run((bytes) =>
        Effect.zipRight(Loopback.turns(100), Effect.sync(() => heard.push(Loopback.text(bytes))))
      )
      return heard
    })

  live("are handled before the run ends", () =>
    Effect.gen(function*() {
      expect(yield* handled(ours)).toEqual(["last words"])
    }))

  // Its run ends with the peer's end and interrupts the handlers.
  live("are not, when it is NodeSocket's and the handler takes a while", () =>
    Effect.gen(function*() {
      expect(yield* handled(theirs)).toEqual([])
    }))
})

describe("on the kernel's sockets", () => {
  live("a run says what is said over TCP, again and again", () =>
    Effect.gen(function*() {
      const { accepted, address } = yield* Loopback.echo()
      const socket = yield* ours(address)
      const heard: Array<string> = []
      for (const said of ["one", "two"]) {
        yield* Effect.fork(Effect.scoped(Effect.flatMap(socket.writer, (write) => write(said))))
        yield* socket.run((bytes) => {
          heard.push(Loopback.text(bytes))
        })
      }
      expect(heard).toEqual(["one", "two"])
      expect(accepted()).toBe(2)
    }))

  live("a run says what is said over a UNIX socket", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.halfCloser("hello", { path: Loopback.abstractName() })
      const socket = yield* ours(address)
      const heard: Array<string> = []
      yield* socket.run((bytes) => {
        heard.push(Loopback.text(bytes))
      })
      expect(heard).toEqual(["hello"])
    }))

  live("a reset after this side closed is nobody's uncaught exception", () =>
    Effect.gen(function*() {
      const uncaught: Array<unknown> = []
      const listener = (error: unknown) => uncaught.push(error)
      yield* Effect.acquireRelease(
        Effect.sync(() => process.on("uncaughtExceptionMonitor", listener)),
        () => Effect.sync(() => process.off("uncaughtExceptionMonitor", listener))
      )
      const listening = yield* Loopback.listen()
      const socket = yield* ours(listening.address)
      const write = yield* socket.writer
      const run = yield* Effect.fork(Effect.exit(socket.run(ignore)))
      const peer = yield* listening.accept
      // More than the kernel takes: the close still flushes when the reset comes.
      const writing = yield* Effect.fork(Effect.exit(write(new Uint8Array(16 * 1024 * 1024))))
      yield* Loopback.turns(5)
      yield* write(new Socket.CloseEvent())
      yield* Loopback.turns(5)
      yield* peer.reset
      yield* Fiber.join(run)
      yield* Fiber.join(writing)
      yield* Loopback.turns(20)
      expect(uncaught).toEqual([])
    }))

  live("a refusal is Open, and its cause says who refused", () =>
    Effect.gen(function*() {
      const address = yield* Loopback.refusing()
      const socket = yield* ours(address)
      const error = yield* Effect.flip(socket.run(ignore))
      expect(error.reason).toBe("Open")
      expect(String(error.cause)).toContain(`${address} connection refused (ECONNREFUSED)`)
    }))
})
