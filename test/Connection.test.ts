/**
 * Connection over the Node transport, against real sockets on loopback. What must hold of a connection on any transport
 * is here only as far as the kernel takes part in it.
 */
import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Deferred,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  FiberId,
  Option,
  Scheduler,
  Scope,
  Stream
} from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import type * as Address from "../src/Address.js"
import * as Attempt from "../src/Attempt.js"
import * as Connection from "../src/Connection.js"
import { ConnectionLost } from "../src/DialError.js"
import * as NodeTransport from "../src/node/NodeTransport.js"
import * as SocketOptions from "../src/SocketOptions.js"
import type { Transport } from "../src/Transport.js"
import * as Loopback from "./support/loopback.js"

const MiB = 1024 * 1024

/** A test on real sockets: scoped, on Node's transport, and no socket may be left when its scope is closed. */
const run = (self: Effect.Effect<void, unknown, Scope.Scope | Transport>) =>
  Loopback.leavesNoSocket(Effect.scoped(Effect.provide(self, NodeTransport.layer)))

const scenario = (name: string, self: () => Effect.Effect<void, unknown, Scope.Scope | Transport>) =>
  it.live(name, () => run(self()))

const connect = (address: Address.SocketAddress, options: SocketOptions.SocketOptions = SocketOptions.defaults) =>
  Attempt.connect({ socketType: "stream", address, options })

const pair = (at?: Loopback.At) =>
  Effect.gen(function*() {
    const listener = yield* Loopback.listen(at)
    const connection = yield* connect(listener.address)
    const peer = yield* listener.accept
    return { connection, peer, address: listener.address }
  })

/** Reads until the peer's end. */
const readToEnd = (connection: Connection.Connection): Effect.Effect<Uint8Array, ConnectionLost> =>
  Effect.map(Stream.runCollect(connection.stream), Loopback.concat)

const readText = (connection: Connection.Connection): Effect.Effect<string | undefined, ConnectionLost> =>
  Effect.map(connection.read, (bytes) => Option.getOrUndefined(Option.map(bytes, Loopback.text)))

/** Bytes whose every stretch is its own, so that a loss, a swap or a repeat shows. */
const pattern = (size: number, seed = 1): Uint8Array => {
  const words = new Uint32Array(Math.ceil(size / 4))
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + seed, 0x9e3779b1)
  return new Uint8Array(words.buffer, 0, size)
}

/** Not `toEqual`, which would compare and print megabytes one by one. */
const expectSame = (actual: Uint8Array, expected: Uint8Array): void => {
  expect(actual.length).toBe(expected.length)
  expect(Buffer.compare(actual, expected)).toBe(0)
}

const defectOf = <A, E>(exit: Exit.Exit<A, E>): string =>
  Exit.match(exit, {
    onSuccess: () => "no failure",
    onFailure: (cause) => String(Option.getOrElse(Cause.dieOption(cause), () => "no defect"))
  })

const isPending = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<boolean> =>
  Effect.map(Effect.zipRight(Loopback.turns(50), Fiber.poll(fiber)), Option.isNone)

/** A write the kernel cannot take while the peer does not read: larger than all its buffers. */
const tooMuch = pattern(24 * MiB)

const lostTo = (self: Effect.Effect<unknown, ConnectionLost>): Effect.Effect<ConnectionLost> =>
  Effect.catchAllDefect(Effect.flip(self), (defect) => Effect.die(new Error(`expected a loss, got ${String(defect)}`)))
    .pipe(Effect.orDieWith(() => new Error("expected a loss, got a success")))

const families: ReadonlyArray<{ readonly name: string; readonly at: () => Loopback.At }> = [
  { name: "TCP over IPv4", at: () => ({ host: "127.0.0.1" }) },
  ...(Loopback.hasIpv6 ? [{ name: "TCP over IPv6", at: () => ({ host: "::1" }) }] : []),
  { name: "an abstract UNIX socket", at: () => ({ path: Loopback.abstractName() }) }
]

