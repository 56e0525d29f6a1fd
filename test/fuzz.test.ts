/**
 * A short run of `pnpm fuzz`, always of the same cases, and bugs planted to see that it finds them.
 */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Either, Layer, Option, Stream } from "effect"
import { execFile } from "node:child_process"
import { setImmediate } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { isBuilt } from "../.ci/build.mjs"
import type { ResolveError } from "../src/DialError.js"
import * as DnsMessage from "../src/DnsMessage.js"
import * as DnsResolver from "../src/DnsResolver.js"
import { type Answer, Resolver } from "../src/Resolver.js"
import * as ServiceBinding from "../src/ServiceBinding.js"
import * as DnsFuzz from "../src/testing/DnsFuzz.js"
import { type OpenRequest, type SocketHandle, Transport } from "../src/Transport.js"
import { at } from "./support/addresses.js"

/**
 * Runs portions of cases until one fails: all at once would hold up the test runner, which gives up on a worker that does
 * not answer for long.
 */
const fuzz = async (portions: number, options: Partial<DnsFuzz.Options> = {}) => {
  let mutants = 0
  for (let portion = 0; portion < portions; portion++) {
    await setImmediate()
    const report = DnsFuzz.run({ seed: 9460 + portion, cases: 20, ...options })
    mutants += report.mutants
    if (report.failure !== undefined) return { mutants, failure: report.failure, told: DnsFuzz.format(report.failure) }
  }
  return { mutants, failure: undefined, told: "" }
}

it("some thousand mutated answers: nothing throws or hangs, and nothing is believed that must not be", async () => {
  const { mutants, told } = await fuzz(14)
  expect(told).toBe("")
  expect(mutants).toBeGreaterThan(2000)
}, 60_000)

/** The resolver over a Transport that a bug has come into. */
const over =
  (alter: (request: OpenRequest, handle: SocketHandle) => Partial<SocketHandle>): DnsFuzz.Subject["resolver"] =>
  (options) =>
    Layer.provide(
      DnsResolver.layerServers(options),
      Layer.effect(
        Transport,
        Effect.map(Transport, ({ open }) => ({
          open: (request) =>
            Effect.map(open(request), (handle) => ({ ...delegating(handle), ...alter(request, handle) }))
        }))
      )
    )

const delegating = (handle: SocketHandle): SocketHandle => ({
  connect: (settled) => handle.connect(settled),
  localAddress: handle.localAddress,
  remoteAddress: handle.remoteAddress,
  read: handle.read,
  write: (bytes) => handle.write(bytes),
  unsent: 0,
  flush: handle.flush,
  end: handle.end,
  lost: handle.lost,
  stopReadingAndWriting: handle.stopReadingAndWriting,
  close: (mode) => handle.close(mode),
  release: handle.release
})

/** What is heard over UDP is made to look as if it had these octets of what was asked. */
const takenFromTheQuestion = (octets: (query: Uint8Array) => readonly [from: number, to: number]) =>
  over(({ socketType }, handle) => {
    if (socketType === "stream") return {}
    let query = new Uint8Array()
    return {
      write: (bytes) => {
        query = Uint8Array.from(bytes)
        return handle.write(bytes)
      },
      read: Effect.map(
        handle.read,
        Option.map((bytes) => {
          const [from, to] = octets(query)
          const forged = Uint8Array.from(bytes)
          if (forged.length >= to) forged.set(query.subarray(from, to), from)
          return forged
        })
      )
    }
  })

/** The resolver, with a bug in how it answers. */
const answering = (
  alter: (answers: Stream.Stream<Answer, ResolveError>) => Stream.Stream<Answer, ResolveError>
): DnsFuzz.Subject["resolver"] =>
(options) =>
  Layer.map(DnsResolver.layerServers(options), (services) => {
    const { resolve } = Context.get(services, Resolver)
    return Context.add(services, Resolver, { resolve: (name, query) => alter(resolve(name, query)) })
  })

const decodeWith =
  (change: (message: DnsMessage.Message, bytes: Uint8Array) => DnsMessage.Message): DnsFuzz.Subject["decode"] =>
  (bytes) => Either.map(DnsMessage.decode(bytes), (message) => change(message, bytes))

