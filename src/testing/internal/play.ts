/**
 * One run of the swarm: a scenario brought to life, its servers and clients, and what each end saw.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Connection } from "../../Connection.js"
import * as Dialer from "../../Dialer.js"
import { allOf, firstOf } from "../../internal/sideBySide.js"
import type { Behaviour } from "../Behaviour.js"
import { pattern, patternAt } from "../laws/Law.js"
import * as SimNetwork from "../SimNetwork.js"
import * as Simulation from "../Simulation.js"
import type { Topology } from "../Topology.js"
import type * as Trace from "../Trace.js"
import { type ClientLog, judgeBytes, judgeDials, judgeLeaks, judgeRest, type Seen } from "./judge.js"
import { type Client, recordOf, type Scenario, type Server, type Step } from "./scenario.js"

export interface Played {
  readonly trace: Trace.Trace
  readonly violations: ReadonlyArray<string>
}

/** Reads and writes of clients that last longer are given up. */
const patience = 20_000

/** How long the network gets to come to rest: longer than the kernel sends anything again. */
const restTime = 2_000_000

/** Run a scenario to its end, and see whether everything held. */
export const play = (scenario: Scenario): Played => {
  const served = new Map<string, Seen>()
  const clients = new Map<string, number>()
  const violations: Array<string> = []
  const program = Effect.gen(function*() {
    const network = yield* SimNetwork.SimNetwork
    const steering = yield* Effect.fork(steer(scenario, network))
    const logs = yield* allOf(
      scenario.clients.map((client, index) => runClient(scenario, client, index, clients))
    )
    yield* Fiber.join(steering)
    violations.push(...judgeLeaks("the programs have ended", yield* network.accounting, false))
    yield* repairAll(scenario, network)
    yield* Effect.sleep(restTime)
    violations.push(...judgeRest(scenario, yield* network.accounting))
    const trace = yield* network.trace
    violations.push(...judgeDials(trace), ...judgeBytes(scenario, logs, served))
    return trace
  })
  const exit = Effect.runSyncExit(Simulation.run(
    Effect.provide(program, SimNetwork.layer(topologyOf(scenario, served, clients))),
    { seed: scenario.seed }
  ))
  return Exit.isSuccess(exit)
    ? { trace: exit.value, violations }
    : { trace: [], violations: [...violations, `the run failed: ${String(exit.cause)}`] }
}

const topologyOf = (scenario: Scenario, served: Map<string, Seen>, clients: Map<string, number>): Topology => ({
  seed: scenario.seed,
  window: scenario.window,
  hosts: Object.fromEntries(scenario.servers.map((server, index) => {
    const { inet, inet6 } = addressesOf(index)
    return [server.name, {
      addresses: [...(server.families === "inet6" ? [] : [inet]), ...(server.families === "inet" ? [] : [inet6])],
      listeners: { 80: serve(server, served, clients) }
    }]
  })),
  names: Object.fromEntries(scenario.servers.map((server, index) => [
    `${server.name}.test`,
    recordOf(server, addressesOf(index))
  ])),
  links: scenario.servers.map(({ name, quality }) => ({ between: ["client", name], ...quality })),
  faults: scenario.faults
})

const addressesOf = (index: number) => ({ inet: `10.0.0.${index + 2}`, inet6: `fd00::${index + 2}` })

/** Where in the pattern a client's bytes begin: no two clients send alike. */
const offsetOf = (client: number): number => client * 100_003

const unseen = (): Seen => ({ received: 0, wrongAt: undefined, cleanEnd: false })

const see = (seen: Seen, bytes: Uint8Array, offset: number): void => {
  for (const byte of bytes) {
    if (byte !== patternAt(offset + seen.received)) seen.wrongAt ??= seen.received
    seen.received += 1
  }
}

const serve =
  ({ service }: Server, served: Map<string, Seen>, clients: Map<string, number>): Behaviour => (connection) => {
    const seen = unseen()
    const from = String(connection.remoteAddress)
    served.set(from, seen)
    const reading = (then: (bytes: Uint8Array) => Effect.Effect<void, unknown>): Effect.Effect<void, unknown> =>
      Effect.flatMap(connection.read, (bytes) => {
        if (Option.isNone(bytes)) {
          seen.cleanEnd = true
          return Effect.void
        }
        see(seen, bytes.value, offsetOf(clients.get(from) ?? -1))
        return Effect.zipRight(then(bytes.value), reading(then))
      })
    switch (service._tag) {
      case "Echo":
        return reading((bytes) => connection.write(bytes))
      case "Discard":
        return reading(() => Effect.void)
      case "Source":
        return Effect.zipRight(
          Effect.zipRight(connection.write(pattern(service.bytes)), connection.end),
          reading(() => Effect.void)
        )
      case "Close":
        return Effect.void
      case "Reset":
        return Effect.zipRight(connection.read, connection.abort)
    }
  }

