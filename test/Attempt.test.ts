import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, FastCheck as fc, Fiber, Option, Scope, TestClock } from "effect"
import * as Attempt from "../src/Attempt.js"
import type { AttemptError } from "../src/DialError.js"
import * as SocketOptions from "../src/SocketOptions.js"
import type { OpenRequest } from "../src/Transport.js"
import { at } from "./support/addresses.js"
import * as FakeTransport from "./support/FakeTransport.js"
import { interruptAtEveryStep } from "./support/steps.js"

const address = "192.0.2.1:80"

const request: OpenRequest = { socketType: "stream", address: at(address), options: SocketOptions.defaults }

const cleanedUp = ["open", "connect", "stopReadingAndWriting", "close orderly", "release"]

/** One attempt on one scenario in a Scope of its own, with what its end found: the moment and the log until then. */
const attempt = (scenario: FakeTransport.Scenario, timeout?: Duration.DurationInput) =>
  Effect.gen(function*() {
    const transport = FakeTransport.make({ [address]: scenario })
    const scope = yield* Scope.make()
    const told = { times: 0, at: -1, log: [] as ReadonlyArray<string> }
    const fiber = yield* Attempt.connect(request, { timeout }).pipe(
      Scope.extend(scope),
      Effect.provide(transport.layer),
      Effect.onExit(() =>
        Effect.map(TestClock.currentTimeMillis, (now) => {
          told.times += 1
          told.at = now
          told.log = [...(transport.sockets[0]?.operations ?? [])]
        })
      ),
      Effect.fork
    )
    return { transport, scope, told, fiber }
  })

describe("the outcome of one attempt", () => {
  it.effect("is a connection that stays open until its scope closes", () =>
    Effect.gen(function*() {
      const { fiber, scope, told, transport } = yield* attempt({ delay: "40 millis", outcome: "connected" }, "1 second")
      yield* TestClock.adjust("1 hour")
      const connection = yield* Fiber.join(fiber)
      expect(told.at).toBe(40)
      expect(String(connection.remoteAddress)).toBe(address)
      expect(transport.sockets[0]?.operations).toEqual(["open", "connect", "connected"])
      yield* Scope.close(scope, Exit.void)
      expect(transport.sockets[0]?.operations).toEqual(["open", "connect", "connected", "close orderly", "release"])
      expect(transport.open()).toBe(0)
    }))

  it.effect("is the transport's error, told after the socket is gone", () =>
    Effect.gen(function*() {
      const { fiber, told, transport } = yield* attempt({ delay: "40 millis", outcome: "Refused" }, "1 second")
      yield* TestClock.adjust("1 hour")
      const error = yield* Effect.flip(Fiber.join(fiber))
      expect(error.reason).toBe("Refused")
      expect(told).toEqual({ times: 1, at: 40, log: cleanedUp })
      expect(transport.open()).toBe(0)
    }))

  it.effect("is AttemptTimeout when its own limit passes first, told after the socket is gone", () =>
    Effect.gen(function*() {
      const { fiber, told, transport } = yield* attempt({ outcome: "never" }, "1 second")
      yield* TestClock.adjust("999 millis")
      expect(transport.open()).toBe(1)
      yield* TestClock.adjust("1 millis")
      const error = yield* Effect.flip(Fiber.join(fiber))
      expect(error).toMatchObject({ reason: "AttemptTimeout", operation: "connect", address: request.address })
      expect(told).toEqual({ times: 1, at: 1000, log: cleanedUp })
      expect(transport.open()).toBe(0)
    }))

  it.effect("is the interruption when it is stopped, told after the socket is gone", () =>
    Effect.gen(function*() {
      const { fiber, told, transport } = yield* attempt({ outcome: "never" })
      yield* TestClock.adjust("70 millis")
      const exit = yield* Fiber.interrupt(fiber)
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(told).toEqual({ times: 1, at: 70, log: cleanedUp })
      expect(transport.open()).toBe(0)
    }))

  it.effect("without a limit waits as long as the transport does", () =>
    Effect.gen(function*() {
      const { fiber, transport } = yield* attempt({ delay: "2 hours", outcome: "TimedOut" })
      yield* TestClock.adjust("119 minutes")
      expect(transport.open()).toBe(1)
      yield* TestClock.adjust("1 minute")
      expect((yield* Effect.flip(Fiber.join(fiber))).reason).toBe("TimedOut")
    }))

  it.effect("is the defect of a transport that has a bug, and the socket is gone all the same", () =>
    Effect.gen(function*() {
      const { fiber, told, transport } = yield* attempt({ outcome: "throws" })
      const exit = yield* Fiber.await(fiber)
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      expect(told.log).toEqual(cleanedUp)
      expect(transport.open()).toBe(0)
    }))
})

// ---------------------------------------------------------------------------------------------------------------------
// the model
// ---------------------------------------------------------------------------------------------------------------------

type Outcome = "connected" | "Refused" | "AttemptTimeout" | "interrupted"

interface Causes {
  readonly socket: { readonly outcome: "connected" | "Refused" | "never"; readonly at: number }
  readonly limit: number | undefined
  /** Another fiber stops it. */
  readonly stop: number | undefined
  /** The fiber that waits for it is interrupted itself. */
  readonly interrupt: number | undefined
}

