/**
 * Effects side by side, safe to interrupt at any moment.
 *
 * Those of effect 3.22 are not. `race`, `raceFirst` and `raceWith` make their fibers one step before they start them,
 * and whoever is interrupted in between waits for ever for fibers that never run. `all`, `forEach` and `zip` with
 * `concurrency` wait for ever when the interruption comes in the steps before they begin: it empties their list, and
 * with an empty list nobody tells that it is done. `timeout` and its kin end only with their limit, in two steps.
 *
 * Here every fiber runs from the moment it is made, and who waits for them hears of each as it ends. None is left when
 * an outcome is handed out, or when whoever waits is interrupted.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { LazyArg } from "effect/Function"
import { endAll } from "./endAll.js"

/** How the first of two to end has ended. The other is interrupted, and has ended too. */
export const firstOf = <A, E, R, A2, E2, R2>(
  self: Effect.Effect<A, E, R>,
  that: Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> => sideBySide<A | A2, E | E2, R | R2, A | A2>([self, that], (exit) => exit)

/**
 * An effect, or once it has taken so long what stands in for it; the effect has ended then too.
 *
 * Both can be stopped even where whoever waits cannot be interrupted, as in an acquire: nobody waits for the sleep that
 * is left of the limit, and the limit is kept.
 */
export const within = <A, E, R, A2, E2, R2>(
  self: Effect.Effect<A, E, R>,
  limit: Duration.DurationInput,
  onTimeout: LazyArg<Effect.Effect<A2, E2, R2>>
): Effect.Effect<A | A2, E | E2, R | R2> =>
  firstOf(Effect.interruptible(self), Effect.interruptible(Effect.delay(Effect.suspend(onTimeout), limit)))

/** What each of them has come to; or the first failure, and then the others are interrupted, and have ended too. */
export const allOf = <A, E, R>(
  effects: ReadonlyArray<Effect.Effect<A, E, R>>
): Effect.Effect<ReadonlyArray<A>, E, R> =>
  effects.length === 0
    ? Effect.succeed([])
    : sideBySide(effects, (exit, fibers) =>
      Exit.isFailure(exit)
        ? Effect.failCause(exit.cause)
        : fibers.every((fiber) => fiber.unsafePoll() !== null)
        ? Effect.forEach(fibers, Fiber.join)
        : undefined)

/** The outcome that `judge` makes of the exit of one of them, as soon as it makes one. */
const sideBySide = <A, E, R, B>(
  effects: ReadonlyArray<Effect.Effect<A, E, R>>,
  judge: (
    exit: Exit.Exit<A, E>,
    fibers: ReadonlyArray<Fiber.RuntimeFiber<A, E>>
  ) => Effect.Effect<B, E> | undefined
): Effect.Effect<B, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.forEach(effects, (effect) => Effect.forkDaemon(restore(effect))),
      (fibers) =>
        Effect.ensuring(
          restore(Effect.async<B, E>((resume) => {
            fibers.forEach((fiber) =>
              fiber.addObserver((exit) => {
                const outcome = judge(exit, fibers)
                if (outcome !== undefined) resume(outcome)
              })
            )
          })),
          endAll(fibers)
        )
    )
  )
