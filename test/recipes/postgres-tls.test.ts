import { SqlClient } from "@effect/sql"
import { expect } from "@effect/vitest"
import { Context, Effect, Either, identity, Layer, type ManagedRuntime, type Scope } from "effect"
import type { Dialer } from "effect-dial"
import { poolOver } from "../../scratchpad/examples/recipes/pg.js"
import { clientOver } from "../../scratchpad/examples/recipes/postgres-js.js"
import { postgresTls } from "../../scratchpad/examples/recipes/postgres-tls.js"
import { pgOver } from "../../scratchpad/examples/recipes/sql-pg.js"
import { certificates } from "../support/certificates.js"
import * as Loopback from "../support/loopback.js"
import { postgres } from "../support/servers.js"
import {
  dead,
  leavesNoConnection,
  networkOf,
  ours,
  program,
  recipe,
  refused,
  rejection,
  Server,
  tlsReasons
} from "./recipe.js"

type Runtime = ManagedRuntime.ManagedRuntime<Dialer.Dialer, never>

type Query = (statement: string) => Promise<ReadonlyArray<unknown>>

/** The clients that are given a secure connection and not told of it: the rows of a statement, or what they throw. */
const clients: {
  readonly [name: string]: (runtime: Runtime, endpoint: string) => Effect.Effect<Query, unknown, Scope.Scope>
} = {
  pg: (runtime, endpoint) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => poolOver(runtime, endpoint, { user: "postgres" })),
        (pool) => Effect.promise(() => pool.end())
      ),
      (pool) => async (statement) => (await pool.query(statement)).rows
    ),
  "postgres.js": (runtime, endpoint) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => clientOver(runtime, endpoint, { user: "postgres", backoff: () => 0, onnotice: () => {} })),
        (sql) => Effect.promise(() => sql.end({ timeout: 0 }))
      ),
      (sql) => async (statement) => [...await sql.unsafe(statement)]
    ),
  "sql-pg": (runtime, endpoint) =>
    Layer.build(pgOver(endpoint, { username: "postgres" })).pipe(
      Effect.provide(runtime),
      Effect.map((context) => {
        const sql = Context.get(context, SqlClient.SqlClient)
        // The error itself, which runPromise wraps.
        return async (statement) =>
          Either.getOrThrowWith(await Effect.runPromise(Effect.either(sql.unsafe(statement))), identity)
      })
    )
}

const trusting = Effect.flatMap(Server, ({ authority }) => networkOf(postgresTls({ roots: authority })))

const isSecure = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"

recipe("PostgreSQL's TLS by ours", postgres, (it) => {
  it.scoped("does its work as a program", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      expect(yield* program("postgres-tls", `localhost:${port}`)).toBe("TLSv1.3, TLS_AES_256_GCM_SHA384\n")
    }), 30_000)

  for (const [name, client] of Object.entries(clients)) {
    it.scoped(`is the connection of ${name}, at a name of which one address refuses and one is silent`, () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const { authority, port } = yield* Server
        const runtime = yield* networkOf(postgresTls({ roots: authority }), yield* dead)
        const query = yield* client(runtime, `db.test:${port}`)
        expect(yield* Effect.promise(() => query(isSecure))).toEqual([{ ssl: true }])
      }))))

    it.scoped(`fails ${name} with our TlsError behind it where the certificate is not trusted, or another's`, () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const { authority, port } = yield* Server
        for (
          const { host, reason, roots } of [
            { host: "db.test", roots: certificates.otherRoot.certificate, reason: "UntrustedRoot" },
            { host: "other.test", roots: authority, reason: "WrongName" }
          ]
        ) {
          const runtime = yield* networkOf(postgresTls({ roots }))
          const error = yield* Effect.flip(
            Effect.flatMap(client(runtime, `${host}:${port}`), (query) => Effect.tryPromise(() => query("select 1")))
          )
          expect(tlsReasons(error)).toEqual([reason])
        }
      }))))

    it.scoped(`is made anew for ${name} once a server that was killed is back`, () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const server = yield* Server
        const query = yield* client(yield* trusting, `db.test:${server.port}`)
        expect(yield* Effect.promise(() => query(isSecure))).toEqual([{ ssl: true }])
        yield* server.kill
        expect(yield* refused(() => query("select 1"))).toMatchObject({ _tag: "AllAttemptsFailed" })
        yield* server.restart
        expect(yield* Effect.promise(() => query(isSecure))).toEqual([{ ssl: true }])
      }))))
  }

  for (
    const { answer, what } of [
      { what: "has no TLS", answer: "N" },
      { what: "was spoken for in the clear, behind its answer", answer: "Sme" }
    ]
  ) {
    it.scoped(`fails with its answer where a server ${what}`, () =>
      Effect.gen(function*() {
        const { accept, address } = yield* Loopback.listen()
        yield* Effect.fork(Effect.flatMap(accept, (peer) => Effect.zipRight(peer.read(8), peer.write(answer))))
        const query = yield* clients["pg"]!(yield* trusting, String(address))
        const error = yield* rejection(() => query("select 1"))
        expect(ours(error)).toMatchObject({
          _tag: "AllAttemptsFailed",
          attempts: [{ error: { reason: "NotEstablished", cause: { _tag: "NoTls", answer } } }]
        })
      }))
  }
})
