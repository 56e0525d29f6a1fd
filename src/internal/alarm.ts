import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { endAll } from "./endAll.js"
import type { Timers } from "./timers.js"

/** Something that rings once at its time, unless it is stopped before. */
export interface Alarm {
  /** Whether `cancel` is all there is to stopping it; else it is a fiber, whose end `stop` waits for. */
  readonly stopsAtOnce: boolean
  readonly cancel: () => void
  readonly stop: Effect.Effect<void>
}

/**
 * Ring after a time; never before this is done. One that was stopped may still ring if it was due in the very step in
 * which it was stopped, so whoever sets it has to know whether it matters any more.
 */
export const setAlarm = (
  timers: Timers | undefined,
  duration: Duration.DurationInput,
  ring: () => void
): Effect.Effect<Alarm> => Effect.clockWith((clock) => setAlarmBy(clock, timers, duration, ring))

/** {@link setAlarm} by a clock that is known. */
export const setAlarmBy = (
  clock: Clock.Clock,
  timers: Timers | undefined,
  duration: Duration.DurationInput,
  ring: () => void
): Effect.Effect<Alarm> => {
  // Time that is not the timers' own (a test's clock, provided around one dial) is slept by a fiber.
  if (clock !== timers?.clock || timers.closed) return fiberAlarm(Effect.sleep(duration), ring)
  const cancel = timers.after(Duration.toMillis(duration), ring)
  return Effect.succeed({ stopsAtOnce: true, cancel, stop: Effect.sync(cancel) })
}

/** Ring when something is over that a fiber of its own waits for. */
export const fiberAlarm = (wait: Effect.Effect<unknown>, ring: () => void): Effect.Effect<Alarm> =>
  Effect.map(Effect.forkDaemon(Effect.interruptible(wait)), (fiber) => {
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit)) ring()
    })
    return { stopsAtOnce: false, cancel: () => {}, stop: endAll([fiber]) }
  })
