/**
 * TLS by Node, against servers of Node on loopback: what is agreed on, what is refused and why, and what is left.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Either, Exit, Fiber, Layer, Option, Redacted, type Scope, Stream } from "effect"
import { createPrivateKey } from "node:crypto"
import type { EventEmitter } from "node:events"
import * as net from "node:net"
import * as tls from "node:tls"
import type * as Address from "../../src/Address.js"
import * as Attempt from "../../src/Attempt.js"
import type { Connection } from "../../src/Connection.js"
import * as NodeTls from "../../src/node/NodeTls.js"
import * as NodeTransport from "../../src/node/NodeTransport.js"
import * as SocketOptions from "../../src/SocketOptions.js"
import { interruptedAtEveryStep } from "../../src/testing/laws/Law.js"
import * as Tls from "../../src/Tls.js"
import type { TlsError, TlsReason } from "../../src/TlsError.js"
import type { Identity } from "../../src/TlsOptions.js"
import type { Transport } from "../../src/Transport.js"
import { certificates, type Issued, revocationList } from "../support/certificates.js"
import * as Loopback from "../support/loopback.js"
import { Held } from "../support/steps.js"
import * as Servers from "../support/tls.js"

const once = (emitter: EventEmitter | undefined, event: string): Effect.Effect<void> =>
  Effect.async((resume) => void emitter?.once(event, () => resume(Effect.void)))

type Services = Scope.Scope | Tls.Tls | Transport

const platform = Layer.merge(NodeTransport.layer, NodeTls.layer)

/** A test on real sockets: scoped, and no socket may be left when its scope is closed. */
const scenario = (name: string, self: () => Effect.Effect<void, unknown, Services>, layer = platform) =>
  it.live(name, () => Loopback.leavesNoSocket(Effect.scoped(Effect.provide(self(), layer))))

const connect = (address: Address.SocketAddress) =>
  Attempt.connect({ socketType: "stream", address, options: SocketOptions.defaults })

const roots = certificates.root.certificate

const trusting: Tls.TlsOptions = { roots, serverName: "db.test" }

/** A connection to an address, made secure. */
const secured = (address: Address.SocketAddress, options: Tls.UpgradeOptions = trusting) =>
  Effect.flatMap(connect(address), (connection) => Tls.upgrade(connection, options))

/** Why the upgrade fails; the connection below is over then. */
const refused = (address: Address.SocketAddress, options: Tls.UpgradeOptions = trusting) =>
  Effect.gen(function*() {
    const connection = yield* connect(address)
    const result = yield* Effect.either(Tls.upgrade(connection, options))
    if (Either.isRight(result)) return yield* Effect.die(new Error("it was secured"))
    yield* Loopback.within("the connection below to be over", connection.lost)
    return result.left
  })

const readText = (connection: Connection) =>
  Effect.map(connection.read, (bytes) => Option.getOrUndefined(Option.map(bytes, Loopback.text)))

const outline = ({ alert, certificate, code, reason }: TlsError) => ({
  reason,
  alert,
  code,
  of: certificate?.subject
})

// -----------------------------------------------------------------------------
// reasons
// -----------------------------------------------------------------------------

interface Refusal {
  readonly server?: tls.TlsOptions
  readonly options?: Tls.TlsOptions
  readonly reason: TlsReason
  /** Left out where it differs with the version of OpenSSL. */
  readonly code?: string
  readonly alert?: string
  /** Whose certificate is at fault. */
  readonly of?: string
  /** What else the message says. */
  readonly says?: ReadonlyArray<string>
}

const showing = (issued: Issued): tls.TlsOptions => Servers.withIdentity(issued)

const revoked = await revocationList(certificates.root, [certificates.good])
const unrevoked = await revocationList(certificates.root, [])
const oldList = await revocationList(certificates.root, [], new Date(Date.now() - 86_400_000))

