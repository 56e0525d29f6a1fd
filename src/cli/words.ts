/**
 * How the command line writes the values of the library, shared by all its outputs. Pure.
 */
import type { AddressFamily, SocketAddress } from "../Address.js"
import type { AttemptError, AttemptReason, DialError, ResolveReason } from "../DialError.js"
import { shortened } from "../internal/printable.js"
import type { ServiceBinding } from "../ServiceBinding.js"
import { isTlsError, type TlsReason } from "../TlsError.js"
import type { TlsSession } from "../TlsSession.js"

/** An address without its port; of a UNIX socket, its path. */
export const hostOf = (address: SocketAddress): string => address._tag === "Unix" ? String(address) : String(address.ip)

/** The kind of DNS record that holds addresses of a family. */
export const recordType = (family: AddressFamily): string => family === "inet6" ? "AAAA" : "A"

/** A time in milliseconds, in at most eight characters up to a day. */
export const millis = (n: number): string =>
  n < 10 ? `${n.toFixed(1)} ms` : n < 10_000 ? `${Math.round(n)} ms` : `${(n / 1000).toFixed(1)} s`

/** `HostUnreachable` as "host unreachable": the closed words themselves, so that what is read can be matched. */
export const reasonText = (reason: AttemptReason | ResolveReason | TlsReason): string =>
  reason.replaceAll(
    /[A-Z][a-z]*/g,
    (word) => ` ${word === "Tls" || word === "Alpn" ? word.toUpperCase() : word.toLowerCase()}`
  ).trim()

/** Why an attempt failed: of TLS, why that did. */
export const failureText = ({ cause, reason }: AttemptError): string =>
  isTlsError(cause) ? `TLS: ${reasonText(cause.reason)}` : reasonText(reason)

/** The code of a failed attempt: of TLS, that of it. */
export const failureCode = ({ cause, code }: AttemptError): string | undefined => isTlsError(cause) ? cause.code : code

/** The protocols that were agreed on. */
export const agreedText = ({ alpn, protocol, resumed }: TlsSession): string =>
  [protocol, ...alpn === undefined ? [] : [alpn], ...resumed ? ["resumed"] : []].join(", ")

/** What a line shows of a subject: the peer's to fill. */
const longestSubject = 100

/** What was agreed on in a handshake, in short. */
export const sessionText = (session: TlsSession): string =>
  [
    agreedText(session),
    ...session.certificates[0] === undefined ? [] : [shortened(session.certificates[0].subject, longestSubject)],
    ...session.verified ? [] : ["NOT VERIFIED"]
  ].join(", ")

/** What a failed dial came to, in a few words. */
export const outcomeText = (error: DialError): string => {
  switch (error._tag) {
    case "AllAttemptsFailed":
      return error.attempts.some((attempt) => attempt.outcome === "Failed" && attempt.error.operation === "establish")
        ? "connected, but TLS failed"
        : "no address connected"
    case "DialTimeout":
      return `timed out while ${error.phase}`
    case "ResolveError":
      return `the name gave no address, ${reasonText(error.reason)}`
    case "InvalidEndpoint":
      return "not an endpoint"
  }
}

/** An HTTPS record in short: its priority, and what it says that a dial heeds. */
export const serviceText = ({ alpn, port, priority, target }: ServiceBinding): string =>
  [
    String(priority),
    target === "" ? "." : target,
    ...alpn === undefined ? [] : [`alpn=${alpn.join(",")}`],
    ...port === undefined ? [] : [`port=${port}`]
  ].join(" ")
