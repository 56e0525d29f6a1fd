import { expect, it } from "@effect/vitest"
import { Swarm } from "../../src/testing/index.js"

it("in five thousand random worlds everything that has to hold holds", () => {
  const failures = Swarm.run({ seeds: Number(process.env["SEEDS"] ?? 5000), from: Number(process.env["FROM"] ?? 0), enough: 3 })
  expect(failures.map(Swarm.format).join("\n")).toBe("")
}, 120_000)
