/**
 * _stopReadingAndWriting: "Subclasses must implement in order to remove this transport from its reactor's notifications
 * in response to a terminated connection attempt."
 */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import * as SocketOptions from "../../src/SocketOptions.js"
import { Transport } from "../../src/Transport.js"
import * as Loopback from "../support/loopback.js"
import { onLoopback } from "./onLoopback.js"

describe("_stopReadingAndWriting", () => {
  for (
    const [outcome, target] of [
      ["connected", Effect.map(Loopback.listen(), ({ address }) => address)],
      ["refused", Loopback.refusing()]
    ] as const
  ) {
    onLoopback(`nobody hears of a connect that is ${outcome} after it`, () =>
      Effect.gen(function*() {
        const address = yield* target
        const told: Array<unknown> = []
        const transport = yield* Transport
        const handle = yield* transport.open({ socketType: "stream", address, options: SocketOptions.defaults })
        handle.connect((error) => told.push(error))
        yield* handle.stopReadingAndWriting
        yield* Loopback.turns(50)
        expect(told).toEqual([])
        yield* handle.close("orderly")
        yield* handle.release
      }))
  }
})
