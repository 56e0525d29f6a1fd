/**
 * _collectSocketDetails: "Clean up references to the attached socket in its underlying OS resource (such as a file
 * descriptor or file handle), as part of post connection-failure cleanup."
 */
import { describe, expect } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as SocketOptions from "../../src/SocketOptions.js"
import { Transport } from "../../src/Transport.js"
import * as Loopback from "../support/loopback.js"
import { attempt, onLoopback } from "./onLoopback.js"

describe("_collectSocketDetails", () => {
  onLoopback("a failed attempt has given its descriptor back when the failure is told", () =>
    Effect.gen(function*() {
      const address = yield* Loopback.refusing()
      const before = Loopback.openSockets()
      const outer = yield* Scope.make()
      yield* Effect.flip(Scope.extend(attempt(address), outer))
      expect(Loopback.openSockets()).toEqual(before)
      yield* Scope.close(outer, Exit.void)
    }))

  onLoopback(
    "a released handle has nothing more to release, and still knows where it was",
    () =>
      Effect.gen(function*() {
        const { accept, address } = yield* Loopback.listen()
        const transport = yield* Transport
        const handle = yield* transport.open({ socketType: "stream", address, options: SocketOptions.defaults })
        yield* Effect.async<void>((resume) => handle.connect(() => resume(Effect.void)))
        yield* accept
        const local = String(handle.localAddress)
        yield* handle.close("orderly")
        yield* handle.release
        yield* handle.release
        expect(String(handle.localAddress)).toBe(local)
        expect(handle.unsent).toBe(0)
        expect((yield* handle.lost).reason).toBe("End")
      })
  )
})
