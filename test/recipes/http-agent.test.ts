import { expect } from "@effect/vitest"
import { Effect } from "effect"
import * as Http from "node:http"
import { fetchText, httpAgentOver, httpsAgentOver } from "../../scratchpad/examples/recipes/http-agent.js"
import { until } from "../support/loopback.js"
import { nginx } from "../support/servers.js"
import {
  distrusting,
  dualStack,
  dualStackTrusting,
  leavesNoConnection,
  network,
  program,
  recipe,
  refused,
  refusing,
  rejection,
  Server,
  tlsReasons,
  trusting
} from "./recipe.js"

const ending = <A extends Http.Agent>(make: () => A) =>
  Effect.acquireRelease(Effect.sync(make), (agent) => Effect.sync(() => agent.destroy()))

/** The connections that are kept, once there is one: an answer can be there before the request is known to be sent. */
const free = (agent: Http.Agent) => {
  const found = () => Object.values(agent.freeSockets).flat()
  return Effect.map(until("a connection to be free", () => found().length > 0), found)
}

const put = (agent: Http.Agent, url: string, body: string) =>
  Effect.promise(() =>
    fetchText(new URL(url), { agent, method: "PUT", headers: { "content-length": Buffer.byteLength(body) }, body })
  )

const get = (agent: Http.Agent, url: string) => Effect.promise(() => fetchText(new URL(url), { agent }))

recipe("the agents of node:http and node:https over our connections", nginx, (it) => {
  it.scoped("do their work as a program", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      expect(yield* program("http-agent", `http://localhost:${port}/`)).toBe("200 ten visits\n\n")
    }), 30_000)

  it.scoped("reach a name of which one address refuses and one is silent, and keep their connection", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { port } = yield* Server
      const runtime = yield* dualStack
      const agent = yield* ending(() => httpAgentOver(runtime))
      const url = `http://db.test:${port}/agent/large`
      const file = "0123456789abcdef".repeat(65_536)
      expect(yield* put(agent, url, file)).toMatchObject({ status: 201 })
      const [kept] = yield* free(agent)
      expect((yield* get(agent, url)).body).toBe(file)
      expect(yield* free(agent)).toEqual([kept])
    }))))

  it.scoped("take an https URL for a tls:// endpoint, at such a name too, and keep their connection", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      const runtime = yield* dualStackTrusting
      const agent = yield* ending(() => httpsAgentOver(runtime))
      const url = `https://db.test:${tlsPort}/agent/secured`
      const file = "0123456789abcdef".repeat(65_536)
      expect(yield* put(agent, url, file)).toMatchObject({ status: 201 })
      const [kept] = yield* free(agent)
      expect((yield* get(agent, url)).body).toBe(file)
      expect(yield* free(agent)).toEqual([kept])
    }))))

  it.scoped("fail a request with our TlsError behind it where the certificate is not trusted, or another's", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      for (
        const { host, network, reason } of [
          { host: "db.test", network: distrusting, reason: "UntrustedRoot" },
          { host: "other.test", network: trusting, reason: "WrongName" }
        ]
      ) {
        const runtime = yield* network
        const agent = yield* ending(() => httpsAgentOver(runtime))
        const error = yield* rejection(() => fetchText(new URL(`https://${host}:${tlsPort}/`), { agent }))
        expect(error).toMatchObject({ _tag: "AllAttemptsFailed", endpoint: `tls://${host}:${tlsPort}` })
        expect(tlsReasons(error)).toEqual([reason])
      }
    }))))

  it.scoped("can have Node's TLS over them, to the name that the certificate is for and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { authority, tlsPort } = yield* Server
      const runtime = yield* network()
      const agent = yield* ending(() => httpsAgentOver(runtime, {}, { ca: authority }))
      expect(yield* put(agent, `https://db.test:${tlsPort}/agent/secret`, "told")).toMatchObject({ status: 201 })
      expect((yield* get(agent, `https://db.test:${tlsPort}/agent/secret`)).body).toBe("told")
      const other = yield* rejection(() =>
        fetchText(new URL(`https://db.test:${tlsPort}/`), { agent, headers: { host: "other.test" } })
      )
      expect(String(other)).toMatch(/altnames/)
    }))))

  for (const scheme of ["http", "https"] as const) {
    it.scoped(`go on by themselves once a server that was killed is back (${scheme})`, () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const server = yield* Server
        const runtime = yield* trusting
        const agent = yield* ending(() => scheme === "http" ? httpAgentOver(runtime) : httpsAgentOver(runtime))
        const url = `${scheme}://db.test:${scheme === "http" ? server.port : server.tlsPort}/agent/kept`
        yield* put(agent, url, "42")
        yield* server.kill
        expect(yield* refused(() => fetchText(new URL(url), { agent }))).toMatchObject({ _tag: "AllAttemptsFailed" })
        yield* server.restart
        expect((yield* get(agent, url)).body).toBe("42")
      }))))
  }

  it.scoped("fail a request with our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const runtime = yield* network()
      const agent = yield* ending(() => httpAgentOver(runtime))
      const url = new URL(`http://${yield* refusing}/`)
      const error = yield* rejection(() => fetchText(url, { agent }))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", code: "ECONNREFUSED" })
    }))
})
