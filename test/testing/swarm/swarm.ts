import { setImmediate } from "node:timers/promises"
import { Swarm } from "../../../src/testing/index.js"

/** So many at a time: the test runner gives up on a worker that does not answer for long. */
const batch = 50

/** Run seeds, and tell of the first batch in which some failed: nothing when everything held. */
export const swarm = async ({ from, seeds }: { readonly from: number; readonly seeds: number }): Promise<string> => {
  for (let next = from; next < from + seeds; next += batch) {
    const failures = Swarm.run({ from: next, seeds: Math.min(batch, from + seeds - next), enough: 3 })
    if (failures.length > 0) return failures.map(Swarm.format).join("\n")
    await setImmediate()
  }
  return ""
}
