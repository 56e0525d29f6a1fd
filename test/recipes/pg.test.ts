import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { poolOver } from "../../scratchpad/examples/recipes/pg.js"
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

const pool = (runtime: Duplex.DialerRuntime, endpoint: string, config: Parameters<typeof poolOver>[2] = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => poolOver(runtime, endpoint, { user: "postgres", ...config })),
    (pool) => Effect.promise(() => pool.end())
  )

recipe("pg over our connections", postgres, (it) => {
  it.scoped("does its work as a program", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      expect(yield* program("pg", `localhost:${port}`)).toBe("10 visits\n")
    }), 30_000)

  it.scoped("reaches a name of which one address refuses and one is silent", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { port } = yield* Server
      const db = yield* pool(yield* dualStack, `db.test:${port}`)
      const all = yield* Effect.promise(() => Promise.all([1, 2, 3].map((n) => db.query("select $1::int as n", [n]))))
      expect(all.map(({ rows }) => rows[0].n)).toEqual([1, 2, 3])
    }))))

  it.scoped("has its TLS over them, to the name that the certificate is for and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { authority, port } = yield* Server
      const runtime = yield* network()
      const db = yield* pool(runtime, `db.test:${port}`, { host: "db.test", ssl: { ca: authority } })
      const { rows } = yield* Effect.promise(() => db.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
      expect(rows).toEqual([{ ssl: true }])
      const other = yield* pool(runtime, `db.test:${port}`, { host: "other.test", ssl: { ca: authority } })
      expect(String(yield* rejection(() => other.query("select 1")))).toMatch(/altnames/)
    }))))

  it.scoped("goes on by itself once a server that was killed is back", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const db = yield* pool(yield* network(), `db.test:${server.port}`)
      yield* Effect.promise(() => db.query("create table kept (n int)"))
      yield* Effect.promise(() => db.query("insert into kept values (42)"))
      const slow = yield* Effect.fork(rejection(() => db.query("select pg_sleep(60)")))
      yield* Effect.promise(() =>
        until(db, "select count(*)::int as n from pg_stat_activity where query ~ '^select pg_s'")
      )
      yield* server.kill
      yield* slow
      expect(yield* refused(() => db.query("select 1"))).toMatchObject({ _tag: "AllAttemptsFailed" })
      yield* server.restart
      const { rows } = yield* Effect.promise(() => db.query("select n from kept"))
      expect(rows).toEqual([{ n: 42 }])
    }))))

  it.scoped("rejects with our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const db = yield* pool(yield* network(), yield* refusing)
      const error = yield* rejection(() => db.query("select 1"))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", code: "ECONNREFUSED" })
      expect(ours(error)).toBe(error)
    }))
})

const until = async (db: ReturnType<typeof poolOver>, query: string): Promise<void> => {
  const { rows } = await db.query(query)
  if (rows[0].n === 0) await until(db, query)
}
