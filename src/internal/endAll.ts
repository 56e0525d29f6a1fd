import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/**
 * Interrupt fibers and wait until the last of them has ended. What `Fiber.interruptAll` does, in a third of the steps
 * and with nothing to wait for when all of them have ended already.
 */
export const endAll = (fibers: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>>): Effect.Effect<void> =>
  Effect.flatMap(Effect.fiberId, (by) => {
    const alive = fibers.filter((fiber) => fiber.unsafePoll() === null)
    return alive.length === 0 ? Effect.void : Effect.async<void>((resume) => {
      const left = new Set(alive)
      alive.forEach((fiber) => {
        fiber.addObserver(() => {
          left.delete(fiber)
          if (left.size === 0) resume(Effect.void)
        })
        fiber.unsafeInterruptAsFork(by)
      })
    })
  })
