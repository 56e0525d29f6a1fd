/** socketType: "The socket type constant (socket.SOCK_STREAM or socket.SOCK_DGRAM) of the underlying socket." */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import * as Attempt from "../../src/Attempt.js"
import * as Loopback from "../support/loopback.js"
import { attempt, onLoopback } from "./onLoopback.js"

describe("socketType", () => {
  onLoopback("is asked of the transport and told by the connection", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen()
      expect((yield* attempt(address)).socketType).toBe("stream")
      const datagrams = yield* Attempt.connect({ socketType: "dgram", address, options: {} })
      expect(datagrams.socketType).toBe("dgram")
    }))

  onLoopback(
    "that the transport does not have is an Unsupported socket, and none is made",
    () =>
      Effect.gen(function*() {
        const address = Loopback.unix(Loopback.abstractName())
        const before = Loopback.openSockets()
        const error = yield* Effect.flip(
          Attempt.connect({ socketType: "dgram", address, options: {} })
        )
        expect(error).toMatchObject({ operation: "socket", reason: "Unsupported", address })
        expect(Loopback.openSockets()).toEqual(before)
      })
  )
})
