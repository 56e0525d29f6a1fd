/**
 * A connection's socket in other hands: what TLS and Node's streams stand on.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import * as Attempt from "../../src/Attempt.js"
import * as Connection from "../../src/Connection.js"
import type { ConnectionLost } from "../../src/DialError.js"
import { isTakeable, type Receiver, taken, type TakenSocket } from "../../src/node/internal/taken.js"
import * as NodeTransport from "../../src/node/NodeTransport.js"
import * as SocketOptions from "../../src/SocketOptions.js"
import type { Transport } from "../../src/Transport.js"
import * as Loopback from "../support/loopback.js"
import { Held } from "../support/steps.js"

const scenario = (name: string, self: () => Effect.Effect<void, unknown, Scope.Scope | Transport>) =>
  it.live(name, () => Loopback.leavesNoSocket(Effect.scoped(Effect.provide(self(), NodeTransport.layer))))

const pair = Effect.gen(function*() {
  const listener = yield* Loopback.listen()
  const connection = yield* Attempt.connect({
    socketType: "stream",
    address: listener.address,
    options: SocketOptions.defaults
  })
  return { connection, peer: yield* listener.accept }
})

/** Keeps what it is told. */
class Kept implements Receiver {
  readonly chunks: Array<Uint8Array> = []
  ended = false
  loss: ConnectionLost | undefined

  bytes(bytes: Uint8Array): boolean {
    this.chunks.push(bytes)
    return false
  }

  end(): void {
    this.ended = true
  }

  lost(lost: ConnectionLost): void {
    this.loss = lost
  }

  get text(): string {
    return Loopback.text(Loopback.concat(this.chunks))
  }
}

const socketOf = (connection: Connection.Connection, receiver?: Receiver): TakenSocket => {
  const { handle } = Connection.take(connection)
  if (!isTakeable(handle)) throw new Error("the handle is not Node's")
  const socket = handle[taken](receiver)
  if (socket === undefined) throw new Error("the socket is dead")
  return socket
}

const isDefect = (exit: Exit.Exit<unknown, unknown>): boolean => Exit.isFailure(exit) && Cause.isDie(exit.cause)

describe("a connection whose socket was taken", () => {
  scenario(
    "gives away what it had read and nobody took, and then all that comes, a chunk a pull",
    () =>
      Effect.gen(function*() {
        const { connection, peer } = yield* pair
        // A read that is interrupted after its bytes came and before it could take them: they are the next reader's.
        const held = new Held()
        const reading = yield* Effect.fork(Effect.withScheduler(connection.read, held))
        held.run()
        yield* peer.write("one ")
        yield* Loopback.until("the read to be told of its bytes", () => held.waiting)
        yield* Fiber.interruptFork(reading)
        yield* Effect.yieldNow()
        held.run()
        yield* Loopback.until("the read to be over", () => {
          held.run()
          return reading.unsafePoll() !== null
        })
        const kept = new Kept()
        const { pull, unread } = socketOf(connection, kept)
        expect(Loopback.text(unread ?? new Uint8Array(0))).toBe("one ")
        yield* peer.write("two ")
        yield* Loopback.turns(50)
        expect(kept.text).toBe("")
        pull()
        yield* Loopback.until("the bytes to come", () => kept.text === "two ")
        yield* peer.write("three")
        yield* peer.end
        yield* Loopback.turns(50)
        expect(kept.text).toBe("two ")
        pull()
        yield* Loopback.until("the rest to come", () => kept.text === "two three")
        pull()
        yield* Loopback.until("the end to come", () => kept.ended)
      })
  )

  scenario("has nothing left to read, to write or to end, and cannot be taken again", () =>
    Effect.gen(function*() {
      const { connection } = yield* pair
      socketOf(connection)
      for (const use of [connection.read, connection.write("x"), connection.end]) {
        expect(isDefect(yield* Effect.exit(use))).toBe(true)
      }
      expect(() => Connection.take(connection)).toThrow("taken over twice")
    }))

  scenario("cannot be taken while a read waits or after its end", () =>
    Effect.gen(function*() {
      const first = yield* pair
      const reading = yield* Effect.fork(first.connection.read)
      yield* Effect.yieldNow()
      expect(() => Connection.take(first.connection)).toThrow("while a read waits")
      yield* Fiber.interrupt(reading)
      const second = yield* pair
      yield* second.connection.end
      expect(() => Connection.take(second.connection)).toThrow("after end")
    }))

  scenario("is aborted when its scope closes and nobody goes on with it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { connection, peer } = yield* Scope.extend(pair, scope)
      const kept = new Kept()
      socketOf(connection, kept)
      yield* connection.close()
      expect(kept.loss?.reason).toBe("Aborted")
      expect(yield* peer.closed).toBe("ECONNRESET")
      yield* Scope.close(scope, Exit.void)
    }))

  scenario("closes whoever goes on with it, when it is closed or aborted", () =>
    Effect.gen(function*() {
      for (const mode of ["close", "abort"] as const) {
        const done: Array<string> = []
        const { connection } = yield* pair
        const { bequeath, closed, handle } = Connection.take(connection)
        const note = (what: string) => Effect.zipRight(Effect.sync(() => done.push(what)), handle.close("abort"))
        const heir = Object.create(handle, { close: { value: note } })
        bequeath(Connection.fromHandle(heir, "stream", closed))
        yield* mode === "close" ? connection.close() : connection.abort
        expect(done[0]).toBe(mode === "close" ? "orderly" : "abort")
      }
    }))

  scenario("tells whoever took it that it was lost", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* pair
      const kept = new Kept()
      const { pull } = socketOf(connection, kept)
      pull()
      yield* peer.reset
      yield* Loopback.until("the loss to be told", () => kept.loss !== undefined)
      expect(kept.loss?.reason).toBe("Reset")
      expect((yield* connection.lost).reason).toBe("Reset")
    }))
})
