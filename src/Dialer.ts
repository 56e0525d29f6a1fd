/**
 * Endpoint in, connection out: resolve, plan, race, within one deadline.
 *
 * What must be true:
 *
 * - a literal address never touches the Resolver
 * - an answer is acted on as it comes; a family that is not answered holds back no other
 * - an unspecified address (0.0.0.0, ::) in an answer is not dialed: it is what a DNS sinkhole says for "no", and the
 *   kernel takes it for this machine; a mapped one is the IPv4 address it stands for
 * - a dial succeeds with a Connection that its Scope owns, or fails with an error that tells of every address, and of
 *   every lookup that failed; an interrupted or failed dial leaves nothing open, whatever its Scope does later
 * - the deadline covers everything from the name to the connection
 *
 * Not here: TLS, proxies, pools, retries. Each is a layer on top; a proxy is a Dialer made from a Dialer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Address from "./Address.js"
import * as AddressPlan from "./AddressPlan.js"
import * as Attempt from "./Attempt.js"
import type { Connection } from "./Connection.js"
import { type AttemptError, ConnectStopped, type DialError, type ResolveError } from "./DialError.js"
import type * as DialEvent from "./DialEvent.js"
import * as Endpoint from "./Endpoint.js"
import * as HappyEyeballs from "./HappyEyeballs.js"
import { Journal, noAddress } from "./internal/journal.js"
import { Timers } from "./internal/timers.js"
import { type Answer, families, type IpFamily, Resolver } from "./Resolver.js"
import * as SocketOptions from "./SocketOptions.js"
import { Transport } from "./Transport.js"

/**
 * The deadline of a dial that names none.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultTimeout: Duration.DurationInput = "30 seconds"

/**
 * How to dial. Every field has a default.
 *
 * @since 0.1.0
 * @category models
 */
export interface DialOptions {
  /**
   * The whole dial's deadline: resolution and all attempts. `Infinity` for none.
   *
   * @default {@link defaultTimeout}
   */
  readonly timeout?: Duration.DurationInput | undefined
  /** The longest one attempt may take. `undefined`: as long as the kernel and the deadline let it. */
  readonly attemptTimeout?: Duration.DurationInput | undefined
  /**
   * The time between the starts of two attempts.
   *
   * @default {@link HappyEyeballs.defaultAttemptDelay}
   */
  readonly attemptDelay?: Duration.DurationInput | undefined
  /** The local address to dial from, for each family; port 0 for any port. A family without one is not bound. */
  readonly localAddress?: {
    readonly inet?: Address.SocketAddress | undefined
    readonly inet6?: Address.SocketAddress | undefined
  } | undefined
  /**
   * What to ask of the socket, over the defaults.
   *
   * @default {@link SocketOptions.defaults}
   */
  readonly socket?: SocketOptions.SocketOptions | undefined
  /** Attempt these, in this order, instead of resolving the endpoint's name. */
  readonly addresses?: ReadonlyArray<Address.SocketAddress> | undefined
}

/**
 * The service that dials.
 *
 * `dial` fails with `InvalidEndpoint` for text that is not an endpoint, `ResolveError` when the name gave no address,
 * `AllAttemptsFailed` when no address connected, `DialTimeout` at the deadline. The Connection belongs to the Scope in
 * the environment. Interrupting a dial frees its sockets at once.
 *
 * @since 0.1.0
 * @category service
 */
export class Dialer extends Context.Tag("effect-dial/Dialer")<Dialer, {
  readonly dial: (
    endpoint: Endpoint.Input,
    options?: DialOptions
  ) => Effect.Effect<Connection, DialError, Scope.Scope>
}>() {}