const refusals: { readonly [what: string]: Refusal } = {
  "a certificate that has expired": {
    server: showing(certificates.expired),
    reason: "Expired",
    code: "CERT_HAS_EXPIRED",
    of: "CN=expired",
    says: ["has expired: CN=expired for localhost, db.test", "issued by CN=Test Root"]
  },
  "an issuer whose certificate has expired": {
    server: showing(certificates.belowExpired),
    reason: "Expired",
    code: "CERT_HAS_EXPIRED",
    of: "CN=Old Intermediate"
  },
  "a certificate that is not valid yet": {
    server: showing(certificates.notYetValid),
    reason: "NotYetValid",
    code: "CERT_NOT_YET_VALID",
    of: "CN=early"
  },
  "a certificate for another name": {
    server: showing(certificates.otherName),
    reason: "WrongName",
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    of: "CN=other",
    says: ["the certificate is not for db.test", "for other.test and 10.9.8.7"]
  },
  "a certificate for another address": {
    server: showing(certificates.otherName),
    options: { roots },
    reason: "WrongName",
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    of: "CN=other",
    says: ["the certificate is not for 127.0.0.1"]
  },
  "a name that only a wildcard's second label would match": {
    options: { roots, serverName: "a.b.wild.test" },
    reason: "WrongName",
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    of: "CN=good"
  },
  "a name that is only the subject's common name": {
    options: { roots, serverName: "good" },
    reason: "WrongName",
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    of: "CN=good"
  },
  "a root that is not trusted": {
    server: showing(certificates.untrusted),
    reason: "UntrustedRoot",
    code: "SELF_SIGNED_CERT_IN_CHAIN",
    of: "CN=Other Root"
  },
  "a root that the platform does not have": {
    server: showing(certificates.chained),
    options: { serverName: "db.test" },
    reason: "UntrustedRoot",
    code: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    of: "CN=Test Intermediate"
  },
  "a certificate that is its own issuer": {
    server: showing(certificates.selfSigned),
    reason: "SelfSigned",
    code: "DEPTH_ZERO_SELF_SIGNED_CERT",
    of: "CN=self"
  },
  "a certificate that cannot be read": {
    server: showing(certificates.withoutDates),
    reason: "InvalidCertificate",
    code: "ERROR_IN_CERT_NOT_BEFORE_FIELD"
  },
  "a key that cannot be read with its certificate, and is not pinned": {
    server: showing(certificates.withoutDates),
    options: { dangerouslySkipVerification: true, pins: ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] },
    reason: "PinMismatch"
  },
  "a certificate sent without its intermediate": {
    server: showing(certificates.incomplete),
    reason: "IncompleteChain",
    code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    of: "CN=incomplete",
    says: ["issued by CN=Test Intermediate"]
  },
  "a certificate that was revoked": {
    options: { ...trusting, revocationLists: revoked },
    reason: "Revoked",
    code: "CERT_REVOKED",
    of: "CN=good"
  },
  "a revocation list that is too old": {
    options: { ...trusting, revocationLists: [oldList] },
    reason: "RevocationUnknown",
    code: "CRL_HAS_EXPIRED",
    of: "CN=good"
  },
  "an issuer that no revocation list is of": {
    server: showing(certificates.chained),
    options: { ...trusting, revocationLists: unrevoked },
    reason: "RevocationUnknown",
    code: "UNABLE_TO_GET_CRL",
    of: "CN=chained"
  },
  "an issuer that may not issue": {
    server: showing(certificates.belowLeaf),
    reason: "InvalidCertificate",
    of: "CN=below leaf"
  },
  "a certificate for clients": {
    server: showing(certificates.clientOnly),
    reason: "InvalidCertificate",
    code: "INVALID_PURPOSE",
    of: "CN=client only"
  },
  "a key that is not pinned": {
    options: { ...trusting, pins: ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] },
    reason: "PinMismatch",
    of: "CN=good",
    says: ["pinned is AAAA"]
  },
  "a key that is not pinned, where nothing else is verified": {
    server: showing(certificates.selfSigned),
    options: { dangerouslySkipVerification: true, pins: ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] },
    reason: "PinMismatch",
    of: "CN=self"
  },
  "a server that only speaks an older version": {
    server: { maxVersion: "TLSv1.2" },
    options: { ...trusting, minVersion: "TLSv1.3" },
    reason: "NoCommonProtocol",
    code: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    alert: "protocol_version",
    says: ["TLSv1.3 or later is wanted"]
  },
  "a server without the application protocols that are offered": {
    server: { ALPNProtocols: ["h2"] },
    options: { ...trusting, alpn: ["acme-tls/1", "http/1.1"] },
    reason: "NoCommonAlpn",
    code: "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
    alert: "no_application_protocol",
    says: ["offered was acme-tls/1, http/1.1"]
  },
  "a server that has no cipher in common": {
    server: { maxVersion: "TLSv1.2", ciphers: "ECDHE-RSA-AES128-GCM-SHA256" },
    reason: "PeerAlert",
    code: "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
    alert: "handshake_failure",
    says: ["the alert handshake_failure"]
  },
  "a server that wants a client's certificate, under TLS 1.2": {
    server: { maxVersion: "TLSv1.2", requestCert: true, rejectUnauthorized: true, ca: roots },
    reason: "PeerAlert",
    code: "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
    alert: "handshake_failure"
  }
}

