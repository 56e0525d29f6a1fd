/**
 * _finishInit(whenDone, skt, error, reactor): "Called by subclasses to continue to the stage of initialization where
 * the socket connect attempt is made." With an error instead when the connection could not be prepared; and it was
 * called later, never from inside the constructor.
 */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import * as SocketOptions from "../../src/SocketOptions.js"
import { Transport } from "../../src/Transport.js"
import * as Loopback from "../support/loopback.js"
import { attempt, onLoopback } from "./onLoopback.js"

describe("_finishInit", () => {
  onLoopback("a socket is bound before it connects", () =>
    Effect.gen(function*() {
      const { accept, address } = yield* Loopback.listen()
      const connection = yield* attempt(address, Loopback.inet("127.0.0.9", 0))
      expect(String(connection.localAddress)).toMatch(/^127\.0\.0\.9:\d+$/)
      expect((yield* accept).socket.remoteAddress).toBe("127.0.0.9")
    }))

  onLoopback(
    "a socket that cannot be bound is the attempt's error, told apart from that of a connect",
    () =>
      Effect.gen(function*() {
        const { accepted, address } = yield* Loopback.listen()
        const error = yield* Effect.flip(attempt(address, Loopback.inet("192.0.2.1", 0)))
        expect(error).toMatchObject({ operation: "bind", reason: "AddressNotAvailable", code: "EADDRNOTAVAIL" })
        expect(accepted()).toBe(0)
      })
  )

  onLoopback(
    "a connect never settles before it has returned, not even when it fails at once",
    () =>
      Effect.gen(function*() {
        const { address } = yield* Loopback.listen()
        const transport = yield* Transport
        for (const localAddress of [undefined, Loopback.inet("192.0.2.1", 0)]) {
          const handle = yield* transport.open({
            socketType: "stream",
            address,
            localAddress,
            options: SocketOptions.defaults
          })
          const told = yield* Effect.async<string>((resume) => {
            const order = { returned: false }
            handle.connect(() => resume(Effect.succeed(order.returned ? "after" : "before")))
            order.returned = true
          })
          expect(told).toBe("after")
          yield* handle.close("orderly")
          yield* handle.release
        }
      })
  )
})
