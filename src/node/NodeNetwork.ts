/**
 * Everything a program on Node needs to dial: the Transport, the system's Resolver, and a Dialer over them.
 *
 * To replace one part, provide another layer in its place: `Dialer.layer` over your own `Resolver` and
 * `NodeTransport.layer`, say.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as Dialer from "../Dialer.js"
import type { Resolver } from "../Resolver.js"
import type { Transport } from "../Transport.js"
import * as NodeResolver from "./NodeResolver.js"
import * as NodeTransport from "./NodeTransport.js"

/**
 * The network of this machine.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Dialer.Dialer | Resolver | Transport> = Layer.provideMerge(
  Dialer.layer,
  Layer.merge(NodeResolver.layer, NodeTransport.layer)
)
