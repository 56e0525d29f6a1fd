import { expect } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import type { WebSocket } from "ws"
import { webSocketOver } from "../../scratchpad/examples/recipes/ws.js"
import { nginx } from "../support/servers.js"
import { echo } from "../support/webSockets.js"
import {
  distrusting,
  dualStack,
  dualStackTrusting,
  leavesNoConnection,
  network,
  program,
  recipe,
  refusing,
  rejection,
  Server,
  tlsReasons,
  trusting
} from "./recipe.js"

const opened = (make: () => WebSocket) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = make()
      await once(socket, "open")
      return socket
    }),
    (socket) => Effect.sync(() => socket.terminate())
  )

/** What comes back. */
const say = (socket: WebSocket, message: string | Uint8Array) =>
  Effect.promise(async () => {
    const answer = once(socket, "message")
    socket.send(message)
    const [data] = await answer
    return data as Buffer
  })

recipe("ws over our connections", nginx, (it) => {
  it.scoped("does its work as a program", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      expect(yield* program("ws", `ws://localhost:${port}/${yield* echo}`)).toBe("the answer is ten visits\n")
    }), 30_000)

  it.scoped("reaches a name of which one address refuses and one is silent", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { port } = yield* Server
      const runtime = yield* dualStack
      const path = yield* echo
      const socket = yield* opened(() => webSocketOver(runtime, `ws://db.test:${port}/${path}`))
      const message = new Uint8Array(1024 * 1024).fill(7)
      expect(Buffer.compare(yield* say(socket, message), message)).toBe(0)
    }))))

  it.scoped("takes a wss: URL for a tls:// endpoint, at such a name too", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      const runtime = yield* dualStackTrusting
      const path = yield* echo
      const socket = yield* opened(() => webSocketOver(runtime, `wss://db.test:${tlsPort}/${path}`))
      const message = new Uint8Array(1024 * 1024).fill(7)
      expect(Buffer.compare(yield* say(socket, message), message)).toBe(0)
    }))))

  it.scoped("fails with our TlsError behind it where the certificate is not trusted, or another's", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      for (
        const { host, network, reason } of [
          { host: "db.test", network: distrusting, reason: "UntrustedRoot" },
          { host: "other.test", network: trusting, reason: "WrongName" }
        ]
      ) {
        const runtime = yield* network
        const error = yield* rejection(() => once(webSocketOver(runtime, `wss://${host}:${tlsPort}/`), "open"))
        expect(error).toMatchObject({ _tag: "AllAttemptsFailed", endpoint: `tls://${host}:${tlsPort}` })
        expect(tlsReasons(error)).toEqual([reason])
      }
    }))))

  it.scoped("can have Node's TLS over them, to the name that the certificate is for and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { authority, tlsPort } = yield* Server
      const runtime = yield* network()
      const url = `wss://db.test:${tlsPort}/${yield* echo}`
      const socket = yield* opened(() => webSocketOver(runtime, url, {}, { ca: authority }))
      expect(String(yield* say(socket, "told"))).toBe("told")
      const other = yield* network(["127.0.0.1"], "other.test")
      const error = yield* rejection(() =>
        once(webSocketOver(other, `wss://other.test:${tlsPort}/`, {}, { ca: authority }), "open")
      )
      expect(String(error)).toMatch(/altnames/)
    }))))

  for (const scheme of ["ws", "wss"] as const) {
    it.scoped(`tells that a server was killed, and can be made anew once it is back (${scheme})`, () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const server = yield* Server
        const runtime = yield* trusting
        const url = `${scheme}://db.test:${scheme === "ws" ? server.port : server.tlsPort}/${yield* echo}`
        const socket = yield* opened(() => webSocketOver(runtime, url))
        const closed = once(socket, "close")
        yield* server.kill
        const [code] = yield* Effect.promise(() => closed)
        expect(code).toBe(1006)
        const error = yield* rejection(() => once(webSocketOver(runtime, url), "open"))
        expect(error).toMatchObject({ _tag: "AllAttemptsFailed" })
        yield* server.restart
        const again = yield* opened(() => webSocketOver(runtime, url))
        expect(String(yield* say(again, "back"))).toBe("back")
      }))))
  }

  it.scoped("fails with our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const runtime = yield* network()
      const url = `ws://${yield* refusing}/`
      const error = yield* rejection(() => once(webSocketOver(runtime, url), "open"))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", code: "ECONNREFUSED" })
    }))
})
