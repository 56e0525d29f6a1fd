/**
 * TLS: a connection made secure, and a Dialer of `tls://` endpoints made from the Dialer below.
 *
 * What must be true:
 *
 * - the certificate is verified for the name that was asked for, or the address where a literal was; not to verify it
 *   takes an option whose name says so
 * - bytes that were read before the upgrade and belong to it are not lost
 * - an upgrade that fails or is interrupted leaves the connection closed; nothing written has left in the clear
 * - in a dial the handshake is part of the attempt: of the race, of its limit, and of the one deadline; what failed is
 *   the attempt's `AttemptError`, with a `TlsError` for its cause
 *
 * Not here: a handshake. {@link Tls} is a port, and a platform is a Layer: `node/NodeTls` is one.
 *
 * TLS 1.3 is RFC 8446, TLS 1.2 RFC 5246; server names are RFC 6066 §3, application protocols RFC 7301.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Address from "./Address.js"
import { type Connection, isConnection } from "./Connection.js"
import * as Dialer from "./Dialer.js"
import { AllAttemptsFailed, type DialError, DialTimeout, InvalidEndpoint } from "./DialError.js"
import * as DialEvent from "./DialEvent.js"
import type { DialOptions } from "./DialOptions.js"
import * as Endpoint from "./Endpoint.js"
import { TlsError } from "./TlsError.js"
import type { TlsOptions, UpgradeOptions } from "./TlsOptions.js"
import type { TlsSession } from "./TlsSession.js"

export type { TlsOptions, UpgradeOptions } from "./TlsOptions.js"

// -----------------------------------------------------------------------------
// the port
// -----------------------------------------------------------------------------

/**
 * A connection over TLS: what it reads and writes is plain, what is sent is not.
 *
 * @since 0.2.0
 * @category models
 */
export interface Secured extends Connection {
  readonly tls: TlsSession
}

/**
 * Who the peer has to be.
 *
 * @since 0.2.0
 * @category models
 */
export interface Peer {
  /** The name, as A-labels without a trailing dot, or the IP address, that the certificate has to be for. */
  readonly expected: string
  /** The server name to send; `undefined` for none. */
  readonly serverName: string | undefined
}

/**
 * Twisted: `ITLSTransport.startTLS`. TLS over a connection, whatever carries it.
 *
 * Who writes a layer of it owes its users this:
 *
 * - an upgrade that fails or is interrupted has closed the connection; one that is not done within its
 *   `handshakeTimeout` fails
 * - the Secured belongs to the Scope in the environment, and the connection it was made of is not used by anybody else:
 *   closing or aborting that one closes or aborts the Secured
 * - `end` sends a close_notify, and reading goes on; an orderly close sends one too
 * - the peer's close_notify is the end; an end without one is a `ConnectionLost` with the reason `Truncated`, where the
 *   platform lets one see it
 *
 * @since 0.2.0
 * @category port
 */
export class Tls extends Context.Tag("effect-dial/Tls")<Tls, {
  readonly upgrade: (
    connection: Connection,
    peer: Peer,
    options: UpgradeOptions
  ) => Effect.Effect<Secured, TlsError, Scope.Scope>
}>() {}

/**
 * Tells whether a connection is one over TLS.
 *
 * @since 0.2.0
 * @category guards
 */
export const isSecured = (u: unknown): u is Secured => isConnection(u) && "tls" in u

/**
 * What was agreed on for a connection; none when it is not over TLS.
 *
 * @since 0.2.0
 * @category guards
 */
export const sessionOf = (connection: Connection): Option.Option<TlsSession> =>
  isSecured(connection) ? Option.some(connection.tls) : Option.none()

// -----------------------------------------------------------------------------
// upgrading
// -----------------------------------------------------------------------------

