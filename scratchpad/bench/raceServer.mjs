// The other end of `races`, in a process of its own: the hosts of every scenario, each scenario on a port of its own,
// and a name server that knows their names. It also builds what needs a compiler, so that no round does.
//
// It ends when its parent does, and after ten minutes at the latest.
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { startNameServer } from "./nameServer.mjs"
import { scenarios, warmUp } from "./raceScenarios.mjs"

const lifetime = 10 * 60 * 1000

// What is open for as long as the process.
const kept = []

/** Accepts, and answers the client's end with a reset, so that no TIME_WAIT is left. */
const good = (host, port) =>
  new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {})
      socket.on("end", () => socket.resetAndDestroy())
      socket.resume()
    })
    server.on("error", reject)
    server.listen({ host, port }, () => resolve(server))
  })

/** A port where nobody listened a moment ago. */
const refusing = async (host, port) => {
  const server = await good(host, port)
  const found = server.address().port
  await new Promise((resolve) => server.close(resolve))
  return found
}

const asleep = `
const { parentPort, workerData } = require("node:worker_threads")
const server = require("node:net").createServer().listen({ ...workerData, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})
`

/** Nobody accepts (the thread sleeps) and two connections fill a backlog of 1: a SYN is dropped from then on. */
const silent = async (host, port) => {
  const worker = new Worker(asleep, { eval: true, workerData: { host, port } })
  const bound = await new Promise((resolve, reject) => worker.once("error", reject).once("message", resolve))
  for (let i = 0; i < 2; i++) {
    kept.push(
      await new Promise((resolve, reject) => {
        const socket = connect({ host, port: bound }, () => resolve(socket)).on("error", reject)
      })
    )
  }
  return bound
}

const stand = {
  good: async (host, port) => (await good(host, port)).address().port,
  refusing,
  silent
}

/** All hosts of a scenario on one port, which the first of them finds and the others nearly always can have too. */
const listen = async (hosts, tries = 5) => {
  let port = 0
  try {
    for (const [host, what] of Object.entries(hosts)) port = await stand[what](host, port)
    return port
  } catch (error) {
    if (error.code !== "EADDRINUSE" || tries === 0) throw error
    return listen(hosts, tries - 1)
  }
}

const familyOf = (host) => host.includes(":") ? "AAAA" : "A"

/** A scenario as its dialers need it: whom to ask for, and what a name server would say of it and when. */
const race = async (scenario, i) => {
  const of = (type) => ({
    addresses: Object.keys(scenario.hosts).filter((host) => familyOf(host) === type),
    delay: scenario.delays?.[type] ?? 0
  })
  return {
    ...scenario,
    families: scenario.families ?? ["inet6", "inet"],
    connects: scenario.connects ?? true,
    name: `race${i}.test`,
    port: await listen(scenario.hosts),
    A: of("A"),
    AAAA: of("AAAA")
  }
}

const said = ({ addresses, delay }) => delay === "never" ? "silence" : { answers: addresses, delay }

/** What of others is on this machine: the path of a program, or nothing. */
const quietly = (command, args) => {
  try {
    execFileSync(command, args, { stdio: "ignore", timeout: 60_000 })
    return true
  } catch {
    return false
  }
}

const builds = mkdtempSync(join(tmpdir(), "effect-dial-bench-"))
process.on("exit", () => rmSync(builds, { recursive: true, force: true }))

const go = join(builds, "race")
const others = {
  go: quietly("go", ["build", "-o", go, fileURLToPath(new URL("others/race.go", import.meta.url))]) ? go : undefined,
  // The system's, which is where a package manager puts Twisted and anyio.
  asyncio: quietly("/usr/bin/python3", ["-c", "import asyncio"]),
  twisted: quietly("/usr/bin/python3", ["-c", "import twisted"]),
  anyio: quietly("/usr/bin/python3", ["-c", "import anyio"])
}

const [warm, ...races] = await Promise.all([warmUp, ...scenarios].map(race))
const names = await startNameServer(
  "127.0.0.1",
  0,
  Object.fromEntries([warm, ...races].map(({ A, AAAA, name }) => [name, { A: said(A), AAAA: said(AAAA) }]))
)

process.on("disconnect", () => process.exit())
process.on("message", () => process.send({ idle: true }))
setTimeout(() => process.exit(1), lifetime).unref()
process.send({ ports: { dns: names.port, warm, races, others } })
