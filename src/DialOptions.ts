/**
 * How to dial: every knob apart from every other, each with a default.
 *
 * @since 0.2.0
 */
import type * as Duration from "effect/Duration"
import type { SocketAddress } from "./Address.js"
import type { AttemptDelay } from "./HappyEyeballs.js"
import type { ResolutionOptions } from "./Resolution.js"
import type { SocketOptions } from "./SocketOptions.js"

/**
 * How long things may take: one deadline over everything, and a limit for each phase.
 *
 * `resolutionTimeout` and the Resolution Delay are {@link ResolutionOptions}.
 *
 * @since 0.2.0
 * @category models
 */
export interface Limits {
  /**
   * The whole dial's deadline: resolution and all attempts. `Infinity` for none.
   *
   * @default {@link defaultTimeout}
   */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * The longest one attempt may take, what establishes it included. `undefined`: as long as the kernel and the deadline
   * let it.
   */
  readonly attemptTimeout?: Duration.DurationInput | undefined
}

/**
 * How attempts follow one another.
 *
 * @since 0.2.0
 * @category models
 */
export interface Racing {
  /**
   * The Connection Attempt Delay: the time between the starts of two attempts.
   *
   * @default {@link HappyEyeballs.defaultAttemptDelay}
   */
  readonly attemptDelay?: AttemptDelay | undefined
  /**
   * How many attempts may be under way at once. More wait; none is ended for it.
   *
   * @default Infinity
   */
  readonly maxInFlight?: number | undefined
}

/**
 * How to dial. Every field has a default.
 *
 * @since 0.1.0
 * @category models
 */
export interface DialOptions extends Limits, Racing, ResolutionOptions {
  /** The local address to dial from, for each family; port 0 for any port. A family without one is not bound. */
  readonly localAddress?: {
    readonly inet?: SocketAddress | undefined
    readonly inet6?: SocketAddress | undefined
  } | undefined
  /**
   * What to ask of the socket, over the defaults.
   *
   * @default {@link SocketOptions.defaults}
   */
  readonly socket?: SocketOptions | undefined
  /** Attempt these, in this order and with the same race, instead of resolving the endpoint's name. */
  readonly addresses?: ReadonlyArray<SocketAddress> | undefined
}

/**
 * The deadline of a dial that names none.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultTimeout: Duration.DurationInput = "30 seconds"
