// The peer of the benchmarks of TLS, in a process of its own: `hold`, `source` and `sink` of server.mjs over TLS, with a
// certificate made for this run, an elliptic key signed by a root that the clients are sent.
import * as x509 from "@peculiar/x509"
import { createServer } from "node:tls"

const lifetime = 20 * 60 * 1000

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
const validity = { notBefore: new Date(Date.now() - 86_400_000), notAfter: new Date(Date.now() + 86_400_000) }
const keys = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])

const [ours, its] = await Promise.all([keys(), keys()])
const root = await x509.X509CertificateGenerator.createSelfSigned({
  ...validity,
  name: "CN=Bench Root",
  keys: ours,
  signingAlgorithm: algorithm,
  extensions: [new x509.BasicConstraintsExtension(true, undefined, true)]
})
const leaf = await x509.X509CertificateGenerator.create({
  ...validity,
  subject: "CN=bench",
  issuer: root.subject,
  signingKey: ours.privateKey,
  publicKey: its.publicKey,
  signingAlgorithm: algorithm,
  extensions: [new x509.SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])]
})
const authority = root.toString("pem")
const options = {
  cert: leaf.toString("pem"),
  key: x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", its.privateKey), "PRIVATE KEY"),
  allowHalfOpen: true,
  noDelay: true
}

const open = new Set()
const wires = new Map()

/** Accepts and keeps; answers the client's end with a reset, so that no TIME_WAIT is left on either side. */
const hold = (socket, wire) => {
  socket.on("end", () => wire.resetAndDestroy())
  socket.resume()
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

/** Of a connection to one of our ports: a client may use a port of its own for several of them. */
const ends = ({ localPort, remotePort }) => `${localPort} ${remotePort}`

const listen = (role) =>
  new Promise((resolve, reject) => {
    const server = createServer(options, (socket) => {
      // A client that ends by a reset is no failure of the server.
      socket.on("error", () => {})
      role(socket, wires.get(ends(socket)))
    })
    server.on("connection", (wire) => {
      const key = ends(wire)
      open.add(wire)
      wires.set(key, wire)
      wire.on("error", () => {})
      wire.on("close", () => {
        open.delete(wire)
        wires.delete(key)
      })
    })
    server.on("tlsClientError", (_, socket) => socket.destroy())
    server.on("error", reject)
    server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => resolve(server.address().port))
  })

const whenIdle = (then) => open.size === 0 ? then() : setTimeout(() => whenIdle(then), 10)

const ports = {
  authority,
  hold: await Promise.all(Array.from({ length: 16 }, () => listen(hold))),
  source: await listen(source),
  sink: await listen(sink)
}

process.on("disconnect", () => process.exit())
process.on("message", () => whenIdle(() => process.send({ idle: true })))
setTimeout(() => process.exit(1), lifetime).unref()
process.send({ ports })
