/** What the seed promises its users, on a whole network: `_BaseBaseClient`, its connector and its transports. */
import { describe, expect } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, LogLevel, Option } from "effect"
import * as Connector from "../../src/Connector.js"
import * as Dialer from "../../src/Dialer.js"
import type { DialError } from "../../src/DialError.js"
import * as DialEvent from "../../src/DialEvent.js"
import { Behaviour, Fault, SimNetwork, type Topology } from "../../src/testing/index.js"
import { readAll, readings, sim, text, timed } from "./support.js"

const web = (behaviour: Behaviour.Behaviour = Behaviour.echo, extra: Topology.Topology = {}): Topology.Topology => ({
  hosts: { web: { addresses: ["10.0.0.2"], listeners: { 80: behaviour } } },
  names: { "web.test": ["10.0.0.2"] },
  defaultLink: { latency: "10 millis" },
  ...extra
})

const outcomeOf = (exit: Exit.Exit<unknown, DialError>): string =>
  Exit.match(exit, {
    onFailure: (cause) => cause._tag === "Fail" ? cause.error._tag : "Interrupted",
    onSuccess: () => "Connected"
  })

describe("failIfNotConnected: one outcome, under every mix of causes", () => {
  // The connect takes until 20 ms; the deadline and the interruption are before, at and after that.
  const moments = [0, 5, 19, 20, 21, 40]
  for (const timeout of moments) {
    for (const interruption of moments) {
      for (const fault of [undefined, Fault.refused, Fault.acceptedThenReset]) {
        sim(
          `deadline at ${timeout} ms, interruption at ${interruption} ms, ${fault?._tag ?? "a listener"}`,
          web(Behaviour.echo, { faults: fault === undefined ? [] : [Fault.on("web", fault)] }),
          () =>
            Effect.gen(function*() {
              const { accounting, trace } = yield* SimNetwork.SimNetwork
              const fiber = yield* Effect.fork(Effect.scoped(Dialer.dial("10.0.0.2:80", { timeout })))
              yield* Effect.sleep(interruption)
              const exit = yield* Fiber.interrupt(fiber)
              expect(["Connected", "Interrupted", "DialTimeout", "AllAttemptsFailed"]).toContain(outcomeOf(exit))
              expect((yield* accounting).dialed).toBe(0)
              yield* Effect.sleep("1 second")
              const events = (yield* trace).flatMap((event) => event._tag === "Dial" ? [event.event._tag] : [])
              const started = events.filter((tag) => tag === "AttemptStarted").length
              const ended = events.filter((tag) => /^Attempt(?:Failed|Stopped|Connected)$/.test(tag)).length
              expect(ended).toBe(started)
            })
        )
      }
    }
  }
})

describe("resolveAddress", () => {
  sim(
    "an answer that arrives after the stop does nothing",
    web(Behaviour.echo, {
      names: { "web.test": { inet: { answer: ["10.0.0.2"], delay: "1 second" } } }
    }),
    () =>
      Effect.gen(function*() {
        const { accounting, trace } = yield* SimNetwork.SimNetwork
        const fiber = yield* Effect.fork(Effect.scoped(Dialer.dial("web.test:80")))
        yield* Effect.sleep("500 millis")
        yield* Fiber.interrupt(fiber)
        const before = (yield* trace).length
        yield* Effect.sleep("1 minute")
        expect((yield* trace).length).toBe(before)
        expect(yield* accounting).toMatchObject({ dialed: 0, lookups: 0, pendingTimers: 0 })
      })
  )
})