const bugs: ReadonlyArray<readonly [string, Partial<DnsFuzz.Subject>, RegExp]> = [
  [
    "any id is accepted",
    { resolver: takenFromTheQuestion(() => [0, 2]) },
    /which no answer has|nobody answered|nothing leads/
  ],
  [
    "any question of that length is accepted",
    { resolver: takenFromTheQuestion((query) => [12, query.indexOf(0, 12) + 5]) },
    /which no answer has|nobody answered|nothing leads/
  ],
  [
    "a query is accepted for an answer",
    {
      resolver: over((_, handle) => ({
        read: Effect.map(
          handle.read,
          Option.map((bytes) => bytes.map((octet, index) => index === 2 ? octet | 0x80 : octet))
        )
      }))
    },
    /which no answer has|nobody answered|nothing leads/
  ],
  [
    "somebody else is asked",
    {
      resolver: (options) => DnsResolver.layerServers({ ...options, servers: [at("203.0.113.1:53")] })
    },
    /it asked 203\.0\.113\.1:53, which is no server/
  ],
  [
    "sockets stay open",
    {
      resolver: over((_, handle) => ({
        close: (mode) => Effect.tap(handle.close(mode), () => Effect.sync(() => Object.assign(handle, { open: true })))
      }))
    },
    /sockets are open after it/
  ],
  [
    "a family is not answered",
    { resolver: answering((answers) => Stream.take(answers, 1)) },
    /it told of inet6?, not of/
  ],
  [
    "a lookup never ends",
    { resolver: answering((answers) => Stream.concat(answers, Stream.never)) },
    /the lookup ended with .*every fiber waits/
  ],
  [
    "a defect in a lookup",
    {
      resolver: over((_, handle) => ({
        read: Effect.map(
          handle.read,
          Option.map((bytes) => new Uint8Array(bytes.length - 40))
        )
      }))
    },
    /the lookup ended with .*RangeError/
  ],
  [
    "decode throws",
    {
      decode: (bytes) => {
        if ((bytes[7] ?? 0) > 20) throw new RangeError("out of bounds")
        return DnsMessage.decode(bytes)
      }
    },
    /decode threw RangeError: out of bounds/
  ],
  [
    "decode reads half an id",
    { decode: decodeWith((message) => ({ ...message, id: message.id & 0xff })) },
    /its id is/
  ],
  [
    "decode loses the case of the question",
    {
      decode: decodeWith((message) => ({
        ...message,
        question: message.question && { ...message.question, name: message.question.name.toLowerCase() }
      }))
    },
    /its question is/
  ],
  [
    "decode takes additional records for answers",
    {
      decode: decodeWith((message) => ({
        ...message,
        answers: [...message.answers, ...message.additionals],
        additionals: []
      }))
    },
    /its addresses are/
  ],
  [
    "decode changes what it reads",
    {
      decode: (bytes) => {
        bytes[0] = 0
        return DnsMessage.decode(bytes)
      }
    },
    /decode changed the octets|its id is/
  ],
  [
    "decode understands otherwise what was said again",
    { decode: decodeWith((message, bytes) => ({ ...message, authoritative: bytes.length % 2 === 0 })) },
    /said again is understood otherwise/
  ],
  [
    "a parameter of a binding is lost",
    {
      decodeBinding: (data) => Either.map(ServiceBinding.decode(data), (binding) => ({ ...binding, others: new Map() }))
    },
    /the binding [0-9a-f]+ is written/
  ]
]

describe("a bug is found", () => {
  for (const [bug, subject, told] of bugs) {
    it(bug, async () => {
      expect((await fuzz(20, { subject })).told).toMatch(told)
    }, 60_000)
  }

  it("a message that takes too long", async () => {
    const decode: DnsFuzz.Subject["decode"] = (bytes) => {
      const until = performance.now() + (bytes.length > 200 ? 8 : 0)
      while (performance.now() < until);
      return DnsMessage.decode(bytes)
    }
    const { told } = await fuzz(1, { cases: 5, limit: 6, subject: { decode } })
    expect(told).toMatch(/: a message of \d+ octets takes \d+ ms to read/)
  }, 60_000)

  it("and told with its seed, the number of the case, and few octets; the seed gives it again", () => {
    const subject = { decode: decodeWith((message) => ({ ...message, id: message.id & 0xff })) }
    const { failure } = DnsFuzz.run({ seed: 11, cases: 100, subject })
    if (failure === undefined) throw new Error("it was not found")
    expect(failure.messages.length).toBeLessThanOrEqual(8)
    expect(Math.max(...failure.messages.map((message) => message.length / 2))).toBeLessThan(60)
    const text = DnsFuzz.format(failure)
    expect(text).toContain(`seed 11, case ${failure.case}: its id is`)
    expect(text).toContain(failure.messages[0])
    expect(DnsFuzz.run({ seed: 11, cases: failure.case + 1, subject }).failure).toEqual(failure)
    expect(DnsFuzz.run({ seed: 11, cases: failure.case, subject }).failure).toBeUndefined()
  }, 60_000)
})

describe("the command", () => {
  const fuzz = async (...args: ReadonlyArray<string>) => {
    if (!isBuilt()) throw new Error("the command uses the built package, and dist is older than src: run `pnpm build`")
    const main = fileURLToPath(new URL("../scratchpad/fuzz/main.mjs", import.meta.url))
    return promisify(execFile)(process.execPath, [main, ...args], { timeout: 110_000 }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { readonly code: unknown; readonly stdout: string }) => ({ code: error.code, stdout: error.stdout })
    )
  }

  it("prints its seed, the slowest message, and how many answers it tried: at least those it was told to", async () => {
    const { code, stdout } = await fuzz("--seed", "7", "--count", "400")
    expect([code, stdout.split("\n")[0]]).toEqual([0, "seed 7"])
    expect(stdout).toMatch(/^the slowest message, of \d+ octets, was read in [\d.]+ ms$/m)
    const [, mutants] = stdout.match(/^(\d+) mutated answers in \d+ lookups in [\d.]+ s: everything held$/m) ?? []
    expect(Number(mutants)).toBeGreaterThanOrEqual(400)
  }, 120_000)

  it("takes whole numbers and nothing else", async () => {
    expect((await fuzz("--seed", "many")).code).toBe(2)
  }, 120_000)
})
