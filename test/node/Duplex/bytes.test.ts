/**
 * The bytes of a stream: none lost, none kept without bound, none taken for whole that were cut off.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Scheduler, type Scope } from "effect"
import { createHash, randomBytes } from "node:crypto"
import type * as net from "node:net"
import { pipeline } from "node:stream/promises"
import * as tls from "node:tls"
import type * as Dialer from "../../../src/Dialer.js"
import * as Endpoint from "../../../src/Endpoint.js"
import * as Duplex from "../../../src/node/Duplex.js"
import * as NodeNetwork from "../../../src/node/NodeNetwork.js"
import { certificates } from "../../support/certificates.js"
import * as Loopback from "../../support/loopback.js"
import * as Sockets from "../../support/sockets.js"

const MiB = 1024 * 1024

const kinds: ReadonlyArray<readonly [kind: string, make: Effect.Effect<Sockets.Make, never, Scope.Scope>]> = [
  ["a socket of Node", Sockets.ofNodeTransport],
  ["any connection", Sockets.ofAnyConnection]
]

const scenario = (name: string, self: () => Effect.Effect<void, never, Scope.Scope>, limitMillis?: number) =>
  it.live(name, () => Loopback.leavesNoSocket(Effect.scoped(self())), limitMillis)

/** A stream that is connected, and its peer. */
const pair = (make: Sockets.Make, at?: Loopback.At, options?: Sockets.Options) =>
  Effect.gen(function*() {
    const listener = yield* Loopback.listen(at)
    const socket = make(listener.address, options)
    yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
    const connected = watch(socket, "ready")
    socket.connect(1)
    const peer = yield* listener.accept
    yield* connected
    return { socket, peer, listener }
  })

/** From now on: whether the event came, to be waited for. */
const watch = (socket: net.Socket, event: string): Effect.Effect<void> => {
  const told = { times: 0 }
  socket.on(event, () => {
    told.times += 1
  })
  return Loopback.until(event, () => told.times > 0)
}

/** How the reading of a stream ended: what came, and after it the end or an error. */
const readToEnd = (socket: net.Socket) => {
  const seen = { text: "", end: "" }
  socket.on("data", (bytes) => {
    seen.text += bytes
  })
  socket.on("end", () => {
    seen.end ||= "end"
  })
  socket.on("error", (error: NodeJS.ErrnoException) => {
    seen.end ||= String(error.code)
  })
  return Effect.as(Loopback.until("an end", () => seen.end !== ""), seen)
}

