/**
 * connectionLost(reason): "inform the Connector that the connection attempt has failed, or inform the connected
 * IProtocol that the established connection has been lost." The reason: why the connection was terminated.
 */
import { describe, expect } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import * as Connector from "../../src/Connector.js"
import * as Loopback from "../support/loopback.js"
import { attempt, onLoopback } from "./onLoopback.js"

describe("connectionLost", () => {
  onLoopback("before it is connected, the attempt fails, and the connector says why", () =>
    Effect.gen(function*() {
      const connector = yield* Connector.make(String(yield* Loopback.refusing()))
      const error = yield* Effect.flip(connector.connect)
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", attempts: [{ error: { reason: "Refused" } }] })
      expect(yield* connector.state).toEqual({ _tag: "Disconnected", because: error })
    }))

  onLoopback("a peer that ends and is ended is reason End, and no loss to a reader", () =>
    Effect.gen(function*() {
      const { accept, address } = yield* Loopback.listen()
      const connection = yield* attempt(address)
      yield* (yield* accept).end
      expect(yield* connection.read).toEqual(Option.none())
      yield* connection.end
      expect((yield* connection.lost).reason).toBe("End")
    }))

  onLoopback("a reset is reason Reset, to whoever reads and whoever waits for the loss", () =>
    Effect.gen(function*() {
      const { accept, address } = yield* Loopback.listen()
      const connection = yield* attempt(address)
      yield* (yield* accept).reset
      const lost = yield* Effect.flip(connection.read)
      expect(lost).toMatchObject({ _tag: "ConnectionLost", reason: "Reset", code: "ECONNRESET" })
      expect(yield* connection.lost).toEqual(lost)
    }))

  onLoopback("abort is reason Aborted, whatever comes after", () =>
    Effect.gen(function*() {
      const { accept, address } = yield* Loopback.listen()
      const connection = yield* attempt(address)
      const peer = yield* accept
      yield* connection.abort
      yield* peer.closed
      yield* connection.close()
      expect((yield* connection.lost).reason).toBe("Aborted")
    }))

  onLoopback(
    "of a connector's connection takes the connector to Disconnected, with the reason",
    () =>
      Effect.gen(function*() {
        const { accept, address } = yield* Loopback.listen()
        const connector = yield* Connector.make(String(address))
        const connection = yield* connector.connect
        yield* (yield* accept).reset
        const lost = yield* Effect.flip(connection.read)
        const disconnected = yield* Stream.runHead(
          Stream.filter(connector.changes, ({ _tag }) => _tag === "Disconnected")
        )
        expect(disconnected).toEqual(Option.some({ _tag: "Disconnected", because: lost }))
      })
  )
})
