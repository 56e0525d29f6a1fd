/** The places where the laws of a connection are checked over TLS: this machine, and the simulated network. */
import { Context, Effect, Layer, Runtime, Scope } from "effect"
import * as tls from "node:tls"
import * as Connection from "../../src/Connection.js"
import { AttemptError } from "../../src/DialError.js"
import * as NodeTls from "../../src/node/NodeTls.js"
import * as NodeTransport from "../../src/node/NodeTransport.js"
import { Arena } from "../../src/testing/laws.js"
import { Tls, type TlsOptions } from "../../src/Tls.js"
import * as Upgrade from "../../src/Tls.js"
import { type OpenRequest, type SocketHandle, Transport } from "../../src/Transport.js"
import { certificates } from "../support/certificates.js"
import { onNode, simulatedLink, simulatedLoopback } from "./arenas.js"
import { speakingTls } from "./tlsBehaviour.js"

const context = tls.createSecureContext({ cert: certificates.good.certificate, key: certificates.good.key })

const options: TlsOptions = { roots: certificates.root.certificate, serverName: "db.test" }

/** A socket that is connected once it is secure; from then on its operations are those of TLS. */
const secured = (
  under: SocketHandle,
  { address, socketType }: OpenRequest,
  runtime: Runtime.Runtime<Tls | Scope.Scope>
): SocketHandle => {
  let over: SocketHandle | undefined
  const handle = () => over ?? under
  const upgraded = Effect.suspend(() => Upgrade.upgrade(Connection.fromHandle(under, socketType), options))
  return {
    connect: (settled) =>
      under.connect((error) => {
        if (error !== undefined) return settled(error)
        Runtime.runFork(runtime)(Effect.match(upgraded, {
          onFailure: (cause) =>
            settled(new AttemptError({ operation: "establish", address, reason: "NotEstablished", cause })),
          onSuccess: (connection) => {
            over = Connection.take(connection).handle
            settled()
          }
        }))
      }),
    get localAddress() {
      return handle().localAddress
    },
    get remoteAddress() {
      return handle().remoteAddress
    },
    get unsent() {
      return handle().unsent
    },
    get farewell() {
      return handle().farewell
    },
    read: Effect.suspend(() => handle().read),
    write: (bytes) => handle().write(bytes),
    flush: Effect.suspend(() => handle().flush),
    end: Effect.suspend(() => handle().end),
    lost: Effect.suspend(() => handle().lost),
    stopReadingAndWriting: Effect.suspend(() => handle().stopReadingAndWriting),
    close: (mode) => handle().close(mode),
    release: Effect.suspend(() => handle().release)
  }
}

const securing = Layer.scoped(
  Transport,
  Effect.gen(function*() {
    const transport = yield* Transport
    const scope = yield* Effect.scope
    const ports = Context.make(Tls, yield* Tls).pipe(Context.add(Scope.Scope, scope))
    return {
      open: (request) =>
        Effect.flatMap(
          Effect.runtime<never>(),
          ({ fiberRefs, runtimeFlags }) =>
            Effect.map(
              transport.open(request),
              (under) => secured(under, request, Runtime.make({ context: ports, fiberRefs, runtimeFlags }))
            )
        )
    }
  })
).pipe(Layer.provide(NodeTls.layer))

/** Real sockets on 127.0.0.1, and TLS over them. */
export const securedLoopback = Layer.merge(Layer.provide(securing, NodeTransport.layer), onNode(context))

const accepting = Layer.effect(
  Arena,
  Effect.map(Arena, (arena) => ({
    ...arena,
    listen: (kind, behaviour) => arena.listen(kind, speakingTls(context, behaviour))
  }))
)

const simulated = <E>(arena: Layer.Layer<Transport | Arena, E>) =>
  Layer.provideMerge(Layer.merge(securing, accepting), arena)

export const securedSimulatedLoopback = simulated(simulatedLoopback)

export const securedSimulatedLink = simulated(simulatedLink)
