/**
 * Interruption at every step: the only way to know that no step of a program is a bad one to be interrupted at.
 *
 * A step is one instruction of the Effect runtime in the program's fiber or one it forked. The program is run again
 * and again, and in run n its fiber is interrupted as the n-th step is about to be taken, until a run ends before that.
 */
import { Clock, Duration, Effect, type Exit, Fiber, FiberId, Scheduler } from "effect"

/** Runs the steps of a fiber when it is told to, and no sooner. */
export class Held implements Scheduler.Scheduler {
  private tasks: Array<Scheduler.Task> = []

  get waiting(): boolean {
    return this.tasks.length > 0
  }

  readonly shouldYield = () => false as const

  scheduleTask(task: Scheduler.Task): void {
    this.tasks.push(task)
  }

  run(): void {
    const tasks = this.tasks
    this.tasks = []
    tasks.forEach((task) => task())
  }
}

class StepCounter implements Scheduler.Scheduler {
  target: Fiber.RuntimeFiber<unknown, unknown> | undefined
  private steps = 0

  constructor(private readonly interruptAt: number) {}

  get reached(): boolean {
    return this.steps >= this.interruptAt
  }

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    this.steps += 1
    if (this.steps === this.interruptAt) this.target?.unsafeInterruptAsFork(FiberId.none)
    return Scheduler.defaultScheduler.shouldYield(fiber)
  }

  scheduleTask(task: Scheduler.Task, priority: number): void {
    Scheduler.defaultScheduler.scheduleTask(task, priority)
  }
}

/**
 * Virtual time that goes on to the next sleeper whenever nothing else can happen. TestClock does the same and finds
 * out by polling, which is ten milliseconds a sleeper: too many for thousands of runs.
 */
class EagerClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  private now = 0
  private sleepers: ReadonlyArray<{ readonly at: number; readonly wake: () => void }> = []

  readonly currentTimeMillis = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos = Effect.sync(() => this.unsafeCurrentTimeNanos())

  unsafeCurrentTimeMillis(): number {
    return this.now
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(this.now) * 1_000_000n
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Duration.toMillis(duration) <= 0 ? Effect.void : Effect.async((resume) => {
      const sleeper = { at: this.now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      this.sleepers = [...this.sleepers, sleeper].toSorted((a, b) => a.at - b.at)
      return Effect.sync(() => {
        this.sleepers = this.sleepers.filter((other) => other !== sleeper)
      })
    })
  }

  /** Until nobody sleeps. */
  pass(): Effect.Effect<void> {
    // Fibers run in microtasks: all of them have come to rest when the next macrotask runs.
    return Effect.flatMap(Effect.promise(() => new Promise((resume) => setImmediate(resume))), () => {
      const [first, ...rest] = this.sleepers
      if (first === undefined) return Effect.void
      this.now = first.at
      this.sleepers = rest
      first.wake()
      return this.pass()
    })
  }
}

/**
 * Runs a fresh program for n = 1, 2, …, with time passing as fast as it can; `after` checks what run n left. The
 * number of steps there were.
 */
export const interruptAtEveryStep = <A, E, R, R2>(
  fresh: () => {
    readonly program: Effect.Effect<A, E, R>
    readonly after: (exit: Exit.Exit<A, E>, step: number) => Effect.Effect<void, never, R2>
  }
): Effect.Effect<number, never, R | R2> => {
  const run = (step: number): Effect.Effect<boolean, never, R | R2> =>
    Effect.gen(function*() {
      const { after, program } = fresh()
      const clock = new EagerClock()
      const counter = new StepCounter(step)
      const fiber = yield* program.pipe(Effect.withClock(clock), Effect.withScheduler(counter), Effect.fork)
      counter.target = fiber
      yield* clock.pass()
      yield* after(yield* Fiber.await(fiber), step)
      return counter.reached
    })
  return Effect.iterate({ step: 1, more: true }, {
    while: ({ more }) => more,
    body: ({ step }) => Effect.map(run(step), (more) => ({ step: more ? step + 1 : step, more }))
  }).pipe(Effect.map(({ step }) => step - 1))
}