describe("the connector", () => {
  sim("stopConnecting when not connecting is a typed error", web(), () =>
    Effect.gen(function*() {
      const connector = yield* Connector.make("10.0.0.2:80")
      expect(yield* Effect.flip(connector.stopConnecting)).toMatchObject({ _tag: "WrongState", state: "Disconnected" })
      yield* connector.connect
      expect(yield* Effect.flip(connector.stopConnecting)).toMatchObject({ _tag: "WrongState", state: "Connected" })
    }))

  sim(
    "disconnect while connecting stops",
    web(Behaviour.echo, { faults: [Fault.on("web", Fault.silentSyn)] }),
    () =>
      Effect.gen(function*() {
        const { accounting } = yield* SimNetwork.SimNetwork
        const connector = yield* Connector.make("10.0.0.2:80")
        const connecting = yield* Effect.fork(Effect.flip(connector.connect))
        yield* Effect.sleep("1 second")
        yield* connector.disconnect
        expect((yield* Fiber.join(connecting))._tag).toBe("ConnectStopped")
        expect((yield* accounting).dialed).toBe(0)
      })
  )

  sim(
    "disconnect while connected closes orderly: the peer reads everything and the end",
    web(),
    () =>
      Effect.gen(function*() {
        const { listen } = yield* SimNetwork.SimNetwork
        const heard: Array<string> = []
        const address = yield* listen(
          "web",
          "81",
          (connection) => Effect.map(readAll(connection), (all) => heard.push(all))
        )
        const connector = yield* Connector.make(String(address))
        const connection = yield* connector.connect
        yield* connection.write("last words")
        yield* connector.disconnect
        yield* Effect.sleep("1 second")
        expect(heard).toEqual(["last words"])
        expect((yield* connection.lost).reason).toBe("End")
      })
  )

  sim("disconnect while disconnected does nothing", web(), () =>
    Effect.gen(function*() {
      const connector = yield* Connector.make("10.0.0.2:80")
      yield* connector.disconnect
      expect(yield* connector.state).toEqual({ _tag: "Disconnected", because: undefined })
    }))

  sim(
    "a loss is told to the connection's owner before the connector",
    web(Behaviour.reset),
    () =>
      Effect.gen(function*() {
        const connector = yield* Connector.make("10.0.0.2:80")
        const connection = yield* connector.connect
        const state = yield* Effect.zipRight(connection.lost, connector.state)
        expect(state._tag).toBe("Connected")
        yield* Effect.sleep("1 second")
        expect((yield* connector.state)._tag).toBe("Disconnected")
      })
  )

  sim("connecting again after a loss works", web(), () =>
    Effect.gen(function*() {
      const { crash, restart } = yield* SimNetwork.SimNetwork
      const connector = yield* Connector.make("10.0.0.2:80")
      const first = yield* connector.connect
      yield* crash("web")
      yield* restart("web")
      yield* first.write("hello?")
      expect((yield* first.lost).reason).toBe("Reset")
      yield* Effect.sleep("1 second")
      const second = yield* connector.connect
      yield* second.write("hello")
      expect(text(Option.getOrThrow(yield* second.read))).toBe("hello")
    }))
})

describe("the transport", () => {
  sim("lose after write flushes, as far as the peer reads", web(), () =>
    Effect.gen(function*() {
      const { listen } = yield* SimNetwork.SimNetwork
      const heard: Array<number> = []
      const address = yield* listen("web", "81", (connection) =>
        Effect.delay(
          Effect.map(readAll(connection), (all) => heard.push(all.length)),
          "1 second"
        ))
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* Dialer.dial(String(address))
        yield* Effect.fork(Effect.ignore(connection.write(new Uint8Array(200_000))))
        yield* Effect.yieldNow()
      }))
      yield* Effect.sleep("10 seconds")
      expect(heard).toEqual([200_000])
    }))

  sim(
    "lose after write gives up on a peer that does not read, after its flush timeout",
    web(Behaviour.silent),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        yield* Effect.fork(Effect.ignore(connection.write(new Uint8Array(200_000))))
        yield* Effect.yieldNow()
        const [, millis] = yield* timed(connection.close())
        expect(millis).toBe(5000)
        expect((yield* connection.lost).reason).toBe("Aborted")
      })
  )

  sim("abort discards what is under way, and the reason says aborted", web(), () =>
    Effect.gen(function*() {
      const { listen } = yield* SimNetwork.SimNetwork
      const heard: Array<string> = []
      const address = yield* listen("web", "81", (connection) =>
        Effect.map(readings(connection), (all) =>
          heard.push(...all)))
      const connection = yield* Dialer.dial(String(address))
      yield* Effect.sleep("1 second")
      yield* connection.write("never arrives")
      yield* connection.abort
      expect((yield* connection.lost).reason).toBe("Aborted")
      yield* Effect.sleep("1 second")
      expect(heard).toEqual(["Reset"])
    }))

  sim("a second half-close is a no-op", web(), () =>
    Effect.gen(function*() {
      const connection = yield* Dialer.dial("10.0.0.2:80")
      yield* connection.end
      yield* connection.end
      expect(yield* readings(connection)).toEqual(["end"])
    }))

  sim("both halves closed end the connection, and it says so", web(), () =>
    Effect.gen(function*() {
      const { accounting } = yield* SimNetwork.SimNetwork
      const connection = yield* Dialer.dial("10.0.0.2:80")
      yield* connection.end
      expect(yield* readings(connection)).toEqual(["end"])
      expect((yield* connection.lost).reason).toBe("End")
      expect((yield* accounting).dialed).toBe(0)
    }))

  sim("a failure inside a user's callback never prevents cleanup", web(), () =>
    Effect.gen(function*() {
      const { accounting } = yield* SimNetwork.SimNetwork
      const throwing = () => () => {
        throw new Error("a bug of the observer")
      }
      const dialed = yield* Effect.exit(Effect.scoped(
        Logger.withMinimumLogLevel(DialEvent.observe(Dialer.dial("10.0.0.2:80"), throwing), LogLevel.None)
      ))
      expect(Exit.isSuccess(dialed)).toBe(true)
      yield* Effect.exit(Effect.scoped(Effect.zipRight(Dialer.dial("10.0.0.2:80"), Effect.die("a bug of the user"))))
      expect((yield* accounting).dialed).toBe(0)
    }))
})
