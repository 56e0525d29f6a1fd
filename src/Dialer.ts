/**
 * Endpoint in, connection out: resolve, plan, race, within one deadline.
 *
 * What must be true:
 *
 * - a literal address never touches the Resolver
 * - an answer is acted on as it comes; a family that is not answered holds back no other
 * - a dial succeeds with a Connection that its Scope owns, or fails with an error that tells of every address, and of
 *   every lookup that failed; an interrupted or failed dial leaves nothing open, whatever its Scope does later
 * - the deadline covers everything from the name to the connection, and to what {@link dialWith} makes of it
 *
 * Not here: how answers become plans (`Resolution`), when attempts start (`HappyEyeballs`), and TLS, proxies, pools,
 * retries: each of these is a layer on top; a proxy is a Dialer made from a Dialer.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as MutableRef from "effect/MutableRef"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Address from "./Address.js"
import * as AddressSelection from "./AddressSelection.js"
import * as Attempt from "./Attempt.js"
import type { Connection } from "./Connection.js"
import {
  AttemptError,
  type AttemptReport,
  ConnectStopped,
  type DialError,
  InvalidEndpoint,
  type ResolveError,
  sentPacket
} from "./DialError.js"
import * as DialEvent from "./DialEvent.js"
import { defaultTimeout, type DialOptions } from "./DialOptions.js"
import * as Endpoint from "./Endpoint.js"
import * as HappyEyeballs from "./HappyEyeballs.js"
import { History } from "./History.js"
import { Journal, noAddress } from "./internal/journal.js"
import { within } from "./internal/sideBySide.js"
import { Timers } from "./internal/timers.js"
import * as Resolution from "./Resolution.js"
import { type Answer, families, Resolver } from "./Resolver.js"
import * as SocketOptions from "./SocketOptions.js"
import { SourceAddress } from "./SourceAddress.js"
import type { TlsSession } from "./TlsSession.js"
import { type OpenRequest, Transport } from "./Transport.js"

export { defaultTimeout, type DialOptions } from "./DialOptions.js"

/**
 * The service that dials. See {@link dial} and {@link dialWith}; {@link make} makes one from the second alone.
 *
 * @since 0.1.0
 * @category service
 */
export class Dialer extends Context.Tag("effect-dial/Dialer")<Dialer, {
  readonly dial: (
    endpoint: Endpoint.Input,
    options?: DialOptions
  ) => Effect.Effect<Connection, DialError, Scope.Scope>
  readonly dialWith: <A, E, R>(
    endpoint: Endpoint.Input,
    establish: Establish<A, E, R>,
    options?: DialOptions
  ) => Effect.Effect<A, DialError, R | Scope.Scope>
}>() {}

/**
 * What has to succeed on a new connection before its attempt has: a TLS handshake, a greeting. What it acquires, and the
 * connection, belong to the attempt: to the dial's Scope if it wins, and to nobody if it loses.
 *
 * @since 0.2.0
 * @category models
 */
export type Establish<A, E, R> = (connection: Connection, progress: Progress) => Effect.Effect<A, E, R>

/**
 * What the observers of a dial are told while an attempt is being established.
 *
 * @since 0.2.0
 * @category models
 */
export interface Progress {
  /** A TLS handshake is done. */
  readonly secured: (session: TlsSession) => Effect.Effect<void>
}

/**
 * A Dialer from its `dialWith`: for one made from another, such as a proxy's.
 *
 * @since 0.2.0
 * @category service
 */
export const make = (dialWith: Dialer["Type"]["dialWith"]): Dialer["Type"] => ({
  dial: (endpoint, options) => dialWith(endpoint, (connection) => Effect.succeed(connection), options),
  dialWith
})

