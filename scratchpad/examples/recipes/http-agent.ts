// HTTP and HTTPS through the agents of node:http and node:https. An agent calls `createConnection` for each socket of its
// pool, and takes one that is not connected yet: a lazy stream. Of https it is to a `tls://` endpoint, and `Tls.layerWith`
// says whom to trust; with `tls`, Node's own TLS goes over our socket instead.
//
//   node scratchpad/examples/run.mjs recipes/http-agent http://localhost/
import { Either, ManagedRuntime } from "effect"
import { Endpoint } from "effect-dial"
import { Duplex, NodeNetwork } from "effect-dial/node"
import * as Http from "node:http"
import * as Https from "node:https"
import { text } from "node:stream/consumers"
import type * as Tls from "node:tls"

const socketTo = (
  runtime: Duplex.DialerRuntime,
  to: Http.ClientRequestArgs,
  endpoint: (host: string, port: number) => Either.Either<Endpoint.Endpoint, unknown>
): Duplex.Duplex =>
  Duplex.lazy(runtime, Either.getOrThrow(endpoint(to.host ?? "localhost", Number(to.port))), { timeout: "5 seconds" })

export const httpAgentOver = (runtime: Duplex.DialerRuntime, options: Http.AgentOptions = {}): Http.Agent => {
  const agent = new Http.Agent({ keepAlive: true, ...options })
  agent.createConnection = (to) => socketTo(runtime, to, Endpoint.tcp)
  return agent
}

/** For `tls` the agent's own `createConnection` does TLS over a `socket` it is given, and keeps its cache of sessions. */
export const httpsAgentOver = (
  runtime: Duplex.DialerRuntime,
  options: Http.AgentOptions = {},
  tls?: Tls.ConnectionOptions
): Https.Agent => {
  const agent = new Https.Agent({ keepAlive: true, ...options, ...tls })
  const encrypt = agent.createConnection
  agent.createConnection = (to) =>
    tls === undefined
      ? socketTo(runtime, to, Endpoint.tls)
      : encrypt.call(agent, Object.assign(to, { socket: socketTo(runtime, to, Endpoint.tcp) }))
  return agent
}

/** One request and its whole answer. */
export const fetchText = (
  url: URL,
  options: Http.RequestOptions & { readonly body?: string } = {}
): Promise<{ readonly status: number | undefined; readonly body: string }> =>
  new Promise((resolve, reject) => {
    const { request } = url.protocol === "https:" ? Https : Http
    const asked = request(url, options, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject)
    })
    asked.on("error", reject)
    asked.end(options.body)
  })

export const main = async (url = "http://localhost/"): Promise<void> => {
  const runtime = ManagedRuntime.make(NodeNetwork.layer)
  const agent = url.startsWith("https:") ? httpsAgentOver(runtime) : httpAgentOver(runtime)
  try {
    const file = new URL("/http-agent.txt", url)
    await fetchText(file, { agent, method: "PUT", headers: { "content-length": 11 }, body: "ten visits\n" })
    const { body, status } = await fetchText(file, { agent })
    console.log(status, body)
  } finally {
    agent.destroy()
    await runtime.dispose()
  }
}
