import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { endAll } from "./endAll.js"

type Settled<A, E> = (exit: Exit.Exit<A, E>) => void

interface Flight<A, E> {
  readonly waiters: Set<Settled<A, E>>
  fiber: Fiber.RuntimeFiber<A, E> | undefined
}

/**
 * Equal lookups under way are one. Whoever leaves takes nothing from the others; the last to leave ends it. Nothing is
 * kept of one that has settled.
 */
export class Flights<A, E> {
  private readonly underWay = new Map<string, Flight<A, E>>()

  /**
   * Begin the lookup, or wait for the one under way. Waits for nothing, is not to be interrupted, and gives what leaves
   * it.
   */
  join(key: string, lookup: Effect.Effect<A, E>, settled: Settled<A, E>): Effect.Effect<Effect.Effect<void>> {
    return Effect.suspend(() => {
      const known = this.underWay.get(key)
      if (known !== undefined) {
        known.waiters.add(settled)
        return Effect.succeed(this.leave(key, known, settled))
      }
      const flight: Flight<A, E> = { waiters: new Set([settled]), fiber: undefined }
      this.underWay.set(key, flight)
      return Effect.map(Effect.forkDaemon(Effect.interruptible(lookup)), (fiber) => {
        flight.fiber = fiber
        fiber.addObserver((exit) => {
          this.forget(key, flight)
          const waiters = [...flight.waiters]
          flight.waiters.clear()
          for (const settled of waiters) settled(exit)
        })
        return this.leave(key, flight, settled)
      })
    })
  }

  /** {@link join}, as an Effect that waits. */
  wait(key: string, lookup: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const settled = Deferred.unsafeMake<A, E>(FiberId.none)
      return Effect.acquireUseRelease(
        this.join(key, lookup, (exit) => Deferred.unsafeDone(settled, exit)),
        () => Deferred.await(settled),
        (leave) => leave
      )
    })
  }

  private leave(key: string, flight: Flight<A, E>, settled: Settled<A, E>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!flight.waiters.delete(settled) || flight.waiters.size > 0) return Effect.void
      // Whoever asks from now on begins another.
      this.forget(key, flight)
      return flight.fiber === undefined ? Effect.void : endAll([flight.fiber])
    })
  }

  private forget(key: string, flight: Flight<A, E>): void {
    if (this.underWay.get(key) === flight) this.underWay.delete(key)
  }
}
