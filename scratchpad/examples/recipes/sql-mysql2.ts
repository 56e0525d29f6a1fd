// MariaDB and MySQL through @effect/sql-mysql2, which hands `poolConfig` on to mysql2, whose `stream` makes the socket of
// each connection: a lazy stream over the Dialer in the layer's environment. mysql2's TLS (`ssl`, with the `host` that the
// certificate is for) goes over it. A `url` would override all of it.
//
//   node scratchpad/examples/run.mjs recipes/sql-mysql2 localhost:3306
import { SqlClient } from "@effect/sql"
import { MysqlClient } from "@effect/sql-mysql2"
import { Console, Effect, Layer } from "effect"
import { Dialer } from "effect-dial"
import { Duplex, NodeNetwork } from "effect-dial/node"

export const mysqlOver = (
  endpoint: string,
  { poolConfig, ...config }: Omit<MysqlClient.MysqlClientConfig, "url"> = {}
) =>
  Layer.unwrapEffect(Effect.map(Effect.runtime<Dialer.Dialer>(), (runtime) => {
    const stream = () => Duplex.lazy(runtime, endpoint, { timeout: "4 seconds" })
    return MysqlClient.layer({ ...config, poolConfig: { ...poolConfig, stream } })
  }))

const visits = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  return yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`create temporary table visit (page varchar(20), times int)`
    yield* sql`insert into visit ${sql.insert([{ page: "/", times: 7 }, { page: "/about", times: 3 }])}`
    return yield* sql`select page from visit where times > ${5}`
  }))
})

export const main = (endpoint = "localhost:3306"): Promise<void> =>
  visits.pipe(
    Effect.flatMap((rows) => Console.log(JSON.stringify(rows))),
    Effect.provide(Layer.provide(mysqlOver(endpoint, { username: "root", database: "test" }), NodeNetwork.layer)),
    Effect.runPromise
  )
