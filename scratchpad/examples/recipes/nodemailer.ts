// Mail through nodemailer: `getSocket` calls back with a socket that is connected. Its own STARTTLS and TLS (`secure`) go
// over it.
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
        (connection) => callback(null, { connection }),
        (error) => callback(error, undefined)
      )
    }
  })

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
