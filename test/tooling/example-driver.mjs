// Runs the scripts it is given one after another and writes two lines of JSON to descriptor 3 for each: null as it
// starts, then "" or what went wrong. One process for all because starting Node and loading effect takes far longer than
// an example; one after another because a script is over when the event loop has drained ("beforeExit"), and so an error
// has one owner.
import { writeSync } from "node:fs"
import { pathToFileURL } from "node:url"

const limitMillis = 10_000
const scripts = process.argv.slice(2)
const state = { failure: undefined, settled: true, watchdog: undefined, next: 0 }

const report = (failure) => writeSync(3, `${JSON.stringify(failure)}\n`)
const fail = (error) => {
  state.failure ??= error instanceof Error ? error.stack ?? String(error) : `failed with ${String(error)}`
}

process.on("uncaughtException", fail)
process.on("unhandledRejection", fail)

const outcome = () => {
  if (state.failure !== undefined) return state.failure
  if (!state.settled) return "it waits at the top level for what never happens"
  return process.exitCode ? `it ended with exit code ${process.exitCode}` : ""
}

const start = () => {
  if (state.next === scripts.length) return
  const script = scripts[state.next]
  state.next += 1
  report(null)
  state.failure = undefined
  state.settled = false
  process.exitCode = undefined
  // Unref'd, it fires only while the script itself keeps the process alive: what a hung script does.
  state.watchdog = setTimeout(() => {
    report(`it still ran after ${limitMillis / 1000} s`)
    process.exit(1)
  }, limitMillis).unref()
  import(pathToFileURL(script).href).catch(fail).finally(() => {
    state.settled = true
  })
}

process.on("beforeExit", () => {
  // Node says it once more after the last script, with nothing started.
  if (state.watchdog === undefined) return
  clearTimeout(state.watchdog)
  state.watchdog = undefined
  report(outcome())
  process.exitCode = 0
  start()
})
start()
