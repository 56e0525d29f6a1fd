/**
 * Everything that is going to happen in one simulated network, on one clock.
 *
 * There is no fiber per timer: the events stand in one heap, and a fiber sleeps until the first of them is due. One
 * that was overtaken by an earlier event is left to sleep and finds nothing to do: interrupting it would cost more, and
 * the TestClock keeps interrupted sleeps anyway.
 *
 * Times are milliseconds on a grid of 1/64 ms (15.625 µs): every point of it is exact in a double, and a whole number
 * of nanoseconds, which TestClock's `currentTimeNanos` throws without.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import { type Due, Heap } from "./heap.js"

/** Something scheduled; {@link Agenda.cancel} takes it back. */
export interface Entry extends Due {
  run: (() => void) | undefined
}

const isScheduler = (clock: object): clock is Clock.ClockScheduler => "unsafeSchedule" in clock

const grid = 64

/** A clock that was adjusted off the grid may wake a sleeper a rounding error early. */
const tolerance = 1e-6

export class Agenda {
  private readonly events = new Heap<Entry>()
  private readonly armed: Array<number> = []
  private readonly sleepers = new Set<Fiber.RuntimeFiber<void>>()
  private readonly startedAt: number
  private order = 0
  private cancelled = 0
  private running = false
  private closed = false

  /** A clock that can wake a function: no fiber is needed to sleep. The Simulation's is one. */
  private readonly scheduler: Clock.ClockScheduler | undefined

  constructor(readonly clock: Clock.Clock, private readonly runtime: Runtime.Runtime<never>) {
    this.scheduler = isScheduler(clock) ? clock : undefined
    this.startedAt = clock.unsafeCurrentTimeMillis()
  }

  /** Milliseconds since this agenda was made. */
  get now(): number {
    return this.clock.unsafeCurrentTimeMillis() - this.startedAt
  }

  /** How many events are still to come. */
  get pending(): number {
    return this.events.size - this.cancelled
  }

  /** Run `run` after `delay` milliseconds, never before the caller is done. */
  after(delay: number, run: () => void): Entry {
    return this.at(this.now + delay, run)
  }

  /** Run `run` now, but never before the caller is done. */
  soon(run: () => void): void {
    this.at(this.now, run)
  }

  at(time: number, run: () => void): Entry {
    const entry: Entry = { time: Math.ceil(time * grid) / grid, order: this.order++, run }
    if (this.closed || !Number.isFinite(time)) return entry
    this.events.add(entry)
    this.arm()
    return entry
  }

  cancel(entry: Entry | undefined): void {
    if (entry?.run === undefined) return
    entry.run = undefined
    this.cancelled += 1
  }

  /** Nothing happens any more. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closed = true
      return Fiber.interruptAll(this.sleepers)
    })
  }

  private arm(): void {
    for (let entry = this.events.first; entry !== undefined && entry.run === undefined; entry = this.events.first) {
      this.events.take()
      this.cancelled -= 1
    }
    const first = this.events.first
    const next = this.armed[this.armed.length - 1]
    // While events run, more of them may come for the same time: one look at the end is enough.
    if (first === undefined || this.running || this.closed || (next !== undefined && next <= first.time)) return
    this.armed.push(first.time)
    const delay = Math.max(0, first.time - this.now)
    if (this.scheduler !== undefined) {
      this.scheduler.unsafeSchedule(() => this.fire(first.time), Duration.millis(delay))
      return
    }
    const sleeper = Runtime.runFork(this.runtime)(
      Effect.zipRight(
        delay === 0 ? Effect.void : this.clock.sleep(Duration.millis(delay)),
        Effect.sync(() => this.fire(first.time))
      ),
      { immediate: false }
    )
    this.sleepers.add(sleeper)
    sleeper.addObserver(() => this.sleepers.delete(sleeper))
  }

  private fire(time: number): void {
    if (this.closed) return
    const index = this.armed.lastIndexOf(time)
    if (index >= 0) this.armed.splice(index, 1)
    this.running = true
    try {
      this.runDue()
    } finally {
      this.running = false
      this.arm()
    }
  }

  private runDue(): void {
    for (let entry = this.events.first; entry !== undefined; entry = this.events.first) {
      if (entry.run === undefined) {
        this.events.take()
        this.cancelled -= 1
      } else if (entry.time <= this.now + tolerance) {
        this.events.take()
        const { run } = entry
        entry.run = undefined
        run()
      } else {
        return
      }
    }
  }
}
