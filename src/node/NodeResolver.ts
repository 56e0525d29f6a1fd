/**
 * The system's resolver, as Node reaches it: getaddrinfo through `dns.lookup`, once per family.
 *
 * It sees what every other program on the machine sees (hosts file, search domains, mDNS, NSS), in the system's own
 * RFC 6724 order within a family. Two questions instead of one, so that an A that is there does not wait for an AAAA
 * that is not.
 *
 * getaddrinfo blocks a thread and Node cannot cancel it, not even while it waits in libuv's queue, where it also keeps
 * the process alive. libuv has so few threads for it (two) that there is nearly always such a queue; so there is one of
 * our own in front, shared by the process as the threads are (each worker thread has its own):
 *
 * - libuv is given no more lookups than it runs at once; the others wait here, in the order of their dials
 * - equal questions, waiting or under way, are one; nothing is kept once it is answered
 * - a question that nobody waits for any more leaves the queue at once; one under way is forgotten, and whoever asks the
 *   same meanwhile shares its answer
 *
 * The limit of {@link layer}: a lookup under way has its thread until getaddrinfo returns, whoever was interrupted. One
 * name whose name server is silent takes both threads, and every other name waits for resolv.conf's timeouts (5 seconds
 * a try); `process.exit` waits for them too, because libuv joins its threads. {@link layerProcess} puts the threads in a
 * child process, where there can be many and which can be killed; `DnsResolver` needs none.
 *
 * Not here: a cache (getaddrinfo tells no time to live), sorting, a time limit (the dial's).
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { type ChildProcess, spawn } from "node:child_process"
import * as Dns from "node:dns"
import * as Address from "../Address.js"
import { ResolveError, type ResolveReason } from "../DialError.js"
import type { DomainName } from "../Endpoint.js"
import * as Feed from "../internal/feed.js"
import { type Answer, families, type IpFamily, noAddresses, Resolver } from "../Resolver.js"

type Callback = (error: NodeJS.ErrnoException | null, found?: ReadonlyArray<Dns.LookupAddress>) => void
type Lookup = (hostname: string, family: IpFamily, callback: Callback) => void
type Asker = (answer: Answer) => void

interface Question {
  readonly key: string
  readonly name: DomainName
  readonly family: IpFamily
  /** Whoever waits for the answer; empty when it is under way and forgotten. */
  readonly askers: Set<Asker>
}

/** The lookups that wait and those under way. Each method is one synchronous step. */
class Lookups {
  /** In the order of asking. A Map, so that anything can leave it; taking the first of 20,000 costs 2 microseconds. */
  private readonly waiting = new Map<string, Question>()
  private readonly underWay = new Map<string, Question>()

  /** Questions that somebody waits for. */
  private wanted = 0

  constructor(
    private readonly lookup: Lookup,
    private readonly limit: number,
    private readonly onWanted: (wanted: boolean) => void
  ) {}

  /** Tell when the first question is wanted, and when none is any more. */
  private count(change: 1 | -1): void {
    this.wanted += change
    if (this.wanted === 0 || this.wanted === 1 && change === 1) this.onWanted(this.wanted > 0)
  }

  ask(name: DomainName, family: IpFamily, asker: Asker): Question {
    const key = `${family} ${String(name)}`
    const equal = this.underWay.get(key) ?? this.waiting.get(key)
    if (equal !== undefined) {
      if (equal.askers.size === 0) this.count(1)
      equal.askers.add(asker)
      return equal
    }
    const question = { key, name, family, askers: new Set([asker]) }
    this.waiting.set(key, question)
    this.count(1)
    this.startNext()
    return question
  }

  leave(question: Question, asker: Asker): void {
    const { askers, key } = question
    if (!askers.delete(asker) || askers.size > 0) return
    this.count(-1)
    if (this.waiting.get(key) === question) this.waiting.delete(key)
  }

