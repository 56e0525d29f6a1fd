import { FileSystem } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either, Exit, Fiber, Layer, Option, Queue, Stream, Supervisor } from "effect"
import type { Connection } from "../src/Connection.js"
import * as Dialer from "../src/Dialer.js"
import * as DnsConfig from "../src/DnsConfig.js"
import * as DnsExchange from "../src/DnsExchange.js"
import * as DnsMessage from "../src/DnsMessage.js"
import * as DnsResolver from "../src/DnsResolver.js"
import * as Endpoint from "../src/Endpoint.js"
import { Resolver } from "../src/Resolver.js"
import * as ServiceBinding from "../src/ServiceBinding.js"
import { Behaviour, NameServer, SimNetwork, type Topology } from "../src/testing/index.js"
import { Transport } from "../src/Transport.js"
import { at, ip } from "./support/addresses.js"
import * as FakeTransport from "./support/FakeTransport.js"
import { interruptAtEveryStep } from "./support/steps.js"

const first = at("10.0.0.53:53")
const second = at("10.0.0.54:53")

const name = (text: string) => Either.getOrThrow(Endpoint.domainName(text))

interface World {
  readonly script?: NameServer.Script
  /** A second server; none by default. */
  readonly other?: NameServer.Script
  readonly options?: Partial<DnsResolver.DnsOptions>
  readonly faults?: Topology.Topology["faults"]
  readonly listeners?: Topology.Host["listeners"]
}

/** Runs an effect where a name server of the script is, 5 ms away; with what it was asked and how long all took. */
const world = <A, E>(
  { faults, listeners, options, other, script = {} }: World,
  effect: Effect.Effect<A, E, Resolver | DnsResolver.DnsResolver | SimNetwork.SimNetwork>
) => {
  const server = NameServer.make(script)
  const servers = other === undefined ? [first] : [first, second]
  const another = NameServer.make(other ?? {})
  const layer = DnsResolver.layerServers({ ...options, servers })
  return SimNetwork.run(Effect.timed(Effect.provide(effect, layer)), {
    hosts: {
      dns: { addresses: ["10.0.0.53"], listeners: listeners ?? server.listeners },
      ...other === undefined ? {} : { dns2: { addresses: ["10.0.0.54"], listeners: another.listeners } }
    },
    defaultLink: { latency: "5 millis" },
    faults
  }).pipe(Effect.map(([elapsed, value]) => ({
    value,
    millis: Duration.toMillis(elapsed),
    log: server.log,
    otherLog: another.log
  })))
}

/** Each answer as text, with the milliseconds when it came. */
const answers = (text: string, query?: Parameters<Resolver["Type"]["resolve"]>[1]) =>
  Effect.gen(function*() {
    const { resolve } = yield* Resolver
    const clock = yield* Effect.clock
    const told = yield* Stream.runCollect(Stream.map(resolve(name(text), query), (answer) => {
      const at = clock.unsafeCurrentTimeMillis()
      const ttl = answer.timeToLive === undefined ? "" : ` for ${Duration.toSeconds(answer.timeToLive)} s`
      switch (answer._tag) {
        case "Addresses":
          return `${at} ${answer.family} ${answer.addresses.join(" ")}${ttl}`
        case "NoAddresses":
          return `${at} ${answer.family} ${answer.error.reason}${ttl}`
        case "Services":
          return `${at} services ${
            answer.services.map(({ priority, target }) => `${priority}=${target}`).join(" ")
          }${ttl}`
      }
    }))
    return [...told]
  })

const both = { A: ["192.0.2.1"], AAAA: ["2001:db8::1"] }

const soa = (minimum: number, timeToLive = 3600): DnsMessage.DnsRecord => ({
  type: "SOA",
  name: "test",
  timeToLive,
  primary: "ns.test",
  mailbox: "root.test",
  serial: 1,
  refresh: 1,
  retry: 1,
  expire: 1,
  minimum
})

const cname = (from: string, target: string, timeToLive = 60): DnsMessage.DnsRecord => ({
  type: "CNAME",
  name: from,
  timeToLive,
  target
})

const a = (from: string, address: string, timeToLive = 60): DnsMessage.DnsRecord => ({
  type: "A",
  name: from,
  timeToLive,
  address: ip(address)
})

