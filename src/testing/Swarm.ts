/**
 * Thousands of small worlds: random networks, faults and client programs, each from a seed, each run to its end in
 * virtual time and then asked whether what always has to hold did hold.
 *
 * - a dial with a deadline has settled by it; each attempt had one outcome, and nothing is told after the dial's own
 * - no byte was lost, doubled, reordered or made up; a clean end means that everything came
 * - once the programs have ended, by themselves or interrupted, nothing they opened is open, and closing took no longer
 *   than its flush may
 * - once the network is whole again it comes to rest: no socket, no byte under way, no timer
 * - the same seed gives the same run
 *
 * A seed that fails is made smaller, and told with the diagram of what happened.
 *
 * @since 0.1.0
 */
import * as Diagram from "./Diagram.js"
import { play, type Played } from "./internal/play.js"
import { type Scenario, scenarioOf, smaller } from "./internal/scenario.js"
import * as Trace from "./Trace.js"

/**
 * A seed whose run broke an invariant.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly seed: number
  /** What did not hold, of the seed's own scenario. */
  readonly violations: ReadonlyArray<string>
  /** The smallest scenario found that still breaks something, as JSON. */
  readonly scenario: string
  /** What that scenario breaks. */
  readonly remaining: ReadonlyArray<string>
  /** What happened in it. */
  readonly diagram: string
}

/**
 * Run the seeds from `from` on, `seeds` of them: those that failed, at most `enough`.
 *
 * Runs synchronously, and in virtual time alone.
 *
 * @since 0.1.0
 * @category running
 */
export const run = (options: {
  /** @default 0 */
  readonly from?: number | undefined
  readonly seeds: number
  /**
   * Stop after so many failures.
   *
   * @default 1
   */
  readonly enough?: number | undefined
}): ReadonlyArray<Failure> => {
  const failures: Array<Failure> = []
  const from = options.from ?? 0
  for (let seed = from; seed < from + options.seeds && failures.length < (options.enough ?? 1); seed++) {
    const failure = check(seed)
    if (failure !== undefined) failures.push(failure)
  }
  return failures
}

/**
 * Run one seed; `undefined` when everything held.
 *
 * @since 0.1.0
 * @category running
 */
export const check = (seed: number): Failure | undefined => {
  const scenario = scenarioOf(seed)
  const played = judged(scenario)
  if (played.violations.length === 0) return undefined
  const least = shrink(scenario, played)
  return {
    seed,
    violations: played.violations,
    // JSON knows no Infinity, and its null would say something else.
    scenario: JSON.stringify(least.scenario, (_, value: unknown) => value === Infinity ? "Infinity" : value, 1),
    remaining: least.played.violations,
    diagram: Diagram.render(least.played.trace, {
      hosts: ["client", ...least.scenario.servers.map(({ name }) => name)]
    })
  }
}

/**
 * A failure as text.
 *
 * @since 0.1.0
 * @category formatting
 */
export const format = (failure: Failure): string =>
  [
    `seed ${failure.seed}: ${failure.violations.join("; ")}`,
    `the smallest scenario that breaks something (${failure.remaining.join("; ")}):`,
    failure.scenario,
    failure.diagram
  ].join("\n")

/** Play it, for one seed in sixteen twice: the same seed has to give the same run. */
const judged = (scenario: Scenario): Played => {
  const first = play(scenario)
  return scenario.seed % 16 > 0 || Trace.format(first.trace) === Trace.format(play(scenario).trace)
    ? first
    : { ...first, violations: [...first.violations, "the second run of the same seed is another"] }
}

/** How many scenarios may be tried to make one smaller. */
const shrinkRuns = 500

/** Greedily: whatever still breaks something is taken, until nothing smaller does. */
const shrink = (scenario: Scenario, played: Played): { readonly scenario: Scenario; readonly played: Played } => {
  let least = { scenario, played }
  let runs = 0
  for (let found = true; found;) {
    found = false
    for (const candidate of smaller(least.scenario)) {
      if (++runs > shrinkRuns) return least
      const played = judged(candidate)
      if (played.violations.length === 0) continue
      least = { scenario: candidate, played }
      found = true
      break
    }
  }
  return least
}
