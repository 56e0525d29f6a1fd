import { SqlClient } from "@effect/sql"
import { expect } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, type ManagedRuntime } from "effect"
import type { Dialer } from "effect-dial"
import { mysqlOver } from "../../scratchpad/examples/recipes/sql-mysql2.js"
import { pgOver } from "../../scratchpad/examples/recipes/sql-pg.js"
import { turns, within } from "../support/loopback.js"
import { type Kind, mariadb, postgres } from "../support/servers.js"
import { dualStack, leavesNoConnection, network, ours, program, recipe, refusing, Server } from "./recipe.js"

/** TLS to that name, and what signed its certificate. */
interface Tls {
  readonly host: string
  readonly ca: string
}

/** One of Effect's clients. The statements of the tests are such as both servers take. */
interface Client {
  readonly name: string
  readonly server: Kind
  readonly over: (endpoint: string, tls?: Tls) => Layer.Layer<SqlClient.SqlClient, unknown, Dialer.Dialer>
  /** The cipher of the session. */
  readonly cipher: string
  readonly sleep: string
}

const clients: ReadonlyArray<Client> = [
  {
    name: "sql-pg",
    server: postgres,
    over: (endpoint, tls) =>
      pgOver(endpoint, { username: "postgres", ...(tls && { host: tls.host, ssl: { ca: tls.ca } }) }),
    cipher: "select cipher from pg_stat_ssl where pid = pg_backend_pid()",
    sleep: "select pg_sleep(60)"
  },
  {
    name: "sql-mysql2",
    server: mariadb,
    over: (endpoint, tls) =>
      mysqlOver(endpoint, {
        username: "root",
        database: "test",
        ...(tls && { host: tls.host, poolConfig: { ssl: { ca: tls.ca, verifyIdentity: true } } })
      }),
    cipher: "select variable_value as cipher from information_schema.session_status where variable_name = 'ssl_cipher'",
    sleep: "select sleep(60)"
  }
]

/** Everything that an error was caused by, in words. */
const story = (error: unknown): string =>
  error instanceof Error && error.cause !== undefined ? `${error}, ${story(error.cause)}` : String(error)

/** A client over the Dialer of this runtime, until the Scope closes. */
const connected = <E>(
  runtime: ManagedRuntime.ManagedRuntime<Dialer.Dialer, never>,
  client: Layer.Layer<SqlClient.SqlClient, E, Dialer.Dialer>
) =>
  Layer.build(client).pipe(
    Effect.provide(runtime),
    Effect.map((context) => Context.get(context, SqlClient.SqlClient))
  )

for (const { cipher, name, over, server, sleep } of clients) {
  recipe(`@effect/${name} over our connections`, server, (it) => {
    it.scoped("does its work as a program", () =>
      Effect.gen(function*() {
        const { port } = yield* Server
        expect(yield* program(name, `localhost:${port}`)).toBe(`[{"page":"/"}]\n`)
      }), 30_000)

    it.scoped("reaches a name of which one address refuses and one is silent, and does its work", () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const { port } = yield* Server
        const sql = yield* connected(yield* dualStack, over(`db.test:${port}`))
        yield* sql`create table visit (page varchar(20), times int)`
        yield* sql.withTransaction(sql`insert into visit ${sql.insert([{ page: "/", times: 7 }])}`)
        const undone = sql.withTransaction(Effect.zipRight(sql`delete from visit`, Effect.fail("changed my mind")))
        expect(yield* Effect.flip(undone)).toBe("changed my mind")
        expect(yield* sql`select page, times from visit`).toEqual([{ page: "/", times: 7 }])
      }))))

    it.scoped("has its TLS over them, to the name that the certificate is for and to no other", () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const { authority: ca, port } = yield* Server
        const runtime = yield* network()
        const sql = yield* connected(runtime, over(`db.test:${port}`, { host: "db.test", ca }))
        expect(yield* sql.unsafe(cipher)).toEqual([{ cipher: expect.stringMatching(/^TLS_/) }])
        const other = connected(runtime, over(`db.test:${port}`, { host: "other.test", ca }))
        expect(story(yield* Effect.flip(other))).toMatch(/altnames/)
      }))))

    it.scoped("goes on by itself once a server that was killed is back", () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const server = yield* Server
        const sql = yield* connected(yield* network(), over(`db.test:${server.port}`))
        yield* sql`create table kept (n int)`
        yield* sql`insert into kept values (${42})`
        const underWay = yield* Effect.fork(Effect.flip(sql.unsafe(sleep)))
        yield* turns(50)
        yield* server.kill
        yield* within("the statement under way to fail", Fiber.join(underWay))
        // A pool has to notice first that its connections are gone.
        const refused = yield* within(
          "a dial to be refused",
          Effect.repeat(Effect.flip(sql`select n from kept`), { until: (error) => ours(error) !== undefined })
        )
        expect(ours(refused)).toMatchObject({ _tag: "AllAttemptsFailed", code: "ECONNREFUSED" })
        yield* server.restart
        expect(yield* sql`select n from kept`).toEqual([{ n: 42 }])
      }))))

    it.scoped("fails with our error as its cause where nobody listens", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(connected(yield* network(), over(yield* refusing)))
        expect(error).toMatchObject({ _tag: "SqlError", cause: { _tag: "AllAttemptsFailed", code: "ECONNREFUSED" } })
      }))
  })
}
