/** RFC 8484, DNS queries over HTTPS: what a client has to do. The HttpClient is one that answers by itself. */
import { HttpClient, HttpClientError, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Duration, Effect, Either, Fiber, Layer, Redacted, Stream, TestClock, Tracer } from "effect"
import { inspect } from "node:util"
import * as DnsHttps from "../../src/DnsHttps.js"
import * as DnsMessage from "../../src/DnsMessage.js"
import * as DnsResolver from "../../src/DnsResolver.js"
import * as Endpoint from "../../src/Endpoint.js"
import * as Resolver from "../../src/Resolver.js"
import { ip } from "../support/addresses.js"

const name = Either.getOrThrow(Endpoint.domainName("web.test"))

interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly message?: Partial<DnsMessage.Message>
  readonly body?: Uint8Array
}

interface Request {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

const a = (timeToLive: number): DnsMessage.DnsRecord => ({
  name: "web.test",
  type: "A",
  timeToLive,
  address: ip("192.0.2.1")
})

const soa = (timeToLive: number, minimum: number): DnsMessage.DnsRecord => ({
  name: "test",
  type: "SOA",
  timeToLive,
  primary: "ns.test",
  mailbox: "root.test",
  serial: 1,
  refresh: 1,
  retry: 1,
  expire: 1,
  minimum
})

const respond = (query: DnsMessage.Message, { body, message }: Reply): Uint8Array =>
  body ?? DnsMessage.encodeResponse({
    ...query,
    response: true,
    recursionAvailable: true,
    udpPayloadSize: undefined,
    answers: [a(600)],
    ...message
  })

/** A web server that says this to everything, and what it was asked. */
const web = (reply: Reply | "silence" | "unreachable") => {
  const requests: Array<Request> = []
  const client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      const body = request.body._tag === "Uint8Array" ? request.body.body : new Uint8Array()
      const { contentType } = request.body
      const headers = { ...request.headers, ...contentType === undefined ? {} : { "content-type": contentType } }
      requests.push({ url: String(url), method: request.method, headers, body })
      if (reply === "silence") return Effect.never
      if (reply === "unreachable") {
        return Effect.fail(new HttpClientError.RequestError({ request, reason: "Transport", description: "no route" }))
      }
      const response = new Response(Uint8Array.from(respond(Either.getOrThrow(DnsMessage.decode(body)), reply)), {
        status: reply.status ?? 200,
        headers: { "content-type": "application/dns-message", ...reply.headers }
      })
      return Effect.succeed(HttpClientResponse.fromWeb(request, response))
    })
  )
  return { requests, layer: Layer.succeed(HttpClient.HttpClient, client) }
}

const lookUp = (reply: Reply | "silence" | "unreachable") => {
  const { layer, requests } = web(reply)
  return Effect.gen(function*() {
    const { resolve } = yield* Resolver.Resolver
    const [answer] = yield* Stream.runCollect(resolve(name, { families: ["inet"] }))
    const seconds = answer?.timeToLive === undefined ? "" : ` for ${Duration.toSeconds(answer.timeToLive)} s`
    const told = answer?._tag === "Addresses"
      ? answer.addresses.join(" ")
      : answer?._tag === "NoAddresses"
      ? answer.error.reason
      : "?"
    return { told: told + seconds, requests }
  }).pipe(Effect.provide(Layer.provide(DnsResolver.layerHttps({ url: "https://dns.test/dns-query" }), layer)))
}

/** One question, by the exchange itself. */
const askedOf = (client: HttpClient.HttpClient, url = "https://dns.test/dns-query") =>
  Effect.either(DnsHttps.make(client, { url, timeout: "5 seconds" })({ name: "web.test", type: "A" }))

const asked = (reply: Reply) =>
  Effect.provide(Effect.flatMap(HttpClient.HttpClient, (client) => askedOf(client)), web(reply).layer)

/** A server whose answers have this body. */
const sending = (body: ReadableStream<Uint8Array>, headers: Readonly<Record<string, string>> = {}) =>
  HttpClient.make((request) =>
    Effect.sync(() =>
      HttpClientResponse.fromWeb(
        request,
        new Response(body, { headers: { "content-type": "application/dns-message", ...headers } })
      )
    )
  )