describe("a lookup", () => {
  it.live("asks for AAAA and A back to back, with ids of their own, and tells each as it comes", () =>
    Effect.gen(function*() {
      const { log, value } = yield* world(
        { script: { "web.test": { ...both, AAAA: { answers: ["2001:db8::1"], delay: 100 } } } },
        answers("web.test")
      )
      expect(value).toEqual(["10 inet 192.0.2.1 for 60 s", "110 inet6 2001:db8::1 for 60 s"])
      expect(log.map(({ at, over, type }) => [at, over, type])).toEqual([[5, "udp", "AAAA"], [5, "udp", "A"]])
      expect(log.every(({ udpPayloadSize }) => udpPayloadSize === 1232)).toBe(true)
      expect(log[0]?.id).not.toBe(log[1]?.id)
    }))

  it.live("of one family asks for that alone", () =>
    Effect.gen(function*() {
      const { log, value } = yield* world({ script: { "web.test": both } }, answers("web.test", { families: ["inet"] }))
      expect(value).toEqual(["10 inet 192.0.2.1 for 60 s"])
      expect(log.map(({ type }) => type)).toEqual(["A"])
    }))

  it.live("that is interrupted leaves no socket and no fiber", () =>
    Effect.gen(function*() {
      const { value } = yield* world(
        { script: { "web.test": "silence" } },
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(answers("web.test"))
          yield* Effect.sleep("100 millis")
          yield* Fiber.interrupt(fiber)
          return (yield* Effect.flatMap(SimNetwork.SimNetwork, ({ accounting }) => accounting)).dialed
        })
      )
      expect(value).toBe(0)
    }))

  it.live("of a name that does not exist, or has no address, is NotFound for the time the SOA says (RFC 2308 §5)", () =>
    Effect.gen(function*() {
      const { value } = yield* world(
        {
          script: {
            "gone.test": { code: "NameError", authorities: [soa(900)] },
            "empty.test": { A: { authorities: [soa(900, 300)] }, AAAA: {} }
          }
        },
        Effect.all([answers("gone.test"), answers("empty.test")])
      )
      expect(value[0]).toEqual(["10 inet6 NotFound for 900 s", "10 inet NotFound for 900 s"])
      expect(value[1]).toEqual(["20 inet6 NotFound", "20 inet NotFound for 300 s"])
    }))
})

