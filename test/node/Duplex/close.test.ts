import { describe, expect, it } from "@effect/vitest"
import { Effect, ManagedRuntime } from "effect"
import * as net from "node:net"
import * as Duplex from "../../../src/node/Duplex.js"
import * as NodeNetwork from "../../../src/node/NodeNetwork.js"
import * as Loopback from "../../support/loopback.js"

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
      const runtime = yield* Effect.acquireRelease(
        Effect.sync(() => ManagedRuntime.make(NodeNetwork.layer)),
        (runtime) => runtime.disposeEffect
      )
      const refusing = yield* Loopback.refusing()
      const port = Loopback.portNumber(refusing)
      const socket = yield* seenOf(net.connect(port, "127.0.0.1"))
      expect(socket).toEqual(["error", "immediate", "close true"])
      expect(yield* seenOf(Duplex.lazy(runtime, String(refusing)).connect(port))).toEqual(socket)
    }))
})
