// `pnpm --filter scratchpad bench:sim`: what the simulated network costs. Prints a table, and writes JSON to results/ beside it.
import { Duration, Effect, Option } from "effect"
import { Dialer } from "effect-dial"
import { Behaviour, SimNetwork } from "effect-dial/testing"
import { mkdirSync, writeFileSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

// Memory means nothing without it, and a flag on the command line is forgotten.
setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc")

const rounds = 10

const hosts = {
  web: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.echo } },
  db: { addresses: ["10.0.0.3"], listeners: { 80: Behaviour.echo } }
}
const topology = { hosts, defaultLink: { latency: "10 millis" }, trace: false }
const run = (effect, options) => Effect.runSync(SimNetwork.run(effect, topology, options))

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

/** Medians of wall milliseconds, and their spread. */
const timed = (f) => {
  f()
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now()
    f()
    return performance.now() - start
  })
  return { millis: median(times), least: Math.min(...times), most: Math.max(...times) }
}

/** One question and its answer. */
const ask = (address) =>
  Effect.scoped(Effect.gen(function*() {
    const connection = yield* Dialer.dial(address)
    yield* connection.write("hello")
    yield* connection.read
  }))

/** Client, web and database: a request a second to each, for a virtual minute. */
const minute = Effect.all([
  Effect.replicateEffect(Effect.zipLeft(ask("10.0.0.2:80"), Effect.sleep("1 second")), 60),
  Effect.replicateEffect(Effect.zipLeft(ask("10.0.0.3:80"), Effect.sleep("1 second")), 60)
], { concurrency: 2 })

const speed = () => {
  const simulated = Duration.toSeconds(run(Effect.map(Effect.timed(minute), ([duration]) => duration)))
  const { millis, least, most } = timed(() => run(minute))
  return {
    what: "simulated seconds a second, 3 hosts, 2 requests a second",
    value: simulated / (millis / 1000),
    least,
    most
  }
}

const scenarios = () => {
  const { millis, least, most } = timed(() => {
    for (let n = 0; n < 50; n++) run(Effect.all([ask("10.0.0.2:80"), ask("10.0.0.3:80")], { concurrency: 2 }))
  })
  return { what: "scenarios a second, 3 hosts, 2 dials each", value: 50 / (millis / 1000), least, most }
}

/** Connections that say hello and then all stay open until the last has. */
const held = (count, measure) =>
  Effect.scoped(Effect.gen(function*() {
    const one = Effect.gen(function*() {
      const connection = yield* Dialer.dial("10.0.0.2:80")
      yield* connection.write("hello")
      return Option.isSome(yield* connection.read)
    })
    yield* Effect.replicateEffect(one, count).pipe(Effect.asVoid)
    measure?.()
  }))

const curve = () =>
  [10, 30, 100, 300, 1000, 3000, 10_000].map((count) => {
    const { millis } = count > 1000 ? once(() => run(held(count))) : timed(() => run(held(count)))
    return { connections: count, millis, microsEach: millis * 1000 / count }
  })

const once = (f) => {
  const start = performance.now()
  f()
  return { millis: performance.now() - start }
}

const memory = () => {
  const count = 10_000
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  let after = before
  run(held(count, () => {
    collectGarbage()
    after = process.memoryUsage().heapUsed
  }))
  return {
    what: "bytes of heap for each open connection, both ends and the server's fiber",
    value: (after - before) / count
  }
}

const results = { speed: speed(), scenarios: scenarios(), memory: memory(), curve: curve() }
for (const { what, value } of [results.speed, results.scenarios, results.memory]) {
  console.log(`${Math.round(value).toLocaleString("en").padStart(10)}  ${what}`)
}
console.log("\nconnections      ms   µs each")
for (const { connections, microsEach, millis } of results.curve) {
  console.log(
    `${String(connections).padStart(11)} ${millis.toFixed(1).padStart(7)} ${microsEach.toFixed(0).padStart(9)}`
  )
}
mkdirSync(new URL("results/", import.meta.url), { recursive: true })
writeFileSync(new URL("results/latest.json", import.meta.url), `${JSON.stringify(results, undefined, 2)}\n`)
