/**
 * Our errors as clients of Node's sockets know errors: with a `code`, on the very error that is ours.
 *
 * What a client of Node decides by is `code`. An error that has none of its own, because it tells of several attempts,
 * gets the code of the first of them, as Node's own error for several addresses does.
 */
import type { AttemptError, AttemptReport, DialError, ResolveReason } from "../../DialError.js"
import { isTlsError } from "../../TlsError.js"

/** The same error, with a `code` where there is one to tell. */
export const withCode = (error: Error): Error => {
  const code = (error as NodeJS.ErrnoException).code ?? codeOf(error as unknown as DialError)
  return code === undefined ? error : Object.assign(error, { code })
}

const codeOf = (error: DialError): string | undefined => {
  switch (error._tag) {
    case "InvalidEndpoint":
      return "ERR_INVALID_ARG_VALUE"
    case "ResolveError":
      return resolveCodes[error.reason]
    case "AllAttemptsFailed":
      return error.attempts.map(attemptCode).find((code) => code !== undefined)
    case "DialTimeout":
      return "ETIMEDOUT"
    default:
      return undefined
  }
}

const attemptCode = (report: AttemptReport): string | undefined =>
  report.outcome === "Failed" ? report.error.code ?? reasonCode(report.error) : undefined

/**
 * Above the socket there are other codes, and where there is none there must be one: mqtt.js drops an error without. Of
 * an attempt that connected and was not established it is the code of what failed then.
 */
const reasonCode = ({ cause, reason }: AttemptError): string | undefined =>
  reason === "AttemptTimeout" || (isTlsError(cause) && cause.reason === "HandshakeTimeout")
    ? "ETIMEDOUT"
    : reason === "NotEstablished"
    ? (cause as NodeJS.ErrnoException | undefined)?.code ?? "EPROTO"
    : undefined

const resolveCodes: { readonly [reason in ResolveReason]?: string } = {
  NotFound: "ENOTFOUND",
  Timeout: "ETIMEDOUT",
  Temporary: "EAI_AGAIN",
  Refused: "EREFUSED",
  ServerFailure: "ESERVFAIL",
  BadName: "EBADNAME",
  InvalidResponse: "EBADRESP"
}

/** A stream was closed with this still to do. */
export const closed = (code: "ERR_SOCKET_CLOSED" | "ERR_SOCKET_CLOSED_BEFORE_CONNECTION"): Error =>
  Object.assign(
    new Error(
      code === "ERR_SOCKET_CLOSED" ? "Socket is closed" : "Socket closed before the connection was established"
    ),
    { code }
  )

/** A write after the peer's end, on a socket that ends with it. */
export const endedByPeer = (): Error =>
  Object.assign(new Error("This socket has been ended by the other party"), { code: "EPIPE" })
