import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { agentOver } from "../../scratchpad/examples/recipes/undici.js"
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
  trusting,
  trustingWith
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

  it.scoped("takes an https URL for a tls:// endpoint, at such a name too", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      const dispatcher = yield* agent(yield* dualStackTrusting)
      const file = new Uint8Array(8 * 1024 * 1024).fill(7)
      const url = `https://db.test:${tlsPort}/undici/secured`
      expect(yield* put(dispatcher, url, file)).toBe(201)
      expect(Buffer.compare(yield* get(dispatcher, url), file)).toBe(0)
    }))))

  it.scoped("speaks HTTP/2 where our TLS offers it and the server takes it", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      const runtime = yield* trustingWith({ alpn: ["h2", "http/1.1"] })
      const dispatcher = yield* agent(runtime, { allowH2: true })
      const url = `https://db.test:${tlsPort}/undici/h2`
      expect(yield* put(dispatcher, url, "told")).toBe(201)
      const { body, headers } = yield* Effect.promise(() => send(dispatcher, url))
      expect(headers).toMatchObject({ protocol: "HTTP/2.0" })
      expect(yield* Effect.promise(() => body.text())).toBe("told")
    }))))

  it.scoped("rejects with our TlsError behind it where the certificate is not trusted, or another's", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      for (
        const { host, network, reason } of [
          { host: "db.test", network: distrusting, reason: "UntrustedRoot" },
          { host: "other.test", network: trusting, reason: "WrongName" }
        ]
      ) {
        const dispatcher = yield* agent(yield* network)
        const error = yield* rejection(() => send(dispatcher, `https://${host}:${tlsPort}/`))
        expect(error).toMatchObject({ _tag: "AllAttemptsFailed", endpoint: `tls://${host}:${tlsPort}` })
        expect(tlsReasons(error)).toEqual([reason])
      }
    }))))

  it.scoped("can have its own TLS over them, to the name that the certificate is for and to no other", () =>
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

  for (const scheme of ["http", "https"] as const) {
    it.scoped(`goes on by itself once a server that was killed is back (${scheme})`, () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const server = yield* Server
        const dispatcher = yield* agent(yield* trusting)
        const url = `${scheme}://db.test:${scheme === "http" ? server.port : server.tlsPort}/undici/kept`
        yield* put(dispatcher, url, "42")
        yield* server.kill
        expect(yield* refused(() => send(dispatcher, url))).toMatchObject({ _tag: "AllAttemptsFailed" })
        yield* server.restart
        expect(String(Buffer.from(yield* get(dispatcher, url)))).toBe("42")
      }))))
  }

  it.scoped("rejects with our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const dispatcher = yield* agent(yield* network())
      const url = `http://${yield* refusing}/`
      const error = yield* rejection(() => send(dispatcher, url))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed" })
    }))
})