describe("an upgrade is refused", () => {
  for (const [what, { alert, code, of, options, reason, says = [], server = {} }] of Object.entries(refusals)) {
    scenario(`for ${what}: ${reason}`, () =>
      Effect.gen(function*() {
        const { address } = yield* Servers.serve(server)
        const error = yield* refused(address, options)
        expect(outline(error)).toEqual({ reason, alert, of, code: code ?? error.code })
        expect(error.message).toContain(`TLS with ${error.expected} at ${address}: `)
        for (const text of says) expect(error.message).toContain(text)
      }))
  }

  scenario("for an address of IPv6 that the certificate is not for", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve(showing(certificates.otherName), undefined, "::1")
      expect(outline(yield* refused(address, { roots }))).toMatchObject({ reason: "WrongName", of: "CN=other" })
    }))

  scenario("for a peer that never answers: HandshakeTimeout", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.plain(() => {})
      const error = yield* refused(address, { ...trusting, handshakeTimeout: "50 millis" })
      expect(error.message).toBe(
        `TLS with db.test at ${address}: the handshake was not done in time: it had 50ms`
      )
    }))

  scenario("for a peer that speaks something else: NotTls", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.plain((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"))
      expect(outline(yield* refused(address))).toMatchObject({ reason: "NotTls", code: "ERR_SSL_WRONG_VERSION_NUMBER" })
    }))

  scenario("for a peer that sends nonsense in TLS records: ProtocolError", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.plain((socket) => socket.write(Uint8Array.of(23, 3, 3, 0, 2, 1, 2)))
      expect(outline(yield* refused(address))).toMatchObject({ reason: "ProtocolError" })
    }))

  scenario("for a peer that ends or resets during the handshake: ClosedDuringHandshake", () =>
    Effect.gen(function*() {
      const conversations: ReadonlyArray<(socket: net.Socket) => void> = [
        (socket) => socket.end(),
        (socket) => socket.once("data", () => socket.end()),
        (socket) => socket.once("data", () => socket.resetAndDestroy()),
        (socket) => {
          // The first half of an answer.
          socket.once("data", () => socket.end(Uint8Array.of(22, 3, 3, 0, 100, 2, 0, 0)))
        }
      ]
      for (const conversation of conversations) {
        const { address } = yield* Servers.plain(conversation)
        expect(outline(yield* refused(address))).toMatchObject({ reason: "ClosedDuringHandshake", code: "ECONNRESET" })
      }
    }))

  scenario("for a connection that is over already: ClosedDuringHandshake", () =>
    Effect.gen(function*() {
      const { accepted, address } = yield* Servers.plain(() => {})
      const connection = yield* connect(address)
      yield* Loopback.until("the server to have it", () => accepted.length > 0)
      accepted[0]?.resetAndDestroy()
      yield* Effect.flip(connection.read)
      const error = yield* Effect.flip(Tls.upgrade(connection, trusting))
      expect(outline(error)).toMatchObject({ reason: "ClosedDuringHandshake", code: "ECONNRESET" })
    }))

  scenario("for options that cannot be used, before a byte is sent: InvalidOptions", () =>
    Effect.gen(function*() {
      const { accepted, address } = yield* Servers.plain((socket) => socket.on("data", () => socket.destroy()))
      const key = Redacted.make(certificates.client.key)
      const wrong: ReadonlyArray<readonly [Tls.TlsOptions, says: string]> = [
        [{ roots: "no PEM at all" }, "roots: there is no certificate in PEM"],
        [{ roots: [roots, roots.replace("MII", "MIJ")] }, ""],
        [{ roots, revocationLists: "no PEM at all" }, ""],
        [{ roots, identity: { certificate: certificates.otherClient.certificate, key } }, "key values mismatch"],
        [{ roots, identity: { certificate: "", key } }, "identity: there is no certificate in PEM"],
        [{ roots, serverName: "no name" }, "cannot be a server name"]
      ]
      for (const [options, says] of wrong) {
        const error = yield* refused(address, options)
        expect(error.reason).toBe("InvalidOptions")
        expect(error.message).toContain(says)
        expect(error.message).not.toContain("BEGIN")
      }
      expect(accepted.map(({ bytesRead }) => bytesRead)).toEqual(wrong.map(() => 0))
    }))

  scenario("over a UNIX socket without a name to check: InvalidOptions", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen({ path: Loopback.abstractName() })
      expect((yield* refused(address, { roots })).message).toContain("serverName has to say one")
    }))
})

// -----------------------------------------------------------------------------
// what is agreed on
// -----------------------------------------------------------------------------