/**
 * Dial an endpoint with the Dialer in the environment.
 *
 * Fails with `InvalidEndpoint` for text that is not an endpoint, `ResolveError` when the name gave no address,
 * `AllAttemptsFailed` when no address connected, `DialTimeout` at the deadline. The Connection belongs to the Scope in
 * the environment. Interrupting a dial frees its sockets at once.
 *
 * Over `udp://` connected means less: this machine has a way to the address, has fixed the peer, and will tell of its
 * refusals. Nothing was sent, so of several addresses it is the first there is a way to, whoever is there. Where
 * somebody has to be, ask and wait for the answer in {@link dialWith}: the first that answers wins.
 *
 * @example
 * ```ts no-run
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Effect } from "effect"
 * import { Dialer } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const connection = yield* Dialer.dial("example.com:80", { timeout: "5 seconds" })
 *   yield* connection.write("GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")
 *   return yield* connection.read
 * }))
 *
 * NodeRuntime.runMain(Effect.provide(program, NodeNetwork.layer))
 * ```
 *
 * @since 0.1.0
 * @category dialing
 */
export const dial = (
  endpoint: Endpoint.Input,
  options?: DialOptions
): Effect.Effect<Connection, DialError, Dialer | Scope.Scope> =>
  Effect.flatMap(Dialer, (dialer) => dialer.dial(endpoint, options))

/**
 * {@link dial}, where an attempt has succeeded once `establish` has, on its connection.
 *
 * One whose `establish` is slow keeps its place while the race goes on beside it, and loses when another is established
 * first; its socket is closed then, even if its own cleanup takes longer. When `establish` fails, the attempt has failed
 * with an `AttemptError` whose reason is `NotEstablished` and whose `cause` is that error.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { type Connection, Dialer } from "effect-dial"
 * import { Behaviour, SimNetwork } from "effect-dial/testing"
 * import * as assert from "node:assert"
 *
 * // The first of two servers accepts and never says a word.
 * const network = {
 *   hosts: {
 *     mute: { addresses: ["10.0.0.2"], listeners: { 25: Behaviour.silent } },
 *     mail: { addresses: ["10.0.0.3"], listeners: { 25: Behaviour.send("220 ready\r\n") } }
 *   },
 *   names: { "mail.test": ["10.0.0.2", "10.0.0.3"] }
 * }
 *
 * const greeting = (connection: Connection.Connection) =>
 *   Effect.map(connection.read, (bytes) => new TextDecoder().decode(Option.getOrUndefined(bytes)))
 *
 * const said = await SimNetwork.run(Dialer.dialWith("mail.test:25", greeting), network).pipe(Effect.runPromise)
 * assert.strictEqual(said, "220 ready\r\n")
 * ```
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { type Connection, Dialer } from "effect-dial"
 * import { Behaviour, SimNetwork } from "effect-dial/testing"
 * import * as assert from "node:assert"
 *
 * // Over UDP the first address is connected at once, and nobody is there.
 * const network = {
 *   hosts: {
 *     gone: { addresses: ["10.0.0.2"] },
 *     time: { addresses: ["10.0.0.3"], listeners: { "dgram 123": Behaviour.echo } }
 *   },
 *   names: { "time.test": ["10.0.0.2", "10.0.0.3"] }
 * }
 *
 * const answer = (connection: Connection.Connection) =>
 *   Effect.zipRight(connection.write("what time is it?"), Effect.map(connection.read, Option.getOrThrow))
 *
 * const answered = await SimNetwork.run(Dialer.dialWith("udp://time.test:123", answer), network).pipe(Effect.runPromise)
 * assert.strictEqual(new TextDecoder().decode(answered), "what time is it?")
 * ```
 *
 * @since 0.2.0
 * @category dialing
 */
export const dialWith = <A, E, R>(
  endpoint: Endpoint.Input,
  establish: Establish<A, E, R>,
  options?: DialOptions
): Effect.Effect<A, DialError, Dialer | R | Scope.Scope> =>
  Effect.flatMap(Dialer, (dialer) => dialer.dialWith(endpoint, establish, options))

/**
 * What happened in a dial that succeeded; one that failed tells the same in its error.
 *
 * @since 0.2.0
 * @category models
 */
