// The set-up `npm start` and `npm test` begin with: it needs Node and npm, nothing else. What is done is skipped.
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { build } from "./build.mjs"
import { capture, hashOf, readStamp, root, seconds } from "./lib.mjs"

const fail = (message) => {
  console.error(message)
  process.exit(1)
}

const [major, minor] = process.versions.node.split(".").map(Number)
if (major < 20 || (major === 20 && minor < 18)) {
  fail(`effect-dial needs Node 20.18 or newer; this is Node ${process.versions.node}.`)
}

// The pnpm of package.json's "packageManager": the one on PATH when it is (or, as pnpm 10 and corepack do, becomes)
// that version, else npm fetches it for this one run.
const pinned = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).packageManager
const pnpm = () => {
  const found = spawnSync("pnpm", ["--version"], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, COREPACK_ENABLE_DOWNLOAD_PROMPT: "0" },
    stdio: ["ignore", "pipe", "ignore"]
  })
  return found.status === 0 && `pnpm@${found.stdout.trim()}` === pinned ? ["pnpm"] : ["npx", "--yes", pinned]
}

const step = async (name, run) => {
  const start = performance.now()
  const { ok, output, skipped } = await run()
  if (!ok) fail(`${output}\nset-up failed: ${name}`)
  if (!skipped) console.log(`set-up: ${name} ${seconds(start)}`)
}

const stamp = "node_modules/.effect-dial-setup"
const wanted = hashOf(
  ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", "scratchpad/package.json"],
  `${process.platform} ${process.arch} ${major}`
)

await step("install", async () => {
  if (readStamp(stamp) === wanted) return { ok: true, skipped: true, output: "" }
  const result = await capture([...pnpm(), "install", "--frozen-lockfile"])
  if (result.ok) writeFileSync(join(root, stamp), wanted)
  return result
})
await step("build", build)
