/**
 * What this machine says of name servers and names: /etc/resolv.conf and /etc/hosts.
 *
 * @since 0.2.0
 */
import type * as Duration from "effect/Duration"
import type { IpAddress, SocketAddress } from "./Address.js"

/**
 * resolv.conf(5), as far as it concerns a stub resolver.
 *
 * @since 0.2.0
 * @category models
 */
export interface ResolvConf {
  /** At most three, as glibc has it; port 53. 127.0.0.1 when there is none. */
  readonly servers: ReadonlyArray<SocketAddress>
  /** The search list, without trailing dots, lower-case. */
  readonly search: ReadonlyArray<string>
  /** A name with at least so many dots is tried as it is before the search list. */
  readonly ndots: number
  /** How long one server has for one try. */
  readonly timeout: Duration.Duration
  /** How many times the list of servers is gone through. */
  readonly attempts: number
  /** Whether each lookup begins with another server. */
  readonly rotate: boolean
}

/**
 * hosts(5): the addresses of each name, lower-case without a trailing dot, in the order of the file.
 *
 * @since 0.2.0
 * @category models
 */
export type Hosts = ReadonlyMap<string, ReadonlyArray<IpAddress>>
