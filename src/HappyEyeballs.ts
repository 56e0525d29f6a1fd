/**
 * The staggered race of RFC 8305 §5: attempts start one after another, each a little after the last, and the first to
 * succeed is the outcome.
 *
 * What must be true:
 *
 * - candidates start in the plan's order, one every {@link defaultAttemptDelay}; an attempt that fails starts the next
 *   at once, or {@link minimumAttemptDelay} after the last packet
 * - a plan may change while the race runs: what has not started is taken from the newest plan, what is under way is
 *   never cancelled by it
 * - the first success wins; the losers are gone (no socket, no timer, no fiber) before it is handed out, but for a
 *   cleanup that waits for something: that goes on by itself and delays nobody
 * - a cap on the attempts in flight delays the next one; no attempt is ever ended to make room
 * - an interruption at any moment leaves nothing behind
 *
 * The race is generic in what an attempt is: any Effect. Each gets a Scope of its own, a child of the one in the
 * environment; the winner's lives on there, every other is closed.
 *
 * One coordinator decides. Its state is an immutable value; attempts, timers and new plans reach it as messages. So
 * there is one order in which things happened. (What a fiber left behind, its exit, is noted beside the state, because
 * an interruption of the coordinator may lose a message but not that.)
 *
 * Not here: what the candidates are, who orders them (`AddressPlan`) and what an attempt is (`Attempt`).
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as MutableHashSet from "effect/MutableHashSet"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { type Alarm, fiberAlarm, setAlarmBy } from "./internal/alarm.js"
import { endAll, endPromptly, letEnd } from "./internal/endAll.js"
import { Inbox } from "./internal/inbox.js"
import type { Timers } from "./internal/timers.js"

/**
 * RFC 8305 §8: "Connection Attempt Delay: The time to wait between connection attempts in the absence of RTT data.
 * Recommended to be 250 milliseconds."
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultAttemptDelay: Duration.DurationInput = "250 millis"

/**
 * RFC 8305 §8: "Minimum Connection Attempt Delay: ... Recommended to be 100 milliseconds. MUST NOT be less than 10
 * milliseconds." A race never goes below the 10.
 *
 * @since 0.2.0
 * @category defaults
 */
export const minimumAttemptDelay: Duration.DurationInput = "10 millis"

/**
 * RFC 8305 §8's recommended lower bound, under which "congestion collapse" threatens (§5). A Dialer warns once.
 *
 * @since 0.2.0
 * @category defaults
 */
export const recommendedMinimumAttemptDelay: Duration.DurationInput = "100 millis"

/**
 * RFC 8305 §8: "Maximum Connection Attempt Delay: ... Recommended to be 2 seconds."
 *
 * @since 0.2.0
 * @category defaults
 */
export const maximumAttemptDelay: Duration.DurationInput = "2 seconds"

/**
 * The Connection Attempt Delay: always the same, or what a Schedule says of the number of the attempt just started
 * (0, 1, …). Either is held between {@link minimumAttemptDelay} and {@link maximumAttemptDelay}; a Schedule that is over
 * stands for the maximum.
 *
 * @since 0.2.0
 * @category models
 */
export type AttemptDelay = Duration.DurationInput | Schedule.Schedule<unknown, number>

/**
 * What happened in a race; `attempt` counts from 0 in starting order. Each attempt that started has one outcome:
 * `Failed` with its error, `Connected` for the winner, `Stopped` for one that was under way, or second, when the race
 * ended.
 *
 * @since 0.1.0
 * @category models
 */
export type RaceEvent<C, E> =
  | { readonly _tag: "Started"; readonly attempt: number; readonly candidate: C }
  | { readonly _tag: "Failed"; readonly attempt: number; readonly candidate: C; readonly error: E }
  | { readonly _tag: "Stopped"; readonly attempt: number; readonly candidate: C }
  | { readonly _tag: "Connected"; readonly attempt: number; readonly candidate: C }

