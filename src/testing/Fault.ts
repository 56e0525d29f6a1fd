/**
 * What can go wrong on a network, as values.
 *
 * There are three kinds, by what they befall: a name ({@link NameFault}, which stands where a record would), the making
 * of a connection ({@link ConnectFault}), and a connection's bytes ({@link StreamFault}). A connect or stream fault
 * becomes an {@link Injection} when it is told where, and if not at once and always, when: {@link on}.
 *
 * Not here: what a fault does (the network), and what befalls links and hosts (`SimNetwork.partition`, `crash`).
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type { ResolveReason } from "../DialError.js"

// -----------------------------------------------------------------------------
// names
// -----------------------------------------------------------------------------

/**
 * A name, or one family of it, that gives no address.
 *
 * - `NoSuchName`: a negative answer with this reason
 * - `NoAnswer`: the question is never answered
 * - `ResolverFails`: the whole lookup fails, instead of answering for a family
 *
 * @since 0.1.0
 * @category names
 */
export type NameFault = Data.TaggedEnum<{
  NoSuchName: { readonly reason: ResolveReason }
  NoAnswer: {}
  ResolverFails: { readonly reason: ResolveReason }
}>

const names = Data.taggedEnum<NameFault>()

/**
 * The name does not exist.
 *
 * @since 0.1.0
 * @category names
 */
export const notFound: NameFault = names.NoSuchName({ reason: "NotFound" })

/**
 * The name exists and has no address of this family: what a resolver tells as it tells {@link notFound}.
 *
 * @since 0.1.0
 * @category names
 */
export const empty: NameFault = names.NoSuchName({ reason: "NotFound" })

/**
 * The name server tried and failed (SERVFAIL).
 *
 * @since 0.1.0
 * @category names
 */
export const serverFailure: NameFault = names.NoSuchName({ reason: "ServerFailure" })

/**
 * Nobody ever answers.
 *
 * @since 0.1.0
 * @category names
 */
export const noAnswer: NameFault = names.NoAnswer()

/**
 * The lookup as a whole fails.
 *
 * @since 0.1.0
 * @category names
 */
export const resolverFails = (reason: ResolveReason): NameFault => names.ResolverFails({ reason })

// -----------------------------------------------------------------------------
// connecting
// -----------------------------------------------------------------------------

/**
 * What becomes of an attempt to connect. Delays are from the SYN's arrival.
 *
 * A datagram socket connects without a packet. `Refused` answers what it sends; `SilentSyn` and the two unreachables
 * swallow it (Linux tells a datagram socket of neither); what else is of a handshake does not befall it.
 *
 * - `Refused`, `HostUnreachable`, `NetworkUnreachable`: the network says no, one round trip later
 * - `SilentSyn`: nobody answers; the kernel gives up after its retries, some two minutes later
 * - `SlowSynAck`: the answer comes `delay` late
 * - `AcceptedThenClosed`, `AcceptedThenReset`: connected, and at once ended or broken by the peer
 * - `LocalAddressNotAvailable`, `BindInUse`: binding the local address fails
 * - `PermissionDenied`: a firewall, a route or a UNIX path's permissions forbid it
 * - `BacklogFull`: the listener's queue is full: a UNIX connect fails at once, a SYN is not answered
 * - `NoDescriptors`: the process has no descriptor left
 *
 * @since 0.1.0
 * @category connecting
 */
export type ConnectFault = Data.TaggedEnum<{
  Refused: {}
  HostUnreachable: {}
  NetworkUnreachable: {}
  SilentSyn: {}
  SlowSynAck: { readonly delay: Duration.DurationInput }
  AcceptedThenClosed: {}
  AcceptedThenReset: {}
  LocalAddressNotAvailable: {}
  BindInUse: {}
  PermissionDenied: {}
  BacklogFull: {}
  NoDescriptors: {}
}>

const connecting = Data.taggedEnum<ConnectFault>()

