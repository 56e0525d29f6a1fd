/**
 * Any SocketHandle as the stream that `node:tls` needs below it, when there is no socket of Node: the simulated
 * network's, a proxy's. Nothing is read before it is asked for.
 */
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { Duplex } from "node:stream"
import type { ConnectionLost } from "../../DialError.js"
import type { SocketHandle } from "../../Transport.js"

export class Carrier extends Duplex {
  /** As a socket of Node has it; here nobody needs to know. */
  readonly bytesRead = 0
  private readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()

  constructor(
    private readonly handle: SocketHandle,
    private readonly runtime: Runtime.Runtime<never>,
    /** What comes before what the handle reads. */
    private unread: Uint8Array | undefined
  ) {
    super({ allowHalfOpen: true, highWaterMark: 0 })
  }

  override _read(): void {
    const { unread } = this
    this.unread = undefined
    if (unread !== undefined && unread.length > 0) return void this.push(unread)
    this.run(this.handle.read, (exit) => {
      if (Exit.isFailure(exit)) this.destroy(lossOf(exit))
      else this.push(Option.getOrNull(exit.value))
    })
  }

  override _write(bytes: Uint8Array, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.run(this.handle.write(bytes), (exit) => done(lossOf(exit)))
  }

  override _final(done: (error?: Error | null) => void): void {
    this.run(this.handle.end, (exit) => done(lossOf(exit)))
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    for (const fiber of this.fibers) fiber.unsafeInterruptAsFork(FiberId.none)
    Runtime.runFork(this.runtime)(this.handle.close("orderly"))
    done(error)
  }

  /** What is under way when the stream is destroyed ends with it, and tells nobody. */
  private run<A>(effect: Effect.Effect<A, ConnectionLost>, told: (exit: Exit.Exit<A, ConnectionLost>) => void): void {
    const fiber = Runtime.runFork(this.runtime)(effect)
    this.fibers.add(fiber)
    fiber.addObserver((exit) => {
      this.fibers.delete(fiber)
      if (!this.destroyed) told(exit)
    })
  }
}

const lossOf = (exit: Exit.Exit<unknown, ConnectionLost>): Error | undefined =>
  Exit.isSuccess(exit) ? undefined : Option.getOrElse(Cause.failureOption(exit.cause), () => unexpected(exit.cause))

/** A handle has no defects; should one have, TLS above it is told of that. */
const unexpected = (cause: Cause.Cause<unknown>): Error => new Error(Cause.pretty(cause))
