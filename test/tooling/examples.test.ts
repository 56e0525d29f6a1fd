import { beforeAll, describe, expect, it } from "vitest"
import { isBuilt } from "../../.ci/build.mjs"
import { check, documented, examplesOf, type Problems } from "./examples.js"

beforeAll(() => {
  if (!isBuilt()) throw new Error("the examples use the built package, and dist is older than src: run `pnpm build`")
})

describe("the examples of the documentation compile and run", () => {
  const examples = documented().flatMap(examplesOf)
  const state: { problems: Problems } = { problems: new Map() }

  beforeAll(async () => {
    state.problems = await check("examples", examples)
  }, 120_000)

  it.each(examples)("$at", ({ at }) => {
    expect(state.problems.get(at) ?? "").toBe("")
  })
})

describe("the checker", () => {
  it("reports an example that does not compile, one that fails, one that hangs, and no other", async () => {
    const file = "test/tooling/fixtures/broken-example.md"
    const problems = await check("broken", examplesOf(file))
    expect([...problems.keys()]).toEqual([`${file}:5`, `${file}:11`, `${file}:19`, `${file}:25`, `${file}:31`])
    expect(problems.get(`${file}:5`)).toBe(`${file}:6: Type 'string' is not assignable to type 'number'.`)
    expect(problems.get(`${file}:11`)).toMatch(/the dial failed/)
    expect(problems.get(`${file}:19`)).toMatch(/it waits at the top level/)
    expect(problems.get(`${file}:25`)).toMatch(/it ended with exit code 3/)
    expect(problems.get(`${file}:31`)).toMatch(/it ended the process/)
  }, 60_000)
})
