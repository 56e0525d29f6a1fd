import { expect, it } from "@effect/vitest"
import { swarm } from "./swarm.js"

// One half of the five thousand: two files, because each runs on a processor of its own.
it("in random worlds 0 to 2499 everything that has to hold holds", async () => {
  expect(await swarm({ from: 0, seeds: 2500 })).toBe("")
}, 120_000)
