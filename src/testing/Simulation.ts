/**
 * A world of its own for one effect: its own clock, its own scheduler, its own randomness, all from one seed.
 *
 * Whatever runs inside takes no real time. When no fiber can run, the clock jumps to the next moment at which one can
 * (trio calls this an autojump clock), so nobody computes how far to adjust it. Fibers run in one fixed order, so the
 * same seed gives the same run, event for event. No timer of the platform is touched.
 *
 * A run that can never end, because every fiber waits and nothing is scheduled, fails with {@link Stuck}: the bug that
 * would otherwise hang a test is an error with a time.
 *
 * Layers have to be provided inside: a layer built outside lives by the clock out there. Effects that wait for the real
 * world (a promise of the platform's I/O) do not belong in here: the clock does not wait for them. What only takes turns
 * of the platform's event loop (Node's streams, its TLS) can be waited for: see `Options.idle`.
 *
 * Not here: the network (`SimNetwork`), and tests that keep their TestClock (`TestTime`).
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Scheduler from "effect/Scheduler"
import { type Due, Heap } from "./internal/heap.js"

/**
 * The virtual time a run may take when nothing else is said.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultTimeLimit: Duration.DurationInput = "1 day"

/**
 * How to run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * The seed of Effect's Random inside.
   *
   * @default 0
   */
  readonly seed?: number | undefined
  /**
   * The clock's time at the start, in milliseconds since the epoch.
   *
   * @default 0
   */
  readonly startAt?: number | undefined
  /**
   * The longest the run may take, in virtual time, before it fails with `Stuck`.
   *
   * @default {@link defaultTimeLimit}
   */
  readonly timeLimit?: Duration.DurationInput | undefined
  /**
   * Run before each move of the clock, which waits for it: some turns of the platform's event loop, where what runs
   * inside needs those. It must end by itself.
   *
   * @default nothing: every fiber is moved by fibers and the clock alone
   */
  readonly idle?: Effect.Effect<void> | undefined
}

/**
 * The run cannot end: `"nothing scheduled"` when every fiber waits for something that cannot come, `"time limit"` when
 * it was still busy at its limit. `at` is the virtual time in milliseconds since the start of the run.
 *
 * @since 0.1.0
 * @category errors
 */
export class Stuck extends Data.TaggedError("Stuck")<{
  readonly reason: "nothing scheduled" | "time limit"
  readonly at: number
}> {
  override get message(): string {
    return this.reason === "time limit"
      ? `the simulation was still running after ${this.at} ms of virtual time`
      : `the simulation is stuck at ${this.at} ms: every fiber waits and nothing is scheduled`
  }
}

/**
 * Run an effect to its end in a world of its own.
 *
 * Succeeds and fails as the effect does, and with `Stuck` when it cannot end; it is interrupted then, and its
 * finalizers run. Interrupting a run interrupts the effect.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Simulation } from "effect-dial/testing"
 *
 * // A day passes in no time.
 * export const program = Simulation.run(Effect.as(Effect.sleep("23 hours"), "done"))
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const run = <A, E, R>(effect: Effect.Effect<A, E, R>, options?: Options): Effect.Effect<A, E | Stuck, R> =>
  Effect.flatMap(Effect.runtime<R>(), (runtime) =>
    Effect.suspend(() => {
      const world = new World(options?.startAt ?? 0)
      const inside = effect.pipe(
        Effect.withClock(world.clock),
        Effect.withRandom(Random.make(options?.seed ?? 0))
      )
      const fiber = Runtime.runFork(runtime)(inside, { scheduler: world.scheduler, immediate: false })
      return world.drive(fiber, Duration.toMillis(options?.timeLimit ?? defaultTimeLimit), options?.idle)
    }))

// -----------------------------------------------------------------------------
// the world
// -----------------------------------------------------------------------------

interface Sleeper extends Due {
  wake: (() => void) | undefined
}

class VirtualClock implements Clock.Clock, Clock.ClockScheduler {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  readonly sleepers = new Heap<Sleeper>()
  private order = 0

  constructor(public now: number) {}

  unsafeCurrentTimeMillis(): number {
    return this.now
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.round(this.now * 1e6))
  }

  get currentTimeMillis(): Effect.Effect<number> {
    return Effect.sync(() => this.unsafeCurrentTimeMillis())
  }

  get currentTimeNanos(): Effect.Effect<bigint> {
    return Effect.sync(() => this.unsafeCurrentTimeNanos())
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async((resume) => {
      const cancel = this.unsafeSchedule(() => resume(Effect.void), duration)
      return Effect.asVoid(Effect.sync(cancel))
    })
  }

  unsafeSchedule(task: Clock.Task, duration: Duration.Duration): Clock.CancelToken {
    const millis = Duration.toMillis(duration)
    if (!Number.isFinite(millis)) return () => true
    const sleeper: Sleeper = { time: this.now + Math.max(0, millis), order: this.order++, wake: task }
    this.sleepers.add(sleeper)
    return () => {
      const early = sleeper.wake !== undefined
      sleeper.wake = undefined
      return early
    }
  }

  /** Go to the next moment somebody waits for and wake the first who does; false when there is nobody. */
  jump(limit: number): boolean {
    for (let sleeper = this.sleepers.first; sleeper !== undefined; sleeper = this.sleepers.first) {
      if (sleeper.wake !== undefined && sleeper.time > limit) return false
      this.sleepers.take()
      const { time, wake } = sleeper
      if (wake === undefined) continue
      sleeper.wake = undefined
      this.now = time
      wake()
      return true
    }
    return false
  }
}

