/**
 * How a service can be reached, as its SVCB or HTTPS record tells it (RFC 9460).
 *
 * @since 0.2.0
 */
import type { Ipv4Address, Ipv6Address, Port } from "./Address.js"

/**
 * One record. `priority` 0 is AliasMode: the service is wherever `target` is; anything else is ServiceMode, the lowest
 * first.
 *
 * @since 0.2.0
 * @category models
 */
export interface ServiceBinding {
  readonly priority: number
  /** The host that offers the service, lower-case without a trailing dot; `""` is the record's own name. */
  readonly target: string
  /** The protocols offered, the default one not among them; `undefined` when the record says nothing of it. */
  readonly alpn?: ReadonlyArray<string> | undefined
  readonly noDefaultAlpn: boolean
  readonly port?: Port | undefined
  readonly ipv4Hint: ReadonlyArray<Ipv4Address>
  readonly ipv6Hint: ReadonlyArray<Ipv6Address>
  /** The ECHConfigList, undecoded. */
  readonly ech?: Uint8Array | undefined
  /** The keys a client must understand to use the record (RFC 9460 §8). */
  readonly mandatory: ReadonlyArray<number>
  /** Every parameter that is not one of the above, undecoded, by its key. */
  readonly others: ReadonlyMap<number, Uint8Array>
}
