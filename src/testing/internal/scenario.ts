/**
 * Random scenarios: a small network, what goes wrong in it, and what clients do, all drawn from one seed and all data,
 * so that a scenario can be printed, run again and made smaller.
 */
import { PCGRandom } from "effect/Utils"
import * as Fault from "../Fault.js"
import type { FamilyRecord, LinkQuality, NameRecord } from "../Topology.js"

/** What a server does: send back, read and forget, send so many bytes and end, accept and end, or reset after a read. */
type Service =
  | { readonly _tag: "Echo" }
  | { readonly _tag: "Discard" }
  | { readonly _tag: "Source"; readonly bytes: number }
  | { readonly _tag: "Close" }
  | { readonly _tag: "Reset" }

export interface Server {
  readonly name: string
  readonly families: "inet" | "inet6" | "both"
  readonly service: Service
  readonly quality: LinkQuality
  readonly record: "plain" | "late" | "mapped" | "not found" | "no answer" | "server failure"
}

export type Step =
  | { readonly _tag: "Write"; readonly bytes: number }
  | { readonly _tag: "Read" }
  | { readonly _tag: "ReadToEnd" }
  | { readonly _tag: "End" }
  | { readonly _tag: "Sleep"; readonly millis: number }
  | { readonly _tag: "Abort" }
  | { readonly _tag: "Close" }

export interface Client {
  readonly startsAt: number
  readonly target: number
  readonly port: 80 | 81
  readonly timeout: number
  readonly steps: ReadonlyArray<Step>
  /** When the whole program is interrupted, counted from its start. */
  readonly interruptedAt: number | undefined
}

interface Move {
  readonly at: number
  readonly what: "partition" | "partition to" | "partition from" | "repair" | "hold" | "release" | "crash" | "restart"
  readonly server: number
}

export interface Scenario {
  readonly seed: number
  readonly window: number
  readonly servers: ReadonlyArray<Server>
  readonly faults: ReadonlyArray<Fault.Injection>
  readonly moves: ReadonlyArray<Move>
  readonly clients: ReadonlyArray<Client>
}

// -----------------------------------------------------------------------------
// drawing
// -----------------------------------------------------------------------------

class Draw {
  private readonly random: PCGRandom

  constructor(seed: number) {
    this.random = new PCGRandom(seed)
  }

  /** True that often. */
  chance(probability: number): boolean {
    return this.random.number() < probability
  }

  /** From `least` to `most`, whole. */
  whole(least: number, most: number): number {
    return least + this.random.integer(most - least + 1)
  }

  one<A>(...choices: readonly [A, ...ReadonlyArray<A>]): A {
    return choices[this.random.integer(choices.length)] ?? choices[0]
  }

  some<A>(least: number, most: number, make: (index: number) => A): ReadonlyArray<A> {
    return Array.from({ length: this.whole(least, most) }, (_, index) => make(index))
  }
}

/** The scenario of a seed. */
export const scenarioOf = (seed: number): Scenario => {
  const draw = new Draw(seed)
  const servers = draw.some(1, 2, (index): Server => ({
    name: `s${index}`,
    families: draw.one("inet", "inet6", "both", "both"),
    service: service(draw),
    quality: quality(draw),
    record: draw.chance(0.75) ? "plain" : draw.one("late", "mapped", "not found", "no answer", "server failure")
  }))
  const target = () => draw.whole(0, servers.length - 1)
  return {
    seed,
    window: draw.one(65_536, 65_536, 8192, 1000),
    servers,
    faults: draw.chance(0.6) ? draw.some(1, 2, () => injection(draw, `s${target()}`)) : [],
    moves: draw.chance(0.4) ? draw.some(1, 3, () => move(draw, target())) : [],
    clients: draw.some(1, 3, () => client(draw, target()))
  }
}

const service = (draw: Draw): Service => {
  const _tag = draw.one("Echo", "Echo", "Discard", "Source", "Source", "Close", "Reset")
  return _tag === "Source" ? { _tag, bytes: draw.one(0, 1, 1000, 20_000, 100_000) } : { _tag }
}

const quality = (draw: Draw): LinkQuality => ({
  latency: draw.one(0, 1, 10, 80),
  jitter: draw.one(0, 0, 5, 50),
  loss: draw.one(0, 0, 0, 0.01, 0.1),
  bytesPerSecond: draw.one(Infinity, Infinity, 1_000_000, 10_000_000)
})

const injection = (draw: Draw, target: string): Fault.Injection => {
  const late = draw.chance(0.3) ? { at: draw.whole(1, 3000) } : {}
  if (draw.chance(0.5)) {
    const fault = draw.one(
      Fault.refused,
      Fault.hostUnreachable,
      Fault.networkUnreachable,
      Fault.silentSyn,
      Fault.slowSynAck(draw.whole(1, 2000)),
      Fault.acceptedThenClosed,
      Fault.acceptedThenReset,
      Fault.localAddressNotAvailable,
      Fault.bindInUse,
      Fault.noDescriptors
    )
    return Fault.on(target, fault, { ...late, times: draw.one(1, 2, Infinity) })
  }
  const fault = draw.one(
    Fault.sliced(draw.one(1, 50, draw.whole(100, 3000))),
    Fault.stalled(draw.whole(1, 8000)),
    Fault.stalled(Infinity),
    Fault.throttled(draw.one(1000, 100_000)),
    Fault.truncated,
    Fault.broken,
    Fault.halfClosed,
    Fault.finLost,
    Fault.silentDeath,
    Fault.corrupted()
  )
  return Fault.on(target, fault, {
    ...late,
    afterBytes: draw.one(0, 1, draw.whole(2, 100_000)),
    direction: draw.one("sent", "received")
  })
}

