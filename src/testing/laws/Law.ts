/**
 * What a law is, and what it needs of the place it is checked in.
 *
 * A law is a sentence and a program. The program fails when the sentence is not true of the Transport or Resolver in
 * its environment. It is data, so that any test runner can run it; `testing/laws` registers them with `@effect/vitest`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type { SocketAddress } from "../../Address.js"
import * as Attempt from "../../Attempt.js"
import type { Connection } from "../../Connection.js"
import type { AttemptError, ConnectionLost } from "../../DialError.js"
import type { OpenRequest, Transport } from "../../Transport.js"

/**
 * The place: listeners to dial, and a way to let time pass. Whoever writes a Transport writes an Arena beside it to
 * have it checked.
 *
 * @since 0.1.0
 * @category arena
 */
export class Arena extends Context.Tag("effect-dial/testing/laws/Arena")<Arena, {
  /**
   * A listener, until the Scope closes: the address to dial. The behaviour is run for each connection, which is closed
   * when it ends and aborted when it fails. Over `"udp"` that is each sender that is not known yet, and all of them end
   * with the listener; `local` and `foreign` are of the family of its address.
   */
  readonly listen: (
    kind: "tcp" | "unix" | "udp",
    behaviour: (connection: Connection) => Effect.Effect<unknown, ConnectionLost>
  ) => Effect.Effect<SocketAddress, never, Scope.Scope>
  /** An address at which a connect is refused. */
  readonly refused: Effect.Effect<SocketAddress, never, Scope.Scope>
  /** An address at which a connect is never answered. */
  readonly silent: Effect.Effect<SocketAddress, never, Scope.Scope>
  /** A local address, with any port, from which the listeners and `refused` can be reached over IPv4. */
  readonly local: SocketAddress
  /** An address, with any port, that no machine here has. */
  readonly foreign: SocketAddress
  /** Whether a datagram may get lost, or overtake another, on its way to a listener or back. */
  readonly lossy: boolean
  /** A UNIX path where nothing is. */
  readonly missing: SocketAddress
  /** Let everything happen that happens by itself. */
  readonly settle: Effect.Effect<void>
  /** Fails unless every socket that was opened, by the Transport or a listener, is closed; it may wait a little. */
  readonly quiet: Effect.Effect<void, LawBroken>
}>() {}

/**
 * A law is not kept.
 *
 * @since 0.1.0
 * @category laws
 */
export class LawBroken extends Data.TaggedError("LawBroken")<{
  readonly message: string
}> {}

/**
 * A sentence that has to be true, and the program that fails when it is not.
 *
 * @since 0.1.0
 * @category laws
 */
export interface Law<R> {
  readonly name: string
  readonly check: Effect.Effect<void, LawBroken, R>
}

/**
 * Makes a law. What its program fails with or dies of is told in `LawBroken`.
 *
 * @since 0.1.0
 * @category laws
 */
export const law = <E, R>(name: string, check: () => Effect.Effect<unknown, E, R>): Law<Exclude<R, Scope.Scope>> => ({
  name,
  check: Effect.suspend(check).pipe(
    Effect.scoped,
    Effect.asVoid,
    Effect.catchAllCause((cause) => {
      const failure = Cause.failureOption(cause)
      return Effect.fail(
        Option.isSome(failure) && failure.value instanceof LawBroken
          ? failure.value
          : new LawBroken({ message: Cause.pretty(cause) })
      )
    })
  )
})

// -----------------------------------------------------------------------------
// saying what has to be
// -----------------------------------------------------------------------------

/**
 * Fails unless the condition holds.
 *
 * @since 0.1.0
 * @category checking
 */
export const holds = (condition: boolean, otherwise: string): Effect.Effect<void, LawBroken> =>
  condition ? Effect.void : Effect.fail(new LawBroken({ message: otherwise }))

/**
 * Fails unless both are equal, by `Equal` or as they print.
 *
 * @since 0.1.0
 * @category checking
 */
export const same = (what: string, actual: unknown, expected: unknown): Effect.Effect<void, LawBroken> =>
  holds(
    Equal.equals(actual, expected) || (actual !== undefined && String(actual) === String(expected)),
    `${what}: expected ${String(expected)}, not ${String(actual)}`
  )

/**
 * The error of an effect that has to fail.
 *
 * @since 0.1.0
 * @category checking
 */
export const errorOf = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<E, LawBroken, R> =>
  Effect.matchEffect(effect, {
    onFailure: Effect.succeed,
    onSuccess: () => Effect.fail(new LawBroken({ message: `${what}: it succeeded` }))
  })

/**
 * Fails unless the effect dies.
 *
 * @since 0.1.0
 * @category checking
 */
export const dies = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<void, LawBroken, R> =>
  Effect.flatMap(
    Effect.exit(effect),
    (exit) => holds(Exit.isFailure(exit) && Cause.isDie(exit.cause), `${what}: it is not a defect`)
  )

/**
 * Fails unless the fiber is still running.
 *
 * @since 0.1.0
 * @category checking
 */
