/** A WebSocket server behind nginx (`servers.ts`): it sends back what it is sent. */
import { Effect, type Scope } from "effect"
import { once } from "node:events"
import type * as net from "node:net"
import { WebSocketServer } from "ws"

/** The path at which nginx hands on to it. */
export const echo: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" })
    server.on("connection", (socket) => {
      socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
    await once(server, "listening")
    return server
  }),
  (server) =>
    Effect.async<void>((resume) => {
      for (const socket of server.clients) socket.terminate()
      server.close(() => resume(Effect.void))
    })
).pipe(Effect.map((server) => `websocket/${(server.address() as net.AddressInfo).port}`))
