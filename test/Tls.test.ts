/**
 * A Dialer that speaks TLS, made from one that does not: over the simulated network, where its times are exact, and over
 * real sockets.
 */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Either, Layer, Option, type Scope } from "effect"
import * as nodeTls from "node:tls"
import type { Connection } from "../src/Connection.js"
import * as Dialer from "../src/Dialer.js"
import { type DialError, pretty } from "../src/DialError.js"
import * as DialEvent from "../src/DialEvent.js"
import * as Endpoint from "../src/Endpoint.js"
import * as NodeNetwork from "../src/node/NodeNetwork.js"
import * as NodeTls from "../src/node/NodeTls.js"
import { Behaviour, SimNetwork, type Topology } from "../src/testing/index.js"
import { interruptedAtEveryStep } from "../src/testing/laws/Law.js"
import * as Tls from "../src/Tls.js"
import { isTlsError } from "../src/TlsError.js"
import { certificates, type Issued } from "./support/certificates.js"
import * as Loopback from "./support/loopback.js"
import * as Servers from "./support/tls.js"
import { idle, speakingTls } from "./testing/tlsBehaviour.js"

const roots = certificates.root.certificate

const context = ({ certificate, key }: Issued) => nodeTls.createSecureContext({ cert: certificate, key })

const good = context(certificates.good)

const expired = context(certificates.expired)

/** Hosts of one name, in order, a millisecond away. */
const hosts = (...listeners: ReadonlyArray<Behaviour.Behaviour | "none">): Topology.Topology => ({
  hosts: Object.fromEntries(listeners.map((listener, index) => [
    `host${index}`,
    { addresses: [`10.0.0.${index + 2}`], listeners: listener === "none" ? {} : { 443: listener } }
  ])),
  names: { "db.test": listeners.map((_, index) => `10.0.0.${index + 2}`) },
  defaultLink: { latency: "1 millis" }
})

const secure = (greeting: string, by = good): Behaviour.Behaviour => speakingTls(by, sending(greeting))

const sending = (text: string) => (connection: Connection) =>
  Effect.zipRight(connection.write(text), Effect.zipRight(connection.end, Behaviour.discard(connection)))

type Services = Dialer.Dialer | Scope.Scope | Tls.Tls

/** Runs on a simulated network with TLS, in virtual time; fails when anything is left open. */
const simulated = <A, E>(
  effect: Effect.Effect<A, E, Services>,
  topology: Topology.Topology,
  options: Tls.TlsOptions = {}
) =>
  SimNetwork.run(
    Effect.provide(effect, Layer.provideMerge(Tls.layerWith({ roots, ...options }), NodeTls.layer)),
    topology,
    { idle }
  )

/** Runs on real sockets of this machine, and leaves none. */
const real = <A, E>(effect: Effect.Effect<A, E, Services>) =>
  Loopback.leavesNoSocket(Effect.scoped(Effect.provide(effect, NodeNetwork.layer)))

const readText = (connection: Connection) =>
  Effect.map(connection.read, (bytes) => Option.getOrUndefined(Option.map(bytes, Loopback.text)))

/** What a dial's peer says, and when the dial had it, in milliseconds. */
const greeted = (endpoint: Endpoint.Input, options?: Dialer.DialOptions) =>
  Effect.gen(function*() {
    const connection = yield* Dialer.dial(endpoint, options)
    const at = yield* Clock.currentTimeMillis
    return { at, said: yield* readText(connection), tls: Option.getOrUndefined(Tls.sessionOf(connection)) }
  })

/** The error of a dial, and when it had it. */
const refused = (endpoint: Endpoint.Input, options?: Dialer.DialOptions) =>
  Effect.flatMap(
    Effect.either(Dialer.dial(endpoint, options)),
    Either.match({
      onLeft: (error) => Effect.map(Clock.currentTimeMillis, (at) => ({ at, error })),
      onRight: () => Effect.dieMessage("it was dialed")
    })
  )

/** The reasons of TLS in an error, and of the attempts that failed otherwise. */
const reasons = (error: DialError): ReadonlyArray<string> =>
  ("attempts" in error ? error.attempts : []).map((report) =>
    report.outcome !== "Failed"
      ? report.outcome
      : isTlsError(report.error.cause)
      ? `${report.error.reason} ${report.error.cause.reason}`
      : report.error.reason
  )

