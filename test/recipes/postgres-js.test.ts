import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { clientOver } from "../../scratchpad/examples/recipes/postgres-js.js"
import { postgres } from "../support/servers.js"
import {
  dualStack,
  leavesNoConnection,
  network,
  ours,
  program,
  recipe,
  refused,
  refusing,
  rejection,
  Server
} from "./recipe.js"

const client = (runtime: Duplex.DialerRuntime, endpoint: string, config: Parameters<typeof clientOver>[2] = {}) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      clientOver(runtime, endpoint, { user: "postgres", backoff: () => 0, onnotice: () => {}, ...config })
    ),
    (sql) => Effect.promise(() => sql.end({ timeout: 0 }))
  )

recipe("postgres.js over our connections", postgres, (it) => {
  it.scoped("does its work as a program", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      expect(yield* program("postgres-js", `localhost:${port}`)).toBe("10 visits\n")
    }), 30_000)

  it.scoped("reaches a name of which one address refuses and one is silent", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { port } = yield* Server
      const sql = yield* client(yield* dualStack, `db.test:${port}`)
      const all = yield* Effect.promise(() => Promise.all([1, 2, 3].map((n) => sql`select ${n}::int as n`)))
      expect(all.map(([row]) => row?.["n"])).toEqual([1, 2, 3])
    }))))

  it.scoped("has its TLS over them, to the name that the certificate is for and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { authority, port } = yield* Server
      const runtime = yield* network()
      const sql = yield* client(runtime, `db.test:${port}`, { ssl: { ca: authority, servername: "db.test" } })
      const rows = yield* Effect.promise(() => sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`)
      expect([...rows]).toEqual([{ ssl: true }])
      const other = yield* client(runtime, `db.test:${port}`, { ssl: { ca: authority, servername: "other.test" } })
      expect(String(yield* rejection(() => other`select 1`))).toMatch(/altnames/)
    }))))

  it.scoped("goes on by itself once a server that was killed is back", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const sql = yield* client(yield* network(), `db.test:${server.port}`, { max: 2 })
      yield* Effect.promise(() => sql`create table noted (n int)`)
      yield* Effect.promise(() => sql`insert into noted values (42)`)
      yield* server.kill
      // More failures than it has connections: none of them is lost with its failure.
      for (const _ of [1, 2, 3, 4]) {
        expect(yield* refused(() => sql`select 1`)).toMatchObject({ _tag: "AllAttemptsFailed" })
      }
      yield* server.restart
      expect([...yield* Effect.promise(() => sql`select n from noted`)]).toEqual([{ n: 42 }])
    }))))

  it.scoped("rejects with our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const sql = yield* client(yield* network(), yield* refusing)
      const error = yield* rejection(() => sql`select 1`)
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", code: "ECONNREFUSED" })
      expect(ours(error)).toBe(error)
    }))
})
