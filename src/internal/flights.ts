import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { endAll } from "./endAll.js"
import { startNow } from "./startNow.js"

type Settled<A, E> = (exit: Exit.Exit<A, E>) => void

/** Leaves a lookup; gives its fiber, to be ended, when nobody waits for it any more. */
export type Leave = () => Fiber.RuntimeFiber<unknown, unknown> | undefined

export const leaveAll = (leaves: ReadonlyArray<Leave>): Effect.Effect<void> =>
  Effect.suspend(() => endAll(leaves.map((leave) => leave()).filter((fiber) => fiber !== undefined)))

interface Joined {
  readonly leave: Leave
  /** To be run by whoever joined: waits for nothing, and is not to be interrupted. */
  readonly begin: Effect.Effect<void> | undefined
}

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

  /** Wait for the lookup under way, or for this one, which is to be begun then. */
  join(key: string, lookup: () => Effect.Effect<A, E>, settled: Settled<A, E>): Joined {
    const known = this.underWay.get(key)
    const flight: Flight<A, E> = known ?? { waiters: new Set(), fiber: undefined }
    flight.waiters.add(settled)
    const leave = () => this.leave(key, flight, settled)
    if (known !== undefined) return { leave, begin: undefined }
    this.underWay.set(key, flight)
    const begin = Effect.map(startNow(Effect.suspend(lookup)), (fiber) => {
      flight.fiber = fiber
      fiber.addObserver((exit) => {
        this.forget(key, flight)
        const waiters = [...flight.waiters]
        flight.waiters.clear()
        for (const settled of waiters) settled(exit)
      })
    })
    return { leave, begin }
  }

  /** The outcome of the lookup under way, or of this one. */
  wait(key: string, lookup: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const outcome = Deferred.unsafeMake<A, E>(FiberId.none)
      return Effect.acquireUseRelease(
        Effect.suspend(() => {
          const { begin, leave } = this.join(key, () => lookup, (exit) => Deferred.unsafeDone(outcome, exit))
          return begin === undefined ? Effect.succeed(leave) : Effect.as(begin, leave)
        }),
        () => Deferred.await(outcome),
        (leave) => leaveAll([leave])
      )
    })
  }

  private leave(key: string, flight: Flight<A, E>, settled: Settled<A, E>): Fiber.RuntimeFiber<A, E> | undefined {
    if (!flight.waiters.delete(settled) || flight.waiters.size > 0) return undefined
    // Whoever asks from now on begins another.
    this.forget(key, flight)
    return flight.fiber
  }

  private forget(key: string, flight: Flight<A, E>): void {
    if (this.underWay.get(key) === flight) this.underWay.delete(key)
  }
}
