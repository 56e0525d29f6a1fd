/**
 * The staggered race of RFC 8305 §5: attempts start one after another, each a little after the last, and the first to
 * succeed is the outcome.
 *
 * What must be true:
 *
 * - candidates start in the plan's order, one every {@link defaultAttemptDelay}; an attempt that fails starts the next
 *   at once
 * - a plan may change while the race runs: what has not started is taken from the newest plan, what is under way is
 *   never cancelled by it
 * - the first success wins; the losers are gone (no socket, no timer, no fiber) before it is handed out
 * - an interruption at any moment leaves nothing behind
 *
 * The race is generic in what an attempt is: any scoped Effect. Each attempt gets a Scope of its own, a child of the
 * one in the environment; the winner's lives on there, every other is closed.
 *
 * One coordinator owns the state, an immutable value; attempts, the timer and new plans reach it as messages. So there
 * is one place where things happen and one order in which they did.
 *
 * Not here: what the candidates are and who orders them (`AddressPlan`), deadlines (`Dialer`).
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { allOrNothing } from "./internal/allOrNothing.js"

/**
 * RFC 8305 §8: "Connection Attempt Delay: The time to wait between connection attempts in the absence of RTT data.
 * Recommended to be 250 milliseconds."
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultAttemptDelay: Duration.DurationInput = "250 millis"

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
export interface RaceOptions<C, A, E, R, R2> {
  /** The plan known at the start, in the order of starting. Equal candidates are attempted once. */
  readonly candidates: ReadonlyArray<C>
  /** Newer plans, each complete: it replaces what has not started. The race waits for it while it has not ended. */
  readonly later?: Stream.Stream<ReadonlyArray<C>, never, R2> | undefined
  /** One attempt. What it acquires goes into the Scope of that attempt. */
  readonly attempt: (candidate: C, attempt: number) => Effect.Effect<A, E, R>
  /**
   * The time from the start of one attempt to the start of the next.
   *
   * @default {@link defaultAttemptDelay}
   */
  readonly attemptDelay?: Duration.DurationInput | undefined
  /** Told of everything that happens, in order, by the coordinator. */
  readonly onEvent?: ((event: RaceEvent<C, E>) => Effect.Effect<void>) | undefined
}

/**
 * No candidate succeeded. `failures` are in the order in which they failed; empty when there was no candidate.
 *
 * @since 0.1.0
 * @category errors
 */
export class RaceFailed<C, E> extends Data.TaggedError("RaceFailed")<{
  readonly failures: ReadonlyArray<{ readonly candidate: unknown; readonly error: unknown }>
}> {
  /** Keeps the parameters in the type; there is no such field. */
  declare readonly _types?: { readonly candidate: C; readonly error: E }
}

/**
 * Run the race.
 *
 * The value of the first attempt to succeed; what that attempt acquired belongs to the Scope in the environment. Fails
 * with `RaceFailed` when every candidate failed and no plan can follow. A defect in an attempt ends the race as that
 * defect.
 *
 * @since 0.1.0
 * @category racing
 */
export const race = <C, A, E, R, R2 = never>(
  options: RaceOptions<C, A, E, R, R2>
): Effect.Effect<A, RaceFailed<C, E>, R | R2 | Scope.Scope> =>
  allOrNothing(Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const home = yield* Effect.scope
      const workers = yield* Scope.make(ExecutionStrategy.parallel)
      const mailbox = yield* Queue.unbounded<Message<C, A, E>>()
      const coordinator = new Coordinator(options, home, workers, mailbox)
      return yield* restore(Effect.zipRight(coordinator.listen, coordinator.run(initial(options.candidates, options.later === undefined)))).pipe(
        Effect.onExit(() => Effect.zipRight(Scope.close(workers, Exit.void), coordinator.dismiss))
      )
    })
  ))

// -----------------------------------------------------------------------------
// the coordinator
// -----------------------------------------------------------------------------

/** An attempt that was started. */
interface Runner<C> {
  readonly candidate: C
  readonly attempt: number
  readonly scope: Scope.CloseableScope
}

type Message<C, A, E> =
  | { readonly _tag: "Settled"; readonly runner: Runner<C>; readonly exit: Exit.Exit<A, E> }
  | { readonly _tag: "DelayOver"; readonly started: number }
  | { readonly _tag: "Plan"; readonly plan: ReadonlyArray<C> }
  | { readonly _tag: "NoMorePlans"; readonly exit: Exit.Exit<void> }

interface State<C> {
  readonly plan: ReadonlyArray<C>
  /** Whether no newer plan can come. */
  readonly final: boolean
  readonly started: ReadonlyArray<C>
  readonly running: number
  /** Whether the next candidate may start now. */
  readonly due: boolean
  readonly failures: RaceFailed<C, unknown>["failures"]
}

const initial = <C>(plan: ReadonlyArray<C>, final: boolean): State<C> => ({
  plan,
  final,
  started: [],
  running: 0,
  due: true,
  failures: []
})

const next = <C>(state: State<C>): Option.Option<C> =>
  Option.fromNullable(state.plan.find((candidate) => !state.started.some((other) => Equal.equals(other, candidate))))

