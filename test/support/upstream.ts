/** A resolver whose answers are made by the test, and a cache before it. */
import { Clock, Duration, Effect, Either, Option, Stream } from "effect"
import { ResolveError } from "../../src/DialError.js"
import * as Endpoint from "../../src/Endpoint.js"
import * as Resolver from "../../src/Resolver.js"
import { ip } from "./addresses.js"

const name = (text: string) => Either.getOrThrow(Endpoint.domainName(text))

/** An answer of a family, for so many seconds. */
export const found = (address: string, seconds?: number): Resolver.Answer => ({
  _tag: "Addresses",
  family: ip(address).family,
  addresses: [ip(address)],
  timeToLive: seconds === undefined ? undefined : Duration.seconds(seconds)
})

export const none = (
  family: Resolver.IpFamily,
  reason: ResolveError["reason"],
  seconds?: number
): Resolver.Answer => ({
  ...Resolver.noAddresses(family, new ResolveError({ host: "db.test", family, reason })),
  timeToLive: seconds === undefined ? undefined : Duration.seconds(seconds)
} as Resolver.Answer)

/** What is answered, after how many milliseconds (0), to the n-th question. */
export type Answers = (
  query: Resolver.Query | undefined,
  count: number
) => ReadonlyArray<readonly [millis: number, answer: Resolver.Answer | ResolveError | "never"]>

export const make = (answers: Answers) => {
  const asked: Array<readonly [string, number]> = []
  const seen = { given: 0 }
  const resolver: Resolver.Resolver["Type"] = {
    resolve: (name, query) =>
      Stream.unwrap(Effect.map(Clock.currentTimeMillis, (at) => {
        const count = asked.push([`${name} ${query?.families?.join("+")}`, at]) - 1
        return Stream.fromIterable(answers(query, count)).pipe(
          Stream.mapEffect(([millis, answer]) =>
            Effect.zipRight(
              Effect.sleep(millis),
              answer === "never"
                ? Effect.never
                : answer._tag === "ResolveError"
                ? Effect.fail(answer)
                : Effect.succeed(answer)
            )
          ),
          Stream.ensuring(Effect.sync(() => {
            seen.given += 1
          }))
        )
      }))
  }
  return { asked, seen, resolver }
}

/** Every answer as text with the milliseconds when it came. */
export const ask = (resolver: Resolver.Resolver["Type"], query?: Resolver.Query, text = "db.test") =>
  Effect.map(
    Stream.runCollect(Stream.mapEffect(resolver.resolve(name(text), query), (answer) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        const seconds = Option.map(Option.fromNullable(answer.timeToLive), Duration.toSeconds)
        const ttl = Option.match(seconds, { onNone: () => "", onSome: (seconds) => ` ${seconds}s` })
        return answer._tag === "Addresses"
          ? `${at} ${answer.addresses.join(" ")}${ttl}`
          : answer._tag === "NoAddresses"
          ? `${at} ${answer.family} ${answer.error.reason}${ttl}`
          : `${at} ${answer.services.length} services${ttl}`
      }))),
    (answers) => [...answers]
  )
