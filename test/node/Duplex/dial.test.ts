/**
 * What is a Duplex's own: when it dials, what its errors are, and that nothing of it is left, whenever it is given up.
 */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, ManagedRuntime, Runtime, Scope, Stream } from "effect"
import type * as net from "node:net"
import type * as Address from "../../../src/Address.js"
import * as Dialer from "../../../src/Dialer.js"
import * as DialError from "../../../src/DialError.js"
import * as Endpoint from "../../../src/Endpoint.js"
import * as Duplex from "../../../src/node/Duplex.js"
import * as NodeNetwork from "../../../src/node/NodeNetwork.js"
import * as NodeTransport from "../../../src/node/NodeTransport.js"
import * as Resolver from "../../../src/Resolver.js"
import * as Dials from "../../support/dials.js"
import * as FakeTransport from "../../support/FakeTransport.js"
import * as Loopback from "../../support/loopback.js"
import { interruptAtEveryStep } from "../../support/steps.js"

/** A test on this machine's network that leaves no socket. */
const scenario = (
  name: string,
  self: (runtime: Runtime.Runtime<Dialer.Dialer>) => Effect.Effect<void, unknown, Scope.Scope>,
  network: Layer.Layer<Dialer.Dialer> = NodeNetwork.layer
) =>
  it.live(name, () =>
    Loopback.leavesNoSocket(
      Effect.scoped(Effect.provide(Effect.flatMap(Effect.runtime<Dialer.Dialer>(), self), network))
    ))

const over = (resolver: Layer.Layer<Resolver.Resolver>): Layer.Layer<Dialer.Dialer> =>
  Layer.provide(Layer.fresh(Dialer.layer), Layer.merge(resolver, NodeTransport.layer))

/** Waits for the event and gives what it was told. */
const told = <A = void>(socket: net.Socket, event: string): Effect.Effect<A> =>
  Loopback.within(
    event,
    Effect.async<A>((resume) => {
      const listener = (value: A) => resume(Effect.succeed(value))
      socket.once(event, listener)
      return Effect.sync(() => socket.off(event, listener))
    })
  )

const handshakes = (address: Address.SocketAddress): number =>
  Loopback.tcpRows(Loopback.portNumber(address)).filter(({ state }) => state === "SYN_SENT").length

const ignore = (): void => {}

describe("a stream that nobody uses", () => {
  scenario("dials nobody, whoever listens for its end", (runtime) =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen()
      const socket = Duplex.lazy(runtime, Endpoint.fromSocketAddress(listener.address))
      socket.on("error", ignore).on("close", ignore).on("end", ignore).setNoDelay().setTimeout(60_000)
      yield* Loopback.turns(50)
      expect([socket.connecting, socket.readyState, listener.accepted()]).toEqual([true, "opening", 0])
      socket.destroy()
      yield* told(socket, "close")
      expect(listener.accepted()).toBe(0)
    }))

  scenario("ends and closes without a dial", (runtime) =>
    Effect.gen(function*() {
      const socket = Duplex.lazy(runtime, "unix:/nonexistent/nobody.sock")
      socket.end()
      yield* told(socket, "close")
    }))

  const wants: { readonly [want: string]: (socket: net.Socket) => unknown } = {
    "connect, whatever it is asked to connect to": (socket) => socket.connect(1, "db.invalid"),
    "connect with a path": (socket) => socket.connect("/nonexistent"),
    "a write": (socket) => socket.write("x"),
    "an end with bytes": (socket) => socket.end("x"),
    "a listener for data": (socket) => socket.on("data", ignore),
    "a listener for readable": (socket) => socket.on("readable", ignore),
    "a listener for connect": (socket) => socket.on("connect", ignore),
    "one for once connect": (socket) => socket.once("connect", ignore),
    "one for ready": (socket) => socket.addListener("ready", ignore),
    "a resume": (socket) => socket.resume(),
    "a pipe": (socket) => socket.pipe(socket)
  }

  for (const [want, wanting] of Object.entries(wants)) {
    scenario(`dials with ${want}`, (runtime) =>
      Effect.gen(function*() {
        const listener = yield* Loopback.listen()
        const socket = Duplex.lazy(runtime, Endpoint.fromSocketAddress(listener.address))
        yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
        wanting(socket)
        yield* listener.accept
      }))
  }
})