export interface DialReport {
  /** Every address: attempted or not, with its source, its times, its outcome. */
  readonly attempts: ReadonlyArray<AttemptReport>
  /** The lookups that failed. */
  readonly unresolved: ReadonlyArray<ResolveError>
  readonly elapsedMillis: number
}

/**
 * {@link dial}, with what happened on the way beside the connection.
 *
 * @since 0.2.0
 * @category dialing
 */
export const dialReport = (
  endpoint: Endpoint.Input,
  options?: DialOptions
): Effect.Effect<
  { readonly connection: Connection; readonly report: DialReport },
  DialError,
  Dialer | Scope.Scope
> =>
  Effect.suspend(() => {
    const events: Array<DialEvent.DialEvent> = []
    return Effect.map(
      DialEvent.observe(dial(endpoint, options), () => (event) => events.push(event)),
      (connection) => {
        const elapsedMillis = events.at(-1)?.at ?? 0
        const attempts = DialEvent.reports(events, elapsedMillis, options?.addresses)
        return { connection, report: { attempts, unresolved: DialEvent.unresolved(events), elapsedMillis } }
      }
    )
  })

/**
 * The Dialer over the ports in the environment. Two more are used when they are there as the layer is built:
 * `SourceAddress`, for the order of RFC 6724 (without it the resolver's order stands), and `History`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Address, Dialer, Resolver } from "effect-dial"
 * import { NodeTransport } from "effect-dial/node"
 *
 * const names = Resolver.layerStatic({ "db.internal": [Address.unsafeParse("127.0.0.1")] })
 *
 * // This machine's sockets, and no name but one.
 * export const network = Layer.provide(Dialer.layer, Layer.merge(names, NodeTransport.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Dialer, never, Resolver | Transport> = Layer.scoped(
  Dialer,
  Effect.map(
    Effect.all([Resolver, Transport, Timers.make, Effect.serviceOption(SourceAddress), Effect.serviceOption(History)]),
    ([resolver, transport, timers, sourceAddress, history]) => {
      const ports: Ports = { resolver, transport, timers, sourceAddress, history, warned: MutableRef.make(false) }
      return {
        dial: (endpoint, options) => dialEndpoint(ports, endpoint, undefined, options ?? {}),
        dialWith: (endpoint, establish, options) => dialEndpoint(ports, endpoint, establish, options ?? {})
      }
    }
  )
)

/**
 * Twisted: `resolveAddress`. Every address a dial of the endpoint would attempt, in the plan's order, once all answers
 * are in. A literal address or a path is its own answer and the Resolver is not asked. Fails with `ResolveError` when
 * the name gives none. The order is RFC 6724's when `SourceAddress` is in the environment.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Address, Dialer, Endpoint, Resolver } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const names = Resolver.layerStatic({
 *   "web.internal": ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(Address.unsafeParse)
 * })
 *
 * const addresses = await Dialer.resolveAddress(Endpoint.unsafeParse("web.internal:80")).pipe(
 *   Effect.provide(names),
 *   Effect.runPromise
 * )
 * assert.deepStrictEqual(addresses.map(String), ["[2001:db8::1]:80", "192.0.2.1:80", "192.0.2.2:80"])
 * ```
 *
 * @since 0.1.0
 * @category resolving
 */
export const resolveAddress = (
  endpoint: Endpoint.Endpoint,
  options: Resolution.ResolutionOptions = {}
): Effect.Effect<ReadonlyArray<Address.SocketAddress>, ResolveError, Resolver> =>
  Endpoint.requiresResolution(endpoint)
    ? Effect.flatMap(
      Effect.all([Resolver, Effect.serviceOption(SourceAddress), Effect.serviceOption(History)]),
      ([resolver, sourceAddress, history]) => {
        const errors: Array<ResolveError> = []
        const newest = MutableRef.make<ReadonlyArray<Address.SocketAddress>>([])
        return Effect.flatMap(
          Resolution.run({ resolver, order: orderBy(sourceAddress, history, options.policy) }, endpoint, options, {
            answered: (_, answer) =>
              Effect.sync(() => {
                const error = errorOf(answer)
                if (error !== undefined) errors.push(error)
              }),
            planned: (plan) => Effect.sync(() => MutableRef.set(newest, plan.map(({ address }) => address)))
          }),
          () =>
            MutableRef.get(newest).length > 0
              ? Effect.succeed(MutableRef.get(newest))
              : Effect.fail(noAddress(Endpoint.hostText(endpoint), errors))
        )
      }
    )
    : Effect.succeed([literal(endpoint)])

