// pnpm soak [--dials 20000] [--seconds 60] [--seed N]
//
// Dials interrupted at random moments, dozens at once, against listeners that accept, refuse or stay silent, by
// address, by name and as races over several addresses. Afterwards nothing may be left of them, here or at the server.
// Prints a line for each check; exit code 1 when one fails. The same seed makes the same plans, not the same timing.
import { Cause, Clock, Effect, Exit, Fiber, Layer, Random, Stream } from "effect"
import { Address, Dialer, DialError, Endpoint, Resolver } from "effect-dial"
import * as NodeTransport from "effect-dial/node/NodeTransport"
import { fork } from "node:child_process"
import { parseArgs } from "node:util"
import { activeResources, aliveFibers, connecting, openDescriptors } from "./leftovers.mjs"

const concurrency = 32
/** How long the kernel and the server may take to end what is already over here. */
const patience = 5_000

const { values } = parseArgs({
  options: {
    dials: { type: "string", default: "20000" },
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) }
  }
})
const [dials, seconds, seed] = [Number(values.dials), Number(values.seconds), Number(values.seed)]
const began = performance.now()

// The checks take their time out of the same bound.
const dialingMillis = seconds * 1000 * 0.85
const watchdog = setTimeout(() => {
  console.log(`FAILED  not over after ${seconds} s (seed ${seed}): a dial or its interruption hangs`)
  process.exit(1)
}, seconds * 1000)
watchdog.unref()

// ---------------------------------------------------------------------------------------------------------------------
// what is dialed, and when it is interrupted
// ---------------------------------------------------------------------------------------------------------------------

const loopback = (port) => Address.socketAddress(Address.unsafeParse("127.0.0.1"), Address.Port(port))
/** A port that nobody listens at and that no outgoing connection is given. */
const refusing = loopback(1)

/** Each kind of dial, as a function of the listeners. */
const kinds = {
  good: ({ good }) => Dialer.dial(Endpoint.fromSocketAddress(good)),
  refusing: () => Dialer.dial(Endpoint.fromSocketAddress(refusing)),
  silent: ({ silent }) => Dialer.dial(Endpoint.fromSocketAddress(silent)),
  name: ({ good }) => Dialer.dial(`soak.test:${good.port}`, { attemptDelay: "1 millis" }),
  "race, all good": ({ good, other }) => race([good, other]),
  "race, one good": ({ good, silent }) => race([silent, refusing, good]),
  "race, none good": ({ silent }) => race([refusing, silent]),
  "deadline": ({ silent }) => Dialer.dial(Endpoint.fromSocketAddress(silent), { timeout: "4 millis" }),
  "attempt timeout": ({ good, silent }) => race([silent, good], { attemptTimeout: "2 millis" })
}

const race = (addresses, options) => Dialer.dial("soak.test:1", { addresses, attemptDelay: "1 millis", ...options })

/**
 * Every name has an address that refuses and a good one, told after a while. Not the system's resolver: Node cannot
 * take back a getaddrinfo, and what it would ask of the network is not ours.
 */
const resolver = Layer.succeed(Resolver.Resolver, {
  resolve: (name) => {
    const addresses = [Address.unsafeParse("127.0.0.2"), Address.unsafeParse("127.0.0.1")]
    const error = new DialError.ResolveError({ host: String(name), family: "inet6", reason: "NotFound" })
    return Stream.fromIterable([
      Effect.delay(Effect.succeed(Resolver.noAddresses("inet6", error)), "2 millis"),
      Effect.delay(Effect.succeed({ _tag: "Addresses", family: "inet", addresses }), "1 millis")
    ]).pipe(Stream.mapEffect((answer) => answer, { concurrency: "unbounded", unordered: true }))
  }
})

const network = Layer.provide(Dialer.layer, Layer.merge(resolver, NodeTransport.layer))

/** Any moment from before the first step of a dial until well after most are connected. */
const moment = Effect.gen(function*() {
  switch (yield* Random.nextIntBetween(0, 6)) {
    case 0:
      return { turns: 0, millis: 0 }
    case 1:
      return { turns: yield* Random.nextIntBetween(1, 8), millis: 0 }
    default:
      return { turns: 0, millis: 2 ** (yield* Random.nextIntBetween(0, 7)) }
  }
})

const plan = (ports) =>
  Effect.all({
    kind: Random.choice(Object.keys(kinds)),
    listeners: Effect.map(Random.shuffle(ports.good), ([good, other]) => ({
      good: loopback(good),
      other: loopback(other),
      silent: loopback(ports.silent)
    })),
    moment,
    talks: Random.nextBoolean,
    holdMillis: Random.nextIntBetween(0, 6)
  })

const pass = ({ millis, turns }) =>
  Effect.zipRight(Effect.repeatN(Effect.yieldNow(), turns), millis > 0 ? Effect.sleep(millis) : Effect.void)