const runClient = (
  scenario: Scenario,
  { interruptedAt, port, startsAt, steps, target, timeout }: Client,
  index: number,
  clients: Map<string, number>
): Effect.Effect<ClientLog, never, Dialer.Dialer> =>
  Effect.gen(function*() {
    const log: ClientLog = { ...unseen(), sent: 0, ended: false, dialMillis: undefined, closeMillis: 0 }
    const server = scenario.servers[target]
    yield* Effect.sleep(startsAt)
    const program = Effect.gen(function*() {
      const startedAt = yield* Clock.currentTimeMillis
      const dialed = yield* Effect.either(Dialer.dial(`${server?.name}.test:${port}`, { timeout }))
      log.dialMillis = (yield* Clock.currentTimeMillis) - startedAt
      if (Either.isLeft(dialed)) return
      const connection = dialed.right
      clients.set(String(connection.localAddress), index)
      for (const step of steps) {
        const going = yield* take(step, connection, log, {
          sent: offsetOf(index),
          received: server?.service._tag === "Source" ? 0 : offsetOf(index)
        })
        if (!going) return
      }
    })
    const leaving = { at: 0 }
    const scoped = Effect.scoped(Effect.ensuring(
      program,
      Effect.map(Clock.currentTimeMillis, (now) => {
        leaving.at = now
      })
    ))
    const fiber = yield* Effect.fork(scoped)
    if (interruptedAt !== undefined) {
      yield* firstOf(Effect.sleep(interruptedAt), Fiber.await(fiber))
      yield* Fiber.interrupt(fiber)
    }
    yield* Fiber.await(fiber)
    log.closeMillis = (yield* Clock.currentTimeMillis) - leaving.at
    return log
  })

/** Where in the pattern the bytes of each direction begin. */
interface Offsets {
  readonly sent: number
  readonly received: number
}

/** One step of a client; false when there is no going on. */
const take = (step: Step, connection: Connection, log: ClientLog, offsets: Offsets): Effect.Effect<boolean> => {
  const going = <E>(effect: Effect.Effect<boolean, E>): Effect.Effect<boolean> =>
    Effect.map(
      Effect.either(Effect.timeoutTo(effect, {
        duration: patience,
        onSuccess: (value) => value,
        onTimeout: () => false
      })),
      (result) => Either.isRight(result) && result.right
    )
  switch (step._tag) {
    case "Write":
      return log.ended ? Effect.succeed(true) : Effect.suspend(() => {
        const bytes = pattern(step.bytes, offsets.sent + log.sent)
        log.sent += step.bytes
        return going(Effect.as(connection.write(bytes), true))
      })
    case "Read":
      return going(Effect.map(connection.read, (bytes) => {
        if (Option.isNone(bytes)) log.cleanEnd = true
        else see(log, bytes.value, offsets.received)
        return true
      }))
    case "ReadToEnd": {
      const rest: Effect.Effect<boolean> = Effect.flatMap(
        take({ _tag: "Read" }, connection, log, offsets),
        (more) => more && !log.cleanEnd ? rest : Effect.succeed(more)
      )
      return rest
    }
    case "End":
      return Effect.suspend(() => {
        log.ended = true
        return going(Effect.as(connection.end, true))
      })
    case "Sleep":
      return Effect.as(Effect.sleep(step.millis), true)
    case "Abort":
      return Effect.as(connection.abort, false)
    case "Close":
      return Effect.as(connection.close(), false)
  }
}

const steer = ({ moves, servers }: Scenario, network: SimNetwork.SimNetwork["Type"]): Effect.Effect<void> =>
  Effect.asVoid(allOf(moves.map(({ at, server, what }) => {
    const host = servers[server]?.name ?? "s0"
    const moving: { readonly [W in typeof what]: Effect.Effect<void> } = {
      partition: network.partition("client", host),
      "partition to": network.partitionOneWay("client", host),
      "partition from": network.partitionOneWay(host, "client"),
      repair: network.repair("client", host),
      hold: network.hold("client", host),
      release: network.release("client", host),
      crash: network.crash(host),
      restart: network.restart(host)
    }
    return Effect.delay(moving[what], at)
  })))

const repairAll = ({ servers }: Scenario, network: SimNetwork.SimNetwork["Type"]): Effect.Effect<void> =>
  Effect.forEach(
    servers,
    ({ name }) => Effect.all([network.restart(name), network.repair("client", name), network.release("client", name)]),
    { discard: true }
  )
