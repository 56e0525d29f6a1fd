/**
 * A Duplex over TLS: what a client asks a `tls.TLSSocket` about its session is answered as that answers it.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import * as tls from "node:tls"
import * as Address from "../../../src/Address.js"
import * as Attempt from "../../../src/Attempt.js"
import * as Dialer from "../../../src/Dialer.js"
import { AllAttemptsFailed } from "../../../src/DialError.js"
import * as Duplex from "../../../src/node/Duplex.js"
import * as NodeTls from "../../../src/node/NodeTls.js"
import * as NodeTransport from "../../../src/node/NodeTransport.js"
import * as Resolver from "../../../src/Resolver.js"
import * as SocketOptions from "../../../src/SocketOptions.js"
import * as Tls from "../../../src/Tls.js"
import type { Transport } from "../../../src/Transport.js"
import { certificates } from "../../support/certificates.js"
import * as Loopback from "../../support/loopback.js"
import * as Servers from "../../support/tls.js"

const scenario = (
  name: string,
  self: () => Effect.Effect<void, unknown, Scope.Scope | Tls.Tls | Transport>
) =>
  it.live(
    name,
    () =>
      Loopback.leavesNoSocket(Effect.scoped(Effect.provide(self(), Layer.merge(NodeTransport.layer, NodeTls.layer))))
  )

const roots = certificates.root.certificate

/** What there is to know of a session. */
const viewOf = (socket: Duplex.Duplex | tls.TLSSocket) => ({
  encrypted: socket.encrypted,
  authorized: socket.authorized,
  authorizationError: socket.authorizationError,
  alpnProtocol: socket.alpnProtocol,
  servername: (socket as Duplex.Duplex).servername,
  protocol: socket.getProtocol?.(),
  cipher: socket.getCipher?.().standardName,
  resumed: socket.isSessionReused?.(),
  subject: socket.getPeerCertificate?.().subject,
  raw: socket.getPeerCertificate?.().raw,
  fingerprint: socket.getPeerX509Certificate?.()?.fingerprint256
})

/** A network that trusts our root and speaks TLS to `db.test`, which is this machine. */
const network = Tls.layerWith({ roots }).pipe(
  Layer.provide(Layer.fresh(Dialer.layer)),
  Layer.provide(Layer.mergeAll(
    NodeTls.layer,
    NodeTransport.layer,
    Resolver.layerStatic({ "db.test": [Address.unsafeParse("127.0.0.1")] })
  ))
)

const securedOver = (server: Servers.Server, options: Tls.TlsOptions) =>
  Effect.flatMap(
    Attempt.connect({ socketType: "stream", address: server.address, options: SocketOptions.defaults }),
    (connection) => Tls.upgrade(connection, { roots, serverName: "db.test", ...options })
  )