describe("a secured connection", () => {
  scenario("tells what was agreed on, and whose certificates the peer has shown", () =>
    Effect.gen(function*() {
      const server = yield* Servers.serve({ ...showing(certificates.chained), ALPNProtocols: ["h2", "http/1.1"] })
      const connection = yield* secured(server.address, { ...trusting, alpn: ["http/1.1", "h2"] })
      const { tls: session } = connection
      expect({ ...session }).toEqual({
        protocol: "TLSv1.3",
        cipher: expect.stringMatching(/^TLS_/),
        alpn: "h2",
        serverName: "db.test",
        expected: "db.test",
        resumed: false,
        verified: true
      })
      expect(session.certificates.map(({ issuer, subject }) => [subject, issuer])).toEqual([
        ["CN=chained", "CN=Test Intermediate"],
        ["CN=Test Intermediate", "CN=Test Root"]
      ])
      const [leaf] = session.certificates
      expect(leaf?.names).toEqual(["localhost", "db.test", "*.wild.test", "127.0.0.1", "::1"])
      expect(leaf?.validTo.epochMillis).toBeGreaterThan(Date.now())
      expect(leaf?.der.length).toBeGreaterThan(100)
      yield* connection.close()
      expect(session.certificates.length).toBe(2)
      expect(Option.getOrUndefined(Tls.sessionOf(connection))).toBe(session)
    }))

  scenario("carries bytes both ways, and has the addresses of the one below", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({}, Servers.echo)
      const below = yield* connect(address)
      expect(Tls.isSecured(below)).toBe(false)
      const connection = yield* Tls.upgrade(below, trusting)
      expect(Tls.isSecured(connection)).toBe(true)
      expect([connection.localAddress, connection.remoteAddress]).toEqual([below.localAddress, below.remoteAddress])
      yield* connection.write("hello")
      expect(yield* readText(connection)).toBe("hello")
      expect([connection.bytesRead, connection.bytesWritten]).toEqual([5, 5])
    }))

  for (const [expected, sent] of [["db.test", "db.test"], ["A.Wild.Test.", "a.wild.test"], ["127.0.0.1", false]]) {
    scenario(
      `${sent === false ? "sends no server name" : `sends ${sent} as the server name`} for ${expected}`,
      () =>
        Effect.gen(function*() {
          const server = yield* Servers.serve({})
          const connection = yield* secured(server.address, { roots, serverName: String(expected) })
          expect(connection.tls.serverName).toBe(sent === false ? undefined : sent)
          yield* Loopback.until("the server to know", () => server.secured.length > 0)
          expect((server.secured[0] as unknown as { servername: unknown }).servername).toBe(sent)
        })
    )
  }

  scenario("without a server name is for the address it has, IPv6 too", () =>
    Effect.gen(function*() {
      for (const host of ["127.0.0.1", ...Loopback.hasIpv6 ? ["::1"] : []]) {
        const { address } = yield* Servers.serve({}, undefined, host)
        expect((yield* secured(address, { roots })).tls).toMatchObject({ expected: host, serverName: undefined })
      }
    }))

  scenario("over a UNIX socket is for the name that was given", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen({ path: Loopback.abstractName() })
      const fiber = yield* Effect.fork(secured(listener.address))
      Servers.secure((yield* listener.accept).socket)
      expect((yield* Fiber.join(fiber)).tls.expected).toBe("db.test")
    }))

  scenario("speaks TLS 1.2 with whom it must, and 1.3 with who can", () =>
    Effect.gen(function*() {
      const old = yield* Servers.serve({ maxVersion: "TLSv1.2" })
      expect((yield* secured(old.address)).tls.protocol).toBe("TLSv1.2")
      const young = yield* Servers.serve({})
      expect((yield* secured(young.address, { ...trusting, minVersion: "TLSv1.3" })).tls.protocol).toBe("TLSv1.3")
    }))

  scenario("offers application protocols to a server that knows of none, and has none", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({})
      expect((yield* secured(address, { ...trusting, alpn: ["h2"] })).tls.alpn).toBeUndefined()
    }))

  scenario("has a key that was pinned, of the certificate or of an issuer", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve(showing(certificates.chained))
      const { certificates: chain } = (yield* secured(address)).tls
      for (const { pin } of chain) {
        expect((yield* secured(address, { ...trusting, pins: ["other", pin] })).tls.verified).toBe(true)
      }
    }))

  scenario("is to anybody at all where the option with the dangerous name says so", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve(showing(certificates.selfSigned))
      const connection = yield* secured(address, { dangerouslySkipVerification: true, serverName: "else.test" })
      expect(connection.tls).toMatchObject({ verified: false, expected: "else.test" })
    }))

  scenario("takes a certificate that no list has revoked", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({})
      expect((yield* secured(address, { ...trusting, revocationLists: [unrevoked] })).tls.verified).toBe(true)
    }))

  for (const passphrase of [undefined, "open sesame"]) {
    scenario(
      `shows its certificate to a server that asks${passphrase === undefined ? "" : ", with an encrypted key"}`,
      () =>
        Effect.gen(function*() {
          const server = yield* Servers.serve({ requestCert: true, rejectUnauthorized: true, ca: roots }, Servers.echo)
          const { certificate, key } = certificates.client
          const pem = passphrase === undefined
            ? key
            : createPrivateKey(key).export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase })
              .toString()
          const identity: Identity = {
            certificate,
            key: Redacted.make(pem),
            passphrase: passphrase === undefined ? undefined : Redacted.make(passphrase)
          }
          const connection = yield* secured(server.address, { ...trusting, identity })
          yield* connection.write("hello")
          expect(yield* readText(connection)).toBe("hello")
          expect(server.secured[0]?.getPeerCertificate().subject.CN).toBe("a client")
        })
    )
  }

  scenario(
    "that is refused after the handshake, as TLS 1.3 does, is lost with the alert",
    () =>
      Effect.gen(function*() {
        const { address } = yield* Servers.serve({ requestCert: true, rejectUnauthorized: true, ca: roots })
        const lost = yield* Effect.flip(Effect.flatMap(secured(address), ({ read }) => read))
        expect(lost).toMatchObject({
          _tag: "ConnectionLost",
          reason: "Error",
          cause: { _tag: "TlsError", reason: "PeerAlert", alert: "certificate_required" }
        })
      })
  )

  scenario(
    "trusts the system's roots where Node can tell them, and says so where it cannot",
    () =>
      Effect.gen(function*() {
        const { address } = yield* Servers.serve({})
        const options: Tls.TlsOptions = { ...trusting, systemRoots: true }
        if ("getCACertificates" in tls) expect((yield* secured(address, options)).tls.verified).toBe(true)
        else expect((yield* refused(address, options)).message).toContain("22.15")
      })
  )
})

