// PostgreSQL through @effect/sql-pg, whose `stream` makes the socket of each connection of its pool: a lazy stream over
// the Dialer in the layer's environment. Its TLS (`ssl`, with the `host` that the certificate is for) goes over it; for ours
// see postgres-tls.
//
//   node scratchpad/examples/run.mjs recipes/sql-pg localhost:5432
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Console, Effect, Layer } from "effect"
import { Dialer } from "effect-dial"
import { Duplex, NodeNetwork } from "effect-dial/node"

export const pgOver = (endpoint: string, config: PgClient.PgClientConfig = {}) =>
  Layer.unwrapEffect(
    Effect.map(Effect.runtime<Dialer.Dialer>(), (runtime) =>
      PgClient.layer({
        ...config,
        stream: () => Duplex.lazy(runtime, endpoint, { timeout: "4 seconds" })
      }))
  )

const visits = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  return yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`create temporary table visit (page text, times int) on commit drop`
    yield* sql`insert into visit ${sql.insert([{ page: "/", times: 7 }, { page: "/about", times: 3 }])}`
    return yield* sql`select page from visit where times > ${5}`
  }))
})

export const main = (endpoint = "localhost:5432"): Promise<void> =>
  visits.pipe(
    Effect.flatMap((rows) => Console.log(JSON.stringify(rows))),
    Effect.provide(Layer.provide(pgOver(endpoint, { username: "postgres" }), NodeNetwork.layer)),
    Effect.runPromise
  )
