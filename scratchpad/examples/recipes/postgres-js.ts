// PostgreSQL through postgres.js. It awaits what `socket` returns and writes to that at once, so the dial can be behind
// it: a lazy stream. (A promise that is rejected would cost it a connection of its pool for good.) Its own TLS (`ssl`) goes
// over it; the name to verify is then in `ssl.servername`. For ours see postgres-tls.
//
//   node scratchpad/examples/run.mjs recipes/postgres-js localhost:5432
import { ManagedRuntime } from "effect"
import { Duplex, NodeNetwork } from "effect-dial/node"
import postgres from "postgres"

/** `socket` is an option that its types do not know. */
interface Options extends postgres.Options<Record<string, never>> {
  readonly socket: () => Duplex.Duplex
}

export const clientOver = (
  runtime: Duplex.DialerRuntime,
  endpoint: string,
  config: postgres.Options<Record<string, never>> = {}
): postgres.Sql => {
  const options: Options = { ...config, socket: () => Duplex.lazy(runtime, endpoint, { timeout: "5 seconds" }) }
  return postgres(options)
}

export const main = async (endpoint = "localhost:5432"): Promise<void> => {
  const runtime = ManagedRuntime.make(NodeNetwork.layer)
  const sql = clientOver(runtime, endpoint, { user: "postgres" })
  try {
    const total = await sql.begin(async (sql) => {
      await sql`create temporary table visit (page text, times int) on commit drop`
      const visits = [{ page: "/", times: 7 }, { page: "/about", times: 3 }]
      await sql`insert into visit ${sql(visits)}`
      const [row] = await sql<Array<{ readonly total: number }>>`select sum(times)::int as total from visit`
      return row?.total
    })
    console.log(`${total} visits`)
  } finally {
    await sql.end()
    await runtime.dispose()
  }
}
