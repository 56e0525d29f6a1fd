/** Effects side by side: what of effect's own waits for ever, and what stands in its place. */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Either, Exit, Fiber, TestClock } from "effect"
import { allOf, firstOf, within } from "../src/internal/sideBySide.js"
import { interruptAtEveryStep } from "./support/steps.js"

/** Runs a program and says when it ended, by the clock it ran on. */
const timed = <A, E>(program: Effect.Effect<A, E>, ended: (at: number) => void) =>
  Effect.ensuring(program, Effect.map(Clock.currentTimeMillis, ended))

/** A sleep that tells how it goes. */
const sleeper = (millis: number, running: Set<number>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => running.add(millis)),
    () => Effect.as(Effect.sleep(millis), millis),
    () => Effect.sync(() => running.delete(millis))
  )

describe("the first of two", () => {
  it.effect("is whichever ends first, and the other has ended when it is heard of", () =>
    Effect.gen(function*() {
      const running = new Set<number>()
      const race = firstOf(sleeper(20, running), sleeper(10, running))
      const fiber = yield* Effect.fork(Effect.map(race, (winner) => [winner, running.size]))
      yield* TestClock.adjust(10)
      expect(yield* Fiber.join(fiber)).toEqual([10, 0])
    }))

  it.effect("may be a failure or a defect", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(firstOf(Effect.never, Effect.fail("refused")))).toBe("refused")
      const died = yield* Effect.exit(firstOf(Effect.die("a bug"), Effect.never))
      expect(Exit.isFailure(died) && died.cause._tag).toBe("Die")
    }))

  it.effect("waits for the cleanup of the other", () =>
    Effect.gen(function*() {
      const slow = Effect.ensuring(Effect.never, Effect.sleep(50))
      const fiber = yield* Effect.fork(firstOf(slow, Effect.sleep(10)))
      yield* TestClock.adjust(59)
      expect(fiber.unsafePoll()).toBe(null)
      yield* TestClock.adjust(1)
      yield* Fiber.join(fiber)
    }))
})

describe("an effect within a limit", () => {
  const limited = (millis: number, running: Set<number>) =>
    within(sleeper(millis, running), 20, () => Effect.succeed(0))

  const ended = (program: (running: Set<number>) => Effect.Effect<unknown>) =>
    Effect.gen(function*() {
      const running = new Set<number>()
      const start = yield* Clock.currentTimeMillis
      const fiber = yield* Effect.fork(Effect.zip(program(running), Clock.currentTimeMillis))
      yield* TestClock.adjust("1 minute")
      const [value, at] = yield* Fiber.join(fiber)
      return [value, at - start, running.size]
    })

  it.effect("is what it comes to, or at the limit what stands in for it", () =>
    Effect.gen(function*() {
      expect(yield* ended((running) => limited(10, running))).toEqual([10, 10, 0])
      expect(yield* ended((running) => limited(30, running))).toEqual([0, 20, 0])
    }))

  it.effect("is both where whoever waits cannot be interrupted", () =>
    Effect.gen(function*() {
      expect(yield* ended((running) => Effect.uninterruptible(limited(10, running)))).toEqual([10, 10, 0])
      expect(yield* ended((running) => Effect.uninterruptible(limited(30, running)))).toEqual([0, 20, 0])
    }))
})

describe("all of several", () => {
  it.effect("are done when the last is", () =>
    Effect.gen(function*() {
      const running = new Set<number>()
      const fiber = yield* Effect.fork(allOf([10, 30, 20].map((millis) => sleeper(millis, running))))
      yield* TestClock.adjust(29)
      expect([...running]).toEqual([30])
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(fiber)).toEqual([10, 30, 20])
      expect(yield* allOf<never, never, never>([])).toEqual([])
    }))

  it.effect("fail as the first that does, and the others have ended", () =>
    Effect.gen(function*() {
      const running = new Set<number>()
      const failing: Effect.Effect<number, string> = Effect.zipRight(Effect.sleep(15), Effect.fail("lost"))
      const all = allOf([sleeper(10, running), sleeper(20, running), failing])
      const fiber = yield* Effect.fork(Effect.map(Effect.either(all), (result) => [result, running.size]))
      yield* TestClock.adjust(15)
      expect(yield* Fiber.join(fiber)).toEqual([Either.left("lost"), 0])
    }))
})

describe("who waits may be interrupted at any moment", () => {
  const programs: { readonly [name: string]: (running: Set<number>) => Effect.Effect<unknown> } = {
    "the first of two": (running: Set<number>) => firstOf(sleeper(10, running), sleeper(20, running)),
    "an effect within a limit": (running: Set<number>) => within(sleeper(10, running), 20, () => Effect.void),
    "all of several": (running: Set<number>) => allOf([10, 20, 30].map((millis) => sleeper(millis, running)))
  }
  it.live.each(Object.entries(programs))(
    "%s: it ends at once, and none is left",
    ([, program]) =>
      Effect.gen(function*() {
        const ends: Array<number> = []
        const steps = yield* interruptAtEveryStep(() => {
          const running = new Set<number>()
          return {
            program: timed(program(running), (at) => ends.push(at)),
            after: (_exit, step) => Effect.sync(() => expect([...running], `step ${step}`).toEqual([]))
          }
        })
        expect(steps).toBeGreaterThan(50)
        // One that waited for a sleeper would be later than one that is interrupted after it.
        expect(ends).toEqual(ends.toSorted((a, b) => a - b))
        expect(ends.filter((at) => at === 0).length).toBeGreaterThan(25)
      })
  )
})