describe("a chain of CNAMEs", () => {
  const chain = (...records: ReadonlyArray<DnsMessage.DnsRecord>) => ({ A: { answers: records }, AAAA: {} })
  const of = (script: NameServer.Script) => world({ script }, answers("www.test", { families: ["inet"] }))
  /** From www.test by c1.test on to the n-th. */
  const links = (n: number) =>
    Array.from({ length: n }, (_, k) => cname(k === 0 ? "www.test" : `c${k}.test`, `c${k + 1}.test`))

  it.live("is followed inside the answer, and has the lowest time to live of it", () =>
    Effect.gen(function*() {
      const { log, value } = yield* of({
        "www.test": chain(cname("www.test", "b.test", 20), cname("b.test", "c.test", 90), a("c.test", "192.0.2.3", 300))
      })
      expect(value).toEqual(["10 inet 192.0.2.3 for 20 s"])
      expect(log.length).toBe(1)
    }))

  it.live("is followed past records that were not asked for, such as signatures, which do not shorten its time", () =>
    Effect.gen(function*() {
      const signature = (from: string): DnsMessage.DnsRecord => ({
        type: "Other",
        name: from,
        timeToLive: 1,
        code: 46,
        data: new Uint8Array(30)
      })
      const { value } = yield* of({
        "www.test": chain(
          signature("www.test"),
          cname("www.test", "b.test"),
          a("b.test", "192.0.2.3"),
          signature("b.test")
        )
      })
      expect(value).toEqual(["10 inet 192.0.2.3 for 60 s"])
    }))

  it.live("that ends outside the answer is asked after", () =>
    Effect.gen(function*() {
      const { log, value } = yield* of({
        "www.test": chain(cname("www.test", "b.test")),
        "b.test": chain(a("b.test", "192.0.2.3", 5))
      })
      expect(value).toEqual(["20 inet 192.0.2.3 for 5 s"])
      expect(log.map(({ name }) => name)).toEqual(["www.test", "b.test"])
    }))

  it.live("believes no record that it does not lead to", () =>
    Effect.gen(function*() {
      const { value } = yield* of({
        "www.test": chain(a("bank.test", "203.0.113.66"), cname("www.test", "b.test"), a("b.test", "192.0.2.3"))
      })
      expect(value).toEqual(["10 inet 192.0.2.3 for 60 s"])
    }))

  for (
    const [what, script] of [
      ["that loops inside an answer", {
        "www.test": chain(cname("www.test", "b.test"), cname("b.test", "www.test"))
      }],
      ["that loops over several answers", {
        "www.test": chain(cname("www.test", "b.test")),
        "b.test": chain(cname("b.test", "www.test"))
      }],
      ["of 17 inside an answer", { "www.test": chain(...links(17)) }],
      ["of 17 over several answers", {
        "www.test": chain(...links(17).slice(0, 9)),
        "c9.test": chain(...links(17).slice(9))
      }]
    ] as const
  ) {
    it.live(`${what} is InvalidResponse`, () =>
      Effect.gen(function*() {
        const { value } = yield* of(script)
        expect(value).toEqual([expect.stringMatching(/ inet InvalidResponse$/)])
      }))
  }

  it.live("of 16 is followed: a server that asked 11 times itself can have found as many", () =>
    Effect.gen(function*() {
      const inside = yield* of({ "www.test": chain(...links(16), a("c16.test", "192.0.2.3")) })
      expect(inside.value).toEqual(["10 inet 192.0.2.3 for 60 s"])
      const over = yield* of({
        "www.test": chain(...links(16).slice(0, 9)),
        "c9.test": chain(...links(16).slice(9), a("c16.test", "192.0.2.3"))
      })
      expect(over.value).toEqual(["20 inet 192.0.2.3 for 60 s"])
    }))

  it.live("that leads to nothing is NotFound", () =>
    Effect.gen(function*() {
      const { value } = yield* of({
        "www.test": { A: { answers: [cname("www.test", "b.test")], authorities: [soa(30)] } }
      })
      expect(value).toEqual(["10 inet NotFound for 30 s"])
    }))
})