/**
 * Make a connection secure (STARTTLS). The peer must have agreed to it before: the first byte from here is TLS.
 *
 * The certificate has to be for `serverName`, or, without one, for the IP address that the connection has. Fails with
 * a `TlsError`; the connection is closed then, and when the upgrade is interrupted. The Secured belongs to the Scope in
 * the environment. The connection that was given is used up: its reads and writes are defects.
 *
 * @example
 * ```ts no-run
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Console, Effect } from "effect"
 * import { Dialer, Tls } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 *
 * const program = Effect.gen(function*() {
 *   const connection = yield* Dialer.dial("mail.example.com:25")
 *   yield* connection.read
 *   yield* connection.write("EHLO client.example.com\r\n")
 *   yield* connection.read
 *   yield* connection.write("STARTTLS\r\n")
 *   yield* connection.read
 *   const secured = yield* Tls.upgrade(connection, { serverName: "mail.example.com" })
 *   yield* Console.log(secured.tls.protocol, secured.tls.cipher)
 * })
 *
 * NodeRuntime.runMain(Effect.provide(Effect.scoped(program), NodeNetwork.layer))
 * ```
 *
 * @since 0.2.0
 * @category upgrading
 */
export const upgrade = (
  connection: Connection,
  options: UpgradeOptions = {}
): Effect.Effect<Secured, TlsError, Tls | Scope.Scope> =>
  Effect.flatMap(Tls, (tls) => upgradeFor(tls, connection, undefined, options))

/** {@link upgrade} with its port as a value, of a connection that was dialed to a host. */
const upgradeFor = (
  tls: Tls["Type"],
  connection: Connection,
  host: Endpoint.Host | undefined,
  options: UpgradeOptions
): Effect.Effect<Secured, TlsError, Scope.Scope> =>
  Effect.suspend(() => {
    const peer = peerOf(connection, host, options)
    if (Either.isLeft(peer)) return Effect.zipRight(connection.close(noFlush), Effect.fail(peer.left))
    return tls.upgrade(connection, peer.right, options)
  })

const noFlush = { flushTimeout: 0 }

// -----------------------------------------------------------------------------
// dialing
// -----------------------------------------------------------------------------

/**
 * A Dialer of `tls://host:port` made from the Dialer below, which dials everything else. The certificate has to be for
 * the host.
 *
 * @example
 * ```ts no-run
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Console, Effect, Stream } from "effect"
 * import { Dialer } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 *
 * const program = Effect.gen(function*() {
 *   const connection = yield* Dialer.dial("tls://example.com:443", { timeout: "5 seconds" })
 *   yield* connection.write("HEAD / HTTP/1.0\r\nHost: example.com\r\n\r\n")
 *   yield* Console.log(yield* Stream.mkString(Stream.decodeText(connection.stream)))
 * })
 *
 * // The network of Node has such a Dialer.
 * NodeRuntime.runMain(Effect.provide(Effect.scoped(program), NodeNetwork.layer))
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer: Layer.Layer<Dialer.Dialer, never, Dialer.Dialer | Tls> = Layer.suspend(() => layerWith({}))

/**
 * {@link layer}, where every `tls://` endpoint is dialed with these options.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Dialer, Resolver, Tls } from "effect-dial"
 * import { NodeTls, NodeTransport } from "effect-dial/node"
 * import { readFileSync } from "node:fs"
 *
 * const sockets = Layer.provide(Dialer.layer, Layer.merge(Resolver.layerStatic({}), NodeTransport.layer))
 *
 * // A Dialer that trusts the certificates of one company, and nobody else's.
 * export const network = (file: string) =>
 *   Layer.provide(
 *     Tls.layerWith({ roots: readFileSync(file, "utf8"), minVersion: "TLSv1.3" }),
 *     Layer.merge(sockets, NodeTls.layer)
 *   )
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layerWith = (options: TlsOptions): Layer.Layer<Dialer.Dialer, never, Dialer.Dialer | Tls> =>
  Layer.effect(
    Dialer.Dialer,
    Effect.map(Effect.all([Dialer.Dialer, Tls]), ([below, tls]) => ({
      // Not the one by the other: what needs nothing established is dialed faster.
      dial: (input, dialOptions) => {
        const endpoint = tlsEndpoint(input)
        return endpoint === undefined
          ? below.dial(input, dialOptions)
          : dialSecured(below, tls, endpoint, (connection) => Effect.succeed(connection), options, dialOptions)
      },
      dialWith: (input, establish, dialOptions) => {
        const endpoint = tlsEndpoint(input)
        return endpoint === undefined
          ? below.dialWith(input, establish, dialOptions)
          : dialSecured(below, tls, endpoint, establish, options, dialOptions)
      }
    }))
  )

/** What is no endpoint is for the Dialer below to say. */
const tlsEndpoint = (input: Endpoint.Input): Endpoint.TlsEndpoint | undefined =>
  Option.getOrUndefined(
    Option.filter(
      Either.getRight(Endpoint.fromInput(input)),
      (endpoint): endpoint is Endpoint.TlsEndpoint => endpoint._tag === "Tls"
    )
  )

