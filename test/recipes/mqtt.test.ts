import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Duplex } from "effect-dial/node"
import { clientOver } from "../../scratchpad/examples/recipes/mqtt.js"
import { until } from "../support/loopback.js"
import { mosquitto } from "../support/servers.js"
import {
  distrusting,
  dualStack,
  dualStackTrusting,
  leavesNoConnection,
  network,
  ours,
  program,
  recipe,
  refusing,
  Server,
  tlsReasons,
  trusting
} from "./recipe.js"

/** A client with what it has heard and what went wrong. */
const client = (runtime: Duplex.DialerRuntime, endpoint: string, tls?: Parameters<typeof clientOver>[3]) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const client = clientOver(runtime, endpoint, { reconnectPeriod: 20 }, tls)
      const heard: Array<string> = []
      const errors: Array<unknown> = []
      client.on("message", (topic, payload) => heard.push(`${topic}: ${payload}`))
      client.on("error", (error) => errors.push(error))
      return { client, heard, errors }
    }),
    ({ client }) => Effect.promise(() => client.endAsync(true))
  )

recipe("mqtt.js over our connections", mosquitto, (it) => {
  it.scoped("does its work as a program", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      expect(yield* program("mqtt", `localhost:${port}`)).toBe("visits: ten\n")
    }), 30_000)

  it.scoped("reaches a name of which one address refuses and one is silent", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { port } = yield* Server
      const { client: bus, heard } = yield* client(yield* dualStack, `db.test:${port}`)
      yield* Effect.promise(() => bus.subscribeAsync("dual/#", { qos: 2 }))
      yield* Effect.promise(() => bus.publishAsync("dual/stack", "reached", { qos: 2 }))
      yield* until("the message", () => heard.length > 0)
      expect(heard).toEqual(["dual/stack: reached"])
    }))))

  it.scoped("can have Node's TLS over them, to the name that the certificate is for and to no other", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { authority, tlsPort } = yield* Server
      const runtime = yield* network()
      const secure = yield* client(runtime, `db.test:${tlsPort}`, { ca: authority, servername: "db.test" })
      yield* Effect.promise(() => secure.client.publishAsync("secret", "told", { qos: 1 }))
      const other = yield* client(runtime, `db.test:${tlsPort}`, { ca: authority, servername: "other.test" })
      yield* until("a handshake to fail", () => other.errors.length > 0)
      expect(String(other.errors[0])).toMatch(/altnames/)
    }))))

  it.scoped("takes a tls:// endpoint, at such a name too", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      const { client: bus, heard } = yield* client(yield* dualStackTrusting, `tls://db.test:${tlsPort}`)
      yield* Effect.promise(() => bus.subscribeAsync("secured/#", { qos: 2 }))
      yield* Effect.promise(() => bus.publishAsync("secured/dual", "reached", { qos: 2 }))
      yield* until("the message", () => heard.length > 0)
      expect(heard).toEqual(["secured/dual: reached"])
    }))))

  it.scoped("tells our TlsError where the certificate is not trusted, or another's", () =>
    leavesNoConnection(Effect.scoped(Effect.gen(function*() {
      const { tlsPort } = yield* Server
      for (
        const { host, network, reason } of [
          { host: "db.test", network: distrusting, reason: "UntrustedRoot" },
          { host: "other.test", network: trusting, reason: "WrongName" }
        ]
      ) {
        const { errors } = yield* client(yield* network, `tls://${host}:${tlsPort}`)
        yield* until("a handshake to fail", () => errors.length > 0)
        expect(errors[0]).toMatchObject({ _tag: "AllAttemptsFailed", endpoint: `tls://${host}:${tlsPort}` })
        expect(tlsReasons(errors[0])).toEqual([reason])
      }
    }))))

  for (const scheme of ["tcp", "tls"] as const) {
    it.scoped(`goes on by itself once a server that was killed is back, with what it was told (${scheme})`, () =>
      leavesNoConnection(Effect.scoped(Effect.gen(function*() {
        const server = yield* Server
        const port = scheme === "tcp" ? server.port : server.tlsPort
        const { client: bus, errors, heard } = yield* client(yield* trusting, `${scheme}://db.test:${port}`)
        yield* Effect.promise(() => bus.subscribeAsync(`kept/${scheme}`, { qos: 1 }))
        yield* server.kill
        yield* until("a dial to fail", () => errors.some((error) => ours(error) !== undefined))
        const told = bus.publishAsync("elsewhere", "meanwhile", { qos: 1 })
        yield* server.restart
        yield* Effect.promise(() => told)
        // It has sent what it was told meanwhile and then its subscription again, in this order.
        yield* Effect.promise(() => bus.publishAsync(`kept/${scheme}`, "42", { qos: 1 }))
        yield* until("the message", () => heard.length > 0)
        expect(heard).toEqual([`kept/${scheme}: 42`])
      }))))
  }

  it.scoped("tells our error, as it is, where nobody listens", () =>
    Effect.gen(function*() {
      const { errors } = yield* client(yield* network(), yield* refusing)
      yield* until("a dial to fail", () => errors.length > 0)
      expect(errors[0]).toMatchObject({ _tag: "AllAttemptsFailed", code: "ECONNREFUSED" })
    }))
})
