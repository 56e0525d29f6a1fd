/**
 * The bytes of a Duplex over TLS: none lost, none kept without bound, none taken for whole that were cut off.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Scheduler, type Scope } from "effect"
import { fork } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { pipeline } from "node:stream/promises"
import type { TLSSocket } from "node:tls"
import * as Attempt from "../../../src/Attempt.js"
import { ConnectionLost } from "../../../src/DialError.js"
import * as Duplex from "../../../src/node/Duplex.js"
import * as NodeTls from "../../../src/node/NodeTls.js"
import * as NodeTransport from "../../../src/node/NodeTransport.js"
import * as SocketOptions from "../../../src/SocketOptions.js"
import * as Tls from "../../../src/Tls.js"
import type { Transport } from "../../../src/Transport.js"
import { certificates } from "../../support/certificates.js"
import * as Loopback from "../../support/loopback.js"
import * as Servers from "../../support/tls.js"

const platform = Layer.merge(NodeTransport.layer, NodeTls.layer)

const scenario = (name: string, self: () => Effect.Effect<void, unknown, Scope.Scope | Tls.Tls | Transport>) =>
  it.live(name, () => Loopback.leavesNoSocket(Effect.scoped(Effect.provide(self(), platform))), 30_000)

/** A connection over TLS to a server that does this with it. */
const secured = (conversation: (far: TLSSocket) => void) =>
  Effect.gen(function*() {
    const server = yield* Servers.serve({}, conversation)
    const connection = yield* Attempt.connect({
      socketType: "stream",
      address: server.address,
      options: SocketOptions.defaults
    })
    const roots = certificates.root.certificate
    return { server, connection: yield* Tls.upgrade(connection, { roots, serverName: "db.test" }) }
  })

const streamOver = (conversation: (far: TLSSocket) => void) =>
  Effect.gen(function*() {
    const { connection, server } = yield* secured(conversation)
    return { server, socket: yield* Duplex.fromConnection(connection) }
  })

const MiB = 1024 * 1024