  private startNext(): void {
    while (this.underWay.size < this.limit) {
      const question = this.waiting.values().next().value
      if (question === undefined) return
      this.waiting.delete(question.key)
      this.underWay.set(question.key, question)
      try {
        this.lookup(String(question.name), question.family, (error, found) => this.settle(question, error, found))
      } catch (error) {
        // Node's own does not throw at a DomainName; one put in its place (a mock, a tracer) must not keep ours for ever.
        queueMicrotask(() => this.settle(question, error as NodeJS.ErrnoException))
      }
    }
  }

  private settle(question: Question, ...outcome: Parameters<Callback>): void {
    if (this.underWay.get(question.key) !== question) return
    this.underWay.delete(question.key)
    this.startNext()
    if (question.askers.size === 0) return
    const said = answer(question, ...outcome)
    const askers = [...question.askers]
    question.askers.clear()
    this.count(-1)
    for (const tell of askers) tell(said)
  }
}

/**
 * A resolver over the given lookup, with a queue of its own, for tests.
 *
 * @internal
 */
export const make = (
  lookup: Lookup,
  limit: number,
  onWanted: (wanted: boolean) => void = () => {}
): Resolver["Type"] => {
  const lookups = new Lookups(lookup, limit, onWanted)
  return {
    resolve: (name, query) =>
      Feed.toStream((tell, ended) => {
        const wanted = query?.families ?? families
        const told = { count: 0 }
        const asker: Asker = (answer) => {
          tell(answer)
          told.count += 1
          if (told.count === wanted.length) ended(Exit.void)
        }
        // Both in one step, so that in the queue no dial's AAAA comes before the A of an earlier one.
        const asked = wanted.map((family) => lookups.ask(name, family, asker))
        return Effect.succeed(Effect.sync(() => asked.forEach((question) => lookups.leave(question, asker))))
      })
  }
}

/**
 * libuv's `slow_work_thread_threshold`, (threads + 1) / 2: getaddrinfo gets no more of the pool, so that files get the
 * rest. Two, unless UV_THREADPOOL_SIZE changes the pool's four threads.
 */
const slowThreads = Math.floor(
  (Math.max(1, Number.parseInt(process.env["UV_THREADPOOL_SIZE"] ?? "4", 10) || 1) + 1) / 2
)

const system = make(
  (hostname, family, callback) =>
    Dns.lookup(hostname, { family: family === "inet6" ? 6 : 4, all: true, order: "verbatim" }, callback),
  slowThreads
)

/**
 * Names through the operating system's resolver, all of the process through one queue.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Dialer, Endpoint } from "effect-dial"
 * import { NodeResolver } from "effect-dial/node"
 * import * as assert from "node:assert"
 *
 * const addresses = await Dialer.resolveAddress(Endpoint.unsafeParse("localhost:80")).pipe(
 *   Effect.provide(NodeResolver.layer),
 *   Effect.runPromise
 * )
 * assert.ok(addresses.length > 0)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Resolver> = Layer.succeed(Resolver, system)

/** How many threads getaddrinfo has in a child process, half of its pool (see `slowThreads`). */
const childThreads = 32

/** What runs in the child: a question is `[id, name, family]`, its answer `[id, error code or null, addresses]`. */
const childProgram = `
const { lookup } = require("node:dns")
process.on("message", ([id, name, family]) =>
  lookup(name, { family, all: true, order: "verbatim" }, (error, found) =>
    process.send([id, error && error.code, found])))
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))
process.send("ready")
`

/** A child process that looks up, begun anew when it has died. */
class Child {
  private child: ChildProcess | undefined
  private readonly callbacks = new Map<number, Callback>()
  private asked = 0
  private wanted = false
  private closed = false

  readonly lookup: Lookup = (name, family, callback) => {
    const id = ++this.asked
    this.callbacks.set(id, callback)
    this.running.send([id, name, family === "inet6" ? 6 : 4], (error) => {
      if (error) this.failed(id, "EAI_AGAIN")
    })
  }

