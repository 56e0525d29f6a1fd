import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as NodeResolver from "../../src/node/NodeResolver.js"
import { SimNetwork, Simulation } from "../../src/testing/index.js"
import { connectionLaws, datagramLaws, KnownNames, resolverLaws, transportLaws } from "../../src/testing/laws.js"
import { connection } from "../../src/testing/laws/connection.js"
import { datagram } from "../../src/testing/laws/datagram.js"
import { resolver } from "../../src/testing/laws/resolver.js"
import { transport } from "../../src/testing/laws/transport.js"
import { hasIpv6 } from "../support/loopback.js"
import { nodeLoopback, nodeLoopback6, simulatedLink, simulatedLoopback, simulatedLoopback6 } from "./arenas.js"

const virtual = { run: <A, E>(effect: Effect.Effect<A, E>) => Simulation.run(effect) }

transportLaws("simulated, on one host", simulatedLoopback, virtual)
transportLaws("simulated, over a bad link", simulatedLink, virtual)
transportLaws("Node, over loopback", nodeLoopback)

connectionLaws("simulated, on one host", simulatedLoopback, virtual)
connectionLaws("simulated, over a bad link", simulatedLink, virtual)
connectionLaws("Node, over loopback", nodeLoopback)

datagramLaws("simulated, on one host", simulatedLoopback, virtual)
datagramLaws("simulated, on one host, over IPv6", simulatedLoopback6, virtual)
datagramLaws("simulated, over a bad link", simulatedLink, virtual)
datagramLaws("Node, over loopback", nodeLoopback)
if (hasIpv6) datagramLaws("Node, over loopback, over IPv6", nodeLoopback6)

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
    const all = [transport, connection, datagram, resolver]
    const names = all.flatMap((laws) => laws.map(({ name }) => name))
    expect(names.length).toBeGreaterThanOrEqual(60)
    for (const laws of all) {
      expect(new Set(laws.map(({ name }) => name)).size).toBe(laws.length)
    }
  })
})
