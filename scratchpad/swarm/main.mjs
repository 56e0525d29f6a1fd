// `pnpm swarm --seeds N --from S`: random worlds from N seeds, beginning with S. Exits 1 and tells of those that fail.
import { Swarm } from "effect-dial/testing"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { isMainThread, parentPort, Worker } from "node:worker_threads"

const portion = 250

const main = async () => {
  const { values } = parseArgs({
    options: { seeds: { type: "string", default: "5000" }, from: { type: "string", default: "0" } }
  })
  const from = Number(values.from)
  const end = from + Number(values.seeds)
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(end)) {
    console.error("--seeds and --from take whole numbers")
    return 2
  }
  const start = performance.now()
  const state = { next: from, failures: [] }
  const work = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url))
      const give = () => {
        if (state.next >= end || state.failures.length > 0) return worker.postMessage(undefined, [])
        worker.postMessage({ from: state.next, seeds: Math.min(portion, end - state.next) }, [])
        state.next += portion
      }
      worker.on("message", (failures) => {
        state.failures.push(...failures)
        give()
      })
      worker.on("error", reject)
      worker.on("exit", resolve)
      give()
    })
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  for (const failure of state.failures) console.error(failure)
  const seconds = (performance.now() - start) / 1000
  const done = Math.min(state.next, end) - from
  console.log(
    `${done} seeds from ${from} in ${seconds.toFixed(1)} s (${Math.round(done / seconds)} a second): ${
      state.failures.length === 0 ? "everything held" : `${state.failures.length} failed`
    }`
  )
  return state.failures.length === 0 ? 0 : 1
}

if (isMainThread) {
  process.exitCode = await main()
} else {
  parentPort.on("message", (portion) => {
    if (portion === undefined) return parentPort.close()
    parentPort.postMessage(Swarm.run({ ...portion, enough: 3 }).map(Swarm.format), [])
  })
}
