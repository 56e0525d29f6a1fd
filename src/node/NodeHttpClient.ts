/**
 * The HTTP client of @effect/platform over our connections: requests with our names, race, deadlines and errors.
 *
 * What must be true:
 *
 * - the clients are @effect/platform-node's own, over an undici dispatcher or the agents of `node:http`; only where
 *   their connections come from is ours
 * - a request that could not be sent because nothing was connected fails with a `RequestError` from which
 *   {@link dialErrorOf} takes the `DialError`
 * - connections are kept alive and used again, as undici and the agents do it
 * - who interrupts a request cancels its dial, when no other request waits for it; when the layer is closed nothing stays
 *   open
 *
 * An `https` URL is dialed as a `tls://` endpoint, for its host and with the options of the Dialer: `NodeNetwork.layer`
 * speaks TLS, and `Tls.layerWith` says whom to trust. Where its `alpn` offers `h2` and the server takes it, undici speaks
 * HTTP/2.
 *
 * It has a door of its own, `effect-dial/node/NodeHttpClient`, because it loads undici: a program that only dials should
 * not.
 *
 * Not here: redirects, retries, cookies (`HttpClient`'s combinators), and HTTP itself.
 *
 * @since 0.2.0
 */
import * as PlatformNode from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import type { HttpClient } from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Dialer from "../Dialer.js"
import { ConnectionLost, type DialError, type InvalidEndpoint } from "../DialError.js"
import * as Endpoint from "../Endpoint.js"
import { behind, isDialError } from "./internal/behind.js"
import { lazySocket } from "./internal/lazySocket.js"
import { Dial, type Target, UndiciClient } from "./internal/undiciClient.js"

// ---------------------------------------------------------------------------------------------------------------------
// undici
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What undici's Agent takes, without what is for its own way of connecting.
 *
 * @since 0.2.0
 * @category models
 */
export type UndiciOptions = Omit<
  Undici.Agent.Options,
  | "allowH2"
  | "autoSelectFamily"
  | "autoSelectFamilyAttemptTimeout"
  | "connect"
  | "connectTimeout"
  | "factory"
  | "localAddress"
  | "maxCachedSessions"
  | "tls"
  | "useH2c"
>

/**
 * How to connect, and how undici keeps its connections.
 *
 * @since 0.2.0
 * @category models
 */
export interface LayerUndiciOptions {
  readonly dial?: Dialer.DialOptions | undefined
  readonly undici?: UndiciOptions | undefined
}

/**
 * An undici Agent whose connections our Dialer makes, to be used wherever undici takes a dispatcher. The Scope destroys
 * it, with what it has open and what it dials.
 *
 * @since 0.2.0
 * @category undici
 */
export const makeDispatcher = (
  options: LayerUndiciOptions = {}
): Effect.Effect<Undici.Dispatcher, never, Dialer.Dialer | Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.map(Effect.runtime<Dialer.Dialer>(), (runtime) => {
        const dials = new Set<Dial>()
        const streamOptions = { ...options.dial, highWaterMark: readAhead }
        const ports = {
          endpointOf: endpointOfTarget,
          socketTo: (endpoint: Endpoint.Endpoint) => lazySocket(runtime, endpoint, streamOptions),
          dials
        }
        const clientOf = (origin: string | URL, clientOptions: object) =>
          new UndiciClient(new URL(origin), clientOptions, new Dial(ports))
        const agent = new Undici.Agent({
          ...options.undici,
          // As undici's own: one client where one connection is allowed, else a pool of them.
          factory: (origin, agentOptions) =>
            (agentOptions as Undici.Pool.Options).connections === 1
              ? clientOf(origin, agentOptions)
              : new Undici.Pool(origin, { ...agentOptions, factory: clientOf })
        })
        return { agent, dials }
      }),
      ({ agent, dials }) =>
        Effect.promise(() => {
          for (const dial of dials) dial.stop()
          return agent.destroy()
        })
    ),
    ({ agent }) => agent
  )

/** What undici lets a socket of its own read ahead. */
const readAhead = 65_536

/**
 * {@link makeDispatcher} as the dispatcher of @effect/platform-node.
 *
 * @since 0.2.0
 * @category undici
 */
export const layerDispatcher = (
  options?: LayerUndiciOptions
): Layer.Layer<PlatformNode.Dispatcher, never, Dialer.Dialer> =>
  Layer.scoped(PlatformNode.Dispatcher, makeDispatcher(options))

