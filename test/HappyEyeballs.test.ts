import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Clock,
  Data,
  type Duration,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  Option,
  Runtime,
  Schedule,
  Scope,
  Stream,
  Supervisor,
  TestClock
} from "effect"
import * as HappyEyeballs from "../src/HappyEyeballs.js"
import { interruptAtEveryStep } from "./support/steps.js"

/** What an attempt does `after` it started (default 0), and how long it takes to be gone once it has to go. */
interface Scenario {
  readonly after?: number
  readonly outcome: "connected" | "refused" | "never" | "defect"
  readonly cleanup?: number
}

type Table = { readonly [candidate: string]: Scenario }

interface Options {
  /** The plan known at the start; all the table by default. */
  readonly plan?: ReadonlyArray<string>
  /** Later plans, each at its moment. `undefined` as the last of them: the plans never end. */
  readonly later?: ReadonlyArray<readonly [at: number, plan: ReadonlyArray<string> | "end" | "never"]>
  readonly attemptDelay?: HappyEyeballs.AttemptDelay
  readonly maxInFlight?: number
  readonly sent?: (error: string) => boolean
  readonly timeout?: Duration.DurationInput
}

type Event = HappyEyeballs.RaceEvent<string, string>

const plansOf = (later: NonNullable<Options["later"]>) =>
  Stream.fromIterable(later).pipe(
    Stream.mapEffect(([at, plan]) =>
      Clock.currentTimeMillis.pipe(
        Effect.flatMap((now) => Effect.sleep(at - now)),
        Effect.zipRight(plan === "never" ? Effect.never : Effect.succeed(plan))
      )
    ),
    Stream.filter((plan) => plan !== "end")
  )

/** A race whose later plans are a stream's, which a fiber of its own runs for as long as the race does. */
const withPlans = <C, A, E>(
  options: Omit<HappyEyeballs.RaceOptions<C, A, E, never>, "later">,
  plans: Stream.Stream<ReadonlyArray<C>>
) =>
  Effect.flatMap(Effect.runtime<never>(), (runtime) => {
    const fibers: Array<Fiber.RuntimeFiber<void>> = []
    const race = HappyEyeballs.race({
      ...options,
      later: (offer) => {
        const newest = { candidates: options.candidates }
        const fiber = Runtime.runFork(runtime)(Stream.runForEach(plans, (candidates) =>
          Effect.sync(() => {
            newest.candidates = candidates
            offer(Effect.succeed({ candidates, final: false }))
          })))
        fiber.addObserver(() => offer(Effect.sync(() => ({ ...newest, final: true }))))
        fibers.push(fiber)
      }
    })
    return Effect.ensuring(race, Effect.suspend(() => Fiber.interruptAll(fibers)))
  })

/** A race over the table, with all it left traces of. */
const raceOf = (table: Table, options: Options = {}) => {
  const seen = {
    starts: [] as Array<readonly [string, number]>,
    events: [] as Array<readonly [Event["_tag"], string, number]>,
    open: new Set<string>(),
    /** The moment the race was over, and who was open then. */
    told: undefined as { readonly at: number; readonly open: ReadonlyArray<string> } | undefined
  }
  const attempt = (candidate: string, scope: Scope.Scope) => {
    const { after = 0, cleanup = 0, outcome } = table[candidate] ?? { outcome: "defect" }
    const wait = Effect.sleep(after)
    return Scope.extend(scope)(Effect.zipRight(
      Effect.acquireRelease(
        Effect.map(Clock.currentTimeMillis, (at) => {
          seen.starts.push([candidate, at])
          seen.open.add(candidate)
        }),
        () => Effect.zipRight(Effect.sleep(cleanup), Effect.sync(() => seen.open.delete(candidate)))
      ),
      outcome === "connected"
        ? Effect.as(wait, `connection to ${candidate}`)
        : outcome === "refused"
        ? Effect.zipRight(wait, Effect.fail(`${candidate} refused`))
        : outcome === "defect"
        ? Effect.zipRight(wait, Effect.dieMessage(`${candidate} is broken`))
        : Effect.never
    ))
  }
  const plain: HappyEyeballs.RaceOptions<string, string, string, never> = {
    candidates: options.plan ?? Object.keys(table),
    attemptDelay: options.attemptDelay,
    maxInFlight: options.maxInFlight,
    sent: options.sent,
    timeout: options.timeout,
    attempt,
    onEvent: (event) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        seen.events.push([event._tag, event.candidate, at])
      })
  }
  const race = options.later === undefined ? HappyEyeballs.race(plain) : withPlans(plain, plansOf(options.later))
  const program = race.pipe(
    Effect.onExit(() =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        seen.told = { at, open: [...seen.open] }
      })
    )
  )
  return { seen, program }
}

