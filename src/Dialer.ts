/**
 * Endpoint in, connection out: resolve, plan, race, within one deadline.
 *
 * What must be true:
 *
 * - a literal address never touches the Resolver
 * - an answer is acted on as it comes; a family that is not answered holds back no other
 * - a dial succeeds with a Connection that its Scope owns, or fails with an error that tells of every address, and of
 *   every lookup that failed; an interrupted or failed dial leaves nothing open, whatever its Scope does later
 * - the deadline covers everything from the name to the connection
 *
 * Not here: TLS, proxies, pools, retries. Each is a layer on top; a proxy is a Dialer made from a Dialer.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
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
import {
  AllAttemptsFailed,
  type AttemptError,
  ConnectStopped,
  type DialError,
  DialTimeout,
  ResolveError
} from "./DialError.js"
import * as DialEvent from "./DialEvent.js"
import * as Endpoint from "./Endpoint.js"
import * as HappyEyeballs from "./HappyEyeballs.js"
import { Timers } from "./internal/timers.js"
import { type Answer, Resolver } from "./Resolver.js"
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
    ? Effect.gen(function*() {
      const answers = yield* Effect.flatMap(Resolver, (resolver) => Stream.runCollect(resolver.resolve(endpoint.host)))
      const found = plan([...answers], endpoint.port)
      return found.length > 0 ? found : yield* noAddress(
        String(endpoint.host),
        [...answers].flatMap((answer) => answer._tag === "NoAddresses" ? [answer.error] : [])
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
    ? plans(resolver, endpoint, journal)
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
      Attempt.connectIn(scope, transport, {
        socketType: "stream",
        address,
        localAddress: address.family === "unix" ? undefined : options.localAddress?.[address.family],
        options: socket
      }, { timeout: sole ? deadline : attemptLimit, timers }),
    onSuccess: journal.connected,
    onEvent: (event) =>
      journal.recordRace(event._tag === "Failed" && outOfTime(event.error) ? { ...event, _tag: "Stopped" } : event)
  }).pipe(
    Effect.catchAll((error): Effect.Effect<never, DialError> =>
      deadline !== undefined && (error._tag === "RaceTimeout" || error.failures.some(({ error }) => outOfTime(error)))
        ? journal.timeout(deadline)
        : journal.failure
    )
  )
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

/** Each answer makes a new plan of all the addresses known so far. A resolver's failure is one more negative answer. */
const plans = (
  resolver: Resolver["Type"],
  endpoint: Endpoint.Named,
  journal: Journal
): Stream.Stream<ReadonlyArray<Address.SocketAddress>> =>
  Stream.unwrap(Effect.gen(function*() {
    const name = String(endpoint.host)
    yield* journal.record((at) => ({ _tag: "ResolutionStarted", at, name }))
    const failed = (error: ResolveError) => journal.record((at) => ({ _tag: "ResolutionFailed", at, name, error }))
    return resolver.resolve(endpoint.host).pipe(
      Stream.catchAll((error) => Stream.drain(Stream.fromEffect(failed(error)))),
      Stream.tap((answer) =>
        answer._tag === "NoAddresses"
          ? failed(answer.error)
          : journal.record((at) => ({
            _tag: "AddressesResolved",
            at,
            name,
            family: answer.family,
            addresses: answer.addresses
          }))
      ),
      Stream.scan([] as ReadonlyArray<Answer>, (answers, answer) => [...answers, answer]),
      Stream.map((answers) => plan(answers, endpoint.port)),
      Stream.tap((planned) =>
        Effect.sync(() => {
          journal.planned = planned
        })
      )
    )
  }))

const plan = (answers: ReadonlyArray<Answer>, port: Address.Port): ReadonlyArray<Address.SocketAddress> =>
  AddressPlan.interleave(answers.flatMap((answer) => answer._tag === "Addresses" ? answer.addresses : []))
    .map((ip) => Address.socketAddress(ip, port))

/** No family had an address. The error that says most is told; all of them are its cause. */
const noAddress = (host: string, errors: ReadonlyArray<ResolveError>): Effect.Effect<never, ResolveError> => {
  const telling = errors.find((error) => error.reason !== "NotFound") ?? errors[0]
  return Effect.fail(
    new ResolveError({
      host,
      family: errors.length === 1 ? telling?.family : undefined,
      reason: telling?.reason ?? "NotFound",
      code: telling?.code,
      cause: errors
    })
  )
}

// -----------------------------------------------------------------------------
// the journal
// -----------------------------------------------------------------------------

