import { expect, it } from "@effect/vitest"
import { swarm } from "./swarm.js"

// One half of the five thousand: two files, because each runs on a processor of its own.
it("in random worlds 2500 to 4999 everything that has to hold holds", async () => {
  expect(await swarm({ from: 2500, seeds: 2500 })).toBe("")
}, 120_000)
