// Installs the Debian packages that tests start as real servers. Only `.ci/run` calls it, and only in CI as root:
// `npm test` never installs anything on a person's machine, and skips by name the tests whose server is not there.
import { spawnSync } from "node:child_process"
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { seconds } from "./lib.mjs"

/** Each package with the reason why it is here. */
const packages = [
  ["unbound", "a validating resolver: our stub resolver is tested against it"],
  ["dnsmasq-base", "the forwarder of home routers and containers: our stub resolver is tested against it"],
  ["postgresql-15", "the recipes for pg and postgres.js, and the figure of PostgreSQL's round trips"],
  ["mariadb-server-core", "the recipe for mysql2; without the package that would run it as a service"],
  ["mariadb-client-core", "what mariadb-install-db calls"],
  ["redis-server", "the recipe for ioredis"],
  ["nginx", "the recipes for undici, the agents of node:http and ws; our TLS is tested against it"],
  ["openssl", "its s_server: our TLS is tested against it"],
  ["mosquitto", "the recipe for mqtt.js"]
]

const run = (command, args) => {
  const { error, status, stderr, stdout } = spawnSync(command, args, {
    encoding: "utf8",
    // A mirror that stalls must not take the time of the tests.
    timeout: 240_000,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
    stdio: ["ignore", "pipe", "pipe"]
  })
  return { ok: status === 0, stdout: stdout ?? "", output: `${error ?? ""}${stdout ?? ""}${stderr ?? ""}`.trim() }
}

const missing = () => {
  // It fails when it does not know one of them, and still tells of the others.
  const known = run("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...packages.map(([name]) => name)])
  const installed = new Set(
    known.stdout.split("\n").flatMap((line) => line.endsWith(" installed") ? [line.split(" ")[0]] : [])
  )
  return packages.map(([name]) => name).filter((name) => !installed.has(name))
}

const patience = ["-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-o", "DPkg::Lock::Timeout=120"]

const install = (names) => {
  const attempt = () =>
    run("apt-get", [...patience, "install", "--yes", "--quiet", "--no-install-recommends", ...names])
  const first = attempt()
  if (first.ok) return first
  // There are no lists of packages yet, or they name versions that are gone.
  const update = run("apt-get", [...patience, "update", "--quiet"])
  return update.ok ? attempt() : update
}

// What invoke-rc.d and deb-systemd-invoke ask before they start a daemon; 101 forbids it.
const policy = "/usr/sbin/policy-rc.d"

const withoutDaemons = (effect) => {
  const own = `${policy}.effect-dial`
  if (existsSync(policy)) renameSync(policy, own)
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 })
  try {
    return effect()
  } finally {
    rmSync(policy, { force: true })
    if (existsSync(own)) renameSync(own, policy)
  }
}

const start = performance.now()
const names = missing()
if (names.length > 0) {
  const { ok, output } = withoutDaemons(() => install(names))
  console.log(
    ok ? `debian: ${names.join(", ")} ${seconds(start)}` : `${output}\ndebian: cannot install ${names.join(", ")}`
  )
  process.exitCode = ok ? 0 : 1
}
