import * as Effect from "effect/Effect"

interface Waiter {
  resume: ((granted: Effect.Effect<void>) => void) | undefined
  granted: boolean
}

/**
 * So many at once, and the others in the order in which they came. (Effect's Semaphore wakes all who wait whenever one
 * leaves, which for 20,000 questions is seconds.)
 */
export class Permits {
  private readonly waiting: Array<Waiter> = []

  constructor(private free: number) {}

  use<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (this.free > 0) {
          this.free -= 1
          return Effect.ensuring(restore(effect), this.give)
        }
        const waiter: Waiter = { resume: undefined, granted: false }
        this.waiting.push(waiter)
        const turn = Effect.async<void>((resume) => {
          if (waiter.granted) resume(Effect.void)
          else waiter.resume = resume
        })
        return Effect.flatMap(
          Effect.onInterrupt(restore(turn), () => this.leave(waiter)),
          () => Effect.ensuring(restore(effect), this.give)
        )
      })
    )
  }

  private get give(): Effect.Effect<void> {
    return Effect.sync(() => {
      const next = this.waiting.shift()
      if (next === undefined) {
        this.free += 1
        return
      }
      next.granted = true
      next.resume?.(Effect.void)
    })
  }

  private leave(waiter: Waiter): Effect.Effect<void> {
    return Effect.suspend(() => {
      // Interrupted in the very moment of its turn, it has a permit to give back.
      if (waiter.granted) return this.give
      this.waiting.splice(this.waiting.indexOf(waiter), 1)
      return Effect.void
    })
  }
}
