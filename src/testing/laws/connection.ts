/**
 * The laws of a Connection, over any Transport: no byte lost, doubled or reordered; backpressure both ways; halves that
 * end apart; one reason for the end.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { PCGRandom } from "effect/Utils"
import type { Connection } from "../../Connection.js"
import type { ConnectionLost } from "../../DialError.js"
import type { Transport } from "../../Transport.js"
import * as Behaviour from "../Behaviour.js"
import {
  Arena,
  concat,
  connect,
  connectTo,
  dies,
  errorOf,
  holds,
  type Law,
  law,
  pattern,
  readSome,
  readToEnd,
  same,
  sameBytes,
  waits
} from "./Law.js"

const text = (bytes: Option.Option<Uint8Array>): string =>
  Option.match(bytes, { onNone: () => "the end", onSome: (bytes) => new TextDecoder().decode(bytes) })

/** More than any window and kernel buffer between two ends. */
const more = 16 * 1024 * 1024

/** Tells when asked to read, reads all, and then ends. */
const gated = (gate: Deferred.Deferred<void>, seen: Deferred.Deferred<Uint8Array>) => (connection: Connection) =>
  Effect.zipRight(
    Deferred.await(gate),
    Effect.flatMap(readToEnd(connection), (bytes) => Deferred.succeed(seen, bytes))
  )

/** Neither reads nor writes until the gate opens; then it reads to the end, or finds out that it is lost. */
const deaf = (gate: Deferred.Deferred<void>) => (connection: Connection) =>
  Effect.zipRight(Deferred.await(gate), readToEnd(connection))

/** The pieces of `bytes` at places drawn from a seed. */
const slices = (bytes: Uint8Array, seed: number, most: number): ReadonlyArray<Uint8Array> => {
  const random = new PCGRandom(seed)
  const pieces: Array<Uint8Array> = []
  for (let from = 0; from < bytes.length;) {
    const size = 1 + random.integer(most)
    pieces.push(bytes.subarray(from, from + size))
    from += size
  }
  return pieces
}

const writeAll = (connection: Connection, pieces: ReadonlyArray<Uint8Array>): Effect.Effect<void, ConnectionLost> =>
  Effect.forEach(pieces, (piece) => connection.write(piece), { discard: true })

