/**
 * A network for tests: simulated, deterministic, on virtual time.
 *
 * @since 0.1.0
 */
export * as Behaviour from "./Behaviour.js"
export * as Diagram from "./Diagram.js"
export * as Fault from "./Fault.js"
export * as SimNetwork from "./SimNetwork.js"
export * as Simulation from "./Simulation.js"
export * as Swarm from "./Swarm.js"
export * as TestTime from "./TestTime.js"
export * as Topology from "./Topology.js"
export * as Trace from "./Trace.js"
