import { expect, it } from "@effect/vitest"
import { Effect, ManagedRuntime } from "effect"
import { once } from "node:events"
import * as net from "node:net"
import { vi } from "vitest"
import * as Duplex from "../../../src/node/Duplex.js"
import * as NodeNetwork from "../../../src/node/NodeNetwork.js"

it.scopedLive("a stream is read to its end though a test of its user has taken the timers away", () =>
  Effect.gen(function*() {
    const runtime = yield* Effect.acquireRelease(
      Effect.sync(() => ManagedRuntime.make(NodeNetwork.layer)),
      (runtime) => runtime.disposeEffect
    )
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => net.createServer().listen(0, "127.0.0.1")),
      (server) => Effect.sync(() => server.close())
    )
    yield* Effect.promise(async () => {
      await once(server, "listening")
      const stream = Duplex.lazy(runtime, `127.0.0.1:${(server.address() as net.AddressInfo).port}`)
      const [peer] = await Promise.race([once(server, "connection"), once(stream.connect(0), "error")])
      await new Promise((connected) => stream.connecting ? stream.once("connect", connected) : connected(undefined))
      const seen: Array<string> = []
      vi.useFakeTimers()
      try {
        stream.on("data", (bytes) => seen.push(String(bytes)))
        stream.on("end", () => seen.push("end"))
        peer.end("the last word")
        await once(stream, "close")
      } finally {
        vi.useRealTimers()
      }
      expect(seen).toEqual(["the last word", "end"])
    })
  }))
