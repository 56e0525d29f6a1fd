/**
 * A network for tests: simulated, deterministic, on virtual time.
 *
 * A test is an effect, a network written down as data, and what is to go wrong in it. `SimNetwork.run` runs it to its
 * end in no time, and fails with `LeakDetected` when it left anything open, so no test has to look for that. Here a
 * service with a retry policy is tested:
 *
 * @example
 * ```ts
 * import { Duration, Effect, Option, Schedule, Scope } from "effect"
 * import { Dialer } from "effect-dial"
 * import { Behaviour, Fault, SimNetwork } from "effect-dial/testing"
 * import * as assert from "node:assert"
 *
 * // The service: one greeting. It tries again when every address failed, for nothing else.
 * const greeting = Dialer.dial("hello.test:80", { timeout: "5 seconds" }).pipe(
 *   Effect.flatMap((connection) => connection.read),
 *   Effect.map(Option.match({ onNone: () => "", onSome: (bytes) => new TextDecoder().decode(bytes) })),
 *   Effect.scoped,
 *   Effect.retry({
 *     schedule: Schedule.exponential("1 second"),
 *     times: 3,
 *     while: (error) => error._tag === "AllAttemptsFailed"
 *   })
 * )
 * const hello = { 80: Behaviour.send("hello") }
 * const network = {
 *   hosts: { four: { addresses: ["10.0.0.2"], listeners: hello }, six: { addresses: ["2001:db8::2"], listeners: hello } },
 *   names: { "hello.test": ["10.0.0.2", "2001:db8::2"] }
 * }
 *
 * await Effect.runPromise(Effect.gen(function*() {
 *   // It retries when it is refused: twice by each host, after 1 and 2 seconds, and 10 ms after each packet.
 *   const refused = [Fault.on("*", Fault.refused, { times: 4 })]
 *   const [waited, answer] = yield* SimNetwork.run(Effect.timed(greeting), { ...network, faults: refused })
 *   assert.deepStrictEqual([Duration.toMillis(waited), answer], [3020, "hello"])
 *   // It gives up at once on a name that is not there.
 *   const error = yield* Effect.flip(SimNetwork.run(greeting, { ...network, names: { "hello.test": Fault.notFound } }))
 *   assert.ok(error._tag === "ResolveError" && error.reason === "NotFound")
 *   // It goes to the next address when one is a black hole, well within the deadline.
 *   const hole = [Fault.on("six", Fault.silentSyn)]
 *   const [late] = yield* SimNetwork.run(Effect.timed(greeting), { ...network, faults: hole })
 *   assert.strictEqual(Duration.toMillis(late), 250)
 *   // It leaks nothing: `run` would have failed each time, as it does when nobody closes a connection.
 *   const leaking = Effect.flatMap(Scope.make(), (scope) => Scope.extend(Dialer.dial("hello.test:80"), scope))
 *   const leak = yield* Effect.flip(SimNetwork.run(leaking, network))
 *   assert.ok(leak._tag === "LeakDetected")
 * }))
 * ```
 *
 * @since 0.1.0
 */
export * as Behaviour from "./Behaviour.js"
export * as Diagram from "./Diagram.js"
export * as Fault from "./Fault.js"
export * as NameServer from "./NameServer.js"
export * as SimNetwork from "./SimNetwork.js"
export * as Simulation from "./Simulation.js"
export * as Swarm from "./Swarm.js"
export * as TestTime from "./TestTime.js"
export * as Topology from "./Topology.js"
export * as Trace from "./Trace.js"
