import { describe, expect } from "@effect/vitest"
import { Effect, Either, Option } from "effect"
import * as Address from "../../src/Address.js"
import * as Dialer from "../../src/Dialer.js"
import type { DialError } from "../../src/DialError.js"
import { Behaviour, Fault, SimNetwork, type Topology } from "../../src/testing/index.js"
import { readings, sim, text, timed } from "./support.js"

const web = (
  extra: Omit<Topology.Topology, "hosts"> = {},
  behaviour: Behaviour.Behaviour = Behaviour.echo
): Topology.Topology => ({
  hosts: { web: { addresses: ["10.0.0.2"], listeners: { 80: behaviour } } },
  defaultLink: { latency: "10 millis" },
  ...extra
})

/** What an error says, in short: the reason of its one attempt, or of its resolution. */
const reasonOf = (error: DialError): string => {
  switch (error._tag) {
    case "AllAttemptsFailed":
      return error.attempts.map((report) =>
        report.outcome === "Failed" ? `${report.error.operation} ${report.error.reason}` : report.outcome
      ).join(", ")
    case "DialTimeout":
      return `timeout while ${error.phase}`
    case "ResolveError":
      return `resolve ${error.reason}`
    case "InvalidEndpoint":
      return "invalid"
  }
}

/** Dial: what became of it, and after how many milliseconds. */
const outcome = (endpoint: string, options?: Dialer.DialOptions) =>
  timed(
    Effect.scoped(Dialer.dial(endpoint, options)).pipe(
      Effect.match({ onFailure: reasonOf, onSuccess: (connection) => `connected to ${connection.remoteAddress}` })
    )
  )

