/**
 * HTTP over our connections: servers of this machine under names that only our resolver knows.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, type Scope, Stream } from "effect"
import * as http from "node:http"
import * as http2 from "node:http2"
import * as https from "node:https"
import type * as net from "node:net"
import * as Address from "../../src/Address.js"
import * as Dialer from "../../src/Dialer.js"
import { AllAttemptsFailed, ConnectionLost, DialTimeout, ResolveError } from "../../src/DialError.js"
import * as NodeHttpClient from "../../src/node/NodeHttpClient.js"
import * as NodeTls from "../../src/node/NodeTls.js"
import * as NodeTransport from "../../src/node/NodeTransport.js"
import * as Resolver from "../../src/Resolver.js"
import * as Tls from "../../src/Tls.js"
import { isTlsError } from "../../src/TlsError.js"
import { certificates, type Issued } from "../support/certificates.js"
import * as Loopback from "../support/loopback.js"

const names = Resolver.layerStatic({
  "db.test": [Address.unsafeParse("127.0.0.1")],
  "api.test": [Address.unsafeParse("127.0.0.1")],
  "dual.test": ["127.0.0.2", "127.0.0.1"].map(Address.unsafeParse)
})

const network = Layer.provide(Layer.fresh(Dialer.layer), Layer.merge(names, NodeTransport.layer))

/** The same, and it speaks TLS and trusts our root. */
const secureNetwork = Tls.layerWith({ roots: certificates.root.certificate }).pipe(
  Layer.provide(Layer.merge(network, NodeTls.layer))
)

type Dial = Dialer.DialOptions

const clients: ReadonlyArray<
  readonly [name: string, layer: (dial?: Dial) => Layer.Layer<HttpClient.HttpClient, never, Dialer.Dialer>]
> = [
  ["undici", (dial) => NodeHttpClient.layerUndici({ dial })],
  ["node:http", (dial) => NodeHttpClient.layerAgent({ dial })]
]

interface Server {
  readonly port: number
  readonly address: Address.SocketAddress
  /** How many connections there have been, and are. */
  readonly accepted: () => number
  readonly open: () => number
}

const serve = (
  listener: http.RequestListener,
  at: { readonly host: string } | { readonly path: string } = { host: "127.0.0.1" },
  make: (listener: http.RequestListener) => http.Server = http.createServer
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ server: http.Server; sockets: Set<net.Socket>; accepted: { n: number } }>((resume) => {
        const sockets = new Set<net.Socket>()
        const accepted = { n: 0 }
        const server = make(listener)
        server.on("connection", (socket) => {
          accepted.n += 1
          sockets.add(socket)
          socket.on("close", () => sockets.delete(socket))
        })
        server.listen("path" in at ? { path: at.path } : { host: at.host, port: 0 }, () =>
          resume(Effect.succeed({ server, sockets, accepted })))
      }),
      ({ server, sockets }) =>
        Effect.async<void>((resume) => {
          server.close(() =>
            resume(Effect.void)
          )
          for (const socket of sockets) socket.destroy()
        })
    ),
    ({ accepted, server, sockets }) => {
      const bound = server.address()
      const port = bound === null || typeof bound === "string" ? 0 : bound.port
      return {
        port,
        address: Loopback.inet("127.0.0.1", port),
        accepted: () => accepted.n,
        open: () => sockets.size
      }
    }
  )

/** Over TLS, with a certificate of its own. */
const serveSecurely = (listener: http.RequestListener, { certificate: cert, key }: Issued = certificates.good) =>
  serve(listener, undefined, (listener) => https.createServer({ cert, key }, listener))