describe("a stream over TLS", () => {
  scenario("brings every byte through, both ways, in whatever pieces", () =>
    Effect.gen(function*() {
      const { socket } = yield* streamOver(Servers.echo)
      const pieces = Array.from({ length: 300 }, (_, n) => randomBytes((n * 7919) % 60_000))
      const echoed: Array<Buffer> = []
      yield* Effect.promise(() =>
        pipeline(pieces, socket, async (chunks: AsyncIterable<Buffer>) => {
          for await (const chunk of chunks) echoed.push(chunk)
        })
      )
      expect(Buffer.concat(echoed).equals(Buffer.concat(pieces))).toBe(true)
      expect([socket.bytesRead, socket.bytesWritten]).toEqual([Buffer.concat(pieces).length, socket.bytesRead])
    }))

  scenario(
    "that has all been received before anybody reads still comes whole, and then ends",
    () =>
      Effect.gen(function*() {
        const bytes = randomBytes(48_000)
        const { server, socket } = yield* streamOver((far) => far.end(bytes))
        yield* Loopback.stalled("what comes of the wire", () => server.accepted[0]?.bytesWritten ?? 0)
        const seen: Array<Buffer> = []
        const ended = { after: -1 }
        socket.on("data", (chunk) => seen.push(chunk))
        socket.on("end", () => {
          ended.after = Buffer.concat(seen).length
        })
        yield* Loopback.until("the end", () => ended.after >= 0)
        expect(ended.after).toBe(bytes.length)
        expect(Buffer.concat(seen).equals(bytes)).toBe(true)
      })
  )

  scenario("slows a peer whose bytes nobody reads", () =>
    Effect.gen(function*() {
      const chunk = Buffer.alloc(65_536)
      const sent = { bytes: 0 }
      const { socket } = yield* streamOver((far) => {
        const send = (): void => {
          if (sent.bytes >= 64 * MiB) return void far.end()
          far.write(chunk, (error) => {
            if (error) return
            sent.bytes += chunk.length
            send()
          })
        }
        send()
      })
      expect(yield* Loopback.stalled("what the peer could send", () => sent.bytes)).toBeLessThan(32 * MiB)
      expect(socket.readableLength).toBeLessThanOrEqual(2 * chunk.length)
      const ended = { told: false }
      socket.on("end", () => {
        ended.told = true
      })
      socket.resume()
      yield* Loopback.until("the end", () => ended.told)
      expect(socket.bytesRead).toBe(64 * MiB)
    }))

  scenario("slows a writer whose bytes the peer does not read", () =>
    Effect.gen(function*() {
      const chunk = Buffer.alloc(65_536)
      const { socket } = yield* streamOver(() => {})
      const written = { bytes: 0 }
      const write = () => {
        while (written.bytes < 64 * MiB) {
          written.bytes += chunk.length
          if (!socket.write(chunk)) return
        }
      }
      socket.on("drain", write)
      write()
      expect(yield* Loopback.stalled("the writer", () => written.bytes)).toBeLessThan(32 * MiB)
      expect(socket.writableLength).toBeLessThanOrEqual(2 * chunk.length)
      socket.destroy()
    }))

  scenario(
    "whose Scope closes after a write delivers it, though the server's tickets come after that",
    () =>
      Effect.gen(function*() {
        const { certificate, key } = certificates.good
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            fork(new URL("../../support/lateTickets.mjs", import.meta.url), {
              env: { ...process.env, KEY: key, CERTIFICATE: certificate },
              execArgv: []
            })
          ),
          (child) => Effect.sync(() => child.kill())
        )
        const told = Effect.promise(async () => (await once(child, "message"))[0])
        const { port } = yield* told
        yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* Attempt.connect({
            socketType: "stream",
            address: Loopback.inet("127.0.0.1", port),
            options: SocketOptions.defaults
          })
          const roots = certificates.root.certificate
          const socket = yield* Duplex.fromConnection(
            yield* Tls.upgrade(connection, { roots, serverName: "db.test" })
          )
          yield* Effect.async<void>((resume) => {
            socket.write(Buffer.alloc(200_000), () => resume(Effect.void))
          })
        }))
        expect(yield* told).toEqual({ bytes: 200_000, end: "end" })
      })
  )

  scenario("that is cut off without a close_notify has not ended", () =>
    Effect.gen(function*() {
      for (const cut of ["end", "reset"] as const) {
        const { server, socket } = yield* streamOver((far) => far.write("half of it"))
        const seen: Array<unknown> = []
        socket.on("data", (bytes) => seen.push(String(bytes)))
        socket.on("end", () => seen.push("end"))
        socket.on("error", (error) => seen.push(error instanceof ConnectionLost ? error.reason : error))
        socket.on("close", (hadError) => seen.push(`close ${hadError}`))
        yield* Loopback.until("the half", () => seen.length === 1)
        const [below] = server.accepted
        if (cut === "reset") below?.resetAndDestroy()
        else below?.end()
        yield* Loopback.until("the close", () => seen.length === 3)
        expect(seen).toEqual(["half of it", cut === "reset" ? "Reset" : "Truncated", "close true"])
      }
    }))

  scenario("runs no Effect for a chunk", () =>
    Effect.gen(function*() {
      const steps = { taken: 0 }
      const counting: Scheduler.Scheduler = {
        shouldYield: (fiber) => {
          steps.taken += 1
          return Scheduler.defaultScheduler.shouldYield(fiber)
        },
        scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority)
      }
      const { connection } = yield* secured(Servers.echo)
      const socket = yield* Effect.withScheduler(Duplex.fromConnection(connection), counting)
      steps.taken = 0
      const trips = { done: 0 }
      socket.on("data", () => {
        trips.done += 1
        if (trips.done < 100) socket.write("x")
      })
      socket.write("x")
      yield* Loopback.until("all round trips", () => trips.done >= 100)
      expect(steps.taken).toBe(0)
      socket.destroy()
      yield* Loopback.until("its close to be run", () => steps.taken > 0)
    }))
})