describe("a connect fault", () => {
  const scenarios: ReadonlyArray<
    readonly [fault: keyof typeof Fault & string, injection: Fault.Injection, outcome: string, after: number]
  > = [
    ["refused", Fault.on("web:80", Fault.refused), "connect Refused", 20],
    ["hostUnreachable", Fault.on("web", Fault.hostUnreachable), "connect HostUnreachable", 20],
    ["networkUnreachable", Fault.on("10.0.0.2", Fault.networkUnreachable), "connect NetworkUnreachable", 20],
    ["slowSynAck", Fault.on("10.0.0.2:80", Fault.slowSynAck("300 millis")), "connected to 10.0.0.2:80", 320],
    ["silentSyn", Fault.on("*", Fault.silentSyn), "timeout while connecting", 30_000],
    ["localAddressNotAvailable", Fault.on("web:80", Fault.localAddressNotAvailable), "bind AddressNotAvailable", 0],
    ["bindInUse", Fault.on("web:80", Fault.bindInUse), "bind AddressInUse", 0],
    ["permissionDenied", Fault.on("web:80", Fault.permissionDenied), "connect PermissionDenied", 0],
    ["backlogFull", Fault.on("web:80", Fault.backlogFull), "timeout while connecting", 30_000],
    ["noDescriptors", Fault.on("web:80", Fault.noDescriptors), "socket TooManyOpenFiles", 0]
  ]
  for (const [name, injection, expected, after] of scenarios) {
    sim(`${name} is what the dial tells, at its time`, web({ faults: [injection] }), () =>
      Effect.gen(function*() {
        expect(yield* outcome("10.0.0.2:80")).toEqual([expected, after])
      }))
  }

  sim(
    "a SYN that nobody answers is given up by the kernel after its retries",
    web({
      faults: [Fault.on("web", Fault.silentSyn)]
    }),
    () =>
      Effect.gen(function*() {
        expect(yield* outcome("10.0.0.2:80", { timeout: "10 minutes" })).toEqual(["connect TimedOut", 127_000])
      })
  )

  sim(
    "a peer that accepts and closes is a connection whose reader sees the end",
    web({
      faults: [Fault.on("web", Fault.acceptedThenClosed)]
    }),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        expect(yield* readings(connection)).toEqual(["end"])
      })
  )

  sim(
    "a peer that accepts and resets is a connection that is lost as reset",
    web({
      faults: [Fault.on("web", Fault.acceptedThenReset)]
    }),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        expect((yield* connection.lost).reason).toBe("Reset")
      })
  )

  sim(
    "a fault with `times` happens that often and no more",
    web({
      faults: [Fault.on("web:80", Fault.refused, { times: 2 })]
    }),
    () =>
      Effect.gen(function*() {
        const outcomes = yield* Effect.replicateEffect(outcome("10.0.0.2:80"), 3)
        expect(outcomes.map(([what]) => what)).toEqual([
          "connect Refused",
          "connect Refused",
          "connected to 10.0.0.2:80"
        ])
      })
  )

  sim(
    "a fault with `at` and `lasting` happens in that time only",
    web({
      faults: [Fault.on("web:80", Fault.refused, { at: "1 second", lasting: "1 second" })]
    }),
    () =>
      Effect.gen(function*() {
        const before = yield* outcome("10.0.0.2:80")
        yield* Effect.sleep("1 second")
        const during = yield* outcome("10.0.0.2:80")
        yield* Effect.sleep("1 second")
        const after = yield* outcome("10.0.0.2:80")
        expect([before, during, after].map(([what]) => what)).toEqual([
          "connected to 10.0.0.2:80",
          "connect Refused",
          "connected to 10.0.0.2:80"
        ])
      })
  )

  sim("a UNIX socket is denied, busy or refused at once, for as long as the fault lasts", {
    hosts: { client: { listeners: { "/run/db.sock": Behaviour.echo, "@db": Behaviour.echo } } },
    faults: [
      Fault.on("/run/db.sock", Fault.permissionDenied, { lasting: "1 second" }),
      Fault.on("@db", Fault.backlogFull, { lasting: "1 second" })
    ]
  }, () =>
    Effect.gen(function*() {
      expect(yield* outcome("unix:/run/db.sock")).toEqual(["connect PermissionDenied", 0])
      expect(yield* outcome("unix:@db")).toEqual(["connect Busy", 0])
      yield* Effect.sleep("1 second")
      expect(yield* outcome("unix:/run/db.sock")).toEqual(["connected to /run/db.sock", 0])
      expect(yield* outcome("unix:@db")).toEqual(["connected to @db", 0])
      expect(yield* outcome("unix:@nobody")).toEqual(["connect Refused", 0])
    }))

  sim("a fault on one host leaves the others alone", {
    hosts: {
      a: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.echo } },
      b: { addresses: ["10.0.0.3"], listeners: { 80: Behaviour.echo } }
    },
    faults: [Fault.on("a", Fault.refused)]
  }, () =>
    Effect.gen(function*() {
      expect((yield* outcome("10.0.0.2:80"))[0]).toBe("connect Refused")
      expect((yield* outcome("10.0.0.3:80"))[0]).toBe("connected to 10.0.0.3:80")
    }))

  sim("an injected fault ends with its Scope", web(), () =>
    Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const inside = yield* Effect.scoped(
        Effect.zipRight(network.inject(Fault.on("web", Fault.refused)), outcome("10.0.0.2:80"))
      )
      expect(inside[0]).toBe("connect Refused")
      expect((yield* outcome("10.0.0.2:80"))[0]).toBe("connected to 10.0.0.2:80")
    }))
})