// -----------------------------------------------------------------------------
// one dial
// -----------------------------------------------------------------------------

interface Ports {
  readonly resolver: Resolver["Type"]
  readonly transport: Transport["Type"]
  readonly timers: Timers
  readonly sourceAddress: Option.Option<SourceAddress["Type"]>
  readonly history: Option.Option<History["Type"]>
  /** Whether anybody was told that an attempt delay is too short. */
  readonly warned: MutableRef.MutableRef<boolean>
}

const dialEndpoint = <A = Connection, E = never, R = never>(
  ports: Ports,
  input: Endpoint.Input,
  establish: Establish<A, E, R> | undefined,
  options: DialOptions
): Effect.Effect<A, DialError, R | Scope.Scope> =>
  Effect.flatMap(
    Either.flatMap(Endpoint.fromInput(input), spoken),
    (endpoint) =>
      Effect.flatMap(Journal.begin(endpoint), (journal) =>
        attemptAll(ports, endpoint, establish, options, journal).pipe(
          Effect.tapError((error) => journal.record((at) => ({ _tag: "DialFailed", at, error })))
        ))
  )

/**
 * What this Dialer speaks is what a Transport carries. A TLS endpoint is for a Dialer made from this one, which dials
 * `Endpoint.transport` of it and establishes TLS on that; in plaintext nobody asked for it.
 */
const spoken = (endpoint: Endpoint.Endpoint): Either.Either<Spoken, InvalidEndpoint> =>
  endpoint._tag === "Tls"
    ? Either.left(
      new InvalidEndpoint({
        input: Endpoint.format(endpoint),
        position: 0,
        reason: "this Dialer speaks no TLS; one that Tls.layer makes does"
      })
    )
    : Either.right(endpoint)

type Spoken = Exclude<Endpoint.Endpoint, Endpoint.TlsEndpoint>

/** Resolve, plan and race, within the deadline: the race waits for answers as it does for attempts. */
const attemptAll = <A, E, R>(
  ports: Ports,
  endpoint: Spoken,
  establish: Establish<A, E, R> | undefined,
  options: DialOptions,
  journal: Journal
): Effect.Effect<A, DialError, R | Scope.Scope> => {
  const dial = { ports, socketType: Endpoint.socketType(endpoint), establish, options, journal }
  if (options.addresses !== undefined) return raced(dial, options.addresses)
  return Endpoint.requiresResolution(endpoint)
    ? resolved(ports, endpoint, options, journal, (candidates, later) => raced(dial, candidates, later))
    : raced(dial, [literal(endpoint)])
}

/** Where the plans after the first come from. */
type Later = (offer: (plan: Effect.Effect<HappyEyeballs.Plan<Address.SocketAddress>>) => void) => void

/** One dial, whose addresses come from somewhere. */
interface Dial<A, E, R> {
  readonly ports: Ports
  readonly socketType: Address.SocketType
  readonly establish: Establish<A, E, R> | undefined
  readonly options: DialOptions
  readonly journal: Journal
}

