// `pnpm fuzz --seed S --count N --from P`: at least N mutated DNS answers, drawn from the seed S (a new one each time
// unless given), for the codec and the resolver. Exits 1 and tells of the first case that fails, or that stands still.
//
// The cases come in portions with a seed each, so that two workers can share them and a failure needs no more than its
// own portion to be seen again: `--from` is the portion to begin with.
import * as DnsFuzz from "effect-dial/testing/DnsFuzz"
import { randomInt } from "node:crypto"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"

/** How many cases have one seed. */
const portion = 100

/** The longest that one portion may take, in milliseconds: a hundred times what it does take. */
const patience = 120_000

/** A message of the greatest length, and its length before it. */
const room = 4 + 65_536

const seedOf = (seed, number) => (Math.imul(seed, 0x9e37_79b1) + number) | 0

const main = async () => {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: String(randomInt(2 ** 31)) },
      count: { type: "string", default: "200000" },
      from: { type: "string", default: "0" }
    }
  })
  const [seed, count, from] = [values.seed, values.count, values.from].map(Number)
  if (![seed, count, from].every((value) => Number.isSafeInteger(value) && value >= 0)) {
    console.error("--seed, --count and --from take whole numbers")
    return 2
  }
  console.log(`seed ${seed}`)
  const start = performance.now()
  const state = { next: from, mutants: 0, cases: 0, slowest: { millis: 0, message: "" }, failed: [] }
  const work = () =>
    new Promise((resolve, reject) => {
      const shared = new SharedArrayBuffer(room)
      const worker = new Worker(new URL(import.meta.url), { workerData: shared })
      const watch = { number: 0, timer: undefined }
      const give = () => {
        clearTimeout(watch.timer)
        if (state.mutants >= count || state.failed.length > 0) return worker.postMessage(undefined, [])
        watch.number = state.next++
        watch.timer = setTimeout(() => {
          state.failed.push(`seed ${seed}, portion ${watch.number} stands still: ${lastHeard(shared)}`)
          void worker.terminate()
        }, patience)
        worker.postMessage({ seed: seedOf(seed, watch.number), cases: portion }, [])
      }
      worker.on("message", ({ cases, failure, mutants, slowest }) => {
        state.cases += cases
        state.mutants += mutants
        if (slowest.millis > state.slowest.millis) state.slowest = slowest
        if (failure !== undefined) {
          state.failed.push(
            `portion ${watch.number}, which \`pnpm fuzz --seed ${seed} --from ${watch.number} --count 1\` tries alone:\n` +
              DnsFuzz.format({ ...failure, seed, case: watch.number * portion + failure.case })
          )
        }
        give()
      })
      worker.on("error", reject)
      worker.on("exit", () => {
        clearTimeout(watch.timer)
        resolve()
      })
      give()
    })
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  for (const failed of state.failed) console.error(failed)
  const seconds = (performance.now() - start) / 1000
  const { millis, message } = state.slowest
  console.log(`the slowest message, of ${message.length / 2} octets, was read in ${millis.toFixed(1)} ms`)
  console.log(
    `${state.mutants} mutated answers in ${state.cases} lookups in ${seconds.toFixed(1)} s: ${
      state.failed.length === 0 ? "everything held" : "FAILED"
    }`
  )
  return state.failed.length === 0 ? 0 : 1
}

const lastHeard = (shared) => {
  const length = new DataView(shared).getUint32(0)
  return length === 0 ? "it heard no message" : `the last message is ${Buffer.from(shared, 4, length).toString("hex")}`
}

if (isMainThread) {
  process.exitCode = await main()
} else {
  // The stacks of a million typed failures, which nobody reads, are a third of the time.
  Error.stackTraceLimit = 0
  const octets = new Uint8Array(workerData, 4)
  const length = new DataView(workerData)
  const watch = (bytes) => {
    octets.set(bytes.subarray(0, octets.length))
    length.setUint32(0, Math.min(bytes.length, octets.length))
  }
  parentPort.on("message", (portion) => {
    if (portion === undefined) return parentPort.close()
    parentPort.postMessage(DnsFuzz.run({ ...portion, watch }), [])
  })
}