/**
 * How to dial with TLS.
 *
 * @since 0.2.0
 * @category options
 */
export interface DialTlsOptions extends DialOptions, TlsOptions {}

/**
 * Dial an endpoint with TLS and with options of its own: `tls://host:port`; `host:port`, which is taken for that; or the
 * path of a UNIX socket, with a `serverName`.
 *
 * Fails as `Dialer.dial` does; where it was TLS that failed, the attempt's error is `NotEstablished` and its cause the
 * `TlsError`. `InvalidEndpoint` is also an endpoint of datagrams.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Tls, TlsError } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 * import * as assert from "node:assert"
 * import { once } from "node:events"
 * import * as Net from "node:net"
 *
 * // It speaks, and not TLS.
 * const server = Net.createServer((socket) => socket.end("220 hello\r\n")).listen(0, "127.0.0.1")
 * await once(server, "listening")
 * const { port } = server.address() as Net.AddressInfo
 *
 * const reason = await Tls.dial(`tls://127.0.0.1:${port}`, { timeout: "5 seconds", minVersion: "TLSv1.3" }).pipe(
 *   Effect.as("secured"),
 *   Effect.catchTag("AllAttemptsFailed", ({ attempts: [attempt] }) => {
 *     const cause = attempt?.outcome === "Failed" ? attempt.error.cause : undefined
 *     return Effect.succeed(TlsError.isTlsError(cause) ? cause.reason : "something else")
 *   }),
 *   Effect.scoped,
 *   Effect.provide(NodeNetwork.layer),
 *   Effect.runPromise
 * )
 * assert.strictEqual(reason, "NotTls")
 * server.close()
 * ```
 *
 * @since 0.2.0
 * @category dialing
 */
export const dial = (
  input: Endpoint.Input,
  options: DialTlsOptions = {}
): Effect.Effect<Secured, DialError, Dialer.Dialer | Tls | Scope.Scope> =>
  Effect.flatMap(
    Either.flatMap(Endpoint.fromInput(input), securable),
    (endpoint) =>
      Effect.contextWithEffect((context: Context.Context<Dialer.Dialer | Tls>) =>
        dialSecured(
          Context.get(context, Dialer.Dialer),
          Context.get(context, Tls),
          endpoint,
          (connection) => Effect.succeed(connection),
          options,
          options
        )
      )
  )

type SecurableEndpoint = Endpoint.TlsEndpoint | Endpoint.UnixEndpoint

const securable = (endpoint: Endpoint.Endpoint): Either.Either<SecurableEndpoint, InvalidEndpoint> => {
  switch (endpoint._tag) {
    case "Udp": {
      const input = Endpoint.format(endpoint)
      const reason = "TLS needs a stream, and this is an endpoint of datagrams"
      return Either.left(new InvalidEndpoint({ input, position: 0, reason }))
    }
    case "Tcp":
      return Endpoint.tls(endpoint.host, endpoint.port)
    default:
      return Either.right(endpoint)
  }
}

