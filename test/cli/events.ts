// One of every event, for the pure outputs.
import { DateTime } from "effect"
import { Address, type Certificate, DialError, type DialEvent, TlsError, type TlsSession } from "../../src/index.js"

const ip = Address.unsafeParse

export const at = (text: string, port = 443): Address.SocketAddress =>
  Address.socketAddress(ip(text), Address.Port(port))

const silent = at("2001:db8::1")
const refusing = at("192.0.2.1")
const good = at("192.0.2.2")

const refused = new DialError.AttemptError({
  operation: "connect",
  address: refusing,
  reason: "Refused",
  code: "ECONNREFUSED"
})

/** A name with three addresses: the first is silent, the second refuses, the third connects. */
export const connected: ReadonlyArray<DialEvent.DialEvent> = [
  { _tag: "ResolutionStarted", at: 0, name: "db.example" },
  {
    _tag: "AddressesResolved",
    at: 10.00049,
    name: "db.example",
    family: "inet6",
    addresses: [ip("2001:db8::1")]
  },
  { _tag: "AttemptStarted", at: 10.5, attempt: 0, address: silent },
  {
    _tag: "AddressesResolved",
    at: 20,
    name: "db.example",
    family: "inet",
    addresses: [ip("192.0.2.1"), ip("192.0.2.2")]
  },
  { _tag: "AttemptStarted", at: 260.5, attempt: 1, address: refusing },
  { _tag: "AttemptFailed", at: 270.5, attempt: 1, address: refusing, error: refused },
  { _tag: "AttemptStarted", at: 270.5, attempt: 2, address: good },
  { _tag: "AttemptConnected", at: 290, attempt: 2, address: good },
  {
    _tag: "AttemptStopped",
    at: 290.5,
    attempt: 0,
    address: silent,
    error: new DialError.ConnectStopped({ target: String(silent) })
  },
  { _tag: "Connected", at: 291, address: good, localAddress: at("192.0.2.77", 50_000) }
]

const noAaaa = new DialError.ResolveError({
  host: "db.example",
  family: "inet6",
  reason: "NotFound",
  code: "ENOTFOUND"
})

/** A name without AAAA whose one address refuses. */
export const failed: ReadonlyArray<DialEvent.DialEvent> = [
  { _tag: "ResolutionStarted", at: 0, name: "db.example" },
  { _tag: "ResolutionFailed", at: 3, name: "db.example", error: noAaaa },
  { _tag: "AddressesResolved", at: 4, name: "db.example", family: "inet", addresses: [ip("192.0.2.1")] },
  { _tag: "AttemptStarted", at: 5, attempt: 0, address: refusing },
  { _tag: "AttemptFailed", at: 15.25, attempt: 0, address: refusing, error: refused },
  {
    _tag: "DialFailed",
    at: 15.5,
    error: new DialError.AllAttemptsFailed({
      endpoint: "tcp://db.example:443",
      attempts: [
        { outcome: "Failed", attempt: 0, address: refusing, startedAt: 5, endedAt: 15.25, error: refused },
        { outcome: "NeverTried", address: good, why: "the dial ended before its turn" }
      ],
      unresolved: [noAaaa],
      elapsedMillis: 15.5
    })
  }
]

const certificate: Certificate.Certificate = {
  subject: "CN=db.example",
  issuer: "CN=Example CA",
  names: ["db.example"],
  validFrom: DateTime.unsafeMake("2025-01-01"),
  validTo: DateTime.unsafeMake("2026-01-01"),
  serialNumber: "01",
  fingerprint: "fingerprint",
  pin: "pin",
  der: new Uint8Array(0)
}

const session: TlsSession.TlsSession = {
  protocol: "TLSv1.3",
  cipher: "TLS_AES_128_GCM_SHA256",
  alpn: "h2",
  serverName: "db.example",
  expected: "db.example",
  resumed: false,
  verified: true,
  certificates: [certificate]
}

const expired = new DialError.AttemptError({
  operation: "establish",
  address: refusing,
  reason: "NotEstablished",
  cause: new TlsError.TlsError({
    address: refusing,
    expected: "db.example",
    reason: "Expired",
    code: "CERT_HAS_EXPIRED",
    certificate
  })
})

/** Two addresses over TLS: the first has a certificate that has expired, the second is good. */
export const secured: ReadonlyArray<DialEvent.DialEvent> = [
  { _tag: "AttemptStarted", at: 0, attempt: 0, address: refusing },
  {
    _tag: "AttemptEstablishing",
    at: 10,
    attempt: 0,
    address: refusing,
    localAddress: at("192.0.2.77", 50_000)
  },
  { _tag: "AttemptFailed", at: 30, attempt: 0, address: refusing, error: expired },
  { _tag: "AttemptStarted", at: 30, attempt: 1, address: good },
  { _tag: "AttemptEstablishing", at: 40, attempt: 1, address: good, localAddress: at("192.0.2.77", 50_001) },
  { _tag: "AttemptSecured", at: 59, attempt: 1, address: good, session },
  { _tag: "AttemptConnected", at: 60, attempt: 1, address: good },
  { _tag: "Connected", at: 60, address: good, localAddress: at("192.0.2.77", 50_001) }
]

/** One address, which connects and shows a certificate that has expired. */
export const unsecured: ReadonlyArray<DialEvent.DialEvent> = [
  ...secured.slice(0, 3),
  {
    _tag: "DialFailed",
    at: 31,
    error: new DialError.AllAttemptsFailed({
      endpoint: "tls://db.example:443",
      attempts: [{ outcome: "Failed", attempt: 0, address: refusing, startedAt: 0, endedAt: 30, error: expired }],
      unresolved: [],
      elapsedMillis: 31
    })
  }
]

/** {@link secured} by a peer that fills what it may fill with what no terminal should be given. */
export const hostile: ReadonlyArray<DialEvent.DialEvent> = secured.map((event) => {
  if (event._tag !== "AttemptSecured") return event
  const text = "\u001b]0;x\u0007\u202e\r\n\u2028" + "数".repeat(10_000)
  const evil = {
    ...certificate,
    subject: `CN=${text}`,
    issuer: `CN=${text}`,
    names: Array.from({ length: 300 }, () => text)
  }
  return { ...event, session: { ...event.session, alpn: "\u001b[2J", certificates: [evil] } }
})