describe("connect", () => {
  scenario("tells its listener, and again when it is called on what is connected", (runtime) =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen()
      const socket = Duplex.lazy(runtime, Endpoint.fromSocketAddress(address))
      const calls: Array<string> = []
      socket.connect(1, "x", () => calls.push("first"))
      yield* told(socket, "ready")
      socket.connect({ port: 1 }, () => calls.push("second"))
      expect(calls).toEqual(["first"])
      yield* told(socket, "ready")
      expect(calls).toEqual(["first", "second"])
      socket.destroy()
      yield* told(socket, "close")
      expect(() => socket.connect(1)).toThrow("Socket is closed")
    }))

  scenario("is one dial, however often it is called", (runtime) =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen()
      const socket = Duplex.lazy(runtime, Endpoint.fromSocketAddress(listener.address))
      socket.connect(1).connect(1).write("x")
      yield* told(socket, "connect")
      yield* Loopback.turns(50)
      expect(listener.accepted()).toBe(1)
      socket.destroy()
    }))
})

describe("the error of a stream", () => {
  const errorOf = (socket: net.Socket) =>
    Effect.map(told<NodeJS.ErrnoException>(socket.connect(1), "error"), (error) => [error, error.code] as const)

  scenario("is the dial's own, with the code of the first attempt", (runtime) =>
    Effect.gen(function*() {
      const refusing = yield* Loopback.refusing()
      const [error, code] = yield* errorOf(Duplex.lazy(runtime, String(refusing)))
      expect(error).toBeInstanceOf(DialError.AllAttemptsFailed)
      expect(code).toBe("ECONNREFUSED")
      expect(error.message).toContain(`${refusing} connection refused`)
    }))

  scenario("of a name that does not exist has the code that Node would give", (runtime) =>
    Effect.gen(function*() {
      const [error, code] = yield* errorOf(Duplex.lazy(runtime, "nobody.test:80"))
      expect([(error as unknown as DialError.ResolveError)._tag, code]).toEqual(["ResolveError", "ENOTFOUND"])
    }), over(Resolver.layerStatic({})))

  scenario("of a deadline is ETIMEDOUT", (runtime) =>
    Effect.gen(function*() {
      const silent = yield* Loopback.silent()
      const [error, code] = yield* errorOf(Duplex.lazy(runtime, String(silent), { timeout: 20 }))
      expect([(error as unknown as DialError.DialTimeout)._tag, code]).toEqual(["DialTimeout", "ETIMEDOUT"])
      const [attempt, attemptCode] = yield* errorOf(Duplex.lazy(runtime, String(silent), { attemptTimeout: 20 }))
      expect([(attempt as unknown as DialError.AllAttemptsFailed)._tag, attemptCode]).toEqual([
        "AllAttemptsFailed",
        "ETIMEDOUT"
      ])
    }))

  scenario(
    "of text that is no endpoint, or one of datagrams, is an InvalidEndpoint",
    (runtime) =>
      Effect.gen(function*() {
        for (const bad of ["nonsense", "udp://127.0.0.1:53"]) {
          const [error, code] = yield* errorOf(Duplex.lazy(runtime, bad))
          expect(error).toBeInstanceOf(DialError.InvalidEndpoint)
          expect(code).toBe("ERR_INVALID_ARG_VALUE")
        }
      })
  )

  scenario("of a reset is the ConnectionLost, for who reads and for who wrote", (runtime) =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen()
      const socket = Duplex.lazy(runtime, Endpoint.fromSocketAddress(listener.address)).connect(1)
      const peer = yield* listener.accept
      yield* told(socket, "connect")
      const refused: Array<unknown> = []
      // More than the kernel takes: the write is under way when the reset comes.
      socket.write(Buffer.alloc(64 * 1024 * 1024), (error) => refused.push(error))
      yield* peer.read(1)
      yield* peer.reset
      const error = yield* told<Error>(socket, "error")
      expect(error).toBeInstanceOf(DialError.ConnectionLost)
      expect(error).toMatchObject({ reason: "Reset", code: expect.stringMatching(/^(?:ECONNRESET|EPIPE)$/) })
      yield* told(socket, "close")
      expect(refused).toEqual([error])
    }))

  scenario(
    "comes once: what happens after the close is nobody's uncaughtException",
    (runtime) =>
      Effect.gen(function*() {
        const listener = yield* Loopback.listen()
        const socket = Duplex.lazy(runtime, Endpoint.fromSocketAddress(listener.address)).connect(1)
        const peer = yield* listener.accept
        yield* told(socket, "connect")
        socket.write("unread")
        socket.destroy()
        yield* told(socket, "close")
        socket.removeAllListeners()
        yield* peer.write("too late")
        yield* peer.reset
        socket.write("x")
        socket.end("x")
        socket.destroy(new Error("late"))
        socket.resetAndDestroy().destroySoon()
        yield* Loopback.turns(50)
      })
  )
})

