/**
 * How to speak TLS, as values: whom to trust, what to show of this side, what to offer.
 *
 * Texts of certificates and keys are PEM; what is secret is `Redacted`. Every field has a default, and the defaults are
 * safe: not to verify a peer takes an option whose name says so.
 *
 * Not here: how to dial (`DialOptions`), and what was agreed on (`TlsSession`).
 *
 * @since 0.2.0
 */
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type { TlsVersion } from "./TlsSession.js"

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
   * Otherwise it is a `ConnectionLost` with the reason `Truncated`. Node tells the two ends alike, and they are told
   * apart by how much came last: a cut in the first 85 bytes of a record is not seen.
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
