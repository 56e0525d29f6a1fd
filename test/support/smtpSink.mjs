// An SMTP server that takes every mail and prints it: `node smtpSink.mjs PORT TLS_PORT CERTIFICATE KEY`, with STARTTLS at
// the first port and TLS from the first byte at the second.
import { readFileSync } from "node:fs"
import { text } from "node:stream/consumers"
import { SMTPServer } from "smtp-server"

const [port, tlsPort, certificate, key] = process.argv.slice(2)

for (const [at, secure] of [[port, false], [tlsPort, true]]) {
  const server = new SMTPServer({
    secure,
    cert: readFileSync(certificate),
    key: readFileSync(key),
    authOptional: true,
    disableReverseLookup: true,
    onData: (stream, session, callback) => {
      text(stream).then((mail) => {
        console.log(JSON.stringify({ secure: session.secure, mail }))
        callback(null, "taken")
      }, callback)
    }
  })
  // A client that leaves in the middle is no reason to stop.
  server.on("error", (error) => console.error(String(error)))
  server.listen(Number(at), "127.0.0.1")
}