/** Each attempt that was started was told to have started, and then one outcome of it. */
const expectOneOutcomeEach = (seen: ReturnType<typeof raceOf>["seen"], context = "") => {
  for (const [candidate] of seen.starts) {
    const told = seen.events.filter(([, other]) => other === candidate).map(([tag]) => tag)
    expect(told.length, `${context} ${candidate}: ${told}`).toBe(2)
    expect(told[0], `${context} ${candidate}: ${told}`).toBe("Started")
    expect(told[1], `${context} ${candidate}: ${told}`).not.toBe("Started")
  }
}

/** Runs the race to its end and checks what must be true of each; the caller checks the rest. */
const run = (table: Table, options?: Options) =>
  Effect.gen(function*() {
    const { program, seen } = raceOf(table, options)
    const scope = yield* Scope.make()
    const supervisor = yield* Supervisor.track
    const fiber = yield* Effect.fork(Effect.exit(Effect.supervised(Scope.extend(program, scope), supervisor)))
    yield* TestClock.adjust("1 hour")
    const exit = yield* Fiber.join(fiber)
    const { starts, told } = seen
    const winner = starts.map(([candidate]) => candidate).filter((name) =>
      Exit.isSuccess(exit) && exit.value === `connection to ${name}`
    )
    // A cleanup that takes its time is not waited for.
    const slow = (name: string) => (table[name]?.cleanup ?? 0) > 0
    const left = told?.open.filter((name) => winner.includes(name) || !slow(name))
    expect(left).toEqual(winner)
    expect([...yield* supervisor.value].length).toBe(0)
    expect([...seen.open]).toEqual(winner)
    expectOneOutcomeEach(seen)
    expect(seen.events.filter(([tag]) => tag === "Connected").map(([, candidate]) => candidate)).toEqual(winner)
    yield* Scope.close(scope, Exit.void).pipe(Effect.fork, Effect.zipLeft(TestClock.adjust("1 hour")))
    expect(seen.open.size).toBe(0)
    return { exit, at: told?.at, starts, events: seen.events }
  })

const won = (candidate: string) => Exit.succeed(`connection to ${candidate}`)

const failures = (exit: Exit.Exit<string, HappyEyeballs.RaceFailed<string, string> | HappyEyeballs.RaceTimeout>) => {
  const error = Option.getOrThrow(Cause.failureOption(Exit.isFailure(exit) ? exit.cause : Cause.empty))
  return error._tag === "RaceFailed" ? error.failures.map(({ candidate, error }) => [candidate, error]) : error._tag
}

const never: Scenario = { outcome: "never" }

const refusedAfter = (after: number): Scenario => ({ after, outcome: "refused" })

const connectedAfter = (after: number): Scenario => ({ after, outcome: "connected" })

