// `select 1` on one connection of pg, 15,000 times, each after the last: over pg's own socket and over ours.
import { ManagedRuntime } from "effect"
import * as Duplex from "effect-dial/node/Duplex"
import * as NodeNetwork from "effect-dial/node/NodeNetwork"
import { performance } from "node:perf_hooks"
import { Client } from "pg"
import { start, summary } from "../measure.mjs"

const warmUp = 5_000
const queries = 15_000

const roundTrips = (stream) => async ({ postgres }) => {
  const client = new Client({ host: "127.0.0.1", port: postgres, user: "postgres", ...stream(postgres) })
  await client.connect()
  const micros = new Float64Array(queries)
  for (let i = 0; i < warmUp; i++) await client.query("select 1")
  const stop = start()
  for (let i = 0; i < queries; i++) {
    const began = performance.now()
    await client.query("select 1")
    micros[i] = (performance.now() - began) * 1000
  }
  const { cpu, wall } = stop()
  await client.end()
  return { rate: queries / (wall / 1e6), p50: summary(micros).median, cpu: cpu / queries }
}

export default {
  title: "PostgreSQL: select 1",
  server: "postgres.mjs",
  rounds: 10,
  metrics: {
    rate: { unit: "round trips a second", digits: 0 },
    p50: { unit: "µs a round trip, p50", digits: 1 },
    cpu: { unit: "µs CPU per round trip", digits: 1 }
  },
  contenders: {
    "pg": roundTrips(() => ({})),
    "pg over Duplex.lazy": roundTrips((port) => {
      const runtime = ManagedRuntime.make(NodeNetwork.layer)
      return { stream: () => Duplex.lazy(runtime, `127.0.0.1:${port}`) }
    })
  },
  goals: [{ metric: "p50", contender: "pg over Duplex.lazy", over: "pg", atMost: 1 / 0.95 }]
}
