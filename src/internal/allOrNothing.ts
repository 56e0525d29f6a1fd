import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Run a scoped effect so that its resources outlive it only when it succeeds: the Scope in the environment then owns
 * them, and a failure or interruption closes them before anyone hears of it. (In a plain scoped effect what was
 * acquired before a failure stays open until the caller's Scope closes, which may be days.)
 */
export const allOrNothing = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.scope, (home) =>
      Effect.flatMap(Scope.fork(home, ExecutionStrategy.sequential), (own) =>
        Effect.onExit(
          restore(Scope.extend(self, own)),
          (exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(own, exit)
        )))
  )
