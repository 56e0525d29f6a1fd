import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { poolOver } from "../../scratchpad/examples/recipes/mysql2.js"
import { certificates } from "../support/certificates.js"
import { mariadb } from "../support/servers.js"
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
    Effect.sync(() => poolOver(runtime, endpoint, { user: "root", database: "test", ...config })),
    (pool) => Effect.promise(() => pool.end())
  )

recipe("mysql2 over our connections", mariadb, (it) => {
  it.scoped("does its work as a program", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      expect(yield* program("mysql2", `localhost:${port}`)).toBe("10 visits\n")
    }), 30_000)

  it.scoped("reaches a name of which one address refuses and one is silent", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { port } = yield* Server
      const db = yield* pool(yield* dualStack, `db.test:${port}`)
      const all = yield* Effect.promise(() => Promise.all([1, 2, 3].map((n) => db.query("select ? as n", [n]))))
      expect(all.map(([rows]) => rows)).toEqual([[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]])
    }))))

  it.scoped("has its TLS over them, by a root that is trusted, to the name of the certificate and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { authority, port } = yield* Server
      const runtime = yield* network()
      const ssl = { ca: authority, verifyIdentity: true }
      const db = yield* pool(runtime, `db.test:${port}`, { host: "db.test", ssl })
      const [rows] = yield* Effect.promise(() => db.query("show status like 'Ssl_version'"))
      expect(rows).toEqual([{ Variable_name: "Ssl_version", Value: expect.stringMatching(/^TLSv1\./) }])
      const other = yield* pool(runtime, `db.test:${port}`, { host: "other.test", ssl })
      expect(String(yield* rejection(() => other.query("select 1")))).toMatch(/altnames/)
      // What fails here is mysql2's, and so is the error.
      const { certificate: ca } = certificates.otherRoot
      const distrustful = yield* pool(runtime, `db.test:${port}`, { host: "db.test", ssl: { ca } })
      expect(String(yield* rejection(() => distrustful.query("select 1")))).toMatch(/local issuer certificate/)
    }))))

  it.scoped("goes on by itself once a server that was killed is back", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const db = yield* pool(yield* network(), `db.test:${server.port}`)
      yield* Effect.promise(() => db.query("create table kept (n int)"))
      yield* Effect.promise(() => db.query("insert into kept values (42)"))
      const slow = yield* Effect.fork(rejection(() => db.query("select sleep(60)")))
      yield* Effect.promise(() => untilRunning(db))
      yield* server.kill
      expect(yield* slow).toMatchObject({ code: "PROTOCOL_CONNECTION_LOST" })
      expect(yield* refused(() => db.query("select 1"))).toMatchObject({ _tag: "AllAttemptsFailed" })
      yield* server.restart
      const [rows] = yield* Effect.promise(() => db.query("select n from kept"))
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

const untilRunning = async (db: ReturnType<typeof poolOver>): Promise<void> => {
  const [rows] = await db.query("select 1 from information_schema.processlist where info like 'select sleep%'")
  if ((rows as ReadonlyArray<unknown>).length === 0) await untilRunning(db)
}
