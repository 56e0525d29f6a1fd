// MariaDB and MySQL through mysql2. It calls `stream` for each connection and waits for the server's greeting on what it
// gets: a lazy stream, which dials because it is read. mysql2's own TLS (`ssl`) goes over it; ours cannot, since the server
// begins in the clear and both count the packets of that.
//
//   node scratchpad/examples/run.mjs recipes/mysql2 localhost:3306
import { ManagedRuntime } from "effect"
import { Duplex, NodeNetwork } from "effect-dial/node"
import mysql from "mysql2/promise"

export const poolOver = (
  runtime: Duplex.DialerRuntime,
  endpoint: string,
  config: mysql.PoolOptions = {}
): mysql.Pool => mysql.createPool({ ...config, stream: () => Duplex.lazy(runtime, endpoint, { timeout: "5 seconds" }) })

export const main = async (endpoint = "localhost:3306"): Promise<void> => {
  const runtime = ManagedRuntime.make(NodeNetwork.layer)
  const pool = poolOver(runtime, endpoint, { user: "root" })
  try {
    const connection = await pool.getConnection()
    await connection.query("create temporary table test.visit (page varchar(20), times int)")
    await connection.beginTransaction()
    for (const visit of [["/", 7], ["/about", 3]]) {
      await connection.execute("insert into test.visit values (?, ?)", visit)
    }
    await connection.commit()
    const [rows] = await connection.query<Array<mysql.RowDataPacket>>("select sum(times) as total from test.visit")
    console.log(`${rows[0]?.["total"]} visits`)
    connection.release()
  } finally {
    await pool.end()
    await runtime.dispose()
  }
}
