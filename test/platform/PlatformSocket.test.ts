import * as Socket from "@effect/platform/Socket"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Layer, Stream } from "effect"
import * as Dialer from "../../src/Dialer.js"
import { AllAttemptsFailed, ConnectionLost, DialTimeout, InvalidEndpoint, ResolveError } from "../../src/DialError.js"
import * as PlatformSocket from "../../src/platform/PlatformSocket.js"
import * as Resolver from "../../src/Resolver.js"
import { Behaviour, Fault, SimNetwork, type Topology } from "../../src/testing/index.js"
import * as FakeTransport from "../support/FakeTransport.js"
import { interruptAtEveryStep } from "../support/steps.js"
import { readAll, sim, text, timed } from "../testing/support.js"

/** One server by one address, and what it was told, connection by connection. */
const network = (behaviour: Behaviour.Behaviour, extra: Topology.Topology = {}): Topology.Topology => ({
  hosts: { web: { addresses: ["10.0.0.2"], listeners: { 80: behaviour } } },
  names: { "web.test": ["10.0.0.2"] },
  ...extra
})

/** A server that keeps what each connection said until its end, and then ends too. */
const listener = () => {
  const heard: Array<string> = []
  const behaviour: Behaviour.Behaviour = (connection) => Effect.tap(readAll(connection), (said) => heard.push(said))
  return { heard, behaviour }
}

const web = "web.test:80"

const ignore = (): void => {}

/** A run in the background; its exit is for who wants it. */
const running = (socket: Socket.Socket, handler: (bytes: Uint8Array) => Effect.Effect<unknown> | void = ignore) =>
  Effect.forkScoped(Effect.exit(socket.run(handler)))

/** Write this, each with a writer of its own kept open as long as the fiber that writes. */
const sending = (socket: Socket.Socket, ...chunks: ReadonlyArray<string | Socket.CloseEvent>) =>
  Effect.scoped(Effect.flatMap(socket.writer, (write) => Effect.forEach(chunks, write, { discard: true })))

/** Handles in so many milliseconds, and tells when each began and ended. */
const slowly = (millis: (said: string) => number) => {
  const log: Array<string> = []
  const handler = (bytes: Uint8Array) =>
    Effect.sync(() => log.push(`begin ${text(bytes)}`)).pipe(
      Effect.zipRight(Effect.sleep(millis(text(bytes)))),
      Effect.zipRight(Effect.sync(() => log.push(`end ${text(bytes)}`)))
    )
  return { handler, log }
}

/** Says each of these in a packet of its own, a millisecond apart, then ends. */
const says = (...pieces: ReadonlyArray<string>): Behaviour.Behaviour => (connection) =>
  Effect.zipRight(
    Effect.forEach(pieces, (piece) => Effect.zipRight(Effect.sleep(1), connection.write(piece)), { discard: true }),
    Behaviour.send()(connection)
  )

