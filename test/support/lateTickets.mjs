// A server of TLS that is kept from its sockets right after the first handshake, so that its tickets come late, and tells
// its parent how much it was sent. It stops by itself.
import { createServer } from "node:tls"

const busyMillis = 100

const server = createServer({ key: process.env.KEY, cert: process.env.CERTIFICATE, allowHalfOpen: true }, (socket) => {
  const got = { bytes: 0 }
  socket.on("error", (error) => process.send({ ...got, end: error.code }))
  socket.on("data", (bytes) => {
    got.bytes += bytes.length
  })
  socket.on("end", () => {
    process.send({ ...got, end: "end" })
    socket.end()
  })
})
// The keys of a handshake are told when the server has answered its first message.
server.once("keylog", () =>
  setImmediate(() =>
    setImmediate(() => {
      const until = performance.now() + busyMillis
      while (performance.now() < until) { /* on purpose */ }
    })
  ))
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }))
process.on("disconnect", () => process.exit())
setTimeout(() => process.exit(1), 20_000).unref()
