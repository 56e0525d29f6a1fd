/**
 * One question over HTTPS (RFC 8484), through an HttpClient that resolves the host of the URL itself.
 *
 * What must be true:
 *
 * - questions are POSTed with id 0, and an answer is believed only if it is to the question that was asked
 * - a time to live is what is left of it after the response's Age (§5.1)
 * - an answer has at most 65,535 octets, of which no more is read, and a question takes at most its timeout
 * - the URL may hold a password or a token, anywhere in it: no error's message shows any of it
 *
 * Not here: names (`DnsResolver`, whose `layerHttps` stands on this), and any cache.
 *
 * @since 0.2.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type { HttpClientError } from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { ResolveError, type ResolveReason } from "./DialError.js"
import { accepts, type Ask } from "./DnsExchange.js"
import * as DnsMessage from "./DnsMessage.js"
import { octetsOf } from "./internal/octetsOf.js"
import { within } from "./internal/sideBySide.js"

const dnsMessageType = "application/dns-message"

/** A message is at most so long (RFC 8484 §6). */
const mostOctets = 65_535

/**
 * An exchange with the server at a URL. It fails with `ResolveError`: `Timeout`; `Temporary` when the request failed;
 * `ServerFailure`, `Refused` and `InvalidResponse` by what the server says.
 *
 * The URL may hold a secret, and no span, message or log tells it. Of a request that failed the `cause` is the client's
 * error as a `Redacted`: `Redacted.value` gives it.
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (
  client: HttpClient.HttpClient,
  options: { readonly url: string | URL; readonly timeout: Duration.DurationInput }
): Ask => {
  // A span of it would have the URL for an attribute.
  const untraced = HttpClient.withTracerDisabledWhen(client, () => true)
  return (question) => ask(untraced, options, question)
}

const ask = (
  client: HttpClient.HttpClient,
  options: { readonly url: string | URL; readonly timeout: Duration.DurationInput },
  question: DnsMessage.Question
): ReturnType<Ask> => {
  const failed = (
    reason: ResolveReason,
    cause: unknown,
    detail = cause instanceof Error ? cause.message : undefined
  ) => new ResolveError({ host: question.name, family: DnsMessage.familyOf(question.type), reason, detail, cause })
  const requestFailed = (error: HttpClientError) =>
    failed(error.reason === "EmptyBody" ? "InvalidResponse" : "Temporary", Redacted.make(error), said(error))
  // RFC 8484 §4.1: "a DNS ID of 0 in every DNS request", so that caches see equal questions as equal.
  const request = HttpClientRequest.post(options.url).pipe(
    HttpClientRequest.setHeader("accept", dnsMessageType),
    HttpClientRequest.bodyUint8Array(
      DnsMessage.encodeQuestion(0, question, { udpPayloadSize: mostOctets }),
      dnsMessageType
    )
  )
  return client.execute(request).pipe(
    Effect.mapError(requestFailed),
    Effect.flatMap((response) => {
      const { headers, status } = response
      const type = headers["content-type"]?.split(";")[0]?.trim()
      // RFC 8484 §4.2.1: "A successful HTTP response with a 2xx status code ... is used for any valid DNS response".
      if (status < 200 || status > 299) {
        return Effect.fail(failed("ServerFailure", new Error(`the server says ${status}`)))
      }
      if (type !== dnsMessageType) return Effect.fail(failed("InvalidResponse", new Error(`the answer is ${type}`)))
      const tooLong = Effect.suspend(() => Effect.fail(failed("InvalidResponse", new Error("the answer is too long"))))
      // What is declared saves the reading; a body in chunks declares nothing, and a header may lie.
      if (Number(headers["content-length"] ?? 0) > mostOctets) return tooLong
      return Effect.flatMap(
        Effect.mapError(octetsOf(response.stream, mostOctets), requestFailed),
        Option.match({
          onNone: () => tooLong,
          onSome: (body) => Effect.succeed({ body, age: Math.max(0, Number(headers["age"] ?? 0) || 0) })
        })
      )
    }),
    Effect.scoped,
    (asked) => within(asked, options.timeout, () => Effect.fail(failed("Timeout", undefined))),
    Effect.flatMap(({ age, body }) => {
      const message = DnsMessage.decode(body)
      if (Either.isLeft(message)) return Effect.fail(failed("InvalidResponse", message.left))
      if (!accepts({ id: 0, question, exactCase: false }, message.right)) {
        return Effect.fail(failed("InvalidResponse", new Error("the answer is to another question")))
      }
      return answered(message.right, age, failed)
    })
  )
}

/**
 * What became of a request, in words that cannot hold the URL: the message of the client's error has all of it, and those
 * of fetch beneath it may.
 */
const said = ({ cause, reason }: HttpClientError): string => `the HTTP request failed (${codeOf(cause) ?? reason})`

/** The name of what failed, as ECONNREFUSED: of an error, or of one that caused it, not too far down. */
const codeOf = (error: unknown, depth = 4): string | undefined => {
  if (!(error instanceof Error) || depth === 0) return undefined
  const code = "code" in error ? error.code : undefined
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : codeOf(error.cause, depth - 1)
}

const answered = (
  message: DnsMessage.Message,
  age: number,
  failed: (reason: ResolveReason, cause: unknown) => ResolveError
): Effect.Effect<DnsMessage.Message, ResolveError> => {
  const { responseCode } = message
  if (responseCode === "Refused") return Effect.fail(failed("Refused", undefined))
  if (responseCode !== "NoError" && responseCode !== "NameError") {
    return Effect.fail(failed("ServerFailure", new Error(`it says ${responseCode}`)))
  }
  const left = (seconds: number) => Math.max(0, seconds - age)
  const aged = (record: DnsMessage.DnsRecord): DnsMessage.DnsRecord => {
    const timeToLive = left(record.timeToLive)
    return record.type === "SOA" ? { ...record, timeToLive, minimum: left(record.minimum) } : { ...record, timeToLive }
  }
  return Effect.succeed({ ...message, answers: message.answers.map(aged), authorities: message.authorities.map(aged) })
}