const raced = <A, E, R>(
  { establish, journal, options, ports, socketType }: Dial<A, E, R>,
  candidates: ReadonlyArray<Address.SocketAddress>,
  later?: Later
): Effect.Effect<A, DialError, R | Scope.Scope> => {
  const { timers, transport } = ports
  const deadline = options.timeout === undefined ? defaultTimeoutMillis : finite(options.timeout)
  const attemptLimit = options.attemptTimeout === undefined ? undefined : finite(options.attemptTimeout)
  // With one address and no name the deadline is that attempt's limit: no race, and one timer.
  const sole = establish === undefined && candidates.length === 1 && later === undefined && deadline !== undefined &&
    (attemptLimit === undefined || deadline <= attemptLimit)
  const outOfTime = (error: AttemptError) => sole && error.reason === "AttemptTimeout"
  const socket = options.socket === undefined
    ? SocketOptions.defaults
    : { ...SocketOptions.defaults, ...options.socket }
  const request = (address: Address.SocketAddress): OpenRequest => ({
    socketType,
    address,
    localAddress: address.family === "unix" ? undefined : options.localAddress?.[address.family],
    options: socket
  })
  const connect: Connect = (address, scope, limit) =>
    Attempt.connectIn(scope, transport, request(address), limit, timers)
  const establishing = establish && new Establishing(establish, connect, attemptLimit, journal)
  // A datagram socket is connected by this machine alone: no packet, no round trip, and nobody has answered.
  const answered = socketType === "stream" || establish !== undefined
  const record = recorder(answered ? ports.history : Option.none(), journal)
  journal.planned = candidates
  const racing = HappyEyeballs.race<Address.SocketAddress, A, AttemptError, R>({
    candidates,
    later,
    timers,
    attemptDelay: options.attemptDelay,
    maxInFlight: options.maxInFlight,
    sent: (error) => (socketType === "stream" || error.operation === "establish") && sentPacket(error),
    timeout: sole ? undefined : deadline,
    attempt: establishing === undefined
      ? (address, scope) => connect(address, scope, sole ? deadline : attemptLimit) as Effect.Effect<A, AttemptError>
      : establishing.attempt,
    begin: establishing === undefined
      ? (address, scope, settled) =>
        Attempt.begin(
          scope,
          transport,
          request(address),
          attemptLimit,
          timers,
          settled as (exit: Exit.Exit<Connection, AttemptError>) => void
        )
      : undefined,
    abandon: establishing?.abandon,
    onSuccess: journal.observed
      ? (value, attempt) => connected(journal, establishing?.connections.get(attempt) ?? value as Connection)
      : undefined,
    onEvent: (event) =>
      record(event._tag === "Failed" && outOfTime(event.error) ? { ...event, _tag: "Stopped" } : event)
  }).pipe(
    Effect.catchAll((error): Effect.Effect<never, DialError> =>
      deadline !== undefined && (error._tag === "RaceTimeout" || error.failures.some(({ error }) => outOfTime(error)))
        ? journal.timeout(deadline)
        : journal.failure
    )
  )
  return options.attemptDelay === undefined ? racing : Effect.zipRight(warn(ports, options.attemptDelay), racing)
}

type Connect = (
  address: Address.SocketAddress,
  scope: Scope.CloseableScope,
  limit: number | undefined
) => Effect.Effect<Connection, AttemptError>

/** The attempts of a dial that is over only when something more than a connection is there. */
class Establishing<A, E, R> {
  /** The connections of the attempts, by their numbers. */
  readonly connections = new Map<number, Connection>()

  constructor(
    private readonly establish: Establish<A, E, R>,
    private readonly connect: Connect,
    private readonly limit: number | undefined,
    private readonly journal: Journal
  ) {}

