import { expect, it } from "@effect/vitest"
import { Swarm } from "../../../src/testing/index.js"

// One half of the five thousand: two files, because each runs on a processor of its own.
it("in random worlds 0 to 2499 everything that has to hold holds", () => {
  const failures = Swarm.run({ from: 0, seeds: 2500, enough: 3 })
  expect(failures.map(Swarm.format).join("\n")).toBe("")
}, 120_000)