// -----------------------------------------------------------------------------
// upgrading what has been spoken to
// -----------------------------------------------------------------------------

describe("STARTTLS", () => {
  const starting = Servers.plain((socket) => {
    socket.write("220 mail\r\n")
    socket.once("data", () => {
      socket.write("220 go ahead\r\n")
      const over = Servers.secure(socket)
      over.on("data", (bytes) => over.write(`secretly ${bytes}`))
    })
  })

  scenario("goes on where the plain conversation has ended", () =>
    Effect.gen(function*() {
      const { address } = yield* starting
      const connection = yield* connect(address)
      expect(yield* readText(connection)).toBe("220 mail\r\n")
      yield* connection.write("STARTTLS\r\n")
      expect(yield* readText(connection)).toBe("220 go ahead\r\n")
      const over = yield* Tls.upgrade(connection, trusting)
      yield* over.write("hello")
      expect(yield* readText(over)).toBe("secretly hello")
    }))

  scenario(
    "loses nothing of what was read too far, by its caller or by a read that was given up",
    () =>
      Effect.gen(function*() {
        // A request for the handshake that is about to begin, which RFC 5246 §7.4.1.1 lets a server send and a client
        // ignore. It comes in three pieces; were one of them lost, the others would be no TLS.
        const request = Uint8Array.of(22, 3, 1, 0, 4, 0, 0, 0, 0)
        const listener = yield* Loopback.listen()
        const connection = yield* connect(listener.address)
        const peer = yield* listener.accept
        yield* peer.write(Loopback.concat([Buffer.from("go"), request.subarray(0, 3)]))
        const unread = Option.getOrThrow(yield* connection.read).subarray(2)
        expect(unread.length).toBe(3)
        // Interrupted when its bytes have come and before it took them.
        const held = new Held()
        const reading = yield* Effect.fork(Effect.withScheduler(connection.read, held))
        held.run()
        yield* peer.write(request.subarray(3, 6))
        yield* Loopback.until("the read to be told of its bytes", () => held.waiting)
        yield* Fiber.interruptFork(reading)
        yield* Loopback.until("the read to be over", () => {
          held.run()
          return reading.unsafePoll() !== null
        })
        const upgrading = yield* Effect.fork(Tls.upgrade(connection, { ...trusting, unread }))
        yield* peer.write(request.subarray(6))
        const over = Servers.secure(peer.socket)
        over.on("data", (bytes) => over.write(bytes))
        const upgraded = yield* Fiber.join(upgrading)
        yield* upgraded.write("hello")
        expect(yield* readText(upgraded)).toBe("hello")
      })
  )

  scenario("does not take for secret what came in the clear", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.plain((socket) => {
        socket.write("220 go ahead\r\n250 injected\r\n")
        socket.once("data", () => Servers.secure(socket))
      })
      const connection = yield* connect(address)
      const unread = Option.getOrThrow(yield* connection.read).subarray(14)
      const error = yield* Effect.flip(Tls.upgrade(connection, { ...trusting, unread }))
      expect(outline(error)).toMatchObject({ reason: "NotTls" })
    }))

  scenario("uses up the connection it was given", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({}, Servers.echo)
      const connection = yield* connect(address)
      const over = yield* Tls.upgrade(connection, trusting)
      for (const use of [connection.read, connection.write("x"), connection.end]) {
        const exit = yield* Effect.exit(use)
        expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      }
      yield* over.write("hello")
      expect(yield* readText(over)).toBe("hello")
      const second = yield* Effect.exit(Tls.upgrade(connection, trusting))
      expect(Exit.isFailure(second) && Cause.isDie(second.cause)).toBe(true)
    }))

  scenario(
    "closes in order when the one below is closed, and resets when that is aborted",
    () =>
      Effect.gen(function*() {
        for (const mode of ["close", "abort"] as const) {
          const server = yield* Servers.serve({}, (socket) => void socket.resume())
          const connection = yield* connect(server.address)
          const over = yield* Tls.upgrade(connection, trusting)
          yield* Loopback.until("the server to be secured", () => server.secured.length > 0)
          const ended = once(server.secured[0], "end")
          yield* mode === "close" ? connection.close() : connection.abort
          expect((yield* over.lost).reason).toBe(mode === "close" ? "End" : "Aborted")
          expect((yield* connection.lost).reason).toBe(mode === "close" ? "End" : "Aborted")
          if (mode === "close") yield* Loopback.within("the server to see the end", ended)
          else yield* Loopback.until("the server to see the reset", () => server.errors[0]?.code === "ECONNRESET")
        }
      })
  )
})