  readonly attempt = (
    address: Address.SocketAddress,
    scope: Scope.CloseableScope,
    attempt: number
  ): Effect.Effect<A, AttemptError, R> => {
    const whole = Effect.flatMap(this.connect(address, scope, undefined), (connection) => {
      this.connections.set(attempt, connection)
      const { localAddress } = connection
      const secured = (session: TlsSession) =>
        this.journal.record((at) => ({ _tag: "AttemptSecured", at, attempt, address, session }))
      return this.journal.record((at) => ({ _tag: "AttemptEstablishing", at, attempt, address, localAddress })).pipe(
        // What it acquires is closed before the connection, which the same Scope has had for longer.
        Effect.zipRight(Scope.extend(Effect.suspend(() => this.establish(connection, { secured })), scope)),
        Effect.mapError((cause) =>
          new AttemptError({ operation: "establish", address, reason: "NotEstablished", cause })
        )
      )
    })
    if (this.limit === undefined) return whole
    const outOfTime = () =>
      new AttemptError({
        operation: this.connections.has(attempt) ? "establish" : "connect",
        address,
        reason: "AttemptTimeout"
      })
    return within(whole, this.limit, () => Effect.fail(outOfTime()))
  }

  /** The socket of a loser goes at once; what was established over it is closed after that, and not waited for. */
  readonly abandon = (attempt: number): Effect.Effect<void> => {
    const connection = this.connections.get(attempt)
    return connection === undefined ? Effect.void : Effect.asVoid(Effect.forkDaemon(connection.abort))
  }
}

const connected = (journal: Journal, { localAddress, remoteAddress: address }: Connection): Effect.Effect<void> =>
  journal.record((at) => ({ _tag: "Connected", at, address, localAddress }))

/** A stagger under the recommended floor is a mistake more often than a need; said once for each Dialer. */
const warn = ({ warned }: Ports, delay: HappyEyeballs.AttemptDelay): Effect.Effect<void> =>
  Effect.suspend(() => {
    const short = !Schedule.isSchedule(delay) &&
      Duration.lessThan(delay, HappyEyeballs.recommendedMinimumAttemptDelay)
    if (!short || MutableRef.get(warned)) return Effect.void
    MutableRef.set(warned, true)
    return Effect.logWarning(
      `an attempt delay of ${
        Duration.format(delay)
      } is under the ${HappyEyeballs.recommendedMinimumAttemptDelay} that ` +
        "RFC 8305 recommends at least, and loads networks with connections nobody uses"
    )
  })

/** The race's events as the dial's, and what they teach. */
const recorder = (history: Ports["history"], journal: Journal) =>
(
  event: HappyEyeballs.RaceEvent<Address.SocketAddress, AttemptError>
): Effect.Effect<void> => {
  const told = journal.record((at) => dialEvent(event, at))
  return Option.isNone(history) || event._tag === "Started" || event._tag === "Stopped"
    ? told
    : Effect.zipRight(told, learn(history.value, journal, event.candidate))
}

/** What an attempt that ended teaches of its address, where its source is known. */
const learn = (history: History["Type"], journal: Journal, address: Address.SocketAddress): Effect.Effect<void> =>
  Effect.suspend(() => {
    const report = journal.reportOf(address)
    if (address._tag === "Unix" || report?.source === undefined) return Effect.void
    return report.outcome === "Connected"
      ? history.learn(address.ip, report.source, { _tag: "Connected", roundTrip: report.endedAt - report.startedAt })
      : history.learn(address.ip, report.source, { _tag: "Failed" })
  })

const dialEvent = (
  event: HappyEyeballs.RaceEvent<Address.SocketAddress, AttemptError>,
  at: number
): DialEvent.DialEvent => {
  const { attempt, candidate: address } = event
  switch (event._tag) {
    case "Started":
      return { _tag: "AttemptStarted", at, attempt, address }
    case "Connected":
      return { _tag: "AttemptConnected", at, attempt, address }
    case "Failed":
      return { _tag: "AttemptFailed", at, attempt, address, error: event.error }
    case "Stopped":
      return { _tag: "AttemptStopped", at, attempt, address, error: new ConnectStopped({ target: String(address) }) }
  }
}

const defaultTimeoutMillis = Duration.toMillis(defaultTimeout)

/** In milliseconds; `undefined` for a duration without end. */
const finite = (duration: Duration.DurationInput): number | undefined => {
  const millis = Duration.toMillis(duration)
  return Number.isFinite(millis) ? millis : undefined
}