/**
 * Dial an endpoint with the Dialer in the environment: see {@link Dialer}.
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
 * The Dialer over the ports in the environment.
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
  Effect.map(Effect.all([Resolver, Transport, Timers.make]), ([resolver, transport, timers]) => ({
    dial: (endpoint, options) => dialEndpoint({ resolver, transport, timers }, endpoint, options ?? {})
  }))
)

/**
 * Twisted: `resolveAddress`. Every address a dial of the endpoint would attempt, in the plan's order, once all answers
 * are in. A literal address or a path is its own answer and the Resolver is not asked. Fails with `ResolveError` when
 * the name gives none.
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
  endpoint: Endpoint.Endpoint
): Effect.Effect<ReadonlyArray<Address.SocketAddress>, ResolveError, Resolver> =>
  Endpoint.requiresResolution(endpoint)
    ? Effect.flatMap(Resolver, (resolver) => {
      const errors: Array<ResolveError> = []
      const answers = new Answers(endpoint.port)
      return Effect.flatMap(
        ask(resolver, endpoint, (answer) =>
          Effect.sync(() => {
            if (answer._tag === "Addresses") answers.add(answer)
            else if (answer._tag !== "Services") errors.push(answer._tag === "NoAddresses" ? answer.error : answer)
          })),
        () =>
          answers.plan.length > 0
            ? Effect.succeed(answers.plan)
            : Effect.fail(noAddress(Endpoint.hostText(endpoint), errors))
      )
    })
    : Effect.succeed([literal(endpoint)])

// -----------------------------------------------------------------------------
// one dial
// -----------------------------------------------------------------------------

interface Ports {
  readonly resolver: Resolver["Type"]
  readonly transport: Transport["Type"]
  readonly timers: Timers
}

const dialEndpoint = (
  ports: Ports,
  input: Endpoint.Input,
  options: DialOptions
): Effect.Effect<Connection, DialError, Scope.Scope> =>
  Effect.flatMap(
    Endpoint.fromInput(input),
    (endpoint) =>
      Effect.flatMap(Journal.begin(endpoint), (journal) =>
        attemptAll(ports, endpoint, options, journal).pipe(
          Effect.tapError((error) => journal.record((at) => ({ _tag: "DialFailed", at, error })))
        ))
  )

/** Resolve, plan and race, within the deadline: the race waits for answers as it does for attempts. */
const attemptAll = (
  { resolver, timers, transport }: Ports,
  endpoint: Endpoint.Endpoint,
  options: DialOptions,
  journal: Journal
): Effect.Effect<Connection, DialError, Scope.Scope> => {
  const known = options.addresses ?? (Endpoint.requiresResolution(endpoint) ? undefined : [literal(endpoint)])
  const later = known === undefined && Endpoint.requiresResolution(endpoint)
    ? resolve(resolver, endpoint, journal)
    : undefined
  const deadline = options.timeout === undefined ? defaultTimeoutMillis : finite(options.timeout)
  const attemptLimit = options.attemptTimeout === undefined ? undefined : finite(options.attemptTimeout)
  // With one address and no name the deadline is that attempt's limit: no race, and one timer.
  const sole = known?.length === 1 && deadline !== undefined && (attemptLimit === undefined || deadline <= attemptLimit)
  const outOfTime = (error: AttemptError) => sole && error.reason === "AttemptTimeout"
  const socket = options.socket === undefined
    ? SocketOptions.defaults
    : { ...SocketOptions.defaults, ...options.socket }
  journal.planned = known ?? []
  return HappyEyeballs.race({
    candidates: journal.planned,
    later,
    attemptDelay: options.attemptDelay,
    timeout: sole ? undefined : deadline,
    attempt: (address, scope) =>
      Attempt.connectIn(
        scope,
        transport,
        {
          socketType: "stream",
          address,
          localAddress: address.family === "unix" ? undefined : options.localAddress?.[address.family],
          options: socket
        },
        sole ? deadline : attemptLimit,
        timers
      ),
    onSuccess: journal.observed
      ? ({ localAddress, remoteAddress: address }) =>
        journal.record((at) => ({ _tag: "Connected", at, address, localAddress }))
      : undefined,
    onEvent: (event) =>
      journal.record((at) =>
        dialEvent(event._tag === "Failed" && outOfTime(event.error) ? { ...event, _tag: "Stopped" } : event, at)
      )
  }).pipe(
    Effect.catchAll((error): Effect.Effect<never, DialError> =>
      deadline !== undefined && (error._tag === "RaceTimeout" || error.failures.some(({ error }) => outOfTime(error)))
        ? journal.timeout(deadline)
        : journal.failure
    )
  )
}

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

/** Ask the resolver. A failure of the whole lookup is told as its last word. */
const ask = (
  resolver: Resolver["Type"],
  endpoint: Endpoint.Named,
  tell: (answer: Answer | ResolveError) => Effect.Effect<void>
): Effect.Effect<void> => Effect.catchAll(Stream.runForEach(resolver.resolve(endpoint.host), tell), tell)

/** Ask the resolver for a race: each answer makes a new plan of all that is known. */
const resolve = (resolver: Resolver["Type"], endpoint: Endpoint.Named, journal: Journal) =>
(
  offer: (plan: ReadonlyArray<Address.SocketAddress>) => void
): Effect.Effect<void> => {
  const name = String(endpoint.host)
  const answers = new Answers(endpoint.port)
  const tell = (answer: Answer | ResolveError): Effect.Effect<void> => {
    if (answer._tag === "ResolveError" || answer._tag === "NoAddresses") {
      const error = answer._tag === "ResolveError" ? answer : answer.error
      journal.unanswered = journal.unanswered.filter((family) => family !== error.family)
      return journal.record((at) => ({ _tag: "ResolutionFailed", at, name, error }))
    }
    if (answer._tag === "Services") return Effect.void
    const { addresses, family } = answer
    answers.add(answer)
    journal.unanswered = journal.unanswered.filter((asked) => asked !== family)
    journal.planned = answers.plan
    return Effect.map(
      journal.record((at) => ({ _tag: "AddressesResolved", at, name, family, addresses })),
      () => offer(answers.plan)
    )
  }
  journal.unanswered = families
  return journal.record((at) => ({ _tag: "ResolutionStarted", at, name })).pipe(
    Effect.zipRight(ask(resolver, endpoint, tell)),
    Effect.map(() => {
      journal.unanswered = []
    })
  )
}

/** The newest answer of each family, and the plan they make. */
class Answers {
  private readonly addresses = new Map<IpFamily, ReadonlyArray<Address.IpAddress>>()
  plan: ReadonlyArray<Address.SocketAddress> = []

  constructor(private readonly port: Address.Port) {}

  add({ addresses, family }: Extract<Answer, { _tag: "Addresses" }>): void {
    this.addresses.set(family, addresses.map(Address.unmap).filter((ip) => !Address.isUnspecified(ip)))
    this.plan = AddressPlan.interleave([...this.addresses.values()].flat())
      .map((ip) => Address.socketAddress(ip, this.port))
  }
}
