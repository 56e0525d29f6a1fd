/**
 * Ours in what the clients of others fail with: behind an error stands its `cause`, and behind an event that tells of an
 * error, its `error`.
 */
import * as Option from "effect/Option"
import { AllAttemptsFailed, type DialError, DialTimeout, InvalidEndpoint, ResolveError } from "../../DialError.js"

export const isDialError = (u: unknown): u is DialError =>
  u instanceof AllAttemptsFailed || u instanceof ResolveError || u instanceof DialTimeout ||
  u instanceof InvalidEndpoint

export const behind = <A>(error: unknown, is: (u: unknown) => u is A): Option.Option<A> => {
  const seen = new Set<unknown>()
  for (let cause = error; cause !== undefined && !seen.has(cause); cause = before(cause)) {
    if (is(cause)) return Option.some(cause)
    seen.add(cause)
  }
  return Option.none()
}

/** An event of ws is none of Node's class. */
const before = (cause: unknown): unknown => {
  if (cause instanceof Error) return cause.cause
  return typeof cause === "object" && cause !== null && "error" in cause ? cause.error : undefined
}
