// `npm test` after the set-up: the checks, then all tests, then one line for a person or a machine to read.
// The tests run even when a check failed; each failed check counts as one failure, so "0 failed" means all is well.
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { besideTests, runChecks } from "./check.mjs"
import { bin, show } from "./lib.mjs"

const runTests = () => {
  const folder = mkdtempSync(join(tmpdir(), "effect-dial-test-"))
  const report = join(folder, "report.json")
  try {
    const ok = show([
      bin("vitest"),
      "run",
      "--config",
      "test/vitest.config.ts",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`
    ])
    const { numFailedTests, numPassedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      readFileSync(report, "utf8")
    )
    // A file that could not be loaded has no test that failed, yet it is a failure.
    const brokenFiles = testResults.filter(({ assertionResults, status }) =>
      status === "failed" && assertionResults.every((test) => test.status !== "failed")
    )
    const failed = numFailedTests + brokenFiles.length
    // An unhandled error fails the run without failing a test.
    return {
      passed: numPassedTests,
      failed: ok ? failed : Math.max(1, failed),
      skipped: numPendingTests + numTodoTests
    }
  } catch (error) {
    console.error(`vitest left no report: ${error}`)
    return { passed: 0, failed: 1, skipped: 0 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const failedChecks = await runChecks(besideTests)
const { failed, passed, skipped } = runTests()
const failures = failed + failedChecks.length
if (failedChecks.length > 0) console.log(`failed checks (their output is above the tests): ${failedChecks.join(", ")}`)
process.exitCode = failures > 0 ? 1 : 0
console.log(`${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`)
