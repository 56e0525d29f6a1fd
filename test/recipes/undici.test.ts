import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { agentOver } from "../../scratchpad/examples/recipes/undici.js"
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

const agent = (runtime: Duplex.DialerRuntime, ...more: DropFirst<Parameters<typeof agentOver>>) =>
  Effect.acquireRelease(
    Effect.sync(() => agentOver(runtime, ...more)),
    (agent) => Effect.promise(() => agent.destroy())
  )

type DropFirst<A> = A extends readonly [unknown, ...infer Rest] ? Rest : never

type Agent = ReturnType<typeof agentOver>

const send = (agent: Agent, url: string, body?: string | Uint8Array) => {
  const { origin, pathname: path } = new URL(url)
  return agent.request({ origin, path, ...body === undefined ? { method: "GET" } : { method: "PUT", body } })
}

const put = (agent: Agent, url: string, body: string | Uint8Array) =>
  Effect.promise(async () => {
    const answer = await send(agent, url, body)
    await answer.body.dump()
    return answer.statusCode
  })

const get = (agent: Agent, url: string) => Effect.promise(async () => (await send(agent, url)).body.bytes())

recipe("undici over our connections", nginx, (it) => {
  it.scoped("does its work as a program", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      expect(yield* program("undici", `http://localhost:${port}/`)).toBe("200 ten visits\n\n")
    }), 30_000)

  it.scoped("reaches a name of which one address refuses and one is silent", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { port } = yield* Server
      const dispatcher = yield* agent(yield* dualStack)
      const file = new Uint8Array(8 * 1024 * 1024).fill(7)
      const url = `http://db.test:${port}/undici/large`
      expect(yield* put(dispatcher, url, file)).toBe(201)
      expect(Buffer.compare(yield* get(dispatcher, url), file)).toBe(0)
    }))))

  it.scoped("has its TLS over them, to the name that the certificate is for and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { authority, tlsPort } = yield* Server
      const runtime = yield* network()
      const url = `https://db.test:${tlsPort}/undici/secret`
      const http1 = yield* agent(runtime, {}, { ca: authority })
      expect(yield* put(http1, url, "by HTTP/1.1")).toBe(201)
      const http2 = yield* agent(runtime, { allowH2: true }, { ca: authority, allowH2: true })
      expect(String(Buffer.from(yield* get(http2, url)))).toBe("by HTTP/1.1")
      const other = yield* agent(runtime, {}, { ca: authority, servername: "other.test" })
      expect(String(yield* rejection(() => send(other, url)))).toMatch(/altnames/)
    }))))

  it.scoped("goes on by itself once a server that was killed is back", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const dispatcher = yield* agent(yield* network())
      const url = `http://db.test:${server.port}/undici/kept`
      yield* put(dispatcher, url, "42")
      yield* server.kill
      expect(yield* refused(() => send(dispatcher, url))).toMatchObject({ _tag: "AllAttemptsFailed" })
      yield* server.restart
      expect(String(Buffer.from(yield* get(dispatcher, url)))).toBe("42")
    }))))

  it.scoped("rejects with our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const dispatcher = yield* agent(yield* network())
      const url = `http://${yield* refusing}/`
      const error = yield* rejection(() => send(dispatcher, url))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed" })
    }))
})
