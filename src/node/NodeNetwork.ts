/**
 * Everything a program on Node needs to dial: the Transport, the system's Resolver, the kernel's
 * source addresses, TLS, and a Dialer over them that speaks it to `tls://` endpoints.
 *
 * To look names up otherwise, see {@link layerOver}. To replace another part, provide a layer in its place: `Dialer.layer`
 * over your own `Resolver` and `NodeTransport.layer`, say, and `Tls.layer` over that.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as Dialer from "../Dialer.js"
import type { Resolver } from "../Resolver.js"
import type { SourceAddress } from "../SourceAddress.js"
import * as Tls from "../Tls.js"
import type { Transport } from "../Transport.js"
import * as NodeResolver from "./NodeResolver.js"
import * as NodeSourceAddress from "./NodeSourceAddress.js"
import * as NodeTls from "./NodeTls.js"
import * as NodeTransport from "./NodeTransport.js"

/**
 * What {@link layer} is made of.
 *
 * @since 0.2.0
 * @category layers
 */
export type Network = Dialer.Dialer | Resolver | SourceAddress | Tls.Tls | Transport

/**
 * {@link layer} with other names than the system's. They may be looked up over its own Transport.
 *
 * @example
 * ```ts
 * import { NodeFileSystem } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { DnsResolver, Resolver } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 *
 * // The name servers of /etc/resolv.conf, asked by ourselves, with a cache.
 * const names = Resolver.cached({ staleFor: "1 day" }).pipe(Layer.provide(DnsResolver.layer()))
 *
 * export const network = Layer.provide(NodeNetwork.layerOver(names), NodeFileSystem.layer)
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layerOver = <E, R>(
  names: Layer.Layer<Resolver, E, R>
): Layer.Layer<Network, E, Exclude<R, SourceAddress | Tls.Tls | Transport>> =>
  Layer.provideMerge(
    // Fresh: layers are memoised by reference, and a program that also builds Dialer.layer over another Resolver would
    // share whichever of the two was built first.
    Layer.provide(Layer.fresh(Tls.layer), Layer.fresh(Dialer.layer)),
    Layer.provideMerge(names, Layer.mergeAll(NodeSourceAddress.layer, NodeTls.layer, NodeTransport.layer))
  )

/**
 * The network of this machine.
 *
 * @example
 * ```ts
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Console, Effect } from "effect"
 * import { DialError, Dialer } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 *
 * const program = Dialer.dial("unix:/nonexistent/bus.sock").pipe(
 *   Effect.flatMap((connection) => connection.write("hello")),
 *   Effect.catchTag("AllAttemptsFailed", (error) => Console.error(DialError.pretty(error))),
 *   Effect.scoped
 * )
 *
 * NodeRuntime.runMain(Effect.provide(program, NodeNetwork.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Network> = layerOver(NodeResolver.layer)
