/**
 * Why TLS failed, as a tagged error with a closed reason.
 *
 * The words are made in one place: {@link fromOpenSsl} turns the code of OpenSSL or Node into a reason, and
 * {@link alertOf} into the name of the peer's alert. The message names the peer, what its certificate had to be for, and
 * the certificate that was at fault: subject, names and dates. The raw `cause` is kept; no message is parsed.
 *
 * Not here: the handshake (`Tls` and its layers), and the other errors of a dial (`DialError`), whose `AttemptError` has
 * a TlsError for its cause when a handshake failed.
 *
 * TLS 1.3 is RFC 8446, the names of alerts its §6; certificates are RFC 5280, their matching with names RFC 9525.
 *
 * @since 0.2.0
 */
import * as Data from "effect/Data"
import type { SocketAddress } from "./Address.js"
import { type Certificate, describe } from "./Certificate.js"
import { printable } from "./internal/printable.js"

/**
 * Why TLS failed, made from a code by {@link fromOpenSsl} or by the step that failed.
 *
 * Of the peer's certificate, or one it stands on:
 *
 * - `Expired`, `NotYetValid`: the date is outside its validity
 * - `WrongName`: it is for other names than the one that was dialed; the common name of its subject is none (RFC 9525)
 * - `UntrustedRoot`: its chain ends at a root, or below one, that is not trusted
 * - `SelfSigned`: it is its own issuer, and not trusted itself
 * - `IncompleteChain`: the peer sent it alone, and its issuer is not trusted: an intermediate certificate is missing, or
 *   it is the trusted roots that lack one; the peer's bytes do not tell which
 * - `Revoked`: a revocation list that was given names it
 * - `RevocationUnknown`: revocation lists were given, and none that is valid covers it
 * - `InvalidCertificate`: anything else about it: its signature, its purpose, its key, what its issuer may issue
 * - `PinMismatch`: no certificate of the chain has a key that was pinned
 *
 * Of the handshake:
 *
 * - `HandshakeTimeout`: it was not done in its own time
 * - `PeerAlert`: the peer ended it with an alert; see `alert`
 * - `NoCommonProtocol`: no version of TLS that both sides accept
 * - `NoCommonAlpn`: none of the application protocols that were offered
 * - `ClosedDuringHandshake`: the connection ended or broke before it was done
 * - `NotTls`: what the peer sent is not TLS at all
 * - `ProtocolError`: the peer broke the rules of TLS
 * - `InvalidOptions`: a certificate, key or root given here cannot be used
 *
 * Of the connection after it:
 *
 * - `Truncated`: the peer's stream ended without its close_notify, so it may have been cut short
 *
 * And `Unknown`: a code this table does not have; kept in `code`.
 *
 * @since 0.2.0
 * @category models
 */
export type TlsReason =
  | "Expired"
  | "NotYetValid"
  | "WrongName"
  | "UntrustedRoot"
  | "SelfSigned"
  | "IncompleteChain"
  | "Revoked"
  | "RevocationUnknown"
  | "InvalidCertificate"
  | "PinMismatch"
  | "HandshakeTimeout"
  | "PeerAlert"
  | "NoCommonProtocol"
  | "NoCommonAlpn"
  | "ClosedDuringHandshake"
  | "NotTls"
  | "ProtocolError"
  | "InvalidOptions"
  | "Truncated"
  | "Unknown"

/**
 * TLS that failed.
 *
 * `expected` is the name or the IP address that the certificate had to be for. `certificate` is the one at fault, where
 * the peer had sent it. `alert` is the name of the peer's alert, as RFC 8446 §6 writes it. `code` is that of OpenSSL or
 * of the operating system; `detail` says what else there is to say.
 *
 * @example
 * ```ts
 * import { Address, TlsError } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const error = new TlsError.TlsError({
 *   address: Address.socketAddress(Address.unsafeParse("192.0.2.7"), Address.Port(443)),
 *   expected: "db.internal",
 *   reason: "PeerAlert",
 *   alert: "certificate_required"
 * })
 * assert.strictEqual(
 *   error.message,
 *   "TLS with db.internal at 192.0.2.7:443: the peer ended it with the alert certificate_required"
 * )
 * ```
 *
 * @since 0.2.0
 * @category models
 */
export class TlsError extends Data.TaggedError("TlsError")<{
  readonly address: SocketAddress
  readonly expected: string
  readonly reason: TlsReason
  readonly alert?: string | undefined
  readonly certificate?: Certificate | undefined
  readonly detail?: string | undefined
  readonly code?: string | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    const { address, alert, certificate, code, detail, expected, reason } = this
    const what = reason === "WrongName"
      ? `the certificate is not for ${expected}`
      : reason === "PeerAlert" && alert !== undefined
      ? `${reasonText[reason]} ${alert}`
      : reasonText[reason]
    return printable(
      [
        `TLS with ${expected} at ${address}: ${what}`,
        ...detail === undefined ? [] : [detail],
        ...certificate === undefined ? [] : [describe(certificate)]
      ].join(": ") + (code === undefined ? "" : ` (${code})`)
    )
  }
}

