/**
 * The port that tells from which local address this machine would reach a destination.
 *
 * RFC 6724 §6 sorts destinations by what the kernel would put into the packet's source field, which only the kernel
 * (or whoever plays it) knows: it takes a routing decision, and no packet is sent for it. A destination for which there
 * is no source is one there is no route to.
 *
 * Not here: the sort itself (`AddressSelection`), and any choice of a source by the user (`OpenRequest.localAddress`).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { IpAddress } from "./Address.js"

/**
 * Which local address would reach a destination.
 *
 * `sourceFor(destination)` neither fails nor sends anything: `None` when there is no route, no address of that family,
 * or no way to ask.
 *
 * @since 0.1.0
 * @category port
 */
export class SourceAddress extends Context.Tag("effect-dial/SourceAddress")<SourceAddress, {
  readonly sourceFor: (destination: IpAddress) => Effect.Effect<Option.Option<IpAddress>>
}>() {}