describe("§4.1 The HTTP Request", () => {
  it.effect("\"the data payload ... MUST NOT be encoded and is used directly as the HTTP message body\" (§6) of a POST to the configured URI, with both media types said", () =>
    Effect.gen(function*() {
      const { requests } = yield* lookUp({})
      const [{ body, headers, method, url } = { body: new Uint8Array(), headers: {}, method: "", url: "" }] = requests
      expect([requests.length, method, url]).toEqual([1, "POST", "https://dns.test/dns-query"])
      expect(headers).toMatchObject({ accept: "application/dns-message", "content-type": "application/dns-message" })
      expect(Either.getOrThrow(DnsMessage.decode(body)).question).toEqual({ name: "web.test", type: "A" })
    }))

  it.effect("\"DoH clients ... SHOULD use a DNS ID of 0 in every DNS request\", and the same octets for the same question", () =>
    Effect.gen(function*() {
      const { requests: [first] } = yield* lookUp({})
      const { requests: [second] } = yield* lookUp({})
      expect(Either.getOrThrow(DnsMessage.decode(first?.body ?? new Uint8Array())).id).toBe(0)
      expect(first?.body).toEqual(second?.body)
    }))
})

describe("§4.2.1 Handling DNS and HTTP Errors", () => {
  it.effect("\"a successful 2xx HTTP status code is used even with a DNS message whose DNS response code indicates failure\"", () =>
    Effect.gen(function*() {
      expect((yield* lookUp({ message: { responseCode: "ServerFailure", answers: [] } })).told).toBe("ServerFailure")
      expect((yield* lookUp({ message: { responseCode: "NameError", answers: [] } })).told).toBe("NotFound")
      expect((yield* lookUp({ message: { responseCode: "Refused", answers: [] } })).told).toBe("Refused")
    }))

  it.effect("\"A successful HTTP response with a 2xx status code ... is used for any valid DNS response\"", () =>
    Effect.gen(function*() {
      expect((yield* lookUp({ status: 203 })).told).toBe("192.0.2.1 for 600 s")
    }))

  it.effect("\"HTTP responses with non-successful HTTP status codes do not contain replies to the original DNS question\"", () =>
    Effect.gen(function*() {
      for (const status of [301, 400, 415, 500, 503]) expect((yield* lookUp({ status })).told).toBe("ServerFailure")
    }))
})

describe("§5.1 Cache Interaction", () => {
  it.effect("\"DoH clients MUST account for the Age response header field's value when calculating the DNS TTL of a response\": of 600 with an Age of 250, 350 are left", () =>
    Effect.gen(function*() {
      expect((yield* lookUp({ headers: { age: "250" } })).told).toBe("192.0.2.1 for 350 s")
      expect((yield* lookUp({ headers: { age: "601" } })).told).toBe("192.0.2.1 for 0 s")
      expect((yield* lookUp({ headers: { age: "old" } })).told).toBe("192.0.2.1 for 600 s")
    }))

  it.effect("and of a negative response too, whichever of its two times is the shorter", () =>
    Effect.gen(function*() {
      const negative = (authority: DnsMessage.DnsRecord) =>
        lookUp({
          headers: { age: "100" },
          message: { responseCode: "NameError", answers: [], authorities: [authority] }
        })
      expect((yield* negative(soa(300, 900))).told).toBe("NotFound for 200 s")
      expect((yield* negative(soa(900, 300))).told).toBe("NotFound for 200 s")
    }))
})

describe("§5.4, §6 the media type", () => {
  it.effect("\"the client MUST be prepared to process \"application/dns-message\"\": whatever its parameters; another is no answer", () =>
    Effect.gen(function*() {
      const of = (type: string) => lookUp({ headers: { "content-type": type } })
      expect((yield* of("application/dns-message; charset=x")).told).toBe("192.0.2.1 for 600 s")
      expect((yield* of("text/html")).told).toBe("InvalidResponse")
      expect((yield* of("application/dns-json")).told).toBe("InvalidResponse")
    }))

  it.effect("a body that is no message, too long for one, or the answer to another question is InvalidResponse", () =>
    Effect.gen(function*() {
      expect((yield* lookUp({ body: new Uint8Array([1, 2, 3]) })).told).toBe("InvalidResponse")
      expect((yield* lookUp({ body: new Uint8Array(65_536) })).told).toBe("InvalidResponse")
      expect((yield* lookUp({ headers: { "content-length": "65536" } })).told).toBe("InvalidResponse")
      expect((yield* lookUp({ message: { id: 1 } })).told).toBe("InvalidResponse")
      expect((yield* lookUp({ message: { question: { name: "evil.test", type: "A" } } })).told).toBe("InvalidResponse")
      expect((yield* lookUp({ message: { response: false } })).told).toBe("InvalidResponse")
    }))
})