describe.each(families)("a connection on $name", ({ at }) => {
  scenario("carries text and bytes both ways", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* connection.write("héllo")
      yield* connection.write(new Uint8Array([0, 255]))
      expect([...yield* peer.read(8)]).toEqual([...new TextEncoder().encode("héllo"), 0, 255])
      yield* peer.write("bye")
      expect(yield* readText(connection)).toBe("bye")
      expect(connection.socketType).toBe("stream")
      expect(Connection.isConnection(connection)).toBe(true)
    }))

  scenario("counts the bytes of both directions", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      expect([connection.bytesRead, connection.bytesWritten]).toEqual([0, 0])
      yield* connection.write("héllo")
      yield* connection.write(pattern(1000))
      yield* peer.write(pattern(300))
      yield* peer.end
      yield* readToEnd(connection)
      expect([connection.bytesRead, connection.bytesWritten]).toEqual([300, 1006])
      yield* connection.close()
      expect([connection.bytesRead, connection.bytesWritten]).toEqual([300, 1006])
    }))

  scenario(
    "is handed everything that the peer sent before its end, then None for ever, and can still write",
    () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* pair(at())
        yield* peer.write(pattern(100_000))
        yield* peer.end
        expectSame(yield* readToEnd(connection), pattern(100_000))
        expect(yield* connection.read).toEqual(Option.none())
        expect(yield* connection.read).toEqual(Option.none())
        yield* connection.write("still here")
        expect(Loopback.text(yield* peer.read(10))).toBe("still here")
      })
  )

  scenario("still reads after its own end", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* connection.write("question")
      yield* connection.end
      yield* connection.end
      expect(Loopback.text(yield* peer.readToEnd)).toBe("question")
      expect([peer.ended, peer.outcome]).toEqual([true, undefined])
      yield* peer.write("answer")
      expect(yield* readText(connection)).toBe("answer")
    }))

  scenario("is over, closed and lost to nothing but its end when both sides have ended", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      const lost = yield* Effect.fork(connection.lost)
      yield* connection.end
      expect(yield* isPending(lost)).toBe(true)
      yield* peer.end
      expect(yield* connection.read).toEqual(Option.none())
      expect((yield* Fiber.join(lost)).reason).toBe("End")
      expect((yield* connection.lost).reason).toBe("End")
      expect(yield* connection.read).toEqual(Option.none())
      expect(yield* peer.closed).toBe("closed")
    }))

  scenario("is over when the peer ended first", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* peer.end
      expect(yield* connection.read).toEqual(Option.none())
      yield* connection.end
      expect((yield* connection.lost).reason).toBe("End")
      expect(yield* peer.closed).toBe("closed")
    }))

  scenario("knows both its addresses while open and after it is closed", () =>
    Effect.gen(function*() {
      const { address, connection, peer } = yield* pair(at())
      const expected = peer.socket.remotePort === undefined
        ? "(unnamed)"
        : String(Loopback.inet(peer.socket.remoteAddress ?? "", peer.socket.remotePort))
      const told = () => [String(connection.localAddress), String(connection.remoteAddress)]
      expect(told()).toEqual([expected, String(address)])
      yield* connection.close()
      expect(told()).toEqual([expected, String(address)])
    }))

  scenario("slows its peer down while nobody reads, and buffers nothing itself", () =>
    Effect.gen(function*() {
      const size = 64 * MiB
      const source = yield* Loopback.source(size, at())
      const before = process.memoryUsage().arrayBuffers
      const connection = yield* connect(source.address)
      const taken = yield* Loopback.stalled("the source", source.taken)
      expect(taken).toBeLessThan(size / 2)
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MiB)
      expect(connection.bytesRead).toBe(0)
      expect(Option.map(yield* connection.read, (bytes) => bytes.length > 0)).toEqual(Option.some(true))
      yield* Stream.runDrain(connection.stream)
      expect(connection.bytesRead).toBe(size)
    }))

  scenario("a write waits for a peer that does not read, and goes on when it does", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      const writing = yield* Effect.fork(Effect.zipRight(connection.write(tooMuch), connection.end))
      expect(yield* isPending(writing)).toBe(true)
      expectSame(yield* peer.readToEnd, tooMuch)
      yield* Fiber.join(writing)
    }))

  scenario(
    "abort discards what is pending, ends waiting reads and writes, and is the reason that stays",
    () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* pair(at())
        const reading = yield* Effect.fork(Effect.flip(connection.read))
        const writing = yield* Effect.fork(Effect.flip(connection.write(tooMuch)))
        const closing = yield* Effect.zipRight(Loopback.turn, Effect.fork(connection.close()))
        expect(yield* isPending(closing)).toBe(true)
        yield* connection.abort
        expect((yield* connection.lost).reason).toBe("Aborted")
        expect((yield* Loopback.within("the read", Fiber.join(reading))).reason).toBe("Aborted")
        expect((yield* Loopback.within("the write", Fiber.join(writing))).reason).toBe("Aborted")
        yield* Loopback.within("the close", Fiber.join(closing))
        expect((yield* lostTo(connection.read)).reason).toBe("Aborted")
        expect((yield* connection.lost).reason).toBe("Aborted")
        yield* peer.closed
        expect((yield* peer.readToEnd).length).toBeLessThan(tooMuch.length)
      })
  )

  scenario("close sends what is pending to a slow reader before it closes", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* Effect.fork(connection.write(tooMuch))
      yield* Loopback.turns(10)
      const closing = yield* Effect.fork(connection.close())
      expect(yield* isPending(closing)).toBe(true)
      expectSame(yield* peer.readToEnd, tooMuch)
      yield* Loopback.within("the close", Fiber.join(closing))
      expect((yield* connection.lost).reason).toBe("End")
      expect(peer.ended).toBe(true)
    }))

  scenario("close aborts when the flush deadline passes", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* Effect.fork(Effect.ignore(connection.write(tooMuch)))
      yield* Loopback.turns(10)
      yield* Loopback.within("the close", connection.close({ flushTimeout: "20 millis" }))
      expect((yield* connection.lost).reason).toBe("Aborted")
      yield* peer.closed
      expect((yield* peer.readToEnd).length).toBeLessThan(tooMuch.length)
    }))

  scenario("after the first close, abort or end, another is a no-op", () =>
    Effect.gen(function*() {
      const { connection } = yield* pair(at())
      yield* connection.close()
      yield* connection.abort
      yield* connection.close()
      yield* connection.end
      expect((yield* connection.lost).reason).toBe("End")
      const second = yield* pair(at())
      yield* second.connection.abort
      yield* second.connection.close()
      yield* second.connection.abort
      yield* second.connection.end
      expect((yield* second.connection.lost).reason).toBe("Aborted")
    }))

  scenario("a write after end is a defect that says so", () =>
    Effect.gen(function*() {
      const { address, connection } = yield* pair(at())
      yield* connection.end
      expect(defectOf(yield* Effect.exit(connection.write("late")))).toBe(
        `Error: connection to ${address}: a write after end`
      )
      expect(connection.bytesWritten).toBe(0)
    }))

  scenario("a write after somebody closed or aborted fails as the read does", () =>
    Effect.gen(function*() {
      const closed = yield* pair(at())
      yield* closed.connection.close()
      expect((yield* lostTo(closed.connection.write("late"))).reason).toBe("End")
      const aborted = yield* pair(at())
      yield* aborted.connection.abort
      expect((yield* lostTo(aborted.connection.write("late"))).reason).toBe("Aborted")
      const closing = yield* pair(at())
      yield* Effect.fork(Effect.ignore(closing.connection.write(tooMuch)))
      yield* Loopback.turns(10)
      const close = yield* Effect.fork(closing.connection.close({ flushTimeout: "20 millis" }))
      yield* Loopback.turn
      expect((yield* lostTo(closing.connection.write("late"))).reason).toBe("Aborted")
      yield* Fiber.join(close)
    }))

  scenario("a write or an end that was interrupted is still sent, and then the end", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* Effect.fork(connection.write(tooMuch))
      yield* Loopback.turns(10)
      const ending = yield* Effect.fork(connection.end)
      yield* Loopback.turn
      yield* Fiber.interrupt(ending)
      expectSame(yield* peer.readToEnd, tooMuch)
      expect(peer.ended).toBe(true)
    }))

  scenario("an abort while an end waits for a slow peer never looks like the end", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* Effect.fork(Effect.ignore(connection.write(tooMuch)))
      yield* Loopback.turns(10)
      yield* Effect.fork(Effect.ignore(connection.end))
      yield* Loopback.turn
      yield* connection.abort
      yield* peer.closed
      expect((yield* peer.readToEnd).length).toBeLessThan(tooMuch.length)
      // A UNIX socket has no reset: there the peer cannot tell.
      if (connection.remoteAddress.family !== "unix") expect(peer.ended).toBe(false)
    }))

  scenario(
    "a second read while one waits is a defect, and the first still gets its bytes",
    () =>
      Effect.gen(function*() {
        const { address, connection, peer } = yield* pair(at())
        const first = yield* Effect.fork(readText(connection))
        yield* Loopback.turn
        expect(defectOf(yield* Effect.exit(connection.read))).toBe(
          `Error: connection to ${address}: a second read while one waits`
        )
        expect(defectOf(yield* Effect.exit(Stream.runDrain(connection.stream)))).toContain(
          "a second read while one waits"
        )
        yield* peer.write("mine")
        expect(yield* Fiber.join(first)).toBe("mine")
        yield* peer.write("next")
        expect(yield* readText(connection)).toBe("next")
      })
  )

  scenario("an interrupted read loses no bytes", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      for (const waits of [0, 1, 2, 5]) {
        const reading = yield* Effect.fork(connection.read)
        yield* Loopback.turns(waits)
        yield* Fiber.interrupt(reading)
      }
      yield* peer.write("kept")
      yield* peer.end
      expect(Loopback.text(yield* readToEnd(connection))).toBe("kept")
    }))

  scenario("the bytes of an interrupted write still arrive, before those of the next", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      const writing = yield* Effect.fork(connection.write(tooMuch))
      yield* Loopback.turns(10)
      yield* Loopback.within("the interruption", Fiber.interrupt(writing))
      const finishing = yield* Effect.fork(Effect.zipRight(connection.write("after"), connection.end))
      const received = yield* peer.readToEnd
      expectSame(received.subarray(0, tooMuch.length), tooMuch)
      expect(Loopback.text(received.subarray(tooMuch.length))).toBe("after")
      yield* Fiber.join(finishing)
    }))

  scenario("writes of several fibers are each sent whole", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      const writing = yield* Effect.fork(Effect.zipRight(
        Effect.forEach([1, 2, 3, 4], (byte) => connection.write(new Uint8Array(MiB).fill(byte)), {
          concurrency: "unbounded"
        }),
        connection.end
      ))
      const received = yield* peer.readToEnd
      yield* Fiber.join(writing)
      expect(received.length).toBe(4 * MiB)
      const seen = [0, 1, 2, 3].map((i) => received.subarray(i * MiB, (i + 1) * MiB))
      expect(seen.map((part) => part.every((byte) => byte === part[0]))).toEqual([true, true, true, true])
      expect(new Set(seen.map((part) => part[0]))).toEqual(new Set([1, 2, 3, 4]))
    }))

  scenario("belongs to its scope, which closes it", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen(at())
      const scope = yield* Scope.make()
      const connection = yield* Scope.extend(connect(listener.address), scope)
      const peer = yield* listener.accept
      yield* connection.write("last words")
      yield* Scope.close(scope, Exit.void)
      expect((yield* connection.lost).reason).toBe("End")
      expect(Loopback.text(yield* peer.readToEnd)).toBe("last words")
      expect(yield* peer.closed).toBe("closed")
    }))

  scenario("a read that waits when it is closed fails with the end", () =>
    Effect.gen(function*() {
      const { connection } = yield* pair(at())
      const reading = yield* Effect.fork(lostTo(connection.read))
      yield* Loopback.turn
      yield* connection.close()
      expect((yield* Loopback.within("the read", Fiber.join(reading))).reason).toBe("End")
    }))

  scenario("the sink writes all that a stream gives it and leaves the connection open", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* Stream.run(Stream.make("a", new Uint8Array([98]), "c"), connection.sink)
      yield* connection.write("d")
      expect(Loopback.text(yield* peer.read(4))).toBe("abcd")
    }))

  scenario("an end that waits for a slow peer is not cut short by the peer's own end", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      const sending = yield* Effect.fork(connection.write(tooMuch))
      yield* Loopback.turns(10)
      const ending = yield* Effect.fork(connection.end)
      yield* peer.end
      expect(yield* connection.read).toEqual(Option.none())
      expectSame(yield* peer.readToEnd, tooMuch)
      expect([peer.ended, peer.outcome]).toEqual([true, undefined])
      yield* Loopback.within("the write", Fiber.join(sending))
      yield* Loopback.within("the end", Fiber.join(ending))
      expect((yield* connection.lost).reason).toBe("End")
    }))

  scenario("a close while an end still waits for a slow peer loses nothing", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* Effect.fork(connection.write(tooMuch))
      yield* Loopback.turns(10)
      yield* Effect.fork(connection.end)
      yield* Loopback.turns(10)
      const closing = yield* Effect.fork(connection.close())
      expectSame(yield* peer.readToEnd, tooMuch)
      expect(peer.ended).toBe(true)
      yield* Loopback.within("the close", Fiber.join(closing))
      expect((yield* connection.lost).reason).toBe("End")
    }))

  scenario("an interrupted end still ends the connection once everything is sent", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      yield* Effect.fork(connection.write(tooMuch))
      yield* Loopback.turns(10)
      const ending = yield* Effect.fork(connection.end)
      yield* Loopback.turns(10)
      yield* Loopback.within("the interruption", Fiber.interrupt(ending))
      expectSame(yield* peer.readToEnd, tooMuch)
      expect(peer.ended).toBe(true)
      yield* peer.end
      expect(yield* connection.read).toEqual(Option.none())
      expect((yield* Loopback.within("the end", connection.lost)).reason).toBe("End")
    }))

  scenario("abort right after end closes the descriptor all the same", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      const before = Loopback.openSockets().size
      yield* connection.write("x")
      const ending = yield* Effect.fork(connection.end)
      yield* Effect.yieldNow()
      yield* connection.abort
      expect(Loopback.openSockets().size).toBe(before - 1)
      yield* Loopback.within("the end", Fiber.await(ending))
      yield* peer.closed
    }))

  scenario("bytes that came just before their read was interrupted go to the next read", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair(at())
      // A reader whose fiber runs only when told, so that bytes and interruption can both wait for it.
      const scheduler = new Scheduler.ControlledScheduler()
      const arrival = { tasks: 0 }
      const scheduleTask = scheduler.scheduleTask.bind(scheduler)
      scheduler.scheduleTask = (task, priority) => {
        arrival.tasks += 1
        scheduleTask(task, priority)
      }
      const reading = yield* Effect.forkDaemon(Effect.withScheduler(connection.read, scheduler))
      yield* Loopback.turns(5)
      scheduler.step()
      yield* Loopback.turns(5)
      scheduler.step()
      const before = arrival.tasks
      yield* peer.write("kept")
      yield* Loopback.until("the bytes to arrive", () => arrival.tasks > before)
      yield* Fiber.interruptAsFork(reading, FiberId.none)
      yield* Loopback.turns(5)
      scheduler.step()
      const exit = yield* Loopback.within("the reader", Fiber.await(reading))
      const first = Exit.match(exit, {
        onFailure: () => "",
        onSuccess: (bytes) => Option.match(bytes, { onNone: () => "", onSome: Loopback.text })
      })
      yield* peer.end
      expect(first + Loopback.text(yield* readToEnd(connection))).toBe("kept")
    }))

  scenario("carries 8 MiB both ways at once, sliced at random, byte for byte", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 2_000, max: 700_000 }), { minLength: 1, maxLength: 8 }),
          fc.integer({ min: 1, max: 1000 }),
          (sizes, seed) => {
            const sent = pattern(8 * MiB, seed)
            return Effect.runPromise(Loopback.leavesNoSocket(
              Effect.scoped(Effect.gen(function*() {
                const listener = yield* Loopback.echo(at())
                const connection = yield* connect(listener.address)
                const [received] = yield* Effect.all([
                  readToEnd(connection),
                  Effect.zipRight(
                    Effect.forEach(slices(sent, sizes), (slice) => connection.write(slice)),
                    connection.end
                  )
                ], { concurrency: "unbounded" })
                expectSame(received, sent)
                expect((yield* Loopback.within("the end", connection.lost)).reason).toBe("End")
              })).pipe(Effect.provide(NodeTransport.layer))
            ))
          }
        ),
        { numRuns: 4 }
      )
    ))
})