/**
 * The HttpClient over undici, the faster of the two.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect, Layer, Option } from "effect"
 * import { Address, Dialer, Resolver } from "effect-dial"
 * import { NodeTransport } from "effect-dial/node"
 * import * as NodeHttpClient from "effect-dial/node/NodeHttpClient"
 * import * as assert from "node:assert"
 *
 * // A network in which one name is known, and nobody listens where it leads.
 * const names = Resolver.layerStatic({ "api.internal": [Address.unsafeParse("127.0.0.1")] })
 * const network = Layer.provide(Dialer.layer, Layer.merge(names, NodeTransport.layer))
 *
 * const error = await HttpClient.get("http://api.internal:1/").pipe(
 *   Effect.flip,
 *   Effect.provide(Layer.provide(NodeHttpClient.layerUndici(), network)),
 *   Effect.runPromise
 * )
 * assert.strictEqual(error._tag, "RequestError")
 * const dialError = Option.getOrThrow(NodeHttpClient.dialErrorOf(error))
 * assert.match(dialError.message, /127\.0\.0\.1:1 connection refused/)
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layerUndici = (options?: LayerUndiciOptions): Layer.Layer<HttpClient, never, Dialer.Dialer> =>
  Layer.provide(PlatformNode.layerUndiciWithoutDispatcher, layerDispatcher(options))

// ---------------------------------------------------------------------------------------------------------------------
// node:http
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What the agents of `node:http` take for their pools; the rest is the Dialer's.
 *
 * @since 0.2.0
 * @category models
 */
export type AgentOptions = Pick<
  Http.AgentOptions,
  "keepAlive" | "keepAliveMsecs" | "maxFreeSockets" | "maxSockets" | "maxTotalSockets" | "scheduling" | "timeout"
>

/**
 * How to connect, and how the agents keep their connections.
 *
 * @since 0.2.0
 * @category models
 */
export interface LayerAgentOptions {
  readonly dial?: Dialer.DialOptions | undefined
  /**
   * @default keepAlive
   */
  readonly agent?: AgentOptions | undefined
}

/**
 * The agents of `node:http` and `node:https` whose connections our Dialer makes, to be used wherever Node takes an
 * agent. The Scope destroys them, with what they have open and what they dial.
 *
 * @since 0.2.0
 * @category agent
 */
export const makeAgent = (
  options: LayerAgentOptions = {}
): Effect.Effect<PlatformNode.HttpAgent, never, Dialer.Dialer | Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(Effect.runtime<Dialer.Dialer>(), (runtime) => {
      const agentOptions = { keepAlive: true, ...options.agent }
      const connectWith = (secure: boolean) => (to: AgentTarget, told: (error: Error | null) => void) => {
        const endpoint = endpointOfAgent(to, secure)
        if (Either.isRight(endpoint)) return lazySocket(runtime, endpoint.right, options.dial ?? {})
        told(endpoint.left)
        return undefined
      }
      return {
        [PlatformNode.HttpAgentTypeId]: PlatformNode.HttpAgentTypeId,
        http: Object.assign(new Http.Agent(agentOptions), { createConnection: connectWith(false) }),
        https: Object.assign(new Https.Agent(agentOptions), { createConnection: connectWith(true) })
      } as PlatformNode.HttpAgent
    }),
    ({ http, https }) =>
      Effect.sync(() => {
        http.destroy()
        https.destroy()
      })
  )

/**
 * {@link makeAgent} as the agents of @effect/platform-node.
 *
 * @since 0.2.0
 * @category agent
 */
export const layerHttpAgent = (
  options?: LayerAgentOptions
): Layer.Layer<PlatformNode.HttpAgent, never, Dialer.Dialer> => Layer.scoped(PlatformNode.HttpAgent, makeAgent(options))

/**
 * The HttpClient over `node:http` and `node:https`.
 *
 * @since 0.2.0
 * @category layers
 */
export const layerAgent = (options?: LayerAgentOptions): Layer.Layer<HttpClient, never, Dialer.Dialer> =>
  Layer.provide(PlatformNode.layerWithoutAgent, layerHttpAgent(options))

// ---------------------------------------------------------------------------------------------------------------------
// endpoints
// ---------------------------------------------------------------------------------------------------------------------

interface AgentTarget {
  readonly host?: string | null | undefined
  readonly port?: number | string | null | undefined
  readonly socketPath?: string | null | undefined
}

/** An https endpoint is one of TLS, for a Dialer that speaks it. */
const endpointOf = (
  host: string,
  port: number,
  secure: boolean
): Either.Either<Endpoint.Endpoint, InvalidEndpoint> =>
  secure ? Endpoint.tls(host, port || 443) : Endpoint.tcp(host, port || 80)

const endpointOfTarget = (
  { hostname, port, protocol, socketPath }: Target
): Either.Either<Endpoint.Endpoint, InvalidEndpoint> =>
  typeof socketPath === "string"
    ? Endpoint.unix(socketPath)
    : endpointOf(hostname, Number(port), protocol === "https:")

const endpointOfAgent = (
  { host, port, socketPath }: AgentTarget,
  secure: boolean
): Either.Either<Endpoint.Endpoint, InvalidEndpoint> =>
  typeof socketPath === "string" && socketPath !== ""
    ? Endpoint.unix(socketPath)
    : endpointOf(host ?? "localhost", Number(port), secure)

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The error of the dial behind another error: itself, its cause, the cause of that, and so on. None when it has another
 * reason than that nothing was connected.
 *
 * @since 0.2.0
 * @category errors
 */
export const dialErrorOf = (error: unknown): Option.Option<DialError> => behind(error, isDialError)

/**
 * The loss of the connection behind another error; none when it has another reason.
 *
 * @since 0.2.0
 * @category errors
 */
export const connectionLostOf = (error: unknown): Option.Option<ConnectionLost> =>
  behind(error, (cause) => cause instanceof ConnectionLost)
