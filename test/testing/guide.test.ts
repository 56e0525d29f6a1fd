import { expect, it } from "@effect/vitest"
import { Duration, Effect, Option, Schedule, Scope } from "effect"
import * as Dialer from "../../src/Dialer.js"
import { Behaviour, Fault, SimNetwork } from "../../src/testing/index.js"

// The guide of testing/index.ts as a test file, so that what it shows is true under vitest as well.

const greeting = Dialer.dial("hello.test:80", { timeout: "5 seconds" }).pipe(
  Effect.flatMap((connection) => connection.read),
  Effect.map(Option.match({ onNone: () => "", onSome: (bytes) => new TextDecoder().decode(bytes) })),
  Effect.scoped,
  Effect.retry({
    schedule: Schedule.exponential("1 second"),
    times: 3,
    while: (error) => error._tag === "AllAttemptsFailed"
  })
)

const hello = { 80: Behaviour.send("hello") }
const network = {
  hosts: { four: { addresses: ["10.0.0.2"], listeners: hello }, six: { addresses: ["2001:db8::2"], listeners: hello } },
  names: { "hello.test": ["10.0.0.2", "2001:db8::2"] }
}

it.live("the service retries when it is refused", () =>
  Effect.gen(function*() {
    const faults = [Fault.on("*", Fault.refused, { times: 4 })]
    const [waited, answer] = yield* SimNetwork.run(Effect.timed(greeting), { ...network, faults })
    expect([Duration.toMillis(waited), answer]).toEqual([3020, "hello"])
  }))

it.live("the service gives up at once on a name that is not there", () =>
  Effect.gen(function*() {
    const names = { "hello.test": Fault.notFound }
    const error = yield* Effect.flip(SimNetwork.run(greeting, { ...network, names }))
    expect(error._tag === "ResolveError" && error.reason).toBe("NotFound")
  }))

it.live("the service goes to the next address when one is a black hole, within the deadline", () =>
  Effect.gen(function*() {
    const faults = [Fault.on("six", Fault.silentSyn)]
    const [late] = yield* SimNetwork.run(Effect.timed(greeting), { ...network, faults })
    expect(Duration.toMillis(late)).toBe(250)
  }))

it.live("a service that leaves a connection open fails its test", () =>
  Effect.gen(function*() {
    const leaking = Effect.flatMap(Scope.make(), (scope) => Scope.extend(Dialer.dial("hello.test:80"), scope))
    const error = yield* Effect.flip(SimNetwork.run(leaking, network))
    expect(error._tag).toBe("LeakDetected")
  }))