describe("a run", () => {
  const counting = () => {
    const accepted: Array<number> = []
    const behaviour: Behaviour.Behaviour = (connection) =>
      Effect.zipRight(
        Effect.flatMap(Clock.currentTimeMillis, (at) => Effect.sync(() => accepted.push(at))),
        Behaviour.send("hello")(connection)
      )
    return { accepted, behaviour }
  }

  const twice = counting()
  sim("dials each time it is run, and not before", network(twice.behaviour), () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const socket = yield* PlatformSocket.make(web)
      yield* Effect.sleep("1 second")
      expect(twice.accepted).toEqual([])
      yield* socket.run((bytes) => {
        heard.push(text(bytes))
      })
      yield* Effect.sleep("1 second")
      yield* socket.runRaw((bytes) => {
        heard.push(typeof bytes === "string" ? "a string" : text(bytes))
      })
      expect(twice.accepted).toEqual([1000, 2000])
      expect(heard).toEqual(["hello", "hello"])
    }))

  sim("has closed its connection when it ends", network(Behaviour.send("hello")), () =>
    Effect.gen(function*() {
      const { accounting } = yield* SimNetwork.SimNetwork
      const socket = yield* PlatformSocket.make(web)
      const seen = yield* Deferred.make<number>()
      yield* socket.run(() => Effect.flatMap(accounting, ({ dialed }) => Deferred.succeed(seen, dialed)))
      expect(yield* Deferred.await(seen)).toBe(1)
      expect((yield* accounting).dialed).toBe(0)
    }))

  sim(
    "that is interrupted closes its connection, whatever it was doing",
    network(Behaviour.silent),
    () =>
      Effect.gen(function*() {
        const { accounting } = yield* SimNetwork.SimNetwork
        const socket = yield* PlatformSocket.make(web)
        const fiber = yield* running(socket)
        yield* Effect.sleep("1 second")
        expect((yield* accounting).dialed).toBe(1)
        yield* Fiber.interrupt(fiber)
        expect((yield* accounting).dialed).toBe(0)
      })
  )

  sim(
    "can be interrupted in a region that cannot, where the platform's consumers fork it",
    network(Behaviour.silent),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const [, millis] = yield* timed(Effect.uninterruptible(Effect.timeoutOption(socket.run(ignore), "1 second")))
        expect(millis).toBe(1000)
      })
  )

  sim("is the Socket service of a layer", network(Behaviour.send("hello")), () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const socket = yield* Socket.Socket
      yield* socket.run((bytes) => {
        heard.push(text(bytes))
      })
      expect(heard).toEqual(["hello"])
      expect(Socket.isSocket(socket)).toBe(true)
    }).pipe(Effect.provide(PlatformSocket.layer(web))))

  sim(
    "of several at once has a connection of its own, and writes go to the last",
    network(Behaviour.echo),
    () =>
      Effect.gen(function*() {
        const heard: Array<string> = []
        const socket = yield* PlatformSocket.make(web)
        const write = yield* socket.writer
        const hear = (name: string) => (bytes: Uint8Array) => {
          heard.push(`${name} ${text(bytes)}`)
        }
        yield* running(socket, hear("first"))
        yield* Effect.sleep(1)
        const second = yield* running(socket, hear("second"))
        yield* Effect.sleep(1)
        yield* write("a")
        yield* Effect.sleep(1)
        yield* Fiber.interrupt(second)
        yield* write("b")
        yield* Effect.sleep(1)
        expect(heard).toEqual(["second a", "first b"])
      })
  )

  it.effect(
    "interrupted at any step leaves nothing open, and no connection that writes would go to",
    () =>
      Effect.gen(function*() {
        const steps = yield* interruptAtEveryStep(() => {
          const transport = FakeTransport.make({ "192.0.2.1:80": { delay: "40 millis", outcome: "connected" } })
          const network = Dialer.layer.pipe(Layer.provide(Layer.merge(Resolver.layerStatic({}), transport.layer)))
          const socket = Effect.runSync(Effect.provide(PlatformSocket.make("192.0.2.1:80"), network))
          const ending = Effect.suspend(() => transport.sockets.at(-1)!.lose("End"))
          return {
            program: Effect.zipRight(
              Effect.fork(sending(socket, "hello")),
              socket.run(ignore, { onOpen: Effect.delay(ending, "10 millis") })
            ),
            after: (exit, step) =>
              Effect.gen(function*() {
                expect(Exit.isSuccess(exit) || Exit.isInterrupted(exit), `step ${step}`).toBe(true)
                expect(transport.open(), `step ${step}`).toBe(0)
                const waiting = yield* Effect.fork(sending(socket, "later"))
                yield* Effect.yieldNow()
                expect(waiting.unsafePoll(), `step ${step}`).toBe(null)
                yield* Fiber.interrupt(waiting)
              })
          }
        })
        expect(steps).toBeGreaterThan(300)
      }),
    60_000
  )
})

