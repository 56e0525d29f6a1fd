// `pnpm check`: every check, two at a time; a line for each with its time, and the output of those that fail.
// `pnpm check types lint` runs only the named ones. All run before it fails, so one round shows everything.
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { build } from "./build.mjs"
import { bin, capture, seconds } from "./lib.mjs"

const commands = (...list) => async () => {
  const results = await Promise.all(list.map((command) => capture(command)))
  return { ok: results.every(({ ok }) => ok), output: results.map(({ output }) => output).filter(Boolean).join("\n") }
}

const vitest = (...files) => commands([bin("vitest"), "run", "--config", "test/vitest.config.ts", ...files])

/** publint and attw look at the tarball, because what is packed is what users get. npm packs: it is always there. */
const packageShape = async () => {
  const folder = mkdtempSync(join(tmpdir(), "effect-dial-pack-"))
  try {
    const packed = await capture(["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder])
    if (!packed.ok) return packed
    const tarball = join(folder, readdirSync(folder)[0])
    return await commands(
      [bin("publint"), "run", tarball, "--strict"],
      [bin("attw"), tarball, "--profile", "esm-only", "--no-emoji"]
    )()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * `built` checks read dist, and without it they say nothing worth reading; `types` says why there is none.
 * `tests` are part of the test run too, so `npm test` leaves them to it.
 */
const checks = {
  types: { run: commands([bin("tsc"), "-p", "."]) },
  format: { run: commands([bin("dprint"), "check"]) },
  lint: { run: commands([bin("oxlint"), "--deny-warnings"]) },
  floors: { run: commands([bin("depcruise"), "src"], [process.execPath, ".ci/lets.mjs"]) },
  unused: { run: commands([bin("knip")]) },
  package: { built: true, run: packageShape },
  "type-tests": { run: commands([bin("tstyche"), "--config", "test/tstyche.json"]) },
  examples: { built: true, tests: true, run: vitest("test/tooling/examples.test.ts") },
  packed: { built: true, tests: true, run: vitest("test/tooling/packed.test.ts") }
}

/** The checks `npm test` runs beside the tests. */
export const besideTests = Object.keys(checks).filter((name) => !checks[name].tests)

/** Runs the named checks and returns the names of those that failed. */
export const runChecks = async (names) => {
  const failures = []
  const report = (name, start, { ok, output }) => {
    console.log(`${ok ? "ok  " : "FAIL"}  ${name.padEnd(11)} ${seconds(start)}`)
    if (!ok) failures.push({ name, output })
  }
  const builds = async () => {
    const start = performance.now()
    const result = await build()
    if (!result.skipped) report("build", start, result)
    return result.ok
  }
  // scratchpad's types are those of dist, so `types` too waits for a build, but runs without one.
  const built = !names.some((name) => checks[name].built || name === "types") || await builds()
  const queue = names.filter((name) => built || !checks[name].built)
  for (const name of names) {
    if (!queue.includes(name)) console.log(`skip  ${name.padEnd(11)} (nothing is built)`)
  }
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const start = performance.now()
      report(name, start, await checks[name].run())
    }
  }
  await Promise.all([worker(), worker()])
  for (const { name, output } of failures) console.log(`\n---- ${name} ----\n${output}`)
  return failures.map(({ name }) => name)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(checks)
  const unknown = names.filter((name) => !(name in checks))
  if (unknown.length > 0) {
    console.error(`no such check: ${unknown.join(", ")}; there are ${Object.keys(checks).join(", ")}`)
    process.exitCode = 2
  } else if ((await runChecks(names)).length > 0) {
    process.exitCode = 1
  }
}