describe.each(kinds)("over %s", (kind, making) => {
  scenario("a body that a reset cut off does not look whole", () =>
    Effect.gen(function*() {
      const make = yield* making
      for (const endFirst of [false, true]) {
        for (const at of [{ host: "127.0.0.1" }, { path: Loopback.abstractName() }]) {
          const { peer, socket } = yield* pair(make, at, { allowHalfOpen: true })
          const reading = readToEnd(socket)
          if (endFirst) {
            const finished = watch(socket, "finish")
            socket.end("unread")
            yield* finished
          } else {
            socket.write("unread")
          }
          yield* Loopback.turns(20)
          // In one step, so that the bytes and the reset are there together when the loop looks.
          peer.socket.write("half of it")
          if ("host" in at) peer.socket.resetAndDestroy()
          else peer.socket.destroy()
          expect(yield* reading).toEqual({ text: "half of it", end: "ECONNRESET" })
        }
      }
    }))

  scenario("bytes and the end behind them are handled, however close they come", () =>
    Effect.gen(function*() {
      const make = yield* making
      for (const allowHalfOpen of [false, true]) {
        for (const endFirst of [false, true]) {
          const { peer, socket } = yield* pair(make, undefined, { allowHalfOpen })
          const reading = readToEnd(socket)
          if (endFirst) socket.end()
          yield* Loopback.turns(20)
          peer.socket.end("all of it")
          expect(yield* reading).toEqual({ text: "all of it", end: "end" })
          const closed = watch(socket, "close")
          socket.end()
          yield* closed
        }
      }
    }))

  scenario("every byte comes through, both ways, in whatever pieces", () =>
    Effect.gen(function*() {
      const make = yield* making
      const listener = yield* Loopback.echo()
      const socket = make(listener.address)
      const sent = createHash("sha256")
      const received = createHash("sha256")
      const pieces = Array.from({ length: 400 }, (_, n) => randomBytes((n * 7919) % 100_000))
      for (const piece of pieces) sent.update(piece)
      yield* Effect.promise(() =>
        pipeline(pieces, socket, async (chunks: AsyncIterable<Buffer>) => {
          for await (const chunk of chunks) received.update(chunk)
        })
      )
      expect(received.digest("hex")).toBe(sent.digest("hex"))
      expect(socket.bytesRead).toBe(pieces.reduce((sum, { length }) => sum + length, 0))
      expect(socket.bytesWritten).toBe(socket.bytesRead)
    }), 30_000)

  scenario("a reader that does not read slows its peer", () =>
    Effect.gen(function*() {
      const make = yield* making
      const source = yield* Loopback.source(64 * MiB)
      const socket = make(source.address).connect(1)
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
      const taken = yield* Loopback.stalled("what the peer could send", source.taken)
      expect(taken).toBeLessThan(32 * MiB)
      // All that is not in the kernel.
      expect(socket.readableLength).toBeLessThanOrEqual(2 * 65_536)
      const ended = watch(socket, "end")
      socket.resume()
      yield* ended
      expect(socket.bytesRead).toBe(64 * MiB)
    }), 30_000)

  scenario("a peer that does not read slows the writer", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* pair(yield* making)
      const chunk = Buffer.alloc(65_536)
      const written = { bytes: 0 }
      const drained = { times: 0 }
      const writeOn = () => {
        while (written.bytes < 32 * MiB) {
          written.bytes += chunk.length
          if (!socket.write(chunk)) return
        }
        socket.end()
      }
      socket.on("drain", () => {
        drained.times += 1
        writeOn()
      })
      writeOn()
      const stalledAt = yield* Loopback.stalled("the writer", () => written.bytes)
      expect(stalledAt).toBeLessThan(32 * MiB)
      expect(socket.writableLength).toBeLessThanOrEqual(2 * chunk.length)
      expect((yield* peer.readToEnd).length).toBe(32 * MiB)
      expect(drained.times).toBeGreaterThan(0)
    }), 30_000)

  scenario("a destroy with bytes unsent is a reset for the peer, and fails their write", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* pair(yield* making)
      const outcomes: Array<unknown> = []
      socket.write(Buffer.alloc(16 * MiB), (error) => outcomes.push(error))
      socket.write("queued", (error) => outcomes.push(error))
      yield* peer.read(1)
      socket.destroy()
      yield* Loopback.until("both writes to fail", () => outcomes.length === 2)
      expect(outcomes).toEqual([expect.any(Error), expect.any(Error)])
      expect(yield* peer.closed).toBe("ECONNRESET")
    }))

  scenario("a client may speak TLS over it, from the start or from the middle", () =>
    Effect.gen(function*() {
      const { certificate, key } = certificates.good
      const { peer, socket } = yield* pair(yield* making)
      yield* peer.write("S")
      yield* Effect.promise(() => new Promise((resolve) => socket.once("data", resolve)))
      socket.removeAllListeners("data")
      const far = new tls.TLSSocket(peer.socket, { isServer: true, cert: certificate, key })
      far.on("data", (bytes) => far.end(`echo ${bytes}`))
      const near = tls.connect({ socket, servername: "db.test", ca: certificates.root.certificate })
      const reading = readToEnd(near)
      near.write("secret")
      expect(yield* reading).toEqual({ text: "echo secret", end: "end" })
      expect(near.authorized).toBe(true)
      const closed = watch(socket, "close")
      near.destroy()
      far.destroy()
      yield* closed
    }))

  if (kind !== "a socket of Node") return

  scenario(
    "what was asked of the socket before the connect is asked of it then, and later at once",
    () =>
      Effect.gen(function*() {
        const make = yield* making
        const listener = yield* Loopback.listen()
        const socket = make(listener.address).setKeepAlive(true, 60_000).unref()
        const port = Loopback.portNumber(listener.address)
        const connected = watch(socket, "ready")
        socket.connect(1)
        yield* listener.accept
        yield* connected
        const timer = () =>
          Loopback.tcpRows(port).filter(({ localPort }) => localPort === socket.localPort).map((row) => row.timer)
        expect(timer()).toEqual(["keepalive"])
        const refs = () => process.getActiveResourcesInfo().filter((what) => what === "TCPSocketWrap").length
        const before = refs()
        socket.ref()
        expect(refs()).toBe(before + 1)
        socket.unref()
        expect(refs()).toBe(before)
        socket.setKeepAlive(false)
        expect(timer()).toEqual(["none"])
        socket.destroy()
      })
  )

  scenario("no Effect runs for a chunk", () =>
    Effect.gen(function*() {
      const steps = { taken: 0 }
      const counting: Scheduler.Scheduler = {
        shouldYield: (fiber) => {
          steps.taken += 1
          return Scheduler.defaultScheduler.shouldYield(fiber)
        },
        scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority)
      }
      const { address } = yield* Loopback.echo()
      const runtime = yield* Effect.withScheduler(Effect.runtime<Dialer.Dialer>(), counting).pipe(
        Effect.provide(NodeNetwork.layer)
      )
      const socket = yield* Effect.promise(() => Duplex.connect(runtime, Endpoint.fromSocketAddress(address)))
      expect(steps.taken).toBeGreaterThan(0)
      steps.taken = 0
      const trips = { done: 0 }
      socket.on("data", () => {
        trips.done += 1
        if (trips.done < 100) socket.write(`${trips.done}`)
      })
      socket.write("0")
      yield* Loopback.until("all round trips", () => trips.done === 100)
      expect(steps.taken).toBe(0)
      socket.destroy()
    }))
})