/**
 * The port is closed.
 *
 * @since 0.1.0
 * @category connecting
 */
export const refused: ConnectFault = connecting.Refused()

/**
 * There is no path to that host.
 *
 * @since 0.1.0
 * @category connecting
 */
export const hostUnreachable: ConnectFault = connecting.HostUnreachable()

/**
 * There is no path to that network.
 *
 * @since 0.1.0
 * @category connecting
 */
export const networkUnreachable: ConnectFault = connecting.NetworkUnreachable()

/**
 * A black hole: the SYN is never answered.
 *
 * @since 0.1.0
 * @category connecting
 */
export const silentSyn: ConnectFault = connecting.SilentSyn()

/**
 * The connection is accepted `delay` late.
 *
 * @since 0.1.0
 * @category connecting
 */
export const slowSynAck = (delay: Duration.DurationInput): ConnectFault => connecting.SlowSynAck({ delay })

/**
 * The peer accepts and closes.
 *
 * @since 0.1.0
 * @category connecting
 */
export const acceptedThenClosed: ConnectFault = connecting.AcceptedThenClosed()

/**
 * The peer accepts and resets.
 *
 * @since 0.1.0
 * @category connecting
 */
export const acceptedThenReset: ConnectFault = connecting.AcceptedThenReset()

/**
 * The local address is not on this machine (EADDRNOTAVAIL from bind).
 *
 * @since 0.1.0
 * @category connecting
 */
export const localAddressNotAvailable: ConnectFault = connecting.LocalAddressNotAvailable()

/**
 * The local address and port are taken (EADDRINUSE from bind).
 *
 * @since 0.1.0
 * @category connecting
 */
export const bindInUse: ConnectFault = connecting.BindInUse()

/**
 * It is forbidden (EACCES from connect).
 *
 * @since 0.2.0
 * @category connecting
 */
export const permissionDenied: ConnectFault = connecting.PermissionDenied()

/**
 * The listener does not accept fast enough, and its queue is full (EAGAIN from connect on a UNIX socket).
 *
 * @since 0.2.0
 * @category connecting
 */
export const backlogFull: ConnectFault = connecting.BacklogFull()

/**
 * The process has no descriptor left for a socket (EMFILE).
 *
 * @since 0.1.0
 * @category connecting
 */
export const noDescriptors: ConnectFault = connecting.NoDescriptors()

// -----------------------------------------------------------------------------
// bytes
// -----------------------------------------------------------------------------

/**
 * What becomes of the bytes of one direction of a connection. Of these only `SilentDeath` befalls datagrams.
 *
 * - `Sliced`: they arrive in pieces of at most `bytes`, each read on its own
 * - `Stalled`: nothing sent from here on arrives before `duration` has passed (`"infinity"`: never)
 * - `Throttled`: no more than so many bytes a second
 * - `Truncated`: the receiver sees the end here; the rest is lost, and what the receiver sends is answered with a reset
 * - `Broken`: both ends see a reset
 * - `HalfClosed`: the receiver sees the end here; the rest is lost, and the other direction goes on
 * - `FinLost`: the bytes arrive and their end never does
 * - `SilentDeath`: nothing arrives in either direction any more, and nobody is told
 * - `Corrupted`: one byte is not what was sent: these bits of it are turned
 *
 * @since 0.1.0
 * @category bytes
 */
export type StreamFault = Data.TaggedEnum<{
  Sliced: { readonly bytes: number }
  Stalled: { readonly duration: Duration.DurationInput }
  Throttled: { readonly bytesPerSecond: number }
  Truncated: {}
  Broken: {}
  HalfClosed: {}
  FinLost: {}
  SilentDeath: {}
  Corrupted: { readonly bits: number }
}>

const bytes_ = Data.taggedEnum<StreamFault>()

/**
 * Pieces of at most `bytes` bytes (at least 1).
 *
 * @since 0.1.0
 * @category bytes
 */
