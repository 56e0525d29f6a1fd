import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Either, Exit, Fiber, Layer, Queue, Scope, Stream, TestClock } from "effect"
import * as net from "node:net"
import * as Connector from "../src/Connector.js"
import * as Dialer from "../src/Dialer.js"
import { AllAttemptsFailed, ConnectStopped, InvalidEndpoint } from "../src/DialError.js"
import * as Endpoint from "../src/Endpoint.js"
import * as NodeNetwork from "../src/node/NodeNetwork.js"
import * as Resolver from "../src/Resolver.js"
import * as FakeTransport from "./support/FakeTransport.js"
import { interruptAtEveryStep } from "./support/steps.js"

const address = "192.0.2.1:80"

/** A connector in a Scope of its own for one address that behaves like this. */
const connectorOn = (scenario: FakeTransport.Scenario) =>
  Effect.gen(function*() {
    const transport = FakeTransport.make({ [address]: scenario })
    const scope = yield* Scope.make()
    const connector = yield* Connector.make(address).pipe(
      Scope.extend(scope),
      Effect.provide(Dialer.layer),
      Effect.provide(Layer.merge(Resolver.layerStatic({}), transport.layer))
    )
    return { connector, scope, transport }
  })

const good: FakeTransport.Scenario = { delay: "40 millis", outcome: "connected" }

const silent: FakeTransport.Scenario = { outcome: "never" }

const tags = (states: Iterable<Connector.State>) => Array.from(states, ({ _tag }) => _tag)

const connected = (scenario: FakeTransport.Scenario = good) =>
  Effect.gen(function*() {
    const made = yield* connectorOn(scenario)
    const connecting = yield* Effect.fork(made.connector.connect)
    yield* TestClock.adjust("40 millis")
    const connection = yield* Fiber.join(connecting)
    return { ...made, connection }
  })

const connecting = Effect.gen(function*() {
  const made = yield* connectorOn(silent)
  const waiting = yield* Effect.fork(Effect.either(made.connector.connect))
  yield* TestClock.adjust("10 millis")
  return { ...made, waiting }
})

describe("a connector", () => {
  it.effect("begins disconnected, with no reason and nothing open", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connectorOn(good)
      expect(yield* connector.state).toEqual({ _tag: "Disconnected", because: undefined })
      expect(Endpoint.format(connector.destination)).toBe(`tcp://${address}`)
      expect(transport.log).toEqual([])
    }))

  it.effect("is not made for text that is no endpoint", () =>
    Effect.gen(function*() {
      const error = yield* Connector.make("nonsense:port").pipe(
        Effect.scoped,
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(Resolver.layerStatic({}), FakeTransport.make({}).layer)),
        Effect.flip
      )
      expect(error).toBeInstanceOf(InvalidEndpoint)
    }))

  it.effect("goes from Disconnected through Connecting to Connected and back, and tells each once", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connectorOn(good)
      const changes = yield* Effect.fork(Stream.runCollect(Stream.take(connector.changes, 4)))
      yield* Effect.yieldNow()
      const waiting = yield* Effect.fork(connector.connect)
      yield* TestClock.adjust("39 millis")
      expect((yield* connector.state)._tag).toBe("Connecting")
      yield* TestClock.adjust("1 millis")
      const connection = yield* Fiber.join(waiting)
      expect(yield* connector.state).toEqual({ _tag: "Connected", connection })
      yield* connector.disconnect
      const states = yield* Fiber.join(changes)
      expect(tags(states)).toEqual(["Disconnected", "Connecting", "Connected", "Disconnected"])
      expect(Chunk.unsafeLast(states)).toMatchObject({ because: { _tag: "ConnectionLost", reason: "End" } })
      expect(transport.open()).toBe(0)
    }))

  it.effect("tells a later subscriber the state it stands in first", () =>
    Effect.gen(function*() {
      const { connection, connector } = yield* connected()
      expect(yield* Stream.runHead(connector.changes)).toMatchObject({ value: { _tag: "Connected", connection } })
      yield* connector.disconnect
    }))

  it.effect("keeps its connection beyond the fiber and the scope that asked for it", () =>
    Effect.gen(function*() {
      const { connector, scope, transport } = yield* connectorOn(good)
      const waiting = yield* Effect.fork(Effect.scoped(connector.connect))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(waiting)
      expect((yield* connector.state)._tag).toBe("Connected")
      expect(transport.open()).toBe(1)
      yield* Scope.close(scope, Exit.void)
      expect(transport.open()).toBe(0)
    }))
})

