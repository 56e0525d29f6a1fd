/**
 * TLS against servers that are not Node: `openssl s_server` and nginx of Debian.
 */
import { expect, it } from "@effect/vitest"
import { Effect, Option, Redacted, type Scope, Stream } from "effect"
import * as net from "node:net"
import type { Connection } from "../../src/Connection.js"
import type * as Dialer from "../../src/Dialer.js"
import type { DialError } from "../../src/DialError.js"
import * as NodeNetwork from "../../src/node/NodeNetwork.js"
import * as Tls from "../../src/Tls.js"
import { isTlsError, type TlsError } from "../../src/TlsError.js"
import { certificates, type Issued } from "../support/certificates.js"
import * as Daemons from "../support/daemons.js"
import * as Loopback from "../support/loopback.js"

const openssl: Daemons.Program = { name: "openssl", package: "openssl" }

const nginx: Daemons.Program = { name: "nginx", package: "nginx", unprivileged: true }

const roots = certificates.root.certificate

const scenario = (
  name: string,
  self: () => Effect.Effect<void, unknown, Dialer.Dialer | Scope.Scope | Tls.Tls>
) => it.live(name, () => Effect.scoped(Effect.provide(self(), NodeNetwork.layer)), 30_000)

const filesOf = (name: string, { certificate, key }: Issued) => ({
  [`${name}.pem`]: certificate,
  [`${name}.key`]: key
})

/** Answers when it takes a connection; it may know nothing of what is sent. */
const accepts = (port: number): Effect.Effect<void, Error> =>
  Effect.async((resume) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.destroy()
      resume(Effect.void)
    })
    socket.once("error", (error) => resume(Effect.fail(error)))
  })

const readText = (connection: Connection) =>
  Effect.map(connection.read, (bytes) => Option.getOrUndefined(Option.map(bytes, Loopback.text)))

const tlsErrorOf = (error: DialError): TlsError | undefined => {
  const [attempt] = "attempts" in error ? error.attempts : []
  const cause = attempt?.outcome === "Failed" ? attempt.error.cause : undefined
  return isTlsError(cause) ? cause : undefined
}

// -----------------------------------------------------------------------------
// openssl s_server
// -----------------------------------------------------------------------------

/** It sends each line back reversed, and closes at the line CLOSE; one connection after another. */
const reversing = (...options: ReadonlyArray<string>) =>
  Effect.map(
    Daemons.start(openssl, ({ ports: [port] }) => ({
      arguments: [
        "s_server",
        "-accept",
        `127.0.0.1:${port}`,
        "-cert",
        "good.pem",
        "-key",
        "good.key",
        "-rev",
        "-quiet",
        ...options
      ],
      files: { ...filesOf("good", certificates.good), "root.pem": roots },
      ready: accepts(port)
    })),
    (daemon) => ({ ...daemon, endpoint: `tls://127.0.0.1:${daemon.ports[0]}` })
  )

const talk = (endpoint: string, options: Tls.DialTlsOptions = {}) =>
  Effect.gen(function*() {
    const connection = yield* Tls.dial(endpoint, { roots, timeout: "10 seconds", ...options })
    yield* connection.write("hello\n")
    expect(yield* readText(connection)).toBe("olleh\n")
    return connection
  })

Daemons.describeWith([openssl], "openssl s_server", () => {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    scenario(`speaks ${version} with us, and resumes our sessions`, () =>
      Effect.gen(function*() {
        const { endpoint } = yield* reversing(version === "TLSv1.2" ? "-tls1_2" : "-tls1_3")
        const sessions = yield* Effect.replicateEffect(
          Effect.scoped(Effect.map(talk(endpoint), ({ tls }) => tls)),
          5
        )
        expect(sessions.map(({ protocol }) => protocol)).toEqual(sessions.map(() => version))
        expect(sessions.map(({ resumed }) => resumed)).toEqual([false, true, true, true, true])
      }))

    scenario(
      `ends with a close_notify that is an end, and without one is not taken for one (${version})`,
      () =>
        Effect.gen(function*() {
          const { endpoint, kill } = yield* reversing(version === "TLSv1.2" ? "-tls1_2" : "-tls1_3")
          const ended = yield* talk(endpoint)
          yield* ended.write("CLOSE\n")
          yield* ended.end
          expect(Option.isNone(yield* ended.read)).toBe(true)
          const cut = yield* talk(endpoint)
          yield* kill
          const lost = yield* Effect.flip(cut.read)
          expect(["Truncated", "Reset"]).toContain(lost.reason)
        })
    )
  }

  scenario("carries a megabyte of lines", () =>
    Effect.gen(function*() {
      const { endpoint } = yield* reversing()
      const connection = yield* talk(endpoint)
      const line = `${"abcdefgh".repeat(100)}\n`
      const count = 1300
      yield* Effect.fork(Effect.replicateEffect(connection.write(line), count))
      const back = yield* Stream.runFoldWhile(connection.stream, 0, (size) =>
        size < line.length * count, (size, bytes) =>
        size + bytes.length)
      expect(back).toBe(line.length * count)
    }))

  scenario(
    "chooses an application protocol, or ends with the alert that says there is none",
    () =>
      Effect.gen(function*() {
        const { endpoint } = yield* reversing("-alpn", "h2,http/1.1")
        const first = yield* Effect.scoped(Effect.map(talk(endpoint, { alpn: ["http/1.1"] }), ({ tls }) => tls))
        expect(first.alpn).toBe("http/1.1")
        const error = yield* Effect.flip(Tls.dial(endpoint, { roots, alpn: ["imap"] }))
        expect(tlsErrorOf(error)).toMatchObject({ reason: "NoCommonAlpn", alert: "no_application_protocol" })
      })
  )

  scenario("ends with the alert that names what it does not like of ours", () =>
    Effect.gen(function*() {
      const old = yield* reversing("-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", "root.pem")
      const { certificate, key } = certificates.otherClient
      const identity = { certificate, key: Redacted.make(key) }
      const unknown = yield* Effect.flip(Tls.dial(old.endpoint, { roots, identity }))
      expect(tlsErrorOf(unknown)).toMatchObject({ reason: "PeerAlert", alert: "unknown_ca" })
      const young = yield* Effect.flip(Tls.dial(old.endpoint, { roots, minVersion: "TLSv1.3" }))
      expect(tlsErrorOf(young)).toMatchObject({ reason: "NoCommonProtocol", alert: "protocol_version" })
      const client = { certificate: certificates.client.certificate, key: Redacted.make(certificates.client.key) }
      yield* talk(old.endpoint, { identity: client })
    }))

  scenario(
    "refuses our certificate after a handshake of TLS 1.3, which is told to whoever reads",
    () =>
      Effect.gen(function*() {
        const { endpoint } = yield* reversing("-tls1_3", "-Verify", "1", "-verify_return_error", "-CAfile", "root.pem")
        const connection = yield* Tls.dial(endpoint, { roots })
        const lost = yield* Effect.flip(connection.read)
        expect(lost.cause).toMatchObject({ reason: "PeerAlert", alert: "certificate_required" })
      })
  )
})

