// WebSockets through ws, which makes its socket by `createConnection` and takes one that is not connected yet: a lazy
// stream. Of a wss: URL it is to a `tls://` endpoint, and `Tls.layerWith` says whom to trust; with `tls`, Node's own TLS
// goes over our socket instead.
//
//   node scratchpad/examples/run.mjs recipes/ws ws://localhost/
import { Either, ManagedRuntime } from "effect"
import { Endpoint } from "effect-dial"
import { Duplex, NodeNetwork } from "effect-dial/node"
import { once } from "node:events"
import { isIP } from "node:net"
import * as Tls from "node:tls"
import { type ClientOptions, WebSocket } from "ws"

/** What ws passes to `createConnection`, beside what it was given itself. */
interface Target {
  readonly host: string
  readonly port: string | number
}

export const webSocketOver = (
  runtime: Duplex.DialerRuntime,
  url: string | URL,
  options: ClientOptions = {},
  tls?: Tls.ConnectionOptions
): WebSocket => {
  const secure = new URL(url).protocol === "wss:"
  const createConnection = ({ host, port }: Target): Duplex.Duplex | Tls.TLSSocket => {
    const endpoint = Either.getOrThrow<Endpoint.Endpoint, unknown>(
      secure && tls === undefined ? Endpoint.tls(host, Number(port)) : Endpoint.tcp(host, Number(port))
    )
    const socket = Duplex.lazy(runtime, endpoint, { timeout: "5 seconds" })
    return secure && tls !== undefined
      ? Tls.connect({ servername: isIP(host) === 0 ? host : "", ...tls, socket })
      : socket
  }
  // Its types say that it is given what `net.connect` is, and takes no other stream.
  return new WebSocket(url, { ...options, createConnection: createConnection as never })
}

export const main = async (url = "ws://localhost/"): Promise<void> => {
  const runtime = ManagedRuntime.make(NodeNetwork.layer)
  const socket = webSocketOver(runtime, url)
  try {
    await once(socket, "open")
    socket.send("ten visits")
    const [answer] = await once(socket, "message")
    console.log(`the answer is ${answer}`)
  } finally {
    socket.close()
    await runtime.dispose()
  }
}
