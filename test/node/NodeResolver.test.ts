import { describe, expect, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Either, Fiber, Layer, Option, type Scope, Stream } from "effect"
import { spawn } from "node:child_process"
import dns from "node:dns"
import { once } from "node:events"
import { syncBuiltinESMExports } from "node:module"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
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

const familyOf = (answer: Answer) => answer._tag === "Services" ? undefined : answer.family

const told = (answer: Answer) =>
  answer._tag === "Addresses"
    ? [answer.family, ...answer.addresses.map(String)]
    : answer._tag === "Services"
    ? []
    : [answer.family, answer.error.reason, answer.error.code]

describe("the system's own answers", () => {
  scenario("localhost is a loopback address of each family, or has none of it", () =>
    Effect.gen(function*() {
      const all = yield* answers("localhost")
      expect(all.map(familyOf).toSorted()).toEqual(["inet", "inet6"])
      const loopback: { readonly [F in IpFamily]: string } = { inet: "127.0.0.1", inet6: "::1" }
      for (const answer of all) {
        if (answer._tag === "Addresses") expect(answer.addresses.map(String)).toContain(loopback[answer.family])
        else expect(told(answer)).toEqual([familyOf(answer), "NotFound", "ENOTFOUND"])
      }
      expect(all.some(({ _tag }) => _tag === "Addresses")).toBe(true)
    }))

  scenario("a name that cannot exist has no address of either family, by a typed reason", () =>
    Effect.gen(function*() {
      const all = yield* answers("nonexistent.invalid")
      expect(all.map(familyOf).toSorted()).toEqual(["inet", "inet6"])
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

type Callback = (error: NodeJS.ErrnoException | null, found?: ReadonlyArray<dns.LookupAddress>) => void

const question = (hostname: string, family: IpFamily, callback: Callback): Question => ({
  hostname,
  family,
  answer: (outcome) =>
    typeof outcome === "string"
      ? callback(Object.assign(new Error(`getaddrinfo ${outcome}`), { code: outcome, syscall: "getaddrinfo" }))
      : callback(null, outcome.map((address) => ({ address, family: family === "inet6" ? 6 : 4 })))
})

/** A resolver of its own queue, whose lookups ask the test: an error code, or addresses. */
const asking = (limit = 2) => {
  const questions: Array<Question> = []
  const { resolve } = NodeResolver.make(
    (hostname, family, callback) => questions.push(question(hostname, family, callback)),
    limit
  )
  return {
    questions,
    stream: (text: string) => resolve(name(text)),
    /** Ask for a name; whoever asks is interrupted with the test. */
    dial: (text: string) =>
      Effect.tap(
        Effect.forkScoped(Effect.map(Stream.runCollect(resolve(name(text))), (all) => [...all].map(told))),
        Loopback.turns(2)
      ),
    asked: () => questions.map(({ family, hostname }) => `${hostname} ${family}`),
    answer: (index: number, outcome: string | ReadonlyArray<string>) =>
      Effect.zipRight(Effect.sync(() => questions[index]?.answer(outcome)), Loopback.turns(2))
  }
}

const law = (title: string, self: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(title, () => Effect.scoped(self()))

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
    law(`of ${code} is ${reason}, with the code and the cause kept`, () =>
      Effect.gen(function*() {
        const { answer, stream } = asking()
        const fiber = yield* Effect.fork(Stream.runCollect(stream("db.example")))
        yield* Loopback.turns(2)
        yield* answer(0, code)
        yield* answer(1, code)
        const all = [...yield* Fiber.join(fiber)]
        expect(all.map(told)).toEqual([["inet6", reason, code], ["inet", reason, code]])
        expect(all.map((answer) => answer._tag === "NoAddresses" && answer.error.cause instanceof Error)).toEqual([
          true,
          true
        ])
      }))
  }

  law("comes as soon as it is there, though the other family's never comes", () =>
    Effect.gen(function*() {
      const { answer, stream } = asking()
      const first = yield* Effect.fork(Stream.runHead(stream("db.example")))
      yield* Loopback.turns(2)
      yield* answer(1, ["192.0.2.2", "192.0.2.1"])
      const said = yield* Loopback.within("the answer", Fiber.join(first))
      expect(Option.map(said, told)).toEqual(Option.some(["inet", "192.0.2.2", "192.0.2.1"]))
    }))

  law("keeps the system's order, and a zone", () =>
    Effect.gen(function*() {
      const { answer, dial } = asking()
      const fiber = yield* dial("db.example")
      yield* answer(0, ["fe80::2%eth0", "2001:db8::2", "2001:db8::1"])
      yield* answer(1, "EAI_AGAIN")
      expect(yield* Fiber.join(fiber)).toEqual([
        ["inet6", "fe80::2%eth0", "2001:db8::2", "2001:db8::1"],
        ["inet", "Temporary", "EAI_AGAIN"]
      ])
    }))

  law("of no address at all is NotFound", () =>
    Effect.gen(function*() {
      const { answer, dial } = asking()
      const fiber = yield* dial("db.example")
      yield* answer(0, [])
      yield* answer(1, ["192.0.2.1"])
      expect(yield* Fiber.join(fiber)).toEqual([["inet6", "NotFound", undefined], ["inet", "192.0.2.1"]])
    }))

  law("is a typed error, and holds up nobody, when the lookup throws", () =>
    Effect.gen(function*() {
      const boom = new Error("boom")
      const { resolve } = NodeResolver.make(() => {
        throw boom
      }, 1)
      for (const text of ["a.example", "b.example"]) {
        const all = yield* Loopback.within("the errors", Stream.runCollect(resolve(name(text))))
        expect(Chunk.toReadonlyArray(all).map(told)).toEqual([
          ["inet6", "Unknown", undefined],
          ["inet", "Unknown", undefined]
        ])
        for (const answer of all) expect(answer._tag === "NoAddresses" && answer.error.cause).toBe(boom)
      }
    }))
})

describe("a question", () => {
  law("is asked once for each family, AAAA first, of the name as it would be typed", () =>
    Effect.gen(function*() {
      const { asked, dial } = asking()
      yield* dial("Bücher.example.")
      expect(asked()).toEqual(["xn--bcher-kva.example. inet6", "xn--bcher-kva.example. inet"])
    }))

  law("is not asked before somebody runs the stream, and is asked each time", () =>
    Effect.gen(function*() {
      const { answer, questions, stream } = asking()
      const same = stream("db.example")
      yield* Loopback.turns(3)
      expect(questions).toEqual([])
      for (const run of [0, 2]) {
        const fiber = yield* Effect.fork(Stream.runDrain(same))
        yield* Loopback.turns(2)
        expect(questions.length).toBe(run + 2)
        yield* answer(run, ["::1"])
        yield* answer(run + 1, ["127.0.0.1"])
        yield* Loopback.within("the end", Fiber.join(fiber))
      }
    }))

  law(
    "that is interrupted is forgotten at once, and an answer that comes later troubles nobody",
    () =>
      Effect.gen(function*() {
        const { answer, questions, stream } = asking()
        const late = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          Stream.runForEach(stream("db.example"), () => Deferred.succeed(late, undefined))
        )
        yield* Loopback.turns(2)
        yield* Loopback.within("the interruption", Fiber.interrupt(fiber))
        for (const index of questions.keys()) yield* answer(index, ["192.0.2.1"])
        expect(yield* Deferred.isDone(late)).toBe(false)
      })
  )

  law("that is answered twice is answered once", () =>
    Effect.gen(function*() {
      const { answer, asked, dial } = asking(1)
      const fiber = yield* dial("a.example")
      yield* dial("b.example")
      yield* answer(0, ["::1"])
      yield* answer(0, ["::2"])
      expect(asked()).toEqual(["a.example inet6", "a.example inet"])
      yield* answer(1, ["127.0.0.1"])
      expect(yield* Fiber.join(fiber)).toEqual([["inet6", "::1"], ["inet", "127.0.0.1"]])
    }))
})

describe("the queue", () => {
  law(
    "gives the system as many questions as its limit, and the next when one is answered",
    () =>
      Effect.gen(function*() {
        const { answer, asked, dial } = asking(2)
        yield* Effect.forEach(["a.example", "b.example", "c.example"], dial)
        expect(asked()).toEqual(["a.example inet6", "a.example inet"])
        yield* answer(1, ["192.0.2.1"])
        expect(asked().slice(2)).toEqual(["b.example inet6"])
        yield* answer(0, "ENOTFOUND")
        expect(asked().slice(3)).toEqual(["b.example inet"])
      })
  )

  law("asks both families of a dial before any of the next, in a thousand dials", () =>
    Effect.gen(function*() {
      const { asked, questions, stream } = asking(2)
      const names = Array.from({ length: 1000 }, (_, index) => `host-${index}.example`)
      const all = yield* Effect.fork(
        Effect.forEach(names, (text) => Stream.runDrain(stream(text)), { concurrency: "unbounded", discard: true })
      )
      yield* Loopback.turns(3)
      // Every dial waits. An answer starts the next question: the list grows while it is walked.
      for (const question of questions) question.answer("ENOTFOUND")
      yield* Loopback.within("every dial", Fiber.join(all))
      expect(asked()).toEqual(names.flatMap((text) => [`${text} inet6`, `${text} inet`]))
    }))

  law("makes one of equal questions, under way or waiting, and answers everyone", () =>
    Effect.gen(function*() {
      const { answer, asked, dial } = asking(2)
      const fibers = yield* Effect.forEach(["a.example", "b.example", "A.example", "b.example"], dial)
      for (const index of [0, 2]) {
        yield* answer(index, [`::${index + 1}`])
        yield* answer(index + 1, [`127.0.0.${index + 1}`])
      }
      const a = [["inet6", "::1"], ["inet", "127.0.0.1"]]
      const b = [["inet6", "::3"], ["inet", "127.0.0.3"]]
      expect(yield* Loopback.within("everyone", Effect.forEach(fibers, Fiber.join))).toEqual([a, b, a, b])
      expect(asked()).toEqual(["a.example inet6", "a.example inet", "b.example inet6", "b.example inet"])
    }))

  law("keeps no answer", () =>
    Effect.gen(function*() {
      const { answer, asked, dial } = asking(2)
      yield* dial("a.example")
      yield* answer(0, ["::1"])
      yield* answer(1, ["127.0.0.1"])
      yield* dial("a.example")
      expect(asked().length).toBe(4)
    }))

  law(
    "drops a question that waits when the last who asked it is interrupted, and not before",
    () =>
      Effect.gen(function*() {
        const { answer, asked, dial } = asking(2)
        yield* dial("a.example")
        const dropped = yield* dial("b.example")
        const shared = yield* dial("c.example")
        const other = yield* dial("c.example")
        yield* Effect.forEach([dropped, shared], Fiber.interrupt)
        yield* answer(0, ["::1"])
        yield* answer(1, ["127.0.0.1"])
        expect(asked().slice(2)).toEqual(["c.example inet6", "c.example inet"])
        yield* answer(2, ["::3"])
        yield* answer(3, ["127.0.0.3"])
        expect(yield* Loopback.within("the other", Fiber.join(other))).toEqual([["inet6", "::3"], [
          "inet",
          "127.0.0.3"
        ]])
      })
  )

  law("drops the question that waits when the other family's answer was enough", () =>
    Effect.gen(function*() {
      const { answer, asked, dial, stream } = asking(1)
      yield* Fiber.interrupt(yield* dial("a.example"))
      yield* dial("b.example")
      // Shares the AAAA under way; its A waits behind b's two.
      const first = yield* Effect.fork(Stream.runHead(stream("a.example")))
      yield* Loopback.turns(2)
      yield* answer(0, ["::1"])
      expect(Option.map(yield* Loopback.within("the answer", Fiber.join(first)), told)).toEqual(
        Option.some(["inet6", "::1"])
      )
      yield* answer(1, "ENOTFOUND")
      yield* answer(2, "ENOTFOUND")
      expect(asked()).toEqual(["a.example inet6", "b.example inet6", "b.example inet"])
    }))

  law(
    "lets an interrupted lookup that is under way keep its place, and its answer is for who asks meanwhile",
    () =>
      Effect.gen(function*() {
        const { answer, asked, dial } = asking(2)
        yield* Fiber.interrupt(yield* dial("a.example"))
        yield* dial("b.example")
        const again = yield* dial("a.example")
        expect(asked()).toEqual(["a.example inet6", "a.example inet"])
        yield* answer(0, ["::1"])
        yield* answer(1, ["127.0.0.1"])
        expect(yield* Loopback.within("the answers", Fiber.join(again))).toEqual([["inet6", "::1"], [
          "inet",
          "127.0.0.1"
        ]])
        expect(asked().slice(2)).toEqual(["b.example inet6", "b.example inet"])
      })
  )

  scenario(
    "is one for the process: two layers ask the system once, for all addresses in its own order",
    () =>
      Effect.gen(function*() {
        const questions: Array<Question> = []
        const options: Array<dns.LookupAllOptions> = []
        const lookup = (hostname: string, given: dns.LookupAllOptions, callback: Callback): void => {
          options.push(given)
          questions.push(question(hostname, given.family === 6 ? "inet6" : "inet", callback))
        }
        const original = dns.lookup
        const replace = (by: unknown) =>
          Effect.sync(() => {
            Object.assign(dns, { lookup: by })
            syncBuiltinESMExports()
          })
        yield* Effect.acquireRelease(replace(lookup), () => replace(original))
        const fibers = yield* Effect.forEach(
          [1, 2],
          () => Effect.fork(Effect.provide(answers("db.example"), Layer.fresh(NodeResolver.layer)))
        )
        yield* Loopback.until("both questions", () => questions.length === 2)
        yield* Loopback.turns(3)
        expect(options).toEqual([
          { family: 6, all: true, order: "verbatim" },
          { family: 4, all: true, order: "verbatim" }
        ])
        for (const { answer } of questions) answer("ENOTFOUND")
        const both = yield* Loopback.within("the answers", Effect.forEach(fibers, Fiber.join))
        expect(both.map((all) => all.map(told))).toEqual([1, 2].map(() => [
          ["inet6", "NotFound", "ENOTFOUND"],
          ["inet", "NotFound", "ENOTFOUND"]
        ]))
      })
  )
})

describe("the query", () => {
  scenario("says which families are asked for", () =>
    Effect.gen(function*() {
      const { resolve } = yield* Resolver
      const all = yield* Stream.runCollect(resolve(name("localhost"), { families: ["inet"] }))
      expect([...all].map(familyOf)).toEqual(["inet"])
    }))
})

describe("a process of its own", () => {
  const inProcess = (title: string, self: () => Effect.Effect<void, unknown, Resolver>) =>
    it.live(title, () => Effect.provide(self(), NodeResolver.layerProcess), 20_000)

  inProcess("answers as the system does, many at once", () =>
    Effect.gen(function*() {
      const all = yield* Effect.all(Array.from({ length: 50 }, () => answers("localhost")), {
        concurrency: "unbounded"
      })
      for (const each of all) expect(each.some(({ _tag }) => _tag === "Addresses")).toBe(true)
      const none = yield* answers("nonexistent.invalid")
      expect(none.every(({ _tag }) => _tag === "NoAddresses")).toBe(true)
    }))

  it("lets a process that is done exit at once, although a lookup is under way that is never answered", async () => {
    // The child is stopped, which to its parent is what a silent name server is.
    const program = `
      import { Effect, Either, Stream } from "effect"
      import { Endpoint, Resolver } from "effect-dial"
      import { NodeResolver } from "effect-dial/node"
      import { execFileSync } from "node:child_process"
      const name = Either.getOrThrow(Endpoint.domainName("silent.test"))
      const lookup = Effect.gen(function*() {
        const { resolve } = yield* Resolver.Resolver
        const child = execFileSync("pgrep", ["-P", String(process.pid)]).toString().trim().split("\\n")[0]
        process.kill(Number(child), "SIGSTOP")
        return yield* Effect.timeoutOption(Stream.runCollect(resolve(name)), "50 millis")
      })
      await Effect.runPromise(Effect.provide(lookup, NodeResolver.layerProcess))
      process.stdout.write("done")
    `
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      cwd: fileURLToPath(new URL("../../scratchpad", import.meta.url)),
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 9000,
      killSignal: "SIGKILL"
    })
    const [output] = await Promise.all([text(child.stdout), once(child, "exit")])
    expect([output, child.exitCode, child.signalCode]).toEqual(["done", 0, null])
  }, 20_000)
})
