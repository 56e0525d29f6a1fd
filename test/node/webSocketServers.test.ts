/**
 * `wss:` through `NodeWebSocket`, by our TLS: a WebSocket server behind nginx of Debian, which ends the TLS.
 */
import * as Socket from "@effect/platform/Socket"
import { expect } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, type Scope } from "effect"
import * as NodeWebSocket from "effect-dial/node/NodeWebSocket"
import {
  distrusting,
  dualStackTrusting,
  leavesNoConnection,
  recipe,
  Server,
  tlsReasons,
  trusting
} from "../recipes/recipe.js"
import * as Loopback from "../support/loopback.js"
import { nginx } from "../support/servers.js"
import { echo } from "../support/webSockets.js"

/** An URL of this host, of a server that sends back what it is sent. */
const urlOf = (host: string) =>
  Effect.map(Effect.all([Server, echo]), ([{ tlsPort }, path]) => `wss://${host}:${tlsPort}/${path}`)

type Network = typeof trusting | typeof distrusting

/** Do it with the constructor over a network. */
const over = (network: Network) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(network, (runtime) =>
    Effect.flatMap(
      Effect.provide(NodeWebSocket.make(), runtime),
      (make) => Effect.provideService(self, Socket.WebSocketConstructor, make)
    ))

/** No code but that of a good end is one. */
const strict = { closeCodeIsError: (code: number) => code !== 1000 }

/** Say these, each once the one before came back; what came back. */
const converse = (url: string, ...said: ReadonlyArray<string | Uint8Array>) =>
  Effect.gen(function*() {
    const socket = yield* Socket.makeWebSocket(url, strict)
    const write = yield* socket.writer
    const heard: Array<string | Uint8Array> = []
    const next = () => Effect.orDie(write(said[heard.length] ?? new Socket.CloseEvent(1000)))
    yield* socket.runRaw((message) => {
      heard.push(message)
      return next()
    }, { onOpen: Effect.suspend(next) })
    return heard
  })

/** A WebSocket that is open; how it ends. */
const opened = (url: string, options?: Parameters<typeof Socket.makeWebSocket>[1]) =>
  Effect.gen(function*() {
    const socket = yield* Socket.makeWebSocket(url, options)
    const open = yield* Deferred.make<void>()
    const ended = yield* Effect.fork(
      Effect.exit(socket.runRaw(() => {}, { onOpen: Effect.asVoid(Deferred.succeed(open, undefined)) }))
    )
    yield* Loopback.within("the WebSocket to be open", Deferred.await(open))
    return Loopback.within("the WebSocket to end", Fiber.join(ended))
  })

recipe("a wss: WebSocket over our Dialer", nginx, (it) => {
  const scenario = <E>(
    name: string,
    test: () => Effect.Effect<unknown, E, Scope.Scope | Server>
  ) => it.scoped(name, () => leavesNoConnection(Effect.scoped(Effect.suspend(test))), 20_000)

  scenario("carries text as text and bytes as bytes, more than one record of TLS", () =>
    Effect.gen(function*() {
      const url = yield* urlOf("db.test")
      const bytes = new Uint8Array(1024 * 1024).map((_, index) => index % 251)
      const [first, second, third] = yield* over(trusting)(converse(url, "grüß dich", bytes, "bye"))
      expect([first, third]).toEqual(["grüß dich", "bye"])
      expect(Buffer.compare(Buffer.from(second as Uint8Array), bytes)).toBe(0)
    }))

  scenario("reaches a name of which one address refuses and one is silent", () =>
    Effect.gen(function*() {
      expect(yield* over(dualStackTrusting)(converse(yield* urlOf("db.test"), "hello"))).toEqual(["hello"])
    }))

  for (
    const [what, host, network, reason] of [
      ["whose root is not trusted", "db.test", distrusting, "UntrustedRoot"],
      ["whose certificate is for another name", "other.test", trusting, "WrongName"]
    ] as const
  ) {
    scenario(`to a server ${what} is Open, with the TlsError of the attempt behind it`, () =>
      Effect.gen(function*() {
        const { tlsPort } = yield* Server
        const error = yield* over(network)(Effect.flip(converse(yield* urlOf(host), "hello")))
        expect(error.reason).toBe("Open")
        const dialError = Option.getOrThrow(NodeWebSocket.dialErrorOf(error))
        expect(dialError).toMatchObject({ _tag: "AllAttemptsFailed", endpoint: `tls://${host}:${tlsPort}` })
        expect(tlsReasons(dialError)).toEqual([reason])
      }))
  }

  scenario("that the server refuses is Open too, and no failure of the dial", () =>
    Effect.gen(function*() {
      const { tlsPort } = yield* Server
      const error = yield* over(trusting)(Effect.flip(converse(`wss://db.test:${tlsPort}/nothing`, "hello")))
      expect(error.reason).toBe("Open")
      expect(NodeWebSocket.dialErrorOf(error)).toEqual(Option.none())
    }))

  scenario(
    "ends with 1006 when the server is killed, is refused while it is gone, and can be made anew",
    () =>
      over(trusting)(Effect.gen(function*() {
        const server = yield* Server
        const url = yield* urlOf("db.test")
        const strictly = yield* opened(url, strict)
        const leniently = yield* opened(url)
        yield* server.kill
        const error = yield* Effect.flip(Effect.flatten(strictly))
        expect(error).toMatchObject({ _tag: "SocketError", reason: "Close", code: 1006 })
        // What @effect/platform makes of it where nobody says otherwise.
        yield* Effect.flatten(leniently)
        const refused = yield* Effect.flip(converse(url, "hello"))
        expect(refused.reason).toBe("Open")
        expect(Option.getOrThrow(NodeWebSocket.dialErrorOf(refused))).toMatchObject({
          _tag: "AllAttemptsFailed",
          attempts: [{ error: { reason: "Refused", code: "ECONNREFUSED" } }]
        })
        yield* server.restart
        expect(yield* converse(url, "back")).toEqual(["back"])
      }))
  )

  scenario("given up during the handshake is closed at once", () =>
    Effect.gen(function*() {
      // It takes connections and says nothing.
      const { accept, address } = yield* Loopback.listen()
      const url = `wss://db.test:${Loopback.portNumber(address)}/`
      const asking = yield* Effect.fork(over(trusting)(converse(url, "hello")))
      const peer = yield* accept
      yield* Fiber.interrupt(asking)
      yield* peer.closed
    }))
})