  /** Only a lookup that somebody waits for keeps this process alive. */
  keep(wanted: boolean): void {
    this.wanted = wanted
    if (wanted) this.child?.channel?.ref()
    else this.child?.channel?.unref()
  }

  /** Waits until the child can be asked, or has failed to be. */
  get ready(): Effect.Effect<void> {
    return Effect.async((resume) => {
      const { running } = this
      this.keep(true)
      const done = () => {
        this.keep(false)
        resume(Effect.void)
      }
      running.once("message", done)
      running.once("exit", done)
    })
  }

  close(): void {
    this.closed = true
    this.child?.kill("SIGKILL")
  }

  private get running(): ChildProcess {
    return this.child ??= this.start()
  }

  private start(): ChildProcess {
    const child = spawn(process.execPath, ["-e", childProgram], {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      env: { ...process.env, NODE_OPTIONS: "", UV_THREADPOOL_SIZE: String(2 * childThreads) }
    })
    child.on("message", (message: "ready" | [number, string | null, ReadonlyArray<Dns.LookupAddress> | undefined]) => {
      if (message === "ready") return
      const [id, code, found] = message
      if (code !== null) return this.failed(id, code)
      const callback = this.callbacks.get(id)
      this.callbacks.delete(id)
      callback?.(null, found)
    })
    const over = () => {
      if (this.child === child) this.child = undefined
      for (const id of this.callbacks.keys()) this.failed(id, this.closed ? "ECANCELLED" : "EAI_AGAIN")
    }
    child.on("error", over)
    child.on("exit", over)
    child.unref()
    if (!this.wanted) child.channel?.unref()
    return child
  }

  private failed(id: number, code: string): void {
    const callback = this.callbacks.get(id)
    this.callbacks.delete(id)
    callback?.(Object.assign(new Error(`getaddrinfo ${code}`), { code }))
  }
}

/**
 * The system's resolver in a child process: what {@link layer} cannot, it can. A silent name server holds up neither
 * other names (there are 32 threads for them) nor files, and a process that is done exits at once.
 *
 * The child costs 40 milliseconds and 40 megabytes once; the layer is built when it can be asked. It is killed when the
 * layer's Scope closes and kills itself when this process is gone; a lookup under way when it dies is `Temporary`, and
 * the next one begins it anew.
 *
 * @since 0.2.0
 * @category layers
 */
export const layerProcess: Layer.Layer<Resolver> = Layer.scoped(
  Resolver,
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => new Child()),
      (child) => Effect.sync(() => child.close())
    )
    yield* child.ready
    return make(child.lookup, childThreads, (wanted) => child.keep(wanted))
  })
)

const answer = (
  { family, name }: Question,
  error: NodeJS.ErrnoException | null,
  found: ReadonlyArray<Dns.LookupAddress> = []
): Answer => {
  const addresses = Arr.getRights(found.map(({ address }) => Address.parse(address)))
  if (addresses.length > 0) return { _tag: "Addresses", family, addresses }
  const reason = error === null ? "NotFound" : reasons.get(error.code) ?? "Unknown"
  return noAddresses(
    family,
    new ResolveError({ host: String(name), family, reason, code: error?.code, cause: error ?? undefined })
  )
}

/** getaddrinfo's words: its EAI_ codes, and Node's ENOTFOUND for both EAI_NONAME and EAI_NODATA. */
const reasons: ReadonlyMap<string | undefined, ResolveReason> = new Map([
  ["ENOTFOUND", "NotFound"],
  ["EAI_NODATA", "NotFound"],
  ["EAI_ADDRFAMILY", "NotFound"],
  ["EAI_AGAIN", "Temporary"],
  ["EAI_FAIL", "ServerFailure"],
  ["EAI_FAMILY", "Unsupported"],
  ["EAI_SERVICE", "Unsupported"],
  ["EAI_SOCKTYPE", "Unsupported"],
  ["EAI_BADFLAGS", "BadName"],
  ["EINVAL", "BadName"],
  ["ETIMEDOUT", "Timeout"]
])
