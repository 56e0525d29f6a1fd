import { describe, expect, it } from "@effect/vitest"
import { DateTime } from "effect"
import * as Address from "../src/Address.js"
import { type Certificate, describe as describeCertificate } from "../src/Certificate.js"
import { AllAttemptsFailed, AttemptError, pretty } from "../src/DialError.js"
import { alertOf, fromOpenSsl, isTlsError, TlsError, type TlsReason } from "../src/TlsError.js"

const address = Address.socketAddress(Address.unsafeParse("192.0.2.7"), Address.Port(443))

/** Node's names for every result of OpenSSL's verification that has one (X509_V_ERR_*), and those it adds. */
const certificateCodes: { readonly [code: string]: TlsReason } = {
  UNABLE_TO_GET_ISSUER_CERT: "UntrustedRoot",
  UNABLE_TO_GET_CRL: "RevocationUnknown",
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: "InvalidCertificate",
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: "RevocationUnknown",
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: "InvalidCertificate",
  CERT_SIGNATURE_FAILURE: "InvalidCertificate",
  CRL_SIGNATURE_FAILURE: "RevocationUnknown",
  CERT_NOT_YET_VALID: "NotYetValid",
  CERT_HAS_EXPIRED: "Expired",
  CRL_NOT_YET_VALID: "RevocationUnknown",
  CRL_HAS_EXPIRED: "RevocationUnknown",
  ERROR_IN_CERT_NOT_BEFORE_FIELD: "InvalidCertificate",
  ERROR_IN_CERT_NOT_AFTER_FIELD: "InvalidCertificate",
  ERROR_IN_CRL_LAST_UPDATE_FIELD: "RevocationUnknown",
  ERROR_IN_CRL_NEXT_UPDATE_FIELD: "RevocationUnknown",
  OUT_OF_MEM: "Unknown",
  DEPTH_ZERO_SELF_SIGNED_CERT: "SelfSigned",
  SELF_SIGNED_CERT_IN_CHAIN: "UntrustedRoot",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "UntrustedRoot",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "IncompleteChain",
  CERT_CHAIN_TOO_LONG: "InvalidCertificate",
  CERT_REVOKED: "Revoked",
  INVALID_CA: "InvalidCertificate",
  PATH_LENGTH_EXCEEDED: "InvalidCertificate",
  INVALID_PURPOSE: "InvalidCertificate",
  CERT_UNTRUSTED: "InvalidCertificate",
  CERT_REJECTED: "InvalidCertificate",
  HOSTNAME_MISMATCH: "WrongName",
  UNSPECIFIED: "InvalidCertificate",
  ERR_TLS_CERT_ALTNAME_INVALID: "WrongName",
  ERR_TLS_CERT_ALTNAME_FORMAT: "InvalidCertificate"
}

/** The alerts of RFC 8446 §6 and RFC 5246 §7.2, as OpenSSL 3.0 names them, and what they mean here. */
const alertCodes: ReadonlyArray<readonly [code: string, alert: string, reason: TlsReason]> = [
  ["ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE", "unexpected_message", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC", "bad_record_mac", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_DECRYPTION_FAILED", "decryption_failed", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_RECORD_OVERFLOW", "record_overflow", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_DECOMPRESSION_FAILURE", "decompression_failure", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", "handshake_failure", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_NO_CERTIFICATE", "no_certificate", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "bad_certificate", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "unsupported_certificate", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED", "certificate_revoked", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate_expired", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN", "certificate_unknown", "PeerAlert"],
  ["ERR_SSL_SSLV3_ALERT_ILLEGAL_PARAMETER", "illegal_parameter", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "unknown_ca", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_ACCESS_DENIED", "access_denied", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_DECODE_ERROR", "decode_error", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR", "decrypt_error", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_EXPORT_RESTRICTION", "export_restriction", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "protocol_version", "NoCommonProtocol"],
  ["ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY", "insufficient_security", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR", "internal_error", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_INAPPROPRIATE_FALLBACK", "inappropriate_fallback", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_USER_CANCELLED", "user_canceled", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_NO_RENEGOTIATION", "no_renegotiation", "PeerAlert"],
  ["ERR_SSL_TLSV13_ALERT_MISSING_EXTENSION", "missing_extension", "PeerAlert"],
  ["ERR_SSL_TLSV1_UNSUPPORTED_EXTENSION", "unsupported_extension", "PeerAlert"],
  ["ERR_SSL_TLSV1_CERTIFICATE_UNOBTAINABLE", "certificate_unobtainable", "PeerAlert"],
  ["ERR_SSL_TLSV1_UNRECOGNIZED_NAME", "unrecognized_name", "PeerAlert"],
  ["ERR_SSL_TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE", "bad_certificate_status_response", "PeerAlert"],
  ["ERR_SSL_TLSV1_BAD_CERTIFICATE_HASH_VALUE", "bad_certificate_hash_value", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY", "unknown_psk_identity", "PeerAlert"],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate_required", "PeerAlert"],
  ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "no_application_protocol", "NoCommonAlpn"],
  // As OpenSSL 3.2 and later say it.
  ["ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE", "handshake_failure", "PeerAlert"]
]