export const sliced = (bytes: number): StreamFault => bytes_.Sliced({ bytes: Math.max(1, Math.floor(bytes)) })

/**
 * Nothing arrives for that long; `"infinity"` (a Duration) for ever.
 *
 * @since 0.1.0
 * @category bytes
 */
export const stalled = (duration: Duration.DurationInput): StreamFault => bytes_.Stalled({ duration })

/**
 * A slow way: at most that many bytes a second, more than 0.
 *
 * @since 0.1.0
 * @category bytes
 */
export const throttled = (bytesPerSecond: number): StreamFault => bytes_.Throttled({ bytesPerSecond })

/**
 * The end, too early.
 *
 * @since 0.1.0
 * @category bytes
 */
export const truncated: StreamFault = bytes_.Truncated()

/**
 * A reset, seen by both ends.
 *
 * @since 0.1.0
 * @category bytes
 */
export const broken: StreamFault = bytes_.Broken()

/**
 * The end of this half only.
 *
 * @since 0.1.0
 * @category bytes
 */
export const halfClosed: StreamFault = bytes_.HalfClosed()

/**
 * The end is never told.
 *
 * @since 0.1.0
 * @category bytes
 */
export const finLost: StreamFault = bytes_.FinLost()

/**
 * The peer is gone and nothing says so.
 *
 * @since 0.1.0
 * @category bytes
 */
export const silentDeath: StreamFault = bytes_.SilentDeath()

/**
 * One byte arrives with these bits turned.
 *
 * @default 0x01
 * @since 0.1.0
 * @category bytes
 */
export const corrupted = (bits = 1): StreamFault => bytes_.Corrupted({ bits })

// -----------------------------------------------------------------------------
// where and when
// -----------------------------------------------------------------------------

/**
 * A fault with its place and time.
 *
 * @since 0.1.0
 * @category where and when
 */
export interface Injection extends Conditions {
  /** A host's name, an address, `"host:port"`, a socket address as it prints, or `"*"`: whatever is dialed. */
  readonly target: string
  readonly fault: ConnectFault | StreamFault
}

/**
 * When a fault happens. All that are given have to hold.
 *
 * @since 0.1.0
 * @category where and when
 */
export interface Conditions {
  /**
   * From this time on, counted from the start of the network (or from now, when it is injected into a running one).
   *
   * @default 0
   */
  readonly at?: Duration.DurationInput | undefined
  /**
   * For this long.
   *
   * @default "infinity" (a Duration)
   */
  readonly lasting?: Duration.DurationInput | undefined
  /**
   * This many times, connection by connection.
   *
   * @default Infinity
   */
  readonly times?: number | undefined
  /**
   * After so many bytes of the connection's direction were sent. Stream faults only.
   *
   * @default 0
   */
  readonly afterBytes?: number | undefined
  /**
   * Which direction's bytes, as the one who dialed sees it. Stream faults only.
   *
   * @default "received"
   */
  readonly direction?: "sent" | "received" | undefined
}

/**
 * A fault at a place: `Fault.on("web:80", Fault.refused, { times: 2 })`.
 *
 * @since 0.1.0
 * @category where and when
 */
export const on = (target: string, fault: ConnectFault | StreamFault, conditions: Conditions = {}): Injection => ({
  ...conditions,
  target,
  fault
})

const streamTags: ReadonlySet<string> = new Set<StreamFault["_tag"]>([
  "Sliced",
  "Stalled",
  "Throttled",
  "Truncated",
  "Broken",
  "HalfClosed",
  "FinLost",
  "SilentDeath",
  "Corrupted"
])

/**
 * Whether a fault befalls bytes, not the making of a connection.
 *
 * @since 0.1.0
 * @category guards
 */
export const isStreamFault = (fault: ConnectFault | StreamFault): fault is StreamFault => streamTags.has(fault._tag)
