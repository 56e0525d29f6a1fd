import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { isBuilt } from "../../.ci/build.mjs"
import { root } from "./examples.js"

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const folder = mkdtempSync(join(tmpdir(), "effect-dial-packed-"))
const user = join(folder, "user")

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): string =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })

describe("the packed tarball, installed in an empty folder", () => {
  beforeAll(() => {
    if (!isBuilt()) throw new Error("dist is older than src: run `pnpm build`")
    run(root, "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder)
    const tarball = join(folder, readdirSync(folder).find((file) => file.endsWith(".tgz"))!)
    mkdirSync(user)
    writeFileSync(join(user, "package.json"), `{ "private": true, "type": "module" }`)
    run(user, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", tarball)
  }, 120_000)

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  // The laws are suites for @effect/vitest, the WebSockets are those of ws: optional peers that are not installed here.
  const needsPeer = new Set(["./testing/laws", "./node/NodeWebSocket"])

  it("gives every public module", () => {
    const names = Object.keys(manifest.exports)
      .filter((name) => manifest.exports[name] !== null && name !== "./package.json" && !needsPeer.has(name))
      .map((name) => `effect-dial${name.slice(1)}`)
    writeFileSync(
      join(user, "import.js"),
      `for (const name of ${JSON.stringify(names)}) {
        await import(name)
        console.log(name)
      }`
    )
    expect(run(user, process.execPath, "import.js").trimEnd().split("\n")).toEqual(names)
  }, 30_000)

  it("keeps its internals to itself", () => {
    writeFileSync(
      join(user, "internal.js"),
      `await import("effect-dial/internal/anything").catch((e) => console.log(e.code))`
    )
    expect(run(user, process.execPath, "internal.js").trim()).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED")
  }, 30_000)

  it("gives the dial command", () => {
    expect(run(user, "npx", "--no-install", "dial", "--version").trim()).toBe(manifest.version)
  }, 30_000)
})
