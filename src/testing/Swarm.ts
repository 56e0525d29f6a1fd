/**
 * Thousands of small worlds: random networks, faults and client programs, each from a seed, each run to its end in
 * virtual time and then asked whether what always has to hold did hold.
 *
 * - a dial with a deadline has settled by it; each attempt had one outcome, and nothing is told after the dial's own
 * - no byte was lost, doubled, reordered or made up; a clean end means that everything came
 * - once the programs have ended, by themselves or interrupted, nothing they opened is open, and closing took no longer
 *   than its flush may
 * - once the network is whole again it comes to rest: no socket, no byte under way, no timer
 * - the same seed gives the same run
 *
 * A seed that fails is made smaller, and told with the diagram of what happened.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Connection } from "../Connection.js"
import * as Dialer from "../Dialer.js"
import type { Behaviour } from "./Behaviour.js"
import * as Diagram from "./Diagram.js"
import { type Client, recordOf, type Scenario, scenarioOf, type Server, smaller, type Step } from "./internal/scenario.js"
import { pattern, patternAt } from "./laws/Law.js"
import * as SimNetwork from "./SimNetwork.js"
import * as Simulation from "./Simulation.js"
import type { Topology } from "./Topology.js"
import * as Trace from "./Trace.js"

/**
 * A seed whose run broke an invariant.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly seed: number
  /** What did not hold, of the seed's own scenario. */
  readonly violations: ReadonlyArray<string>
  /** The smallest scenario found that still breaks something, as JSON. */
  readonly scenario: string
  /** What that scenario breaks. */
  readonly remaining: ReadonlyArray<string>
  /** What happened in it. */
  readonly diagram: string
}

/**
 * Run the seeds from `from` on, `seeds` of them: those that failed, at most `enough`.
 *
 * Runs synchronously, and in virtual time alone.
 *
 * @since 0.1.0
 * @category running
 */
export const run = (options: {
  /** @default 0 */
  readonly from?: number | undefined
  readonly seeds: number
  /**
   * Stop after so many failures.
   *
   * @default 1
   */
  readonly enough?: number | undefined
}): ReadonlyArray<Failure> => {
  const failures: Array<Failure> = []
  const from = options.from ?? 0
  for (let seed = from; seed < from + options.seeds && failures.length < (options.enough ?? 1); seed++) {
    const failure = check(seed)
    if (failure !== undefined) failures.push(failure)
  }
  return failures
}

/**
 * Run one seed; `undefined` when everything held.
 *
 * @since 0.1.0
 * @category running
 */
export const check = (seed: number): Failure | undefined => {
  const scenario = scenarioOf(seed)
  const first = play(scenario)
  // Twice for every one in sixteen: the same seed has to give the same run.
  const violations = seed % 16 > 0 || Trace.format(first.trace) === Trace.format(play(scenario).trace)
    ? first.violations
    : [...first.violations, "the second run of the same seed is another"]
  if (violations.length === 0) return undefined
  const least = shrink(scenario, first)
  return {
    seed,
    violations,
    scenario: JSON.stringify(least.scenario, undefined, 1),
    remaining: least.played.violations,
    diagram: Diagram.render(least.played.trace, { hosts: ["client", ...least.scenario.servers.map(({ name }) => name)] })
  }
}

/**
 * A failure as text.
 *
 * @since 0.1.0
 * @category formatting
 */
export const format = (failure: Failure): string =>
  [
    `seed ${failure.seed}: ${failure.violations.join("; ")}`,
    `the smallest scenario that breaks something (${failure.remaining.join("; ")}):`,
    failure.scenario,
    failure.diagram
  ].join("\n")

/** How many runs may go into making a scenario smaller. */
const shrinkRuns = 500

/** Greedily: whatever still breaks something is taken, until nothing smaller does. */
const shrink = (scenario: Scenario, played: Played): { readonly scenario: Scenario; readonly played: Played } => {
  let least = { scenario, played }
  let runs = 0
  for (let found = true; found;) {
    found = false
    for (const candidate of smaller(least.scenario)) {
      if (++runs > shrinkRuns) return least
      const played = play(candidate)
      if (played.violations.length === 0) continue
      least = { scenario: candidate, played }
      found = true
      break
    }
  }
  return least
}

// -----------------------------------------------------------------------------
// one run
// -----------------------------------------------------------------------------

interface Played {
  readonly trace: Trace.Trace
  readonly violations: ReadonlyArray<string>
}

/** What one end of a connection saw. */
interface Seen {
  received: number
  /** The first byte that was not what was sent. */
  wrongAt: number | undefined
  cleanEnd: boolean
}

interface ClientLog extends Seen {
  sent: number
  ended: boolean
  dialMillis: number | undefined
  closeMillis: number
}

/** Beyond the deadline only what is rounded to the network's grid. */
const slack = 1

/** Reads and writes of clients that last longer are given up. */
const patience = 20_000

/** A connection's flush, and then some. */
const closeLimit = 5000 + slack

/** How long the network gets to come to rest: longer than the kernel sends anything again. */
const restTime = 2_000_000

