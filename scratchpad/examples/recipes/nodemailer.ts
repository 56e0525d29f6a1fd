// Mail through nodemailer: `getSocket` calls back with a socket that is connected. One to a `tls://` endpoint is secure
// already, and nodemailer is told so. Its own STARTTLS, and its TLS (`secure`), go over one that is not.
//
//   node scratchpad/examples/run.mjs recipes/nodemailer localhost:25
import { ManagedRuntime } from "effect"
import { Duplex, NodeNetwork } from "effect-dial/node"
import { createTransport, type Transporter } from "nodemailer"
import type SmtpPool from "nodemailer/lib/smtp-pool/index.js"

export const transportOver = (
  runtime: Duplex.DialerRuntime,
  endpoint: string,
  options: Omit<SmtpPool.Options, "pool"> = {}
): Transporter =>
  createTransport({
    ...options,
    pool: true,
    getSocket: (_, callback) => {
      Duplex.connect(runtime, endpoint, { timeout: "5 seconds" }).then(
        (connection) => callback(null, "encrypted" in connection ? { connection, ...alreadySecured } : { connection }),
        (error) => callback(error, undefined)
      )
    }
  })

/** What nodemailer reads beside the socket, and its types do not know. */
const alreadySecured = { secure: true, secured: true }

export const main = async (endpoint = "localhost:25"): Promise<void> => {
  const runtime = ManagedRuntime.make(NodeNetwork.layer)
  const transport = transportOver(runtime, endpoint, { tls: { rejectUnauthorized: false } })
  try {
    const { accepted } = await transport.sendMail({
      from: "counter@example.com",
      to: "owner@example.com",
      subject: "ten visits",
      text: "Seven of / and three of /about."
    })
    console.log(`sent to ${accepted}`)
  } finally {
    transport.close()
    await runtime.dispose()
  }
}
