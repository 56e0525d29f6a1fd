import { expect } from "@effect/vitest"
import { Effect } from "effect"
import * as Http from "node:http"
import { fetchText, httpAgentOver, httpsAgentOver } from "../../scratchpad/examples/recipes/http-agent.js"
import { nginx } from "../support/servers.js"
import {
  dualStack,
  leavesNoConnection,
  network,
  program,
  recipe,
  refused,
  refusing,
  rejection,
  Server
} from "./recipe.js"

const ending = <A extends Http.Agent>(make: () => A) =>
  Effect.acquireRelease(Effect.sync(make), (agent) => Effect.sync(() => agent.destroy()))

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
      const [kept] = Object.values(agent.freeSockets).flat()
      expect((yield* get(agent, url)).body).toBe(file)
      expect(Object.values(agent.freeSockets).flat()).toEqual([kept])
    }))))

  it.scoped("have their TLS over them, to the name that the certificate is for and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { authority, tlsPort } = yield* Server
      const runtime = yield* network()
      const agent = yield* ending(() => httpsAgentOver(runtime, { ca: authority }))
      expect(yield* put(agent, `https://db.test:${tlsPort}/agent/secret`, "told")).toMatchObject({ status: 201 })
      expect((yield* get(agent, `https://db.test:${tlsPort}/agent/secret`)).body).toBe("told")
      const other = yield* rejection(() =>
        fetchText(new URL(`https://db.test:${tlsPort}/`), { agent, headers: { host: "other.test" } })
      )
      expect(String(other)).toMatch(/altnames/)
    }))))

  it.scoped("go on by themselves once a server that was killed is back", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const runtime = yield* network()
      const agent = yield* ending(() => httpAgentOver(runtime))
      const url = `http://db.test:${server.port}/agent/kept`
      yield* put(agent, url, "42")
      yield* server.kill
      expect(yield* refused(() => fetchText(new URL(url), { agent }))).toMatchObject({ _tag: "AllAttemptsFailed" })
      yield* server.restart
      expect((yield* get(agent, url)).body).toBe("42")
    }))))

  it.scoped("fail a request with our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const runtime = yield* network()
      const agent = yield* ending(() => httpAgentOver(runtime))
      const url = new URL(`http://${yield* refusing}/`)
      const error = yield* rejection(() => fetchText(url, { agent }))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", code: "ECONNREFUSED" })
    }))
})
