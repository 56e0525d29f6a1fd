// The peers of the soak, in a process of their own: listeners that echo, and count what they accept and what ended, and
// a silent one. Asked anything, it tells the counts. It ends when its parent does, and after two minutes at the latest.
import { connect, createServer } from "node:net"
import { Worker } from "node:worker_threads"

const lifetime = 120_000

let accepted = 0
let ended = 0

const echo = (socket) => {
  accepted++
  socket.on("close", () => ended++)
  // A client that ends by a reset is what the soak is about.
  socket.on("error", () => {})
  socket.on("data", (bytes) => socket.write(bytes))
  // The client ended first. A reset in answer spares both sides the TIME_WAIT, of which there would be thousands.
  socket.on("end", () => socket.resetAndDestroy())
}

const listen = () =>
  new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, echo)
    server.on("error", reject)
    server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => resolve(server.address().port))
  })

/** The silent listener, once connections have filled its queue: until one was left without an answer. */
const listenSilently = async () => {
  const worker = new Worker(new URL("silent.mjs", import.meta.url))
  const port = await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject))
  const answered = () =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port })
      const timer = setTimeout(() => {
        socket.destroy()
        resolve(false)
      }, 500)
      socket.on("error", reject)
      socket.on("connect", () => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  while (await answered()) { /* one more place is taken */ }
  return port
}

process.on("disconnect", () => process.exit())
setTimeout(() => process.exit(1), lifetime).unref()
const ports = { good: await Promise.all(Array.from({ length: 4 }, listen)), silent: await listenSilently() }
process.on("message", () => process.send({ accepted, ended }))
process.send(ports)
