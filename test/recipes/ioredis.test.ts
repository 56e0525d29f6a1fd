import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { redisOver } from "../../scratchpad/examples/recipes/ioredis.js"
import { until } from "../support/loopback.js"
import { redis } from "../support/servers.js"
import {
  distrusting,
  dualStack,
  dualStackTrusting,
  leavesNoConnection,
  network,
  ours,
  program,
  recipe,
  refusing,
  rejection,
  Server,
  tlsReasons,
  trusting,
  trustingWith
} from "./recipe.js"

const client = (runtime: Duplex.DialerRuntime, endpoint: string, options: Parameters<typeof redisOver>[2] = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => redisOver(runtime, endpoint, { disconnectTimeout: 100, ...options })),
    (redis) => Effect.sync(() => redis.disconnect())
  )

const collected = (redis: ReturnType<typeof redisOver>): ReadonlyArray<Error> => {
  const errors: Array<Error> = []
  redis.on("error", (error) => errors.push(error))
  return errors
}

recipe("ioredis over our connections", redis, (it) => {
  it.scoped("does its work as a program", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      expect(yield* program("ioredis", `localhost:${port}`)).toBe("{ '/': '8', '/about': '3' }\n")
    }), 30_000)

  it.scoped("reaches a name of which one address refuses and one is silent", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { port } = yield* Server
      const db = yield* client(yield* dualStack, `db.test:${port}`)
      const answers = yield* Effect.promise(() => Promise.all([db.set("a", "1"), db.incr("a"), db.get("a")]))
      expect(answers).toEqual(["OK", 2, "2"])
    }))))

  it.scoped("can have Node's TLS over them, to the name that the certificate is for and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { authority, tlsPort } = yield* Server
      const runtime = yield* network()
      const db = yield* client(runtime, `db.test:${tlsPort}`, { tls: { ca: authority, servername: "db.test" } })
      expect(yield* Effect.promise(() => db.ping())).toBe("PONG")
      const other = yield* client(runtime, `db.test:${tlsPort}`, {
        tls: { ca: authority, servername: "other.test" },
        maxRetriesPerRequest: 0
      })
      const errors = collected(other)
      yield* until("a handshake to fail", () => errors.length > 0)
      expect(String(errors[0])).toMatch(/altnames/)
    }))))

  it.scoped("takes a tls:// endpoint, at such a name too", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      const db = yield* client(yield* dualStackTrusting, `tls://db.test:${tlsPort}`)
      const answers = yield* Effect.promise(() => Promise.all([db.set("s", "1"), db.incr("s"), db.get("s")]))
      expect(answers).toEqual(["OK", 2, "2"])
    }))))

  it.scoped("tells our TlsError where the certificate is not trusted, or another's", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      for (
        const { host, network, reason } of [
          { host: "db.test", network: distrusting, reason: "UntrustedRoot" },
          { host: "other.test", network: trusting, reason: "WrongName" }
        ]
      ) {
        const errors = collected(yield* client(yield* network, `tls://${host}:${tlsPort}`))
        yield* until("a handshake to fail", () => errors.length > 0)
        expect(errors[0]).toMatchObject({ _tag: "AllAttemptsFailed", endpoint: `tls://${host}:${tlsPort}` })
        expect(tlsReasons(errors[0])).toEqual([reason])
      }
    }))))

  it.scoped("leaves a server that does not end TLS without an error, where that is allowed", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      const db = yield* client(yield* trustingWith({ allowTruncation: true }), `tls://db.test:${tlsPort}`)
      const errors = collected(db)
      yield* Effect.promise(() => db.ping())
      const ended = new Promise((resolve) => db.once("end", resolve))
      db.disconnect()
      yield* Effect.promise(() => ended)
      expect(errors).toEqual([])
    }))))

  for (const scheme of ["tcp", "tls"] as const) {
    it.scoped(`goes on by itself once a server that was killed is back, with what it was asked (${scheme})`, () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const server = yield* Server
        const port = scheme === "tcp" ? server.port : server.tlsPort
        const db = yield* client(yield* trustingWith({ allowTruncation: true }), `${scheme}://db.test:${port}`)
        yield* Effect.promise(() => db.set("kept", "42"))
        const errors = collected(db)
        yield* server.kill
        yield* until("a dial to fail", () => errors.some((error) => ours(error) !== undefined))
        const asked = db.get("kept")
        yield* server.restart
        expect(yield* Effect.promise(() => asked)).toBe("42")
      }))))
  }

  it.scoped("tells our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const db = yield* client(yield* network(), yield* refusing, { maxRetriesPerRequest: 0 })
      const failed = yield* Effect.fork(rejection(() => db.ping()))
      const errors = collected(db)
      yield* until("a dial to fail", () => errors.length > 0)
      expect(errors[0]).toMatchObject({ _tag: "AllAttemptsFailed", code: "ECONNREFUSED" })
      expect(yield* failed).toMatchObject({ name: "MaxRetriesPerRequestError" })
    }))
})
