/**
 * Where the connection of a Duplex comes from, and how it goes: a dial of its own, or a connection that is there.
 *
 * What must be true: `closed` comes once nothing is open, whatever was under way; the user's runtime is asked for one
 * fiber, and what has to be closed is closed even if that runtime has been disposed of meanwhile.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { MessageChannel } from "node:worker_threads"
import type { Connection } from "../../Connection.js"
import { ConnectStopped } from "../../DialError.js"
import { errorOf, type Fork } from "./channel.js"

type Opened = (outcome: Error | Connection, fork: Fork) => void

export interface Line {
  /** Begin; `opened` is told once and in a tick of its own, unless it was closed before. */
  readonly open: (opened: Opened) => void
  /** Give up, or close: by a reset, or in order but with no time to flush. */
  readonly close: (reset: boolean, closed: () => void) => void
}

/** The first fiber, which brings a runtime of its own for all later ones. */
export type Dial<R> = (effect: Effect.Effect<Connection, unknown, R>) => Fiber.RuntimeFiber<Connection, unknown>

const interrupted = Exit.interrupt(FiberId.none)

/** A line that is dialed, to `target`, when it is opened. */
export const dialed = <R>(
  run: Dial<R>,
  dial: Effect.Effect<Connection, unknown, R | Scope.Scope>,
  target: string
): Line => {
  const scope = Effect.runSync(Scope.make())
  let fork: Fork = Runtime.runFork(Runtime.defaultRuntime)
  let dialing: Fiber.RuntimeFiber<Connection, unknown> | undefined
  let connection: Connection | undefined
  let closing = false
  return {
    open: (opened) => {
      if (closing) return
      dialing = run(Effect.flatMap(Effect.runtime<never>(), (runtime) => {
        fork = Runtime.runFork(runtime)
        // Whoever took the runtime inside an acquire took it with interruption switched off.
        return Effect.interruptible(Scope.extend(dial, scope))
      }))
      dialing.addObserver((exit) => {
        if (Exit.isSuccess(exit)) connection = exit.value
        process.nextTick(() => {
          if (!closing) opened(outcomeOf(exit, target), fork)
        })
      })
    },
    close: (reset, closed) => {
      closing = true
      const over = Effect.suspend(() =>
        Effect.zipRight(
          reset && connection !== undefined ? connection.abort : Effect.void,
          Scope.close(scope, interrupted)
        )
      )
      const ending = dialing === undefined ? over : Effect.zipRight(Fiber.interrupt(dialing), over)
      closingInTurn(() => fork(ending), closed)
    }
  }
}

/**
 * Node tells `close` at the end of a turn of its loop, where handles are closed: behind the immediates of that turn, and
 * where it can in the turn of the error. postgres.js relies on it: its write waits for an immediate, which a `close` that
 * came first would make it forget, and the connection would be dead; for what it is asked between an error and the close
 * nothing ever comes.
 *
 * So the end of this turn is asked for before the closing begins: libuv tells the handle that was closed last first.
 */
const closingInTurn = (begin: () => Fiber.RuntimeFiber<unknown, unknown>, closed: () => void): void => {
  let turned = false
  let over = false
  atEndOfTurn(() => {
    turned = true
    if (over) closed()
  })
  begin().addObserver(() => {
    over = true
    if (turned) atEndOfTurn(closed)
  })
}

/** No immediate of ours is behind all others: it takes a handle to close. A port is cheap: it costs as two immediates. */
const atEndOfTurn = (then: () => void): void => {
  const { port1 } = new MessageChannel()
  port1.once("close", then)
  port1.close()
}

/** An interruption that was not ours is the end of a runtime, or somebody's who has its fibers. */
const outcomeOf = (exit: Exit.Exit<Connection, unknown>, target: string): Error | Connection =>
  Exit.isSuccess(exit)
    ? exit.value
    : Cause.isInterruptedOnly(exit.cause)
    ? new ConnectStopped({ target })
    : errorOf(exit.cause)

/** A line that is there. */
export const connected = (connection: Connection, fork: Fork): Line => ({
  open: (opened) => opened(connection, fork),
  close: (reset, closed) => {
    closingInTurn(() => fork(reset ? connection.abort : connection.close({ flushTimeout: 0 })), closed)
  }
})
