/**
 * A network in a test: deterministic, on Effect's Clock, with every failure a test may want.
 *
 * {@link layer} makes the network of a `Topology` and provides what `NodeNetwork.layer` provides (Transport, Resolver,
 * Dialer) and SourceAddress, as they are on the host named `"client"`, and the {@link SimNetwork} service that steers
 * the network while a test runs. {@link run} does all of it for one effect, in a `Simulation`, and fails when the effect
 * leaked.
 *
 * What is simulated is what a program can see of a network through a socket: handshakes and their retries, refusals,
 * windows and backpressure, half-close, resets that discard what is under way, ephemeral ports, datagrams, UNIX sockets.
 * The laws in `laws` hold here as they do on Node's sockets. What is not: congestion control, routing tables, MTUs.
 *
 * All randomness is the topology's seed, and whatever happens at one moment happens in one order, so that a run can be
 * repeated exactly. One network lives by one Clock, the one it was made under.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Address from "../Address.js"
import * as Connection from "../Connection.js"
import * as Dialer from "../Dialer.js"
import { AttemptError } from "../DialError.js"
import * as DialEvent from "../DialEvent.js"
import { impossible } from "../internal/impossible.js"
import { Resolver } from "../Resolver.js"
import { SourceAddress } from "../SourceAddress.js"
import { type OpenRequest, type SocketHandle, Transport } from "../Transport.js"
import type { Behaviour } from "./Behaviour.js"
import type { Injection } from "./Fault.js"
import { observing } from "./internal/dials.js"
import type { Host } from "./internal/Host.js"
import { Network } from "./internal/Network.js"
import { attemptError, type SimSocket } from "./internal/Socket.js"
import * as Simulation from "./Simulation.js"
import type { NameRecord, Topology } from "./Topology.js"
import type { Trace } from "./Trace.js"

/**
 * What one host's programs find in their environment.
 *
 * @since 0.1.0
 * @category models
 */
export type Ports = Resolver | Transport | SourceAddress

/**
 * What is open in the whole network now.
 *
 * @since 0.1.0
 * @category models
 */
export interface Accounting {
  /** Sockets opened through a Transport and not closed. */
  readonly dialed: number
  /** Sockets that listeners accepted and not closed; a datagram listener is one socket for all and accepts none. */
  readonly accepted: number
  /** Listeners, those of the topology among them. */
  readonly listening: number
  /** Bytes the network took from writers and readers have not read. */
  readonly bytesInFlight: number
  /** Events that are going to happen. */
  readonly pendingTimers: number
  /** Lookups without their last answer. */
  readonly lookups: number
}

/**
 * Something that is still open.
 *
 * @since 0.1.0
 * @category models
 */
export interface Leak {
  readonly what: "socket" | "listener" | "lookup"
  /** Which one, in words. */
  readonly description: string
  /** Milliseconds since the network was made. */
  readonly openedAt: number
  /** The fiber that opened it, and the spans it was in, innermost first. */
  readonly openedBy: string
}

/**
 * A program ended and left something open.
 *
 * @since 0.1.0
 * @category errors
 */
export class LeakDetected extends Data.TaggedError("LeakDetected")<{
  readonly leaks: readonly [Leak, ...ReadonlyArray<Leak>]
}> {
  override get message(): string {
    return `${this.leaks.length} left open: ${
      this.leaks.map(({ description, openedAt, openedBy, what }) =>
        `${what} ${description}, opened at ${openedAt} ms by ${openedBy}`
      ).join("; ")
    }`
  }
}

/**
 * The network under test, to be steered. Hosts are called by their names in the topology; a name that is none is a
 * defect.
 *
 * @since 0.1.0
 * @category service
 */