/** The handshake is the first half of what establishes an attempt. */
const dialSecured = <A, E, R>(
  below: Dialer.Dialer["Type"],
  tls: Tls["Type"],
  endpoint: SecurableEndpoint,
  establish: (connection: Secured, progress: Dialer.Progress) => Effect.Effect<A, E, R>,
  tlsOptions: TlsOptions,
  dialOptions: DialOptions | undefined
): Effect.Effect<A, DialError, R | Scope.Scope> => {
  const host = endpoint._tag === "Unix" ? undefined : endpoint.host
  const whole: Dialer.Establish<A, E | TlsError, R | Scope.Scope> = (connection, progress) =>
    Effect.flatMap(
      upgradeFor(tls, connection, host, tlsOptions),
      (secured) => Effect.zipRight(progress.secured(secured.tls), establish(secured, progress))
    )
  return endpoint._tag === "Tls"
    ? named(endpoint, (by) => below.dialWith(Endpoint.transport(endpoint), by(whole), dialOptions))
    : below.dialWith(endpoint, whole, dialOptions)
}

/**
 * A dial of a TLS endpoint by the name it was asked for: in its errors, and to its observers. What `by` is given runs
 * under the observers that were in force before.
 */
const named = <A, E, R>(
  endpoint: Endpoint.TlsEndpoint,
  dial: (
    by: <A, E, R>(establish: Dialer.Establish<A, E, R>) => Dialer.Establish<A, E, R>
  ) => Effect.Effect<A, E | DialError, R>
): Effect.Effect<A, E | DialError, R> =>
  Effect.flatMap(DialEvent.Observer, (outer) => {
    const { observers } = outer
    const dialing = observers.length === 0
      ? dial((establish) => establish)
      : Effect.provideService(
        dial((establish) => (connection, progress) =>
          Effect.provideService(establish(connection, progress), DialEvent.Observer, outer)
        ),
        DialEvent.Observer,
        { observers: observers.map((observe) => renaming(endpoint, observe)) }
      )
    return Effect.mapError(dialing, (error) => renamed(endpoint, error))
  })

const renaming = (endpoint: Endpoint.TlsEndpoint, observe: DialEvent.Observe): DialEvent.Observe => () => {
  const tell = observe(endpoint)
  return (event) => tell(event._tag === "DialFailed" ? { ...event, error: renamed(endpoint, event.error) } : event)
}

const renamed = <E>(endpoint: Endpoint.TlsEndpoint, error: E): E =>
  error instanceof AllAttemptsFailed
    ? new AllAttemptsFailed({ ...error, endpoint: String(endpoint) }) as E
    : error instanceof DialTimeout
    ? new DialTimeout({ ...error, endpoint: String(endpoint) }) as E
    : error

// -----------------------------------------------------------------------------
// peers
// -----------------------------------------------------------------------------

const peerOf = (
  connection: Connection,
  host: Endpoint.Host | undefined,
  { serverName }: TlsOptions
): Either.Either<Peer, TlsError> => {
  const { remoteAddress: address } = connection
  const refused = (expected: string, detail: string) =>
    Either.left(new TlsError({ address, expected, reason: "InvalidOptions", detail }))
  if (connection.socketType !== "stream") {
    return refused(serverName ?? String(address), "TLS needs a stream, and this is a socket of datagrams")
  }
  if (serverName !== undefined) {
    const literal = Address.parse(serverName)
    if (Either.isRight(literal)) return Either.right(literalPeer(literal.right))
    return Either.match(Endpoint.domainName(serverName), {
      onLeft: ({ reason }) => refused(serverName, `it cannot be a server name: ${reason}`),
      onRight: (name) => Either.right(namedPeer(name))
    })
  }
  if (host !== undefined) return Either.right(host._tag === "DomainName" ? namedPeer(host) : literalPeer(host))
  return address._tag === "Unix"
    ? refused(String(address), "a UNIX socket has no name that a certificate could be for: serverName has to say one")
    : Either.right(literalPeer(address.ip))
}

/** RFC 6066 §3: "The hostname is represented as a byte string using ASCII encoding without a trailing dot." */
const namedPeer = ({ ascii }: Endpoint.DomainName): Peer => ({ expected: ascii, serverName: ascii })

/** RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted in "HostName"." A zone is nobody's but ours. */
const literalPeer = (ip: Address.IpAddress): Peer => ({
  expected: ip._tag === "Ipv6Address" ? new Address.Ipv6Address(ip.groups, undefined).toString() : ip.toString(),
  serverName: undefined
})