describe("RFC 8305 §5", () => {
  it("§8: the recommended Connection Attempt Delay is 250 milliseconds", () => {
    expect(HappyEyeballs.defaultAttemptDelay).toBe("250 millis")
  })

  it.effect("one attempt starts every 250 ms, in the order of the list, while none is over", () =>
    Effect.gen(function*() {
      const { at, exit, starts } = yield* run({ a: never, b: never, c: never, d: connectedAfter(100) })
      expect(exit).toEqual(won("d"))
      expect(starts).toEqual([["a", 0], ["b", 250], ["c", 500], ["d", 750]])
      expect(at).toBe(850)
    }))

  it.effect("one that connects before the delay is over starts no other", () =>
    Effect.gen(function*() {
      const { at, exit, starts } = yield* run({ a: connectedAfter(249), b: never })
      expect(exit).toEqual(won("a"))
      expect(starts).toEqual([["a", 0]])
      expect(at).toBe(249)
    }))

  it.effect("the delay can be chosen", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: never, b: never, c: connectedAfter(1) }, { attemptDelay: "10 millis" })
      expect(starts).toEqual([["a", 0], ["b", 10], ["c", 20]])
    }))

  it.effect("an attempt that fails starts the next at once, and the delay runs from there", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: refusedAfter(100), b: never, c: never, d: connectedAfter(0) })
      expect(starts).toEqual([["a", 0], ["b", 100], ["c", 350], ["d", 600]])
    }))

  it.effect("the failure of any attempt under way starts the next, not only of the last", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: refusedAfter(300), b: never, c: connectedAfter(0) })
      expect(starts).toEqual([["a", 0], ["b", 250], ["c", 300]])
    }))

  it.effect("an attempt under way is not cancelled because another was started, and may win late", () =>
    Effect.gen(function*() {
      const { at, events, exit } = yield* run({ a: connectedAfter(600), b: never, c: never })
      expect(exit).toEqual(won("a"))
      expect(at).toBe(600)
      expect(events).toEqual([
        ["Started", "a", 0],
        ["Started", "b", 250],
        ["Started", "c", 500],
        ["Connected", "a", 600],
        ["Stopped", "b", 600],
        ["Stopped", "c", 600]
      ])
    }))
})

describe("the Connection Attempt Delay", () => {
  const four = { a: never, b: never, c: never, d: connectedAfter(0) }

  it.effect("is never below 10 ms (RFC 8305 §8: MUST NOT be less than 10 milliseconds)", () =>
    Effect.gen(function*() {
      const { starts } = yield* run(four, { attemptDelay: 0 })
      expect(starts).toEqual([["a", 0], ["b", 10], ["c", 20], ["d", 30]])
    }))

  it.effect("is never above 2 seconds (RFC 8305 §8: Maximum Connection Attempt Delay)", () =>
    Effect.gen(function*() {
      const { starts } = yield* run(four, { attemptDelay: "1 hour" })
      expect(starts).toEqual([["a", 0], ["b", 2000], ["c", 4000], ["d", 6000]])
    }))

  it.effect("may be a Schedule, which is asked with the number of the attempt and held to the same bounds", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const { starts } = yield* run(four, {
        attemptDelay: Schedule.exponential("5 millis", 60).pipe(
          Schedule.tapInput((attempt: number) => Effect.sync(() => asked.push(attempt)))
        )
      })
      expect(starts).toEqual([["a", 0], ["b", 10], ["c", 310], ["d", 2310]])
      expect(asked).toEqual([0, 1, 2])
    }))

  it.effect("is the maximum once a Schedule is over", () =>
    Effect.gen(function*() {
      const { starts } = yield* run(four, {
        attemptDelay: Schedule.addDelay(Schedule.recurs(1), () => "50 millis")
      })
      expect(starts).toEqual([["a", 0], ["b", 50], ["c", 2050], ["d", 4050]])
    }))
})

describe("after a hard failure", () => {
  const refused = (after: number): Scenario => ({ after, outcome: "refused" })
  const sent = () => true

  it.effect("the next starts no sooner than 10 ms after the last packet", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: refused(0), b: refused(3), c: refused(30), d: connectedAfter(0) }, { sent })
      expect(starts).toEqual([["a", 0], ["b", 10], ["c", 20], ["d", 50]])
    }))

  it.effect("the next starts at once when nothing was sent", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: refused(0), b: refused(0), c: connectedAfter(0) }, { sent: () => false })
      expect(starts).toEqual([["a", 0], ["b", 0], ["c", 0]])
    }))

  it.effect("one that sent nothing does not hide the packet of the one before it", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: refused(2), b: refused(0), c: connectedAfter(0), d: never }, {
        sent: (error) => error.startsWith("a")
      })
      // b starts 10 ms after a's packet and sends none itself.
      expect(starts).toEqual([["a", 0], ["b", 10], ["c", 10]])
    }))

  it.effect("the packet that counts is the newest one's, whoever failed", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: refused(253), b: never, c: connectedAfter(0) }, { sent })
      expect(starts).toEqual([["a", 0], ["b", 250], ["c", 260]])
    }))
})