describe("a dial of a tls:// endpoint", () => {
  it.live("is secured for the host it names, one round trip after it connected", () =>
    Effect.gen(function*() {
      const { at, said, tls } = yield* simulated(greeted("tls://db.test:443"), hosts(secure("hello")))
      expect(said).toBe("hello")
      expect(at).toBe(4)
      expect(tls).toMatchObject({ expected: "db.test", serverName: "db.test", verified: true })
    }))

  it.live("of an address is secured for that, and sends no name", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({})
      const connection = yield* Tls.dial(Endpoint.fromSocketAddress(address, "Tls"), { roots })
      expect(connection.tls).toMatchObject({ expected: "127.0.0.1", serverName: undefined })
    }).pipe(real))

  it.live("takes a name's final dot for no part of it", () =>
    Effect.gen(function*() {
      const network = { ...hosts(secure("hello")), names: { "db.test.": ["10.0.0.2"], "db.test": ["10.0.0.2"] } }
      expect((yield* simulated(greeted("tls://db.test.:443"), network)).tls?.serverName).toBe("db.test")
    }))

  it.live("fails with the TlsError for its attempt's cause, and by the name it was asked for", () =>
    Effect.gen(function*() {
      const { error } = yield* simulated(refused("tls://db.test:443"), hosts(secure("hello", expired)))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed", endpoint: "tls://db.test:443" })
      expect(reasons(error)).toEqual(["NotEstablished Expired"])
      expect(error.message).toMatch(
        /^dial tls:\/\/db.test:443: the only attempt failed in 4 ms: 10.0.0.2:443 connected, /
      )
      expect(pretty(error)).toContain("the certificate has expired: CN=expired for localhost, db.test")
    }))

  it.live("goes on to the next address at once when the first's handshake fails", () =>
    Effect.gen(function*() {
      const { at, said } = yield* simulated(greeted("tls://db.test:443"), hosts(secure("no", expired), secure("yes")))
      expect(said).toBe("yes")
      // The first fails after 4 ms; the second starts 10 ms after the first did (RFC 8305 §5), and takes 4.
      expect(at).toBe(14)
    }))

  it.live("goes on to the next address when the first's handshake stalls, and the first is closed", () =>
    Effect.gen(function*() {
      const events: Array<DialEvent.DialEvent> = []
      const observed = DialEvent.observe(greeted("tls://db.test:443"), () => (event) => events.push(event))
      const { at, said } = yield* simulated(observed, hosts(Behaviour.silent, secure("yes")))
      expect(said).toBe("yes")
      expect(at).toBe(254)
      expect(events.map((event) => "attempt" in event ? `${event.attempt} ${event._tag}` : event._tag)).toEqual([
        "ResolutionStarted",
        "ResolutionFailed",
        "AddressesResolved",
        "Planned",
        "0 AttemptStarted",
        "0 AttemptEstablishing",
        "1 AttemptStarted",
        "1 AttemptEstablishing",
        "1 AttemptSecured",
        "1 AttemptConnected",
        "0 AttemptStopped",
        "Connected"
      ])
    }))

  it.live("is over at its one deadline, while establishing", () =>
    Effect.gen(function*() {
      const { at, error } = yield* simulated(
        refused("tls://db.test:443", { timeout: "1 second" }),
        hosts(Behaviour.silent)
      )
      expect(at).toBe(1000)
      expect(error).toMatchObject({ _tag: "DialTimeout", endpoint: "tls://db.test:443", phase: "establishing" })
    }))

  it.live("has a limit for each attempt, handshake included, and one for the handshake alone", () =>
    Effect.gen(function*() {
      const network = hosts(Behaviour.silent)
      const whole = yield* simulated(refused("tls://db.test:443", { attemptTimeout: "500 millis" }), network)
      expect([whole.at, reasons(whole.error)]).toEqual([500, ["AttemptTimeout"]])
      const options: Tls.TlsOptions = { handshakeTimeout: "300 millis" }
      const handshake = yield* simulated(refused("tls://db.test:443"), network, options)
      expect([handshake.at, reasons(handshake.error)]).toEqual([302, ["NotEstablished HandshakeTimeout"]])
      const usual = yield* simulated(refused("tls://db.test:443"), network)
      expect([usual.at, reasons(usual.error)]).toEqual([10_002, ["NotEstablished HandshakeTimeout"]])
      const patient = yield* simulated(refused("tls://db.test:443"), network, { handshakeTimeout: Infinity })
      expect([patient.at, patient.error._tag]).toEqual([30_000, "DialTimeout"])
    }))

  it.live("tells its observers of the endpoint that was asked for, and what was agreed on", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const observe: DialEvent.Observe = (endpoint) => (event) => {
        if (event._tag === "AttemptSecured") seen.push(`${endpoint} ${event.session.protocol}`)
        if (event._tag === "DialFailed" && "endpoint" in event.error) seen.push(event.error.endpoint)
      }
      yield* simulated(DialEvent.observe(greeted("tls://db.test:443"), observe), hosts(secure("hello")))
      yield* simulated(DialEvent.observe(refused("tls://db.test:443"), observe), hosts(secure("hello", expired)))
      expect(seen).toEqual(["tls://db.test:443 TLSv1.3", "tls://db.test:443"])
    }))

  it.live("can have more to establish over TLS, which is given the secured connection and its own observers", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const program = Dialer.dialWith("tls://db.test:443", (connection) =>
        Effect.gen(function*() {
          const inner = yield* Effect.scoped(Dialer.dial("db.test:80"))
          return [yield* readText(connection), Tls.isSecured(connection), Tls.isSecured(inner)]
        }))
      const network: Topology.Topology = {
        ...hosts(secure("220 ready")),
        hosts: { host0: { addresses: ["10.0.0.2"], listeners: { 443: secure("220 ready"), 80: Behaviour.close } } }
      }
      const observed = DialEvent.observe(program, (endpoint) => () => seen.push(String(endpoint)))
      expect(yield* simulated(observed, network)).toEqual(["220 ready", true, false])
      expect([...new Set(seen)].toSorted()).toEqual(["tcp://db.test:80", "tls://db.test:443"])
    }))

  it.live("that is interrupted at any step leaves nothing open", () =>
    Effect.gen(function*() {
      const server = yield* Servers.serve({}, Servers.echo)
      const services = yield* Effect.context<Services>()
      const before = Loopback.openSockets()
      const once = Effect.scoped(Effect.gen(function*() {
        const connection = yield* Tls.dial(Endpoint.fromSocketAddress(server.address), { roots, resume: false })
        yield* connection.write("x")
        yield* connection.read
      })).pipe(Effect.provide(services))
      const steps = yield* interruptedAtEveryStep(once, () =>
        Loopback.until("what the client had open to be closed", () => {
          server.accepted.forEach((socket) =>
            socket.destroy()
          )
          return [...Loopback.openSockets()].every((socket) => before.has(socket))
        }))
      expect(steps).toBeGreaterThan(200)
      expect(server.secured.length).toBeGreaterThan(10)
    }).pipe(real), 120_000)
})