export const waits = <A, E>(what: string, fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<void, LawBroken> =>
  Effect.suspend(() => holds(fiber.unsafePoll() === null, `${what}: it is done`))

// -----------------------------------------------------------------------------
// connecting
// -----------------------------------------------------------------------------

/**
 * The request for a stream to an address.
 *
 * @since 0.1.0
 * @category connecting
 */
export const streamTo = (address: SocketAddress, localAddress?: SocketAddress): OpenRequest => ({
  socketType: "stream",
  address,
  localAddress,
  options: {}
})

/**
 * A connection to an address, until the Scope closes.
 *
 * @since 0.1.0
 * @category connecting
 */
export const connect = (
  address: SocketAddress,
  localAddress?: SocketAddress
): Effect.Effect<Connection, AttemptError, Transport | Scope.Scope> => Attempt.connect(streamTo(address, localAddress))

/**
 * A listener and a connection to it.
 *
 * @since 0.1.0
 * @category connecting
 */
export const connectTo = (
  behaviour: (connection: Connection) => Effect.Effect<unknown, ConnectionLost>,
  kind: "tcp" | "unix" = "tcp"
): Effect.Effect<Connection, AttemptError, Arena | Transport | Scope.Scope> =>
  Effect.flatMap(Arena, ({ listen }) => Effect.flatMap(listen(kind, behaviour), (address) => connect(address)))

/**
 * Everything until the peer's end.
 *
 * @since 0.1.0
 * @category connecting
 */
export const readToEnd = (connection: Connection): Effect.Effect<Uint8Array, ConnectionLost> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    const more: Effect.Effect<Uint8Array, ConnectionLost> = Effect.flatMap(connection.read, (bytes) => {
      if (Option.isNone(bytes)) return Effect.succeed(concat(chunks))
      chunks.push(bytes.value)
      return more
    })
    return more
  })

/**
 * So many bytes, or fewer when the peer ends before.
 *
 * @since 0.1.0
 * @category connecting
 */
export const readSome = (connection: Connection, size: number): Effect.Effect<Uint8Array, ConnectionLost> =>
  size <= 0 ? Effect.succeed(new Uint8Array(0)) : Effect.flatMap(connection.read, (bytes) =>
    Option.isNone(bytes)
      ? Effect.succeed(new Uint8Array(0))
      : Effect.map(readSome(connection, size - bytes.value.length), (rest) => concat([bytes.value, rest])))

/**
 * Chunks as one.
 *
 * @since 0.1.0
 * @category bytes
 */
export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  chunks.reduce((offset, chunk) => {
    all.set(chunk, offset)
    return offset + chunk.length
  }, 0)
  return all
}

/**
 * Bytes of which each tells its place, so that one lost, doubled or moved is seen.
 *
 * @since 0.1.0
 * @category bytes
 */
export const pattern = (size: number, from = 0): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let index = 0; index < size; index++) bytes[index] = patternAt(from + index)
  return bytes
}

/**
 * The byte at a place of the {@link pattern}.
 *
 * @since 0.1.0
 * @category bytes
 */
export const patternAt = (place: number): number => (place * 31 + (place >>> 8)) & 0xff

/**
 * Fails, and says where, unless these are the bytes.
 *
 * @since 0.1.0
 * @category bytes
 */
export const sameBytes = (actual: Uint8Array, expected: Uint8Array): Effect.Effect<void, LawBroken> => {
  let right = 0
  while (right < expected.length && actual[right] === expected[right]) right += 1
  return holds(
    right === expected.length && actual.length === expected.length,
    `${actual.length} bytes of ${expected.length}, of which the first ${right} are right`
  )
}

// -----------------------------------------------------------------------------
// interruption at every step
// -----------------------------------------------------------------------------

/** Interrupts a fiber as its n-th step, or that of a fiber it forked, is about to be taken. */
class Interrupter implements Scheduler.Scheduler {
  target: Fiber.RuntimeFiber<unknown, unknown> | undefined
  steps = 0

  constructor(private readonly outer: Scheduler.Scheduler, readonly at: number) {}

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    this.steps += 1
    if (this.steps === this.at) this.target?.unsafeInterruptAsFork(FiberId.none)
    return this.outer.shouldYield(fiber)
  }

  scheduleTask(task: Scheduler.Task, priority: number, fiber?: Fiber.RuntimeFiber<unknown, unknown>): void {
    this.outer.scheduleTask(task, priority, fiber)
  }
}

/**
 * Run a program again and again, interrupted at its first step, its second, and so on to its last, and `after` each run.
 * A step is one instruction of Effect's runtime in the program's fiber or one it forked. Gives the number of steps.
 *
 * @since 0.1.0
 * @category checking
 */
export const interruptedAtEveryStep = <A, E, R, E2, R2>(
  program: Effect.Effect<A, E, R>,
  after: (step: number) => Effect.Effect<void, E2, R2>
): Effect.Effect<number, E2, R | R2> => {
  const from = (step: number): Effect.Effect<number, E2, R | R2> =>
    Effect.gen(function*() {
      const interrupter = new Interrupter(yield* FiberRef.get(FiberRef.currentScheduler), step)
      const fiber = yield* Effect.fork(Effect.withScheduler(program, interrupter))
      interrupter.target = fiber
      yield* Fiber.await(fiber)
      yield* after(step)
      return yield* interrupter.steps >= step ? from(step + 1) : Effect.succeed(step - 1)
    })
  return from(1)
}
