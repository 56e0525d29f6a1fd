// Builds dist with tsc, and does nothing when dist was already built from these very sources.
import { existsSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { bin, capture, hashOf, readStamp, root } from "./lib.mjs"

const stamp = "dist/.built-from"

// The lockfile counts: a declaration may spell out a dependency's inferred type.
const sources = () => hashOf(["src/", "tsconfig.json", "pnpm-lock.yaml"], "build")

/** True when dist is what the sources say; tests that run the built package ask first. */
export const isBuilt = () => readStamp(stamp) === sources()

export const build = async () => {
  if (isBuilt()) return { ok: true, skipped: true, output: "" }
  const hash = sources()
  // From nothing: tsc never removes what a deleted or renamed module left behind, and the package would ship it.
  rmSync(join(root, "dist"), { recursive: true, force: true })
  const result = await capture([bin("tsc"), "-p", "src"])
  if (result.ok && existsSync(join(root, "dist"))) writeFileSync(join(root, stamp), hash)
  return { ...result, skipped: false }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { ok, output } = await build()
  if (!ok) console.error(output)
  process.exitCode = ok ? 0 : 1
}
