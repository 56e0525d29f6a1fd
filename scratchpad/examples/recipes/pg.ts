// PostgreSQL through pg. pg asks `stream` for a socket, calls `connect` on it and goes on when that has happened: a lazy
// stream, which dials at that call and to the endpoint it was made with. pg's own TLS (`ssl`) goes over it; for ours see
// postgres-tls.
//
//   node scratchpad/examples/run.mjs recipes/pg localhost:5432
import { ManagedRuntime } from "effect"
import { DialError } from "effect-dial"
import { Duplex, NodeNetwork } from "effect-dial/node"
import { Pool, type PoolConfig } from "pg"

export const poolOver = (runtime: Duplex.DialerRuntime, endpoint: string, config: PoolConfig = {}): Pool => {
  const pool = new Pool({ ...config, stream: () => Duplex.lazy(runtime, endpoint, { timeout: "5 seconds" }) })
  // The loss of a connection that nobody uses. The pool has dropped it; without a listener it ends the process.
  pool.on("error", (error) => console.error(`idle connection: ${error.message}`))
  return pool
}

const countVisits = async (pool: Pool): Promise<string | undefined> => {
  const client = await pool.connect()
  try {
    await client.query("create temporary table visit (page text, times int)")
    await client.query("begin")
    for (const visit of [["/", 7], ["/about", 3]]) await client.query("insert into visit values ($1, $2)", visit)
    await client.query("commit")
    const { rows } = await client.query<{ readonly total: string }>("select sum(times) as total from visit")
    return rows[0]?.total
  } finally {
    client.release()
  }
}

export const main = async (endpoint = "localhost:5432"): Promise<void> => {
  const runtime = ManagedRuntime.make(NodeNetwork.layer)
  const pool = poolOver(runtime, endpoint, { user: "postgres" })
  try {
    console.log(`${await countVisits(pool)} visits`)
  } catch (error) {
    // What pg rejects with is the error of the dial itself.
    if (!(error instanceof DialError.AllAttemptsFailed)) throw error
    console.error(DialError.pretty(error))
    process.exitCode = 1
  } finally {
    await pool.end()
    await runtime.dispose()
  }
}
