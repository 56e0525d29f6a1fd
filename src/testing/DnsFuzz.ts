/**
 * Mutated DNS answers, many thousands of them, for the codec and for a resolver that asks over a Transport.
 *
 * Each case is one lookup in virtual time, and what its sockets hear: answers with another id or question, answers from
 * a stranger, truncated, spliced and bent ones, streams cut anywhere. After each it is asked:
 *
 * - did nothing throw, and was every failure a typed one
 * - did the lookup end, with one answer for each question, every socket closed, and no message read for too long
 * - is all that was told in an answer that has the id and the question sent and came from the server asked; a second,
 *   independent reader of messages decides that
 *
 * A case that fails is made smaller by fast-check, and told with the octets. The same seed gives the same cases.
 *
 * Not in the index of `effect-dial/testing`: it loads fast-check.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import * as Address from "../Address.js"
import * as DnsExchange from "../DnsExchange.js"
import * as DnsMessage from "../DnsMessage.js"
import * as DnsResolver from "../DnsResolver.js"
import { DomainName } from "../Endpoint.js"
import { Resolver } from "../Resolver.js"
import * as ServiceBinding from "../ServiceBinding.js"
import { Transport } from "../Transport.js"
import { Agenda } from "./internal/Agenda.js"
import { anyCase, askedName, type Case } from "./internal/dnsCase.js"
import { judgeLookup, judgeMessage, type Outcome } from "./internal/dnsJudge.js"
import { hex } from "./internal/dnsOracle.js"
import { Wire } from "./internal/dnsWire.js"
import * as Simulation from "./Simulation.js"

/**
 * What is tried: the library's own codec and resolver unless said otherwise. Others are for tests of the fuzz itself.
 *
 * @since 0.2.0
 * @category models
 */
export interface Subject {
  readonly decode: typeof DnsMessage.decode
  readonly decodeBinding: typeof ServiceBinding.decode
  readonly resolver: typeof DnsResolver.layerServers
}

/**
 * How much to try.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /** @default 0 */
  readonly seed?: number | undefined
  readonly cases: number
  /** @default the library's own */
  readonly subject?: Partial<Subject> | undefined
  /**
   * The longest that one message may take to be read, in milliseconds.
   *
   * @default 1000
   */
  readonly limit?: number | undefined
  /** Told of each message before it is heard: whoever watches from outside knows by it where a run stands still. */
  readonly watch?: ((bytes: Uint8Array) => void) | undefined
}

/**
 * A case that failed, as small as it could be made.
 *
 * @since 0.2.0
 * @category models
 */
export interface Failure {
  readonly seed: number
  /** The number of the case that failed first, from 0. */
  readonly case: number
  readonly violations: ReadonlyArray<string>
  /** What its sockets were sent, in order, as hexadecimal. */
  readonly messages: ReadonlyArray<string>
  /** The case, as JSON. */
  readonly scenario: string
}

/**
 * What was tried. `slowest` is the message that took the longest to be read.
 *
 * @since 0.2.0
 * @category models
 */
export interface Report {
  readonly cases: number
  /** How many messages were sent that a truthful server would not have. */
  readonly mutants: number
  readonly slowest: { readonly millis: number; readonly message: string }
  readonly failure: Failure | undefined
}

/**
 * Try the cases of a seed, until one fails. Synchronous, and in virtual time.
 *
 * @example
 * ```ts
 * import * as DnsFuzz from "effect-dial/testing/DnsFuzz"
 * import * as assert from "node:assert"
 *
 * const { failure, mutants } = DnsFuzz.run({ seed: 7, cases: 50 })
 * assert.deepStrictEqual([failure, mutants > 50], [undefined, true])
 * ```
 *
 * @since 0.2.0
 * @category running
 */
export const run = (options: Options): Report => {
  const seed = options.seed ?? 0
  const tally = new Tally(options)
  const checked = FastCheck.check(FastCheck.property(anyCase, (it) => tally.holds(it)), {
    seed,
    numRuns: options.cases,
    endOnFailure: false
  })
  const { cases, mutants, slowest } = tally
  const report = { cases, mutants, slowest: { millis: slowest.millis, message: hex(slowest.bytes) } }
  if (!checked.failed || checked.counterexample === null) return { ...report, failure: undefined }
  const [least] = checked.counterexample
  const { messages, violations } = tally.judged(least)
  return {
    ...report,
    failure: {
      seed,
      case: checked.numRuns - 1,
      violations,
      messages: messages.map(hex),
      scenario: JSON.stringify(least)
    }
  }
}

/**
 * A failure as text.
 *
 * @since 0.2.0
 * @category formatting
 */