export class SimNetwork extends Context.Tag("effect-dial/testing/SimNetwork")<SimNetwork, {
  /** Lose every packet between two hosts: streams wait and send again, datagrams are gone. */
  readonly partition: (a: string, b: string) => Effect.Effect<void>
  /** Lose every packet from the first host to the second. */
  readonly partitionOneWay: (from: string, to: string) => Effect.Effect<void>
  /** End a partition; what streams had sent is sent again when its retransmission timer says so. */
  readonly repair: (a: string, b: string) => Effect.Effect<void>
  /** Keep every packet between two hosts. */
  readonly hold: (a: string, b: string) => Effect.Effect<void>
  /** Let what was held go on its way, in order. */
  readonly release: (a: string, b: string) => Effect.Effect<void>
  /** A host goes down with its sockets and behaviours and tells nobody. */
  readonly crash: (host: string) => Effect.Effect<void>
  /** A host comes back with its listeners, and knows nothing of the connections it had. */
  readonly restart: (host: string) => Effect.Effect<void>
  /** Change what a name is known for, for later lookups. */
  readonly setRecord: (name: string, record: NameRecord) => Effect.Effect<void>
  /** Add a fault, its time counted from now, until the Scope closes. */
  readonly inject: (injection: Injection) => Effect.Effect<void, never, Scope.Scope>
  /** Listen until the Scope closes: the address to dial. Port 0 is any free one. See `Topology.Host.listeners`. */
  readonly listen: (
    host: string,
    where: string,
    behaviour: Behaviour
  ) => Effect.Effect<Address.SocketAddress, never, Scope.Scope>
  /** Run an effect on another host: with its Transport, Resolver and SourceAddress. */
  readonly on: (
    host: string
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Ports>>
  /** Everything that happened so far. */
  readonly trace: Effect.Effect<Trace>
  readonly accounting: Effect.Effect<Accounting>
  /** See {@link expectQuiet}. */
  readonly expectQuiet: Effect.Effect<void, LeakDetected>
}>() {}

/**
 * Fails with `LeakDetected` when a program left open what it opened: a socket it dialed, a listener it added, a lookup
 * it no longer waits for. The listeners of the topology and what they accepted are the network's own.
 *
 * @since 0.1.0
 * @category accounting
 */
export const expectQuiet: Effect.Effect<void, LeakDetected, SimNetwork> = Effect.flatMap(
  SimNetwork,
  (network) => network.expectQuiet
)

/**
 * What {@link layer} provides.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided = SimNetwork | Ports | Dialer.Dialer

/**
 * A network. Build it where its clock is: inside the test, not around several.
 *
 * The dials under it are part of its trace; an observer that is in force when the layer is built is told as well.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (topology: Topology = {}): Layer.Layer<Provided> =>
  Layer.provideMerge(Dialer.layer, Layer.scopedContext(make(topology)))

/**
 * Run an effect on a network of its own in a `Simulation`, to its end, and then `expectQuiet`.
 *
 * The effect's Scope closes before that check. The topology's seed is also the seed of Effect's Random.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Dialer } from "effect-dial"
 * import { Behaviour, SimNetwork } from "effect-dial/testing"
 *
 * const program = Effect.gen(function*() {
 *   const connection = yield* Dialer.dial("web.test:80")
 *   yield* connection.write("hello")
 *   return yield* connection.read
 * })
 *
 * export const test = SimNetwork.run(program, {
 *   hosts: { web: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.echo } } },
 *   names: { "web.test": ["10.0.0.2"] },
 *   defaultLink: { latency: "20 millis" }
 * })
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const run = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  topology: Topology = {},
  options?: Simulation.Options
): Effect.Effect<A, E | LeakDetected | Simulation.Stuck, Exclude<R, Provided | Scope.Scope>> =>
  Simulation.run(
    Effect.provide(Effect.zipLeft(Effect.scoped(effect), expectQuiet), layer(topology)) as Effect.Effect<
      A,
      E | LeakDetected,
      Exclude<R, Provided | Scope.Scope>
    >,
    { seed: topology.seed, ...options }
  )

// -----------------------------------------------------------------------------
// the layer
// -----------------------------------------------------------------------------

const make = (topology: Topology): Effect.Effect<Context.Context<SimNetwork | Ports>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.clockWith(Effect.succeed)
    const runtime = yield* Effect.runtime()
    const { observers } = yield* DialEvent.Observer
    const network = yield* Effect.acquireRelease(
      Effect.sync(() => new Network(topology, clock, runtime, serveWith(runtime))),
      shutDown
    )
    return contextOf(network, network.host("client")).pipe(
      Context.add(SimNetwork, steering(network)),
      Context.add(DialEvent.Observer, { observers: [...observers, observing(network)] })
    )
  })

const contexts = new WeakMap<Host, Context.Context<Ports>>()

/** What programs on a host find: made once, and not for each connection it accepts. */
const contextOf = (network: Network, host: Host): Context.Context<Ports> => {
  const known = contexts.get(host)
  if (known !== undefined) return known
  const made = makeContext(network, host)
  contexts.set(host, made)
  return made
}

const makeContext = (network: Network, host: Host): Context.Context<Ports> =>
  Context.make(Transport, { open: (request) => open(network, host, request) }).pipe(
    Context.add(Resolver, { resolve: (name) => network.names.resolve(host.name, name) }),
    Context.add(SourceAddress, {
      sourceFor: (destination) => Effect.sync(() => Option.fromNullable(host.sourceFor(destination)))
    })
  )

const open = (network: Network, host: Host, request: OpenRequest): Effect.Effect<SocketHandle, AttemptError> =>
  Effect.flatMap(whoOpens, (openedBy) =>
    Clock.clockWith((clock) => {
      if (clock !== network.agenda.clock) return Effect.die(new Error(otherClock))
      const refused = impossible(request, Address.linuxUnixPathMaxBytes)
      if (refused !== undefined) {
        const [reason, detail] = refused
        const { address, localAddress } = request
        return Effect.fail(new AttemptError({ operation: "socket", address, localAddress, reason, detail }))
      }
      const socket = network.open(host, { ...request, address: Address.normalise(request.address) }, openedBy)
      return socket === undefined ? Effect.fail(attemptError(request, "socket", "EMFILE")) : Effect.succeed(socket)
    }))

const otherClock = "this simulated network lives by another Clock: provide SimNetwork.layer inside the effect that runs"

/** The spans around, and the fiber. */
const whoOpens: Effect.Effect<string> = Effect.flatMap(
  Effect.context<never>(),
  (context) =>
    Effect.fiberIdWith((id) => {
      const names: Array<string> = []
      let at = Context.getOption(context, Tracer.ParentSpan)
      while (Option.isSome(at) && at.value._tag === "Span") {
        names.push(at.value.name)
        at = at.value.parent
      }
      return Effect.succeed([`fiber #${id.id}`, ...names].join(", in "))
    })
)

/** Run a behaviour over an accepted socket. The host's ports are in the runtime: a fiber of its own copies them less. */
const serveWith = (runtime: Runtime.Runtime<never>) => {
  const runtimes = new Map<string, Runtime.Runtime<Ports>>()
  return (network: Network, behaviour: Behaviour, socket: SimSocket): void => {
    const host = network.host(socket.host)
    const known = runtimes.get(host.name)
    const own = known ?? Runtime.updateContext(runtime, () => contextOf(network, host))
    if (known === undefined) runtimes.set(host.name, own)
    const connection = Connection.fromHandle(socket, socket.request.socketType)
    const program = Effect.flatMap(
      Scope.make(),
      (scope) =>
        Effect.onExit(Scope.extend(Effect.suspend(() => behaviour(connection)), scope), (exit) =>
          Effect.zipRight(
            Scope.close(scope, exit),
            Effect.suspend(() => {
              if (Exit.isSuccess(exit)) return connection.close()
              network.behaved(socket, exit.cause)
              return connection.abort
            })
          ))
    )
    const fiber = Runtime.runFork(own)(program, { immediate: false })
    host.behaviours.add(fiber)
    fiber.addObserver(() => host.behaviours.delete(fiber))
  }
}

const shutDown = (network: Network): Effect.Effect<void> =>
  Effect.suspend(() => {
    const fibers = [...network.hosts.values()].flatMap((host) => crash(host))
    return Effect.zipRight(network.agenda.close, Fiber.interruptAll(fibers))
  })

/** Every socket of a host is gone; the fibers of its behaviours, to be interrupted. */
const crash = (host: Host): ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>> => {
  for (const socket of host.sockets) socket.crash()
  for (const { flows } of host.listeners.values()) for (const flow of flows) flow.crash()
  return [...host.behaviours]
}

// -----------------------------------------------------------------------------
// steering
// -----------------------------------------------------------------------------

const steering = (network: Network): Context.Tag.Service<SimNetwork> => {
  const steer = (what: string, change: () => void) =>
    Effect.sync(() => {
      network.steered(what)
      change()
    })
  const both = (a: string, b: string, state: Parameters<ReturnType<Network["path"]>["set"]>[0]) => {
    network.path(a, b).set(state)
    network.path(b, a).set(state)
  }
  return {
    partition: (a, b) => steer(`partition ${a} | ${b}`, () => both(a, b, { partitioned: true })),
    partitionOneWay: (from, to) =>
      steer(`partition ${from} -> ${to}`, () => network.path(from, to).set({ partitioned: true })),
    repair: (a, b) => steer(`repair ${a} - ${b}`, () => both(a, b, { partitioned: false })),
    hold: (a, b) => steer(`hold ${a} - ${b}`, () => both(a, b, { held: true })),
    release: (a, b) => steer(`release ${a} - ${b}`, () => both(a, b, { held: false })),
    crash: (name) =>
      Effect.suspend(() => {
        network.steered(`crash ${name}`)
        const host = network.host(name)
        network.setUp(host, false)
        // Not awaited: a behaviour that takes its time to clean up does so on a machine that is gone.
        return Effect.forEach(crash(host), Fiber.interruptFork, { discard: true })
      }),
    restart: (name) => steer(`restart ${name}`, () => network.setUp(network.host(name), true)),
    setRecord: (name, record) => steer(`record ${name}`, () => network.names.set(name, record)),
    inject: (injection) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          network.steered(`inject ${injection.fault._tag} on ${injection.target}`)
          return network.injections.inject(injection)
        }),
        (stop) => Effect.sync(stop)
      ),
    listen: (name, where, behaviour) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.map(whoOpens, (openedBy) => network.listen(network.host(name), where, behaviour, openedBy)),
          (listener) => network.unlisten(listener)
        ),
        ({ address }) => network.dialable(network.host(name), address)
      ),
    on: (name) => {
      const ports = contextOf(network, network.host(name))
      return (effect) => Effect.mapInputContext(effect, (context) => Context.merge(context, ports) as never)
    },
    trace: Effect.sync(() => [...network.trace]),
    accounting: Effect.sync(() => account(network)),
    expectQuiet: Effect.suspend(() => {
      const [first, ...others] = leaks(network)
      return first === undefined ? Effect.void : Effect.fail(new LeakDetected({ leaks: [first, ...others] }))
    })
  }
}