describe("what a run says of its end", () => {
  const ends = (
    title: string,
    topology: Topology.Topology,
    check: (error: Socket.SocketError) => void,
    options?: PlatformSocket.Options
  ) =>
    sim(title, topology, () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web, options)
        check(yield* Effect.flip(socket.run(ignore)))
      }))

  ends("Open, with the story of every address, when nobody listens", {
    ...network(Behaviour.echo),
    faults: [Fault.on("web", Fault.refused)]
  }, (error) => {
    expect(error).toMatchObject({ _tag: "SocketError", reason: "Open" })
    expect(error.cause).toBeInstanceOf(AllAttemptsFailed)
  })

  ends("Open when there is no such name", { names: { "web.test": Fault.notFound } }, (error) => {
    expect(error.reason).toBe("Open")
    expect(error.cause).toBeInstanceOf(ResolveError)
  })

  sim(
    "OpenTimeout at the deadline of the dial",
    network(Behaviour.echo, { faults: [Fault.on("web", Fault.silentSyn)] }),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web, { timeout: "2 seconds" })
        const [error, millis] = yield* timed(Effect.flip(socket.run(ignore)))
        expect(error.reason).toBe("OpenTimeout")
        expect(error.cause).toBeInstanceOf(DialTimeout)
        expect(millis).toBe(2000)
      })
  )

  ends("Read, with the loss, when the peer resets", network(Behaviour.reset), (error) => {
    expect(error.reason).toBe("Read")
    expect(error.cause).toBeInstanceOf(ConnectionLost)
    expect(error.cause).toMatchObject({ reason: "Reset" })
  })

  sim(
    "nothing when the peer ends",
    network(Behaviour.send("bye")),
    () => Effect.flatMap(PlatformSocket.make(web), (socket) => socket.run(ignore))
  )

  ends("Close with 1000 when the peer ends and that is called an error", network(Behaviour.send("bye")), (error) => {
    expect(error).toMatchObject({ reason: "Close", code: 1000 })
  }, { closeCodeIsError: () => true })

  sim(
    "the handler's failure when that fails, and the connection is closed",
    network(Behaviour.send("hello")),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const error = yield* Effect.flip(socket.run((bytes) => Effect.fail(`cannot use ${text(bytes)}`)))
        expect(error).toBe("cannot use hello")
      })
  )

  sim(
    "the handler's failure even when it is a close of another socket that went well",
    network(Behaviour.send("a")),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const other = new Socket.SocketCloseError({ reason: "Close", code: 1000 })
        expect(yield* Effect.flip(socket.run(() => Effect.fail(other)))).toBe(other)
      })
  )

  sim("a defect when the handler throws", network(Behaviour.send("hello")), () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web)
      const bug = new Error("a bug in the handler")
      const exit = yield* Effect.exit(socket.run(() => {
        throw bug
      }))
      expect(exit).toEqual(Exit.die(bug))
    }))

  sim(
    "nothing of a handler that was interrupted and not the run with it",
    network(says("a", "b")),
    () =>
      Effect.gen(function*() {
        const heard: Array<string> = []
        const socket = yield* PlatformSocket.make(web)
        yield* socket.run((bytes) => Effect.zipRight(Effect.sync(() => heard.push(text(bytes))), Effect.interrupt))
        expect(heard).toEqual(["a", "b"])
      })
  )

  it.effect("text that is no endpoint is said when the socket is made, not by each run", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(PlatformSocket.make("nonsense:port"))
      expect(error).toBeInstanceOf(InvalidEndpoint)
    }).pipe(Effect.provide(SimNetwork.layer())))

  sim(
    "another program's failure when that opens the connection",
    network(Behaviour.silent),
    () =>
      Effect.gen(function*() {
        const open = Effect.zipRight(Dialer.dial(web), Effect.fail("no greeting"))
        const socket = yield* PlatformSocket.fromConnection(open)
        expect(yield* Effect.flip(socket.run(ignore))).toMatchObject({ reason: "Open", cause: "no greeting" })
      })
  )

  sim(
    "nothing when whoever else holds the connection aborts it, which is 1006",
    network(Behaviour.silent),
    () =>
      Effect.gen(function*() {
        const open = Effect.tap(
          Dialer.dial(web),
          (connection) => Effect.fork(Effect.delay(connection.abort, "1 second"))
        )
        const well = yield* PlatformSocket.fromConnection(open)
        yield* well.run(ignore)
        const ill = yield* PlatformSocket.fromConnection(open, { closeCodeIsError: (code) => code === 1006 })
        expect(yield* Effect.flip(ill.run(ignore))).toMatchObject({ reason: "Close", code: 1006 })
      })
  )
})