describe("a server that cannot be asked", () => {
  it.effect("is Temporary when it is not there, and Timeout when it is silent", () =>
    Effect.gen(function*() {
      expect((yield* lookUp("unreachable")).told).toBe("Temporary")
      const fiber = yield* Effect.fork(lookUp("silence"))
      yield* TestClock.adjust("5 seconds")
      expect((yield* Fiber.join(fiber)).told).toBe("Timeout")
    }))

  it.effect("an answer within an acquire is waited for, and not what is left of its time", () =>
    Effect.gen(function*() {
      const start = yield* TestClock.currentTimeMillis
      const fiber = yield* Effect.fork(Effect.zip(Effect.uninterruptible(asked({})), TestClock.currentTimeMillis))
      yield* TestClock.adjust("1 minute")
      const [answer, ended] = yield* Fiber.join(fiber)
      expect([Either.isRight(answer), ended - start]).toEqual([true, 0])
    }))
})

describe("an answer without end", () => {
  it.live.each([{}, { "content-length": "many" }])(
    "is left at the first octet too many, whatever its headers say: %j",
    (headers) =>
      Effect.gen(function*() {
        const told = { sent: 0, cancelled: false }
        const body = new ReadableStream<Uint8Array>({
          pull: (controller) => {
            // A bound, should nobody stop.
            if ((told.sent += 1000) > 10_000_000) controller.close()
            else controller.enqueue(new Uint8Array(1000))
          },
          cancel: () => {
            told.cancelled = true
          }
        })
        const answer = yield* askedOf(sending(body, headers))
        expect(Either.getOrThrow(Either.flip(answer))).toMatchObject({
          reason: "InvalidResponse",
          detail: "the answer is too long"
        })
        expect(told.sent).toBeLessThan(200_000)
        expect(told.cancelled).toBe(true)
      })
  )

  it.live("and one that is cut off is Temporary, one that is empty no answer", () =>
    Effect.gen(function*() {
      const cut = new ReadableStream<Uint8Array>({
        start: (controller) => controller.error(new Error("the connection is gone"))
      })
      expect(Either.getOrThrow(Either.flip(yield* askedOf(sending(cut)))).reason).toBe("Temporary")
      expect(Either.getOrThrow(Either.flip(yield* asked({ body: new Uint8Array() }))).reason).toBe("InvalidResponse")
    }))
})

describe("a URL with secrets in it", () => {
  const url = "https://login:secret1@dns.test/secret2/dns-query?key=secret3"
  const broken = Object.assign(new TypeError(`cannot fetch ${url}`), { cause: { code: url } })
  const refused = Object.assign(new Error(`no way to ${url}`), { code: "ECONNREFUSED" })
  const failing = (cause: unknown) =>
    HttpClient.make((request) =>
      Effect.fail(new HttpClientError.RequestError({ request, reason: "Transport", description: `to ${url}`, cause }))
    )
  const cut = sending(new ReadableStream({ start: (controller) => controller.error(refused) }))

  it.live.each<readonly [string, HttpClient.HttpClient, string]>([
    ["that refused", failing(refused), "the HTTP request failed (ECONNREFUSED)"],
    ["of fetch, with the error beneath", failing(new TypeError("fetch failed", { cause: refused })), "(ECONNREFUSED)"],
    ["that cannot be made", failing(broken), "the HTTP request failed (Transport)"],
    ["whose answer was cut off", cut, "the HTTP request failed (ECONNREFUSED)"]
  ])(
    "is not told with a request %s: not in the message, not in a log, not in what is inspected",
    ([, client, says]) =>
      Effect.gen(function*() {
        const error = Either.getOrThrow(Either.flip(yield* askedOf(client, url)))
        expect(error.message).toContain(says)
        const told = [
          error.message,
          Cause.pretty(Cause.fail(error), { renderErrorCause: true }),
          inspect(error, { depth: 10 }),
          JSON.stringify(error)
        ]
        for (const text of told) expect(text).not.toMatch(/login|secret\d/)
        const { cause } = error
        expect(Redacted.isRedacted(cause) && HttpClientError.isHttpClientError(Redacted.value(cause))).toBe(true)
      })
  )

  it.live("is in no span", () =>
    Effect.gen(function*() {
      const spans: Array<string> = []
      const own = yield* Effect.tracer
      const tracer = Tracer.make({
        span: (name, ...rest) => {
          spans.push(name)
          return own.span(name, ...rest)
        },
        context: (run, fiber) => own.context(run, fiber)
      })
      yield* Effect.withTracer(askedOf(failing(refused), url), tracer)
      expect(spans).toEqual([])
    }))
})
