/**
 * Options of a socket as values: what a user may ask of the operating system for one connection.
 *
 * A Transport applies what its platform has and ignores an option that has no meaning for a kind of socket (`noDelay`
 * on a UNIX socket). Nothing here opens or configures anything.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/**
 * What to ask of one socket.
 *
 * @since 0.1.0
 * @category models
 */
export interface SocketOptions {
  /**
   * Send small writes at once instead of gathering them (TCP_NODELAY, RFC 896 off).
   *
   * @default true
   */
  readonly noDelay?: boolean | undefined
  /**
   * Probe an idle peer (SO_KEEPALIVE, RFC 9293 §3.8.4), the first time after this much idleness. `undefined` sends no
   * probes; 0 leaves the idle time to the operating system. Rounded down to whole seconds, at least 1 s when positive.
   *
   * @default undefined
   */
  readonly keepAlive?: Duration.DurationInput | undefined
}

/**
 * The options of a dial that names none: `noDelay` on, no keep-alive probes.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults: SocketOptions = { noDelay: true }