describe("the servers", () => {
  const good: NameServer.Script = { "web.test": both }
  const a4 = (input: World) => world(input, answers("web.test", { families: ["inet"] }))

  it.live("a silent one is followed by the next after its timeout, and asked last for a while", () =>
    Effect.gen(function*() {
      const { log, otherLog, value } = yield* world(
        { script: { "web.test": "silence" }, other: good },
        Effect.zip(answers("web.test", { families: ["inet"] }), answers("web.test", { families: ["inet"] }))
      )
      expect(value).toEqual([["5010 inet 192.0.2.1 for 60 s"], ["5020 inet 192.0.2.1 for 60 s"]])
      expect(log.map(({ at }) => at)).toEqual([5, 1005, 3005])
      expect(otherLog.length).toBe(2)
    }))

  for (
    const [what, reply] of [
      ["refuses", { code: "Refused" }],
      ["fails", { code: "ServerFailure" }]
    ] as const
  ) {
    it.live(`one that ${what} is followed by the next at once`, () =>
      Effect.gen(function*() {
        const { value } = yield* a4({ script: { "web.test": reply }, other: good })
        expect(value).toEqual(["20 inet 192.0.2.1 for 60 s"])
      }))
  }

  for (
    const [what, reply] of [
      ["says BADVERS, whose lower bits alone are NoError (RFC 6891 §6.1.3),", { code: 16 }],
      ["only names other servers", {
        authorities: [{ type: "NS", name: "test", timeToLive: 60, target: "ns.test" }],
        lie: { recursionAvailable: false }
      }]
    ] as const
  ) {
    it.live(`one that ${what} has not answered`, () =>
      Effect.gen(function*() {
        expect((yield* a4({ script: { "web.test": reply }, other: good })).value).toEqual([
          "20 inet 192.0.2.1 for 60 s"
        ])
        expect((yield* a4({ script: { "web.test": reply } })).value).toEqual(["20 inet ServerFailure"])
      }))
  }

  it.live("one that fails for a name is asked first for the next all the same", () =>
    Effect.gen(function*() {
      const { log, otherLog } = yield* world(
        { script: { "broken.test": { code: "ServerFailure" }, ...good }, other: { "broken.test": both } },
        Effect.zip(answers("broken.test", { families: ["inet"] }), answers("web.test", { families: ["inet"] }))
      )
      expect(log.map(({ name }) => name)).toEqual(["broken.test", "web.test"])
      expect(otherLog.map(({ name }) => name)).toEqual(["broken.test"])
    }))

  it.live("one whose answer breaks its format is followed by the next at once: it has no better one", () =>
    Effect.gen(function*() {
      // RFC 9460 §2.2: a client rejects all of a set in which one is malformed.
      const record: DnsMessage.DnsRecord = {
        type: "Other",
        name: "web.test",
        timeToLive: 60,
        code: 65,
        data: new Uint8Array(1)
      }
      const script = { "web.test": { HTTPS: { answers: [record] } } }
      const query = Effect.flatMap(
        DnsResolver.DnsResolver,
        ({ query }) => Effect.flip(query(name("web.test"), "HTTPS"))
      )
      const { log, millis, value } = yield* world({ script, other: script }, query)
      expect([value.reason, millis, log.length]).toEqual(["InvalidResponse", 40, 2])
    }))

  it.live("one that cuts off inside a record is asked again over TCP", () =>
    Effect.gen(function*() {
      const whole = NameServer.make({ "web.test": { A: Array.from({ length: 40 }, (_, n) => `192.0.2.${n + 1}`) } })
      const cut: Behaviour.Behaviour = (connection) =>
        Effect.flatMap(connection.read, (datagram) => {
          const query = Either.getOrThrow(DnsMessage.decode(Option.getOrThrow(datagram)))
          const bytes = whole.replies(query, "udp", 0)[0]?.bytes.slice(0, 100) ?? new Uint8Array()
          bytes.set([(bytes[2] ?? 0) | 2], 2)
          return connection.write(bytes)
        })
      const { value } = yield* a4({ listeners: { "dgram 53": cut, 53: whole.listeners[53] } })
      expect(value).toEqual([expect.stringMatching(/^30 inet 192.0.2.1 .* 192.0.2.40 for 60 s$/)])
    }))

  it.live("one that is not there (ICMP) is followed by the next at once", () =>
    Effect.gen(function*() {
      const { value } = yield* a4({ listeners: {}, other: good })
      expect(value).toEqual(["20 inet 192.0.2.1 for 60 s"])
    }))

  it.live("all silent: every one is asked `attempts` times, and it is a Timeout", () =>
    Effect.gen(function*() {
      const { log, millis, otherLog, value } = yield* a4({
        script: { "web.test": "silence" },
        other: { "web.test": "silence" },
        options: { timeout: "1 second", attempts: 3 }
      })
      expect(value).toEqual(["6000 inet Timeout"])
      expect([log.length, otherLog.length, millis]).toEqual([3, 3, 6000])
    }))

  it.live("take turns with `rotate`", () =>
    Effect.gen(function*() {
      const { log, otherLog } = yield* world(
        { script: good, other: good, options: { rotate: true } },
        Effect.repeatN(answers("web.test", { families: ["inet"] }), 3)
      )
      expect([log.length, otherLog.length]).toEqual([2, 2])
    }))

  it.live("one from before EDNS is asked again without it", () =>
    Effect.gen(function*() {
      const { log, value } = yield* a4({
        script: {
          "web.test": { A: { sequence: [{ code: "FormatError", lie: { question: undefined } }, ["192.0.2.1"]] } }
        }
      })
      expect(value).toEqual(["20 inet 192.0.2.1 for 60 s"])
      expect(log.map(({ udpPayloadSize }) => udpPayloadSize)).toEqual([1232, undefined])
    }))

  it.live("an answer that does not fit is asked for over TCP", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 40 }, (_, n) => `192.0.2.${n + 1}`)
      const { log, value } = yield* a4({ script: { "web.test": { A: { answers: many, truncated: true } } } })
      expect(value).toEqual([`30 inet ${many.join(" ")} for 60 s`])
      expect(log.map(({ over }) => over)).toEqual(["udp", "tcp"])
    }))

  it.live("a refused TCP is the failure of that server", () =>
    Effect.gen(function*() {
      const { listeners } = NameServer.make({ "web.test": { A: { truncated: true } } })
      const { value } = yield* a4({ listeners: { "dgram 53": listeners["dgram 53"] }, other: good })
      expect(value).toEqual(["30 inet 192.0.2.1 for 60 s"])
    }))

  it.live("one that ends its TCP connection before the answer has failed for the moment", () =>
    Effect.gen(function*() {
      const truncated = NameServer.make({ "web.test": { A: { truncated: true } } }).listeners["dgram 53"]
      const listeners = { "dgram 53": truncated, 53: (connection: Connection) => connection.end }
      expect((yield* a4({ listeners, other: good })).value).toEqual(["40 inet 192.0.2.1 for 60 s"])
      expect((yield* a4({ listeners, options: { attempts: 1 } })).value).toEqual(["30 inet Temporary"])
    }))

  it.live("a lost question is sent again after 1 s and 3 s, by the same socket with the same id", () =>
    Effect.gen(function*() {
      const twice = { sequence: ["silence", ["192.0.2.1"]] } as const
      expect((yield* a4({ script: { "web.test": { A: twice } } })).value).toEqual(["1010 inet 192.0.2.1 for 60 s"])
      const { log } = yield* a4({ script: { "web.test": "silence" }, options: { attempts: 1 } })
      expect(log.map(({ at }) => at)).toEqual([5, 1005, 3005])
      expect(new Set(log.map(({ id }) => id)).size).toBe(1)
    }))

  it.live("an answer that is only late is taken, whatever was sent again meanwhile", () =>
    Effect.gen(function*() {
      const late = { A: { answers: ["192.0.2.1"], delay: 4000 } }
      const { log, value } = yield* a4({ script: { "web.test": late } })
      expect([value, log.length]).toEqual([["4010 inet 192.0.2.1 for 60 s"], 3])
    }))
})