const play = (scenario: Scenario): Played => {
  const served = new Map<string, Seen>()
  const clients = new Map<string, number>()
  const violations: Array<string> = []
  const program = Effect.gen(function*() {
    const network = yield* SimNetwork.SimNetwork
    const steering = yield* Effect.fork(steer(scenario, network))
    const logs = yield* Effect.forEach(scenario.clients, (client, index) => runClient(scenario, client, index, clients), {
      concurrency: "unbounded"
    })
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

const serve = ({ service }: Server, served: Map<string, Seen>, clients: Map<string, number>): Behaviour => (connection) => {
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
      yield* Effect.race(Effect.sleep(interruptedAt), Fiber.await(fiber))
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
    Effect.map(Effect.either(Effect.timeoutTo(effect, {
      duration: patience,
      onSuccess: (value) => value,
      onTimeout: () => false
    })), (result) => Either.isRight(result) && result.right)
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
  Effect.forEach(moves, ({ at, server, what }) => {
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
  }, { concurrency: "unbounded", discard: true })

const repairAll = ({ servers }: Scenario, network: SimNetwork.SimNetwork["Type"]): Effect.Effect<void> =>
  Effect.forEach(servers, ({ name }) =>
    Effect.all([network.restart(name), network.repair("client", name), network.release("client", name)]), { discard: true })

// -----------------------------------------------------------------------------
// what has to hold
// -----------------------------------------------------------------------------

const judgeLeaks = (
  when: string,
  { accepted, bytesInFlight, dialed, lookups, pendingTimers }: SimNetwork.Accounting,
  all: boolean
): ReadonlyArray<string> =>
  Object.entries(all ? { dialed, lookups, accepted, bytesInFlight, pendingTimers } : { dialed, lookups })
    .flatMap(([what, count]) => count === 0 ? [] : [`${when}: ${what} is ${count}`])

/** Faults after which an end may never hear of the other's. */
const mute: ReadonlySet<string> = new Set(["SilentDeath", "FinLost", "Stalled"])

const judgeRest = ({ faults }: Scenario, accounting: SimNetwork.Accounting): ReadonlyArray<string> =>
  judgeLeaks("the network is at rest", accounting, !faults.some(({ fault }) => mute.has(fault._tag)))

const judgeDials = (trace: Trace.Trace): ReadonlyArray<string> => {
  const events = trace.flatMap((event) => event._tag === "Dial" ? [event] : [])
  return [...new Set(events.map(({ dial }) => dial))].flatMap((dial) => {
    const own = events.filter((event) => event.dial === dial).map(({ event }) => event)
    const last = own.findIndex(({ _tag }) => _tag === "Connected" || _tag === "DialFailed")
    const late = last < 0 ? [] : own.slice(last + 1).map(({ _tag }) => `dial ${dial}: ${_tag} after its end`)
    const attempts = own.filter(({ _tag }) => _tag === "AttemptStarted").map(({ attempt }) => attempt)
    const outcomes = attempts.flatMap((attempt) => {
      const count = own.filter((event) =>
        event["attempt"] === attempt && event._tag !== "AttemptStarted"
      ).length
      return count === 1 ? [] : [`dial ${dial}: attempt ${String(attempt)} has ${count} outcomes`]
    })
    return [...late, ...outcomes]
  }).concat(
    trace.flatMap((event) => event._tag === "Behaved" ? [`a behaviour on ${event.host} failed: ${event.failure}`] : [])
  )
}

const judgeBytes = (
  scenario: Scenario,
  logs: ReadonlyArray<ClientLog>,
  served: ReadonlyMap<string, Seen>
): ReadonlyArray<string> => {
  const faulty = (...tags: ReadonlyArray<string>) => (server: Server | undefined) =>
    scenario.faults.some(({ fault, target }) => target === server?.name && tags.includes(fault._tag))
  const corrupted = faulty("Corrupted")
  const cut = faulty("Truncated", "HalfClosed", "Corrupted", "AcceptedThenClosed", "AcceptedThenReset")
  const ofClients = logs.flatMap((log, index): ReadonlyArray<string> => {
    const client = scenario.clients[index]
    const server = scenario.servers[client?.target ?? 0]
    const said = (what: string) => `client ${index}: ${what}`
    return [
      ...(log.dialMillis !== undefined && log.dialMillis > (client?.timeout ?? 0) + slack
        ? [said(`the dial took ${log.dialMillis} ms`)]
        : []),
      ...(log.closeMillis > closeLimit ? [said(`closing took ${log.closeMillis} ms`)] : []),
      ...(log.wrongAt !== undefined && !corrupted(server) ? [said(`byte ${log.wrongAt} of those read is wrong`)] : []),
      ...(server?.service._tag === "Echo" && log.received > log.sent ? [said("more came back than was sent")] : []),
      ...(server?.service._tag === "Source" && log.cleanEnd && !cut(server) && log.received !== server.service.bytes
        ? [said(`a clean end after ${log.received} bytes of ${server.service.bytes}`)]
        : []),
      ...(server?.service._tag === "Echo" && log.cleanEnd && log.ended && !cut(server) && log.received !== log.sent
        ? [said(`a clean end after ${log.received} bytes of the ${log.sent} sent`)]
        : [])
    ]
  })
  const anyCorrupted = scenario.servers.some(corrupted)
  const ofServers = [...served].flatMap(([from, { wrongAt }]) =>
    wrongAt !== undefined && !anyCorrupted ? [`byte ${wrongAt} of those served to ${from} is wrong`] : []
  )
  return [...ofClients, ...ofServers]
}
