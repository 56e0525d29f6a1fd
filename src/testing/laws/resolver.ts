/**
 * The laws of a Resolver.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { type DomainName, domainName } from "../../Endpoint.js"
import { type Answer, Resolver } from "../../Resolver.js"
import { holds, type Law, law, same } from "./Law.js"

/**
 * The names a Resolver is checked with.
 *
 * @since 0.1.0
 * @category arena
 */
export class KnownNames extends Context.Tag("effect-dial/testing/laws/KnownNames")<KnownNames, {
  /** A name that has an address. */
  readonly known: string
  /** A name that has none. */
  readonly unknown: string
}>() {}

const name = (text: string): Effect.Effect<DomainName> =>
  Effect.orDie(Either.match(domainName(text), {
    onLeft: Effect.fail,
    onRight: Effect.succeed
  }))

const answersTo = (text: string) =>
  Effect.flatMap(
    Resolver,
    ({ resolve }) =>
      Effect.flatMap(name(text), (name) => Effect.map(Stream.runCollect(resolve(name)), (answers) => [...answers]))
  )

const addresses = (answers: ReadonlyArray<Answer>): ReadonlyArray<string> =>
  answers.flatMap((answer) => answer._tag === "Addresses" ? answer.addresses.map(String) : []).toSorted()

/**
 * What every Resolver owes.
 *
 * @since 0.1.0
 * @category laws
 */
export const resolver: ReadonlyArray<Law<Resolver | KnownNames>> = [
  law("a known name has an address", () =>
    Effect.gen(function*() {
      const { known } = yield* KnownNames
      yield* holds(addresses(yield* answersTo(known)).length > 0, `${known} has none`)
    })),

  law("each family is answered at most once", () =>
    Effect.gen(function*() {
      const { known } = yield* KnownNames
      const families = (yield* answersTo(known)).flatMap((answer) => "family" in answer ? [answer.family] : [])
      yield* same("families", new Set(families).size, families.length)
    })),

  law("a positive answer has at least one address, and each is of its family", () =>
    Effect.gen(function*() {
      const { known } = yield* KnownNames
      for (const answer of yield* answersTo(known)) {
        if (answer._tag !== "Addresses") continue
        yield* holds(answer.addresses.length > 0, `no address in ${answer.family}`)
        yield* holds(answer.addresses.every(({ family }) => family === answer.family), `a stranger in ${answer.family}`)
      }
    })),

  law("an unknown name has no address, and every error names it", () =>
    Effect.gen(function*() {
      const { unknown } = yield* KnownNames
      const answers = yield* Effect.either(answersTo(unknown))
      if (Either.isLeft(answers)) return yield* same("host", answers.left.host, unknown)
      yield* same("addresses", addresses(answers.right), [])
      for (const answer of answers.right) {
        yield* same("host", answer._tag === "NoAddresses" && answer.error.host, unknown)
      }
    })),

  law("a negative answer's error is of its family", () =>
    Effect.gen(function*() {
      const { unknown } = yield* KnownNames
      for (const answer of Either.getOrElse(yield* Effect.either(answersTo(unknown)), () => [])) {
        yield* same("family", answer._tag === "NoAddresses" && answer.error.family, "family" in answer && answer.family)
      }
    })),

  law("a lookup can be run again", () =>
    Effect.gen(function*() {
      const { known } = yield* KnownNames
      const { resolve } = yield* Resolver
      const lookup = Stream.runCollect(resolve(yield* name(known)))
      yield* same("addresses", addresses([...yield* lookup]), addresses([...yield* lookup]))
    })),

  law("lookups at the same time do not disturb each other", () =>
    Effect.gen(function*() {
      const { known, unknown } = yield* KnownNames
      const [first, , third] = yield* Effect.all(
        [answersTo(known), Effect.either(answersTo(unknown)), answersTo(known)],
        { concurrency: "unbounded" }
      )
      yield* same("addresses", addresses(first), addresses(third))
      yield* holds(addresses(first).length > 0, "none")
    })),

  law("whoever has heard enough can leave", () =>
    Effect.gen(function*() {
      const { known } = yield* KnownNames
      const { resolve } = yield* Resolver
      const first = yield* Stream.runCollect(Stream.take(resolve(yield* name(known)), 1))
      yield* same("answers", first.length, 1)
    })),

  law("a lookup that is interrupted gives up", () =>
    Effect.gen(function*() {
      const { known } = yield* KnownNames
      const fiber = yield* Effect.fork(answersTo(known))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      yield* holds(addresses(yield* answersTo(known)).length > 0, "none afterwards")
    })),

  law("upper and lower case are one name", () =>
    Effect.gen(function*() {
      const { known } = yield* KnownNames
      yield* same("addresses", addresses(yield* answersTo(known.toUpperCase())), addresses(yield* answersTo(known)))
    }))
]
