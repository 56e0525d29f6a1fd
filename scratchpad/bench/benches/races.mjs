// How long until a name is connected in the races of RFC 8305, over what they take at best.
//
// Real sockets of loopback, a scripted name server, and each scenario once a round and contender (see raceScenarios.mjs;
// test/races.test.ts has the same). A process is warmed up with a name that is good. A scenario that takes longer than at
// best goes on beside those after it, and one that takes very long beside the next contender: all it does is wait.
import { Effect, Either, Layer, ManagedRuntime } from "effect"
import { Address, Dialer, DnsResolver, Endpoint } from "effect-dial"
import { NodeTransport } from "effect-dial/node"
import { spawn } from "node:child_process"
import { Resolver as CAres } from "node:dns"
import { connect } from "node:net"
import { performance } from "node:perf_hooks"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { buildConnector } from "undici"
import { scenarios } from "../raceScenarios.mjs"

const patience = 12_000
const beside = { nextScenario: 300, nextContender: 1_100 }
const warmUps = 400

/** What a contender has not, for each scenario. */
const none = (why) => Object.fromEntries(scenarios.map(({ title }) => [title, why]))

/** Milliseconds over the best, or in words what came instead. */
const figure = ({ best, connects }, { connected, millis }) => {
  if (connected === connects) return millis - best
  return connected ? "connected" : `failed at ${(millis / 1000).toFixed(1)} s`
}

const timed = async (race, dial) => {
  const late = sleep(patience, undefined, { ref: false })
  const outcome = await Promise.race([dial(race), late])
  return outcome === undefined ? `none in ${patience / 1000} s` : figure(race, outcome)
}

/** Every scenario with one `dial`, which tells whether it connected and how long that took. */
const measured = async ({ races, warm }, onlyWaits, dial) => {
  for (let i = 0; i < warmUps; i++) {
    const outcome = await timed(warm, dial)
    if (typeof outcome === "string") throw new Error(`warm-up: ${outcome}`)
  }
  const figures = []
  for (const race of races) {
    const outcome = timed(race, dial)
    figures.push(outcome)
    await Promise.race([outcome, sleep(beside.nextScenario)])
  }
  const answered = figures.filter((_, i) => !Object.values(races[i].delays ?? {}).includes("never"))
  await Promise.race([Promise.all(answered), sleep(beside.nextContender)])
  onlyWaits()
  const all = await Promise.all(figures)
  return Object.fromEntries(races.map(({ title }, i) => [title, all[i]]))
}

const effectDial = ({ dns }) => {
  const servers = [Address.socketAddress(Address.unsafeParse("127.0.0.1"), Address.Port(dns))]
  const resolver = DnsResolver.layerServers({ servers })
  const runtime = ManagedRuntime.make(
    Layer.provide(Dialer.layer, Layer.provideMerge(resolver, NodeTransport.layer))
  )
  return ({ families, name, port }) => {
    const begun = performance.now()
    return Dialer.dial(Endpoint.unsafeParse(`${name}:${port}`), { families }).pipe(
      Effect.either,
      // Before the Scope closes it.
      Effect.map((outcome) => ({ connected: Either.isRight(outcome), millis: performance.now() - begun })),
      Effect.scoped,
      (dial) => runtime.runPromise(dial)
    )
  }
}

/**
 * The `lookup` of net.connect, as dns.lookup is: it asks for both families and says nothing until both are answered.
 * dns.lookup itself cannot be pointed at a server; this one asks through c-ares, whose tries and waits are its defaults.
 */
const lookupOf = (dns, families) => {
  const resolver = new CAres()
  resolver.setServers([`127.0.0.1:${dns}`])
  return (name, _options, callback) => {
    const found = new Map()
    const answered = (family) => (error, addresses = []) => {
      found.set(family, addresses.map((address) => ({ address, family: family === "inet" ? 4 : 6 })))
      if (found.size < 2) return
      const all = families.flatMap((family) => found.get(family))
      callback(all.length === 0 ? error : null, all)
    }
    resolver.resolve6(name, answered("inet6"))
    resolver.resolve4(name, answered("inet"))
  }
}

/** `open(race, lookup, done)` opens a socket, which `done` gets with no error when it is connected. */
const withLookup = (dns, open) => (race) =>
  new Promise((resolve) => {
    const begun = performance.now()
    open(race, lookupOf(dns, race.families), (error, socket) => {
      resolve({ connected: !error, millis: performance.now() - begun })
      socket?.destroy()
    })
  })

const openNet = ({ name, port }, lookup, done) => {
  const socket = connect({ host: name, port, noDelay: true, autoSelectFamily: true, lookup })
  socket.once("connect", () => done(null, socket))
  socket.once("error", done)
}

const openUndici = ({ name, port }, lookup, done) =>
  buildConnector({ autoSelectFamily: true, lookup })({ hostname: name, protocol: "http:", port: String(port) }, done)

/**
 * Who is of another language: a program that reads a race a line, runs it, and writes `{ id, connected, millis }`, the
 * time by its own clock.
 */
const program = async (ports, onlyWaits, command, args) => {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] })
  child.on("exit", (code) => {
    if (code !== null) throw new Error(`exit code ${code} of ${command}`)
  })
  const waiting = new Map()
  createInterface(child.stdout).on("line", (line) => {
    const { id, ...outcome } = JSON.parse(line)
    waiting.get(id)(outcome)
  })
  const dial = (race) =>
    new Promise((resolve) => {
      const id = waiting.size
      waiting.set(id, resolve)
      child.stdin.write(`${JSON.stringify({ ...race, id, dns: ports.dns })}\n`)
    })
  try {
    return await measured(ports, onlyWaits, dial)
  } finally {
    child.kill("SIGKILL")
  }
}

/** Of who takes IPv6 first whatever it is told: where IPv4 is preferred, that is another race. */
const ipv6First = async (figures) => ({ ...await figures, ...otherRaces })

const otherRaces = Object.fromEntries(
  scenarios.filter(({ families }) => families?.[0] === "inet").map(({ title }) => [title, "IPv6 first"])
)

const python = (framework) => (ports, onlyWaits) =>
  ports.others[framework]
    ? program(ports, onlyWaits, "/usr/bin/python3", [
      fileURLToPath(new URL("../others/race.py", import.meta.url)),
      framework
    ])
    : none("missing")

export default {
  title: "time to connected by name, over the theoretical best",
  rounds: 3,
  server: "raceServer.mjs",
  table: { unit: "ms over the best, median (max)", row: "best, ms", rows: scenarios.map(({ best }) => best) },
  metrics: Object.fromEntries(
    scenarios.map(({ best, title }) => [title, { unit: `ms over the best of ${best} ms`, digits: 1 }])
  ),
  contenders: {
    "effect-dial": (ports, onlyWaits) => measured(ports, onlyWaits, effectDial(ports)),
    "net.connect": (ports, onlyWaits) => measured(ports, onlyWaits, withLookup(ports.dns, openNet)),
    "undici": (ports, onlyWaits) => measured(ports, onlyWaits, withLookup(ports.dns, openUndici)),
    "Go net.Dialer": (ports, onlyWaits) =>
      ports.others.go ? ipv6First(program(ports, onlyWaits, ports.others.go, [])) : none("missing"),
    "asyncio": python("asyncio"),
    "anyio": (ports, onlyWaits) => ports.others.anyio ? ipv6First(python("anyio")(ports, onlyWaits)) : none("missing"),
    "Twisted": python("twisted")
  },
  goals: []
}