// -----------------------------------------------------------------------------
// nginx
// -----------------------------------------------------------------------------

const serving = Daemons.start(nginx, ({ directory, ports: [port] }) => ({
  arguments: ["-p", directory, "-c", "nginx.conf", "-e", "stderr"],
  files: {
    "nginx.conf": nginxConf(port),
    ...filesOf("good", certificates.good),
    ...filesOf("chained", certificates.chained),
    ...filesOf("other", certificates.otherName),
    "root.pem": roots
  },
  ready: accepts(port)
}))

const nginxConf = (port: number): string => `
daemon off;
pid pid;
error_log stderr;
worker_processes 1;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  ssl_protocols TLSv1.2 TLSv1.3;
  server {
    listen 127.0.0.1:${port} ssl default_server;
    server_name db.test;
    ssl_certificate good.pem;
    ssl_certificate_key good.key;
    ssl_verify_client optional;
    ssl_client_certificate root.pem;
    location / { return 200 "$ssl_protocol $ssl_server_name $ssl_session_reused $ssl_client_verify"; }
  }
  server {
    listen 127.0.0.1:${port} ssl;
    server_name a.wild.test;
    ssl_certificate chained.pem;
    ssl_certificate_key chained.key;
    location / { return 200 "wild"; }
  }
  server {
    listen 127.0.0.1:${port} ssl;
    server_name other.test;
    ssl_certificate other.pem;
    ssl_certificate_key other.key;
    location / { return 200 "other"; }
  }
}
`

/** The body of an answer after which nginx closes. */
const ask = (connection: Connection) =>
  Effect.gen(function*() {
    yield* connection.write("GET / HTTP/1.1\r\nHost: db.test\r\nConnection: close\r\n\r\n")
    const answer = yield* Stream.mkString(Stream.decodeText(connection.stream))
    return answer.slice(answer.indexOf("\r\n\r\n") + 4)
  })

Daemons.describeWith([nginx], "nginx", () => {
  scenario(
    "answers us, ends with a close_notify, resumes our sessions and knows our certificate",
    () =>
      Effect.gen(function*() {
        const { ports: [port] } = yield* serving
        const identity = { certificate: certificates.client.certificate, key: Redacted.make(certificates.client.key) }
        const options: Tls.DialTlsOptions = { roots, serverName: "db.test", timeout: "10 seconds" }
        const answer = (options: Tls.DialTlsOptions) =>
          Effect.scoped(Effect.flatMap(Tls.dial(`127.0.0.1:${port}`, options), ask))
        expect(yield* answer(options)).toBe("TLSv1.3 db.test . NONE")
        expect(yield* answer(options)).toBe("TLSv1.3 db.test r NONE")
        expect(yield* answer({ ...options, resume: false })).toBe("TLSv1.3 db.test . NONE")
        expect(yield* answer({ ...options, identity })).toBe("TLSv1.3 db.test . SUCCESS")
      })
  )

  scenario("shows the certificate of the name that was asked for", () =>
    Effect.gen(function*() {
      const { ports: [port] } = yield* serving
      const dial = (serverName: string, options: Tls.TlsOptions = {}) =>
        Tls.dial(`127.0.0.1:${port}`, { roots, serverName, timeout: "10 seconds", ...options })
      expect((yield* dial("a.wild.test")).tls.certificates.map(({ subject }) => subject)).toEqual([
        "CN=chained",
        "CN=Test Intermediate"
      ])
      expect((yield* dial("other.test")).tls.certificates[0]?.names).toContain("other.test")
      // It has nobody of that name, and shows what it has.
      const error = yield* Effect.flip(dial("nobody.test"))
      expect(tlsErrorOf(error)).toMatchObject({ reason: "WrongName", certificate: { subject: "CN=good" } })
    }))

  scenario("that is told to stop ends what it holds in order", () =>
    Effect.gen(function*() {
      const daemon = yield* serving
      const connection = yield* Tls.dial(`127.0.0.1:${daemon.ports[0]}`, { roots, serverName: "db.test" })
      yield* connection.write("GET / HTTP/1.1\r\nHost: db.test\r\n\r\n")
      expect(yield* readText(connection)).toContain("TLSv1.3 db.test")
      yield* daemon.signal("QUIT")
      expect(Option.isNone(yield* connection.read)).toBe(true)
    }))
})