const moment = fc.integer({ min: 0, max: 5 }).map((tenth) => tenth * 10)

const causes: fc.Arbitrary<Causes> = fc.record({
  socket: fc.record({ outcome: fc.constantFrom("connected", "Refused", "never"), at: moment }),
  limit: fc.option(moment.filter((at) => at > 0), { nil: undefined }),
  stop: fc.option(moment, { nil: undefined }),
  interrupt: fc.option(moment, { nil: undefined })
})

/** The causes at the earliest moment; at a tie any of them may have been first. */
const firstCauses = ({ interrupt, limit, socket, stop }: Causes): ReadonlyArray<Outcome> => {
  const all: ReadonlyArray<readonly [Outcome, number | undefined]> = [
    [socket.outcome === "never" ? "connected" : socket.outcome, socket.outcome === "never" ? undefined : socket.at],
    ["AttemptTimeout", limit],
    ["interrupted", stop],
    ["interrupted", interrupt]
  ]
  const first = Math.min(...all.map(([, at]) => at ?? Infinity))
  return first === Infinity ? [] : all.filter(([, at]) => at === first).map(([outcome]) => outcome)
}

const outcomeOf = (exit: Exit.Exit<unknown, AttemptError>): Outcome | undefined =>
  Exit.match(exit, {
    onSuccess: () => "connected",
    onFailure: (cause) =>
      Option.match(Cause.failureOption(cause), {
        onNone: () => Cause.isInterruptedOnly(cause) ? "interrupted" : undefined,
        onSome: ({ reason }) => reason === "Refused" || reason === "AttemptTimeout" ? reason : undefined
      })
  })

describe("whatever mix of success, error, timeout, stop and interruption arrives", () => {
  it.effect.prop(
    "there is one outcome, the first cause wins, and what does not connect is cleaned up in order, once, before anyone hears",
    [causes],
    ([causes]) =>
      Effect.gen(function*() {
        const expected = firstCauses(causes)
        const { outcome, at } = causes.socket
        const { fiber, scope, told, transport } = yield* attempt({ outcome, delay: at }, causes.limit)
        const notified = yield* Deferred.make<void>()
        const waiting = yield* Fiber.join(fiber).pipe(
          Effect.onExit(() => Deferred.succeed(notified, undefined)),
          Effect.onInterrupt(() => Fiber.interrupt(fiber)),
          Effect.fork
        )
        for (const [when, target] of [[causes.stop, fiber], [causes.interrupt, waiting]] as const) {
          if (when !== undefined) yield* Effect.fork(Effect.delay(Fiber.interrupt(target), when))
        }
        yield* TestClock.adjust("1 minute")
        const operations = transport.sockets[0]?.operations ?? []
        if (expected.length === 0) {
          expect(told.times).toBe(0)
          expect(operations).toEqual(["open", "connect"])
          yield* Fiber.interrupt(fiber)
        } else {
          const exit = yield* Fiber.await(fiber)
          const settled = outcomeOf(exit)
          expect(told.times).toBe(1)
          expect(expected).toContain(settled)
          if (settled === "connected") {
            expect(operations).toEqual(["open", "connect", "connected"])
          } else {
            // A tie may have let the connect finish first, and the other cause overtake it on the way out.
            const cleanup = operations.filter((operation) => operation !== "connect" && operation !== "connected")
            expect(cleanup).toEqual(["open", "stopReadingAndWriting", "close orderly", "release"])
            expect(told.log).toEqual(operations)
          }
        }
        yield* Scope.close(scope, Exit.void)
        expect(transport.open()).toBe(0)
        expect(operations.filter((operation) => operation === "release").length).toBe(1)
      }),
    { fastCheck: { numRuns: 150 } }
  )

  it.effect("an interruption at any step leaves no socket once its scope closes, and none that did not connect", () =>
    Effect.gen(function*() {
      const runs = yield* interruptAtEveryStep(() => {
        const transport = FakeTransport.make({ [address]: { delay: "40 millis", outcome: "connected" } })
        const scope = Effect.runSync(Scope.make())
        return {
          program: Attempt.connect(request, { timeout: "1 second" }).pipe(
            Scope.extend(scope),
            Effect.provide(transport.layer)
          ),
          after: (exit, step) =>
            Effect.gen(function*() {
              const [socket] = transport.sockets
              if (Exit.isSuccess(exit)) {
                expect(socket?.operations, `step ${step}`).toEqual(["open", "connect", "connected"])
              } else if (transport.open() > 0) {
                // Interrupted on its way out: the connection was made, and its scope has it.
                expect(socket?.operations, `step ${step}`).toEqual(["open", "connect", "connected"])
              }
              yield* Scope.close(scope, exit)
              expect(transport.open(), `step ${step}`).toBe(0)
              if (socket !== undefined) {
                expect(socket.operations.filter((operation) => operation.startsWith("close")).length, `step ${step}`)
                  .toBe(1)
                expect(socket.operations.at(-1), `step ${step}`).toBe("release")
              }
            })
        }
      })
      expect(runs).toBeGreaterThan(50)
    }))
})