describe("a cap on the attempts in flight", () => {
  it.effect("delays the next until one has failed, and ends none", () =>
    Effect.gen(function*() {
      const { events, starts } = yield* run({
        a: { after: 900, outcome: "refused" },
        b: never,
        c: connectedAfter(100),
        d: connectedAfter(0)
      }, { maxInFlight: 2 })
      expect(starts).toEqual([["a", 0], ["b", 250], ["c", 900]])
      expect(events.filter(([tag]) => tag === "Stopped").map(([, name]) => name)).toEqual(["b"])
    }))

  it.effect("of one attempts one after another, a slow one as long as it takes", () =>
    Effect.gen(function*() {
      const { at, exit, starts } = yield* run({ a: connectedAfter(20_000), b: connectedAfter(0) }, { maxInFlight: 1 })
      expect(exit).toEqual(won("a"))
      expect([at, starts]).toEqual([20_000, [["a", 0]]])
    }))

  it.effect("below one is one", () =>
    Effect.gen(function*() {
      const { exit } = yield* run({ a: connectedAfter(300), b: connectedAfter(0) }, { maxInFlight: 0 })
      expect(exit).toEqual(won("a"))
    }))
})

describe("the end of a race", () => {
  it.effect("that nobody won is RaceFailed with the failures in the order they came", () =>
    Effect.gen(function*() {
      const { at, events, exit } = yield* run({ a: refusedAfter(400), b: refusedAfter(50), c: refusedAfter(0) })
      expect(failures(exit)).toEqual([["b", "b refused"], ["c", "c refused"], ["a", "a refused"]])
      expect(at).toBe(400)
      expect(events).toEqual([
        ["Started", "a", 0],
        ["Started", "b", 250],
        ["Failed", "b", 300],
        ["Started", "c", 300],
        ["Failed", "c", 300],
        ["Failed", "a", 400]
      ])
    }))

  it.effect("without a candidate is RaceFailed without a failure, at once", () =>
    Effect.gen(function*() {
      const { at, events, exit } = yield* run({})
      expect(failures(exit)).toEqual([])
      expect(at).toBe(0)
      expect(events).toEqual([])
    }))

  it.effect("is not delayed by a loser whose cleanup takes its time, and that cleanup is done all the same", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* run({ a: { outcome: "never", cleanup: 70 }, b: connectedAfter(10) })
      expect(exit).toEqual(won("b"))
      expect(at).toBe(260)
    }))

  it.effect("takes away at once what the losers hold, by `abandon`, before they have cleaned up", () =>
    Effect.gen(function*() {
      const abandoned: Array<number> = []
      const slow = (scope: Scope.Scope) => Scope.addFinalizer(scope, Effect.sleep("1 minute"))
      const fiber = yield* HappyEyeballs.race({
        candidates: ["silent", "silent too", "good"],
        attempt: (candidate, scope) =>
          candidate === "good" ? Effect.succeed(candidate) : Effect.zipRight(slow(scope), Effect.never),
        abandon: (attempt) => Effect.sync(() => abandoned.push(attempt))
      }).pipe(Effect.scoped, Effect.zip(Clock.currentTimeMillis), Effect.fork)
      yield* TestClock.adjust("500 millis")
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(fiber)).toEqual(["good", 500])
      expect(abandoned).toEqual([0, 1])
    }))

  it.effect("a failed attempt is gone before the next is started", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: { after: 10, outcome: "refused", cleanup: 30 }, b: connectedAfter(0) })
      expect(starts).toEqual([["a", 0], ["b", 40]])
    }))

  it.effect("a second one that connects in the same instant is closed, and told to have been stopped", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* run({ a: connectedAfter(300), b: connectedAfter(50), c: connectedAfter(0) }, {
        attemptDelay: "250 millis"
      })
      expect(Exit.isSuccess(exit)).toBe(true)
      expect(events.filter(([tag]) => tag === "Connected").length).toBe(1)
      expect(events.filter(([tag]) => tag === "Stopped").length).toBe(1)
    }))

  it.effect("one that connects after the race is over is closed, and holds up nobody", () =>
    Effect.gen(function*() {
      const stubborn = Effect.uninterruptible(Effect.as(Effect.sleep("400 millis"), "late"))
      const closed: Array<string> = []
      const events: Array<string> = []
      const fiber = yield* HappyEyeballs.race({
        candidates: ["a", "b"],
        attempt: (candidate, scope) =>
          Effect.zipRight(
            Scope.addFinalizer(scope, Effect.sync(() => closed.push(candidate))),
            candidate === "a" ? stubborn : Effect.as(Effect.sleep("50 millis"), "first")
          ),
        onEvent: ({ _tag, candidate }) => Effect.sync(() => events.push(`${_tag} ${candidate}`))
      }).pipe(
        Effect.zip(Clock.currentTimeMillis),
        Effect.zipLeft(Effect.sleep("1 second")),
        Effect.tap(() => Effect.sync(() => expect(closed).toEqual(["a"]))),
        Effect.scoped,
        Effect.fork
      )
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(fiber)).toEqual(["first", 300])
      expect(closed).toEqual(["a", "b"])
      expect(events).toEqual(["Started a", "Started b", "Connected b", "Stopped a"])
    }))

  it.effect("a defect in an attempt ends the race as that defect, and nothing is left of the others", () =>
    Effect.gen(function*() {
      const { at, exit, starts } = yield* run({ a: never, b: { after: 20, outcome: "defect" }, c: connectedAfter(0) })
      expect(Exit.isFailure(exit) && Chunk.toReadonlyArray(Cause.defects(exit.cause)).map(String)).toEqual([
        "RuntimeException: b is broken"
      ])
      expect(at).toBe(270)
      expect(starts).toEqual([["a", 0], ["b", 250]])
    }))

  it.effect("a defect in the making of a plan ends the race as that defect", () =>
    Effect.gen(function*() {
      const fiber = yield* HappyEyeballs.race({
        candidates: ["a"],
        later: (offer) => offer(Effect.dieMessage("no plan")),
        attempt: () => Effect.never
      }).pipe(Effect.scoped, Effect.exit, Effect.fork)
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.join(fiber)
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
    }))

  it.effect("equal candidates are attempted once", () =>
    Effect.gen(function*() {
      const tried: Array<number> = []
      const candidate = (n: number) => Data.struct({ n })
      const fiber = yield* HappyEyeballs.race({
        candidates: [candidate(1), candidate(2), candidate(1)],
        later: (offer) =>
          offer(Effect.succeed({ candidates: [candidate(2), candidate(1), candidate(3)], final: true })),
        attempt: ({ n }) =>
          Effect.sync(() => tried.push(n)).pipe(
            Effect.zipRight(Effect.sleep("10 millis")),
            Effect.zipRight(Effect.fail(n))
          )
      }).pipe(Effect.scoped, Effect.flip, Effect.fork)
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(fiber)
      expect(tried).toEqual([1, 2, 3])
      expect(error).toMatchObject({ failures: [{ error: 1 }, { error: 2 }, { error: 3 }] })
    }))

  it.effect("attempts are numbered from 0 in the order of their starts", () =>
    Effect.gen(function*() {
      const numbers: Array<readonly [string, number]> = []
      const error = yield* HappyEyeballs.race({
        candidates: ["a", "b"],
        attempt: () => Effect.fail(1),
        onEvent: ({ _tag, attempt }) => Effect.sync(() => numbers.push([_tag, attempt]))
      }).pipe(Effect.scoped, Effect.flip)
      expect(error._tag).toBe("RaceFailed")
      expect(numbers).toEqual([["Started", 0], ["Failed", 0], ["Started", 1], ["Failed", 1]])
    }))
})