// -----------------------------------------------------------------------------
// how it ends
// -----------------------------------------------------------------------------

describe("the end of a secured connection", () => {
  const close = (socket: tls.TLSSocket, how: "close_notify" | "FIN" | "RST", wire: net.Socket | undefined) => {
    if (how === "close_notify") socket.end()
    // What is below is told to end, and TLS is not.
    else if (how === "FIN") wire?.end()
    else wire?.resetAndDestroy()
  }

  /** What a client reads from a server that sends so many bytes, and then ends. */
  const readFrom = (
    size: number,
    how: "close_notify" | "FIN" | "RST",
    options: tls.TlsOptions,
    allowTruncation = false
  ) =>
    Effect.gen(function*() {
      const server = yield* Servers.serve(options, (socket) => {
        // Once it is asked: told to end while its tickets are still to be sent, Node's server forgets the close_notify.
        const done = () => close(socket, how, server.accepted[0])
        socket.once("data", () => size === 0 ? done() : socket.write(new Uint8Array(size), done))
      })
      const connection = yield* secured(server.address, { ...trusting, allowTruncation })
      yield* connection.write("go")
      const got = { size: 0 }
      const end = yield* Effect.exit(Stream.runForEach(connection.stream, (bytes) =>
        Effect.sync(() => {
          got.size += bytes.length
        })))
      return {
        got: got.size,
        end: Exit.match(end, {
          onSuccess: () => "End",
          onFailure: (cause) => Option.getOrUndefined(Option.map(Cause.failureOption(cause), ({ reason }) => reason))
        })
      }
    })

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    for (const size of [0, 1, 16_384, 65_536, 300_000]) {
      scenario(`is the peer's close_notify after ${size} bytes (${maxVersion})`, () =>
        Effect.gen(function*() {
          expect(yield* readFrom(size, "close_notify", { maxVersion })).toEqual({ got: size, end: "End" })
        }))

      scenario(
        `is Truncated when the stream ends without one after ${size} bytes (${maxVersion})`,
        () =>
          Effect.gen(function*() {
            expect(yield* readFrom(size, "FIN", { maxVersion })).toEqual({ got: size, end: "Truncated" })
          })
      )
    }

    scenario(`is Reset when the peer resets, whatever it has sent (${maxVersion})`, () =>
      Effect.gen(function*() {
        for (const size of [0, 100, 100_000]) {
          expect((yield* readFrom(size, "RST", { maxVersion })).end).toBe("Reset")
        }
      }))
  }

  scenario("without a close_notify is an end where that is allowed", () =>
    Effect.gen(function*() {
      expect(yield* readFrom(100, "FIN", {}, true)).toEqual({ got: 100, end: "End" })
    }))

  for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
    for (const cut of [0, 1000]) {
      scenario(
        `is Truncated when the wire ends ${cut} bytes into a record, which came by themselves (${maxVersion})`,
        () =>
          Effect.gen(function*() {
            const cutting = { now: false }
            const server = yield* Servers.serve({ maxVersion }, (socket) => {
              socket.on("data", (bytes) => {
                cutting.now = String(bytes) === "more"
                socket.write(new Uint8Array(cutting.now ? 5000 : 10))
              })
            })
            // Between the two, somebody who lets through what he likes.
            const between = yield* Servers.plain((front) => {
              const back = net.connect(server.port, "127.0.0.1")
              front.pipe(back)
              back.on("error", () => {})
              back.on("data", (bytes) => cutting.now ? void front.end(bytes.subarray(0, cut)) : void front.write(bytes))
            })
            const connection = yield* secured(between.address, trusting)
            yield* connection.write("some")
            expect(Option.map(yield* connection.read, ({ length }) => length)).toEqual(Option.some(10))
            yield* connection.write("more")
            const lost = yield* Effect.flip(connection.read)
            expect(lost.reason).toBe("Truncated")
          })
      )
    }
  }

  scenario(
    "by a reset right behind the last bytes gives these first, to a reader who waits and to one who does not",
    () =>
      Effect.gen(function*() {
        for (let round = 0; round < 20; round++) {
          const server = yield* Servers.serve({}, (socket) => {
            socket.once("data", () => {
              socket.pause()
              socket.write("413 too large", () => server.accepted[0]?.resetAndDestroy())
            })
          })
          const connection = yield* secured(server.address, trusting)
          // It is told of the reset while it writes, in the very phase of the loop in which the answer has come.
          yield* Effect.fork(Effect.ignore(connection.write(new Uint8Array(20_000_000))))
          const first = yield* Effect.exit(connection.read)
          // The reset may have thrown the answer away, in the kernel.
          if (Exit.isSuccess(first)) {
            expect(Option.map(first.value, Loopback.text)).toEqual(Option.some("413 too large"))
          }
          const second = yield* Effect.flip(connection.read)
          expect(second.reason).toBe("Reset")
        }
      })
  )

  scenario("by a Truncated says so in words, and to whoever waits for the loss", () =>
    Effect.gen(function*() {
      const server = yield* Servers.serve({}, () => void server.accepted[0]?.end())
      const connection = yield* secured(server.address)
      const lost = yield* Effect.flip(connection.read)
      expect(lost).toBe(yield* connection.lost)
      expect(lost).toMatchObject({ reason: "Truncated", cause: { _tag: "TlsError", reason: "Truncated" } })
      expect(lost.message).toContain("may have been cut short")
    }))

  scenario(
    "of one half leaves the other: what is asked before the end is answered after it",
    () =>
      Effect.gen(function*() {
        for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
          const { address } = yield* Servers.serve({ maxVersion }, (socket) => {
            let size = 0
            socket.on("data", (bytes) => {
              size += bytes.length
            })
            socket.on("end", () => socket.end(`${size} bytes`))
          })
          const connection = yield* secured(address)
          yield* connection.write(new Uint8Array(100_000))
          yield* connection.end
          expect(yield* readText(connection)).toBe("100000 bytes")
          expect(yield* readText(connection)).toBeUndefined()
          expect((yield* connection.lost).reason).toBe("End")
        }
      })
  )

  scenario("that is asked for between two chunks of one read loses none of them", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({}, (socket) => {
        socket.write(new Uint8Array(60_000))
        socket.on("end", () => socket.end())
        socket.resume()
      })
      const connection = yield* secured(address)
      const first = Option.getOrThrow(yield* connection.read)
      yield* connection.end
      const rest = yield* Stream.runFold(connection.stream, 0, (size, bytes) => size + bytes.length)
      expect(first.length + rest).toBe(60_000)
    }))

  scenario(
    "by a close right after a write delivers it, though the server's tickets may come after the close",
    () =>
      Effect.gen(function*() {
        for (let round = 0; round < 20; round++) {
          const got: Array<Uint8Array> = []
          const server = yield* Servers.serve({}, (socket) => void socket.pause())
          yield* Effect.scoped(Effect.flatMap(secured(server.address), (connection) => connection.write("last words")))
          yield* Loopback.until("the server to be secured", () => server.secured.length > 0)
          server.secured[0]?.on("data", (bytes) => got.push(bytes)).resume()
          yield* Loopback.until("the last words", () => Loopback.text(Loopback.concat(got)) === "last words")
          expect(server.errors).toEqual([])
        }
      })
  )
})

