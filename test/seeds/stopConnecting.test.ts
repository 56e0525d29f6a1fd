/**
 * stopConnecting: "If a connection attempt is still outstanding (i.e. no connection is yet established), immediately
 * stop attempting to connect."
 */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Connector from "../../src/Connector.js"
import * as Dialer from "../../src/Dialer.js"
import * as DialEvent from "../../src/DialEvent.js"
import * as Loopback from "../support/loopback.js"
import { onLoopback } from "./onLoopback.js"

describe("stopConnecting", () => {
  onLoopback(
    "a dial that is interrupted has no socket left, and its observers get ConnectStopped",
    () =>
      Effect.gen(function*() {
        const address = yield* Loopback.silent()
        const before = Loopback.openSockets()
        const events: Array<DialEvent.DialEvent> = []
        const dialing = yield* Effect.fork(
          DialEvent.observe(Dialer.dial(String(address)), () => (event) => events.push(event))
        )
        yield* Loopback.until("the attempt to be under way", () => Loopback.openSockets().size > before.size)
        yield* Fiber.interrupt(dialing)
        expect(Loopback.openSockets()).toEqual(before)
        expect(events.at(-1)).toMatchObject({
          _tag: "AttemptStopped",
          error: { _tag: "ConnectStopped", target: String(address) }
        })
      })
  )

  onLoopback("a connector's connect that another fiber stops is ConnectStopped", () =>
    Effect.gen(function*() {
      const address = yield* Loopback.silent()
      const before = Loopback.openSockets()
      const connector = yield* Connector.make(String(address))
      const waiting = yield* Effect.fork(Effect.flip(connector.connect))
      yield* Loopback.until("the attempt to be under way", () => Loopback.openSockets().size > before.size)
      yield* connector.stopConnecting
      expect((yield* Fiber.join(waiting))._tag).toBe("ConnectStopped")
      expect(Loopback.openSockets()).toEqual(before)
    }))

  onLoopback("an established connection is none to stop", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen()
      const connector = yield* Connector.make(String(address))
      yield* connector.connect
      expect((yield* Effect.flip(connector.stopConnecting))._tag).toBe("WrongState")
      expect((yield* connector.state)._tag).toBe("Connected")
    }))
})