describe("handlers", () => {
  sim(
    "begin when the one before has ended, however long that takes",
    network(says("4", "1", "2")),
    () =>
      Effect.gen(function*() {
        const { handler, log } = slowly((said) => Number(said) * 1000)
        const socket = yield* PlatformSocket.make(web)
        const [, millis] = yield* timed(socket.run(handler))
        expect(log).toEqual(["begin 4", "end 4", "begin 12", "end 12"])
        expect(millis).toBe(16_001)
      })
  )

  sim(
    "have all ended when the run ends, though the peer ended long before",
    network(Behaviour.send("a")),
    () =>
      Effect.gen(function*() {
        const { handler, log } = slowly(() => 60_000)
        const socket = yield* PlatformSocket.make(web)
        yield* socket.run(handler)
        expect(log).toEqual(["begin a", "end a"])
      })
  )

  const flood = { sent: 0 }
  sim("hold back the peer while they wait: what was sent is one read and the window", {
    ...network((connection) =>
      Effect.forever(Effect.tap(connection.write(new Uint8Array(1024)), () => flood.sent += 1024))
    ),
    window: 65_536
  }, () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web)
      const got = yield* Deferred.make<number>()
      const fiber = yield* Effect.fork(
        socket.run((bytes) => Effect.zipRight(Deferred.succeed(got, bytes.length), Effect.never))
      )
      yield* Effect.sleep("1 hour")
      expect(flood.sent).toBeLessThanOrEqual((yield* Deferred.await(got)) + 65_536)
      yield* Fiber.interrupt(fiber)
    }))

  sim(
    "may be several at once: they begin in order and the next waits for one to end",
    network(says("4", "1", "2", "3")),
    () =>
      Effect.gen(function*() {
        const { handler, log } = slowly((said) => Number(said) * 1000)
        const socket = yield* PlatformSocket.make(web, { handlerConcurrency: 2 })
        yield* socket.run(handler)
        // What came while both were under way is one read.
        expect(log).toEqual(["begin 4", "begin 1", "end 1", "begin 23", "end 4", "end 23"])
      })
  )

  sim("without a bound may wait for one another", network(says("first", "second")), () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web, { handlerConcurrency: "unbounded" })
      const second = yield* Deferred.make<void>()
      yield* socket.run((bytes) =>
        text(bytes) === "first" ? Deferred.await(second) : Deferred.succeed(second, undefined)
      )
    }))

  sim(
    "that are several at once fail the run and end the others",
    network(says("a", "b")),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web, { handlerConcurrency: "unbounded" })
        const error = yield* Effect.flip(
          socket.run((bytes) => text(bytes) === "a" ? Effect.never : Effect.fail("b is bad"))
        )
        expect(error).toBe("b is bad")
      })
  )

  const cut: Behaviour.Behaviour = (connection) => Effect.zipRight(connection.write("whole"), connection.abort)
  sim("get what was read before a reset", network(cut, { defaultLink: { latency: 5 } }), () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const socket = yield* PlatformSocket.make(web)
      const error = yield* Effect.flip(socket.run((bytes) => {
        heard.push(text(bytes))
      }))
      expect(error.reason).toBe("Read")
      expect(heard.length).toBeLessThanOrEqual(1)
    }))
})

