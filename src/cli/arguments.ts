/**
 * What the commands take, as values: parsed here so that a mistake is one clear line.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"

/** The command line cannot mean anything. */
export class BadUsage extends Data.TaggedError("BadUsage")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}

const units: { readonly [unit: string]: string } = { ms: "millis", s: "seconds", m: "minutes", h: "hours" }

/** A time as people type it (`10s`, `500ms`, `1.5m`, `1h`) or as Effect writes it (`10 seconds`); more than 0. */
export const parseTimeout = (text: string): Either.Either<Duration.Duration, BadUsage> => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? []
  const duration = Duration.decodeUnknown(
    amount === undefined || unit === undefined ? text : `${amount} ${units[unit]}`
  )
  return Option.isSome(duration) && Duration.greaterThan(duration.value, Duration.zero)
    ? Either.right(duration.value)
    : Either.left(
      new BadUsage({ reason: `${JSON.stringify(text)} is no timeout: write a time over 0 as 500ms, 10s or 1m` })
    )
}
