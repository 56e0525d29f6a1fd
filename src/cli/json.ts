/**
 * Events as JSON, one object a line: what `dial trace --json` prints. Pure.
 *
 * The fields are a promise to scripts. Times are milliseconds since the dial began, to the microsecond; an address
 * stands without its port, and `port` is absent on a UNIX socket.
 */
import * as DateTime from "effect/DateTime"
import * as Equal from "effect/Equal"
import { type SocketAddress, unnamed } from "../Address.js"
import type { Certificate } from "../Certificate.js"
import type { AttemptReport, DialError, ResolveError } from "../DialError.js"
import type { DialEvent, PlannedAddress } from "../DialEvent.js"
import { printable } from "../internal/printable.js"
import { isTlsError, type TlsError } from "../TlsError.js"
import type { TlsSession } from "../TlsSession.js"
import { hostOf, serviceText } from "./words.js"

/** An event as `JSON.stringify` takes it; `undefined` fields are those left out. */
export interface JsonEvent {
  readonly _tag: DialEvent["_tag"]
  readonly at: number
  readonly [field: string]: unknown
}

/** An event as one line of JSON, without the newline; what JSON leaves raw and a terminal obeys is escaped too. */
export const line = (event: DialEvent): string => printable(JSON.stringify(encode(event)))

/** An event as a plain object of JSON values. */
const encode = (event: DialEvent): JsonEvent => {
  const head = { _tag: event._tag, at: micros(event.at) }
  switch (event._tag) {
    case "ResolutionStarted":
      return { ...head, name: event.name }
    case "AddressesResolved":
      return { ...head, name: event.name, family: event.family, addresses: event.addresses.map(String) }
    case "ResolutionFailed":
      return { ...head, name: event.name, ...lookup(event.error) }
    case "ServicesResolved":
      return { ...head, name: event.name, services: event.services.map(serviceText) }
    case "Planned":
      return { ...head, candidates: event.candidates.map(planned) }
    case "AttemptEstablishing":
      return { ...head, attempt: event.attempt, ...target(event.address), ...local(event.localAddress) }
    case "AttemptStarted":
    case "AttemptStopped":
    case "AttemptConnected":
      return { ...head, attempt: event.attempt, ...target(event.address) }
    case "AttemptSecured":
      return { ...head, attempt: event.attempt, ...target(event.address), ...agreed(event.session) }
    case "AttemptFailed": {
      const { cause, code, message, reason } = event.error
      const tls = isTlsError(cause) ? { tls: refused(cause) } : {}
      return { ...head, attempt: event.attempt, ...target(event.address), reason, code, message, ...tls }
    }
    case "Connected":
      return { ...head, ...target(event.address), ...local(event.localAddress), elapsedMillis: head.at }
    case "DialFailed":
      return {
        ...head,
        error: event.error._tag,
        message: event.error.message,
        attempts: attemptsOf(event.error).map(attempt),
        unresolved: unresolvedOf(event.error).map(lookup)
      }
  }
}

const target = (address: SocketAddress) => ({
  address: hostOf(address),
  port: address._tag === "Unix" ? undefined : address.port,
  family: address.family
})

const agreed = ({ alpn, certificates, cipher, expected, protocol, resumed, serverName, verified }: TlsSession) => ({
  protocol,
  cipher,
  alpn,
  serverName,
  expected,
  resumed,
  verified,
  certificates: certificates.map(shown)
})

const refused = ({ alert, certificate, code, expected, reason }: TlsError) => ({
  reason,
  alert,
  code,
  expected,
  certificate: certificate === undefined ? undefined : shown(certificate)
})

const shown = ({ fingerprint, issuer, names, pin, serialNumber, subject, validFrom, validTo }: Certificate) => ({
  subject,
  issuer,
  names,
  validFrom: DateTime.formatIso(validFrom),
  validTo: DateTime.formatIso(validTo),
  serialNumber,
  fingerprint,
  pin
})

const planned = ({ address, source }: PlannedAddress) => ({
  ...target(address),
  source: source === undefined ? undefined : String(source)
})

const local = (address: SocketAddress) => ({
  // A UNIX client has no name, unless it bound one.
  localAddress: Equal.equals(address, unnamed) ? "" : hostOf(address),
  localPort: address._tag === "Unix" ? undefined : address.port
})

const attemptsOf = (error: DialError): ReadonlyArray<AttemptReport> => "attempts" in error ? error.attempts : []

const unresolvedOf = (error: DialError): ReadonlyArray<ResolveError> =>
  "unresolved" in error ? error.unresolved : error._tag === "ResolveError" ? [error] : []

const lookup = ({ code, family, message, reason }: ResolveError) => ({ family, reason, code, message })

const attempt = (report: AttemptReport) =>
  report.outcome === "NeverTried"
    ? { ...target(report.address), outcome: report.outcome, why: report.why }
    : {
      attempt: report.attempt,
      ...target(report.address),
      outcome: report.outcome,
      startedAt: micros(report.startedAt),
      endedAt: micros(report.endedAt),
      ...(report.outcome === "Failed" ? { reason: report.error.reason, code: report.error.code } : undefined)
    }

const micros = (millis: number): number => Math.round(millis * 1000) / 1000