describe("a dial that fails", () => {
  it.effect("fails the connect and is why the connector is disconnected, and it can connect again", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connectorOn({ delay: "40 millis", outcome: "Refused" })
      for (const attempt of [1, 2]) {
        const waiting = yield* Effect.fork(Effect.flip(connector.connect))
        yield* TestClock.adjust("40 millis")
        const error = yield* Fiber.join(waiting)
        expect(error).toBeInstanceOf(AllAttemptsFailed)
        expect(yield* connector.state).toEqual({ _tag: "Disconnected", because: error })
        expect(transport.sockets.length).toBe(attempt)
        expect(transport.open()).toBe(0)
      }
    }))

  it.effect("because of a defect is that defect to who waits, and leaves the connector disconnected", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const connector = yield* Connector.make("unlisted.example:80").pipe(
        Scope.extend(scope),
        Effect.provide(Dialer.layer),
        Effect.provide(Layer.merge(
          Layer.succeed(Resolver.Resolver, { resolve: () => Stream.dieMessage("a broken resolver") }),
          FakeTransport.make({}).layer
        ))
      )
      const exit = yield* Effect.exit(connector.connect)
      expect(Exit.isFailure(exit) && exit.cause._tag).toBe("Die")
      expect((yield* connector.state)._tag).toBe("Disconnected")
    }))
})

describe("a call the state does not allow", () => {
  it.effect("connect while connecting is WrongState, and the first connect goes on", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connectorOn(good)
      const first = yield* Effect.fork(connector.connect)
      yield* TestClock.adjust("10 millis")
      const error = yield* Effect.flip(connector.connect)
      expect(error).toMatchObject({ _tag: "WrongState", operation: "connect", state: "Connecting" })
      expect(error.message).toBe(`connect tcp://${address}: not possible while connecting`)
      yield* TestClock.adjust("30 millis")
      yield* Fiber.join(first)
      expect(transport.sockets.length).toBe(1)
      yield* connector.disconnect
    }))

  it.effect("connect while connected is WrongState, and the connection goes on", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connected()
      expect(yield* Effect.flip(connector.connect)).toMatchObject({ operation: "connect", state: "Connected" })
      expect(transport.open()).toBe(1)
      yield* connector.disconnect
    }))

  it.effect("of two connects at once, one is WrongState", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connectorOn(good)
      const both = yield* Effect.fork(
        Effect.all([Effect.either(connector.connect), Effect.either(connector.connect)], { concurrency: 2 })
      )
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(both)).map(Either.isRight)).toEqual([true, false])
      expect(transport.sockets.length).toBe(1)
      yield* connector.disconnect
    }))

  it.effect("stopConnecting while disconnected or connected is WrongState and changes nothing", () =>
    Effect.gen(function*() {
      const idle = yield* connectorOn(good)
      expect(yield* Effect.flip(idle.connector.stopConnecting)).toMatchObject({
        operation: "stopConnecting",
        state: "Disconnected"
      })
      const { connector, transport } = yield* connected()
      expect(yield* Effect.flip(connector.stopConnecting)).toMatchObject({ state: "Connected" })
      expect((yield* connector.state)._tag).toBe("Connected")
      expect(transport.open()).toBe(1)
      yield* connector.disconnect
    }))
})

