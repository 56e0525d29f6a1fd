import { describe, expect, it } from "@effect/vitest"
import { Effect, ManagedRuntime, type Scope } from "effect"
import { once } from "node:events"
import * as net from "node:net"
import * as Duplex from "../../../src/node/Duplex.js"
import * as NodeNetwork from "../../../src/node/NodeNetwork.js"
import * as Loopback from "../../support/loopback.js"

const runtime = Effect.acquireRelease(
  Effect.sync(() => ManagedRuntime.make(NodeNetwork.layer)),
  (runtime) => runtime.disposeEffect
)

/** What is seen of a connect that is refused, with an immediate that was set when the error was told. */
const seenOf = (socket: net.Socket): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    const seen: Array<string> = []
    socket.on("error", () => {
      seen.push("error")
      setImmediate(() => seen.push("immediate"))
    })
    socket.on("close", (hadError) => seen.push(`close ${hadError}`))
    await new Promise((resolve) => socket.once("close", resolve))
    return seen
  })

describe("the close of a stream whose dial failed", () => {
  it.scopedLive("comes behind the immediates of its turn, as a socket's does", () =>
    Effect.gen(function*() {
      const refusing = yield* Loopback.refusing()
      const port = Loopback.portNumber(refusing)
      const socket = yield* seenOf(net.connect(port, "127.0.0.1"))
      expect(socket).toEqual(["error", "immediate", "close true"])
      expect(yield* seenOf(Duplex.lazy(yield* runtime, String(refusing)).connect(port))).toEqual(socket)
    }))
})

/** What is seen of the end of a connected socket, each with how many turns of the loop had their immediates since the first. */
const endOf = (socket: net.Socket, begin: (socket: net.Socket) => void): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    await once(socket, "connect")
    const seen: Array<string> = []
    let turns = -1
    const turn = () => {
      turns += 1
      if (!seen.some((what) => what.startsWith("close"))) setImmediate(turn)
    }
    const see = (what: string) => {
      if (turns === -1) turn()
      seen.push(`${what} in turn ${turns}`)
    }
    socket.on("error", () => see("error"))
    socket.on("end", () => see("end"))
    const closed = new Promise((resolve) => {
      socket.on("close", () => {
        see("close")
        resolve(undefined)
      })
    })
    socket.resume()
    begin(socket)
    await closed
    return seen
  })

const ends: { readonly [what: string]: (socket: net.Socket) => void } = {
  "the peer's reset": (socket) => socket.write("reset"),
  "the peer's end": (socket) => socket.write("end"),
  "a destroy with an error": (socket) => socket.destroy(new Error("no more of this"))
}

describe("the close of a connected stream", () => {
  for (const [what, begin] of Object.entries(ends)) {
    it.scopedLive(`comes in the turn in which a socket's does, after ${what}`, () =>
      Effect.gen(function*() {
        const port = yield* answering
        const socket = yield* endOf(net.connect(port, "127.0.0.1"), begin)
        const ours = Duplex.lazy(yield* runtime, `127.0.0.1:${port}`)
        expect(yield* endOf(ours, begin)).toEqual(socket)
        expect(socket.at(-1)).toMatch(/^close in turn/)
      }))
  }
})

/** Resets, or ends, a connection that asks for it. */
const answering: Effect.Effect<number, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = net.createServer((socket) => {
        socket.on("error", () => {})
        socket.on("data", (bytes) => {
          if (String(bytes) === "reset") socket.resetAndDestroy()
          else socket.end()
        })
      })
      await once(server.listen(0, "127.0.0.1"), "listening")
      return server
    }),
    (server) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
  ),
  (server) => (server.address() as net.AddressInfo).port
)
