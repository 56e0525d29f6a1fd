import * as Socket from "@effect/platform/Socket"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, type Scope } from "effect"
import { once } from "node:events"
import * as http from "node:http"
import type * as net from "node:net"
import * as path from "node:path"
import { WebSocketServer } from "ws"
import * as Address from "../../src/Address.js"
import * as Dialer from "../../src/Dialer.js"
import { AllAttemptsFailed, ResolveError } from "../../src/DialError.js"
import { NodeTransport } from "../../src/node/index.js"
import * as NodeWebSocket from "../../src/node/NodeWebSocket.js"
import * as Resolver from "../../src/Resolver.js"
import * as Loopback from "../support/loopback.js"

/** A WebSocket server that says what it is told, and its headers to who asks for them; where it listens. */
const serve = (at: net.ListenOptions = { host: "127.0.0.1", port: 0 }): Effect.Effect<number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = http.createServer()
        const sockets = new WebSocketServer({ server })
        sockets.on("connection", (socket, request) => {
          socket.on("message", (said, binary) => {
            socket.send(String(said) === "headers" ? JSON.stringify(request.headers) : said, { binary })
          })
        })
        await once(server.listen(at), "listening")
        return { server, sockets }
      }),
      ({ server, sockets }) =>
        Effect.async<void>((resume) => {
          sockets.clients.forEach((client) => client.terminate())
          sockets.close(() => server.close(() => resume(Effect.void)))
        })
    ),
    ({ server }) => {
      const address = server.address()
      return address === null || typeof address === "string" ? 0 : address.port
    }
  )

/** `ws.test` has these addresses and no other name has any. */
const constructorOf = (addresses: ReadonlyArray<string>, options?: NodeWebSocket.Options) =>
  NodeWebSocket.layer(options).pipe(
    Layer.provide(Dialer.layer),
    Layer.provide([Resolver.layerStatic({ "ws.test": addresses.map(Address.unsafeParse) }), NodeTransport.layer])
  )

/** Say this; the first thing that is said back. */
const ask = (url: string, said: string | Uint8Array) =>
  Effect.gen(function*() {
    const socket = yield* Socket.makeWebSocket(url)
    const write = yield* socket.writer
    const heard: Array<string | Uint8Array> = []
    yield* socket.runRaw((message) => {
      heard.push(message)
      return write(new Socket.CloseEvent())
    }, { onOpen: Effect.orDie(write(said)) })
    return heard[0]
  })

const live = <E>(name: string, test: () => Effect.Effect<unknown, E, Scope.Scope>): void =>
  it.live(name, () => Loopback.leavesNoSocket(Effect.scoped(Effect.suspend(test))))

const failing = (error: Socket.SocketError): unknown => Option.getOrUndefined(NodeWebSocket.dialErrorOf(error))

describe("a WebSocket over our Dialer", () => {
  live("goes to the addresses of our names, to the one that answers", () =>
    Effect.gen(function*() {
      const port = yield* serve()
      const heard = yield* Effect.provide(
        ask(`ws://ws.test:${port}/`, "hello"),
        constructorOf(["127.0.0.9", "127.0.0.1"])
      )
      expect(heard).toBe("hello")
    }))

  live("carries bytes as bytes, more than one frame of the kernel", () =>
    Effect.gen(function*() {
      const port = yield* serve()
      const bytes = new Uint8Array(1024 * 1024).map((_, index) => index % 251)
      const heard = yield* Effect.provide(ask(`ws://127.0.0.1:${port}/`, bytes), constructorOf([]))
      expect(Buffer.compare(Buffer.from(heard as Uint8Array), bytes)).toBe(0)
    }))

  live("goes to a UNIX socket", () =>
    Effect.gen(function*() {
      const file = path.join(yield* Loopback.temporaryDirectory, "ws.sock")
      yield* serve({ path: file })
      expect(yield* Effect.provide(ask(`ws+unix:${file}:/chat`, "hello"), constructorOf([]))).toBe("hello")
    }))

  live("sends the headers it is told to", () =>
    Effect.gen(function*() {
      const port = yield* serve()
      const options = { headers: { "x-who": "me" }, origin: "https://example.com", perMessageDeflate: false }
      const heard = yield* Effect.provide(
        ask(`ws://ws.test:${port}/`, "headers"),
        constructorOf(["127.0.0.1"], options)
      )
      const headers = JSON.parse(String(heard))
      expect(headers).toMatchObject({ host: `ws.test:${port}`, origin: "https://example.com", "x-who": "me" })
      expect(headers["sec-websocket-extensions"]).toBe(undefined)
    }))

  live("that nobody answers is Open, with the story of every address in its event", () =>
    Effect.gen(function*() {
      const refusing = yield* Loopback.refusing()
      const url = `ws://ws.test:${Loopback.portNumber(refusing)}/`
      const error = yield* Effect.flip(Effect.provide(ask(url, "hello"), constructorOf(["127.0.0.1"])))
      expect(error.reason).toBe("Open")
      expect(failing(error)).toBeInstanceOf(AllAttemptsFailed)
      expect(String(failing(error))).toContain(`${refusing} connection refused (ECONNREFUSED)`)
    }))

  live("to a name that does not exist is Open, with the failure of the lookup", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(ask("ws://nobody.test/", "hello"), constructorOf([])))
      expect(error.reason).toBe("Open")
      expect(failing(error)).toBeInstanceOf(ResolveError)
    }))

  live("asks for TLS when its URL does: one that our Dialer would speak, not Node", () =>
    Effect.gen(function*() {
      const dialed: Array<string> = []
      const dialer = Dialer.make((endpoint) => {
        dialed.push(String(endpoint))
        return Effect.die("not in this test")
      })
      const constructor = Layer.provide(NodeWebSocket.layer(), Layer.succeed(Dialer.Dialer, dialer))
      yield* Effect.exit(Effect.provide(ask("wss://ws.test/", "hello"), constructor))
      yield* Effect.exit(Effect.provide(ask("wss://ws.test:8443/", "hello"), constructor))
      yield* Effect.exit(Effect.provide(ask("ws://[::1]/", "hello"), constructor))
      expect(dialed).toEqual(["tls://ws.test:443", "tls://ws.test:8443", "tcp://[::1]:80"])
    }))

  live("given up while it connects leaves nothing in SYN_SENT", () =>
    Effect.gen(function*() {
      const port = Loopback.portNumber(yield* Loopback.silent())
      const synSent = () => Loopback.tcpRows(port).filter(({ state }) => state === "SYN_SENT").length
      const asking = yield* Effect.fork(
        Effect.provide(ask(`ws://ws.test:${port}/`, "hello"), constructorOf(["127.0.0.1"]))
      )
      yield* Loopback.until("a SYN that nobody answers", () => synSent() === 1)
      yield* Fiber.interrupt(asking)
      yield* Loopback.until("the socket to be gone", () => synSent() === 0)
    }))

  live("given up with nobody listening for its error throws nothing", () =>
    Effect.gen(function*() {
      const port = yield* serve()
      const make = yield* Effect.provide(Socket.WebSocketConstructor, constructorOf(["127.0.0.1"]))
      // An uncaught exception fails the run of the tests.
      yield* Loopback.within(
        "the close",
        Effect.async<void>((resume) => {
          const socket = make(`ws://ws.test:${port}/`)
          socket.addEventListener("close", () => resume(Effect.void), { once: true })
          socket.close()
        })
      )
    }))
})