describe("what is not the answer is ignored, and the wait goes on", () => {
  const lies: ReadonlyArray<readonly [string, NameServer.Reply]> = [
    ["another id", { answers: ["203.0.113.66"], lie: { id: 1 } }],
    ["another name", { answers: ["203.0.113.66"], lie: { question: { name: "evil.test", type: "A" } } }],
    ["another type", { answers: ["203.0.113.66"], lie: { question: { name: "web.test", type: "AAAA" } } }],
    ["no question", { answers: ["203.0.113.66"], lie: { question: undefined } }],
    ["a query", { answers: ["203.0.113.66"], lie: { response: false } }],
    ["octets that are no message", { garbage: new Uint8Array([1, 2, 3]) }]
  ]
  for (const [what, lie] of lies) {
    it.live(what, () =>
      Effect.gen(function*() {
        const reply = { together: [lie, { answers: ["192.0.2.1"], delay: 20 }] }
        const { value } = yield* world(
          { script: { "web.test": { A: reply } } },
          answers("web.test", { families: ["inet"] })
        )
        expect(value).toEqual(["30 inet 192.0.2.1 for 60 s"])
      }))
  }

  it.live("and when nothing better comes, octets that are no message are InvalidResponse", () =>
    Effect.gen(function*() {
      const { value } = yield* world(
        { script: { "web.test": { A: { garbage: new Uint8Array([1]) } } }, options: { attempts: 1 } },
        answers("web.test", { families: ["inet"] })
      )
      expect(value).toEqual(["5000 inet InvalidResponse"])
    }))

  it.live("with randomizeCase the case of the name must come back as it was sent", () =>
    Effect.gen(function*() {
      const reply = {
        together: [
          { answers: ["203.0.113.66"], lie: { question: { name: "web.test", type: "A" } } },
          { answers: [a("web.test", "192.0.2.1")], delay: 20 }
        ]
      } as const
      const { log, value } = yield* world(
        { script: { "web.test": { A: reply } }, options: { randomizeCase: true } },
        Effect.provideService(answers("web.test", { families: ["inet"] }), DnsExchange.Entropy, { next: () => 0b101 })
      )
      expect(value).toEqual(["30 inet 192.0.2.1 for 60 s"])
      expect(log[0]?.name.toLowerCase()).toBe("web.test")
    }))
})

