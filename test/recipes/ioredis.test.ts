import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { redisOver } from "../../scratchpad/examples/recipes/ioredis.js"
import { until } from "../support/loopback.js"
import { redis } from "../support/servers.js"
import {
  dualStack,
  leavesNoConnection,
  network,
  ours,
  program,
  recipe,
  refusing,
  rejection,
  Server,
  trusting
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

  it.scoped("has TLS over them, to the name that the certificate is for and to no other", () =>
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

  it.scoped("takes a tls:// endpoint, whose dial verifies the certificate", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      const runtime = yield* trusting
      const db = yield* client(runtime, `tls://db.test:${tlsPort}`)
      expect(yield* Effect.promise(() => db.ping())).toBe("PONG")
      const other = yield* client(runtime, `tls://other.test:${tlsPort}`)
      const errors = collected(other)
      yield* until("a handshake to fail", () => errors.length > 0)
      expect(ours(errors[0])).toMatchObject({
        _tag: "AllAttemptsFailed",
        attempts: [{ error: { cause: { _tag: "TlsError", reason: "WrongName" } } }]
      })
    }))))

  it.scoped("goes on by itself once a server that was killed is back, with what it was asked meanwhile", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const db = yield* client(yield* network(), `db.test:${server.port}`)
      yield* Effect.promise(() => db.set("kept", "42"))
      const errors = collected(db)
      yield* server.kill
      yield* until("a dial to fail", () => errors.length > 0)
      expect(ours(errors[0])).toMatchObject({ _tag: "AllAttemptsFailed" })
      const asked = db.get("kept")
      yield* server.restart
      expect(yield* Effect.promise(() => asked)).toBe("42")
    }))))

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
