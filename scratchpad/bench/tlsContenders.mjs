// What the benchmarks of TLS share of each contender.
import { Effect } from "effect"
import { Endpoint } from "effect-dial"
import * as NodeNetwork from "effect-dial/node/NodeNetwork"
import { connect, createSecureContext } from "node:tls"

/** The options of `tls.connect`, with a context that is made once: making it is most of what a naive client does. */
export const rawOptions = ({ authority }) => {
  const secureContext = createSecureContext({ ca: authority })
  return (port) => ({ host: "127.0.0.1", port, secureContext, noDelay: true })
}

export const openRaw = (options) =>
  new Promise((resolve, reject) => {
    const socket = connect(options, () => resolve(socket))
    socket.on("error", reject)
  })

/** No session is resumed, as none is by `tls.connect` alone. */
export const dialOptions = ({ authority }) => ({ roots: authority, resume: false })

export const endpoint = (port) => Endpoint.unsafeParse(`tls://127.0.0.1:${port}`)

export const run = (program) => Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(NodeNetwork.layer)))