describe("a stream that is destroyed while it dials", () => {
  scenario("leaves no handshake, and says so when none is left", (runtime) =>
    Effect.gen(function*() {
      const silent = yield* Loopback.silent()
      const endings: ReadonlyArray<(socket: net.Socket) => unknown> = [
        (socket) => socket.destroy(),
        (socket) => socket.resetAndDestroy(),
        (socket) => socket.destroy(new Error("enough")).on("error", ignore)
      ]
      for (const end of endings) {
        const socket = Duplex.lazy(runtime, String(silent)).connect(1)
        yield* Loopback.until("a SYN that nobody answers", () => handshakes(silent) > 0)
        end(socket)
        yield* told(socket, "close")
        expect(handshakes(silent)).toBe(0)
      }
    }))

  scenario("by a signal cancels the dial with the AbortError", (runtime) =>
    Effect.gen(function*() {
      const silent = yield* Loopback.silent()
      const controller = new AbortController()
      const connecting = Duplex.connect(runtime, String(silent), { signal: controller.signal }).catch((error) => error)
      yield* Loopback.until("a SYN that nobody answers", () => handshakes(silent) > 0)
      controller.abort()
      expect(yield* Effect.promise(() => connecting)).toMatchObject({ name: "AbortError" })
      yield* Loopback.until("the handshake to be gone", () => handshakes(silent) === 0)
    }))

  const asked = { times: 0, interrupted: 0 }
  const mute = Layer.succeed(Resolver.Resolver, {
    resolve: () =>
      Stream.unwrap(Effect.sync(() => {
        asked.times += 1
        return Stream.never.pipe(Stream.ensuring(Effect.sync(() => {
          asked.interrupted += 1
        })))
      }))
  })

  scenario("gives its lookup up", (runtime) =>
    Effect.gen(function*() {
      const socket = Duplex.lazy(runtime, "db.test:80").connect(1)
      yield* Loopback.until("the resolver to be asked", () => asked.times > 0)
      socket.destroy()
      yield* told(socket, "close")
      expect(asked.interrupted).toBe(asked.times)
    }), over(mute))

  it.live("leaves no socket at whatever step of its life it is", () =>
    Effect.gen(function*() {
      const steps = yield* interruptAtEveryStep(() => {
        const { dialer, transport } = faked()
        const program = Effect.flatMap(Effect.runtime<never>(), (runtime) =>
          Effect.async<void>((resume) => {
            const socket = Duplex.lazy(Runtime.provideService(runtime, Dialer.Dialer, dialer), "192.0.2.1:5432")
            const over = () => resume(Effect.void)
            socket.once("ready", () => socket.end("bytes", () => socket.destroy())).once("close", over)
            return Effect.async<void>((closed) => {
              if (transport.open() === 0 && socket.destroyed) return closed(Effect.void)
              socket.off("close", over).once("close", () => closed(Effect.void)).destroy()
            })
          }))
        return {
          program,
          after: (_, step) =>
            Effect.sync(() => {
              const left = transport.sockets.filter(({ operations }) => operations.at(-1) !== "release")
              expect(left.map(({ operations }) => operations), `step ${step}`).toEqual([])
            })
        }
      })
      expect(steps).toBeGreaterThan(100)
    }), 60_000)
})

/** A Dialer of one address, which connects after a while. */
const faked = () => {
  const transport = FakeTransport.make({ "192.0.2.1:5432": Dials.connected(40) })
  // Built beforehand: an interruption at every step is to meet the dial, not the building of layers.
  const services = Effect.runSync(
    Effect.scoped(Layer.build(Layer.provide(Layer.fresh(Dialer.layer), Layer.merge(Dials.neverAsked, transport.layer))))
  )
  return { dialer: Context.get(services, Dialer.Dialer), transport }
}

