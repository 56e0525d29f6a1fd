/** A scripted name server on real loopback sockets, UDP and TCP on one port, until its Scope closes. */
import { Effect, Either, type Scope } from "effect"
import * as Dgram from "node:dgram"
import { once } from "node:events"
import * as Net from "node:net"
import type * as Address from "../../src/Address.js"
import * as DnsMessage from "../../src/DnsMessage.js"
import * as NameServer from "../../src/testing/NameServer.js"
import { at } from "./addresses.js"

export interface RealNameServer {
  readonly address: Address.SocketAddress
  readonly log: ReadonlyArray<NameServer.Asked>
}

export const serve = (script: NameServer.Script): Effect.Effect<RealNameServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { log, replies } = NameServer.make(script)
    const timers = new Set<NodeJS.Timeout>()
    const later = (bytes: Uint8Array, over: NameServer.Asked["over"], send: (answer: Uint8Array) => void) => {
      const query = DnsMessage.decode(bytes)
      if (Either.isLeft(query)) return
      for (const { bytes, delay } of replies(query.right, over, Date.now())) {
        const timer = setTimeout(() => {
          timers.delete(timer)
          send(bytes)
        }, delay)
        timers.add(timer)
      }
    }
    const tcp = Net.createServer((socket) => {
      socket.on("error", () => {})
      socket.on(
        "data",
        (bytes) =>
          later(
            bytes.subarray(2),
            "tcp",
            (answer) => socket.write(Uint8Array.from([answer.length >> 8, answer.length & 255, ...answer]))
          )
      )
    })
    const udp = Dgram.createSocket("udp4")
    udp.on("message", (bytes, from) => later(bytes, "udp", (answer) => udp.send(answer, from.port, from.address)))
    const sockets = new Set<Net.Socket>()
    tcp.on("connection", (socket) => sockets.add(socket))
    yield* Effect.acquireRelease(
      Effect.promise(async () => {
        tcp.listen(0, "127.0.0.1")
        await once(tcp, "listening")
        udp.bind((tcp.address() as Net.AddressInfo).port, "127.0.0.1")
        await once(udp, "listening")
      }),
      () =>
        Effect.sync(() => {
          timers.forEach((timer) => clearTimeout(timer))
          sockets.forEach((socket) => socket.destroy())
          tcp.close()
          udp.close()
        })
    )
    return { address: at(`127.0.0.1:${(tcp.address() as Net.AddressInfo).port}`), log }
  })