describe("a stream over TLS", () => {
  scenario("tells of its session what a TLSSocket tells", () =>
    Effect.gen(function*() {
      for (const alpn of [undefined, ["postgresql", "h2"]]) {
        const server = yield* Servers.serve({ ALPNProtocols: ["h2"] }, Servers.echo)
        const theirs = yield* Effect.async<tls.TLSSocket>((resume) => {
          const socket = tls.connect({
            port: server.port,
            host: "127.0.0.1",
            servername: "db.test",
            ca: roots,
            ...alpn === undefined ? {} : { ALPNProtocols: alpn }
          }, () => resume(Effect.succeed(socket)))
        })
        const ours = yield* Effect.flatMap(securedOver(server, { alpn }), Duplex.fromConnection)
        const view = viewOf(ours)
        expect(view).toEqual(viewOf(theirs))
        expect(view.raw?.length).toBeGreaterThan(100)
        theirs.destroy()
        ours.destroy()
      }
    }))

  scenario("carries bytes and ends as a socket does", () =>
    Effect.gen(function*() {
      const server = yield* Servers.serve({}, Servers.echo)
      const socket = yield* Effect.flatMap(securedOver(server, {}), Duplex.fromConnection)
      const bytes = Buffer.alloc(1_000_000, "effect-dial ")
      socket.end(bytes)
      const echoed = yield* Effect.promise(() => socket.toArray())
      expect(Buffer.concat(echoed).equals(bytes)).toBe(true)
    }))

  scenario("that cannot be made fails with the code that a TLSSocket fails with", () =>
    Effect.gen(function*() {
      const server = yield* Servers.serve({}, Servers.echo)
      const host = Address.unsafeParse("127.0.0.1")
      const sockets = Layer.provide(
        Dialer.layer,
        Layer.merge(Resolver.layerStatic({ "other.test": [host] }), NodeTransport.layer)
      )
      const secured = Layer.provide(Tls.layerWith({ roots }), Layer.merge(sockets, NodeTls.layer))
      const runtime = yield* Layer.toRuntime(secured)
      const codeOf = (socket: Duplex.Duplex | tls.TLSSocket) =>
        Effect.promise(() =>
          new Promise((resolve) => socket.once("error", (error) => resolve("code" in error && error.code)))
        )
      const theirs = tls.connect({ port: server.port, host: "127.0.0.1", servername: "other.test", ca: roots })
      const ours = Duplex.lazy(runtime, `tls://other.test:${server.port}`).resume()
      expect(yield* codeOf(theirs)).toBe("ERR_TLS_CERT_ALTNAME_INVALID")
      expect(yield* codeOf(ours)).toBe("ERR_TLS_CERT_ALTNAME_INVALID")
    }))

  scenario(
    "that is in the clear has nothing of it, so that a client sees that it is not over TLS",
    () =>
      Effect.gen(function*() {
        const { address } = yield* Loopback.listen()
        const socket = yield* Effect.flatMap(
          Attempt.connect({ socketType: "stream", address, options: SocketOptions.defaults }),
          Duplex.fromConnection
        )
        expect(["encrypted" in socket, "getPeerCertificate" in socket, socket.alpnProtocol]).toEqual([
          false,
          false,
          undefined
        ])
        socket.destroy()
      })
  )

  scenario(
    "is dialed as a tls endpoint: told of once it is secure, with what was written before it",
    () =>
      Effect.gen(function*() {
        const server = yield* Servers.serve({}, Servers.echo)
        const runtime = yield* Effect.provide(Effect.runtime<Dialer.Dialer>(), network)
        const socket = Duplex.lazy(runtime, `tls://db.test:${server.port}`)
        const seen: Array<string> = []
        for (const event of ["connect", "ready", "secureConnect", "end", "close"]) {
          socket.on(event, () => seen.push(`${event}${event === "connect" ? ` ${socket.authorized}` : ""}`))
        }
        socket.end("secret")
        const echoed = yield* Effect.promise(() => socket.toArray())
        expect(Buffer.concat(echoed).toString()).toBe("secret")
        yield* Loopback.until("the close", () => seen.includes("close"))
        expect(seen).toEqual(["connect true", "ready", "secureConnect", "end", "close"])
        expect(server.secured.map((far) => [far.servername, far.encrypted])).toEqual([["db.test", true]])
      })
  )

  scenario(
    "whose certificate is refused has the error of the dial, with the code that Node would give",
    () =>
      Effect.gen(function*() {
        const server = yield* Servers.serve(Servers.withIdentity(certificates.expired))
        const runtime = yield* Effect.provide(Effect.runtime<Dialer.Dialer>(), network)
        const error: unknown = yield* Effect.promise(() =>
          Duplex.connect(runtime, `tls://db.test:${server.port}`).catch((error: unknown) => error)
        )
        expect(error).toBeInstanceOf(AllAttemptsFailed)
        expect((error as NodeJS.ErrnoException).code).toBe("CERT_HAS_EXPIRED")
        expect((error as Error).message).toContain("has expired: CN=expired")
      })
  )

  scenario("that is destroyed in the middle of its handshake is gone", () =>
    Effect.gen(function*() {
      // It accepts, and says nothing.
      const listener = yield* Loopback.listen()
      const runtime = yield* Effect.provide(Effect.runtime<Dialer.Dialer>(), network)
      const socket = Duplex.lazy(runtime, `tls://db.test:${Loopback.portNumber(listener.address)}`).connect(1)
      const peer = yield* listener.accept
      yield* peer.read(1)
      socket.destroy()
      yield* peer.closed
    }))
})
