// What the scripts of this folder share. Node only: the first of them runs before anything is installed.
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("..", import.meta.url))

/** The path of a tool's launcher: called directly, because `npx` and `pnpm exec` each cost half a second. */
export const bin = (name) => join(root, "node_modules", ".bin", name)

const filesBelow = (path) =>
  readdirSync(join(root, path), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(join(path, entry.name)) : [join(path, entry.name)]
  )

/** One hash for files and whole folders, by content: a fresh clone gives every file a new time. */
export const hashOf = (paths, salt) => {
  const hash = createHash("sha256").update(salt)
  for (const path of paths.flatMap((name) => name.endsWith("/") ? filesBelow(name) : [name]).toSorted()) {
    hash.update(`\0${path}\0`).update(readFileSync(join(root, path)))
  }
  return hash.digest("hex")
}

export const readStamp = (path) => {
  try {
    return readFileSync(join(root, path), "utf8")
  } catch {
    return undefined
  }
}

export const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`

/** Runs one command with its output kept, for the steps whose output matters only when they fail. */
export const capture = ([command, ...args], env = {}) =>
  new Promise((resolve) => {
    const chunks = []
    const child = spawn(command, args, {
      cwd: root,
      // A log is no terminal: without this dprint and others colour even a pipe.
      env: { ...process.env, ...(process.stdout.isTTY ? {} : { NO_COLOR: "1" }), ...env },
      stdio: ["ignore", "pipe", "pipe"]
    })
    child.stdout.on("data", (chunk) => chunks.push(chunk))
    child.stderr.on("data", (chunk) => chunks.push(chunk))
    child.on("error", (error) => resolve({ ok: false, output: String(error) }))
    child.on("close", (code) => resolve({ ok: code === 0, output: Buffer.concat(chunks).toString().trimEnd() }))
  })

/** Runs one command whose output the person at the terminal wants to see as it comes. */
export const show = ([command, ...args], env = {}) =>
  spawnSync(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "inherit"] })
    .status === 0