/**
 * What to race.
 *
 * @since 0.1.0
 * @category models
 */
export interface RaceOptions<C, A, E, R> {
  /** The plan known at the start, in the order of starting. Candidates that are `Equal` (and hash so) are attempted once. */
  readonly candidates: ReadonlyArray<C>
  /**
   * Where newer plans come from. Called once as the race begins; `offer` is for whenever there is one, from within any
   * fiber or none. The race itself runs what it is offered, which waits for nothing and is not interrupted: a fiber for
   * the plans would be a tenth of a dial. The race waits for the next plan while the last was not `final`.
   */
  readonly later?: ((offer: (plan: Effect.Effect<Plan<C>>) => void) => void) | undefined
  /**
   * One attempt. What it acquires goes into `scope` (`Scope.extend`), which the race closes before anyone hears of an
   * attempt that failed or lost, and leaves open for the winner, who may close it when it is over. (A parameter and not a Scope in the environment:
   * providing a service costs nearly as much as forking a fiber.)
   * `attempt` is its number, from 0 in the order of starting.
   */
  readonly attempt: (candidate: C, scope: Scope.CloseableScope, attempt: number) => Effect.Effect<A, E, R>
  /**
   * `attempt` for one that needs no fiber: begins and waits for nothing, and calls `settled` once, now or later. All
   * that it holds is in its Scope, also when it fails; closing that ends it.
   *
   * @internal
   */
  readonly begin?:
    | ((candidate: C, scope: Scope.CloseableScope, settled: (exit: Exit.Exit<A, E>) => void) => Effect.Effect<void>)
    | undefined
  /**
   * The time from the start of one attempt to the start of the next.
   *
   * @default {@link defaultAttemptDelay}
   */
  readonly attemptDelay?: AttemptDelay | undefined
  /**
   * How many attempts may be under way at once, at least 1. More wait; none is ended for it.
   *
   * @default Infinity
   */
  readonly maxInFlight?: number | undefined
  /**
   * Whether an attempt that failed so had sent anything: if it had, the next starts no sooner than
   * {@link minimumAttemptDelay} after the last that did.
   *
   * @default never
   */
  readonly sent?: ((error: E) => boolean) | undefined
  /**
   * Take away at once what a loser holds, while its cleanup may still be waiting for something. Called with each attempt
   * under way when another has won, or the time is over; must not wait.
   */
  readonly abandon?: ((attempt: number) => Effect.Effect<void>) | undefined
  /** How long the race may take in all, waiting for plans included. `undefined`: no limit. */
  readonly timeout?: Duration.DurationInput | undefined
  /** Run with the winner's value once the losers are gone, before it is handed out; cannot be interrupted. */
  readonly onSuccess?: ((value: A, attempt: number) => Effect.Effect<void>) | undefined
  /** Told of everything that happens, in order, by the coordinator. */
  readonly onEvent?: ((event: RaceEvent<C, E>) => Effect.Effect<void>) | undefined
  /**
   * Who sleeps for the delays and the timeout; a fiber for each when there is nobody.
   *
   * @internal
   */
  readonly timers?: Timers | undefined
}

/**
 * A newer plan, complete: it replaces what has not started.
 *
 * @since 0.2.0
 * @category models
 */
export interface Plan<C> {
  readonly candidates: ReadonlyArray<C>
  /** Whether no other can follow. */
  readonly final: boolean
}

/**
 * No candidate succeeded. `failures` are in the order in which they failed; empty when there was no candidate.
 *
 * @since 0.1.0
 * @category errors
 */
export class RaceFailed<C, E> extends Data.TaggedError("RaceFailed")<{
  readonly failures: ReadonlyArray<Failure<unknown, unknown>>
}> {
  declare readonly failures: ReadonlyArray<Failure<C, E>>
}

/**
 * A candidate and the error of its attempt.
 *
 * @since 0.1.0
 * @category errors
 */