/** Every law that reads and writes. */
const carrying: ReadonlyArray<Law<Transport | Arena>> = [
  ...(["tcp", "unix"] as const).map((kind) =>
    law(`what is written arrives, whole and in order (${kind})`, () =>
      Effect.gen(function*() {
        const connection = yield* connectTo(Behaviour.echo, kind)
        const sent = pattern(100_000)
        const [received] = yield* Effect.all(
          [readToEnd(connection), Effect.zipRight(connection.write(sent), connection.end)],
          { concurrency: 2 }
        )
        yield* sameBytes(received, sent)
      }))
  ),

  law("text is written as UTF-8", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      yield* connection.write("Grüße, 世界")
      yield* connection.end
      yield* same("echo", new TextDecoder().decode(yield* readToEnd(connection)), "Grüße, 世界")
    })),

  ...[1, 7, 100, 1460, 70_000].map((most) =>
    law(`no byte is lost, doubled or reordered when written in pieces of up to ${most}`, () =>
      Effect.gen(function*() {
        const connection = yield* connectTo(Behaviour.echo)
        const sent = pattern(Math.min(300_000, most * 1000))
        const [received] = yield* Effect.all(
          [readToEnd(connection), Effect.zipRight(writeAll(connection, slices(sent, most, most)), connection.end)],
          { concurrency: 2 }
        )
        yield* sameBytes(received, sent)
      }))
  ),

  law("a megabyte in each direction at once gets through", () =>
    Effect.gen(function*() {
      const sent = pattern(1_000_000)
      const back = pattern(1_000_000, 77)
      const got = yield* Deferred.make<Uint8Array>()
      const connection = yield* connectTo((peer) =>
        Effect.all([
          Effect.zipRight(peer.write(back), peer.end),
          Effect.flatMap(readToEnd(peer), (bytes) => Deferred.succeed(got, bytes))
        ], { concurrency: 2 })
      )
      const [received] = yield* Effect.all(
        [readToEnd(connection), Effect.zipRight(connection.write(sent), connection.end)],
        { concurrency: 2 }
      )
      yield* sameBytes(received, back)
      yield* sameBytes(yield* Deferred.await(got), sent)
    })),

  law("writers at the same time never interleave inside a write", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      const size = 50_000
      const writers = Effect.forEach(
        [1, 2, 3, 4],
        (value) => connection.write(new Uint8Array(size).fill(value)),
        { concurrency: "unbounded", discard: true }
      )
      const [received] = yield* Effect.all(
        [readToEnd(connection), Effect.zipRight(writers, connection.end)],
        { concurrency: 2 }
      )
      yield* same("length", received.length, 4 * size)
      for (const index of [0, 1, 2, 3]) {
        const part = received.subarray(index * size, (index + 1) * size)
        yield* holds(part.every((byte) => byte === part[0]), `write ${index} is not in one piece`)
      }
    })),

  law("a write of nothing is done at once and sends nothing", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      yield* connection.write(new Uint8Array(0))
      yield* connection.write("x")
      yield* same("echo", text(yield* connection.read), "x")
    })),

  law("a writer is suspended while the way is full, and goes on when the peer reads", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const gate = yield* Deferred.make<void>()
      const seen = yield* Deferred.make<Uint8Array>()
      const connection = yield* connectTo(gated(gate, seen))
      const sent = pattern(more)
      const writing = yield* Effect.fork(connection.write(sent))
      yield* settle
      yield* waits("the write", writing)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(writing)
      yield* connection.end
      yield* sameBytes(yield* Deferred.await(seen), sent)
    })),

  law("a writer that stops waiting has still handed its bytes over", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const gate = yield* Deferred.make<void>()
      const seen = yield* Deferred.make<Uint8Array>()
      const connection = yield* connectTo(gated(gate, seen))
      const sent = pattern(more)
      const writing = yield* Effect.fork(connection.write(sent))
      yield* settle
      yield* Fiber.interrupt(writing)
      yield* Deferred.succeed(gate, undefined)
      yield* connection.write("end")
      yield* connection.end
      yield* sameBytes(yield* Deferred.await(seen), concat([sent, new TextEncoder().encode("end")]))
    })),

  law("a slow reader loses nothing: what nobody asks for waits", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const sent = pattern(500_000)
      const connection = yield* connectTo((peer) => Effect.zipRight(peer.write(sent), peer.end))
      yield* settle
      const first = yield* readSome(connection, 1)
      yield* settle
      yield* sameBytes(concat([first, yield* readToEnd(connection)]), sent)
    })),

  law("while nobody reads, the peer cannot write for ever", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      let taken = 0
      const connection = yield* connectTo((peer) =>
        Effect.forever(Effect.tap(peer.write(new Uint8Array(65_536)), () => {
          taken += 65_536
        }))
      )
      yield* settle
      yield* settle
      yield* holds(taken < more, `the peer has written ${taken} bytes`)
      yield* connection.abort
    })),

  law("interrupting a read loses no byte", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      const reading = yield* Effect.fork(connection.read)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(reading)
      yield* connection.write("hello")
      yield* same("echo", text(yield* connection.read), "hello")
    })),

  law("a read interrupted as its bytes come leaves them to the next", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const connection = yield* connectTo(Behaviour.echo)
      const sent = pattern(200)
      const received: Array<Uint8Array> = []
      for (const byte of sent) {
        const reading = yield* Effect.fork(connection.read)
        yield* connection.write(Uint8Array.of(byte))
        if (byte % 3 === 0) yield* settle
        const exit = yield* Fiber.interrupt(reading)
        if (exit._tag === "Success" && Option.isSome(exit.value)) received.push(exit.value.value)
      }
      yield* connection.end
      received.push(yield* readToEnd(connection))
      yield* sameBytes(concat(received), sent)
    })),

  law("bytes are counted, those read and those written", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      yield* connection.write("hello")
      yield* connection.write("you")
      yield* readSome(connection, 8)
      yield* same("written", connection.bytesWritten, 8)
      yield* same("read", connection.bytesRead, 8)
    })),

  law("the stream gives everything and ends with the peer", () =>
    Effect.gen(function*() {
      const sent = pattern(200_000)
      const connection = yield* connectTo((peer) => Effect.zipRight(peer.write(sent), peer.end))
      yield* sameBytes(concat([...yield* Stream.runCollect(connection.stream)]), sent)
    })),

  law("the sink writes everything and does not end the connection", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      yield* Stream.run(Stream.make("one ", "two "), connection.sink)
      yield* connection.write("three")
      yield* connection.end
      yield* same("echo", new TextDecoder().decode(yield* readToEnd(connection)), "one two three")
    })),

  law("a second reader at the same time is a defect, and the first is not disturbed", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      const first = yield* Effect.fork(connection.read)
      yield* Effect.yieldNow()
      yield* dies("the second read", connection.read)
      yield* connection.write("hello")
      yield* same("echo", text(yield* Fiber.join(first)), "hello")
    }))
]

