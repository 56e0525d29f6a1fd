/**
 * TLS by Node's own OpenSSL.
 *
 * A connection of `NodeTransport` gives its descriptor away to `node:tls`, and its bytes are encrypted where they pass
 * from the kernel; what anybody else connected is carried by a small stream over its reads and writes, so that TLS runs
 * over the simulated network and over a proxy too.
 *
 * What must be true:
 *
 * - no connection is handed out before its certificate is verified and its pins are found
 * - contexts and sessions are kept in bounds; a session is resumed only under the options it was made under, for the
 *   name or address it was verified for, and not after its certificate has expired
 * - a failed handshake has one `TlsError`, with the certificate at fault where the peer had sent it
 *
 * Where an end without a close_notify is not seen: see `internal/tlsHandle.ts`.
 *
 * @since 0.2.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import type { ConnectionOptions, TLSSocket } from "node:tls"
import type { Certificate } from "../Certificate.js"
import * as Connection from "../Connection.js"
import { ConnectionLost } from "../DialError.js"
import { setAlarm } from "../internal/alarm.js"
import { Timers } from "../internal/timers.js"
import { type Peer, type Secured, Tls } from "../Tls.js"
import { alertOf, fromOpenSsl, TlsError, type TlsReason } from "../TlsError.js"
import { defaultHandshakeTimeout, defaultMinVersion, type UpgradeOptions } from "../TlsOptions.js"
import type { TlsSession, TlsVersion } from "../TlsSession.js"
import type { CloseMode, SocketHandle } from "../Transport.js"
import { Carrier } from "./internal/carrier.js"
import { certificatesOf, pinsOf } from "./internal/certificates.js"
import { isTakeable, taken } from "./internal/taken.js"
import { Contexts, Sessions, type TlsContext } from "./internal/tlsContexts.js"
import { TlsHandle, type Wire } from "./internal/tlsHandle.js"

/**
 * Of how many endpoints sessions are kept for a resumption when nothing else is said. Each takes a few KiB.
 *
 * @since 0.2.0
 * @category defaults
 */
export const defaultSessionEndpoints = 100

/**
 * TLS by this process's OpenSSL, with sessions kept for {@link defaultSessionEndpoints}.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Dialer, Resolver, Tls } from "effect-dial"
 * import { NodeTls, NodeTransport } from "effect-dial/node"
 *
 * const sockets = Layer.provide(Dialer.layer, Layer.merge(Resolver.layerStatic({}), NodeTransport.layer))
 *
 * // Plain at first, then secure.
 * export const program = Dialer.dial("127.0.0.1:5432").pipe(
 *   Effect.flatMap((connection) => Tls.upgrade(connection, { serverName: "db.internal" })),
 *   Effect.map((secured) => secured.tls.protocol),
 *   Effect.scoped,
 *   Effect.provide(Layer.merge(sockets, NodeTls.layer))
 * )
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer: Layer.Layer<Tls> = Layer.suspend(() => layerWith({}))

/**
 * {@link layer}, with its options. Each build has sessions of its own.
 *
 * @since 0.2.0
 * @category layers
 */
export const layerWith = (options: {
  /**
   * Of how many endpoints sessions are kept; 0 for none.
   *
   * @default {@link defaultSessionEndpoints}
   */
  readonly sessionEndpoints?: number | undefined
}): Layer.Layer<Tls> =>
  Layer.scoped(
    Tls,
    Effect.map(Timers.make, (timers) => {
      const sessions = new Sessions(options.sessionEndpoints ?? defaultSessionEndpoints)
      const shared: Shared = { contexts: new Contexts(), sessions, timers }
      return { upgrade: (connection, peer, options) => upgrade(shared, connection, peer, options) }
    })
  )

/** What all handshakes of a layer share. */
interface Shared {
  readonly contexts: Contexts
  readonly sessions: Sessions
  readonly timers: Timers
}