export interface Failure<C, E> {
  readonly candidate: C
  readonly error: E
}

/**
 * The race's `timeout` passed before an attempt succeeded. What was under way is stopped and gone.
 *
 * @since 0.1.0
 * @category errors
 */
export class RaceTimeout extends Data.TaggedError("RaceTimeout") {}

/**
 * Run the race.
 *
 * The value of the first attempt to succeed; what that attempt acquired belongs to the Scope in the environment. Fails
 * with `RaceFailed` when every candidate failed and no plan can follow, with `RaceTimeout` at the `timeout`. A defect
 * in an attempt ends the race as that defect.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HappyEyeballs } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const winner = await HappyEyeballs.race({
 *   candidates: ["silent", "refusing", "good"],
 *   attemptDelay: "10 millis",
 *   attempt: (candidate) =>
 *     candidate === "silent" ? Effect.never : candidate === "refusing" ? Effect.fail("refused") : Effect.succeed(candidate)
 * }).pipe(Effect.scoped, Effect.runPromise)
 *
 * assert.strictEqual(winner, "good")
 * ```
 *
 * @since 0.1.0
 * @category racing
 */
export const race = <C, A, E, R>(
  options: RaceOptions<C, A, E, R>
): Effect.Effect<A, RaceFailed<C, E> | RaceTimeout, R | Scope.Scope> => {
  const { candidates, later, timeout } = options
  const [only] = candidates
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.scope,
      (home) =>
        only !== undefined && candidates.length === 1 && later === undefined && timeout === undefined
          ? alone(options, home, only, restore)
          : contest(options, home, restore)
    )
  )
}

