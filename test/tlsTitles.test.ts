/**
 * Whoever tells of a dial of `tls://host:port` calls it that, and not by the endpoint of the connection under it.
 */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, type Scope } from "effect"
import * as Connector from "../src/Connector.js"
import * as Dialer from "../src/Dialer.js"
import { pretty } from "../src/DialError.js"
import * as DialEvent from "../src/DialEvent.js"
import * as NodeTls from "../src/node/NodeTls.js"
import * as PlatformSocket from "../src/platform/PlatformSocket.js"
import { Behaviour, SimNetwork, type Topology } from "../src/testing/index.js"
import * as Tls from "../src/Tls.js"

/** Nobody listens at 81, and who listens at 80 says nothing. */
const topology: Topology.Topology = {
  hosts: { host: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.silent } } },
  names: { "db.test": ["10.0.0.2"] },
  defaultLink: { latency: "1 millis" }
}

const refusing = "tls://db.test:81"

const silent = "tls://db.test:80"

const options: Dialer.DialOptions = { timeout: "1 second" }

type Services = Dialer.Dialer | Scope.Scope | SimNetwork.SimNetwork | Tls.Tls

/** Everything with a title that somebody is told: by whom, and what. */
const tellers: { readonly [who: string]: Effect.Effect<ReadonlyArray<string>, unknown, Services> } = {
  "the error of a dial, in a line and in many": Effect.gen(function*() {
    const errors = yield* Effect.all([refusing, silent].map((to) => Effect.flip(Dialer.dial(to, options))))
    return errors.flatMap((error) => [error.message, pretty(error), JSON.stringify(error)])
  }),
  "the error of a dial without addresses": Effect.gen(function*() {
    const error = yield* Effect.flip(Dialer.dial(refusing, { addresses: [] }))
    return [error.message]
  }),
  "the error of Tls.dial, whose endpoint has no scheme": Effect.gen(function*() {
    const errors = yield* Effect.all(["db.test:80", "tcp://db.test:81"].map((to) => Effect.flip(Tls.dial(to, options))))
    return errors.map((error) => error.message)
  }),
  "an observer": Effect.gen(function*() {
    const told: Array<string> = []
    const observe: DialEvent.Observe = (endpoint) => (event) => {
      told.push(`${endpoint} ${event._tag === "DialFailed" ? event.error.message : event._tag}`)
    }
    yield* Effect.flip(DialEvent.observe(Dialer.dial(refusing, options), observe))
    return told
  }),
  "a Connector": Effect.gen(function*() {
    const connector = yield* Connector.make(silent)
    const connecting = yield* Effect.fork(Effect.flip(connector.connect))
    yield* Effect.yieldNow()
    const wrong = yield* Effect.flip(connector.connect)
    yield* connector.stopConnecting
    const stopped = yield* Fiber.join(connecting)
    return [wrong.message, stopped.message, String(connector.destination)]
  }),
  "a Socket of the platform": Effect.gen(function*() {
    const socket = yield* PlatformSocket.make(refusing)
    const error = yield* Effect.flip(socket.runRaw(() => {}))
    return [String(error.reason === "Close" ? undefined : error.cause)]
  }),
  "the trace of the simulated network": Effect.gen(function*() {
    yield* Effect.flip(Dialer.dial(refusing, options))
    const trace = yield* (yield* SimNetwork.SimNetwork).trace
    return trace.flatMap((event) =>
      event._tag === "Dial" ? [event.endpoint, ...event.event._tag === "DialFailed" ? [JSON.stringify(event)] : []] : []
    )
  })
}

const simulated = <A, E>(effect: Effect.Effect<A, E, Services>) =>
  SimNetwork.run(Effect.provide(effect, Layer.provideMerge(Tls.layer, NodeTls.layer)), topology)

for (const [who, telling] of Object.entries(tellers)) {
  it.live(`${who} calls a dial of tls://db.test by that`, () =>
    Effect.gen(function*() {
      const told = yield* simulated(telling)
      expect(told.length).toBeGreaterThan(0)
      for (const text of told) expect(text).toMatch(/tls:\/\/db\.test:8[01]/)
      expect(told.join()).not.toContain("tcp://")
    }))
}