class Coordinator<C, A, E, R, R2> {
  constructor(
    private readonly options: RaceOptions<C, A, E, R, R2>,
    private readonly home: Scope.Scope,
    private readonly workers: Scope.CloseableScope,
    private readonly mailbox: Queue.Queue<Message<C, A, E>>
  ) {}

  /** Start the next candidate, give up, or wait for what comes. */
  run(state: State<C>): Effect.Effect<A, RaceFailed<C, E>, Exclude<R, Scope.Scope>> {
    const candidate = next(state)
    if (state.due && Option.isSome(candidate)) {
      return Effect.flatMap(this.start(state, candidate.value), (state) => this.run(state))
    }
    if (state.running === 0 && state.final && Option.isNone(candidate)) {
      return Effect.fail(new RaceFailed({ failures: state.failures }))
    }
    return Effect.flatMap(this.mailbox.take, (message) => this.receive(state, message))
  }

  private receive(
    state: State<C>,
    message: Message<C, A, E>
  ): Effect.Effect<A, RaceFailed<C, E>, Exclude<R, Scope.Scope>> {
    switch (message._tag) {
      case "DelayOver":
        return this.run(message.started === state.started.length ? { ...state, due: true } : state)
      case "Plan":
        return this.run({ ...state, plan: message.plan })
      case "NoMorePlans":
        return Exit.isFailure(message.exit) ? Effect.failCause(message.exit.cause) : this.run({ ...state, final: true })
      case "Settled": {
        const { exit, runner } = message
        if (Exit.isSuccess(exit)) return Effect.as(this.tell("Connected", runner), exit.value)
        const failure = Cause.failureOption(exit.cause)
        if (Option.isNone(failure)) return Effect.failCause(exit.cause as Cause.Cause<never>)
        return Effect.zipRight(
          this.tellFailed(runner, failure.value),
          this.run({
            ...state,
            running: state.running - 1,
            due: true,
            failures: [...state.failures, { candidate: runner.candidate, error: failure.value }]
          })
        )
      }
    }
  }

  private start(state: State<C>, candidate: C): Effect.Effect<State<C>, never, Exclude<R, Scope.Scope>> {
    const attempt = state.started.length
    return Effect.uninterruptible(Effect.gen(this, function*() {
      const scope = yield* Scope.fork(this.home, ExecutionStrategy.sequential)
      const runner: Runner<C> = { candidate, attempt, scope }
      yield* this.tell("Started", runner)
      const fiber = yield* Scope.extend(this.options.attempt(candidate, attempt), scope).pipe(
        Effect.interruptible,
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)),
        Effect.forkIn(this.workers)
      )
      fiber.addObserver((exit) => this.mailbox.unsafeOffer({ _tag: "Settled", runner, exit }))
      const started = [...state.started, candidate]
      yield* this.delay(started.length)
      return { ...state, started, running: state.running + 1, due: false }
    }))
  }

  /** The Connection Attempt Delay after the start number `started`. */
  private delay(started: number): Effect.Effect<void> {
    return Effect.sleep(this.options.attemptDelay ?? defaultAttemptDelay).pipe(
      Effect.zipRight(Effect.sync(() => this.mailbox.unsafeOffer({ _tag: "DelayOver", started }))),
      Effect.interruptible,
      Effect.forkIn(this.workers)
    )
  }

  /** Feed newer plans to the mailbox. */
  get listen(): Effect.Effect<void, never, R2> {
    const later = this.options.later
    return later === undefined ? Effect.void : Stream.runForEach(later, (plan) =>
      Effect.sync(() => this.mailbox.unsafeOffer({ _tag: "Plan", plan }))).pipe(
        Effect.onExit((exit) => Effect.sync(() => this.mailbox.unsafeOffer({ _tag: "NoMorePlans", exit }))),
        Effect.forkIn(this.workers)
      )
  }

  /** The race is over and its workers have ended: tell of those that had no outcome, and close a second winner. */
  get dismiss(): Effect.Effect<void> {
    return Effect.flatMap(this.mailbox.takeAll, (messages) =>
      Effect.forEach(messages, (message) => {
        if (message._tag !== "Settled") return Effect.void
        const { exit, runner } = message
        if (Exit.isSuccess(exit)) return Effect.zipRight(Scope.close(runner.scope, exit), this.tell("Stopped", runner))
        const failure = Cause.failureOption(exit.cause)
        return Option.isSome(failure) ? this.tellFailed(runner, failure.value) : this.tell("Stopped", runner)
      }, { discard: true }))
  }

  private tell(_tag: "Started" | "Stopped" | "Connected", runner: Runner<C>): Effect.Effect<void> {
    const { attempt, candidate } = runner
    return this.options.onEvent?.({ _tag, attempt, candidate }) ?? Effect.void
  }

  private tellFailed(runner: Runner<C>, error: E): Effect.Effect<void> {
    const { attempt, candidate } = runner
    return this.options.onEvent?.({ _tag: "Failed", attempt, candidate, error }) ?? Effect.void
  }
}