describe("a name", () => {
  const names = (record: Topology.NameRecord): Topology.Topology => ({
    hosts: { web: { addresses: ["10.0.0.2", "2001:db8::2"], listeners: { 80: Behaviour.echo } } },
    names: { "web.test": record }
  })
  const scenarios: ReadonlyArray<
    readonly [name: string, record: Topology.NameRecord, outcome: string, after: number]
  > = [
    ["that is not found fails the dial at once", Fault.notFound, "resolve NotFound", 0],
    ["with no address is not found", Fault.empty, "resolve NotFound", 0],
    ["whose server fails says so", Fault.serverFailure, "resolve ServerFailure", 0],
    ["whose lookup fails as a whole says so", Fault.resolverFails("Refused"), "resolve Refused", 0],
    ["that nobody answers for is given up at the deadline", Fault.noAnswer, "timeout while resolving", 30_000],
    ["with both families is dialed by IPv6", ["10.0.0.2", "2001:db8::2"], "connected to [2001:db8::2]:80", 0],
    [
      "with a late AAAA is not held back by it",
      { inet: ["10.0.0.2"], inet6: { answer: ["2001:db8::2"], delay: "5 seconds" } },
      "connected to 10.0.0.2:80",
      0
    ],
    ["with a mapped address is reached over IPv4", ["::ffff:10.0.0.2"], "connected to 10.0.0.2:80", 0]
  ]
  for (const [name, record, expected, after] of scenarios) {
    sim(name, names(record), () =>
      Effect.gen(function*() {
        const [what, millis] = yield* outcome("web.test:80")
        expect(what).toBe(expected)
        expect(millis).toBeGreaterThanOrEqual(after)
        // RFC 8305 §8: an A that comes before its AAAA may be held for the resolution delay, 50 ms.
        expect(millis).toBeLessThanOrEqual(after + 50)
      }))
  }

  sim(
    "whose answer changes is dialed by the new one",
    names({ sequence: [["10.0.0.2"], ["2001:db8::2"]] }),
    () =>
      Effect.gen(function*() {
        const outcomes = yield* Effect.replicateEffect(outcome("web.test:80"), 3)
        expect(outcomes.map(([what]) => what)).toEqual([
          "connected to 10.0.0.2:80",
          "connected to [2001:db8::2]:80",
          "connected to [2001:db8::2]:80"
        ])
      })
  )

  sim("can be given another record while the test runs", names(["10.0.0.2"]), () =>
    Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      yield* network.setRecord("web.test", Fault.serverFailure)
      expect((yield* outcome("web.test:80"))[0]).toBe("resolve ServerFailure")
    }))

  sim("is compared without regard to case or a trailing dot", names(["10.0.0.2"]), () =>
    Effect.gen(function*() {
      expect((yield* outcome("WEB.test.:80"))[0]).toBe("connected to 10.0.0.2:80")
    }))

  sim(
    "gives a family's time to live",
    names({ inet: { answer: ["10.0.0.2"], timeToLive: "1 minute" } }),
    () =>
      Effect.gen(function*() {
        expect((yield* outcome("web.test:80"))[0]).toBe("connected to 10.0.0.2:80")
      })
  )
})

