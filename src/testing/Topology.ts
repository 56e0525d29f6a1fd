/**
 * A simulated network, written down: hosts, what they listen on, names, and the ways between them.
 *
 * Everything here is the author's own text, so what cannot be read (an address that is none, a link to a host that is
 * not there) is a defect when the network is built, not an error to handle.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type { Behaviour } from "./Behaviour.js"
import type { Injection, NameFault } from "./Fault.js"

/**
 * A network.
 *
 * @since 0.1.0
 * @category models
 */
export interface Topology {
  /**
   * The seed of everything random in the network: jitter and loss.
   *
   * @default 0
   */
  readonly seed?: number | undefined
  /**
   * The hosts by name. One named `"client"` is there even when it is not named, with 192.0.2.1 and 2001:db8::1: the one
   * that dials.
   */
  readonly hosts?: { readonly [name: string]: Host } | undefined
  /** Domain names. One that is not here is not found. */
  readonly names?: { readonly [name: string]: NameRecord } | undefined
  /** The ways between hosts that differ from `defaultLink`. */
  readonly links?: ReadonlyArray<Link> | undefined
  /** Every other way between two hosts: no delay, no limit, no loss unless something is said here. */
  readonly defaultLink?: LinkQuality | undefined
  /** What goes wrong. */
  readonly faults?: ReadonlyArray<Injection> | undefined
  /**
   * How many bytes of one direction of a connection can be sent and not yet read.
   *
   * @default 65536
   */
  readonly window?: number | undefined
  /**
   * How long unacknowledged bytes are sent again before their connection is lost as `TimedOut`: Linux's
   * tcp_retries2 of 15.
   *
   * @default "924 seconds"
   */
  readonly retransmitFor?: Duration.DurationInput | undefined
  /**
   * Keep the network's events for `SimNetwork.trace`.
   *
   * @default true
   */
  readonly trace?: boolean | undefined
}

/**
 * One machine.
 *
 * @since 0.1.0
 * @category models
 */
export interface Host {
  /** Its addresses, beside loopback. The first of a family is the one it dials from, unless another is nearer. */
  readonly addresses?: ReadonlyArray<string> | undefined
  /**
   * What it listens on, by where: `"80"` (any address), `"10.0.0.2:80"`, `"[fd00::2]:80"`, `"/run/db.sock"`, `"@name"`;
   * and for datagrams `"dgram 53"` or `"dgram 10.0.0.2:53"`.
   */
  readonly listeners?: { readonly [where: string]: Behaviour } | undefined
  /**
   * How many sockets it can have open before the next one fails with `TooManyOpenFiles`.
   *
   * @default Infinity
   */
  readonly descriptors?: number | undefined
}

/**
 * How good a way is.
 *
 * @since 0.1.0
 * @category models
 */
export interface LinkQuality {
  /**
   * The time one way takes.
   *
   * @default 0
   */
  readonly latency?: Duration.DurationInput | undefined
  /**
   * Up to so much is added to it, evenly spread. Streams never reorder for it; datagrams do.
   *
   * @default 0
   */
  readonly jitter?: Duration.DurationInput | undefined
  /**
   * What it carries, shared by all connections on it.
   *
   * @default Infinity
   */
  readonly bytesPerSecond?: number | undefined
  /**
   * The probability from 0 to 1 that a packet is lost. A stream sends it again and is late; a datagram is gone.
   *
   * @default 0
   */
  readonly loss?: number | undefined
}

/**
 * The ways between two hosts, in both directions; with `oneWay` only from the first to the second.
 *
 * @since 0.1.0
 * @category models
 */
export interface Link extends LinkQuality {
  readonly between: readonly [string, string]
  readonly oneWay?: boolean | undefined
}

/**
 * What a name is known for. A list of addresses answers each family with its own; `late` and `sequence` say more.
 *
 * @since 0.1.0
 * @category names
 */
export type NameRecord = ReadonlyArray<string> | NameFault | FamilyRecords | Sequence

/**
 * The families of a name apart.
 *
 * @since 0.1.0
 * @category names
 */
export interface FamilyRecords {
  readonly inet?: FamilyRecord | undefined
  readonly inet6?: FamilyRecord | undefined
}

/**
 * One family's answer: addresses (those of the other family mapped, when they are written so) or a fault, and when.
 *
 * @since 0.1.0
 * @category names
 */
export type FamilyRecord = ReadonlyArray<string> | NameFault | {
  readonly answer: ReadonlyArray<string> | NameFault
  /** @default 0 */
  readonly delay?: Duration.DurationInput | undefined
  readonly timeToLive?: Duration.DurationInput | undefined
}

/**
 * A name whose answer changes: one record for each lookup, the last for all that follow.
 *
 * @since 0.1.0
 * @category names
 */
export interface Sequence {
  readonly sequence: readonly [NameRecord, ...ReadonlyArray<NameRecord>]
}
