/** The words in which a resolver and whoever asks it speak: those of `Resolver`, which is their door. */
import type * as Duration from "effect/Duration"
import type * as Address from "../Address.js"
import type { ResolveError } from "../DialError.js"
import type { ServiceBinding } from "../ServiceBinding.js"

/**
 * The family of an IP address.
 *
 * @since 0.1.0
 * @category models
 */
export type IpFamily = Exclude<Address.AddressFamily, "unix">

/**
 * What a resolver says of one family of one name.
 *
 * - `Addresses`: those found, in the resolver's order of preference; at least one. `timeToLive` is how long the answer
 *   may be kept, `undefined` when the resolver cannot tell (getaddrinfo)
 * - `NoAddresses`: none, and why; `timeToLive` is how long that may be kept (RFC 2308)
 * - `Services`: what its HTTPS records say, only when the {@link Query} asked for them; empty when there are none, with
 *   the `error` when that is not certain
 *
 * @since 0.1.0
 * @category models
 */
export type Answer =
  | {
    readonly _tag: "Addresses"
    readonly family: IpFamily
    readonly addresses: ReadonlyArray<Address.IpAddress>
    readonly timeToLive?: Duration.Duration | undefined
  }
  | {
    readonly _tag: "NoAddresses"
    readonly family: IpFamily
    readonly error: ResolveError
    readonly timeToLive?: Duration.Duration | undefined
  }
  | {
    readonly _tag: "Services"
    readonly services: ReadonlyArray<ServiceBinding>
    readonly timeToLive?: Duration.Duration | undefined
    readonly error?: ResolveError | undefined
  }

/**
 * What is wanted of a name.
 *
 * @since 0.2.0
 * @category models
 */
export interface Query {
  /**
   * The families to look up.
   *
   * @default {@link families}
   */
  readonly families?: ReadonlyArray<IpFamily> | undefined
  /**
   * Look up the HTTPS records (RFC 9460) of the name for this port too, and answer with `Services`. A resolver that
   * cannot leaves it out.
   *
   * @default undefined, which does not
   */
  readonly services?: number | undefined
}

/**
 * Both families, in the order their questions are sent (RFC 8305 §3: AAAA first, A right after).
 *
 * @since 0.1.0
 * @category models
 */
export const families: ReadonlyArray<IpFamily> = ["inet6", "inet"]

/**
 * A negative answer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const noAddresses = (family: IpFamily, error: ResolveError): Answer => ({ _tag: "NoAddresses", family, error })

/** Whether it has something to connect to, or to look for. */
export const isPositive = (answer: Answer): boolean =>
  answer._tag === "Addresses" || answer._tag === "Services" && answer.services.length > 0

/** Whether nobody could say. */
export const isFailure = (answer: Answer): boolean =>
  answer._tag === "NoAddresses"
    ? answer.error.reason !== "NotFound"
    : answer._tag === "Services" && answer.error !== undefined