describe("a stream fault", () => {
  const letters = "abcdefghijklmnopqrstuvwxyz"
  const alphabet = (fault: Fault.Injection, behaviour: Behaviour.Behaviour = Behaviour.send(letters)) =>
    web({ faults: [fault] }, behaviour)

  sim(
    "sliced brings the same bytes in pieces",
    alphabet(Fault.on("web", Fault.sliced(10))),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        expect(yield* readings(connection)).toEqual(["abcdefghij", "klmnopqrst", "uvwxyz", "end"])
      })
  )

  sim(
    "stalled makes the bytes late",
    alphabet(Fault.on("web", Fault.stalled("3 seconds"), { afterBytes: 10 })),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        const [first, early] = yield* timed(connection.read)
        expect([text(Option.getOrThrow(first)), early]).toEqual(["abcdefghij", 20])
        const [second, late] = yield* timed(connection.read)
        expect([text(Option.getOrThrow(second)), late]).toEqual(["klmnopqrstuvwxyz", 2990])
      })
  )

  sim(
    "stalled for ever never tells anybody",
    alphabet(Fault.on("web", Fault.stalled(Infinity))),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        expect(yield* Effect.timeoutOption(connection.read, "20 hours")).toEqual(Option.none())
        yield* connection.abort
      })
  )

  sim(
    "throttled carries so many bytes a second",
    alphabet(
      Fault.on("web", Fault.throttled(1000)),
      Behaviour.send(new Uint8Array(3000))
    ),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        const [, millis] = yield* timed(readings(connection))
        expect(millis).toBe(3020)
      })
  )

  sim(
    "truncated ends too early, and answers what is sent with a reset",
    alphabet(
      Fault.on("web", Fault.truncated, { afterBytes: 5 })
    ),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        expect(yield* readings(connection)).toEqual(["abcde", "end"])
        yield* connection.write("are you there?")
        expect((yield* connection.lost).reason).toBe("Reset")
      })
  )

  sim(
    "broken after bytes gives these and then the reset",
    alphabet(
      Fault.on("web", Fault.broken, { afterBytes: 5 })
    ),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        yield* Effect.sleep("1 second")
        const seen = yield* readings(connection)
        expect(seen.at(-1)).toBe("Reset")
        expect(letters.startsWith(seen.slice(0, -1).join(""))).toBe(true)
      })
  )

  sim(
    "broken in what is sent fails the write that is under way",
    web({
      faults: [Fault.on("web", Fault.broken, { afterBytes: 100_000, direction: "sent" })]
    }, Behaviour.discard),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        const result = yield* Effect.either(connection.write(new Uint8Array(1_000_000)))
        expect(Either.getOrThrow(Either.flip(result)).reason).toBe("Reset")
      })
  )

  sim(
    "halfClosed ends one half and leaves the other",
    web({
      faults: [Fault.on("web", Fault.halfClosed, { afterBytes: 5 })]
    }),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        yield* connection.write("hello")
        expect(yield* readings(connection)).toEqual(["hello", "end"])
        yield* connection.write("and more")
        expect(yield* Effect.timeoutOption(connection.lost, "1 minute")).toEqual(Option.none())
      })
  )

  sim(
    "finLost leaves the reader waiting after the last byte",
    alphabet(Fault.on("web", Fault.finLost)),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        expect(text(Option.getOrThrow(yield* connection.read))).toBe(letters)
        expect(yield* Effect.timeoutOption(connection.read, "1 hour")).toEqual(Option.none())
      })
  )

  sim(
    "silentDeath is found out by writing, when the kernel gives up",
    web({
      faults: [Fault.on("web", Fault.silentDeath, { at: "1 second" })]
    }),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        yield* Effect.sleep("2 seconds")
        yield* connection.write("are you there?")
        const [lost, millis] = yield* timed(connection.lost)
        expect([lost.reason, lost.code, millis]).toEqual(["TimedOut", "ETIMEDOUT", 924_000])
      })
  )

  sim(
    "silentDeath is found out by keep-alive probes without writing",
    web({
      faults: [Fault.on("web", Fault.silentDeath, { at: "1 second" })]
    }),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80", { socket: { keepAlive: "60 seconds" } })
        const [lost, millis] = yield* timed(connection.lost)
        expect([lost.reason, millis]).toEqual(["TimedOut", 60_000 + 9 * 75_000])
      })
  )

  sim(
    "corrupted turns bits of one byte",
    alphabet(Fault.on("web", Fault.corrupted(0x20), { afterBytes: 3 })),
    () =>
      Effect.gen(function*() {
        const connection = yield* Dialer.dial("10.0.0.2:80")
        expect((yield* readings(connection)).join("")).toBe("abcDefghijklmnopqrstuvwxyzend")
      })
  )

  sim("injected into a running network strikes the connections there are", web(), () =>
    Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const connection = yield* Dialer.dial("10.0.0.2:80")
      yield* network.inject(Fault.on("web", Fault.broken))
      expect((yield* connection.lost).reason).toBe("Reset")
    }))

  sim("befalls a UNIX connection as well", {
    hosts: { client: { listeners: { "/run/db.sock": Behaviour.send(letters) } } },
    faults: [Fault.on("/run/db.sock", Fault.halfClosed, { afterBytes: 2 })]
  }, () =>
    Effect.gen(function*() {
      const connection = yield* Dialer.dial("unix:/run/db.sock")
      expect(yield* readings(connection)).toEqual(["ab", "end"])
      expect(connection.localAddress).toEqual(Address.unnamed)
    }))
})