describe("stopping", () => {
  it.effect("stopConnecting gives who waits ConnectStopped, and the socket is gone when it returns", () =>
    Effect.gen(function*() {
      const { connector, transport, waiting } = yield* connecting
      expect(transport.open()).toBe(1)
      yield* connector.stopConnecting
      expect(transport.open()).toBe(0)
      expect(yield* TestClock.currentTimeMillis).toBe(10)
      const error = Either.getOrThrow(Either.flip(yield* Fiber.join(waiting)))
      expect(error).toBeInstanceOf(ConnectStopped)
      expect(error.message).toBe(`connect to tcp://${address}: stopped before it was connected`)
      expect(yield* connector.state).toEqual({ _tag: "Disconnected", because: error })
    }))

  it.effect("disconnect while connecting is stopConnecting", () =>
    Effect.gen(function*() {
      const { connector, transport, waiting } = yield* connecting
      yield* connector.disconnect
      expect(transport.open()).toBe(0)
      expect(Either.flip(yield* Fiber.join(waiting))).toMatchObject({ right: { _tag: "ConnectStopped" } })
    }))

  it.effect("disconnect while connected closes the connection, whose owner is told", () =>
    Effect.gen(function*() {
      const { connection, connector, transport } = yield* connected()
      yield* connector.disconnect
      expect(transport.open()).toBe(0)
      expect((yield* connection.lost).reason).toBe("End")
      expect(transport.sockets[0]?.operations).toEqual(["open", "connect", "connected", "close orderly", "release"])
    }))

  it.effect("disconnect while disconnected does nothing", () =>
    Effect.gen(function*() {
      const { connector } = yield* connectorOn(good)
      yield* connector.disconnect
      expect(yield* connector.state).toEqual({ _tag: "Disconnected", because: undefined })
    }))

  it.effect("disconnect twice at once is one disconnect", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connected()
      yield* Effect.all([connector.disconnect, connector.disconnect], { concurrency: 2 })
      expect((yield* connector.state)._tag).toBe("Disconnected")
      expect(transport.open()).toBe(0)
    }))

  it.effect("interrupting connect stops connecting, and the socket is gone when that returns", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connectorOn(silent)
      const waiting = yield* Effect.fork(connector.connect)
      yield* TestClock.adjust("10 millis")
      expect(transport.open()).toBe(1)
      yield* Fiber.interrupt(waiting)
      expect(transport.open()).toBe(0)
      expect(yield* connector.state).toMatchObject({ _tag: "Disconnected", because: { _tag: "ConnectStopped" } })
    }))

  it.effect("stopping in the same instant as connecting leaves the connector disconnected and nothing open", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connectorOn(good)
      const waiting = yield* Effect.fork(Effect.either(connector.connect))
      yield* Effect.repeat(Effect.yieldNow(), {
        until: () => Effect.map(connector.state, ({ _tag }) => _tag === "Connecting")
      })
      yield* connector.stopConnecting
      expect(yield* connector.state).toMatchObject({ _tag: "Disconnected", because: { _tag: "ConnectStopped" } })
      expect(Either.flip(yield* Fiber.join(waiting))).toMatchObject({ right: { _tag: "ConnectStopped" } })
      expect(transport.open()).toBe(0)
    }))

  it.effect("interrupting connect at any step leaves the connector disconnected and nothing open", () =>
    Effect.gen(function*() {
      const steps = yield* interruptAtEveryStep(() => {
        const { connector, transport } = Effect.runSync(connectorOn(good))
        return {
          program: connector.connect,
          after: (exit, step) =>
            Effect.gen(function*() {
              const state = yield* connector.state
              if (Exit.isSuccess(exit)) {
                expect(state._tag, `step ${step}`).toBe("Connected")
              } else {
                // Interrupted as it returned the connection, it has it: the connector owns it either way.
                expect(transport.open(), `step ${step}`).toBe(state._tag === "Connected" ? 1 : 0)
                expect(state._tag, `step ${step}`).not.toBe("Connecting")
              }
              yield* connector.disconnect
              expect((yield* connector.state)._tag, `step ${step}`).toBe("Disconnected")
              expect(transport.open(), `step ${step}`).toBe(0)
            })
        }
      })
      expect(steps).toBeGreaterThan(200)
    }))

  it.effect("a connector can connect again after it was stopped", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connectorOn(good)
      const first = yield* Effect.fork(Effect.either(connector.connect))
      yield* TestClock.adjust("10 millis")
      yield* connector.stopConnecting
      yield* Fiber.join(first)
      const second = yield* Effect.fork(connector.connect)
      yield* TestClock.adjust("40 millis")
      yield* Fiber.join(second)
      expect(transport.open()).toBe(1)
      yield* connector.disconnect
    }))
})

describe("the connector's scope", () => {
  it.effect("closing while connecting stops it: who waits gets ConnectStopped and no socket is left", () =>
    Effect.gen(function*() {
      const { connector, scope, transport, waiting } = yield* connecting
      yield* Scope.close(scope, Exit.void)
      expect(transport.open()).toBe(0)
      expect(Either.flip(yield* Fiber.join(waiting))).toMatchObject({ right: { _tag: "ConnectStopped" } })
      expect((yield* connector.state)._tag).toBe("Disconnected")
    }))

  it.effect("closing while connected closes the connection", () =>
    Effect.gen(function*() {
      const { connection, connector, scope, transport } = yield* connected()
      yield* Scope.close(scope, Exit.void)
      expect(transport.open()).toBe(0)
      expect((yield* connection.lost).reason).toBe("End")
      expect((yield* connector.state)._tag).toBe("Disconnected")
    }))

  it.effect("once closed, a connect opens nothing that stays", () =>
    Effect.gen(function*() {
      const { connector, scope, transport } = yield* connectorOn(good)
      yield* Scope.close(scope, Exit.void)
      const waiting = yield* Effect.fork(Effect.either(connector.connect))
      yield* TestClock.adjust("1 hour")
      expect(Either.flip(yield* Fiber.join(waiting))).toMatchObject({ right: { _tag: "ConnectStopped" } })
      expect(transport.open()).toBe(0)
    }))
})

