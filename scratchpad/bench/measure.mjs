// Measuring, and the figures of what was measured.
import { Effect } from "effect"
import { performance } from "node:perf_hooks"

/** Starts both clocks; what it returns tells CPU time (user and system, of this process) and wall time, in µs. */
export const start = () => {
  const cpu = process.cpuUsage()
  const wall = performance.now()
  return () => {
    const { system, user } = process.cpuUsage(cpu)
    return { cpu: user + system, wall: (performance.now() - wall) * 1000 }
  }
}

/** What is alive, in bytes. Needs --expose-gc. */
export const memory = async () => {
  for (let i = 0; i < 5; i++) {
    globalThis.gc()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const { external, heapUsed, rss } = process.memoryUsage()
  return { live: heapUsed + external, rss }
}

/** The value below which a part `at` of the sorted numbers lie. */
const quantile = (sorted, at) => {
  const index = (sorted.length - 1) * at
  const low = Math.floor(index)
  const high = Math.ceil(index)
  return sorted[low] + (sorted[high] - sorted[low]) * (index - low)
}

export const summary = (numbers) => {
  const sorted = Float64Array.from(numbers).toSorted()
  return {
    median: quantile(sorted, 0.5),
    low: quantile(sorted, 0.25),
    high: quantile(sorted, 0.75),
    min: sorted[0],
    max: sorted[sorted.length - 1],
    p99: quantile(sorted, 0.99)
  }
}

/** The same, or the first of what was told in words instead of a number. */
export const summaryOrWords = (figures) => {
  const words = figures.find((figure) => typeof figure === "string")
  return words === undefined ? summary(figures) : { words }
}

export const median = (numbers) => summary(numbers).median

/** The body `times` times, one after another, in one fiber. */
export const repeat = (times, body) =>
  Effect.gen(function*() {
    for (let i = 0; i < times; i++) yield* body(i)
  })