/** Says what it was asked. */
const echo: http.RequestListener = (request, response) => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)}`.trim()))
}

const handshakes = (port: number): number => Loopback.tcpRows(port).filter(({ state }) => state === "SYN_SENT").length

const text = (url: string) => Effect.flatMap(HttpClient.get(url), (response) => response.text)

describe.each(clients)("the HttpClient over %s", (_, layer) => {
  const test = (
    name: string,
    self: () => Effect.Effect<void, unknown, Scope.Scope | HttpClient.HttpClient>,
    options: { readonly dial?: Dial; readonly over?: Layer.Layer<Dialer.Dialer> } = {}
  ) =>
    it.live(name, () =>
      Loopback.leavesNoSocket(
        Effect.scoped(Effect.provide(
          Effect.scoped(Effect.suspend(self)),
          Layer.provide(layer(options.dial), options.over ?? network)
        ))
      ))

  test("sends requests, with bodies and without, to names that only our resolver knows", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(echo)
      expect(yield* text(`http://api.test:${port}/a?b=c`)).toBe("GET /a?b=c")
      const post = HttpClientRequest.post(`http://api.test:${port}/`).pipe(HttpClientRequest.bodyText("body"))
      expect(yield* Effect.flatMap(HttpClient.execute(post), (response) => response.text)).toBe("POST / body")
      const streamed = HttpClientRequest.put(`http://api.test:${port}/s`).pipe(
        HttpClientRequest.bodyStream(Stream.make("one ", "two").pipe(Stream.encodeText))
      )
      expect(yield* Effect.flatMap(HttpClient.execute(streamed), (response) => response.text)).toBe("PUT /s one two")
    }))

  test("reads a body larger than every buffer, as it comes", () =>
    Effect.gen(function*() {
      const size = 16 * 1024 * 1024
      const { port } = yield* serve((_, response) => response.end(Buffer.alloc(size)))
      const response = yield* HttpClient.get(`http://api.test:${port}/`)
      expect(yield* Stream.runFold(response.stream, 0, (sum, { length }) => sum + length)).toBe(size)
    }))

  test("keeps a connection alive and uses it again, and as many as are needed at once", () =>
    Effect.gen(function*() {
      const server = yield* serve(echo)
      // undici uses one again only after a turn of the loop.
      yield* Effect.repeatN(Effect.zipLeft(text(`http://api.test:${server.port}/`), Loopback.turns(5)), 9)
      expect(server.accepted()).toBe(1)
      yield* Effect.replicateEffect(text(`http://api.test:${server.port}/`), 5, { concurrency: 5 })
      expect(server.accepted()).toBe(5)
    }))

  test("goes to the next address of a name when one refuses", () =>
    Effect.gen(function*() {
      const server = yield* serve(echo)
      expect(yield* text(`http://dual.test:${server.port}/`)).toBe("GET /")
    }))

  test("goes to the literal of a URL, an IPv6 one without its brackets", () =>
    Effect.gen(function*() {
      if (!Loopback.hasIpv6) return
      const { port } = yield* serve(echo, { host: "::1" })
      expect(yield* text(`http://[::1]:${port}/`)).toBe("GET /")
    }))

  test("opens another connection when the server closed the one that was kept", () =>
    Effect.gen(function*() {
      const server = yield* serve((_, response) => {
        response.setHeader("connection", "close")
        response.end("bye")
      })
      for (const n of [1, 2, 3]) {
        expect(yield* text(`http://api.test:${server.port}/`)).toBe("bye")
        expect(server.accepted()).toBe(n)
      }
    }))

  test("fails a request to nobody with the error of the dial behind its RequestError", () =>
    Effect.gen(function*() {
      const address = yield* Loopback.refusing()
      const error = yield* Effect.flip(text(`http://api.test:${Loopback.portNumber(address)}/`))
      expect(error._tag).toBe("RequestError")
      const dialError = Option.getOrThrow(NodeHttpClient.dialErrorOf(error))
      expect(dialError).toBeInstanceOf(AllAttemptsFailed)
      expect(dialError.message).toContain(`${address} connection refused`)
      expect(Option.isNone(NodeHttpClient.connectionLostOf(error))).toBe(true)
    }))

  test("fails a request to a name that is not known, or that no host can have, with that error", () =>
    Effect.gen(function*() {
      const unknown = yield* Effect.flip(text("http://nobody.test/"))
      expect(Option.getOrThrow(NodeHttpClient.dialErrorOf(unknown))).toBeInstanceOf(ResolveError)
      const impossible = yield* Effect.flip(text("http://a--.test-/"))
      expect(Option.map(NodeHttpClient.dialErrorOf(impossible), ({ _tag }) => _tag)).toEqual(
        Option.some("InvalidEndpoint")
      )
    }))

  test("fails at the dial's own deadline", () =>
    Effect.gen(function*() {
      const silent = yield* Loopback.silent()
      const error = yield* Effect.flip(text(`http://api.test:${Loopback.portNumber(silent)}/`))
      expect(Option.getOrThrow(NodeHttpClient.dialErrorOf(error))).toBeInstanceOf(DialTimeout)
    }), { dial: { timeout: 50 } })

  test("fails a request whose connection is reset with the loss", () =>
    Effect.gen(function*() {
      const { port } = yield* serve((request) => request.socket.resetAndDestroy())
      const error = yield* Effect.flip(text(`http://api.test:${port}/`))
      expect(Option.getOrThrow(NodeHttpClient.connectionLostOf(error))).toBeInstanceOf(ConnectionLost)
      expect(Option.isNone(NodeHttpClient.dialErrorOf(error))).toBe(true)
    }))

  test("dials an https URL as an endpoint of TLS, in the clear for nobody", () =>
    Effect.gen(function*() {
      const { accepted, port } = yield* serve(echo)
      const error = yield* Effect.flip(text(`https://api.test:${port}/`))
      expect(Option.map(NodeHttpClient.dialErrorOf(error), ({ message }) => message)).toEqual(
        Option.some(expect.stringContaining("TLS"))
      )
      expect(accepted()).toBe(0)
    }))

  test("sends requests over TLS, and keeps its connections", () =>
    Effect.gen(function*() {
      const server = yield* serveSecurely(echo)
      for (const n of [1, 2, 3]) {
        expect(yield* text(`https://db.test:${server.port}/${n}`)).toBe(`GET /${n}`)
        yield* Loopback.turns(5)
      }
      const body = "x".repeat(1_000_000)
      const post = HttpClientRequest.post(`https://db.test:${server.port}/`).pipe(HttpClientRequest.bodyText(body))
      expect(yield* Effect.flatMap(HttpClient.execute(post), (response) => response.text)).toBe(`POST / ${body}`)
      expect(server.accepted()).toBe(1)
    }), { over: secureNetwork })

  test(
    "fails a request over TLS with what is wrong with the certificate behind its RequestError",
    () =>
      Effect.gen(function*() {
        const wrong = [
          [certificates.expired, "db.test", "Expired"],
          [certificates.good, "api.test", "WrongName"],
          [certificates.untrusted, "db.test", "UntrustedRoot"]
        ] as const
        for (const [certificate, host, reason] of wrong) {
          const { port } = yield* serveSecurely(echo, certificate)
          const error = yield* Effect.flip(text(`https://${host}:${port}/`))
          const dialError = Option.getOrThrow(NodeHttpClient.dialErrorOf(error))
          const [attempt] = dialError._tag === "AllAttemptsFailed" ? dialError.attempts : []
          const cause = attempt?.outcome === "Failed" ? attempt.error.cause : undefined
          expect(isTlsError(cause) ? cause.reason : cause).toBe(reason)
        }
      }),
    { over: secureNetwork }
  )

  test("cancels the dial of a request that is interrupted in its handshake", () =>
    Effect.gen(function*() {
      // It accepts, and says nothing.
      const listener = yield* Loopback.listen()
      const port = Loopback.portNumber(listener.address)
      const request = yield* Effect.fork(text(`https://db.test:${port}/`))
      const peer = yield* listener.accept
      yield* peer.read(1)
      yield* Fiber.interrupt(request)
      yield* peer.closed
    }), { over: secureNetwork })

  test("cancels the dial of a request that is interrupted", () =>
    Effect.gen(function*() {
      const port = Loopback.portNumber(yield* Loopback.silent())
      const request = yield* Effect.fork(text(`http://api.test:${port}/`))
      yield* Loopback.until("a SYN that nobody answers", () => handshakes(port) > 0)
      yield* Fiber.interrupt(request)
      yield* Loopback.until("the handshake to be gone", () => handshakes(port) === 0)
      // And it can be asked again.
      const again = yield* Effect.fork(text(`http://api.test:${port}/`))
      yield* Loopback.until("another SYN", () => handshakes(port) > 0)
      yield* Fiber.interrupt(again)
      yield* Loopback.until("that one to be gone", () => handshakes(port) === 0)
    }))

  test("cancels the one of several, and the others go on", () =>
    Effect.gen(function*() {
      const port = Loopback.portNumber(yield* Loopback.silent())
      const [first, second] = yield* Effect.all([
        Effect.fork(text(`http://api.test:${port}/1`)),
        Effect.fork(text(`http://api.test:${port}/2`))
      ])
      yield* Loopback.until("two SYNs", () => handshakes(port) === 2)
      yield* Fiber.interrupt(first)
      yield* Loopback.until("one of them to be gone", () => handshakes(port) === 1)
      yield* Loopback.turns(20)
      expect([handshakes(port), second.unsafePoll()]).toEqual([1, null])
      yield* Fiber.interrupt(second)
      yield* Loopback.until("both to be gone", () => handshakes(port) === 0)
    }))

  test("closes the connection of a request that is interrupted while it waits for its answer", () =>
    Effect.gen(function*() {
      const server = yield* serve(() => {})
      const request = yield* Effect.fork(text(`http://api.test:${server.port}/`))
      yield* Loopback.until("the request to arrive", () => server.open() === 1)
      yield* Fiber.interrupt(request)
      yield* Loopback.until("the connection to be closed", () => server.open() === 0)
    }))

  it.live("has nothing open, and dials nothing, once its layer is closed", () =>
    Loopback.leavesNoSocket(Effect.scoped(Effect.gen(function*() {
      const server = yield* serve(echo)
      const silent = Loopback.portNumber(yield* Loopback.silent())
      yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* Layer.build(Layer.provide(layer(), network))
        yield* Effect.provide(text(`http://api.test:${server.port}/`), client)
        expect(server.open()).toBe(1)
        // Not interrupted: whoever closes the layer under a request gives it up.
        yield* Effect.forkDaemon(Effect.provide(Effect.exit(text(`http://api.test:${silent}/`)), client))
        yield* Loopback.until("a SYN that nobody answers", () => handshakes(silent) > 0)
      }))
      yield* Loopback.until("what was kept to be closed", () => server.open() === 0)
      expect(handshakes(silent)).toBe(0)
    }))))
})

