/**
 * Time for tests that keep their TestClock: run an effect to its end, with the clock going by itself to each moment
 * somebody waits for.
 *
 * For a test that needs no TestClock, `Simulation.run` is faster and exact to the last step: TestClock waits some real
 * milliseconds before each of its moves, to see that no fiber is busy.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"

/**
 * Run an effect to its end under TestClock, without anybody computing adjustments (trio: `autojump_clock`).
 *
 * Whenever every fiber waits, the clock moves to the next sleep that was asked for, of whatever fiber in the test.
 * Fails as the effect does. Interrupting it interrupts the effect. An effect that waits for something that cannot come
 * hangs, as it would without.
 *
 * @example
 * ```ts
 * import { Effect, TestContext } from "effect"
 * import { TestTime } from "effect-dial/testing"
 *
 * export const program = TestTime.settle(Effect.as(Effect.sleep("1 hour"), "done")).pipe(
 *   Effect.provide(TestContext.TestContext)
 * )
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const settle = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.fork(Effect.interruptible(effect)),
    (fiber) => Effect.zipRight(advanceUntilDone(fiber), Fiber.join(fiber)),
    (fiber) => Fiber.interrupt(fiber)
  )

const advanceUntilDone = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<void> =>
  Effect.suspend(() => fiber.unsafePoll() === null ? Effect.zipRight(advance, advanceUntilDone(fiber)) : Effect.void)

/** Let everybody run, then go to the first sleep there is. */
const advance: Effect.Effect<void> = TestClock.testClockWith((clock) =>
  Effect.zipRight(
    // Not past the present, which waits until every fiber does, and wakes nobody.
    clock.adjust(0),
    Effect.flatMap(clock.sleeps, (sleeps) =>
      Option.match(next(sleeps), {
        onNone: () => Effect.void,
        onSome: (instant) => clock.setTime(instant)
      }))
  )
)

const next = (sleeps: Chunk.Chunk<number>): Option.Option<number> =>
  Chunk.isEmpty(sleeps)
    ? Option.none()
    : Option.some(Chunk.reduce(sleeps, Infinity, (first, sleep) => Math.min(first, sleep)))
