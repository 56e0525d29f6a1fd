import type { Effect } from "effect"
import { Simulation } from "../../src/testing/index.js"
import { connectionLaws } from "../../src/testing/laws.js"
import { securedLoopback, securedSimulatedLink, securedSimulatedLoopback } from "./securedArenas.js"
import { idle } from "./tlsBehaviour.js"

const virtual = { run: <A, E>(effect: Effect.Effect<A, E>) => Simulation.run(effect, { idle }) }

connectionLaws("TLS on Node, over loopback", securedLoopback)
connectionLaws("TLS on the simulated network, on one host", securedSimulatedLoopback, virtual)
connectionLaws("TLS on the simulated network, over a bad link", securedSimulatedLink, virtual)
