import { it } from "@effect/vitest"
import { Duration, Effect, Option, type Scope } from "effect"
import type { Connection } from "../../src/Connection.js"
import type { ConnectionLost } from "../../src/DialError.js"
import { Behaviour, SimNetwork, type Topology } from "../../src/testing/index.js"

/** A test on a network of its own, which fails when it leaks. */
export const sim = <A, E>(
  name: string,
  topology: Topology.Topology,
  test: () => Effect.Effect<A, E, SimNetwork.Provided | Scope.Scope>
): void => it.live(name, () => SimNetwork.run(Effect.suspend(test), topology))

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Everything until the peer's end. */
export const readAll = (connection: Connection): Effect.Effect<string, ConnectionLost> =>
  Effect.flatMap(connection.read, (bytes) =>
    Option.isNone(bytes)
      ? Effect.succeed("")
      : Effect.map(readAll(connection), (rest) => text(bytes.value) + rest))

/** What the reads give until the end or the loss: the texts, then `"end"` or the reason. */
export const readings = (connection: Connection): Effect.Effect<ReadonlyArray<string>> =>
  Effect.matchEffect(connection.read, {
    onFailure: (lost) => Effect.succeed([lost.reason]),
    onSuccess: (bytes) =>
      Option.isNone(bytes)
        ? Effect.succeed(["end"])
        : Effect.map(readings(connection), (rest) => [text(bytes.value), ...rest])
  })

/** An effect with the virtual time it took, in milliseconds. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [A, number], E, R> =>
  Effect.map(Effect.timed(effect), ([duration, value]) => [value, Duration.toMillis(duration)] as const)

/** A network of one server, `web`, by both families. */
export const web = (
  extra: Omit<Topology.Topology, "hosts"> = {},
  behaviour: Behaviour.Behaviour = Behaviour.echo
): Topology.Topology => ({
  hosts: { web: { addresses: ["10.0.0.2", "fd00::2"], listeners: { 80: behaviour } } },
  names: { "web.test": ["10.0.0.2", "fd00::2"] },
  ...extra
})