describe("an interruption", () => {
  /** Sockets on which the name server answers at once, over TCP in two pieces. */
  const answering = (transport: FakeTransport.FakeTransport, replies: NameServer.NameServer["replies"]) =>
    Layer.effect(
      Transport,
      Effect.map(Transport, ({ open }) => ({
        open: (request) =>
          Effect.gen(function*() {
            const arrived = yield* Queue.unbounded<Uint8Array>()
            const stream = request.socketType === "stream"
            const write = (bytes: Uint8Array) => {
              const query = Either.getOrThrow(DnsMessage.decode(stream ? bytes.subarray(2) : bytes))
              const answers = replies(query, stream ? "tcp" : "udp", 0).map(({ bytes }) => bytes)
              return Queue.offerAll(
                arrived,
                stream
                  ? answers.flatMap((answer) => [Uint8Array.of(0), Uint8Array.of(answer.length, ...answer)])
                  : answers
              )
            }
            return Object.assign(yield* open(request), { write, read: Effect.map(Queue.take(arrived), Option.some) })
          })
      }))
    ).pipe(Layer.provide(transport.layer))

  it.effect(
    "at any step leaves no socket and no fiber: of a question sent twice, a truncated answer, TCP",
    () =>
      Effect.gen(function*() {
        const steps = yield* interruptAtEveryStep(() => {
          const server = NameServer.make({ "web.test": { A: { answers: ["192.0.2.1"], truncated: true } } })
          const lost = { left: 1 }
          const transport = FakeTransport.make({ "10.0.0.53:53": { outcome: "connected" } })
          const supervisor = Effect.runSync(Supervisor.track)
          const exchange = DnsExchange.make({ servers: [first] }).pipe(
            Effect.provide(
              answering(transport, (query, over, now) => lost.left-- > 0 ? [] : server.replies(query, over, now))
            )
          )
          const ask = Effect.runSync(exchange)
          return {
            program: Effect.supervised(ask({ name: "web.test", type: "A" }), supervisor),
            after: (exit, step) =>
              Effect.gen(function*() {
                expect(transport.open(), `step ${step}`).toBe(0)
                expect([...yield* supervisor.value].length, `step ${step}`).toBe(0)
                if (Exit.isSuccess(exit)) expect(exit.value.answers.length).toBe(1)
              })
          }
        })
        expect(steps).toBeGreaterThan(200)
      }),
    60_000
  )
})

describe("names", () => {
  it.live("of the hosts file are the file's, for both families", () =>
    Effect.gen(function*() {
      const hosts = DnsConfig.parseHosts("10.0.0.7 db.test db\n10.0.0.8 db.test")
      const { log, value } = yield* world({ options: { hosts } }, Effect.all([answers("DB.test"), answers("db.test.")]))
      expect(value[0]).toEqual(["0 inet6 NotFound", "0 inet 10.0.0.7 10.0.0.8"])
      expect(value[1]).toEqual(value[0])
      expect(log).toEqual([])
    }))

  const search = ["a.test", "b.test"]
  const asked = (text: string, script: NameServer.Script, ndots?: number) =>
    Effect.map(
      world({ script, options: { search, ndots } }, answers(text, { families: ["inet"] })),
      ({ log, value }) => [...log.map(({ name }) => name), value[0]?.split(" ").slice(1, 3).join(" ")]
    )

  it.live("with fewer dots than ndots go through the search list first, then as they are", () =>
    Effect.gen(function*() {
      expect(yield* asked("db", { "db.b.test": both })).toEqual(["db.a.test", "db.b.test", "inet 192.0.2.1"])
      expect(yield* asked("db", {})).toEqual(["db.a.test", "db.b.test", "db", "inet NotFound"])
      expect(yield* asked("x.db", { "x.db.a.test": both }, 2)).toEqual(["x.db.a.test", "inet 192.0.2.1"])
    }))

  it.live("with ndots dots are tried as they are first", () =>
    Effect.gen(function*() {
      expect(yield* asked("x.db", { "x.db.a.test": both })).toEqual(["x.db", "x.db.a.test", "inet 192.0.2.1"])
    }))

  it.live("with a trailing dot are never searched for", () =>
    Effect.gen(function*() {
      expect(yield* asked("db.", { "db.a.test": both })).toEqual(["db", "inet NotFound"])
    }))

  it.live("that exist without such a record are not searched on, so that both families are of one host", () =>
    Effect.gen(function*() {
      expect(yield* asked("db", { "db.a.test": { A: {} }, "db.b.test": both })).toEqual(["db.a.test", "inet NotFound"])
    }))

  it.live("of which none exists are NotFound for as long as each of them is", () =>
    Effect.gen(function*() {
      const none = (seconds: number) => ({ code: "NameError", authorities: [soa(seconds)] }) as const
      const ask = (script: NameServer.Script) =>
        world({ script, options: { search } }, answers("db", { families: ["inet"] }))
      const { value } = yield* ask({ "db.a.test": none(90), "db.b.test": none(20), db: none(900) })
      expect(value).toEqual(["30 inet NotFound for 20 s"])
      expect((yield* ask({ "db.a.test": none(90), db: none(900) })).value).toEqual(["30 inet NotFound"])
    }))

  it.live("of one label are asked for as they are when there is no search list", () =>
    Effect.gen(function*() {
      const { log, value } = yield* world({ script: { db: both } }, answers("db", { families: ["inet"] }))
      expect(value).toEqual(["10 inet 192.0.2.1 for 60 s"])
      expect(log.map(({ name }) => name)).toEqual(["db"])
    }))

  it.live("are not searched on after a failure", () =>
    Effect.gen(function*() {
      const refused = { code: "ServerFailure" } as const
      const found = yield* asked("db", { "db.a.test": refused, "db.b.test": both })
      expect(found.at(-1)).toBe("inet ServerFailure")
    }))
})