describe("the HttpClient over undici", () => {
  it.live("sends over a UNIX socket where it is told to", () =>
    Loopback.leavesNoSocket(Effect.scoped(Effect.gen(function*() {
      const directory = yield* Loopback.temporaryDirectory
      const path = `${directory}/http.sock`
      yield* serve(echo, { path })
      const client = Layer.provide(NodeHttpClient.layerUndici({ undici: { socketPath: path } }), network)
      expect(yield* Effect.scoped(Effect.provide(text("http://api.test/"), client))).toBe("GET /")
    }))))

  it.live("has at most as many connections as it may, and its requests wait for one", () =>
    Loopback.leavesNoSocket(Effect.scoped(Effect.gen(function*() {
      for (const connections of [1, 2]) {
        const server = yield* serve(echo)
        const client = Layer.provide(NodeHttpClient.layerUndici({ undici: { connections } }), network)
        yield* Effect.scoped(Effect.provide(
          Effect.replicateEffect(text(`http://api.test:${server.port}/`), 8, { concurrency: 8 }),
          client
        ))
        expect(server.accepted()).toBe(connections)
      }
    }))))

  it.live("speaks HTTP/2 where the Dialer offers it and the server takes it", () =>
    Loopback.leavesNoSocket(Effect.scoped(Effect.gen(function*() {
      const { certificate: cert, key } = certificates.good
      const versions: Array<string> = []
      const server = yield* serve(
        (request, response) => {
          versions.push(request.httpVersion)
          response.end("hello")
        },
        undefined,
        (listener) => http2.createSecureServer({ cert, key }, listener as never) as unknown as http.Server
      )
      const offering = Tls.layerWith({ roots: certificates.root.certificate, alpn: ["h2", "http/1.1"] }).pipe(
        Layer.provide(Layer.merge(network, NodeTls.layer))
      )
      const client = Layer.provide(NodeHttpClient.layerUndici(), offering)
      const both = Effect.replicateEffect(text(`https://db.test:${server.port}/`), 2)
      expect(yield* Effect.scoped(Effect.provide(both, client))).toEqual(["hello", "hello"])
      expect([versions, server.accepted()]).toEqual([["2.0", "2.0"], 1])
    }))))

  it.live("does not give a dial up while another request waits for it", () =>
    Loopback.leavesNoSocket(Effect.scoped(Effect.gen(function*() {
      const port = Loopback.portNumber(yield* Loopback.silent())
      const client = Layer.provide(NodeHttpClient.layerUndici({ undici: { connections: 1 } }), network)
      yield* Effect.scoped(Effect.provide(
        Effect.gen(function*() {
          const [first, second] = yield* Effect.all([
            Effect.fork(text(`http://api.test:${port}/1`)),
            Effect.fork(text(`http://api.test:${port}/2`))
          ])
          yield* Loopback.until("a SYN", () => handshakes(port) === 1)
          yield* Fiber.interrupt(first)
          yield* Loopback.turns(50)
          expect(handshakes(port)).toBe(1)
          yield* Fiber.interrupt(second)
          yield* Loopback.until("the handshake to be gone", () => handshakes(port) === 0)
        }),
        client
      ))
    }))))
})

describe("dialErrorOf and connectionLostOf", () => {
  it("look behind every cause, and not in circles", () => {
    const lost = new ConnectionLost({ address: Loopback.inet("127.0.0.1", 1), reason: "Reset" })
    const wrapped = new Error("outer", { cause: new Error("inner", { cause: lost }) })
    expect(NodeHttpClient.connectionLostOf(wrapped)).toEqual(Option.some(lost))
    const circle = new Error("circle")
    circle.cause = circle
    expect([circle, undefined, "text"].map(NodeHttpClient.dialErrorOf)).toEqual([
      Option.none(),
      Option.none(),
      Option.none()
    ])
  })
})
