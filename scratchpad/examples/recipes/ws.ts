// WebSockets through ws, which makes its socket by `createConnection` and takes one that is not connected yet: a lazy
// stream. For wss: TLS goes over it.
//
//   node scratchpad/examples/run.mjs recipes/ws ws://localhost/
import { Either, ManagedRuntime } from "effect"
import { Endpoint } from "effect-dial"
import { Duplex, NodeNetwork } from "effect-dial/node"
import { once } from "node:events"
import { isIP } from "node:net"
import * as Tls from "node:tls"
import { type ClientOptions, WebSocket } from "ws"

/** What ws passes to `createConnection`, beside what it was given itself; its types say what `net.connect` takes. */
interface Target extends Omit<Tls.ConnectionOptions, "port"> {
  readonly host: string
  readonly port: string | number
}

export const webSocketOver = (
  runtime: Duplex.DialerRuntime,
  url: string | URL,
  options: ClientOptions = {}
): WebSocket => {
  const connect = (to: Target): Duplex.Duplex =>
    Duplex.lazy(runtime, Either.getOrThrow(Endpoint.tcp(to.host, Number(to.port))), { timeout: "5 seconds" })
  const encrypt = (to: Target): Tls.TLSSocket =>
    Tls.connect({
      servername: isIP(to.host) === 0 ? to.host : "",
      ...to,
      port: Number(to.port),
      path: undefined,
      socket: connect(to)
    })
  const secure = new URL(url).protocol === "wss:"
  return new WebSocket(url, { ...options, createConnection: (secure ? encrypt : connect) as never })
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