/** Consecutive slices, of the sizes in turn. */
const slices = (bytes: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const result: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    const size = sizes[result.length % sizes.length] ?? bytes.length
    result.push(bytes.subarray(at, at + size))
    at += size
  }
  return result
}

// -----------------------------------------------------------------------------
// what only TCP has: resets, options, kernel states
// -----------------------------------------------------------------------------

describe("a TCP connection", () => {
  scenario(
    "that the peer resets while a read waits is lost to the reset, for every read and write from then on",
    () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* pair()
        const reading = yield* Effect.fork(lostTo(connection.read))
        yield* Loopback.turn
        yield* peer.reset
        const lost = yield* Loopback.within("the loss", connection.lost)
        expect([lost.reason, lost.code]).toEqual(["Reset", "ECONNRESET"])
        expect(yield* Fiber.join(reading)).toBe(lost)
        expect(yield* lostTo(connection.read)).toBe(lost)
        expect(yield* lostTo(connection.write("x"))).toBe(lost)
        expect(yield* lostTo(Stream.runDrain(connection.stream))).toBe(lost)
        expect(yield* lostTo(connection.end)).toBe(lost)
        yield* connection.close()
        expect(yield* connection.lost).toBe(lost)
      })
  )

  scenario(
    "that a server resets at once is told as a reset, whether that came before or after it was connected",
    () =>
      Effect.gen(function*() {
        const { address } = yield* Loopback.resetter()
        const failure = yield* Effect.flip(
          Effect.flatMap(connect(address), (connection) => Effect.forever(connection.read))
        )
        expect(failure.reason).toBe("Reset")
      })
  )

  scenario("that is reset fails the next writes, if nobody reads", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair()
      yield* peer.reset
      expect((yield* lostTo(Effect.forever(Effect.zipRight(connection.write("x"), Loopback.turn)))).reason).toBe(
        "Reset"
      )
      expect((yield* connection.lost).reason).toBe("Reset")
    }))

  it.live.each([1, 1000, 65_536, 100_000])(
    "that is reset after %i bytes gives those and then the reset, never an end",
    (size) =>
      run(Effect.gen(function*() {
        const { connection, peer } = yield* pair()
        yield* peer.write(pattern(size))
        yield* peer.reset
        yield* Loopback.turns(5)
        const lost = yield* lostTo(Stream.runDrain(connection.stream))
        expect(lost.reason).toBe("Reset")
        expect(connection.bytesRead).toBe(size)
      }))
  )

  scenario(
    "that is reset after its own end and the peer's last bytes is told as a reset too",
    () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* pair()
        yield* connection.end
        yield* peer.write("half an ans")
        yield* peer.reset
        yield* Loopback.turns(5)
        expect(yield* readText(connection)).toBe("half an ans")
        expect((yield* lostTo(connection.read)).reason).toBe("Reset")
      })
  )

  scenario("that is reset while nobody reads or writes troubles nobody until then", () =>
    Effect.gen(function*() {
      const uncaught: Array<unknown> = []
      const note = (error: unknown) => uncaught.push(error)
      yield* Effect.acquireRelease(
        Effect.sync(() => process.on("uncaughtExceptionMonitor", note)),
        () => Effect.sync(() => process.off("uncaughtExceptionMonitor", note))
      )
      const { connection, peer } = yield* pair()
      yield* connection.write("x")
      yield* peer.reset
      yield* Loopback.turns(100)
      expect(uncaught).toEqual([])
      expect((yield* lostTo(connection.read)).reason).toBe("Reset")
      expect(uncaught).toEqual([])
    }))

  scenario(
    "that is reset during a pending write fails that write and all that wait behind it",
    () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* pair()
        const writing = yield* Effect.fork(Effect.all([
          lostTo(connection.write(tooMuch)),
          lostTo(connection.write("behind")),
          lostTo(connection.end)
        ], { concurrency: "unbounded" }))
        expect(yield* isPending(writing)).toBe(true)
        yield* peer.reset
        const losses = yield* Loopback.within("the writes", Fiber.join(writing))
        expect(losses.map(({ reason }) => reason)).toEqual(["Reset", "Reset", "Reset"])
        expect((yield* connection.lost).reason).toBe("Reset")
      })
  )

  scenario(
    "that the peer ended and then broke off has a clean end to read, and fails the next write",
    () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* pair()
        yield* peer.end
        expect(yield* connection.read).toEqual(Option.none())
        peer.socket.destroy()
        const lost = yield* lostTo(
          Effect.forever(Effect.zipRight(connection.write("x"), Loopback.turn))
        )
        expect(lost.reason).toBe("Reset")
        expect(yield* connection.read).toEqual(Option.none())
      })
  )

  scenario("shows the peer ECONNRESET when it is aborted", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair()
      yield* connection.abort
      expect(yield* peer.closed).toBe("ECONNRESET")
    }))

  scenario("shows the peer ECONNRESET when the flush deadline of a close passes", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair()
      yield* Effect.fork(Effect.ignore(connection.write(tooMuch)))
      yield* Loopback.turns(10)
      yield* connection.close({ flushTimeout: 0 })
      expect(yield* peer.closed).toBe("ECONNRESET")
    }))

  scenario("has no descriptor any more as soon as abort is done", () =>
    Effect.gen(function*() {
      const { address, connection } = yield* pair()
      const before = Loopback.openSockets().size
      yield* connection.abort
      expect(Loopback.openSockets().size).toBe(before - 1)
      expect(
        Loopback.tcpRows(Loopback.portNumber(address)).filter(({ state }) =>
          state !== "LISTEN" && state !== "ESTABLISHED"
        )
      )
        .toEqual([])
    }))

  scenario(
    "that ends and reads to None before it closes delivers all it wrote, though the peer was talking",
    () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* pair()
        yield* peer.write(pattern(MiB / 8))
        const sending = yield* Effect.fork(Effect.zipRight(connection.write(pattern(MiB)), connection.end))
        const receiving = yield* Effect.fork(Effect.zipRight(readToEnd(connection), connection.close()))
        expectSame(yield* peer.readToEnd, pattern(MiB))
        yield* peer.end
        yield* Loopback.within("the end of both halves", Fiber.join(Fiber.zip(sending, receiving)))
        expect((yield* connection.lost).reason).toBe("End")
      })
  )

  scenario("that a server half-closes at once still carries the client's half", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.halfCloser("go away")
      const connection = yield* connect(listener.address)
      const peer = yield* listener.accept
      expect(Loopback.text(yield* readToEnd(connection))).toBe("go away")
      yield* connection.write("one more thing")
      yield* connection.end
      expect(Loopback.text(yield* peer.readToEnd)).toBe("one more thing")
      expect((yield* connection.lost).reason).toBe("End")
    }))

  scenario("probes an idle peer when keepAlive is asked for, and does not otherwise", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen()
      const timerOf = (connection: Connection.Connection) =>
        Loopback.tcpRows(Loopback.portNumber(connection.localAddress)).find((row) =>
          row.localPort === Loopback.portNumber(connection.localAddress) && row.state === "ESTABLISHED"
        )
      const plain = yield* connect(listener.address)
      expect(timerOf(plain)?.timer).toBe("none")
      const probing = yield* connect(listener.address, { keepAlive: "30 seconds" })
      expect(timerOf(probing)?.timer).toBe("keepalive")
      expect(Math.ceil(timerOf(probing)?.timerSeconds ?? 0)).toBe(30)
      const short = yield* connect(listener.address, { keepAlive: "500 millis" })
      expect(timerOf(short)?.timer).toBe("keepalive")
      expect(Math.ceil(timerOf(short)?.timerSeconds ?? 0)).toBe(1)
      const system = yield* connect(listener.address, { keepAlive: 0 })
      expect(timerOf(system)?.timer).toBe("keepalive")
      const seconds = Number(fs.readFileSync("/proc/sys/net/ipv4/tcp_keepalive_time", "utf8"))
      expect(Math.ceil(timerOf(system)?.timerSeconds ?? 0)).toBe(seconds)
    }))

  scenario("sends small writes at once unless told to gather them", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen()
      const set = yield* noDelayCalls
      yield* connect(listener.address)
      expect(set.splice(0)).toEqual([true])
      yield* connect(listener.address, { noDelay: true })
      expect(set.splice(0)).toEqual([true])
      yield* connect(listener.address, {})
      expect(set.splice(0)).toEqual([true])
      yield* connect(listener.address, { noDelay: false })
      expect(set).not.toContain(true)
    }))
})