/** Every law about how it ends. */
const ending: ReadonlyArray<Law<Transport | Arena>> = [
  law("the reader sees the peer's end, and sees it again whenever it asks", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo((peer) => Effect.zipRight(peer.write("hello"), peer.end))
      yield* same("bytes", new TextDecoder().decode(yield* readToEnd(connection)), "hello")
      yield* same("again", text(yield* connection.read), "the end")
      yield* same("and again", text(yield* connection.read), "the end")
    })),

  law("the peer's end is no loss: this side goes on writing", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<Uint8Array>()
      const connection = yield* connectTo((peer) =>
        Effect.zipRight(peer.end, Effect.flatMap(readToEnd(peer), (bytes) => Deferred.succeed(seen, bytes)))
      )
      yield* same("read", text(yield* connection.read), "the end")
      const losing = yield* Effect.fork(connection.lost)
      yield* connection.write("still here")
      yield* waits("the loss", losing)
      yield* connection.end
      yield* same("seen", new TextDecoder().decode(yield* Deferred.await(seen)), "still here")
    })),

  law("this side's end is no loss: reading goes on", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo((peer) =>
        Effect.flatMap(readToEnd(peer), (bytes) => Effect.zipRight(peer.write(`${bytes.length} bytes`), peer.end))
      )
      yield* connection.write("hello")
      yield* connection.end
      yield* same("answer", text(yield* connection.read), "5 bytes")
      yield* same("then", text(yield* connection.read), "the end")
    })),

  law("a second end is a no-op", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      yield* connection.end
      yield* connection.end
      yield* same("read", text(yield* connection.read), "the end")
      yield* connection.end
    })),

  law("when both halves have ended the connection is over, and closed, with reason End", () =>
    Effect.gen(function*() {
      const { quiet } = yield* Arena
      const connection = yield* connectTo((peer) => Effect.zipRight(peer.end, readToEnd(peer)))
      yield* same("read", text(yield* connection.read), "the end")
      yield* connection.end
      yield* same("reason", (yield* connection.lost).reason, "End")
      yield* quiet
    })),

  law("whichever half ends last, the connection is over", () =>
    Effect.gen(function*() {
      const { quiet } = yield* Arena
      const connection = yield* connectTo(Behaviour.echo)
      yield* connection.end
      yield* same("read", text(yield* connection.read), "the end")
      yield* same("reason", (yield* connection.lost).reason, "End")
      yield* quiet
    })),

  law("an end that waits for a slow peer is not cut short by the peer's own end", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const gate = yield* Deferred.make<void>()
      const seen = yield* Deferred.make<Uint8Array>()
      const sent = pattern(more)
      const connection = yield* connectTo((peer) => Effect.zipRight(peer.end, gated(gate, seen)(peer)))
      const writing = yield* Effect.fork(Effect.zipRight(connection.write(sent), connection.end))
      yield* settle
      yield* same("read", text(yield* connection.read), "the end")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(writing)
      yield* sameBytes(yield* Deferred.await(seen), sent)
    })),

  law("a write after end is a defect", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.discard)
      yield* connection.end
      yield* dies("the write", connection.write("x"))
    })),

  law("abort: the peer sees a reset, this side's reason is Aborted", () =>
    Effect.gen(function*() {
      const reason = yield* Deferred.make<string>()
      const connection = yield* connectTo((peer) =>
        Effect.tapError(Effect.zipRight(peer.write("x"), readToEnd(peer)), (lost) =>
          Deferred.succeed(reason, lost.reason))
      )
      yield* connection.read
      yield* connection.abort
      yield* same("here", (yield* connection.lost).reason, "Aborted")
      yield* same("there", yield* Deferred.await(reason), "Reset")
    })),

  law("abort does not wait for what is unsent", () =>
    Effect.gen(function*() {
      const { quiet, settle } = yield* Arena
      const gate = yield* Deferred.make<void>()
      const connection = yield* connectTo(deaf(gate))
      const writing = yield* Effect.fork(connection.write(new Uint8Array(more)))
      yield* settle
      yield* waits("the write", writing)
      yield* connection.abort
      yield* same("write", (yield* errorOf("the write", Fiber.join(writing))).reason, "Aborted")
      yield* Deferred.succeed(gate, undefined)
      yield* quiet
    })),

  law("abort wins over a close that flushes", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const connection = yield* connectTo(deaf(yield* Deferred.make<void>()))
      const writing = yield* Effect.fork(Effect.ignore(connection.write(new Uint8Array(more))))
      yield* settle
      const closing = yield* Effect.fork(connection.close({ flushTimeout: "1 hour" }))
      yield* settle
      yield* waits("the close", closing)
      yield* connection.abort
      yield* Fiber.join(closing)
      yield* Fiber.join(writing)
      yield* same("reason", (yield* connection.lost).reason, "Aborted")
    })),

  law("close delivers what was written", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<Uint8Array>()
      const connection = yield* connectTo((peer) =>
        Effect.flatMap(readToEnd(peer), (bytes) => Deferred.succeed(seen, bytes))
      )
      const sent = pattern(300_000)
      const writing = yield* Effect.fork(connection.write(sent))
      yield* Effect.yieldNow()
      yield* connection.close()
      yield* Fiber.join(writing)
      yield* sameBytes(yield* Deferred.await(seen), sent)
      yield* same("reason", (yield* connection.lost).reason, "End")
    })),

  law("close aborts what is not flushed in its time", () =>
    Effect.gen(function*() {
      const { quiet, settle } = yield* Arena
      const gate = yield* Deferred.make<void>()
      const connection = yield* connectTo(deaf(gate))
      const writing = yield* Effect.fork(Effect.ignore(connection.write(new Uint8Array(more))))
      yield* settle
      yield* connection.close({ flushTimeout: "20 millis" })
      yield* Fiber.join(writing)
      yield* same("reason", (yield* connection.lost).reason, "Aborted")
      yield* Deferred.succeed(gate, undefined)
      yield* quiet
    })),

  law("closing again, or aborting after it, changes nothing", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      yield* connection.close()
      yield* connection.close()
      yield* connection.abort
      yield* same("reason", (yield* connection.lost).reason, "End")
    })),

  law("the peer sees the end when the Scope closes", () =>
    Effect.gen(function*() {
      const { listen } = yield* Arena
      const seen = yield* Deferred.make<Uint8Array>()
      const address = yield* listen("tcp", (peer) =>
        Effect.flatMap(readToEnd(peer), (bytes) => Deferred.succeed(seen, bytes)))
      yield* Effect.scoped(Effect.flatMap(connect(address), (connection) =>
        connection.write("bye")))
      yield* same("seen", new TextDecoder().decode(yield* Deferred.await(seen)), "bye")
    })),

  law("a peer's reset is told to the read that waits, and is the reason of the loss", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo((peer) => Effect.zipRight(peer.read, peer.abort))
      const reading = yield* Effect.fork(connection.read)
      yield* Effect.yieldNow()
      yield* connection.write("x")
      yield* same("read", (yield* errorOf("the read", Fiber.join(reading))).reason, "Reset")
      yield* same("lost", (yield* connection.lost).reason, "Reset")
    })),

  law("a peer's reset is told to the write that waits", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const gate = yield* Deferred.make<void>()
      const connection = yield* connectTo((peer) => Effect.zipRight(Deferred.await(gate), peer.abort))
      const writing = yield* Effect.fork(connection.write(new Uint8Array(more)))
      yield* settle
      yield* waits("the write", writing)
      yield* Deferred.succeed(gate, undefined)
      yield* same("write", (yield* errorOf("the write", Fiber.join(writing))).reason, "Reset")
    })),

  ...[1, 1000, 65_536, 100_000].map((size) =>
    law(`a peer that sends ${size} bytes and resets is never taken for one that ends`, () =>
      Effect.gen(function*() {
        const { settle } = yield* Arena
        const sent = pattern(size)
        const connection = yield* connectTo((peer) =>
          Effect.zipRight(peer.write(sent), Effect.zipRight(settle, peer.abort))
        )
        const chunks: Array<Uint8Array> = []
        const lost = yield* errorOf(
          "reading to the end",
          Effect.forever(Effect.flatMap(connection.read, (bytes) =>
            Option.isNone(bytes) ? Effect.interrupt : Effect.sync(() =>
              chunks.push(bytes.value)
            )))
        )
        yield* same("reason", lost.reason, "Reset")
        const received = concat(chunks)
        yield* sameBytes(received, sent.subarray(0, received.length))
      }))
  ),

  law("a peer that closes and is written to is found out as reset", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const connection = yield* connectTo(Behaviour.close)
      yield* same("read", text(yield* connection.read), "the end")
      const lost = yield* errorOf("writing on", Effect.forever(Effect.zipRight(connection.write("x"), settle)))
      yield* same("reason", lost.reason, "Reset")
    })),

  law("after a loss, reads and writes fail with the one reason", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      yield* connection.abort
      const lost = yield* connection.lost
      yield* same("read", (yield* errorOf("the read", connection.read)).reason, lost.reason)
      yield* same("lost again", (yield* connection.lost).reason, lost.reason)
    })),

  law("everybody who waits for the loss gets it", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo((peer) => Effect.zipRight(peer.read, peer.abort))
      const waiting = yield* Effect.fork(Effect.all([connection.lost, connection.lost], { concurrency: 2 }))
      yield* connection.write("x")
      yield* errorOf(
        "reading on",
        Effect.forever(Effect.filterOrElse(connection.read, Option.isSome, () => Effect.interrupt))
      )
      yield* same("reasons", (yield* Fiber.join(waiting)).map(({ reason }) => reason), ["Reset", "Reset"])
    })),

  law("addresses survive the close", () =>
    Effect.gen(function*() {
      const connection = yield* connectTo(Behaviour.echo)
      const before = `${connection.localAddress} ${connection.remoteAddress}`
      yield* connection.close()
      yield* same("addresses", `${connection.localAddress} ${connection.remoteAddress}`, before)
    })),

  law("a failure in the code that uses a connection does not prevent its cleanup", () =>
    Effect.gen(function*() {
      const { listen, quiet } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      yield* Effect.exit(Effect.scoped(Effect.zipRight(connect(address), Effect.fail("oops"))))
      yield* Effect.exit(Effect.scoped(Effect.zipRight(connect(address), Effect.die("a bug"))))
      yield* quiet
    }))
]

/**
 * What every connection owes, whatever Transport it came from.
 *
 * @since 0.1.0
 * @category laws
 */
export const connection: ReadonlyArray<Law<Transport | Arena>> = [...carrying, ...ending]