const move = (draw: Draw, server: number): Move => ({
  at: draw.whole(0, 5000),
  what: draw.one("partition", "partition to", "partition from", "repair", "hold", "release", "crash", "restart"),
  server
})

const client = (draw: Draw, target: number): Client => ({
  startsAt: draw.one(0, 0, draw.whole(0, 3000)),
  target,
  port: draw.chance(0.9) ? 80 : 81,
  timeout: draw.one(100, 1000, 5000, 30_000),
  steps: draw.some(1, 5, () => step(draw)),
  interruptedAt: draw.chance(0.3) ? draw.one(draw.whole(0, 50), draw.whole(0, 1000), draw.whole(0, 6000)) : undefined
})

const step = (draw: Draw): Step => {
  const _tag = draw.one("Write", "Write", "Write", "Read", "Read", "ReadToEnd", "End", "Sleep", "Abort", "Close")
  switch (_tag) {
    case "Write":
      return { _tag, bytes: draw.one(0, 1, 100, 5000, 20_000, 80_000) }
    case "Sleep":
      return { _tag, millis: draw.one(1, 100, 3000) }
    default:
      return { _tag }
  }
}

/** What a server's name is known for. */
export const recordOf = (server: Server, addresses: { readonly inet: string; readonly inet6: string }): NameRecord => {
  const inet: FamilyRecord = server.families === "inet6" ? Fault.empty : [addresses.inet]
  const inet6: FamilyRecord = server.families === "inet" ? Fault.empty : [addresses.inet6]
  switch (server.record) {
    case "plain":
      return { inet, inet6 }
    case "late":
      return { inet, inet6: { answer: server.families === "inet" ? Fault.empty : [addresses.inet6], delay: 800 } }
    case "mapped":
      return { inet, inet6: [`::ffff:${addresses.inet}`] }
    case "not found":
      return Fault.notFound
    case "no answer":
      return { inet, inet6: Fault.noAnswer }
    case "server failure":
      return { inet: Fault.serverFailure, inet6 }
  }
}

// -----------------------------------------------------------------------------
// making it smaller
// -----------------------------------------------------------------------------

/** Scenarios a little simpler than this one, the boldest first. */
export const smaller = (scenario: Scenario): ReadonlyArray<Scenario> => [
  ...varied(scenario, "clients", without(scenario.clients)),
  ...varied(scenario, "faults", without(scenario.faults)),
  ...varied(scenario, "moves", without(scenario.moves)),
  ...varied(scenario, "clients", each(scenario.clients, simplerClients)),
  ...varied(scenario, "servers", each(scenario.servers, simplerServers)),
  ...(scenario.window === 65_536 ? [] : [{ ...scenario, window: 65_536 }])
]

/** The list without one of its elements. */
const without = <A>(list: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  list.map((_, index) => list.filter((_, other) => other !== index))

/** The list with one of its elements in a simpler form. */
const each = <A>(list: ReadonlyArray<A>, simpler: (element: A) => ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  list.flatMap((element, index) => simpler(element).map((other) => list.with(index, other)))

/** The whole with each of these values in one of its fields. */
const varied = <A extends object, K extends keyof A>(
  whole: A,
  field: K,
  values: ReadonlyArray<A[K]>
): ReadonlyArray<A> => values.map((value) => Object.assign({}, whole, { [field]: value }))

const withoutField = (quality: LinkQuality, field: string): ReadonlyArray<LinkQuality> =>
  Object.entries(quality).some(([name, value]) => name === field && value !== undefined)
    ? [{ ...quality, [field]: undefined }]
    : []

const simplerSteps = (step: Step): ReadonlyArray<Step> =>
  step._tag === "Write" && step.bytes > 1 ? [{ ...step, bytes: 1 }, { ...step, bytes: step.bytes >> 1 }] : []

const simplerClients = (client: Client): ReadonlyArray<Client> => [
  ...varied(client, "steps", without(client.steps)),
  ...varied(client, "steps", each(client.steps, simplerSteps)),
  ...(client.startsAt > 0 ? [{ ...client, startsAt: 0 }] : []),
  ...(client.interruptedAt === undefined ? [] : [{ ...client, interruptedAt: undefined }])
]

const simplerServers = (server: Server): ReadonlyArray<Server> => [
  ...(server.record === "plain" ? [] : [{ ...server, record: "plain" as const }]),
  ...(server.families === "inet" ? [] : [{ ...server, families: "inet" as const }]),
  ...varied(server, "quality", Object.keys(server.quality).flatMap((field) => withoutField(server.quality, field)))
]