type Restore = <B, E, R>(effect: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>

/**
 * A race of one that nobody joins and nothing ends is its attempt, in the caller's own fiber: a dial of a literal
 * address, for which the fiber, the inbox and the timer would be half of the work.
 */
const alone = <C, A, E, R>(
  options: RaceOptions<C, A, E, R>,
  home: Scope.Scope,
  candidate: C,
  restore: Restore
): Effect.Effect<A, RaceFailed<C, E>, R> =>
  Effect.flatMap(
    enlist(options, home, candidate, 0),
    (runner) =>
      Effect.matchCauseEffect(restore(Effect.suspend(() => options.attempt(candidate, runner.scope, 0))), {
        onFailure: (cause) => {
          runner.exit = Exit.failCause(cause)
          const failure = failureOf(cause)
          return Effect.zipRight(
            settle(options, runner, "lost"),
            Option.isSome(failure)
              ? Effect.fail(new RaceFailed<C, E>({ failures: [{ candidate, error: failure.value }] }))
              : Effect.failCause(cause as Cause.Cause<never>)
          )
        },
        onSuccess: (value) => handOut(options, runner, value, settle(options, runner, "won"))
      })
  )

/** The error of an attempt that failed; none when it was interrupted or has a defect, its own or its cleanup's. */
const failureOf = <E>(cause: Cause.Cause<E>): Option.Option<E> =>
  Cause.isDie(cause) ? Option.none() : Cause.failureOption(cause)

const contest = <C, A, E, R>(
  options: RaceOptions<C, A, E, R>,
  home: Scope.Scope,
  restore: Restore
): Effect.Effect<A, RaceFailed<C, E> | RaceTimeout, R> =>
  Effect.clockWith((clock) => {
    const coordinator = new Coordinator(options, home, clock, restore)
    const course = coordinator.run({
      waiting: fresh(options.candidates, Chunk.empty()),
      final: options.later === undefined,
      started: Chunk.empty(),
      running: 0,
      due: true,
      sentAt: undefined,
      failures: Chunk.empty()
    })
    return Effect.matchCauseEffect(Effect.zipRight(coordinator.listen, course), {
      onFailure: (cause) =>
        Effect.zipRight(
          // A time that is over is over; an interruption waits for all cleanup, as it does everywhere in Effect.
          isTimeout(cause) ? coordinator.leave(undefined) : coordinator.clear,
          Effect.failCause(cause)
        ),
      onSuccess: ({ runner, value }) => handOut(options, runner, value, coordinator.leave(runner))
    })
  })

const isTimeout = (cause: Cause.Cause<RaceFailed<unknown, unknown> | RaceTimeout>): boolean =>
  cause._tag === "Fail" && cause.error._tag === "RaceTimeout"

// -----------------------------------------------------------------------------
// one runner: enlisted, settled, handed out
// -----------------------------------------------------------------------------

/** An attempt that was started. */
interface Runner<C, A, E> {
  readonly candidate: C
  readonly attempt: number
  readonly scope: Scope.CloseableScope
  /** Its outcome, once it has one. */
  exit: Exit.Exit<A, E> | undefined
  /** Whether that outcome was told. */
  told: boolean
  /** Whether the race is over for it, and it is cleaned up by itself. */
  abandoned: boolean
}

const enlist = <C, A, E, R>(
  options: RaceOptions<C, A, E, R>,
  home: Scope.Scope,
  candidate: C,
  attempt: number
): Effect.Effect<Runner<C, A, E>> =>
  Effect.flatMap(Scope.fork(home, ExecutionStrategy.sequential), (scope) => {
    const runner: Runner<C, A, E> = { candidate, attempt, scope, exit: undefined, told: false, abandoned: false }
    return Effect.as(tell(options, { _tag: "Started", attempt, candidate }), runner)
  })

/** Tell an attempt's outcome, once; what it holds is closed first unless it won. */
const settle = <C, A, E, R>(
  options: RaceOptions<C, A, E, R>,
  runner: Runner<C, A, E>,
  place: "won" | "lost"
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { attempt, candidate, exit, scope, told } = runner
    runner.told = true
    if (place === "won") return tell(options, { _tag: "Connected", attempt, candidate })
    // One that has not ended yet closes by itself, once its cleanup is over.
    const close = runner.abandoned && exit === undefined ? Effect.void : Scope.close(scope, exit ?? Exit.void)
    if (told) return close
    const failure = exit === undefined || Exit.isSuccess(exit) ? Option.none() : failureOf(exit.cause)
    return Effect.zipRight(
      close,
      tell(
        options,
        Option.isSome(failure)
          ? { _tag: "Failed", attempt, candidate, error: failure.value }
          : { _tag: "Stopped", attempt, candidate }
      )
    )
  })

/** The winner's value, once what is left to do is done; a defect in that closes what the winner holds. */
const handOut = <C, A, E, R>(
  { onSuccess }: RaceOptions<C, A, E, R>,
  { attempt, scope }: Runner<C, A, E>,
  value: A,
  before: Effect.Effect<void>
): Effect.Effect<A> =>
  Effect.matchCauseEffect(onSuccess === undefined ? before : Effect.zipRight(before, onSuccess(value, attempt)), {
    onFailure: (cause) => Effect.zipRight(Scope.close(scope, Exit.failCause(cause)), Effect.failCause(cause)),
    onSuccess: () => Effect.succeed(value)
  })

const tell = <C, A, E, R>(
  { onEvent }: RaceOptions<C, A, E, R>,
  event: RaceEvent<C, E>
): Effect.Effect<void> => onEvent === undefined ? Effect.void : onEvent(event)

// -----------------------------------------------------------------------------
// the coordinator of many
// -----------------------------------------------------------------------------

type Message<C, A, E> =
  | { readonly _tag: "Settled"; readonly runner: Runner<C, A, E>; readonly exit: Exit.Exit<A, E> }
  | { readonly _tag: "DelayOver"; readonly started: number }
  | { readonly _tag: "Offered"; readonly plan: Effect.Effect<Plan<C>> }
  | { readonly _tag: "TimeOver" }