describe("the time limit of a race", () => {
  it.effect("ends it as RaceTimeout, with nothing left of what was under way", () =>
    Effect.gen(function*() {
      const { at, events, exit } = yield* run({ a: never, b: never, c: never }, { timeout: "400 millis" })
      expect(failures(exit)).toBe("RaceTimeout")
      expect(at).toBe(400)
      expect(events).toEqual([
        ["Started", "a", 0],
        ["Started", "b", 250],
        ["Stopped", "a", 400],
        ["Stopped", "b", 400]
      ])
    }))

  it.effect("counts the waiting for plans", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* run({}, { later: [[0, "never"]], timeout: "1 second" })
      expect(failures(exit)).toBe("RaceTimeout")
      expect(at).toBe(1000)
    }))

  it.effect("changes nothing when the race ends before it", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* run({ a: connectedAfter(399) }, { timeout: "400 millis" })
      expect(exit).toEqual(won("a"))
      expect(at).toBe(399)
    }))

  it.effect("that passes in the instant of a connect ends in one of the two, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* run({ a: connectedAfter(400) }, { timeout: "400 millis" })
      expect(at).toBe(400)
      expect(Exit.isSuccess(exit) ? exit.value : failures(exit)).toMatch(/^(?:connection to a|RaceTimeout)$/)
    }))
})