const upgrade = (
  shared: Shared,
  connection: Connection.Connection,
  peer: Peer,
  options: UpgradeOptions
): Effect.Effect<Secured, TlsError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.runtime<Scope.Scope>(), (runtime) => {
      const { bequeath, closed, handle } = Connection.take(connection)
      const handshake = new Handshake(shared, handle, peer, options, runtime)
      return Effect.matchCauseEffect(handshake.done(restore), {
        onFailure: (cause) =>
          Effect.zipRight(Effect.zipRight(handshake.abandon(modeFor(cause)), closed), Effect.failCause(cause)),
        onSuccess: ({ session, tls }) => {
          const secured = Object.assign(Connection.fromHandle(tls, "stream", closed), { tls: session })
          bequeath(secured)
          const scope = Context.get(runtime.context, Scope.Scope)
          return Effect.as(Scope.addFinalizerExit(scope, Connection.closing(secured)), secured)
        }
      })
    })
  )

/** What went wrong is told to the peer, as far as TLS tells it; whoever gives up on a silent one leaves no FIN_WAIT. */
const modeFor = (cause: Cause.Cause<TlsError>): CloseMode =>
  cause._tag === "Fail" && cause.error.reason !== "HandshakeTimeout" ? "orderly" : "abort"

// -----------------------------------------------------------------------------
// one handshake
// -----------------------------------------------------------------------------

/** What a handshake came to. */
interface Established {
  readonly session: TlsSession
  readonly tls: TlsHandle
}

class Handshake {
  private tls: TlsHandle | undefined
  /** What Node has of the peer's certificates, once it has them. */
  private leaf: X509Certificate | undefined
  private verified = false
  /** The newest session that came before the peer was verified. */
  private early: Buffer | undefined
  private limit: Duration.Duration | undefined
  private late = false
  /** What happens at the limit; nothing once there is an outcome. */
  private atLimit: (() => void) | undefined

  constructor(
    private readonly shared: Shared,
    private readonly handle: SocketHandle,
    private readonly peer: Peer,
    private readonly options: UpgradeOptions,
    private readonly runtime: Runtime.Runtime<never>
  ) {}

  /** The handshake, within its limit. */
  done(
    restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  ): Effect.Effect<Established, TlsError> {
    const limit = Duration.decode(this.options.handshakeTimeout ?? defaultHandshakeTimeout)
    if (!Duration.isFinite(limit)) return restore(this.outcome)
    this.limit = limit
    const ring = () => {
      this.late = true
      this.atLimit?.()
    }
    return Effect.flatMap(setAlarm(this.shared.timers, limit, ring), (alarm) => {
      const outcome = Effect.ensuring(restore(this.outcome), alarm.stop)
      // An interruption that came while a fiber was being stopped is heard.
      return alarm.stopsAtOnce ? outcome : Effect.zipLeft(outcome, restore(Effect.void))
    })
  }

  private get outcome(): Effect.Effect<Established, TlsError> {
    return Effect.async((resume) => {
      const done = (exit: Effect.Effect<Established, TlsError>) => {
        this.atLimit = undefined
        resume(exit)
      }
      this.atLimit = () => done(Effect.fail(this.error("HandshakeTimeout", undefined)))
      if (this.late) return this.atLimit()
      try {
        const context = this.shared.contexts.for(this.options)
        const wire = this.wire()
        if (wire === undefined) done(Effect.flatMap(this.handle.lost, (lost) => Effect.fail(this.failure(lost))))
        else this.begin(context, wire, done)
      } catch (cause) {
        done(Effect.fail(this.error("InvalidOptions", cause)))
      }
    })
  }

