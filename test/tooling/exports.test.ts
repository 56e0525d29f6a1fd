import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { root } from "./examples.js"

it("the exports map is the public modules of src, each by its own name", () => {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  const modules = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) =>
      file.endsWith(".ts") && !/^(?:internal|cli|testing\/internal|node\/internal|testing\/laws)\//.test(file)
    )
    .map((file) => file.slice(0, -".ts".length))
  const expected = Object.fromEntries(modules.map((module) => [
    `./${module}`.replace(/\/index$/, ""),
    { types: `./dist/${module}.d.ts`, default: `./dist/${module}.js` }
  ]))
  expect(exports).toEqual({
    ...expected,
    "./internal/*": null,
    "./testing/internal/*": null,
    "./node/internal/*": null,
    "./testing/laws/*": null,
    "./cli/*": null,
    "./package.json": "./package.json"
  })
})