/** Every task of every fiber inside, in one queue: first come, first served, priority before that. */
class WorldScheduler implements Scheduler.Scheduler {
  private tasks = new Scheduler.PriorityBuckets()

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    return Scheduler.defaultScheduler.shouldYield(fiber)
  }

  scheduleTask(task: Scheduler.Task, priority: number): void {
    this.tasks.scheduleTask(task, priority)
  }

  /** Run until there is nothing to run; false when there was nothing. */
  drain(): boolean {
    let any = false
    while (this.tasks.buckets.length > 0) {
      any = true
      const { buckets } = this.tasks
      this.tasks = new Scheduler.PriorityBuckets()
      for (const [, tasks] of buckets) {
        for (const task of tasks) task()
      }
    }
    return any
  }
}

/** How often promises that are already settled get a turn before a run is called stuck. */
const patience = 16

class World {
  readonly scheduler = new WorldScheduler()
  readonly clock: VirtualClock

  constructor(private readonly startAt: number) {
    this.clock = new VirtualClock(startAt)
  }

  drive<A, E>(
    fiber: Fiber.RuntimeFiber<A, E>,
    limit: number,
    idle: Effect.Effect<void> | undefined
  ): Effect.Effect<A, E | Stuck> {
    let exit: Exit.Exit<A, E> | undefined
    let stuck: Stuck | undefined
    fiber.addObserver((result) => {
      exit = result
    })
    const end = this.startAt + limit
    const advance = (): boolean => {
      let any = this.scheduler.drain()
      // After what the event loop has brought the clock does not move before the loop has had its turns again.
      if (any && idle !== undefined) return true
      // A run that was stopped may take the time it needs to clean up.
      const going = () => exit === undefined
      while (going() && this.clock.jump(stuck === undefined ? end : Infinity)) {
        any = true
        this.scheduler.drain()
        if (idle !== undefined) break
      }
      return any
    }
    const turn = idle ?? Effect.promise(() => Promise.resolve())
    const giveUp = () => {
      stuck = new Stuck({
        reason: this.clock.sleepers.size > 0 ? "time limit" : "nothing scheduled",
        at: this.clock.now - this.startAt
      })
      fiber.unsafeInterruptAsFork(fiber.id())
    }
    const settle = (turns: number): Effect.Effect<A, E | Stuck> =>
      Effect.suspend(() => {
        const busy = advance()
        if (exit !== undefined) return stuck !== undefined && Exit.isInterrupted(exit) ? Effect.fail(stuck) : exit
        if (turns > 0) {
          return Effect.zipRight(turn, settle(busy ? patience : turns - 1))
        }
        if (stuck !== undefined) {
          return Effect.failCause(Cause.die(stuck))
        }
        giveUp()
        return settle(patience)
      })
    return Effect.onInterrupt(settle(patience), () =>
      Effect.suspend(() => {
        fiber.unsafeInterruptAsFork(fiber.id())
        return Effect.ignore(Effect.sandbox(settle(patience)))
      }))
  }
}
