// HTTP through undici: its `connect` is given where to go and calls back with a socket that is connected. An https URL is
// a `tls://` endpoint: `Tls.layerWith` says whom to trust and what `alpn` to offer, and where that is h2 and undici is
// told `allowH2`, it speaks HTTP/2. With `tls`, undici's own TLS goes over our socket instead.
//
//   node scratchpad/examples/run.mjs recipes/undici http://localhost/
import { Either, ManagedRuntime } from "effect"
import { Endpoint } from "effect-dial"
import { Duplex, NodeNetwork } from "effect-dial/node"
import { Agent, buildConnector, request } from "undici"

export const agentOver = (
  runtime: Duplex.DialerRuntime,
  options: Agent.Options = {},
  tls?: buildConnector.BuildOptions
): Agent => {
  const encrypt = tls === undefined ? undefined : buildConnector(tls)
  return new Agent({
    ...options,
    connect: (to, callback) => {
      const secure = to.protocol === "https:"
      const port = Number(to.port === "" ? (secure ? 443 : 80) : to.port)
      const endpoint = Either.getOrThrow<Endpoint.Endpoint, unknown>(
        secure && encrypt === undefined ? Endpoint.tls(to.hostname, port) : Endpoint.tcp(to.hostname, port)
      )
      Duplex.connect(runtime, endpoint, { timeout: "5 seconds" }).then(
        (socket) => {
          if (secure && encrypt !== undefined) encrypt({ ...to, httpSocket: socket }, callback)
          else callback(null, socket)
        },
        (error) => callback(error, null)
      )
    }
  })
}

export const main = async (url = "http://localhost/"): Promise<void> => {
  const runtime = ManagedRuntime.make(NodeNetwork.layer)
  const dispatcher = agentOver(runtime)
  try {
    const put = await request(new URL("/undici.txt", url), { dispatcher, method: "PUT", body: "ten visits\n" })
    await put.body.dump()
    const { body, statusCode } = await request(new URL("/undici.txt", url), { dispatcher })
    console.log(statusCode, await body.text())
  } finally {
    await dispatcher.close()
    await runtime.dispose()
  }
}
