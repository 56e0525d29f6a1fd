/**
 * _closeSocket(orderly): "Subclasses must implement in order to close the socket in response to a terminated connection
 * attempt." Orderly or not: a FIN after everything sent, or a reset.
 */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Loopback from "../support/loopback.js"
import { attempt, onLoopback } from "./onLoopback.js"

describe("_closeSocket", () => {
  onLoopback("orderly: the peer gets what was written, and then the end", () =>
    Effect.gen(function*() {
      const { accept, address } = yield* Loopback.listen()
      const connection = yield* attempt(address)
      const peer = yield* accept
      yield* connection.write("the last words")
      yield* connection.close()
      expect(Loopback.text(yield* peer.readToEnd)).toBe("the last words")
      expect(peer.ended).toBe(true)
    }))

  onLoopback("abort: the peer sees a reset", () =>
    Effect.gen(function*() {
      const { accept, address } = yield* Loopback.listen()
      const connection = yield* attempt(address)
      const peer = yield* accept
      yield* connection.abort
      expect(yield* peer.closed).toBe("ECONNRESET")
    }))

  onLoopback("a pending connect is closed at once: its SYN is not left to the kernel", () =>
    Effect.gen(function*() {
      const address = yield* Loopback.silent()
      const synSent = () =>
        Loopback.tcpRows(Loopback.portNumber(address)).filter(({ state }) => state === "SYN_SENT").length
      const connecting = yield* Effect.fork(attempt(address))
      yield* Loopback.until("the SYN to be sent", () => synSent() === 1)
      yield* Fiber.interrupt(connecting)
      expect(synSent()).toBe(0)
    }))
})
