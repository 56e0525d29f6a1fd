import { expect, it, vi } from "@effect/vitest"
import { setImmediate } from "node:timers/promises"
import { Swarm } from "../../../src/testing/index.js"
import { Path } from "../../../src/testing/internal/Path.js"
import { Pipe } from "../../../src/testing/internal/Pipe.js"

it("a bug is found, and told with its seed, a smaller scenario and the diagram", async () => {
  const take = Pipe.prototype.take
  const spy = vi.spyOn(Pipe.prototype, "take").mockImplementation(function(this: Pipe) {
    const bytes = take.call(this)
    return bytes !== undefined && bytes.length > 1000 ? bytes.toReversed() : bytes
  })
  try {
    const [failure] = Swarm.run({ seeds: 100 })
    if (failure === undefined) throw new Error("it was not found")
    expect(failure.violations.join()).toMatch(/byte \d+ of those (?:read|served)/)
    const { clients, faults, moves } = JSON.parse(failure.scenario)
    expect([clients.length, faults.length, moves.length]).toEqual([1, 0, 0])
    const text = Swarm.format(failure)
    expect(text).toContain(`seed ${failure.seed}:`)
    expect(text).toMatch(/── DATA \d+ #1 ─*▶/)
    await setImmediate()
    expect(Swarm.check(failure.seed)).toEqual(failure)
  } finally {
    spy.mockRestore()
  }
}, 60_000)

it("a network that is another the second time is found, and its scenario made smaller", () => {
  let sent = 0
  const send = Path.prototype.send
  const spy = vi.spyOn(Path.prototype, "send").mockImplementation(function(this: Path, cargo) {
    const arrives = send.call(this, cargo)
    return arrives === undefined ? arrives : arrives + sent++
  })
  try {
    const failure = Swarm.check(16)
    expect(failure?.violations).toContain("the second run of the same seed is another")
    expect(failure?.remaining).toContain("the second run of the same seed is another")
    expect(JSON.parse(failure?.scenario ?? "{}")).toMatchObject({ faults: [], moves: [] })
  } finally {
    spy.mockRestore()
  }
}, 60_000)