// -----------------------------------------------------------------------------
// resolution
// -----------------------------------------------------------------------------

/** The one address of an endpoint that needs no resolution. */
const literal = (endpoint: Endpoint.Literal): Address.SocketAddress =>
  endpoint._tag === "Unix" ? Address.unix(endpoint.path) : Address.socketAddress(endpoint.host, endpoint.port)

/**
 * Resolve for a race. What is known at once (from a cache, say) is its plan from the start, and costs no fiber; every
 * plan after that is offered as it is made.
 */
const resolved = <A, E, R>(
  ports: Ports,
  endpoint: Endpoint.Named,
  options: DialOptions,
  journal: Journal,
  race: (candidates: ReadonlyArray<Address.SocketAddress>, later: Later | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const { history, resolver, sourceAddress, timers } = ports
  const name = String(endpoint.host)
  const newest = MutableRef.make<ReadonlyArray<Address.SocketAddress>>([])
  journal.unanswered = options.families ?? families
  const order = orderBy(sourceAddress, history, options.policy)
  const resolution = new Resolution.Resolution({ resolver, order, timers }, endpoint, options, {
    answered: (name, answer) => told(journal, name, answer),
    planned: (candidates) =>
      Effect.map(journal.record((at) => ({ _tag: "Planned", at, candidates })), () => {
        MutableRef.set(newest, candidates.map(({ address }) => address))
      })
  })
  const plan = Effect.map(resolution.catchUp, (final) => {
    if (final) journal.unanswered = []
    return { candidates: MutableRef.get(newest), final }
  })
  const later: Later = (offer) => resolution.wakes(() => offer(plan))
  return Effect.uninterruptibleMask((restore) =>
    journal.record((at) => ({ _tag: "ResolutionStarted", at, name })).pipe(
      Effect.zipRight(resolution.begin),
      Effect.zipRight(Effect.matchCauseEffect(
        Effect.flatMap(plan, ({ candidates, final }) => restore(race(candidates, final ? undefined : later))),
        {
          onFailure: (cause) =>
            Effect.zipRight(
              Cause.isInterrupted(cause) ? resolution.leave : resolution.leavePromptly,
              Effect.failCause(cause)
            ),
          onSuccess: (value) => Effect.as(resolution.leavePromptly, value)
        }
      ))
    )
  )
}

const told = (journal: Journal, name: string, answer: Answer | ResolveError): Effect.Effect<void> => {
  if (answer._tag === "Services") {
    return journal.record((at) => ({ _tag: "ServicesResolved", at, name, services: answer.services }))
  }
  const { family } = answer
  journal.unanswered = journal.unanswered.filter((asked) => asked !== family)
  return answer._tag === "Addresses"
    ? journal.record((at) => ({
      _tag: "AddressesResolved",
      at,
      name,
      family: answer.family,
      addresses: answer.addresses
    }))
    : journal.record((at) => ({
      _tag: "ResolutionFailed",
      at,
      name,
      error: answer._tag === "NoAddresses" ? answer.error : answer
    }))
}

const errorOf = (answer: Answer | ResolveError): ResolveError | undefined =>
  answer._tag === "ResolveError" ? answer : answer._tag === "NoAddresses" ? answer.error : undefined

/** RFC 6724's order, where the platform tells enough for it. */
const orderBy = (
  sourceAddress: Option.Option<SourceAddress["Type"]>,
  history: Option.Option<History["Type"]>,
  policy: AddressSelection.Policy | undefined
): Resolution.Order | undefined => {
  if (Option.isNone(sourceAddress)) return undefined
  const knowledge = { sourceAddress, policy, recall: Option.getOrUndefined(history)?.recall }
  return (addresses) =>
    Effect.map(
      AddressSelection.select(addresses, knowledge),
      (candidates) =>
        candidates.map(({ address, source }) =>
          source !== undefined && Option.isSome(source) ? { address, source: source.value } : { address }
        )
    )
}