describe("writes", () => {
  const inOrder = listener()
  sim(
    "that come before the connection wait for it, and are sent in their order",
    network(inOrder.behaviour),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const write = yield* socket.writer
        const writing = yield* Effect.forEach(["a", "b", "c"], (said) => Effect.fork(write(said)))
        yield* Effect.sleep("1 hour")
        expect(writing.map((fiber) => fiber.unsafePoll())).toEqual([null, null, null])
        const run = yield* running(socket)
        yield* Fiber.joinAll(writing)
        yield* write(new Socket.CloseEvent())
        expect(yield* Fiber.join(run)).toEqual(Exit.void)
        yield* Effect.sleep(1)
        expect(inOrder.heard).toEqual(["abc"])
      })
  )

  const greeted = listener()
  sim("of onOpen come before those that waited", network(greeted.behaviour), () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web)
      const write = yield* socket.writer
      const waiting = yield* Effect.fork(write("b"))
      yield* Effect.yieldNow()
      yield* Effect.forkScoped(socket.run(ignore, { onOpen: Effect.orDie(write("a")) }))
      yield* Fiber.join(waiting)
      yield* write(new Socket.CloseEvent())
      yield* Effect.sleep(1)
      expect(greeted.heard).toEqual(["ab"])
    }))

  const later = listener()
  sim("wait on across a run that did not connect, and go with the next that does", {
    ...network(later.behaviour),
    faults: [Fault.on("web", Fault.refused, { times: 1 })]
  }, () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web)
      const write = yield* socket.writer
      const writing = yield* Effect.fork(write("patience"))
      yield* Effect.flip(socket.run(ignore))
      expect(writing.unsafePoll()).toBe(null)
      const run = yield* running(socket)
      yield* Fiber.join(writing)
      yield* write(new Socket.CloseEvent())
      yield* Fiber.join(run)
      yield* Effect.sleep(1)
      expect(later.heard).toEqual(["patience"])
    }))

  const between = listener()
  sim(
    "that come between two runs go with the second",
    network((connection) =>
      Effect.zipRight(Effect.sleep(10), Effect.zipRight(connection.end, between.behaviour(connection)))
    ),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const write = yield* socket.writer
        yield* socket.run(ignore)
        const writing = yield* Effect.fork(write("second"))
        yield* Effect.sleep("1 second")
        expect(writing.unsafePoll()).toBe(null)
        yield* socket.run(ignore)
        yield* Fiber.join(writing)
        yield* Effect.sleep("1 second")
        expect(between.heard).toEqual(["", "second"])
      })
  )

  sim("wait until the network took the bytes: a peer that does not read holds them", {
    ...network(Behaviour.silent),
    window: 65_536
  }, () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web)
      const write = yield* socket.writer
      const run = yield* running(socket)
      const writing = yield* Effect.fork(write(new Uint8Array(100_000)))
      yield* Effect.sleep("1 hour")
      expect(writing.unsafePoll()).toBe(null)
      yield* Fiber.interrupt(run)
      const error = yield* Effect.flip(Fiber.join(writing))
      expect(error.reason).toBe("Write")
      expect(error.cause).toMatchObject({ _tag: "ConnectionLost", reason: "Aborted" })
    }))

  const breaks: Behaviour.Behaviour = (connection) =>
    Effect.zipRight(Effect.zipRight(connection.write("a"), Effect.sleep(10)), connection.abort)
  sim(
    "fail with Write, and the loss, when the run has not read of it yet",
    network(breaks),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const write = yield* socket.writer
        const run = yield* running(socket, () => Effect.never)
        yield* Effect.sleep(20)
        const error = yield* Effect.flip(write("too late"))
        expect(error.reason).toBe("Write")
        expect(error.cause).toMatchObject({ _tag: "ConnectionLost", reason: "Reset" })
        yield* Fiber.interrupt(run)
      })
  )
})

describe("the end of this side", () => {
  const answering: Behaviour.Behaviour = (connection) =>
    Effect.flatMap(readAll(connection), (said) => connection.write(`you said ${said}`))

  sim(
    "comes when the last writer's Scope closes, and reading goes on",
    network(answering),
    () =>
      Effect.gen(function*() {
        const heard: Array<string> = []
        const socket = yield* PlatformSocket.make(web)
        yield* Effect.fork(Effect.scoped(Effect.gen(function*() {
          const first = yield* socket.writer
          yield* sending(socket, "hel")
          yield* Effect.sleep("1 second")
          yield* first("lo")
        })))
        yield* socket.run((bytes) => {
          heard.push(text(bytes))
        })
        expect(heard).toEqual(["you said hello"])
      })
  )

  sim("comes with the connection when it was there before it", network(answering), () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web)
      const answer = yield* Stream.empty.pipe(
        Stream.pipeThroughChannel(Socket.toChannelString(socket)),
        Stream.mkString
      )
      expect(answer).toBe("you said ")
    }))

  sim("belongs to its run: the next one writes again", network(answering), () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web)
      const ask = (question: string) =>
        Stream.make(question).pipe(Stream.pipeThroughChannel(Socket.toChannelString(socket)), Stream.mkString)
      expect(yield* ask("one")).toBe("you said one")
      expect(yield* ask("two")).toBe("you said two")
    }))

  sim(
    "does not keep a writer's Scope open for a peer that does not read",
    { ...network(Behaviour.silent), window: 10 },
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const run = yield* running(socket)
        const writing = Effect.scoped(
          Effect.flatMap(socket.writer, (write) => Effect.timeoutOption(write("a long word"), 10))
        )
        const [, millis] = yield* timed(writing)
        expect(millis).toBe(10)
        yield* Fiber.interrupt(run)
      })
  )
})

