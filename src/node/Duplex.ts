/**
 * Our connections for the clients of Node: a `stream.Duplex` that a client takes for its own `net.Socket`, and behind it
 * our names, race, deadlines and errors.
 *
 * What must be true:
 *
 * - a client sees of it what it would see of a `net.Socket`: the same events in the same order, and every call that
 *   clients make on a socket is taken (`test/node/Duplex` compares them on both)
 * - its `error` is the typed error of the dial, or the `ConnectionLost` of the connection, itself: with a `code` for
 *   those who go by codes
 * - `destroy` while it dials cancels the dial and closes its sockets; after that it closes the connection. Nothing that
 *   happens later is an uncaughtException
 * - what was written before the connect is sent in order, and counts for `write`'s answer and `drain`
 * - once connected over `NodeTransport`, no Effect runs for a chunk
 *
 * Where it differs from a `net.Socket`: nothing is dialed until somebody wants something of it (see {@link lazy}); it is
 * connected once, and not again after its `close`; a destroy with bytes that the kernel has not taken is a reset for the
 * peer, so that what was cut off does not look whole; its addresses outlive it.
 *
 * Not here: the recipe for each client, which is in `scratchpad/examples`.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as ManagedRuntime from "effect/ManagedRuntime"
import * as Runtime from "effect/Runtime"
import type * as Net from "node:net"
import type { Connection } from "../Connection.js"
import type * as Dialer from "../Dialer.js"
import type * as Endpoint from "../Endpoint.js"
import { DialedSocket } from "./internal/dialedSocket.js"
import { lazySocket } from "./internal/lazySocket.js"
import * as Line from "./internal/line.js"
import type { TlsView } from "./internal/tlsView.js"

/**
 * A stream with everything that is documented of a `net.Socket`, which it is not; over TLS, once it is connected, with
 * what clients ask a `tls.TLSSocket` about the session, and the event `secureConnect` behind `ready`.
 *
 * @since 0.2.0
 * @category models
 */
export interface Duplex extends Net.Socket, Partial<TlsView> {}

/**
 * How the stream behaves, as `net.Socket` and `stream.Duplex` take it.
 *
 * @since 0.2.0
 * @category models
 */
export interface StreamOptions {
  /**
   * Whether our half stays open when the peer has ended its own.
   *
   * @default false
   */
  readonly allowHalfOpen?: boolean | undefined
  /** Bytes, for either half. `undefined`: Node's default. */
  readonly highWaterMark?: number | undefined
  /** Destroys the stream with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
}

/**
 * How to dial, and how the stream behaves.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options extends Dialer.DialOptions, StreamOptions {}

/**
 * Where the Dialer comes from: a `ManagedRuntime`, whose layers are built by the first dial, or a `Runtime`. Streams
 * outlive it: disposing of it closes none.
 *
 * @since 0.2.0
 * @category models
 */
export type DialerRuntime = ManagedRuntime.ManagedRuntime<Dialer.Dialer, unknown> | Runtime.Runtime<Dialer.Dialer>

/**
 * A stream that is returned at once and dials when it is first wanted: by `connect`, whatever it is asked to connect to;
 * by a write; by a read; by a listener for `connect` or `ready`. Until then it costs nothing and cannot fail.
 *
 * It emits `connect` and `ready`, or `error` with the `DialError` and then `close`. It owns its connection.
 *
 * @example
 * ```ts
 * import { ManagedRuntime } from "effect"
 * import { Duplex, NodeNetwork } from "effect-dial/node"
 * import * as assert from "node:assert"
 * import { once } from "node:events"
 * import * as Net from "node:net"
 *
 * const server = Net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1")
 * await once(server, "listening")
 * const { port } = server.address() as Net.AddressInfo
 *
 * const runtime = ManagedRuntime.make(NodeNetwork.layer)
 *
 * const stream = Duplex.lazy(runtime, `127.0.0.1:${port}`, { timeout: "5 seconds" })
 * stream.end("sent before it was connected")
 * stream.setEncoding("utf8")
 * const [echo] = await once(stream, "data")
 * assert.strictEqual(echo, "sent before it was connected")
 *
 * server.close()
 * await runtime.dispose()
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const lazy = (runtime: DialerRuntime, endpoint: Endpoint.Input, options: Options = {}): Duplex =>
  lazySocket(runtime, endpoint, options)

/**
 * {@link lazy}, connected; the promise is rejected with the `DialError`. A `signal` that aborts before that cancels the
 * dial, and rejects with the `AbortError`; after it, it destroys the stream.
 *
 * @example
 * ```ts
 * import { ManagedRuntime } from "effect"
 * import { DialError } from "effect-dial"
 * import { Duplex, NodeNetwork } from "effect-dial/node"
 * import * as assert from "node:assert"
 *
 * const runtime = ManagedRuntime.make(NodeNetwork.layer)
 *
 * const error = await Duplex.connect(runtime, "unix:/nonexistent/bus.sock").catch((error: unknown) => error)
 * assert.ok(error instanceof DialError.AllAttemptsFailed)
 * assert.strictEqual((error as NodeJS.ErrnoException).code, "ENOENT")
 *
 * await runtime.dispose()
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const connect = (runtime: DialerRuntime, endpoint: Endpoint.Input, options: Options = {}): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const socket = lazySocket(runtime, endpoint, options)
    const connected = () => {
      socket.off("error", reject)
      resolve(socket)
    }
    socket.once("error", reject)
    socket.once("connect", connected)
  })

/**
 * A stream over a connection that is there, and is the stream's from then on: no more may be read from it or written to
 * it otherwise. Destroying the stream closes it; what else closes it, its Scope above all, ends the stream. A client that
 * calls `connect` is told at once that it is connected.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Dialer } from "effect-dial"
 * import { Duplex, NodeNetwork } from "effect-dial/node"
 * import * as assert from "node:assert"
 * import { once } from "node:events"
 * import * as Net from "node:net"
 * import { text } from "node:stream/consumers"
 *
 * const server = Net.createServer((socket) => socket.end("hello")).listen(0, "127.0.0.1")
 * await once(server, "listening")
 * const { port } = server.address() as Net.AddressInfo
 *
 * const said = await Dialer.dial(`127.0.0.1:${port}`).pipe(
 *   Effect.flatMap(Duplex.fromConnection),
 *   Effect.flatMap((stream) => Effect.promise(() => text(stream))),
 *   Effect.scoped,
 *   Effect.provide(NodeNetwork.layer),
 *   Effect.runPromise
 * )
 * assert.strictEqual(said, "hello")
 * server.close()
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const fromConnection = (connection: Connection, options: StreamOptions = {}): Effect.Effect<Duplex> =>
  Effect.map(
    Effect.runtime<never>(),
    (runtime) => new DialedSocket(Line.connected(connection, Runtime.runFork(runtime)), options).adopt()
  )
