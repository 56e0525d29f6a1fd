/**
 * WebSockets over our connections: the `WebSocketConstructor` of @effect/platform, made with the package ws.
 *
 * What must be true:
 *
 * - `Socket.makeWebSocket`, `Socket.layerWebSocket` and all that asks for the constructor dial by our Dialer: its names,
 *   race, deadlines, and for `wss:` its TLS
 * - a WebSocket that is closed while it connects gives its dial up, and nothing stays open
 * - an error that comes when nobody listens any more is not an uncaughtException
 *
 * A dial that failed is a `SocketError` of reason `Open`, from which {@link dialErrorOf} takes the `DialError`; where it
 * was TLS that failed, that tells the `TlsError` of each attempt. A connection that is lost later is one of reason
 * `Close` and code 1006 (RFC 6455 §7.1.5), and ws tells no more of it. @effect/platform takes that code for an orderly
 * end unless `closeCodeIsError` says otherwise.
 *
 * A `wss:` URL is dialed as a `tls://` endpoint, for its host and with the options of the Dialer: `NodeNetwork.layer`
 * speaks TLS, and `Tls.layerWith` says whom to trust.
 *
 * It has a door of its own, `effect-dial/node/NodeWebSocket`, because ws is a package that only its users need.
 *
 * Not here: the protocol (RFC 6455), which is ws's. A WebSocket is pushed what arrives: it holds nobody back.
 *
 * @since 0.2.0
 */
import * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Runtime from "effect/Runtime"
import type * as Net from "node:net"
import { WebSocket } from "ws"
import type { Dialer } from "../Dialer.js"
import type { DialError, InvalidEndpoint } from "../DialError.js"
import type { DialOptions } from "../DialOptions.js"
import * as Endpoint from "../Endpoint.js"
import * as Duplex from "./Duplex.js"
import { behind, isDialError } from "./internal/behind.js"

/**
 * How to dial, and what ws takes that a constructor of the web has no place for.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  readonly dial?: DialOptions | undefined
  /** Sent with the opening handshake. */
  readonly headers?: { readonly [name: string]: string } | undefined
  /** The header `Origin`. */
  readonly origin?: string | undefined
  /**
   * Whether to offer compression.
   *
   * @default true
   */
  readonly perMessageDeflate?: boolean | undefined
  /**
   * The longest message taken, in bytes.
   *
   * @default 104857600
   */
  readonly maxPayload?: number | undefined
}

/**
 * The constructor. It takes `ws:`, `wss:`, and `ws+unix:/run/socket:/path` URLs; an endpoint that cannot be dialed is
 * the WebSocket's error, a URL that is none is thrown, as by the constructor of the web.
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (
  { dial, ...options }: Options = {}
): Effect.Effect<(url: string, protocols?: string | Array<string>) => globalThis.WebSocket, never, Dialer> =>
  Effect.map(Effect.runtime<Dialer>(), (runtime) => {
    const createConnection = connectWith(runtime, dial)
    return (url, protocols) => {
      const socket = new WebSocket(url, protocols, { ...options, createConnection })
      socket.on("error", ignore)
      return socket as unknown as globalThis.WebSocket
    }
  })

/**
 * {@link make} as the service of @effect/platform.
 *
 * @example
 * ```ts
 * import * as Socket from "@effect/platform/Socket"
 * import { Effect, Layer } from "effect"
 * import { Address, Dialer, Resolver } from "effect-dial"
 * import { NodeTransport } from "effect-dial/node"
 * import * as NodeWebSocket from "effect-dial/node/NodeWebSocket"
 * import * as assert from "node:assert"
 * import { once } from "node:events"
 * import * as Net from "node:net"
 * import { WebSocketServer } from "ws"
 *
 * const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
 * server.on("connection", (socket) => {
 *   socket.send("hello")
 *   socket.close(1000)
 * })
 * await once(server, "listening")
 * const { port } = server.address() as Net.AddressInfo
 *
 * const names = Resolver.layerStatic({ "chat.internal": [Address.unsafeParse("127.0.0.1")] })
 * const network = Layer.provide(Dialer.layer, Layer.merge(names, NodeTransport.layer))
 *
 * const heard: Array<string | Uint8Array> = []
 * await Socket.makeWebSocket(`ws://chat.internal:${port}/`).pipe(
 *   Effect.flatMap((socket) => socket.runRaw((message) => Effect.sync(() => heard.push(message)))),
 *   Effect.provide(Layer.provide(NodeWebSocket.layer(), network)),
 *   Effect.runPromise
 * )
 * assert.deepStrictEqual(heard, ["hello"])
 * server.close()
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Socket.WebSocketConstructor, never, Dialer> =>
  Layer.effect(Socket.WebSocketConstructor, make(options))

/**
 * The error of the dial behind a `SocketError`, whose cause is the event that ws tells it in. None when it has another
 * reason than that nothing was connected: a server that does not speak WebSocket, say.
 *
 * @example
 * ```ts
 * import * as Socket from "@effect/platform/Socket"
 * import { Effect, Layer, Option } from "effect"
 * import { Dialer, Resolver } from "effect-dial"
 * import { NodeTransport } from "effect-dial/node"
 * import * as NodeWebSocket from "effect-dial/node/NodeWebSocket"
 * import * as assert from "node:assert"
 *
 * const network = Layer.provide(Dialer.layer, Layer.merge(Resolver.layerStatic({}), NodeTransport.layer))
 *
 * const error = await Socket.makeWebSocket("ws://127.0.0.1:1/").pipe(
 *   Effect.flatMap((socket) => socket.runRaw(() => Effect.void)),
 *   Effect.flip,
 *   Effect.provide(Layer.provide(NodeWebSocket.layer(), network)),
 *   Effect.runPromise
 * )
 * assert.strictEqual(error.reason, "Open")
 * const dialError = Option.getOrThrow(NodeWebSocket.dialErrorOf(error))
 * assert.match(dialError.message, /^dial tcp:\/\/127\.0\.0\.1:1: .* connection refused/)
 * ```
 *
 * @since 0.2.0
 * @category errors
 */
export const dialErrorOf = (error: unknown): Option.Option<DialError> => behind(error, isDialError)

const ignore = (): void => {}

// ---------------------------------------------------------------------------------------------------------------------
// where its connections come from
// ---------------------------------------------------------------------------------------------------------------------

/** What `node:http` hands on of what ws asks for. */
interface Target {
  readonly host?: string
  readonly port?: number | string
  readonly socketPath?: string
  /** 443 when ws speaks TLS: the one thing that tells, and the user cannot change it. */
  readonly defaultPort?: number | string
}

const connectWith = (runtime: Runtime.Runtime<Dialer>, options: DialOptions = {}) =>
  // ws types it as what makes a net.Socket or one of TLS; node:http is content with a Duplex, and with being told.
  ((target: Target, told: (error: Error) => void): Duplex.Duplex | undefined => {
    const endpoint = endpointOf(target)
    if (Either.isRight(endpoint)) return Duplex.lazy(runtime, endpoint.right, options)
    told(endpoint.left)
    return undefined
  }) as unknown as typeof Net.createConnection

const endpointOf = (
  { defaultPort, host, port, socketPath }: Target
): Either.Either<Endpoint.Endpoint, InvalidEndpoint> =>
  socketPath !== undefined
    ? Endpoint.unix(socketPath)
    : Number(defaultPort) === 443
    ? Endpoint.tls(host ?? "", Number(port))
    : Endpoint.tcp(host ?? "", Number(port))