describe("a CloseEvent", () => {
  const told = listener()
  sim(
    "ends the run with its code and reason, after what was written before it",
    network(told.behaviour),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const run = yield* Effect.fork(Effect.flip(socket.run(ignore)))
        yield* sending(socket, "last words", new Socket.CloseEvent(1011, "out of tea"))
        expect(yield* Fiber.join(run)).toMatchObject({ reason: "Close", code: 1011, closeReason: "out of tea" })
        yield* Effect.sleep(1)
        expect(told.heard).toEqual(["last words"])
      })
  )

  sim("of code 1000 ends it well", network(Behaviour.discard), () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web)
      const run = yield* running(socket)
      yield* sending(socket, new Socket.CloseEvent())
      expect(yield* Fiber.join(run)).toEqual(Exit.void)
    }))

  sim(
    "written by a handler ends the run, and the handler with it",
    network(says("a", "b")),
    () =>
      Effect.gen(function*() {
        const heard: Array<string> = []
        const socket = yield* PlatformSocket.make(web)
        const write = yield* socket.writer
        const hang = (bytes: Uint8Array) =>
          Effect.zipRight(
            Effect.sync(() => heard.push(text(bytes))),
            Effect.zipRight(write(new Socket.CloseEvent()), Effect.never)
          )
        const [, millis] = yield* timed(socket.run(hang))
        expect(heard).toEqual(["a"])
        expect(millis).toBe(1)
      })
  )

  const second = listener()
  sim(
    "takes no write any more: those that follow go with the next run",
    network(second.behaviour),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const write = yield* socket.writer
        const run = yield* running(socket)
        yield* write(new Socket.CloseEvent())
        const writing = yield* Effect.fork(write("again"))
        yield* Fiber.join(run)
        const again = yield* running(socket)
        yield* Fiber.join(writing)
        yield* write(new Socket.CloseEvent())
        yield* Fiber.join(again)
        yield* Effect.sleep(1)
        expect(second.heard).toEqual(["", "again"])
      })
  )
})

describe("onOpen", () => {
  sim(
    "is run when the connection is up, and reading does not wait for it",
    network(Behaviour.send("welcome")),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const welcome = yield* Deferred.make<string>()
        const opened = yield* Deferred.make<string>()
        yield* socket.run((bytes) => Deferred.succeed(welcome, text(bytes)), {
          onOpen: Effect.asVoid(Effect.flatMap(Deferred.await(welcome), (said) => Deferred.succeed(opened, said)))
        })
        expect(yield* Deferred.await(opened)).toBe("welcome")
      })
  )

  sim(
    "that dies is the run's end, and the connection is closed",
    network(Behaviour.silent),
    () =>
      Effect.gen(function*() {
        const socket = yield* PlatformSocket.make(web)
        const exit = yield* Effect.exit(socket.run(ignore, { onOpen: Effect.die("a bug") }))
        expect(exit).toEqual(Exit.die("a bug"))
      })
  )

  sim("is interrupted when the run ends first", network(Behaviour.close), () =>
    Effect.gen(function*() {
      const socket = yield* PlatformSocket.make(web)
      const [, millis] = yield* timed(socket.run(ignore, { onOpen: Effect.sleep("1 hour") }))
      expect(millis).toBe(0)
    }))
})
