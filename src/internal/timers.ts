import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { endAll } from "./endAll.js"
import { Mailbox } from "./mailbox.js"

/** Something to ring at a time, in milliseconds of {@link Timers}' own clock. */
interface Entry {
  readonly at: number
  readonly ring: () => void
}

/**
 * How long the sleeper may outlive the last entry. It sleeps in slices of this, so that a process that is done is held
 * by a timer for at most so long when nobody closes the Scope, and a dial a moment later finds it running.
 */
const slice = 1000

/**
 * Many deadlines, one sleeping fiber. A fiber of its own for each deadline that is almost never reached costs 25
 * microseconds of CPU a dial, a quarter of a dial on loopback, and 85 when ten thousand are under way.
 *
 * Entries of equal duration ring in the order in which they were made, so each duration has a list whose head is its
 * next. The Scope ends the fiber; what has not rung by then never rings.
 */
export class Timers {
  private readonly lists = new Map<number, Set<Entry>>()
  private readonly mailbox = new Mailbox<void>()
  /** Until when the fiber is not interested in new entries: the time it will wake by itself. */
  private wakesAt = Infinity

  private constructor(readonly clock: Clock.Clock) {}

  static readonly make: Effect.Effect<Timers, never, Scope.Scope> = Effect.clockWith((clock) => {
    const timers = new Timers(clock)
    return Effect.as(Effect.forkScoped(Effect.interruptible(Effect.forever(timers.turn))), timers)
  })

  /** Ring after a time, in milliseconds. The result, run before that, makes it never ring. */
  after(millis: number, ring: () => void): () => void {
    const list = this.lists.get(millis) ?? new Set()
    if (list.size === 0) this.lists.set(millis, list)
    const entry = { at: this.now() + millis, ring }
    list.add(entry)
    if (entry.at < this.wakesAt) {
      this.wakesAt = entry.at
      this.mailbox.post()
    }
    return () => {
      list.delete(entry)
    }
  }

  /** Ring what is due, then sleep until more is, or until an earlier entry is made. */
  private readonly turn: Effect.Effect<void> = Effect.suspend(() => {
    const nearest = this.ringDue()
    if (nearest === undefined) {
      this.wakesAt = Infinity
      return this.mailbox.take
    }
    const sleep = Math.min(nearest - this.now(), slice)
    this.wakesAt = this.now() + sleep
    return Effect.acquireUseRelease(
      Effect.forkDaemon(Effect.interruptible(Effect.zipRight(Effect.sleep(sleep), Effect.sync(() => this.mailbox.post())))),
      () => this.mailbox.take,
      (sleeper) => endAll([sleeper])
    )
  })

  private ringDue(): number | undefined {
    const now = this.now()
    const due: Array<Entry> = []
    const heads = [...this.lists].flatMap(([millis, list]) => {
      for (const entry of list) {
        if (entry.at > now) return [entry.at]
        list.delete(entry)
        due.push(entry)
      }
      this.lists.delete(millis)
      return []
    })
    due.sort((self, that) => self.at - that.at).forEach((entry) => entry.ring())
    return heads.length === 0 ? undefined : Math.min(...heads)
  }

  private now(): number {
    return Number(this.clock.unsafeCurrentTimeNanos()) / 1e6
  }
}
