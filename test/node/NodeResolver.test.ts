import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Either, Fiber, Option, type Scope, Stream } from "effect"
import dns from "node:dns"
import { syncBuiltinESMExports } from "node:module"
import * as Dialer from "../../src/Dialer.js"
import type { ResolveError, ResolveReason } from "../../src/DialError.js"
import * as Endpoint from "../../src/Endpoint.js"
import * as NodeResolver from "../../src/node/NodeResolver.js"
import { type Answer, type IpFamily, Resolver } from "../../src/Resolver.js"
import * as Loopback from "../support/loopback.js"

const name = (text: string) => Either.getOrThrow(Endpoint.domainName(text))

const answers = (text: string): Effect.Effect<ReadonlyArray<Answer>, ResolveError, Resolver> =>
  Effect.flatMap(Resolver, (resolver) => Effect.map(Stream.runCollect(resolver.resolve(name(text))), (all) => [...all]))

const scenario = (title: string, self: () => Effect.Effect<void, unknown, Resolver | Scope.Scope>) =>
  it.live(title, () => Effect.scoped(Effect.provide(self(), NodeResolver.layer)))

const told = (answer: Answer) =>
  answer._tag === "Addresses"
    ? [answer.family, ...answer.addresses.map(String)]
    : [answer.family, answer.error.reason, answer.error.code]

describe("the system's own answers", () => {
  scenario("localhost is a loopback address of each family, or has none of it", () =>
    Effect.gen(function*() {
      const all = yield* answers("localhost")
      expect(all.map(({ family }) => family).toSorted()).toEqual(["inet", "inet6"])
      const loopback: { readonly [F in IpFamily]: string } = { inet: "127.0.0.1", inet6: "::1" }
      for (const answer of all) {
        if (answer._tag === "Addresses") expect(answer.addresses.map(String)).toContain(loopback[answer.family])
        else expect(told(answer)).toEqual([answer.family, "NotFound", "ENOTFOUND"])
      }
      expect(all.some(({ _tag }) => _tag === "Addresses")).toBe(true)
    }))

  scenario("a name that cannot exist has no address of either family, by a typed reason", () =>
    Effect.gen(function*() {
      const all = yield* answers("nonexistent.invalid")
      expect(all.map(({ family }) => family).toSorted()).toEqual(["inet", "inet6"])
      for (const answer of all) {
        // A machine without a name server cannot know that it does not exist.
        expect([["NotFound", "ENOTFOUND"], ["Temporary", "EAI_AGAIN"]]).toContainEqual(told(answer).slice(1))
        expect(answer._tag === "NoAddresses" ? answer.error.host : "").toBe("nonexistent.invalid")
      }
    }))

  scenario("a dial of a name that cannot exist fails with the resolver's reason", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Dialer.resolveAddress(Endpoint.unsafeParse("nonexistent.invalid:80")))
      expect(error._tag).toBe("ResolveError")
      expect(["NotFound", "Temporary"]).toContain(error.reason)
    }))
})

// -----------------------------------------------------------------------------
// what getaddrinfo says, said by the test
// -----------------------------------------------------------------------------

interface Question {
  readonly hostname: string
  readonly family: IpFamily
  readonly answer: (outcome: string | ReadonlyArray<string>) => void
}

/** Node's lookup replaced by one that asks the test: an error code, or addresses. */
const asked: Effect.Effect<ReadonlyArray<Question>, never, Scope.Scope> = Effect.gen(function*() {
  const questions: Array<Question> = []
  const lookup = (
    hostname: string,
    options: dns.LookupAllOptions,
    callback: (error: Error | null, addresses?: ReadonlyArray<dns.LookupAddress>) => void
  ): void => {
    const family = Number(options.family)
    questions.push({
      hostname,
      family: family === 6 ? "inet6" : "inet",
      answer: (outcome) =>
        typeof outcome === "string"
          ? callback(Object.assign(new Error(`getaddrinfo ${outcome}`), { code: outcome, syscall: "getaddrinfo" }))
          : callback(null, outcome.map((address) => ({ address, family })))
    })
  }
  const original = dns.lookup
  const replace = (by: unknown) =>
    Effect.sync(() => {
      Object.assign(dns, { lookup: by })
      syncBuiltinESMExports()
    })
  yield* Effect.acquireRelease(replace(lookup), () => replace(original))
  return questions
})

const questionOf = (questions: ReadonlyArray<Question>, family: IpFamily): Question => {
  const question = questions.find((question) => question.family === family)
  if (question === undefined) throw new Error(`nobody asked for ${family}`)
  return question
}

const bothAsked = (questions: ReadonlyArray<Question>) => Loopback.until("both questions", () => questions.length === 2)