// -----------------------------------------------------------------------------
// sessions
// -----------------------------------------------------------------------------

describe("a session", () => {
  /** A connection that has heard of everything its server has to say: the second answer comes after the tickets. */
  const talked = (address: Address.SocketAddress, options: Tls.TlsOptions = trusting) =>
    Effect.scoped(Effect.gen(function*() {
      const connection = yield* secured(address, options)
      yield* Effect.replicateEffect(Effect.zipRight(connection.write("x"), connection.read), 2)
      return connection.tls
    }))

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    scenario(`is resumed, with the certificates it was made with (${maxVersion})`, () =>
      Effect.gen(function*() {
        const server = yield* Servers.serve({ maxVersion }, Servers.echo)
        const first = yield* talked(server.address)
        const others = yield* Effect.replicateEffect(talked(server.address), 2)
        expect([first, ...others].map(({ resumed }) => resumed)).toEqual([false, true, true])
        expect(server.resumed).toEqual([false, true, true])
        for (const { certificates, verified } of others) {
          expect(certificates).toEqual(first.certificates)
          expect(verified).toBe(true)
        }
      }))
  }

  scenario(
    "is not resumed under other options, for another name, at another port, or where that is not wanted",
    () =>
      Effect.gen(function*() {
        const { address } = yield* Servers.serve({}, Servers.echo)
        yield* talked(address)
        yield* talked(address)
        const { address: elsewhere } = yield* Servers.serve({}, Servers.echo)
        const others: ReadonlyArray<readonly [Address.SocketAddress, Tls.TlsOptions]> = [
          [address, { ...trusting, roots: [roots, certificates.otherRoot.certificate] }],
          [address, { ...trusting, serverName: "a.wild.test" }],
          [address, { ...trusting, alpn: ["h2"] }],
          [address, { ...trusting, minVersion: "TLSv1.3" }],
          [address, { ...trusting, dangerouslySkipVerification: true }],
          [address, { ...trusting, resume: false }],
          [elsewhere, trusting]
        ]
        for (const [address, options] of others) expect((yield* talked(address, options)).resumed).toBe(false)
        expect((yield* talked(address, { ...trusting })).resumed).toBe(true)
      })
  )

  scenario("of TLS 1.3 is used once: what it cannot resume anew, it makes anew", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({}, Servers.echo)
      yield* talked(address)
      // Nobody reads on these, so that no ticket comes of them: there were two.
      const silent = yield* Effect.replicateEffect(secured(address), 4)
      expect(silent.map(({ tls }) => tls.resumed)).toEqual([true, true, false, false])
    }))

  scenario("that the server has forgotten is made anew", () =>
    Effect.gen(function*() {
      const keys = [Buffer.alloc(48, 1), Buffer.alloc(48, 2)]
      const server = yield* Servers.serve({ ticketKeys: keys[0] }, Servers.echo)
      yield* talked(server.address)
      server.setTicketKeys(keys[1]!)
      expect((yield* talked(server.address)).resumed).toBe(false)
      expect((yield* talked(server.address)).resumed).toBe(true)
    }))

  scenario(
    "is kept for so many endpoints and no more, the least recently used going first",
    () =>
      Effect.gen(function*() {
        const servers = yield* Effect.replicateEffect(Servers.serve({}, Servers.echo), 3)
        const [first, second, third] = servers.map(({ address }) => address)
        for (const address of [first, second, first, third]) yield* talked(address!)
        const resumed: Array<boolean> = []
        for (const address of [first, second]) resumed.push((yield* talked(address!)).resumed)
        expect(resumed).toEqual([true, false])
      }),
    Layer.merge(NodeTransport.layer, NodeTls.layerWith({ sessionEndpoints: 2 }))
  )

  scenario("is kept for nobody where nobody is the bound", () =>
    Effect.gen(function*() {
      const { address } = yield* Servers.serve({}, Servers.echo)
      yield* talked(address)
      expect((yield* talked(address)).resumed).toBe(false)
    }), Layer.merge(NodeTransport.layer, NodeTls.layerWith({ sessionEndpoints: 0 })))
})