describe("plans that come later", () => {
  it.effect("the first candidate to be known starts as it comes", () =>
    Effect.gen(function*() {
      const { at, starts } = yield* run({ a: connectedAfter(30) }, { plan: [], later: [[70, ["a"]]] })
      expect(starts).toEqual([["a", 70]])
      expect(at).toBe(100)
    }))

  it.effect("a newer plan replaces what has not started, and nothing else", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: never, b: never, x: never, y: connectedAfter(0) }, {
        plan: ["a", "b"],
        later: [[100, ["a", "x", "b", "y"]]]
      })
      expect(starts).toEqual([["a", 0], ["x", 250], ["b", 500], ["y", 750]])
    }))

  it.effect("what a newer plan leaves out is not started, and is not cancelled when it has been", () =>
    Effect.gen(function*() {
      const { exit, starts } = yield* run({ a: connectedAfter(900), b: never, c: never, d: never }, {
        plan: ["a", "b"],
        later: [[100, ["c", "d"]]]
      })
      expect(starts).toEqual([["a", 0], ["c", 250], ["d", 500]])
      expect(exit).toEqual(won("a"))
    }))

  it.effect("the delay goes on for the newest plan when it no longer names what has started", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: never, b: never, c: never, d: connectedAfter(0) }, {
        plan: ["a", "b"],
        later: [[300, ["c", "d"]]]
      })
      expect(starts).toEqual([["a", 0], ["b", 250], ["c", 500], ["d", 750]])
    }))

  it.effect("a candidate that comes after all others failed is attempted at once", () =>
    Effect.gen(function*() {
      const { exit, starts } = yield* run({ a: refusedAfter(10), b: connectedAfter(10) }, {
        plan: ["a"],
        later: [[5000, ["a", "b"]]]
      })
      expect(starts).toEqual([["a", 0], ["b", 5000]])
      expect(exit).toEqual(won("b"))
    }))

  it.effect("a candidate that comes after the delay has passed is attempted at once", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: never, b: connectedAfter(10) }, { plan: ["a"], later: [[700, ["a", "b"]]] })
      expect(starts).toEqual([["a", 0], ["b", 700]])
    }))

  it.effect("a candidate that comes within the delay waits for its end", () =>
    Effect.gen(function*() {
      const { starts } = yield* run({ a: never, b: connectedAfter(10) }, { plan: ["a"], later: [[100, ["a", "b"]]] })
      expect(starts).toEqual([["a", 0], ["b", 250]])
    }))

  it.effect("a race whose candidates all failed waits for the last plan before it gives up", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* run({ a: refusedAfter(10) }, { plan: ["a"], later: [[3000, "end"]] })
      expect(failures(exit)).toEqual([["a", "a refused"]])
      expect(at).toBe(3000)
    }))

  it.effect("the winner does not wait for plans that never come", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* run({ a: connectedAfter(10) }, { plan: ["a"], later: [[0, "never"]] })
      expect(exit).toEqual(won("a"))
      expect(at).toBe(10)
    }))
})

