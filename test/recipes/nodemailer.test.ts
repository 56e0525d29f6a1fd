import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { transportOver } from "../../scratchpad/examples/recipes/nodemailer.js"
import { certificates } from "../support/certificates.js"
import { until } from "../support/loopback.js"
import { type Server as Running, smtp } from "../support/servers.js"
import {
  distrusting,
  dualStack,
  dualStackTrusting,
  leavesNoConnection,
  network,
  program,
  recipe,
  refused,
  refusing,
  rejection,
  Server,
  tlsReasons,
  trusting
} from "./recipe.js"

const transport = (
  runtime: Duplex.DialerRuntime,
  endpoint: string,
  options: Parameters<typeof transportOver>[2] = {}
) =>
  Effect.acquireRelease(
    Effect.sync(() => transportOver(runtime, endpoint, options)),
    (transport) => Effect.sync(() => transport.close())
  )

const mail = (subject: string) => ({
  from: "counter@example.com",
  to: "owner@example.com",
  subject,
  text: "Seven of / and three of /about."
})

/** The mails that the sink has taken. */
const taken = (server: Running): ReadonlyArray<{ readonly secure: boolean; readonly mail: string }> =>
  server.output().split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line))

/** How the mail of this subject came, once it has. */
const arrived = (server: Running, subject: string) =>
  Effect.suspend(() => {
    const found = () => taken(server).find(({ mail }) => mail.includes(`Subject: ${subject}\r\n`))
    return Effect.map(until(`the mail "${subject}"`, () => found() !== undefined), found)
  })

recipe("nodemailer over our connections", smtp, (it) => {
  it.scoped("does its work as a program", () =>
    Effect.gen(function*() {
      const server = yield* Server
      expect(yield* program("nodemailer", `localhost:${server.port}`)).toBe("sent to owner@example.com\n")
      expect(yield* arrived(server, "ten visits")).toMatchObject({ secure: true })
    }), 30_000)

  it.scoped("reaches a name of which one address refuses and one is silent", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const post = yield* transport(yield* dualStack, `db.test:${server.port}`, { ignoreTLS: true })
      yield* Effect.promise(() => Promise.all(["one", "two", "three"].map((n) => post.sendMail(mail(`dual ${n}`)))))
      expect(yield* arrived(server, "dual three")).toMatchObject({ secure: false })
    }))))

  it.scoped("takes a tls:// endpoint, at such a name too, and knows that it is secure", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const post = yield* transport(yield* dualStackTrusting, `tls://db.test:${server.tlsPort}`, { requireTLS: true })
      yield* Effect.promise(() => Promise.all(["one", "two", "three"].map((n) => post.sendMail(mail(`secure ${n}`)))))
      expect(yield* arrived(server, "secure three")).toMatchObject({ secure: true })
    }))))

  it.scoped("rejects with our TlsError behind it where the certificate is not trusted, or another's", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      for (
        const { host, network, reason } of [
          { host: "db.test", network: distrusting, reason: "UntrustedRoot" },
          { host: "other.test", network: trusting, reason: "WrongName" }
        ]
      ) {
        const post = yield* transport(yield* network, `tls://${host}:${tlsPort}`)
        const error = yield* rejection(() => post.sendMail(mail("never")))
        expect(error).toMatchObject({ _tag: "AllAttemptsFailed", endpoint: `tls://${host}:${tlsPort}` })
        expect(tlsReasons(error)).toEqual([reason])
      }
    }))))

  it.scoped("can have its STARTTLS and its TLS over them, to the name that the certificate is for and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const runtime = yield* network()
      const tls = { ca: server.authority, servername: "db.test" }
      const start = yield* transport(runtime, `db.test:${server.port}`, { requireTLS: true, tls })
      yield* Effect.promise(() => start.sendMail(mail("STARTTLS")))
      expect(yield* arrived(server, "STARTTLS")).toMatchObject({ secure: true })
      const secure = yield* transport(runtime, `db.test:${server.tlsPort}`, { secure: true, tls })
      yield* Effect.promise(() => secure.sendMail(mail("TLS")))
      expect(yield* arrived(server, "TLS")).toMatchObject({ secure: true })
      const other = yield* transport(runtime, `db.test:${server.tlsPort}`, {
        secure: true,
        tls: { ...tls, servername: "other.test" }
      })
      expect(String(yield* rejection(() => other.sendMail(mail("never"))))).toMatch(/altnames/)
      // What fails here is nodemailer's, and so is the error.
      const distrustful = yield* transport(runtime, `db.test:${server.port}`, {
        requireTLS: true,
        tls: { ...tls, ca: certificates.otherRoot.certificate }
      })
      const error = yield* rejection(() => distrustful.sendMail(mail("never")))
      expect(String(error)).toMatch(/unable to get local issuer certificate/)
    }))))

  for (const scheme of ["tcp", "tls"] as const) {
    it.scoped(`goes on by itself once a server that was killed is back (${scheme})`, () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const server = yield* Server
        const port = scheme === "tcp" ? server.port : server.tlsPort
        const post = yield* transport(yield* trusting, `${scheme}://db.test:${port}`, { ignoreTLS: true })
        yield* Effect.promise(() => post.sendMail(mail("before")))
        yield* server.kill
        expect(yield* refused(() => post.sendMail(mail("meanwhile")))).toMatchObject({ _tag: "AllAttemptsFailed" })
        yield* server.restart
        yield* Effect.promise(() => post.sendMail(mail(`after by ${scheme}`)))
        expect(yield* arrived(server, `after by ${scheme}`)).toMatchObject({ secure: scheme === "tls" })
      }))))
  }

  it.scoped("rejects with our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const post = yield* transport(yield* network(), yield* refusing)
      const error = yield* rejection(() => post.sendMail(mail("nowhere")))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed" })
    }))
})