describe("HTTPS records", () => {
  const binding = (priority: number, target: string, owner = "web.test"): DnsMessage.DnsRecord => ({
    type: "HTTPS",
    name: owner,
    timeToLive: 30,
    binding: ServiceBinding.make({ priority, target })
  })

  it.live("are asked for with the addresses when they are wanted, for another port under its prefix", () =>
    Effect.gen(function*() {
      const { log, value } = yield* world({
        script: {
          "web.test": { ...both, HTTPS: { answers: [binding(1, "svc.test"), binding(2, "")] } },
          "_8443._https.web.test": { HTTPS: { answers: [binding(1, "other.test", "_8443._https.web.test")] } }
        }
      }, Effect.all([answers("web.test", { services: 443 }), answers("web.test", { services: 8443 })]))
      expect(value[0]).toContain("10 services 1=svc.test 2= for 30 s")
      expect(value[1]).toContain("20 services 1=other.test for 30 s")
      expect(log.map(({ name, type }) => `${name} ${type}`).filter((text) => text.endsWith("HTTPS"))).toEqual([
        "web.test HTTPS",
        "_8443._https.web.test HTTPS"
      ])
    }))
})

describe("the machine's own configuration", () => {
  it.live("is read through FileSystem, and again when it changes", () =>
    Effect.gen(function*() {
      const files = { "/etc/resolv.conf": "nameserver 10.0.0.53\n", "/etc/hosts": "" }
      let version = 0
      let stats = 0
      const fileSystem = FileSystem.layerNoop({
        stat: () => {
          stats += 1
          return Effect.succeed(
            { size: FileSystem.Size(version), ino: Option.none(), mtime: Option.none() } as FileSystem.File.Info
          )
        },
        readFileString: (path) => Effect.succeed(files[path as keyof typeof files])
      })
      const server = NameServer.make({ "web.test": both, "web.corp.test": { A: ["192.0.2.9"] } })
      const ask = answers("web", { families: ["inet"] })
      const told = yield* SimNetwork.run(
        Effect.gen(function*() {
          const before = yield* ask
          files["/etc/resolv.conf"] = "nameserver 10.0.0.53\nsearch corp.test\n"
          version = 1
          const unseen = yield* ask
          const looked = stats
          yield* Effect.sleep("5 seconds")
          return [before, unseen, looked, (yield* ask)[0]?.split(" ").slice(1)]
        }).pipe(Effect.provide(DnsResolver.layer()), Effect.provide(fileSystem)),
        { hosts: { dns: { addresses: ["10.0.0.53"], listeners: server.listeners } } }
      )
      expect(told).toEqual([["0 inet NotFound"], ["0 inet NotFound"], 2, ["inet", "192.0.2.9", "for", "60", "s"]])
    }))

  it.live("says how long a server has, how often each is asked and who is first (timeout, attempts, rotate)", () =>
    Effect.gen(function*() {
      const resolvConf = "nameserver 10.0.0.53\nnameserver 10.0.0.54\noptions timeout:1 attempts:3 rotate\n"
      const fileSystem = FileSystem.layerNoop({
        readFileString: (path) => Effect.succeed(path === "/etc/resolv.conf" ? resolvConf : "")
      })
      const servers = [NameServer.make({ "web.test": "silence" }), NameServer.make({ "web.test": "silence" })] as const
      const told = yield* SimNetwork.run(
        Effect.replicateEffect(answers("web.test", { families: ["inet"] }), 2).pipe(
          Effect.provide(DnsResolver.layer()),
          Effect.provide(fileSystem)
        ),
        {
          hosts: {
            dns: { addresses: ["10.0.0.53"], listeners: servers[0].listeners },
            dns2: { addresses: ["10.0.0.54"], listeners: servers[1].listeners }
          }
        }
      )
      expect(told).toEqual([["6000 inet Timeout"], ["12000 inet Timeout"]])
      expect(servers.map(({ log }) => log.map(({ at }) => at))).toEqual([
        [0, 2000, 4000, 7000, 9000, 11_000],
        [1000, 3000, 5000, 6000, 8000, 10_000]
      ])
    }))

  it.live("that is not there is 127.0.0.1, as for glibc", () =>
    Effect.gen(function*() {
      const absent = FileSystem.layerNoop({})
      const told = yield* SimNetwork.run(
        answers("web.test", { families: ["inet"] }).pipe(Effect.provide(DnsResolver.layer()), Effect.provide(absent)),
        { hosts: { client: { addresses: ["10.0.0.1"], listeners: NameServer.make({ "web.test": both }).listeners } } }
      )
      expect(told).toEqual(["0 inet 192.0.2.1 for 60 s"])
    }))
})