describe("the runtime of a stream", () => {
  scenario("may be disposed of: what is connected lives on, and is closed in the end", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.echo()
      const runtime = ManagedRuntime.make(NodeNetwork.layer)
      const socket = yield* Effect.promise(() => Duplex.connect(runtime, Endpoint.fromSocketAddress(listener.address)))
      const peer = yield* listener.accept
      yield* runtime.disposeEffect
      socket.write("still here")
      expect(String(yield* told(socket, "data"))).toBe("still here")
      socket.destroy()
      yield* told(socket, "close")
      yield* peer.closed
      const late = Duplex.lazy(runtime, Endpoint.fromSocketAddress(listener.address)).connect(1)
      expect(String(yield* told(late, "error"))).toContain("disposed")
    }))

  scenario("is built by the first dial, and a failure of that is the stream's error", () =>
    Effect.gen(function*() {
      class NoNetwork extends Error {}
      const runtime = ManagedRuntime.make(
        Layer.fail(new NoNetwork("no network")) as Layer.Layer<Dialer.Dialer, NoNetwork>
      )
      const socket = Duplex.lazy(runtime, "127.0.0.1:1").connect(1)
      expect(yield* told(socket, "error")).toBeInstanceOf(NoNetwork)
      yield* told(socket, "close")
      yield* runtime.disposeEffect
    }))

  scenario("gives the dial its options", (runtime) =>
    Effect.gen(function*() {
      const { accept, address } = yield* Loopback.listen()
      const socket = Duplex.lazy(runtime, "name.test:1", { addresses: [address] }).connect(1)
      yield* accept
      yield* told(socket, "ready")
      expect(socket.remotePort).toBe(Loopback.portNumber(address))
      socket.destroy()
    }))

  scenario(
    "may have been taken where nothing is interrupted: the dial is cancelled all the same",
    () =>
      Effect.gen(function*() {
        const silent = yield* Loopback.silent()
        const runtime = yield* Effect.uninterruptible(Effect.runtime<Dialer.Dialer>()).pipe(
          Effect.provide(NodeNetwork.layer)
        )
        const socket = Duplex.lazy(runtime, String(silent)).connect(1)
        yield* Loopback.until("a SYN that nobody answers", () => handshakes(silent) > 0)
        socket.destroy()
        yield* told(socket, "close")
        expect(handshakes(silent)).toBe(0)
      })
  )
})

describe("Duplex.connect", () => {
  scenario("gives a stream that is connected, or the error", (runtime) =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.echo()
      const socket = yield* Effect.promise(() => Duplex.connect(runtime, String(address)))
      expect([socket.connecting, socket.readyState]).toEqual([false, "open"])
      socket.write("x")
      expect(String(yield* told(socket, "data"))).toBe("x")
      socket.destroy()
      const refusing = yield* Loopback.refusing()
      const error: unknown = yield* Effect.promise(() =>
        Duplex.connect(runtime, String(refusing)).catch((error: unknown) => error)
      )
      expect(error).toBeInstanceOf(DialError.AllAttemptsFailed)
    }))
})

describe("Duplex.fromConnection", () => {
  const adopted = (listener: Effect.Effect.Success<ReturnType<typeof Loopback.listen>>) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const connection = yield* Scope.extend(Dialer.dial(Endpoint.fromSocketAddress(listener.address)), scope)
      const socket = yield* Duplex.fromConnection(connection)
      return { scope, connection, socket, peer: yield* listener.accept }
    }).pipe(Effect.provide(NodeNetwork.layer))

  scenario("is connected, and tells who calls connect so", () =>
    Effect.gen(function*() {
      const { peer, scope, socket } = yield* adopted(yield* Loopback.listen())
      expect([socket.connecting, socket.readyState, socket.pending]).toEqual([false, "open", false])
      yield* told(socket.connect(1), "connect")
      socket.write("hello")
      expect(Loopback.text(yield* peer.read(5))).toBe("hello")
      socket.destroy()
      yield* told(socket, "close")
      yield* peer.closed
      yield* Scope.close(scope, Exit.void)
    }))

  scenario("has what was read of the connection and nobody took", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.halfCloser("greeting")
      const { scope, socket } = yield* adopted(listener)
      const chunks = yield* Effect.promise(() => socket.toArray())
      expect(Buffer.concat(chunks).toString()).toBe("greeting")
      yield* Scope.close(scope, Exit.void)
    }))

  scenario("closes when its Scope does, without an error", () =>
    Effect.gen(function*() {
      const { peer, scope, socket } = yield* adopted(yield* Loopback.listen())
      const errors: Array<unknown> = []
      socket.on("error", (error) => errors.push(error))
      yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* told(socket, "close")
      expect(errors).toEqual([])
      expect(yield* peer.closed).toBe("closed")
    }))

  scenario("destroyed closes the connection", () =>
    Effect.gen(function*() {
      const { connection, peer, socket } = yield* adopted(yield* Loopback.listen())
      socket.destroy()
      expect((yield* connection.lost).reason).toBe("End")
      expect(yield* peer.closed).toBe("closed")
    }))
})