/** The events of one dial: kept for the error's story, and told to the observer. */
class Journal {
  /** The newest plan, for what was never tried. */
  planned: ReadonlyArray<Address.SocketAddress> = []
  private readonly events: Array<DialEvent.DialEvent> = []

  private constructor(
    private readonly endpoint: Endpoint.Endpoint,
    private readonly startedAt: bigint,
    private readonly tellers: ReadonlyArray<(event: DialEvent.DialEvent) => void>
  ) {}

  static begin(endpoint: Endpoint.Endpoint): Effect.Effect<Journal> {
    return Effect.flatMap(DialEvent.Observer, ({ observers }) =>
      Effect.clockWith((clock) => {
        const startedAt = clock.unsafeCurrentTimeNanos()
        return observers.length === 0
          ? Effect.succeed(new Journal(endpoint, startedAt, []))
          : Effect.map(
            Effect.forEach(observers, (observe) => untroubled(() => observe(endpoint), () => {})),
            (tellers) => new Journal(endpoint, startedAt, tellers)
          )
      }))
  }

  private elapsed(clock: Clock.Clock): number {
    return Number(clock.unsafeCurrentTimeNanos() - this.startedAt) / 1e6
  }

  record(make: (at: number) => DialEvent.DialEvent): Effect.Effect<void> {
    return Effect.clockWith((clock) => {
      const event = make(this.elapsed(clock))
      this.events.push(event)
      return this.tellers.length === 0
        ? Effect.void
        : Effect.forEach(this.tellers, (tell) => untroubled(() => tell(event), undefined), { discard: true })
    })
  }

  /** Only for observers: no report needs it, and the local address is parsed for whoever asks. */
  get connected(): ((connection: Connection) => Effect.Effect<void>) | undefined {
    return this.tellers.length === 0 ?
      undefined :
      ({ localAddress, remoteAddress: address }) =>
        this.record((at) => ({ _tag: "Connected", at, address, localAddress }))
  }

  recordRace(event: HappyEyeballs.RaceEvent<Address.SocketAddress, AttemptError>): Effect.Effect<void> {
    const { attempt, candidate: address } = event
    return this.record((at) => {
      switch (event._tag) {
        case "Started":
          return { _tag: "AttemptStarted", at, attempt, address }
        case "Connected":
          return { _tag: "AttemptConnected", at, attempt, address }
        case "Failed":
          return { _tag: "AttemptFailed", at, attempt, address, error: event.error }
        case "Stopped":
          return {
            _tag: "AttemptStopped",
            at,
            attempt,
            address,
            error: new ConnectStopped({ target: String(address) })
          }
      }
    })
  }

  get story(): Effect.Effect<
    Pick<AllAttemptsFailed, "attempts" | "unresolved" | "elapsedMillis">
  > {
    return Effect.clockWith((clock) => {
      const elapsedMillis = this.elapsed(clock)
      return Effect.succeed({
        attempts: DialEvent.reports(this.events, elapsedMillis, this.planned),
        unresolved: DialEvent.unresolved(this.events),
        elapsedMillis
      })
    })
  }

  /** The error of a dial with no candidate left. */
  get failure(): Effect.Effect<never, AllAttemptsFailed | ResolveError> {
    return Effect.flatMap(
      this.story,
      (story): Effect.Effect<never, AllAttemptsFailed | ResolveError> =>
        story.attempts.length === 0 && this.events.some((event) => event._tag === "ResolutionStarted")
          ? noAddress(Endpoint.hostText(this.endpoint), story.unresolved)
          : Effect.fail(new AllAttemptsFailed({ endpoint: Endpoint.format(this.endpoint), ...story }))
    )
  }

  /** The error of a dial whose time is over. An attempt that it stopped was running; else it was waiting for a name. */
  timeout(timeoutMillis: number): Effect.Effect<never, DialTimeout> {
    return Effect.flatMap(this.story, ({ attempts, unresolved }) =>
      Effect.fail(
        new DialTimeout({
          endpoint: Endpoint.format(this.endpoint),
          phase: attempts.some((report) => report.outcome === "Stopped") ? "connecting" : "resolving",
          timeoutMillis,
          attempts,
          unresolved
        })
      ))
  }
}

/** An observer that throws is logged and gives `otherwise`; it never changes what it observes. */
const untroubled = <A>(call: () => A, otherwise: A): Effect.Effect<A> =>
  Effect.catchAllDefect(
    Effect.sync(call),
    (defect) => Effect.as(Effect.logError("a DialEvent observer threw", defect), otherwise)
  )