describe("the check of an answer", () => {
  const sent = { id: 7, question: { name: "a.test", type: "A" }, exactCase: false } as const
  const answer = (fields: Partial<DnsMessage.Message>): DnsMessage.Message => ({
    id: 7,
    response: true,
    truncated: false,
    authoritative: false,
    recursionAvailable: true,
    responseCode: "NoError",
    question: { name: "A.test", type: "A" },
    answers: [],
    authorities: [],
    additionals: [],
    udpPayloadSize: undefined,
    ...fields
  })

  it("takes the same question in any case, unless its case was a secret", () => {
    expect(DnsExchange.accepts(sent, answer({}))).toBe(true)
    expect(DnsExchange.accepts({ ...sent, exactCase: true }, answer({}))).toBe(false)
    expect(DnsExchange.accepts({ ...sent, exactCase: true }, answer({ question: sent.question }))).toBe(true)
  })

  it("takes an answer without a question only as the word that the question could not be read", () => {
    expect(DnsExchange.accepts(sent, answer({ question: undefined, responseCode: "FormatError" }))).toBe(true)
    expect(DnsExchange.accepts(sent, answer({ question: undefined }))).toBe(false)
  })
})

describe("a name server in a dial", () => {
  it.live("AAAA never answered with A good: connected after the Resolution Delay", () =>
    Effect.gen(function*() {
      const server = NameServer.make({ "web.test": { A: ["10.0.0.2"], AAAA: "silence" } })
      const network = Layer.provideMerge(Dialer.layer, DnsResolver.layerServers({ servers: [first] }))
      const [elapsed] = yield* SimNetwork.run(
        Effect.timed(Effect.provide(Effect.scoped(Dialer.dial("web.test:80")), network)),
        {
          hosts: {
            dns: { addresses: ["10.0.0.53"], listeners: server.listeners },
            web: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.echo } }
          },
          defaultLink: { latency: "5 millis" }
        }
      )
      // 10 ms for the A, 50 for the AAAA that does not come, 10 for the handshake.
      expect(Duration.toMillis(elapsed)).toBe(70)
    }))
})
