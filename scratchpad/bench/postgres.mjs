// The peer of the benchmark with PostgreSQL: starts one in a directory of its own at a free port of 127.0.0.1, and ends
// with its parent. It answers its parent as server.mjs does.
import { spawn, spawnSync } from "node:child_process"
import { chownSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const binaries = ["/usr/lib/postgresql/15/bin", "/usr/local/bin", "/usr/bin"].find((folder) =>
  existsSync(join(folder, "postgres")) && existsSync(join(folder, "initdb"))
)
if (binaries === undefined) {
  console.error("PostgreSQL is not installed: Debian's package postgresql-15")
  process.exit(1)
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

// It refuses to run as root: then as Debian's nobody.
const user = process.getuid() === 0 ? { uid: 65_534, gid: 65_534 } : {}
const directory = mkdtempSync(join(tmpdir(), "dial-bench-"))
if (user.uid !== undefined) chownSync(directory, user.uid, user.gid)
const data = join(directory, "data")

const made = spawnSync(join(binaries, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync"], {
  ...user,
  cwd: directory,
  encoding: "utf8"
})
if (made.status !== 0) throw new Error(`initdb: ${made.error ?? made.stderr}`)

const port = await freePort()
const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"].flatMap((text) => ["-c", text])
const server = spawn(join(binaries, "postgres"), ["-D", data, "-p", String(port), ...settings], {
  ...user,
  cwd: directory,
  stdio: ["ignore", "ignore", "pipe"]
})

const end = () => {
  server.once("exit", () => {
    rmSync(directory, { recursive: true, force: true })
    process.exit()
  })
  server.kill("SIGQUIT")
}

process.on("disconnect", end)
process.on("message", () => process.send({ idle: true }))
setTimeout(end, 20 * 60 * 1000).unref()
server.stderr.setEncoding("utf8").on("data", (text) => {
  if (text.includes("ready to accept connections")) process.send({ ports: { postgres: port } })
})
