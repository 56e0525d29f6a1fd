/**
 * What a TLS handshake agreed on, as a value: version, cipher, application protocol, whose certificate it was.
 *
 * Not here: the handshake (`Tls`), and the secrets of the session.
 *
 * @since 0.2.0
 */
import type { Certificate } from "./Certificate.js"

/**
 * A version of TLS that a connection may be made with.
 *
 * @since 0.2.0
 * @category models
 */
export type TlsVersion = "TLSv1.2" | "TLSv1.3"

/**
 * What was agreed on.
 *
 * @since 0.2.0
 * @category models
 */
export interface TlsSession {
  readonly protocol: TlsVersion
  /** The cipher suite, as IANA writes it: `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string
  /** The application protocol the peer chose (RFC 7301); `undefined` when none was offered, or it chose none. */
  readonly alpn: string | undefined
  /** The server name that was sent (SNI, RFC 6066 §3); `undefined` when none was. */
  readonly serverName: string | undefined
  /** What the certificate was checked to be for: a name or an IP address. */
  readonly expected: string
  /** Whether an earlier session was resumed, so that the peer showed no certificate anew. */
  readonly resumed: boolean
  /** Whether the certificate was verified; `false` only where that was switched off. */
  readonly verified: boolean
  /**
   * The peer's certificate, and behind it those it sent along, each the issuer of the one before. Of a resumed session
   * it is those it was made with.
   */
  readonly certificates: ReadonlyArray<Certificate>
}
