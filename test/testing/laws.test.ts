import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as NodeResolver from "../../src/node/NodeResolver.js"
import { SimNetwork, Simulation } from "../../src/testing/index.js"
import { connectionLaws, KnownNames, resolverLaws, transportLaws } from "../../src/testing/laws.js"
import { connection } from "../../src/testing/laws/connection.js"
import { resolver } from "../../src/testing/laws/resolver.js"
import { transport } from "../../src/testing/laws/transport.js"
import { nodeLoopback, simulatedLink, simulatedLoopback } from "./arenas.js"

const virtual = { run: <A, E>(effect: Effect.Effect<A, E>) => Simulation.run(effect) }

transportLaws("simulated, on one host", simulatedLoopback, virtual)
transportLaws("simulated, over a bad link", simulatedLink, virtual)
transportLaws("Node, over loopback", nodeLoopback)

connectionLaws("simulated, on one host", simulatedLoopback, virtual)
connectionLaws("simulated, over a bad link", simulatedLink, virtual)
connectionLaws("Node, over loopback", nodeLoopback)

resolverLaws(
  "simulated",
  Layer.merge(
    SimNetwork.layer({
      names: { "web.test": { inet: ["10.0.0.2"], inet6: { answer: ["fd00::2"], delay: "1 second" } } }
    }),
    Layer.succeed(KnownNames, { known: "web.test", unknown: "nobody.test" })
  ),
  virtual
)
resolverLaws(
  "Node's, of this machine",
  Layer.merge(NodeResolver.layer, Layer.succeed(KnownNames, { known: "localhost", unknown: "nobody.invalid" }))
)

describe("the laws", () => {
  it("are sixty at least, each with a name of its own", () => {
    const names = [transport, connection, resolver].flatMap((laws) => laws.map(({ name }) => name))
    expect(names.length).toBeGreaterThanOrEqual(60)
    for (const laws of [transport, connection, resolver]) {
      expect(new Set(laws.map(({ name }) => name)).size).toBe(laws.length)
    }
  })
})