const account = (network: Network): Accounting => {
  const hosts = [...network.hosts.values()]
  const sockets = hosts.flatMap((host) => [...host.sockets])
  return {
    dialed: sockets.filter((socket) => socket.dialed).length,
    accepted: sockets.filter((socket) => !socket.dialed).length,
    listening: hosts.reduce((sum, host) => sum + host.listeners.size, 0),
    bytesInFlight: network.meter.bytes,
    pendingTimers: network.agenda.pending,
    lookups: network.names.pending.size
  }
}

const leaks = (network: Network): ReadonlyArray<Leak> => {
  const hosts = [...network.hosts.values()]
  return [
    ...hosts.flatMap((host) =>
      [...host.sockets].filter((socket) => socket.dialed).map((socket): Leak => ({
        what: "socket",
        description: `${socket.state} to ${socket.remoteAddress} on ${host.name}`,
        openedAt: socket.openedAt,
        openedBy: socket.openedBy
      }))
    ),
    ...hosts.flatMap((host) =>
      [...host.listeners.values()].flatMap(({ address, openedAt, openedBy }): ReadonlyArray<Leak> =>
        openedBy === undefined
          ? []
          : [{ what: "listener", description: `on ${address} of ${host.name}`, openedAt, openedBy }]
      )
    ),
    ...[...network.names.pending.values()].map(({ host, name, since }): Leak => ({
      what: "lookup",
      description: `of ${name}`,
      openedAt: since,
      openedBy: host
    }))
  ]
}
