// One of every event, for the pure outputs.
import { Address, DialError, type DialEvent } from "../../src/index.js"

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