describe("a Dialer made for TLS", () => {
  it.live("dials everything else as the one below it does", () =>
    Effect.gen(function*() {
      const { at, tls } = yield* simulated(greeted("db.test:80"), {
        ...hosts("none"),
        hosts: { host0: { addresses: ["10.0.0.2"], listeners: { 80: Behaviour.send("plain") } } }
      })
      expect([at, tls]).toEqual([2, undefined])
      const listener = yield* real(Effect.gen(function*() {
        const { address } = yield* Loopback.listen({ path: Loopback.abstractName() })
        return Option.isNone(Tls.sessionOf(yield* Dialer.dial(Endpoint.fromSocketAddress(address))))
      }))
      expect(listener).toBe(true)
      const { error } = yield* simulated(refused("tls//db.test"), hosts("none"))
      expect(error._tag).toBe("InvalidEndpoint")
    }))

  it.live("without TLS says so of a tls:// endpoint", () =>
    Effect.gen(function*() {
      const { error } = yield* SimNetwork.run(refused("tls://db.test:443"), hosts("none"))
      expect(error.message).toContain("one that Tls.layer makes does")
    }))
})

describe("a dial with options of its own", () => {
  it.live("speaks TLS to any endpoint of a stream, under the name that was given", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({ ALPNProtocols: ["h2"] })
      const unix = yield* Loopback.listen({ path: Loopback.abstractName() })
      yield* Effect.fork(Effect.map(unix.accept, ({ socket }) => Servers.secure(socket)))
      const options: Tls.DialTlsOptions = { roots, serverName: "db.test", alpn: ["h2"], timeout: "5 seconds" }
      for (const endpoint of [Endpoint.fromSocketAddress(address), Endpoint.fromSocketAddress(unix.address)]) {
        const connection = yield* Tls.dial(endpoint, options)
        expect(connection.tls.expected).toBe("db.test")
      }
    }).pipe(real))

  it.live("does not go to an endpoint of datagrams", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Tls.dial("udp://127.0.0.1:53"))
      expect(error).toMatchObject({ _tag: "InvalidEndpoint", reason: expect.stringContaining("datagrams") })
    }).pipe(real))

  it.live("trusts nobody but the roots of the platform when it names none", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({})
      const error = yield* Effect.flip(Tls.dial(Endpoint.fromSocketAddress(address, "Tls")))
      expect(reasons(error)).toEqual(["NotEstablished IncompleteChain"])
    }).pipe(real))
})
