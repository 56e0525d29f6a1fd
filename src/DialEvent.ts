/**
 * What happened during a dial, as data with a time: the one source for traces, the command line, spans and metrics,
 * and for the attempts an error tells of.
 *
 * An event is a plain record, so it can be compared, stored and printed as JSON. Times (`at`) are milliseconds since
 * the dial began, fractional, from Effect's Clock. To see them, {@link observe} an effect that dials.
 *
 * Not here: who draws them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { AddressFamily, IpAddress, SocketAddress } from "./Address.js"
import type { AttemptError, AttemptReport, ConnectStopped, DialError, ResolveError } from "./DialError.js"
import type { Endpoint } from "./Endpoint.js"
import type { ServiceBinding } from "./ServiceBinding.js"
import type { TlsSession } from "./TlsSession.js"

/**
 * One thing that happened in one dial.
 *
 * - `ResolutionStarted`: the Resolver was asked for `name`
 * - `AddressesResolved`: it gave the addresses of one family
 * - `ResolutionFailed`: it gave an error for one family, or for the whole name (`family` undefined)
 * - `ServicesResolved`: it gave the name's HTTPS records, where they were asked for
 * - `Planned`: what has not started will be attempted in this order, unless a later plan replaces it
 * - `AttemptStarted`: attempt number `attempt` (0, 1, …) began on `address`
 * - `AttemptEstablishing`: it is connected, and what makes it a success (a TLS handshake, say) began
 * - `AttemptSecured`: its TLS handshake is done, and `session` is what was agreed on
 * - `AttemptFailed`, `AttemptStopped`, `AttemptConnected`: its one outcome
 * - `Connected`: the dial has its connection; the losers are gone
 * - `DialFailed`: the dial has its error
 *
 * An interrupted dial ends with its attempts' `AttemptStopped` and nothing after them.
 *
 * @since 0.1.0
 * @category models
 */
export type DialEvent =
  | { readonly _tag: "ResolutionStarted"; readonly at: number; readonly name: string }
  | {
    readonly _tag: "AddressesResolved"
    readonly at: number
    readonly name: string
    readonly family: Exclude<AddressFamily, "unix">
    readonly addresses: ReadonlyArray<IpAddress>
  }
  | { readonly _tag: "ResolutionFailed"; readonly at: number; readonly name: string; readonly error: ResolveError }
  | {
    readonly _tag: "ServicesResolved"
    readonly at: number
    readonly name: string
    readonly services: ReadonlyArray<ServiceBinding>
  }
  | { readonly _tag: "Planned"; readonly at: number; readonly candidates: ReadonlyArray<PlannedAddress> }
  | {
    readonly _tag: "AttemptStarted"
    readonly at: number
    readonly attempt: number
    readonly address: SocketAddress
  }
  | {
    readonly _tag: "AttemptEstablishing"
    readonly at: number
    readonly attempt: number
    readonly address: SocketAddress
    readonly localAddress: SocketAddress
  }
  | {
    readonly _tag: "AttemptSecured"
    readonly at: number
    readonly attempt: number
    readonly address: SocketAddress
    readonly session: TlsSession
  }
  | {
    readonly _tag: "AttemptFailed"
    readonly at: number
    readonly attempt: number
    readonly address: SocketAddress
    readonly error: AttemptError
  }
  | {
    readonly _tag: "AttemptStopped"
    readonly at: number
    readonly attempt: number
    readonly address: SocketAddress
    readonly error: ConnectStopped
  }
  | {
    readonly _tag: "AttemptConnected"
    readonly at: number
    readonly attempt: number
    readonly address: SocketAddress
  }
  | {
    readonly _tag: "Connected"
    readonly at: number
    readonly address: SocketAddress
    readonly localAddress: SocketAddress
  }
  | { readonly _tag: "DialFailed"; readonly at: number; readonly error: DialError }

/**
 * An address to attempt; `source` is the local address it would be reached from, where the platform tells.
 *
 * @since 0.2.0
 * @category models
 */
export interface PlannedAddress {
  readonly address: SocketAddress
  readonly source?: IpAddress | undefined
}

/**
 * Whoever is told of dials: called once as a dial of `endpoint` begins, it returns what receives that dial's events.
 *
 * Both functions run inside the dialing fiber and must not block. One that throws is logged and otherwise ignored: an
 * observer never changes the outcome of what it observes.
 *
 * @since 0.1.0
 * @category observing
 */