/** One dial with a use of it, interrupted at its moment; the outcome, in a word. */
const interrupted = ({ holdMillis, kind, listeners, moment, talks }, seen) =>
  Effect.gen(function*() {
    const use = (connection) =>
      Effect.zipRight(
        Effect.sync(() => seen.connected++),
        talks ? Effect.zipRight(connection.write("a word"), connection.read) : Effect.sleep(holdMillis)
      )
    const fiber = yield* Effect.fork(Effect.scoped(Effect.flatMap(kinds[kind](listeners), use)))
    yield* pass(moment)
    const exit = yield* Fiber.interrupt(fiber)
    if (Exit.isSuccess(exit)) return "over"
    if (Exit.isInterrupted(exit)) return "interrupted"
    if (exit.cause._tag === "Fail") return exit.cause.error._tag
    seen.defect ??= Cause.pretty(exit.cause)
    return "defect"
  })

// ---------------------------------------------------------------------------------------------------------------------
// the run
// ---------------------------------------------------------------------------------------------------------------------

const soak = (ports, count) =>
  Effect.gen(function*() {
    const seen = { connected: 0, connectingAtMost: 0, outcomes: {} }
    const until = (yield* Clock.currentTimeMillis) + dialingMillis
    const plans = yield* Effect.replicateEffect(plan(ports), count)
    const spy = yield* Effect.fork(Effect.forever(Effect.zipRight(
      Effect.sync(() => {
        seen.connectingAtMost = Math.max(seen.connectingAtMost, connecting(ports.silent))
      }),
      Effect.sleep("50 millis")
    )))
    yield* Effect.forEach(
      plans,
      (plan) =>
        Effect.gen(function*() {
          if ((yield* Clock.currentTimeMillis) > until) return
          const outcome = yield* interrupted(plan, seen)
          seen.outcomes[outcome] = (seen.outcomes[outcome] ?? 0) + 1
        }),
      { concurrency, discard: true }
    )
    yield* Fiber.interrupt(spy)
    return seen
  }).pipe(Effect.withRandom(Random.make(seed)), Effect.provide(network), Effect.runPromise)

/** Long enough for Node to start what was only asked of it. */
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 100))

/** Asks until the answer is what it must be, or patience ends; the last answer. */
const settled = async (ask, isRight) => {
  const end = performance.now() + patience
  while (true) {
    const answer = await ask()
    if (isRight(answer) || performance.now() > end) return { answer, ok: isRight(answer) }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const failures = []
const check = (what, ok, detail) => {
  console.log(`${ok ? "ok    " : "FAILED"}  ${what}: ${detail}`)
  if (!ok) failures.push(what)
}

const peers = fork(new URL("peers.mjs", import.meta.url))
peers.once("exit", (code) => {
  console.log(`FAILED  the listeners ended, exit code ${code}`)
  process.exit(1)
})
const asked = () => new Promise((resolve) => peers.once("message", resolve))
const counts = () => {
  peers.send("counts?")
  return asked()
}
const ports = await asked()

// What the first dials bring to stay is there before the count.
await soak(ports, 50)
await settled(() => activeResources(), (resources) => !resources.includes("TCPSocketWrap"))
await aMoment()
const before = { descriptors: openDescriptors(), resources: activeResources(), fibers: aliveFibers() }

const seen = await soak(ports, dials)
const took = performance.now() - began
await aMoment()

const made = Object.values(seen.outcomes).reduce((sum, n) => sum + n, 0)
const outcomes = Object.entries(seen.outcomes).toSorted(([, a], [, b]) => b - a).map(([word, n]) => `${n} ${word}`)
const cut = made < dials ? `, when time was up before all ${dials}` : ""
console.log(`${made} dials in ${(took / 1000).toFixed(1)} s${cut}, seed ${seed}: ${outcomes.join(", ")}`)

check("no dial ended with a defect", seen.outcomes.defect === undefined, seen.defect ?? "none did")
check(
  "the listeners were good, refusing and silent",
  seen.connected > 0 && seen.outcomes.AllAttemptsFailed > 0 && seen.connectingAtMost > 0,
  `${seen.connected} connected, ${seen.outcomes.AllAttemptsFailed} refused, up to ${seen.connectingAtMost} without answer`
)

const syn = await settled(() => connecting(ports.silent), (n) => n === 0)
check("no socket is left connecting", syn.ok, `${syn.answer} in SYN_SENT`)

const fds = await settled(openDescriptors, (open) => open.length === before.descriptors.length)
check("no descriptor is left", fds.ok, `${fds.answer.length} open, ${before.descriptors.length} at the start`)

const resources = await settled(activeResources, (active) => active === before.resources)
check("no timer or other resource is left", resources.ok, `${resources.answer}, at the start ${before.resources}`)

const fibers = await settled(aliveFibers, (alive) => alive === before.fibers)
check("no fiber is left", fibers.ok, `${fibers.answer} alive, ${before.fibers} at the start`)

const server = await settled(counts, ({ accepted, ended }) => accepted === ended && accepted >= seen.connected)
check(
  "the server saw every connection end",
  server.ok,
  `${server.answer.accepted} accepted, ${server.answer.ended} ended, ${seen.connected} held here`
)

// Not by running out of things to do: what is left would keep it waiting. The listeners end with it.
process.exit(failures.length > 0 ? 1 : 0)