// -----------------------------------------------------------------------------
// interruption
// -----------------------------------------------------------------------------

describe("an upgrade that is interrupted", () => {
  scenario("has closed the connection, whatever it was waiting for", () =>
    Effect.gen(function*() {
      const { accepted, address } = yield* Servers.plain((socket) => socket.resume())
      const connection = yield* connect(address)
      const upgrading = yield* Effect.fork(Tls.upgrade(connection, trusting))
      yield* Loopback.until("the handshake to begin", () => (accepted[0]?.bytesRead ?? 0) > 0)
      yield* Fiber.interrupt(upgrading)
      yield* Loopback.within("the connection to be over", connection.lost)
      // A reset: an end would leave the kernel waiting for that of a peer who says nothing.
      yield* Loopback.until("the server to see it", () => accepted[0]?.destroyed === true)
      expect(accepted[0]?.readableEnded).toBe(false)
    }))

  it.live("at any step leaves nothing open", () =>
    Effect.gen(function*() {
      const services = yield* Layer.build(platform)
      const server = yield* Servers.serve({}, Servers.echo)
      const before = Loopback.openSockets()
      const program = Effect.scoped(Effect.gen(function*() {
        const connection = yield* secured(server.address, { ...trusting, resume: false })
        yield* connection.write("x")
        yield* connection.read
      })).pipe(Effect.provide(services))
      const steps = yield* interruptedAtEveryStep(program, () =>
        Loopback.until("what the client had open to be closed", () => {
          server.accepted.forEach((socket) =>
            socket.destroy()
          )
          return [...Loopback.openSockets()].every((socket) => before.has(socket))
        }))
      expect(steps).toBeGreaterThan(100)
      expect(server.secured.length).toBeGreaterThan(10)
    }).pipe(Effect.scoped), 120_000)
})