  /** Leave nothing of it. */
  abandon(mode: CloseMode): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { tls } = this
      return tls === undefined
        ? this.handle.close(mode)
        : Effect.all([tls.stopReadingAndWriting, tls.close(mode), tls.release], { discard: true })
    })
  }

  private begin(context: TlsContext, wire: Wire, done: (exit: Effect.Effect<Established, TlsError>) => void): void {
    const { alpn, allowTruncation = false, dangerouslySkipVerification = false, resume = true } = this.options
    const { serverName } = this.peer
    const endpoint = this.endpoint(context)
    const ticket = resume ? this.shared.sessions.take(endpoint) : undefined
    const tls = this.tls = new TlsHandle(this.handle, wire, allowTruncation, (cause) => this.failure(cause))
    const options: ConnectionOptions = {
      secureContext: context.secure,
      rejectUnauthorized: !dangerouslySkipVerification,
      checkServerIdentity: () => this.misnamed(),
      ...serverName === undefined ? {} : { servername: serverName },
      ...alpn === undefined ? {} : { ALPNProtocols: [...alpn] },
      ...ticket === undefined ? {} : { session: ticket.session }
    }
    const outcome = (cause: unknown): Effect.Effect<Established, TlsError> => {
      const error = cause === undefined ? this.unpinned() : this.failure(cause)
      if (error !== undefined) {
        this.shared.sessions.forget(endpoint)
        return Effect.fail(error)
      }
      this.verified = true
      if (this.early !== undefined) this.keep(socket, endpoint, this.early)
      return Effect.succeed({ tls, session: this.agreed(socket) })
    }
    const socket = tls.shake(options, (cause) => {
      try {
        done(outcome(cause))
      } catch (defect) {
        // Thrown here it would be nobody's, and the handshake would not end.
        done(Effect.die(defect))
      }
    })
    // Before Node looks at the certificate: when it does not like it, it has forgotten it by the time of the error. Once,
    // because it takes the certificate away with it, and only here, before `checkServerIdentity`, which is given nothing.
    socket.prependListener("secure", () => {
      this.leaf = socket.isSessionReused() ? ticket?.leaf : socket.getPeerX509Certificate()
    })
    if (!resume) return
    socket.on("session", (session) => {
      if (this.verified) this.keep(socket, endpoint, session)
      else this.early = session
    })
  }

  /** What TLS is spoken over, with what has been read of it given back. `undefined` when it is dead. */
  private wire(): Wire | undefined {
    const { unread } = this.options
    if (!isTakeable(this.handle)) return new Carrier(this.handle, this.runtime, unread)
    const given = this.handle[taken]()
    if (given === undefined) return undefined
    const { socket } = given
    // Node makes the handshake begin with what a socket holds. The newest first: each goes before the others.
    for (const bytes of [given.unread, unread]) {
      if (bytes !== undefined && bytes.length > 0) socket.unshift(bytes)
    }
    return socket
  }

  /** What a session is kept for: not the address, since the hosts of a name share theirs more often than not. */
  private endpoint(context: TlsContext): string {
    const { remoteAddress } = this.handle
    const where = remoteAddress._tag === "Unix" ? String(remoteAddress) : remoteAddress.port
    return JSON.stringify([context.id, this.peer.expected, where, this.options.alpn])
  }

  private keep(socket: TLSSocket, endpoint: string, session: Buffer): void {
    const { leaf } = this
    if (leaf !== undefined) {
      this.shared.sessions.add(endpoint, { session, leaf, once: socket.getProtocol() === "TLSv1.3" })
    }
  }

  /**
   * Whether the certificate is for somebody else; OpenSSL has verified it otherwise. Not `tls.checkServerIdentity`: that
   * wants an object that costs as much as the signature, and takes a common name where there is no other (RFC 9525 §2).
   */
  private misnamed(): Error | undefined {
    const { expected } = this.peer
    const found = isIP(expected) === 0 ? this.leaf?.checkHost(expected, namesOnly) : this.leaf?.checkIP(expected)
    return found === undefined
      ? Object.assign(new Error(`the certificate is not for ${expected}`), { code: "ERR_TLS_CERT_ALTNAME_INVALID" })
      : undefined
  }

  private agreed(socket: TLSSocket): TlsSession {
    const { alpnProtocol } = socket
    return new Agreed(
      socket.getProtocol() as TlsVersion,
      socket.getCipher().standardName,
      alpnProtocol === false || alpnProtocol === null ? undefined : alpnProtocol,
      this.peer,
      socket.isSessionReused(),
      socket.authorized,
      this.leaf
    )
  }

  /** A chain without a pinned key. What is resumed had one, as these options are part of what a session is kept for. */
  private unpinned(): TlsError | undefined {
    const { pins } = this.options
    if (pins === undefined || this.tls?.resumed === true) return undefined
    const keys = pinsOf(this.leaf)
    return keys.some((key) => pins.includes(key))
      ? undefined
      : this.error("PinMismatch", undefined, `pinned is ${pins.join(" or ")}, and here is ${keys.join(", ")}`)
  }

  // ---------------------------------------------------------------------------
  // errors
  // ---------------------------------------------------------------------------

  /** The error that a failure of the handshake, or of TLS after it, is; `undefined` is a stream cut short. */
  private failure(cause: unknown): TlsError {
    if (cause === undefined) return this.error("Truncated", undefined)
    if (cause instanceof ConnectionLost) return this.error("ClosedDuringHandshake", cause)
    return this.error(fromOpenSsl((cause as NodeJS.ErrnoException).code), cause)
  }

  private error(reason: TlsReason, cause: unknown, detail = this.detailOf(reason, cause)): TlsError {
    const { code } = (cause ?? {}) as { readonly code?: string | undefined }
    const alert = alertOf(code)
    const certificate = atFault(reason, this.leaf)
    return new TlsError({
      address: this.handle.remoteAddress,
      expected: this.peer.expected,
      reason,
      ...alert === undefined ? {} : { alert },
      ...certificate === undefined ? {} : { certificate },
      ...detail === undefined ? {} : { detail },
      ...code === undefined ? {} : { code },
      ...cause === undefined ? {} : { cause }
    })
  }

  private detailOf(reason: TlsReason, cause: unknown): string | undefined {
    const { alpn = [], minVersion = defaultMinVersion } = this.options
    switch (reason) {
      case "NoCommonProtocol":
        return `${minVersion} or later is wanted`
      case "HandshakeTimeout":
        return this.limit && `it had ${Duration.format(this.limit)}`
      case "NoCommonAlpn":
        return `offered was ${alpn.join(", ")}`
      case "InvalidCertificate":
      case "InvalidOptions":
      case "ProtocolError":
      case "Unknown":
        return cause instanceof Error ? cause.message : undefined
      default:
        return undefined
    }
  }
}

