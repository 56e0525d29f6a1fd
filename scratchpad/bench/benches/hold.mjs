// 10,000 dials at once, and what each connection costs while it is held and idle.
//
// Memory is the client's, kernel buffers not counted: live is heapUsed and external after garbage collection, rss what
// the process grew by.
import { Effect } from "effect"
import { openBare, openDial, openNodeSocket, openRaw, run } from "../contenders.mjs"
import { memory, repeat, start } from "../measure.mjs"

const warmUp = { times: 6, dials: 2_000 }
const dials = 10_000

const figures = ({ wall }, before, after) => ({
  wall: wall / 1000,
  live: (after.live - before.live) / dials,
  rss: (after.rss - before.rss) / dials
})

const measured = (open) => {
  const atOnce = (times) =>
    Effect.forEach(Array.from({ length: times }, (_, i) => i), open, { concurrency: "unbounded" })
  return run(Effect.gen(function*() {
    yield* repeat(warmUp.times, () => Effect.scoped(atOnce(warmUp.dials)))
    const before = yield* Effect.promise(memory)
    const stop = start()
    const held = yield* atOnce(dials)
    const took = stop()
    const after = yield* Effect.promise(memory)
    return { ...figures(took, before, after), held: held.length }
  }))
}

export default {
  title: "10,000 dials at once, then held",
  rounds: 10,
  metrics: {
    wall: { unit: "ms until all are connected", digits: 0 },
    live: { unit: "bytes live per idle connection", digits: 0 },
    rss: { unit: "bytes of rss per idle connection", digits: 0 }
  },
  contenders: {
    "raw": async ({ hold }) => {
      const atOnce = (times) => Promise.all(Array.from({ length: times }, (_, i) => openRaw(hold[i % hold.length])))
      for (let i = 0; i < warmUp.times; i++) {
        for (const socket of await atOnce(warmUp.dials)) socket.destroy()
      }
      const before = await memory()
      const stop = start()
      const held = await atOnce(dials)
      const took = stop()
      const after = await memory()
      return { ...figures(took, before, after), held: held.length }
    },
    "effect-dial": ({ hold }) => measured((i) => openDial(hold[i % hold.length])),
    "bare Effect": ({ hold }) => measured((i) => openBare(hold[i % hold.length])),
    "NodeSocket": ({ hold }) => measured((i) => openNodeSocket(hold[i % hold.length], () => {}))
  },
  goals: [
    { metric: "wall", contender: "effect-dial", over: "raw", atMost: 1.5 },
    { metric: "live", contender: "effect-dial", over: "raw", difference: true, atMost: 4096 },
    { metric: "rss", contender: "effect-dial", over: "raw", difference: true, atMost: 4096 }
  ]
}