/**
 * Tells whether a value is a TlsError: whether it was TLS that made an `AttemptError` of its `cause`.
 *
 * @since 0.2.0
 * @category models
 */
export const isTlsError = (u: unknown): u is TlsError => u instanceof TlsError

const reasonText: { readonly [R in TlsReason]: string } = {
  Expired: "the certificate has expired",
  NotYetValid: "the certificate is not valid yet",
  WrongName: "the certificate is for another name",
  UntrustedRoot: "the certificate's root is not trusted",
  SelfSigned: "the certificate is self-signed and not trusted",
  IncompleteChain: "the certificate's issuer was not sent and is not trusted",
  Revoked: "the certificate was revoked",
  RevocationUnknown: "no valid revocation list covers the certificate",
  InvalidCertificate: "the certificate is not acceptable",
  PinMismatch: "no certificate has a pinned key",
  HandshakeTimeout: "the handshake was not done in time",
  PeerAlert: "the peer ended it with the alert",
  NoCommonProtocol: "no version of TLS in common",
  NoCommonAlpn: "no application protocol in common",
  ClosedDuringHandshake: "the connection ended during the handshake",
  NotTls: "the peer does not speak TLS",
  ProtocolError: "the peer broke the protocol",
  InvalidOptions: "the options cannot be used",
  Truncated: "the stream ended without a close_notify",
  Unknown: "it failed"
}

// -----------------------------------------------------------------------------
// codes, in one place
// -----------------------------------------------------------------------------

/** The codes that are not alerts. Those of a certificate are Node's names of `X509_V_ERR_*`. */
const reasonOfCode: { readonly [code: string]: TlsReason } = {
  CERT_HAS_EXPIRED: "Expired",
  CERT_NOT_YET_VALID: "NotYetValid",
  HOSTNAME_MISMATCH: "WrongName",
  ERR_TLS_CERT_ALTNAME_INVALID: "WrongName",
  SELF_SIGNED_CERT_IN_CHAIN: "UntrustedRoot",
  UNABLE_TO_GET_ISSUER_CERT: "UntrustedRoot",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "UntrustedRoot",
  DEPTH_ZERO_SELF_SIGNED_CERT: "SelfSigned",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "IncompleteChain",
  CERT_REVOKED: "Revoked",
  UNABLE_TO_GET_CRL: "RevocationUnknown",
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: "RevocationUnknown",
  CRL_SIGNATURE_FAILURE: "RevocationUnknown",
  CRL_NOT_YET_VALID: "RevocationUnknown",
  CRL_HAS_EXPIRED: "RevocationUnknown",
  ERROR_IN_CRL_LAST_UPDATE_FIELD: "RevocationUnknown",
  ERROR_IN_CRL_NEXT_UPDATE_FIELD: "RevocationUnknown",
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: "InvalidCertificate",
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: "InvalidCertificate",
  CERT_SIGNATURE_FAILURE: "InvalidCertificate",
  ERROR_IN_CERT_NOT_BEFORE_FIELD: "InvalidCertificate",
  ERROR_IN_CERT_NOT_AFTER_FIELD: "InvalidCertificate",
  CERT_CHAIN_TOO_LONG: "InvalidCertificate",
  INVALID_CA: "InvalidCertificate",
  PATH_LENGTH_EXCEEDED: "InvalidCertificate",
  INVALID_PURPOSE: "InvalidCertificate",
  CERT_UNTRUSTED: "InvalidCertificate",
  CERT_REJECTED: "InvalidCertificate",
  // Node has a name for no other; OpenSSL's text of it is in the cause.
  UNSPECIFIED: "InvalidCertificate",
  ERR_TLS_CERT_ALTNAME_FORMAT: "InvalidCertificate",

  ERR_SSL_UNSUPPORTED_PROTOCOL: "NoCommonProtocol",
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: "NoCommonProtocol",
  ERR_SSL_WRONG_SSL_VERSION: "NoCommonProtocol",
  ERR_SSL_VERSION_TOO_LOW: "NoCommonProtocol",
  ERR_SSL_WRONG_VERSION_NUMBER: "NotTls",
  ERR_SSL_UNKNOWN_PROTOCOL: "NotTls",
  ERR_SSL_UNEXPECTED_EOF_WHILE_READING: "ClosedDuringHandshake",
  ERR_TLS_DH_PARAM_SIZE: "ProtocolError",
  ERR_TLS_HANDSHAKE_TIMEOUT: "HandshakeTimeout",

  ECONNRESET: "ClosedDuringHandshake",
  ECONNABORTED: "ClosedDuringHandshake",
  EPIPE: "ClosedDuringHandshake",
  ETIMEDOUT: "ClosedDuringHandshake",
  ERR_STREAM_PREMATURE_CLOSE: "ClosedDuringHandshake",
  ERR_SOCKET_CLOSED: "ClosedDuringHandshake"
}