/** RFC 9525 §6.3: a wildcard is the whole of the first label, and stands for one label. */
const namesOnly = { subject: "never", partialWildcards: false } as const

/** The certificate that a reason is about. OpenSSL tells no place in the chain; the dates and the order do. */
const atFault = (reason: TlsReason, leaf: X509Certificate | undefined): Certificate | undefined => {
  const chain = reasonsOfCertificates.has(reason) ? certificatesOf(leaf) : []
  const now = Date.now()
  switch (reason) {
    case "Expired":
      return chain.find(({ validTo }) => validTo.epochMillis < now) ?? chain[0]
    case "NotYetValid":
      return chain.find(({ validFrom }) => validFrom.epochMillis > now) ?? chain[0]
    case "UntrustedRoot":
      return chain.at(-1)
    default:
      return chain[0]
  }
}

const reasonsOfCertificates: ReadonlySet<TlsReason> = new Set<TlsReason>([
  "Expired",
  "NotYetValid",
  "WrongName",
  "UntrustedRoot",
  "SelfSigned",
  "IncompleteChain",
  "Revoked",
  "RevocationUnknown",
  "InvalidCertificate",
  "PinMismatch"
])

/** What was agreed on. Certificates are read when somebody asks: it costs as much as a tenth of a handshake. */
class Agreed implements TlsSession {
  readonly serverName: string | undefined
  readonly expected: string
  #leaf: X509Certificate | undefined
  #certificates: ReadonlyArray<Certificate> | undefined

  constructor(
    readonly protocol: TlsVersion,
    readonly cipher: string,
    readonly alpn: string | undefined,
    { expected, serverName }: Peer,
    readonly resumed: boolean,
    readonly verified: boolean,
    leaf: X509Certificate | undefined
  ) {
    this.serverName = serverName
    this.expected = expected
    this.#leaf = leaf
  }

  get certificates(): ReadonlyArray<Certificate> {
    return this.#certificates ??= certificatesOf(this.#leaf)
  }
}