describe("an answer", () => {
  const reasons: ReadonlyArray<readonly [string, ResolveReason]> = [
    ["ENOTFOUND", "NotFound"],
    ["EAI_NODATA", "NotFound"],
    ["EAI_ADDRFAMILY", "NotFound"],
    ["EAI_AGAIN", "Temporary"],
    ["EAI_FAIL", "ServerFailure"],
    ["EAI_FAMILY", "Unsupported"],
    ["EAI_SERVICE", "Unsupported"],
    ["EAI_SOCKTYPE", "Unsupported"],
    ["EAI_BADFLAGS", "BadName"],
    ["EINVAL", "BadName"],
    ["ETIMEDOUT", "Timeout"],
    ["EAI_MEMORY", "Unknown"],
    ["EMFILE", "Unknown"]
  ]
  for (const [code, reason] of reasons) {
    scenario(`of ${code} is ${reason}, with the code and the cause kept`, () =>
      Effect.gen(function*() {
        const questions = yield* asked
        const asking = yield* Effect.fork(answers("db.example"))
        yield* bothAsked(questions)
        questionOf(questions, "inet6").answer(code)
        questionOf(questions, "inet").answer(code)
        const all = yield* Fiber.join(asking)
        expect(all.map(told)).toEqual([["inet6", reason, code], ["inet", reason, code]])
        expect(all.map((answer) => answer._tag === "NoAddresses" && answer.error.cause instanceof Error)).toEqual([
          true,
          true
        ])
      }))
  }

  scenario("comes as soon as it is there, though the other family's never comes", () =>
    Effect.gen(function*() {
      const questions = yield* asked
      const resolver = yield* Resolver
      const first = yield* Effect.fork(Stream.runHead(resolver.resolve(name("db.example"))))
      yield* bothAsked(questions)
      questionOf(questions, "inet").answer(["192.0.2.2", "192.0.2.1"])
      const answer = yield* Loopback.within("the answer", Fiber.join(first))
      expect(Option.map(answer, told)).toEqual(Option.some(["inet", "192.0.2.2", "192.0.2.1"]))
    }))

  scenario("keeps the system's order, and a zone", () =>
    Effect.gen(function*() {
      const questions = yield* asked
      const asking = yield* Effect.fork(answers("db.example"))
      yield* bothAsked(questions)
      questionOf(questions, "inet6").answer(["fe80::2%eth0", "2001:db8::2", "2001:db8::1"])
      questionOf(questions, "inet").answer("EAI_AGAIN")
      expect((yield* Fiber.join(asking)).map(told)).toEqual([
        ["inet6", "fe80::2%eth0", "2001:db8::2", "2001:db8::1"],
        ["inet", "Temporary", "EAI_AGAIN"]
      ])
    }))

  scenario("of no address at all is NotFound", () =>
    Effect.gen(function*() {
      const questions = yield* asked
      const asking = yield* Effect.fork(answers("db.example"))
      yield* bothAsked(questions)
      questionOf(questions, "inet6").answer([])
      questionOf(questions, "inet").answer(["192.0.2.1"])
      expect((yield* Fiber.join(asking)).map(told)).toEqual([["inet6", "NotFound", undefined], ["inet", "192.0.2.1"]])
    }))
})

describe("a question", () => {
  scenario("is asked once for each family, AAAA first, of the name as it would be typed", () =>
    Effect.gen(function*() {
      const questions = yield* asked
      yield* Effect.forkScoped(answers("Bücher.example."))
      yield* bothAsked(questions)
      expect(questions.map(({ family, hostname }) => [family, hostname])).toEqual([
        ["inet6", "xn--bcher-kva.example."],
        ["inet", "xn--bcher-kva.example."]
      ])
    }))

  scenario(
    "that is interrupted is forgotten at once, and an answer that comes later troubles nobody",
    () =>
      Effect.gen(function*() {
        const questions = yield* asked
        const late = yield* Deferred.make<void>()
        const asking = yield* Effect.fork(Effect.tap(answers("db.example"), () => Deferred.succeed(late, undefined)))
        yield* bothAsked(questions)
        yield* Loopback.within("the interruption", Fiber.interrupt(asking))
        for (const question of questions) question.answer(["192.0.2.1"])
        yield* Loopback.turns(5)
        expect(yield* Deferred.isDone(late)).toBe(false)
      })
  )

  scenario("is not asked before somebody runs the stream", () =>
    Effect.gen(function*() {
      const questions = yield* asked
      const resolver = yield* Resolver
      const stream = resolver.resolve(name("db.example"))
      yield* Loopback.turns(3)
      expect(questions).toEqual([])
      const asking = yield* Effect.fork(Stream.runDrain(stream))
      yield* bothAsked(questions)
      yield* Fiber.interrupt(asking)
    }))
})
