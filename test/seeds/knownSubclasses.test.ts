/**
 * Known subclasses: the POSIX client and the IOCP client. Here a platform is a Transport layer, and what is true of one
 * must be true of all.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, type Scope } from "effect"
import type * as Address from "../../src/Address.js"
import * as Dialer from "../../src/Dialer.js"
import * as NodeTransport from "../../src/node/NodeTransport.js"
import * as Resolver from "../../src/Resolver.js"
import type { Transport } from "../../src/Transport.js"
import * as Loopback from "../support/loopback.js"

interface Platform {
  readonly layer: Layer.Layer<Transport>
  /** Sends back what it gets, and its end. */
  readonly echo: Effect.Effect<Address.SocketAddress, never, Scope.Scope>
  readonly refusing: Effect.Effect<Address.SocketAddress, never, Scope.Scope>
}

const platforms: { readonly [name: string]: Platform } = {
  "Node over TCP": {
    layer: NodeTransport.layer,
    echo: Effect.map(Loopback.echo(), ({ address }) => address),
    refusing: Loopback.refusing()
  },
  "Node over UNIX sockets": {
    layer: NodeTransport.layer,
    echo: Effect.suspend(() => Effect.map(Loopback.echo({ path: Loopback.abstractName() }), ({ address }) => address)),
    refusing: Effect.sync(() => Loopback.unix(Loopback.abstractName()))
  }
}

describe.each(Object.entries(platforms))("%s", (_name, { echo, layer, refusing }) => {
  const law = (behaviour: string, self: Effect.Effect<void, unknown, Dialer.Dialer | Scope.Scope>) =>
    it.live(behaviour, () =>
      self.pipe(
        Effect.scoped,
        Effect.provide(Layer.provide(Dialer.layer, Layer.merge(layer, Resolver.layerStatic({})))),
        Loopback.leavesNoSocket
      ))

  const dial = (address: Address.SocketAddress) =>
    Dialer.dial(address.family === "unix" ? `unix:${address}` : String(address))

  law(
    "a dial is a connection whose bytes arrive, whose halves end apart, and whose end is End",
    Effect.gen(function*() {
      const connection = yield* dial(yield* echo)
      yield* connection.write("ping")
      expect(Option.map(yield* connection.read, Loopback.text)).toEqual(Option.some("ping"))
      yield* connection.end
      expect(yield* connection.read).toEqual(Option.none())
      expect((yield* connection.lost).reason).toBe("End")
    })
  )

  law(
    "a dial that nobody answers is AllAttemptsFailed with the attempt's reason",
    Effect.gen(function*() {
      const error = yield* Effect.flip(dial(yield* refusing))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", attempts: [{ error: { reason: "Refused" } }] })
    })
  )

  law(
    "a connection that was aborted says Aborted to whoever holds it",
    Effect.gen(function*() {
      const connection = yield* dial(yield* echo)
      yield* connection.abort
      expect((yield* Effect.flip(connection.read)).reason).toBe("Aborted")
    })
  )
})