describe("an interruption", () => {
  it.effect("stops every attempt and returns when they are gone", () =>
    Effect.gen(function*() {
      const { program, seen } = raceOf({ a: never, b: { outcome: "never", cleanup: 50 } })
      const supervisor = yield* Supervisor.track
      const scope = yield* Scope.make()
      const fiber = yield* Effect.fork(Effect.supervised(Scope.extend(program, scope), supervisor))
      yield* TestClock.adjust("300 millis")
      expect(seen.open.size).toBe(2)
      const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 hour")
      expect(Exit.isInterrupted(yield* Fiber.join(interrupting))).toBe(true)
      expect(seen.told).toEqual({ at: 350, open: [] })
      expect([...yield* supervisor.value].length).toBe(0)
      expect(seen.events.slice(2).map(([tag]) => tag)).toEqual(["Stopped", "Stopped"])
      yield* Scope.close(scope, Exit.void)
    }))

  it.effect(
    "at any step leaves no attempt open, no fiber, and no attempt without its one outcome",
    () =>
      Effect.gen(function*() {
        const steps = yield* interruptAtEveryStep(() => {
          const { program, seen } = raceOf(
            { a: refusedAfter(10), b: { outcome: "never", cleanup: 5 }, c: connectedAfter(10), d: connectedAfter(0) },
            { plan: ["a"], later: [[5, ["a", "b", "c", "d"]]], timeout: "5 seconds" }
          )
          const supervisor = Effect.runSync(Supervisor.track)
          const scope = Effect.runSync(Scope.make())
          return {
            program: Effect.supervised(Scope.extend(program, scope), supervisor),
            after: (exit, step) =>
              Effect.gen(function*() {
                const context = `step ${step}`
                expect([...yield* supervisor.value].length, context).toBe(0)
                expectOneOutcomeEach(seen, context)
                const connected = seen.events.filter(([tag]) => tag === "Connected").map(([, candidate]) => candidate)
                if (Exit.isSuccess(exit)) expect([...seen.open], context).toEqual(["c"])
                // A race that was over when the interruption came may have handed its winner to the scope.
                else expect(connected, context).toEqual(expect.arrayContaining([...seen.open]))
                yield* Scope.close(scope, exit)
                expect(seen.open.size, context).toBe(0)
              })
          }
        })
        expect(steps).toBeGreaterThan(300)
      }),
    60_000
  )
})

describe("whatever the attempts do", () => {
  const scenario: fc.Arbitrary<Scenario> = fc.record({
    after: fc.integer({ min: 0, max: 12 }).map((n) => n * 50),
    outcome: fc.constantFrom("connected", "refused", "never"),
    cleanup: fc.constantFrom(0, 0, 30)
  })

  it.effect.prop(
    "every attempt has one outcome, the first to connect wins, and nothing but the winner is left",
    [fc.array(scenario, { maxLength: 6 })],
    ([scenarios]) =>
      Effect.gen(function*() {
        const table = Object.fromEntries(scenarios.map((scenario, index) => [`c${index}`, scenario]))
        const { at, exit, starts } = yield* run(table, { timeout: "10 seconds" })
        const moments = starts.flatMap(([name, at]) => {
          const { after = 0, outcome } = table[name] ?? { outcome: "never" }
          return outcome === "connected" ? [at + after] : []
        })
        if (moments.length > 0) {
          const winner = Exit.isSuccess(exit) ? exit.value.slice("connection to ".length) : ""
          const start = starts.find(([name]) => name === winner)?.[1] ?? Infinity
          expect(start + (table[winner]?.after ?? Infinity)).toBe(Math.min(...moments))
        } else {
          const allFailed = scenarios.every(({ outcome }) => outcome === "refused")
          expect(typeof failures(exit)).toBe(allFailed ? "object" : "string")
          if (!allFailed) expect(at).toBeGreaterThanOrEqual(10_000)
        }
      }),
    { fastCheck: { numRuns: 60 } }
  )
})
