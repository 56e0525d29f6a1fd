// A name server for benchmarks, in a process of its own, on UDP and TCP of one address. It says what a script of
// `NameServer.make` has, and ends when its parent does.
import { Either } from "effect"
import { DnsMessage } from "effect-dial"
import { NameServer } from "effect-dial/testing"
import { fork } from "node:child_process"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"

const self = fileURLToPath(import.meta.url)

/** Its port; `asked()` is how many questions it was asked so far. */
export const startNameServer = async (address, port, script) => {
  const server = fork(self, [address, String(port)])
  server.send(script)
  const [told] = await once(server, "message")
  return {
    ...told,
    asked: async () => {
      server.send("asked?")
      const [{ asked }] = await once(server, "message")
      return asked
    },
    stop: () => server.disconnect()
  }
}

const serve = async (address, wanted) => {
  const [script] = await once(process, "message")
  const { log, replies } = NameServer.make(script)
  const answer = (bytes, over, send) => {
    const query = DnsMessage.decode(bytes)
    if (Either.isLeft(query)) return
    for (const { bytes, delay } of replies(query.right, over, Date.now())) {
      // A timer would take a millisecond for none.
      if (delay === 0) send(bytes)
      else setTimeout(send, delay, bytes)
    }
  }
  const tcp = createServer((socket) => {
    socket.on("error", () => {})
    socket.on(
      "data",
      (bytes) =>
        answer(
          bytes.subarray(2),
          "tcp",
          (reply) => socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]))
        )
    )
  })
  tcp.listen(wanted, address)
  await once(tcp, "listening")
  const { port } = tcp.address()
  const udp = createSocket(address.includes(":") ? "udp6" : "udp4")
  udp.on("message", (bytes, from) => answer(bytes, "udp", (reply) => udp.send(reply, from.port, from.address)))
  udp.bind(port, address)
  await once(udp, "listening")
  process.on("disconnect", () => process.exit())
  process.on("message", () => process.send({ asked: log.length }))
  process.send({ port })
}

if (process.argv[1] === self) await serve(process.argv[2], Number(process.argv[3]))