const otherCodes: { readonly [code: string]: TlsReason } = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: "NoCommonProtocol",
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: "NoCommonProtocol",
  ERR_SSL_WRONG_SSL_VERSION: "NoCommonProtocol",
  ERR_SSL_VERSION_TOO_LOW: "NoCommonProtocol",
  ERR_SSL_WRONG_VERSION_NUMBER: "NotTls",
  ERR_SSL_UNKNOWN_PROTOCOL: "NotTls",
  ERR_SSL_UNEXPECTED_EOF_WHILE_READING: "ClosedDuringHandshake",
  ERR_TLS_DH_PARAM_SIZE: "ProtocolError",
  ERR_TLS_HANDSHAKE_TIMEOUT: "HandshakeTimeout",
  ERR_SSL_BAD_LENGTH: "ProtocolError",
  ERR_SSL_TLSV1_ALERT_OF_ANOTHER_CENTURY: "ProtocolError",
  ECONNRESET: "ClosedDuringHandshake",
  ECONNABORTED: "ClosedDuringHandshake",
  EPIPE: "ClosedDuringHandshake",
  ETIMEDOUT: "ClosedDuringHandshake",
  ERR_STREAM_PREMATURE_CLOSE: "ClosedDuringHandshake",
  ERR_SOCKET_CLOSED: "ClosedDuringHandshake",
  EIO: "Unknown"
}

describe("the reason of a code", () => {
  it.each(Object.entries({ ...certificateCodes, ...otherCodes }))("%s is %s, and no alert", (code, reason) => {
    expect(fromOpenSsl(code)).toBe(reason)
    expect(alertOf(code)).toBeUndefined()
  })

  it.each(alertCodes)("%s is the alert %s: %s", (code, alert, reason) => {
    expect(alertOf(code)).toBe(alert)
    expect(fromOpenSsl(code)).toBe(reason)
  })

  it("no code is Unknown, and so is a word that every object knows", () => {
    expect(fromOpenSsl(undefined)).toBe("Unknown")
    expect(fromOpenSsl("constructor")).toBe("Unknown")
    expect(alertOf("ERR_SSL_TLSV1_ALERT_constructor")).toBeUndefined()
    expect(alertOf(undefined)).toBeUndefined()
  })
})

const certificate: Certificate = {
  subject: "CN=db.internal, O=Example",
  issuer: "CN=Example CA",
  names: ["db.internal", "10.0.0.7"],
  validFrom: DateTime.unsafeMake("2024-05-01T12:00:00Z"),
  validTo: DateTime.unsafeMake("2025-05-01T12:00:00Z"),
  serialNumber: "0A",
  fingerprint: "",
  pin: "",
  der: new Uint8Array(0)
}

describe("a certificate in words", () => {
  it("tells its subject, names, dates and issuer", () => {
    expect(describeCertificate(certificate)).toBe(
      "CN=db.internal, O=Example for db.internal and 10.0.0.7, valid from 2024-05-01 to 2025-05-01, " +
        "issued by CN=Example CA"
    )
  })

  it("leaves out none of what is missing, and most of what is too much", () => {
    const bare = { ...certificate, subject: "", issuer: "", names: [] }
    expect(describeCertificate(bare)).toContain("no subject for no name")
    const many = { ...certificate, names: Array.from({ length: 100 }, (_, n) => `n${n}.test`) }
    expect(describeCertificate(many)).toContain("for n0.test, n1.test, n2.test, n3.test, n4.test and 95 more, valid")
    const long = { ...certificate, subject: "s".repeat(9999), issuer: "i".repeat(9999), names: ["n".repeat(9999)] }
    expect(describeCertificate(long)).toBe(
      `${"s".repeat(200)}… for ${"n".repeat(200)}…, valid from 2024-05-01 to 2025-05-01, issued by ${"i".repeat(200)}…`
    )
    expect(describeCertificate({ ...certificate, issuer: certificate.subject })).toContain("issued by itself")
  })
})

describe("a TlsError", () => {
  const error = (props: Partial<ConstructorParameters<typeof TlsError>[0]>) =>
    new TlsError({ address, expected: "db.internal", reason: "Unknown", ...props })

  it("tells the peer, what was expected, and the certificate at fault", () => {
    expect(error({ reason: "Expired", certificate, code: "CERT_HAS_EXPIRED" }).message).toBe(
      "TLS with db.internal at 192.0.2.7:443: the certificate has expired: CN=db.internal, O=Example for db.internal " +
        "and 10.0.0.7, valid from 2024-05-01 to 2025-05-01, issued by CN=Example CA (CERT_HAS_EXPIRED)"
    )
    expect(error({ reason: "WrongName", expected: "other.test" }).message).toBe(
      "TLS with other.test at 192.0.2.7:443: the certificate is not for other.test"
    )
    expect(error({ reason: "NoCommonAlpn", detail: "offered h2" }).message).toBe(
      "TLS with db.internal at 192.0.2.7:443: no application protocol in common: offered h2"
    )
  })

  it("shows what a peer put into its certificate and does not obey it", () => {
    const evil = error({ reason: "SelfSigned", certificate: { ...certificate, subject: "CN=\u001b[2J\u202e" } })
    expect(evil.message).toContain("CN=\\u001b[2J\\u202e")
  })

  it("is the story of an attempt that connected and was not established", () => {
    const cause = error({ reason: "SelfSigned", code: "DEPTH_ZERO_SELF_SIGNED_CERT" })
    const attempt = new AttemptError({ operation: "establish", address, reason: "NotEstablished", cause })
    expect(isTlsError(attempt.cause)).toBe(true)
    expect(isTlsError(attempt)).toBe(false)
    expect(pretty(
      new AllAttemptsFailed({
        endpoint: "tls://db.internal:443",
        attempts: [{ outcome: "Failed", attempt: 0, address, startedAt: 0, endedAt: 5, error: attempt }],
        unresolved: [],
        elapsedMillis: 5
      })
    )).toContain(
      "connected, but not established: TLS with db.internal at 192.0.2.7:443: the certificate is self-signed"
    )
  })
})
