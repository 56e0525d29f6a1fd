import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { transportOver } from "../../scratchpad/examples/recipes/nodemailer.js"
import { until } from "../support/loopback.js"
import { type Server as Running, smtp } from "../support/servers.js"
import {
  dualStack,
  leavesNoConnection,
  network,
  program,
  recipe,
  refused,
  refusing,
  rejection,
  Server
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

  it.scoped("has its STARTTLS and its TLS over them, to the name that the certificate is for and to no other", () =>
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
    }))))

  it.scoped("goes on by itself once a server that was killed is back", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const server = yield* Server
      const post = yield* transport(yield* network(), `db.test:${server.port}`, { ignoreTLS: true })
      yield* Effect.promise(() => post.sendMail(mail("before")))
      yield* server.kill
      expect(yield* refused(() => post.sendMail(mail("meanwhile")))).toMatchObject({ _tag: "AllAttemptsFailed" })
      yield* server.restart
      yield* Effect.promise(() => post.sendMail(mail("after")))
      expect(yield* arrived(server, "after")).toMatchObject({ secure: false })
    }))))

  it.scoped("rejects with our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const post = yield* transport(yield* network(), yield* refusing)
      const error = yield* rejection(() => post.sendMail(mail("nowhere")))
      expect(error).toMatchObject({ _tag: "AllAttemptsFailed" })
    }))
})
