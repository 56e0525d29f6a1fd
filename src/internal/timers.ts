import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { endAll } from "./endAll.js"
import { Inbox } from "./inbox.js"

/**
 * Something to ring at a time, in milliseconds of {@link Timers}' own clock; or the end of the ring of them that a list
 * is. Links and not a Set: a Set in which entries come and go is rebuilt again and again, and its old tables, once they
 * are in V8's old generation, keep what was in them until the next major collection, which was 10 KiB a dial.
 */
class Entry {
  before: Entry = this
  after: Entry = this

  constructor(readonly at: number, public ring: (() => void) | undefined) {}

  /** Put it at the end of a list. */
  join(list: Entry): void {
    this.before = list.before
    this.after = list
    this.before.after = this
    list.before = this
  }

  /** Take it out of its list, if it is in one. */
  leave(): void {
    this.before.after = this.after
    this.after.before = this.before
    this.before = this.after = this
    this.ring = undefined
  }
}

/**
 * How long the sleeper may outlive the last entry. It sleeps in slices of this, so that a process that is done is held
 * by a timer for at most so long when nobody closes the Scope, and a dial a moment later finds it running.
 */
const slice = 1000

/**
 * Who wakes later than this, in milliseconds, was kept from it by the program: so was whoever reads sockets, and what an
 * entry waits for may have come. It gets one turn of the event loop before the entry rings, or a busy process would
 * start attempts beside connections it has already, and take for silent whom it has not listened to.
 */
const tolerated = 5

/**
 * Until sockets have been read. Node reads them between its timers and its immediates, so between two immediates it has,
 * wherever in its turn it is; two timers may both be before that, when whoever is due between them takes long.
 */
const turn: Effect.Effect<void> = typeof globalThis.setImmediate === "undefined" ? Effect.sleep(0) : Effect.async(
  (resume) => {
    const pending = {
      immediate: globalThis.setImmediate(() => {
        pending.immediate = globalThis.setImmediate(() => resume(Effect.void))
      })
    }
    return Effect.sync(() => globalThis.clearImmediate(pending.immediate))
  }
)

/**
 * Many deadlines, one sleeping fiber. A fiber of its own for each deadline that is almost never reached costs 25
 * microseconds of CPU a dial, a quarter of a dial on loopback, and 85 when ten thousand are under way.
 *
 * Entries of equal duration ring in the order in which they were made, so each duration has a list whose head is its
 * next. The Scope ends the fiber, or lets it end once the entries that are left have rung: a dial may outlive the layer
 * of its Dialer, and keeps its deadline. {@link closed} timers take no more.
 */
export class Timers {
  private readonly lists = new Map<number, Entry>()
  private readonly inbox = new Inbox<void>()
  /** Until when the fiber is not interested in new entries: the time it will wake by itself. */
  private wakesAt = Infinity

  closed = false

  private constructor(readonly clock: Clock.Clock) {}

  static readonly make: Effect.Effect<Timers, never, Scope.Scope> = Effect.clockWith((clock) => {
    const timers = new Timers(clock)
    const fiber = Effect.forkDaemon(Effect.interruptible(timers.run()))
    return Effect.as(Effect.acquireRelease(fiber, (fiber) => timers.close(fiber)), timers)
  })

  private close(fiber: Fiber.RuntimeFiber<void>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closed = true
      const idle = [...this.lists.values()].every((list) => list.after === list)
      return idle ? endAll([fiber]) : Effect.void
    })
  }

  /** Ring after a time, in milliseconds. The result, run before that, makes it never ring. */
  after(millis: number, ring: () => void): () => void {
    const entry = new Entry(this.now() + millis, ring)
    entry.join(this.listOf(millis))
    if (entry.at < this.wakesAt) {
      this.wakesAt = entry.at
      this.inbox.post()
    }
    return () => entry.leave()
  }

  private listOf(millis: number): Entry {
    const known = this.lists.get(millis)
    if (known !== undefined) return known
    const list = new Entry(Infinity, undefined)
    this.lists.set(millis, list)
    return list
  }

  /** Ring what is due, then sleep until more is, or until an earlier entry is made. */
  private run(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const now = this.now()
      const ring = Effect.suspend(() => {
        const nearest = this.ringDue(now)
        if (nearest === undefined && this.closed) return Effect.void
        return Effect.zipRight(nearest === undefined ? this.wait : this.sleepUntil(nearest), this.run())
      })
      if (!this.isLate(now)) return ring
      // What becomes due meanwhile has a turn of its own.
      this.wakesAt = -Infinity
      return Effect.zipRight(turn, ring)
    })
  }

  private isLate(now: number): boolean {
    return [...this.lists.values()].some((list) => list.after.at < now - tolerated)
  }

  private get wait(): Effect.Effect<void> {
    this.wakesAt = Infinity
    return this.inbox.take
  }

  private sleepUntil(nearest: number): Effect.Effect<void> {
    const now = this.now()
    const sleep = Math.max(0, Math.min(nearest - now, slice))
    this.wakesAt = now + sleep
    return Effect.acquireUseRelease(
      Effect.forkDaemon(
        Effect.interruptible(Effect.zipRight(Effect.sleep(sleep), Effect.sync(() => this.inbox.post())))
      ),
      () => this.inbox.take,
      (sleeper) => endAll([sleeper])
    )
  }

  /** The time of the next, if there is one. */
  private ringDue(now: number): number | undefined {
    const due: Array<{ readonly at: number; readonly ring: () => void }> = []
    const heads = [...this.lists].flatMap(([millis, list]) => {
      while (list.after.at <= now) {
        const { at, ring } = list.after
        list.after.leave()
        if (ring !== undefined) due.push({ at, ring })
      }
      if (list.after !== list) return [list.after.at]
      this.lists.delete(millis)
      return []
    })
    due.toSorted((self, that) => self.at - that.at).forEach(({ ring }) => ring())
    return heads.length === 0 ? undefined : Math.min(...heads)
  }

  private now(): number {
    return Number(this.clock.unsafeCurrentTimeNanos()) / 1e6
  }
}