interface State<C, E> {
  /** What may still start, in order. */
  readonly waiting: ReadonlyArray<C>
  /** Whether no newer plan can come. */
  readonly final: boolean
  /** In the order of starting. */
  readonly started: Chunk.Chunk<C>
  readonly running: number
  /** Whether the next candidate may start now. */
  readonly due: boolean
  /** When the last attempt started that sent something, or may have: milliseconds of the Clock. */
  readonly sentAt: number | undefined
  readonly failures: Chunk.Chunk<Failure<C, E>>
}

type Course<C, A, E, R> = Effect.Effect<
  { readonly runner: Runner<C, A, E>; readonly value: A },
  RaceFailed<C, E> | RaceTimeout,
  R
>

/** Up to so many are compared with each other, which is cheaper than a hash for each. */
const few = 8

/** What of a plan was not started, each candidate once. */
const fresh = <C>(plan: ReadonlyArray<C>, started: Chunk.Chunk<C>): ReadonlyArray<C> => {
  if (plan.length + started.length <= few) {
    return plan.filter((candidate, index) =>
      !plan.some((other, before) => before < index && Equal.equals(other, candidate)) &&
      !Chunk.some(started, (other) => Equal.equals(other, candidate))
    )
  }
  const seen = MutableHashSet.fromIterable(started)
  return plan.filter((candidate) => {
    if (MutableHashSet.has(seen, candidate)) return false
    MutableHashSet.add(seen, candidate)
    return true
  })
}

class Coordinator<C, A, E, R> {
  private readonly inbox = new Inbox<Message<C, A, E>>()
  /** What comes next. Nothing else is waited for, and nowhere else is the coordinator interrupted. */
  private readonly next: Effect.Effect<Message<C, A, E>>
  private readonly runners: Array<Runner<C, A, E>> = []
  private delay: Alarm | undefined
  private deadline: Alarm | undefined
  /** The Connection Attempt Delay after the attempt of a number. */
  private readonly pace: (attempt: number, over: () => void) => Effect.Effect<Alarm>
  private readonly maxInFlight: number
  /** `sentAt` as it was before the newest attempt, which may turn out to have sent nothing. */
  private sentBefore: number | undefined
  /** Attempts. Daemons: {@link clear} or {@link leave} ends them, whatever ends the race. */
  private readonly workers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []

  constructor(
    private readonly options: RaceOptions<C, A, E, R>,
    private readonly home: Scope.Scope,
    private readonly clock: Clock.Clock,
    restore: Restore
  ) {
    this.next = restore(this.inbox.take)
    this.pace = paceOf(options.attemptDelay, clock, options.timers)
    this.maxInFlight = Math.max(1, options.maxInFlight ?? Infinity)
  }

  /** Start the next candidate, give up, or wait for what comes. */
  run(state: State<C, E>): Course<C, A, E, R> {
    const [candidate] = state.waiting
    if (state.due && candidate !== undefined && state.running < this.maxInFlight) {
      return Effect.flatMap(this.start(state, candidate), (state) => this.run(state))
    }
    if (state.running === 0 && state.final && candidate === undefined) {
      return Effect.fail(new RaceFailed<C, E>({ failures: Chunk.toReadonlyArray(state.failures) }))
    }
    return Effect.flatMap(this.next, (message) => this.receive(state, message))
  }

  private receive(state: State<C, E>, message: Message<C, A, E>): Course<C, A, E, R> {
    switch (message._tag) {
      case "DelayOver":
        return this.run(message.started === state.started.length ? { ...state, due: true } : state)
      case "Offered":
        return Effect.flatMap(
          message.plan,
          ({ candidates, final }) => this.run({ ...state, final, waiting: fresh(candidates, state.started) })
        )
      case "TimeOver":
        return Effect.fail(new RaceTimeout())
      case "Settled": {
        const { exit, runner } = message
        if (Exit.isSuccess(exit)) {
          return Effect.as(settle(this.options, runner, "won"), { runner, value: exit.value })
        }
        const failure = failureOf(exit.cause)
        if (Option.isNone(failure)) return Effect.failCause(exit.cause as Cause.Cause<never>)
        const failures = Chunk.append(state.failures, { candidate: runner.candidate, error: failure.value })
        return Effect.zipRight(
          settle(this.options, runner, "lost"),
          Effect.flatMap(
            this.afterFailure({ ...state, running: state.running - 1, failures }, runner, failure.value),
            (state) => this.run(state)
          )
        )
      }
    }
  }