/** Node has no getsockopt: listen to what Node's binding is told to set. */
const noDelayCalls: Effect.Effect<Array<unknown>, never, Scope.Scope> = Effect.gen(function*() {
  const { address } = yield* Loopback.listen()
  const probe = yield* Loopback.rawConnect({ host: "127.0.0.1", port: Loopback.portNumber(address) })
  const binding: { setNoDelay: (on: boolean) => number } = Object.getPrototypeOf(Reflect.get(probe, "_handle"))
  const { setNoDelay } = binding
  const calls: Array<unknown> = []
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      binding.setNoDelay = function(this: unknown, on) {
        calls.push(on)
        return setNoDelay.call(this, on)
      }
    }),
    () =>
      Effect.sync(() => {
        binding.setNoDelay = setNoDelay
      })
  )
  return calls
})

describe("lost", () => {
  scenario("tells every one who waits, and stops telling one who was interrupted", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair()
      const told = yield* Deferred.make<string>()
      const gone = yield* Effect.fork(connection.lost)
      const first = yield* Effect.fork(connection.lost)
      yield* Effect.fork(Effect.flatMap(connection.lost, ({ reason }) => Deferred.succeed(told, reason)))
      yield* Loopback.turn
      yield* Fiber.interrupt(gone)
      yield* peer.end
      yield* connection.read
      yield* connection.end
      expect((yield* Loopback.within("the loss", Fiber.join(first))).reason).toBe("End")
      expect(yield* Loopback.within("the loss", Deferred.await(told))).toBe("End")
    }))

  scenario("of a connection whose reader waits comes without anyone else's help", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair()
      const lost = yield* Effect.fork(connection.lost)
      yield* Effect.fork(Effect.ignore(connection.read))
      yield* Loopback.turn
      yield* peer.reset
      expect((yield* Loopback.within("the loss", Fiber.join(lost))).reason).toBe("Reset")
    }))
})

describe("leavesNoSocket, on which every test here relies,", () => {
  it.live("notices a socket that is left", () =>
    Effect.gen(function*() {
      const socket = yield* Effect.scoped(Effect.gen(function*() {
        const { address } = yield* Loopback.listen()
        const before = Loopback.openSockets()
        const socket = net.connect(Loopback.portNumber(address), "127.0.0.1")
        yield* Loopback.until("it to connect", () => !socket.connecting)
        expect([...Loopback.openSockets()].filter((name) => !before.has(name)).length).toBeGreaterThan(0)
        return socket
      }))
      socket.destroy()
    }))
})