export type Observe = (endpoint: Endpoint) => (event: DialEvent) => void

/**
 * The observers in force. The default is nobody.
 *
 * @since 0.1.0
 * @category observing
 */
export class Observer extends Context.Reference<Observer>()("effect-dial/DialEvent/Observer", {
  defaultValue: (): { readonly observers: ReadonlyArray<Observe> } => ({ observers: [] })
}) {}

/**
 * Run `effect` with every event of every dial inside it going to `observe`, and to the observers already in force.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { DialEvent, Dialer } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 * import * as assert from "node:assert"
 *
 * const seen: Array<string> = []
 *
 * const dial = Effect.ignore(Effect.scoped(Dialer.dial("unix:/nonexistent/bus.sock")))
 *
 * await DialEvent.observe(dial, (endpoint) => (event) => seen.push(`${endpoint} ${event._tag}`)).pipe(
 *   Effect.provide(NodeNetwork.layer),
 *   Effect.runPromise
 * )
 * assert.deepStrictEqual(seen, [
 *   "unix:/nonexistent/bus.sock AttemptStarted",
 *   "unix:/nonexistent/bus.sock AttemptFailed",
 *   "unix:/nonexistent/bus.sock DialFailed"
 * ])
 * ```
 *
 * @since 0.1.0
 * @category observing
 */
export const observe = <A, E, R>(effect: Effect.Effect<A, E, R>, observe: Observe): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    Observer,
    ({ observers }) => Effect.provideService(effect, Observer, { observers: [...observers, observe] })
  )

/**
 * What became of each address, folded from a dial's events in order. `now` (milliseconds since the dial began) ends the
 * attempts that have no outcome yet; `planned` are addresses known from the start, beside those of the `Planned` events.
 * Those never started are told last.
 *
 * @since 0.1.0
 * @category folding
 */
export const reports = (
  events: ReadonlyArray<DialEvent>,
  now: number,
  planned: ReadonlyArray<SocketAddress> = []
): ReadonlyArray<AttemptReport> => {
  const started = events.filter((event) => event._tag === "AttemptStarted")
  const plans = events.filter((event) => event._tag === "Planned").map(({ candidates }) => candidates)
  const sources = new Map(plans.flat().map(({ address, source }) => [String(address), source]))
  const sourced = (address: SocketAddress) => {
    const source = sources.get(String(address))
    return source === undefined ? { address } : { address, source }
  }
  const establishing = new Set(events.flatMap((event) => event._tag === "AttemptEstablishing" ? [event.attempt] : []))
  const ends = new Map(
    events.flatMap((event) =>
      event._tag === "AttemptFailed" || event._tag === "AttemptStopped" || event._tag === "AttemptConnected"
        ? [[event.attempt, event]]
        : []
    )
  )
  const tried = started.map((start): AttemptReport => {
    const { address, attempt, at: startedAt } = start
    const end = ends.get(attempt)
    const common = { attempt, ...sourced(address), startedAt, endedAt: end?.at ?? now }
    if (end?._tag === "AttemptFailed") return { outcome: "Failed", ...common, error: end.error }
    if (end?._tag === "AttemptConnected") return { outcome: "Connected", ...common }
    return establishing.has(attempt)
      ? { outcome: "Stopped", ...common, phase: "establishing" }
      : { outcome: "Stopped", ...common }
  })
  const seen = new Set(started.map((start) => String(start.address)))
  const wanted = new Set([...planned, ...(plans.at(-1) ?? []).map(({ address }) => address)].map(String))
  const addresses = [...planned, ...plans.flat().map(({ address }) => address)]
  const known = new Map(addresses.map((address) => [String(address), address]))
  const neverTried = (text: string, address: SocketAddress): AttemptReport => ({
    outcome: "NeverTried",
    ...sourced(address),
    why: wanted.has(text) ? "the dial ended before its turn" : "a newer answer no longer had it"
  })
  const untried = [...known].flatMap(([text, address]) => seen.has(text) ? [] : [neverTried(text, address)])
  return [...tried, ...untried]
}

/**
 * The lookups that failed, in the order they did.
 *
 * @since 0.1.0
 * @category folding
 */
export const unresolved = (events: ReadonlyArray<DialEvent>): ReadonlyArray<ResolveError> =>
  events.flatMap((event) => event._tag === "ResolutionFailed" ? [event.error] : [])
