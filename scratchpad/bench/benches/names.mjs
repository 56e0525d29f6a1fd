// 10,000 dials at once to 1,000 names, with the resolver that asks name servers itself, against 10,000 to a literal.
//
// Each name has an AAAA and an A; the name server is a process of its own. Node's thread pool has one thread here, and
// that waits in the open of a FIFO which nobody writes to: whatever needed the pool would wait for ever.
import { Effect, Layer } from "effect"
import { Address, Dialer, DnsResolver, Endpoint, Resolver } from "effect-dial"
import { NodeTransport } from "effect-dial/node"
import { execFileSync } from "node:child_process"
import { closeSync, open, openSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { repeat, start } from "../measure.mjs"
import { startNameServer } from "../nameServer.mjs"

const warmUp = { times: 6, dials: 2_000 }
const dials = 10_000
const names = 1_000

const nameOf = (i) => `n${i % names}.test`

const script = Object.fromEntries(
  Array.from({ length: names }, (_, i) => [nameOf(i), { A: ["127.0.0.1"], AAAA: ["::1"] }])
)

/** Uses a name server while the thread pool is taken; what needs the pool never comes back. */
const withNames = async (use) => {
  const server = await startNameServer("127.0.0.1", 0, script)
  const fifo = join(tmpdir(), `effect-dial-bench-${process.pid}`)
  execFileSync("mkfifo", [fifo])
  open(fifo, "r", (_, fd) => closeSync(fd))
  try {
    return await use(server)
  } finally {
    // Open for reading too, which waits for nobody.
    closeSync(openSync(fifo, "r+"))
    rmSync(fifo)
    server.stop()
  }
}

const threads = () => readdirSync("/proc/self/task").length

/** What to call before and after, and the figures. */
const stopwatch = async (server) => {
  const before = { asked: await server.asked(), threads: threads() }
  const stop = start()
  return async () => {
    const { cpu, wall } = stop()
    return {
      wall: wall / 1000,
      cpu: cpu / dials,
      asked: await server.asked() - before.asked,
      threads: threads() - before.threads
    }
  }
}

/** `endpoint(i)` is what dial number i dials; `network(server)` is the layer of a Dialer. */
const measured = (endpoint, network) =>
  withNames((server) => {
    const atOnce = (times) =>
      Effect.forEach(Array.from({ length: times }, (_, i) => endpoint(i)), (endpoint) => Dialer.dial(endpoint), {
        concurrency: "unbounded",
        discard: true
      })
    return Effect.gen(function*() {
      yield* repeat(warmUp.times, () => Effect.scoped(atOnce(warmUp.dials)))
      const stop = yield* Effect.promise(() => stopwatch(server))
      return yield* Effect.scoped(Effect.zipRight(atOnce(dials), Effect.promise(stop)))
    }).pipe(Effect.provide(network(server)), Effect.runPromise)
  })

const dialer = (resolver) => Layer.provide(Dialer.layer, Layer.provideMerge(resolver, NodeTransport.layer))

const ownResolver = ({ port }) =>
  DnsResolver.layerServers({ servers: [Address.socketAddress(Address.unsafeParse("127.0.0.1"), Address.Port(port))] })

const byName = (both) => (i) => Endpoint.unsafeParse(`${nameOf(i)}:${both[i % both.length]}`)

export default {
  title: "10,000 dials at once to 1,000 names",
  rounds: 7,
  env: { UV_THREADPOOL_SIZE: "1" },
  metrics: {
    wall: { unit: "ms until all are connected", digits: 0 },
    cpu: { unit: "µs CPU per dial", digits: 1 },
    asked: { unit: "questions asked", digits: 0 },
    threads: { unit: "threads begun", digits: 0 }
  },
  contenders: {
    "a literal": ({ both }) =>
      measured((i) => Endpoint.unsafeParse(`[::1]:${both[i % both.length]}`), () => dialer(Resolver.layerStatic({}))),
    "own resolver": ({ both }) => measured(byName(both), (server) => dialer(ownResolver(server))),
    "own resolver, cached": ({ both }) =>
      measured(byName(both), (server) => dialer(Layer.provide(Resolver.cached(), ownResolver(server))))
  },
  goals: [
    { metric: "wall", contender: "own resolver", over: "a literal", atMost: 2 },
    { metric: "wall", contender: "own resolver, cached", over: "a literal", atMost: 2 }
  ]
}
