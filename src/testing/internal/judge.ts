/**
 * What always has to hold of a run of the swarm, whatever its scenario.
 */
import type { Accounting } from "../SimNetwork.js"
import type * as Trace from "../Trace.js"
import type { Scenario, Server } from "./scenario.js"

/** What one end of a connection saw. */
export interface Seen {
  received: number
  /** The first byte that was not what was sent. */
  wrongAt: number | undefined
  cleanEnd: boolean
}

export interface ClientLog extends Seen {
  sent: number
  ended: boolean
  dialMillis: number | undefined
  closeMillis: number
}

/** Beyond the deadline only what is rounded to the network's grid. */
const slack = 1

/** A connection's flush, and then some. */
const closeLimit = 5000 + slack

export const judgeLeaks = (
  when: string,
  { accepted, bytesInFlight, dialed, lookups, pendingTimers }: Accounting,
  all: boolean
): ReadonlyArray<string> =>
  Object.entries(all ? { dialed, lookups, accepted, bytesInFlight, pendingTimers } : { dialed, lookups })
    .flatMap(([what, count]) => count === 0 ? [] : [`${when}: ${what} is ${count}`])

/** Faults after which an end may never hear of the other's. */
const mute: ReadonlySet<string> = new Set(["SilentDeath", "FinLost", "Stalled"])

export const judgeRest = ({ faults }: Scenario, accounting: Accounting): ReadonlyArray<string> =>
  judgeLeaks("the network is at rest", accounting, !faults.some(({ fault }) => mute.has(fault._tag)))

export const judgeDials = (trace: Trace.Trace): ReadonlyArray<string> => {
  const events = trace.flatMap((event) => event._tag === "Dial" ? [event] : [])
  return [...new Set(events.map(({ dial }) => dial))].flatMap((dial) => {
    const own = events.filter((event) => event.dial === dial).map(({ event }) => event)
    const last = own.findIndex(({ _tag }) => _tag === "Connected" || _tag === "DialFailed")
    const late = last < 0 ? [] : own.slice(last + 1).map(({ _tag }) => `dial ${dial}: ${_tag} after its end`)
    const attempts = own.filter(({ _tag }) => _tag === "AttemptStarted").map(({ attempt }) => attempt)
    const outcomes = attempts.flatMap((attempt) => {
      const count = own.filter((event) => event["attempt"] === attempt && event._tag !== "AttemptStarted").length
      return count === 1 ? [] : [`dial ${dial}: attempt ${String(attempt)} has ${count} outcomes`]
    })
    return late.concat(outcomes)
  }).concat(
    trace.flatMap((event) => event._tag === "Behaved" ? [`a behaviour on ${event.host} failed: ${event.failure}`] : [])
  )
}

export const judgeBytes = (
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
