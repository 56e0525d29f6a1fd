/**
 * The kinds of socket that a client may hold, each as a `net.Socket` that has not been connected: Node's own, our stream
 * over a socket of Node, and our stream over a connection of which no more is known than that it is one.
 */
import { Effect, Layer, ManagedRuntime, type Scope } from "effect"
import * as net from "node:net"
import type * as Address from "../../src/Address.js"
import * as Dialer from "../../src/Dialer.js"
import * as Endpoint from "../../src/Endpoint.js"
import * as Duplex from "../../src/node/Duplex.js"
import * as NodeNetwork from "../../src/node/NodeNetwork.js"
import * as NodeTransport from "../../src/node/NodeTransport.js"
import * as Resolver from "../../src/Resolver.js"
import { type SocketHandle, Transport } from "../../src/Transport.js"

export type Options = Duplex.StreamOptions

/** Makes an unconnected socket to an address. */
export type Make = (to: Address.SocketAddress, options?: Options) => net.Socket

export const ofNode: Make = (_, options = {}) =>
  new net.Socket({
    allowHalfOpen: options.allowHalfOpen ?? false,
    ...(options.highWaterMark === undefined ? {} : { highWaterMark: options.highWaterMark }),
    ...(options.signal === undefined ? {} : { signal: options.signal })
  } as net.SocketConstructorOpts)

/** The handle, and not that there is a socket of Node in it. */
const opaque = (handle: SocketHandle): SocketHandle => ({
  connect: (settled) => handle.connect(settled),
  get localAddress() {
    return handle.localAddress
  },
  get remoteAddress() {
    return handle.remoteAddress
  },
  get read() {
    return handle.read
  },
  write: (bytes) => handle.write(bytes),
  get unsent() {
    return handle.unsent
  },
  get flush() {
    return handle.flush
  },
  get end() {
    return handle.end
  },
  get lost() {
    return handle.lost
  },
  get stopReadingAndWriting() {
    return handle.stopReadingAndWriting
  },
  close: (mode) => handle.close(mode),
  get release() {
    return handle.release
  }
})

const opaqueNetwork: Layer.Layer<Dialer.Dialer> = Layer.fresh(Dialer.layer).pipe(
  Layer.provide(Layer.merge(
    Resolver.layerStatic({}),
    Layer.provide(
      Layer.effect(
        Transport,
        Effect.map(Transport, (transport) => ({
          open: (request) => Effect.map(transport.open(request), opaque)
        }))
      ),
      NodeTransport.layer
    )
  ))
)

const made = (network: Layer.Layer<Dialer.Dialer>): Effect.Effect<Make, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => ManagedRuntime.make(network)),
      (runtime) => runtime.disposeEffect
    ),
    (runtime): Make => (to, options) => Duplex.lazy(runtime, Endpoint.fromSocketAddress(to), options)
  )

export const ofNodeTransport: Effect.Effect<Make, never, Scope.Scope> = made(NodeNetwork.layer)

export const ofAnyConnection: Effect.Effect<Make, never, Scope.Scope> = made(opaqueNetwork)
