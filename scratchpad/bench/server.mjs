// The peer of every benchmark, in a process of its own. Roles, each on its own ports of 127.0.0.1:
//
//   hold    accepts and keeps; answers the client's end with a reset, so that no TIME_WAIT is left on either side
//   both    the same, on ports that ::1 has too
//   echo    sends back what it gets
//   source  is sent a number of bytes as text, sends that many, ends
//   sink    discards, and at the client's end sends how many bytes it got
//   http    answers each request with a few bytes, and keeps the connection
//
// It ends when its parent does, and after twenty minutes at the latest.
import * as Http from "node:http"
import { createServer } from "node:net"

const lifetime = 20 * 60 * 1000

const open = new Set()

const hold = (socket) => {
  socket.on("end", () => socket.resetAndDestroy())
  socket.resume()
}

const echo = (socket) => {
  socket.on("data", (bytes) => socket.write(bytes))
  socket.on("end", () => socket.end())
}

const chunk = Buffer.alloc(1024 * 1024, "effect-dial ")

const source = (socket) => {
  let left = 0
  const send = () => {
    while (left > 0) {
      const bytes = left < chunk.length ? chunk.subarray(0, left) : chunk
      left -= bytes.length
      if (!socket.write(bytes)) return
    }
    socket.end()
  }
  socket.once("data", (text) => {
    left = Number(text)
    socket.on("drain", send)
    send()
  })
}

const sink = (socket) => {
  let got = 0
  socket.on("data", (bytes) => {
    got += bytes.length
  })
  socket.on("end", () => socket.end(String(got)))
}

const listen = (role, host = "127.0.0.1", port = 0) =>
  new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      open.add(socket)
      socket.on("close", () => open.delete(socket))
      // A client that ends by a reset is no failure of the server.
      socket.on("error", () => {})
      role(socket)
    })
    server.on("error", reject)
    server.listen({ host, port, backlog: 4096 }, () => resolve(server.address().port))
  })

const listenHttp = () =>
  new Promise((resolve, reject) => {
    const server = Http.createServer((_, response) => response.end("hello"))
    server.on("connection", (socket) => {
      open.add(socket)
      socket.on("close", () => open.delete(socket))
    })
    server.on("error", reject)
    server.listen({ host: "127.0.0.1", port: 0 }, () => resolve(server.address().port))
  })

const whenIdle = (then) => open.size === 0 ? then() : setTimeout(() => whenIdle(then), 10)

/** The port is free on ::1 and, by the order in which the kernel gives ports out, nearly always on 127.0.0.1. */
const listenBoth = async () => {
  const port = await listen(hold, "::1")
  return listen(hold, "127.0.0.1", port).catch(listenBoth)
}

const ports = {
  hold: await Promise.all(Array.from({ length: 16 }, () => listen(hold))),
  both: await Promise.all(Array.from({ length: 16 }, listenBoth)),
  echo: await listen(echo),
  source: await listen(source),
  sink: await listen(sink),
  http: await listenHttp()
}

process.on("disconnect", () => process.exit())
process.on("message", () => whenIdle(() => process.send({ idle: true })))
setTimeout(() => process.exit(1), lifetime).unref()
process.send({ ports })
