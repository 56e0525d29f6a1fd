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
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Address from "./Address.js"
import { type Connection, isConnection } from "./Connection.js"
import * as Endpoint from "./Endpoint.js"
import { TlsError } from "./TlsError.js"
import type { TlsSession, TlsVersion } from "./TlsSession.js"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * Whose certificates are taken. Texts are PEM, one certificate or list after another.
 *
 * @since 0.2.0
 * @category options
 */
export interface Trust {
  /**
   * The roots that are trusted, and no others.
   *
   * @default those that the platform comes with
   */
  readonly roots?: string | ReadonlyArray<string> | undefined
  /**
   * Trust the operating system's roots, beside `roots` or instead of the platform's. A platform that cannot tell them
   * (Node before 22.15) fails with `InvalidOptions`.
   *
   * @default false
   */
  readonly systemRoots?: boolean | undefined
  /**
   * Revocation lists. Where there are any, each certificate of a chain needs one of its issuer's that is valid.
   *
   * @default none: revocation is not looked at
   */
  readonly revocationLists?: string | ReadonlyArray<string> | undefined
  /**
   * The keys of which the chain needs one: the SHA-256 of a certificate's SubjectPublicKeyInfo in base64, as RFC 7469
   * §2.4 makes them. They are asked for beside everything else.
   *
   * @default none: any key
   */
  readonly pins?: ReadonlyArray<string> | undefined
  /**
   * Take any certificate, of anybody. Whoever is between can read and change everything; only `pins` are still asked
   * for.
   *
   * @default false
   */
  readonly dangerouslySkipVerification?: boolean | undefined
}

/**
 * What this side shows of itself: a certificate, with those of its issuers behind it, and its key. Texts are PEM.
 *
 * @since 0.2.0
 * @category options
 */
export interface Identity {
  readonly certificate: string
  readonly key: Redacted.Redacted<string>
  /** What the key is encrypted with, where it is. */
  readonly passphrase?: Redacted.Redacted<string> | undefined
}

/**
 * How to speak TLS. Every field has a default.
 *
 * @since 0.2.0
 * @category options
 */
export interface TlsOptions extends Trust {
  /**
   * Who the certificate has to be for, and the server name that is sent. An IP address is only checked and not sent,
   * as RFC 6066 §3 says.
   *
   * @default the host that was dialed; for an upgrade, the address that the connection has
   */
  readonly serverName?: string | undefined
  /**
   * The application protocols to offer, the preferred first. A peer that knows of the extension and has none of them in
   * common fails the handshake with `NoCommonAlpn`; one that does not chooses none.
   *
   * @default none
   */
  readonly alpn?: ReadonlyArray<string> | undefined
  /**
   * The oldest version to speak.
   *
   * @default "TLSv1.2"
   */
  readonly minVersion?: TlsVersion | undefined
  /**
   * The certificate to show to a peer that asks for one. Under TLS 1.3 a peer refuses it after the handshake: the next
   * read or write then fails with a `ConnectionLost` whose cause is the `TlsError`.
   *
   * @default none
   */
  readonly identity?: Identity | undefined
  /**
   * Resume an earlier session with the same endpoint, under the same options, where the peer lets us. Saves it the
   * signature and us the check.
   *
   * @default true
   */
  readonly resume?: boolean | undefined
  /**
   * How long the handshake may take; `Infinity` for as long as the dial's own deadline lets it.
   *
   * @default {@link defaultHandshakeTimeout}
   */
  readonly handshakeTimeout?: Duration.DurationInput | undefined
  /**
   * Take an end of the stream without a close_notify for an end, as some servers still do (RFC 8446 §6.1 forbids it).
   * Otherwise it is a `ConnectionLost` with the reason `Truncated`.
   *
   * @default false
   */
  readonly allowTruncation?: boolean | undefined
}

/**
 * How to upgrade a connection.
 *
 * @since 0.2.0
 * @category options
 */
export interface UpgradeOptions extends TlsOptions {
  /**
   * What was read from the connection and belongs to the handshake: a STARTTLS reply's reader may have read too far.
   * (A peer sends nothing before it was spoken to. What did come in the clear does not become trusted by being given
   * here: it breaks the handshake.)
   */
  readonly unread?: Uint8Array | undefined
}

/**
 * The handshake's own limit where none is named.
 *
 * @since 0.2.0
 * @category defaults
 */
export const defaultHandshakeTimeout: Duration.DurationInput = "10 seconds"

/**
 * The oldest version that is spoken where none is named. RFC 8996 deprecates those before it.
 *
 * @since 0.2.0
 * @category defaults
 */
export const defaultMinVersion: TlsVersion = "TLSv1.2"

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
 * - an upgrade that fails or is interrupted has closed the connection
 * - the Secured belongs to the Scope in the environment, and the connection it was made of is not used by anybody else:
 *   closing or aborting that one closes or aborts the Secured
 * - `end` sends a close_notify, and reading goes on; an orderly close sends one too
 * - the peer's close_notify is the end; an end without one is a `ConnectionLost` with the reason `Truncated`, where the
 *   platform lets one see it
 *
 * The limit of the handshake is kept by {@link upgrade}, not by the port.
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
    const handshake = tls.upgrade(connection, peer.right, options)
    const limit = Duration.decode(options.handshakeTimeout ?? defaultHandshakeTimeout)
    if (!Duration.isFinite(limit)) return handshake
    const timedOut = () =>
      new TlsError({
        address: connection.remoteAddress,
        expected: peer.right.expected,
        reason: "HandshakeTimeout",
        detail: `it had ${Duration.format(limit)}`
      })
    return Effect.timeoutFail(handshake, { duration: limit, onTimeout: timedOut })
  })

const noFlush = { flushTimeout: 0 }

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