  /** The next may start at once, unless a packet went out a moment ago. */
  private afterFailure(state: State<C, E>, runner: Runner<C, A, E>, error: E): Effect.Effect<State<C, E>> {
    const { sent } = this.options
    if (sent === undefined) return Effect.succeed({ ...state, due: true })
    const newest = runner.attempt === state.started.length - 1
    const sentAt = newest && !sent(error) ? this.sentBefore : state.sentAt
    const left = sentAt === undefined ? 0 : sentAt + minimumAttemptMillis - millisOf(this.clock)
    const next = { ...state, sentAt, due: state.due || left <= 0 }
    return next.due ? Effect.succeed(next) : Effect.as(
      this.startDelay(state.started.length, (over) => setAlarmBy(this.clock, this.options.timers, left, over)),
      next
    )
  }

  private start(state: State<C, E>, candidate: C): Effect.Effect<State<C, E>, never, R> {
    const attempt = state.started.length
    const waiting = state.waiting.slice(1)
    this.sentBefore = state.sentAt
    const begin = Effect.flatMap(enlist(this.options, this.home, candidate, attempt), (runner) => {
      this.runners.push(runner)
      const settled = (exit: Exit.Exit<A, E>) => {
        runner.exit = exit
        this.inbox.post({ _tag: "Settled", runner, exit })
      }
      return this.options.begin === undefined
        ? this.work(
          // Closed here and not by the coordinator, so that one slow cleanup does not wait for another.
          Effect.onExit(
            Effect.suspend(() => this.options.attempt(candidate, runner.scope, attempt)),
            (exit) => Exit.isSuccess(exit) && !runner.abandoned ? Effect.void : Scope.close(runner.scope, exit)
          ),
          settled
        )
        : this.options.begin(candidate, runner.scope, settled)
    })
    // Nobody waits for the delay when nobody can follow.
    const delay = state.final && waiting.length === 0
      ? this.stopDelay
      : this.startDelay(attempt + 1, (over) => this.pace(attempt, over))
    return Effect.map(Effect.zipRight(begin, delay), () => ({
      ...state,
      waiting,
      started: Chunk.append(state.started, candidate),
      running: state.running + 1,
      due: false,
      sentAt: millisOf(this.clock)
    }))
  }

  /** One delay runs at a time: from the newest start. */
  private startDelay(started: number, set: (over: () => void) => Effect.Effect<Alarm>): Effect.Effect<void> {
    const begun = Effect.map(
      Effect.suspend(() => set(() => this.inbox.post({ _tag: "DelayOver", started }))),
      (alarm) => {
        this.delay = alarm
      }
    )
    return this.delay === undefined ? begun : Effect.zipRight(this.delay.stop, begun)
  }

  private get stopDelay(): Effect.Effect<void> {
    return this.delay === undefined ? Effect.void : this.delay.stop
  }

  /** Newer plans, and the end of the time, come to the inbox. */
  get listen(): Effect.Effect<void> {
    const { later, timeout, timers } = this.options
    later?.((plan) => this.inbox.post({ _tag: "Offered", plan }))
    return timeout === undefined ? Effect.void : Effect.map(
      setAlarmBy(this.clock, timers, timeout, () => this.inbox.post({ _tag: "TimeOver" })),
      (alarm) => {
        this.deadline = alarm
      }
    )
  }

