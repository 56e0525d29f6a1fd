import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"

/**
 * Fork a daemon and run it up to where it first waits, within this step: what waits for nothing has ended then, and
 * nobody was scheduled for it. `Effect.forkDaemon` puts its first step after those of whoever is scheduled already.
 */
export const startNow = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  Effect.map(Effect.runtime<R>(), (runtime) => Runtime.runFork(runtime)(Effect.interruptible(effect)))