describe("a lost connection", () => {
  it.effect("is told to its owner before the connector's state says Disconnected", () =>
    Effect.gen(function*() {
      const { connection, connector, transport } = yield* connected()
      const told = yield* Queue.unbounded<string>()
      yield* Effect.fork(Effect.flatMap(connection.lost, ({ reason }) => told.offer(`owner: ${reason}`)))
      yield* Effect.fork(Stream.runForEach(connector.changes, (state) => told.offer(`connector: ${state._tag}`)))
      yield* TestClock.adjust("1 second")
      yield* transport.sockets[0]?.lose("Reset") ?? Effect.void
      yield* TestClock.adjust("1 second")
      expect([...yield* told.takeAll]).toEqual(["connector: Connected", "owner: Reset", "connector: Disconnected"])
      expect(yield* connector.state).toMatchObject({ because: { _tag: "ConnectionLost", reason: "Reset" } })
      expect(transport.open()).toBe(0)
    }))

  it.effect("finds the connector still Connected when its owner is told, by the loss or by a read", () =>
    Effect.gen(function*() {
      for (const told of ["lost", "read"] as const) {
        const { connection, connector, transport } = yield* connected()
        const owner = yield* Effect.fork(
          Effect.zipRight(Effect.exit<unknown, unknown, never>(connection[told]), connector.state)
        )
        yield* TestClock.adjust("1 second")
        yield* transport.sockets[0]?.lose("Reset") ?? Effect.void
        expect((yield* Fiber.join(owner))._tag).toBe("Connected")
        yield* TestClock.adjust("1 second")
        expect((yield* connector.state)._tag).toBe("Disconnected")
      }
    }))

  it.effect("can be replaced from inside the notification that tells of it", () =>
    Effect.gen(function*() {
      const { connector, transport } = yield* connectorOn(good)
      const told = yield* Queue.unbounded<string>()
      yield* connector.changes.pipe(
        Stream.runForEach((state) =>
          Effect.zipRight(
            told.offer(state._tag),
            state._tag === "Disconnected" ? Effect.ignore(connector.connect) : Effect.void
          )
        ),
        Effect.fork
      )
      for (const connections of [1, 2, 3]) {
        yield* TestClock.adjust("40 millis")
        expect((yield* connector.state)._tag).toBe("Connected")
        expect(transport.sockets.length).toBe(connections)
        expect(transport.open()).toBe(1)
        yield* transport.sockets.at(-1)?.lose("Reset") ?? Effect.void
      }
      yield* TestClock.adjust("40 millis")
      yield* connector.disconnect
      yield* TestClock.adjust("10 millis")
      expect([...yield* told.takeAll].slice(0, 7)).toEqual([
        "Disconnected",
        "Connecting",
        "Connected",
        "Disconnected",
        "Connecting",
        "Connected",
        "Disconnected"
      ])
    }))

  it.effect("can be replaced by the owner as soon as the connector is disconnected", () =>
    Effect.gen(function*() {
      const { connection, connector, transport } = yield* connected()
      const owner = yield* connection.lost.pipe(
        Effect.zipRight(Stream.runDrain(Stream.takeUntil(connector.changes, ({ _tag }) => _tag === "Disconnected"))),
        Effect.zipRight(connector.connect),
        Effect.fork
      )
      yield* TestClock.adjust("1 second")
      yield* transport.sockets[0]?.lose("End") ?? Effect.void
      yield* TestClock.adjust("40 millis")
      yield* Fiber.join(owner)
      expect(transport.sockets.map(({ isOpen }) => isOpen)).toEqual([false, true])
      yield* connector.disconnect
    }))

  it.effect("can be replaced by whoever hears of the loss, at once", () =>
    Effect.gen(function*() {
      const { connection, connector, transport } = yield* connected()
      const owner = yield* Effect.fork(Effect.zipRight(connection.lost, connector.connect))
      yield* TestClock.adjust("1 second")
      yield* transport.sockets[0]?.lose("Reset") ?? Effect.void
      yield* TestClock.adjust("40 millis")
      yield* Fiber.join(owner)
      expect(transport.sockets.map(({ isOpen }) => isOpen)).toEqual([false, true])
      yield* connector.disconnect
    }))

  it.live("told by a read of a real socket can be replaced once the state is Disconnected, and not before", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.async<net.Server>((resume) => {
          const server = net.createServer((socket) => socket.end("bye"))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const connector = yield* Connector.make(`127.0.0.1:${(server.address() as net.AddressInfo).port}`)
      const said: Array<string> = []
      for (const _ of [1, 2, 3]) {
        const connection = yield* connector.connect
        said.push(yield* Stream.mkString(Stream.decodeText(connection.stream)))
        yield* connection.end
        expect((yield* Effect.flip(connector.connect))._tag).toBe("WrongState")
        yield* Stream.runHead(Stream.filter(connector.changes, ({ _tag }) => _tag === "Disconnected"))
      }
      expect(said).toEqual(["bye", "bye", "bye"])
    })).pipe(Effect.provide(NodeNetwork.layer)))
})