export const format = ({ case: number, messages, scenario, seed, violations }: Failure): string =>
  [
    `seed ${seed}, case ${number}: ${violations.join("; ")}`,
    "its messages, cut down:",
    ...messages.map((message) => `  ${message}`),
    scenario
  ].join("\n")

// -----------------------------------------------------------------------------
// one case
// -----------------------------------------------------------------------------

const clock = Clock.make()

const millis = (): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6

const servers = ["192.0.2.53:53", "[2001:db8::53]:53"].flatMap((text) => {
  const address = Address.parseSocketAddress(text)
  return address._tag === "Right" ? [address.right] : []
})

const asked = new DomainName(askedName, true)

class Tally {
  cases = 0
  mutants = 0
  slowest: { readonly millis: number; readonly bytes: Uint8Array } = { millis: 0, bytes: new Uint8Array() }
  private readonly subject: Subject
  private readonly limit: number

  constructor(private readonly options: Options) {
    this.limit = options.limit ?? 1000
    this.subject = {
      decode: DnsMessage.decode,
      decodeBinding: ServiceBinding.decode,
      resolver: DnsResolver.layerServers,
      ...options.subject
    }
  }

  holds(it: Case): boolean {
    this.cases += 1
    return this.judged(it).violations.length === 0
  }

  judged(it: Case): { readonly violations: ReadonlyArray<string>; readonly messages: ReadonlyArray<Uint8Array> } {
    const { outcome, wire } = lookUp(it, this.subject, this.options.watch)
    const messages = wire?.messages ?? []
    this.mutants += wire?.mutants ?? 0
    const violations = judgeLookup(it, servers, wire?.sockets ?? [], outcome)
    if ((wire?.unreadable ?? 0) > 0) return { violations: [...violations, "it asked what nobody can read"], messages }
    return { violations: [...violations, ...messages.flatMap((bytes) => this.read(bytes))], messages }
  }

  private read(bytes: Uint8Array): ReadonlyArray<string> {
    // A copy, so that who changes it is found by the judge.
    const first = this.timed(bytes.slice())
    // A machine that was busy with something else is not the codec's fault.
    const took = first < Math.min(this.limit, this.slowest.millis)
      ? first
      : Math.min(first, this.timed(bytes.slice()), this.timed(bytes.slice()))
    if (took > this.slowest.millis) this.slowest = { millis: took, bytes }
    const slow = took < this.limit ? [] : [`a message of ${bytes.length} octets takes ${took.toFixed(0)} ms to read`]
    return [...slow, ...judgeMessage(this.subject, bytes)]
  }

  private timed(bytes: Uint8Array): number {
    const start = millis()
    try {
      this.subject.decode(bytes)
    } catch {
      // It is judged for that elsewhere.
    }
    return millis() - start
  }
}

/** However many servers are silent, and however long the chain. */
const timeLimit = "10 minutes"

const lookUp = (
  it: Case,
  subject: Subject,
  watch: Options["watch"]
): { readonly outcome: Outcome; readonly wire: Wire | undefined } => {
  const wires: Array<Wire> = []
  const program = Effect.flatMap(Effect.all([Effect.clock, Effect.runtime<never>()]), ([clock, runtime]) => {
    const wire = new Wire(it, new Agenda(clock, runtime), watch ?? (() => {}))
    wires.push(wire)
    const layer = subject.resolver({
      servers: servers.slice(0, it.servers),
      timeout: "1 second",
      attempts: it.attempts,
      randomizeCase: it.randomizeCase
    })
    return Effect.provide(
      ask(it),
      Layer.provide(
        layer,
        Layer.merge(
          Layer.succeed(Transport, wire.transport),
          Layer.succeed(DnsExchange.Entropy, { next: numbers(it.entropy) })
        )
      )
    )
  })
  const exit = Effect.runSyncExit(Simulation.run(program, { seed: it.entropy, timeLimit }))
  // The simulation waits for promises before it calls a run stuck, and here there are none.
  const stuck = Exit.isFailure(exit) && exit.cause._tag === "Die" && Runtime.isAsyncFiberException(exit.cause.defect)
  return { outcome: stuck ? Exit.fail("nothing: every fiber waits, and nothing will come") : exit, wire: wires[0] }
}

const ask = ({ ask }: Case) =>
  Effect.gen(function*() {
    const { resolve } = yield* Resolver
    const { query } = yield* DnsResolver.DnsResolver
    if (ask !== "addresses" && ask !== "services") return yield* Effect.either(query(asked, ask))
    return [...yield* Stream.runCollect(resolve(asked, ask === "services" ? { services: 443 } : undefined))]
  })

/** Numbers that a test may know: a linear congruence over 16 bits. */
const numbers = (seed: number): () => number => {
  let state = seed & 0xffff
  return () => {
    state = (state * 25_173 + 13_849) & 0xffff
    return state
  }
}