  /** Fork a worker; `done` runs as it ends, however it does. */
  private work<B, E2, R3>(
    task: Effect.Effect<B, E2, R3>,
    done: (exit: Exit.Exit<B, E2>) => void
  ): Effect.Effect<void, never, R3> {
    return Effect.map(Effect.forkDaemon(Effect.interruptible(task)), (fiber) => {
      this.workers.push(fiber)
      fiber.addObserver(done)
    })
  }

  /** The race is over without an outcome to hand out: every worker ends and everything is closed, however long it takes. */
  get clear(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.all([...this.stopAlarms, endAll(this.workers), this.closeAll(undefined)], { discard: true })
    )
  }

  /**
   * The race is over, and somebody waits for its outcome: every worker is told to end, and what holds a socket gives it
   * up. Those that are still cleaning up after that do the rest by themselves.
   */
  leave(winner: Runner<C, A, E> | undefined): Effect.Effect<void> {
    const { abandon } = this.options
    return Effect.suspend(() => {
      const running = this.runners.filter((runner) => runner.exit === undefined)
      for (const runner of running) runner.abandoned = true
      const ends: Array<Effect.Effect<void>> = []
      if (abandon !== undefined) ends.push(...running.map(({ attempt }) => abandon(attempt)))
      ends.push(...this.stopAlarms)
      if (this.workers.some((fiber) => fiber.unsafePoll() === null)) ends.push(endPromptly(this.workers))
      if (this.options.begin !== undefined && running.length > 0) ends.push(closePromptly(running))
      if (this.runners.some((runner) => runner !== winner && !runner.told)) ends.push(this.closeAll(winner))
      return ends.length === 0 ? Effect.void : Effect.all(ends, { discard: true })
    })
  }

  /** Stops the alarms; the rest of that for those that are fibers. */
  private get stopAlarms(): ReadonlyArray<Effect.Effect<void>> {
    const alarms = [this.delay, this.deadline].filter((alarm) => alarm !== undefined)
    for (const alarm of alarms) alarm.cancel()
    return alarms.filter(({ stopsAtOnce }) => !stopsAtOnce).map(({ stop }) => stop)
  }

  /** Close and tell of each attempt that was not told of yet. Without a winner nothing stays open. */
  private closeAll(winner: Runner<C, A, E> | undefined): Effect.Effect<void> {
    return Effect.suspend(() => {
      const left = this.runners.filter((runner) => runner !== winner && !(runner.told && winner !== undefined))
      return left.length === 0
        ? Effect.void
        : Effect.forEach(left, (runner) => settle(this.options, runner, "lost"), { discard: true })
    })
  }
}

const minimumAttemptMillis = Duration.toMillis(minimumAttemptDelay)

const millisOf = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6

const bounded = (delay: Duration.DurationInput): Duration.Duration =>
  Duration.clamp(delay, { minimum: minimumAttemptDelay, maximum: maximumAttemptDelay })

/** Close what attempts hold that have no fiber to do it, and wait for no cleanup that waits for something itself. */
const closePromptly = (runners: ReadonlyArray<Runner<unknown, unknown, unknown>>): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.forEach(runners, ({ scope }) => Effect.forkDaemon(Scope.close(scope, Exit.void))),
    letEnd
  )

const usualPace = bounded(defaultAttemptDelay)

const paceOf = (
  delay: AttemptDelay | undefined,
  clock: Clock.Clock,
  timers: Timers | undefined
): (attempt: number, over: () => void) => Effect.Effect<Alarm> => {
  if (!Schedule.isSchedule(delay)) {
    const always = delay === undefined ? usualPace : bounded(delay)
    return (_, over) => setAlarmBy(clock, timers, always, over)
  }
  const driver = Effect.runSync(Schedule.driver(Schedule.modifyDelay(delay, (_, each) => bounded(each))))
  return (attempt, over) =>
    fiberAlarm(Effect.catchAll(driver.next(attempt), () => Effect.sleep(maximumAttemptDelay)), over)
}