/** OpenSSL's words for the alerts of RFC 8446 §6 and those before it, by what the RFC calls them. */
const alerts: { readonly [word: string]: string } = {
  CLOSE_NOTIFY: "close_notify",
  UNEXPECTED_MESSAGE: "unexpected_message",
  BAD_RECORD_MAC: "bad_record_mac",
  DECRYPTION_FAILED: "decryption_failed",
  RECORD_OVERFLOW: "record_overflow",
  DECOMPRESSION_FAILURE: "decompression_failure",
  HANDSHAKE_FAILURE: "handshake_failure",
  NO_CERTIFICATE: "no_certificate",
  BAD_CERTIFICATE: "bad_certificate",
  UNSUPPORTED_CERTIFICATE: "unsupported_certificate",
  CERTIFICATE_REVOKED: "certificate_revoked",
  CERTIFICATE_EXPIRED: "certificate_expired",
  CERTIFICATE_UNKNOWN: "certificate_unknown",
  ILLEGAL_PARAMETER: "illegal_parameter",
  UNKNOWN_CA: "unknown_ca",
  ACCESS_DENIED: "access_denied",
  DECODE_ERROR: "decode_error",
  DECRYPT_ERROR: "decrypt_error",
  EXPORT_RESTRICTION: "export_restriction",
  PROTOCOL_VERSION: "protocol_version",
  INSUFFICIENT_SECURITY: "insufficient_security",
  INTERNAL_ERROR: "internal_error",
  INAPPROPRIATE_FALLBACK: "inappropriate_fallback",
  USER_CANCELLED: "user_canceled",
  NO_RENEGOTIATION: "no_renegotiation",
  MISSING_EXTENSION: "missing_extension",
  UNSUPPORTED_EXTENSION: "unsupported_extension",
  CERTIFICATE_UNOBTAINABLE: "certificate_unobtainable",
  UNRECOGNIZED_NAME: "unrecognized_name",
  BAD_CERTIFICATE_STATUS_RESPONSE: "bad_certificate_status_response",
  BAD_CERTIFICATE_HASH_VALUE: "bad_certificate_hash_value",
  UNKNOWN_PSK_IDENTITY: "unknown_psk_identity",
  CERTIFICATE_REQUIRED: "certificate_required",
  NO_APPLICATION_PROTOCOL: "no_application_protocol"
}

/**
 * The name of the peer's alert that a code of OpenSSL stands for, as RFC 8446 §6 writes it; `undefined` for a code that
 * stands for none.
 *
 * @example
 * ```ts
 * import { TlsError } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * assert.strictEqual(TlsError.alertOf("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"), "unknown_ca")
 * assert.strictEqual(TlsError.alertOf("ERR_SSL_WRONG_VERSION_NUMBER"), undefined)
 * ```
 *
 * @since 0.2.0
 * @category codes
 */
export const alertOf = (code: string | undefined): string | undefined => {
  // OpenSSL puts the version that introduced an alert before it, and since 3.2 "ssl/tls"; to some it adds no "alert".
  const word = /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13|SSL\/TLS)_(?:ALERT_)?([A-Z_]+)$/.exec(code ?? "")?.[1]
  return word !== undefined && Object.hasOwn(alerts, word) ? alerts[word] : undefined
}

/**
 * The reason a code of OpenSSL, of Node or of the operating system stands for while a handshake is under way; `Unknown`
 * for a code that is none of theirs.
 *
 * @example
 * ```ts
 * import { TlsError } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * assert.strictEqual(TlsError.fromOpenSsl("CERT_HAS_EXPIRED"), "Expired")
 * assert.strictEqual(TlsError.fromOpenSsl("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION"), "NoCommonProtocol")
 * assert.strictEqual(TlsError.fromOpenSsl("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"), "PeerAlert")
 * ```
 *
 * @since 0.2.0
 * @category codes
 */
export const fromOpenSsl = (code: string | undefined): TlsReason => {
  if (code === undefined) return "Unknown"
  if (Object.hasOwn(reasonOfCode, code)) return reasonOfCode[code]!
  switch (alertOf(code)) {
    case undefined:
      return code.startsWith("ERR_SSL_") ? "ProtocolError" : "Unknown"
    case "protocol_version":
      return "NoCommonProtocol"
    case "no_application_protocol":
      return "NoCommonAlpn"
    default:
      return "PeerAlert"
  }
}
