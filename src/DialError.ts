/**
 * Every error this library raises, as tagged values, and the union each operation can fail with.
 *
 * The words are made in one place: {@link fromErrno} turns an operating-system error code into a closed `reason`, and
 * each `message` tells the whole story (operation, address, reason) so that a log line is enough to act on. Nothing
 * here parses a message, and the raw `cause` is always kept.
 *
 * Not here: how an error is drawn for a terminal beyond {@link pretty}, and any retry policy (a policy matches tags).
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { AddressFamily, IpAddress, SocketAddress } from "./Address.js"
import { printable, quoted } from "./internal/printable.js"

// -----------------------------------------------------------------------------
// bad input
// -----------------------------------------------------------------------------

/**
 * Text or a number that is not the address, port, zone or path it was given as.
 *
 * `position` is the 0-based offset (UTF-16 code units) of the first offending character of `input`.
 *
 * @since 0.1.0
 * @category bad input
 */
export class InvalidAddress extends Data.TaggedError("InvalidAddress")<{
  readonly kind: "ipv4" | "ipv6" | "port" | "unix path" | "socket address" | "zone"
  readonly input: string
  readonly position: number
  readonly reason: string
}> {
  override get message(): string {
    return printable(
      `invalid ${this.kind} ${quoted(this.input, longestInput)} at position ${this.position}: ${this.reason}`
    )
  }
}

/**
 * Text that is not an endpoint.
 *
 * `position` is the 0-based offset (UTF-16 code units) of the first offending character of `input`.
 *
 * @since 0.1.0
 * @category bad input
 */
export class InvalidEndpoint extends Data.TaggedError("InvalidEndpoint")<{
  readonly input: string
  readonly position: number
  readonly reason: string
}> {
  override get message(): string {
    return printable(
      `invalid endpoint ${quoted(this.input, longestInput)} at position ${this.position}: ${this.reason}`
    )
  }
}

// -----------------------------------------------------------------------------
// resolution
// -----------------------------------------------------------------------------

/**
 * Why a name gave no address. The words are those of the Effect line's own network errors.
 *
 * - `NotFound`: the name does not exist, or has no address of the family asked for
 * - `Timeout`: nobody answered in time
 * - `Temporary`: a failure that may pass (EAI_AGAIN)
 * - `Refused`: the server would not answer this question
 * - `ServerFailure`: the server tried and failed (SERVFAIL)
 * - `BadName`: the name cannot be asked for
 * - `InvalidResponse`: an answer that is not one
 * - `Unsupported`: this resolver cannot look up such a thing
 * - `Unknown`: anything else; see `code` and `cause`
 *
 * @since 0.1.0
 * @category resolution
 */
export type ResolveReason =
  | "NotFound"
  | "Timeout"
  | "Temporary"
  | "Refused"
  | "ServerFailure"
  | "BadName"
  | "InvalidResponse"
  | "Unsupported"
  | "Unknown"

/**
 * A name that gave no address to attempt.
 *
 * `family` is the family that was asked for, absent when the failure is of the whole lookup. `code` is the resolver's
 * own word (`ENOTFOUND`, `EAI_AGAIN`), where it has one. `detail` says who failed how, where that is known: the name
 * servers that were asked.
 *
 * @since 0.1.0
 * @category resolution
 */
export class ResolveError extends Data.TaggedError("ResolveError")<{
  readonly host: string
  readonly family?: AddressFamily | undefined
  readonly reason: ResolveReason
  readonly code?: string | undefined
  readonly detail?: string | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    const what = this.family === undefined ? this.host : `${this.host} (${recordType(this.family)})`
    return printable(`resolve ${what}: ${resolveText(this)}`)
  }
}

// -----------------------------------------------------------------------------
// one attempt
// -----------------------------------------------------------------------------

/**
 * Why one attempt to connect failed: a closed union, made from the errno by {@link fromErrno}.
 *
 * - `Refused`: the host answered that nobody listens (ECONNREFUSED)
 * - `HostUnreachable`: no path to that host (EHOSTUNREACH, EHOSTDOWN)
 * - `NetworkUnreachable`: no path to that network (ENETUNREACH, ENETDOWN, ENONET)
 * - `AddressUnreachable`: connect has no local address from which to reach it (EADDRNOTAVAIL from connect; also when
 *   every ephemeral port is taken)
 * - `TimedOut`: the kernel gave up (ETIMEDOUT)
 * - `AttemptTimeout`: our own per-attempt limit passed
 * - `AddressInUse`: the local address and port are taken (EADDRINUSE)
 * - `AddressNotAvailable`: the local address asked for is not on this machine (EADDRNOTAVAIL from bind)
 * - `PermissionDenied`: the kernel, a firewall or a route forbids it (EACCES, EPERM)
 * - `TooManyOpenFiles`: no descriptor left in the process or the system (EMFILE, ENFILE)
 * - `Reset`: the peer broke off while connecting (ECONNRESET, ECONNABORTED, EPIPE)
 * - `NotFound`: no such socket path (ENOENT, ENOTDIR, ELOOP)
 * - `Busy`: the listener's queue, or the kernel's ports, are full for now (EAGAIN)
 * - `NoMemory`: no buffer space (ENOBUFS, ENOMEM)
 * - `InvalidArgument`: these arguments are not accepted, by the kernel (EINVAL: also a blackhole route; ENAMETOOLONG,
 *   EFAULT) or before it was asked; then there is no `code`, and `detail` says what
 * - `Unsupported`: this kind of socket or address is not supported here (EAFNOSUPPORT, EPROTONOSUPPORT, EPROTOTYPE,
 *   EOPNOTSUPP, ESOCKTNOSUPPORT, ENOTSOCK, ENOPROTOOPT, ENOSYS)
 * - `NotEstablished`: it was connected, but what had to follow failed; the error of that is the `cause`
 * - `Unknown`: an errno this table does not have; kept in `code`
 *
 * @since 0.1.0
 * @category attempt
 */
export type AttemptReason =
  | "Refused"
  | "HostUnreachable"
  | "NetworkUnreachable"
  | "AddressUnreachable"
  | "TimedOut"
  | "AttemptTimeout"
  | "AddressInUse"
  | "AddressNotAvailable"
  | "PermissionDenied"
  | "TooManyOpenFiles"
  | "Reset"
  | "NotFound"
  | "Busy"
  | "NoMemory"
  | "InvalidArgument"
  | "Unsupported"
  | "NotEstablished"
  | "Unknown"

/**
 * The step of an attempt that failed: making the socket, binding it to the local address, connecting it, or, where a
 * dial asks for more than that, making it what was asked for (a TLS handshake, a greeting).
 *
 * @since 0.1.0
 * @category attempt
 */
export type AttemptOperation = "socket" | "bind" | "connect" | "establish"

/**
 * One attempt on one address that did not become a connection.
 *
 * `address` is where it was going; `localAddress` is what it was bound to, when that was asked for; `code` is the
 * errno's name. `detail` says in words what was not accepted or not supported, where the kernel was not asked.
 *
 * @since 0.1.0
 * @category attempt
 */
export class AttemptError extends Data.TaggedError("AttemptError")<{
  readonly operation: AttemptOperation
  readonly address: SocketAddress
  readonly localAddress?: SocketAddress | undefined
  readonly reason: AttemptReason
  readonly detail?: string | undefined
  readonly code?: string | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    const what = this.operation === "bind"
      ? `bind ${this.localAddress ?? "the local address"} to connect to ${this.address}`
      : `${operationText[this.operation]} ${this.address}`
    return printable(`${what}: ${attemptText(this)}`)
  }
}

const operationText = { socket: "open a socket for", connect: "connect to", establish: "establish" } as const

/**
 * Whether a failed attempt had put a packet on the wire, or may have: what failed on this machine alone did not.
 *
 * @since 0.2.0
 * @category attempt
 */
export const sentPacket = ({ address, operation, reason }: AttemptError): boolean =>
  address._tag !== "Unix" && (operation === "connect" || operation === "establish") && !local.has(reason)

/** ENETUNREACH comes from the routing table; a router's word for it (ICMP type 3, code 0) is EHOSTUNREACH's kin. */
const local: ReadonlySet<AttemptReason> = new Set([
  "NetworkUnreachable",
  "AddressUnreachable",
  "AddressInUse",
  "AddressNotAvailable",
  "PermissionDenied",
  "TooManyOpenFiles",
  "NoMemory",
  "InvalidArgument",
  "Unsupported"
])

/**
 * Twisted: `stopConnecting`. The attempt or dial was given up on purpose before it had an outcome of its own.
 *
 * A dial that is interrupted exits with the interruption itself; this value is what observers of its attempts, and the
 * callers of `Connector.connect` whose attempt another fiber stopped, are told.
 *
 * @since 0.1.0
 * @category attempt
 */
export class ConnectStopped extends Data.TaggedError("ConnectStopped")<{
  readonly target: string
}> {
  override get message(): string {
    return printable(`connect to ${this.target}: stopped before it was connected`)
  }
}

// -----------------------------------------------------------------------------
// a whole dial
// -----------------------------------------------------------------------------

/**
 * What became of one candidate address of a dial. Times are milliseconds since the dial began; `source` is the local
 * address the machine would reach it from (RFC 6724), where the platform told.
 *
 * - `Failed`: it was attempted and failed with `error`
 * - `Stopped`: it was under way when the dial ended otherwise
 * - `Connected`: it is the one that won
 * - `NeverTried`: it was not started, and `why`
 *
 * @since 0.1.0
 * @category dial
 */
export type AttemptReport =
  | {
    readonly outcome: "Failed"
    readonly attempt: number
    readonly address: SocketAddress
    readonly source?: IpAddress | undefined
    readonly startedAt: number
    readonly endedAt: number
    readonly error: AttemptError
  }
  | {
    readonly outcome: "Stopped"
    readonly attempt: number
    readonly address: SocketAddress
    readonly source?: IpAddress | undefined
    readonly startedAt: number
    readonly endedAt: number
    /** @default "connecting" */
    readonly phase?: "connecting" | "establishing" | undefined
  }
  | {
    readonly outcome: "Connected"
    readonly attempt: number
    readonly address: SocketAddress
    readonly source?: IpAddress | undefined
    readonly startedAt: number
    readonly endedAt: number
  }
  | {
    readonly outcome: "NeverTried"
    readonly address: SocketAddress
    readonly source?: IpAddress | undefined
    readonly why: string
  }

/**
 * Every address of an endpoint was attempted and none connected.
 *
 * `attempts` keeps each of them in the order they were started; `unresolved` the families whose lookup failed, so that
 * a missing AAAA is part of the story; `elapsedMillis` is the time since the dial began.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Dialer } from "effect-dial"
 * import { NodeNetwork } from "effect-dial/node"
 * import * as assert from "node:assert"
 *
 * const outcome = await Dialer.dial("unix:/nonexistent/bus.sock").pipe(
 *   Effect.as("connected"),
 *   Effect.catchTag("AllAttemptsFailed", ({ attempts }) => {
 *     const reasons = attempts.map((report) => report.outcome === "Failed" ? report.error.reason : report.outcome)
 *     return Effect.succeed(reasons.join(", "))
 *   }),
 *   Effect.scoped,
 *   Effect.provide(NodeNetwork.layer),
 *   Effect.runPromise
 * )
 * assert.strictEqual(outcome, "NotFound")
 * ```
 *
 * @since 0.1.0
 * @category dial
 */
export class AllAttemptsFailed extends Data.TaggedError("AllAttemptsFailed")<{
  readonly endpoint: string
  readonly attempts: ReadonlyArray<AttemptReport>
  readonly unresolved: ReadonlyArray<ResolveError>
  readonly elapsedMillis: number
}> {
  override get message(): string {
    return printable(`${titleOf(this)}${tail(story(this.attempts, this.unresolved))}`)
  }
}

/**
 * What a dial was doing: looking up the name, attempting addresses, or, with a connection up, making it what was asked
 * for.
 *
 * @since 0.1.0
 * @category dial
 */
export type DialPhase = "resolving" | "connecting" | "establishing"

/**
 * The whole-dial deadline passed. `phase` is what was running; `attempts` are those made so far.
 *
 * @since 0.1.0
 * @category dial
 */
export class DialTimeout extends Data.TaggedError("DialTimeout")<{
  readonly endpoint: string
  readonly phase: DialPhase
  readonly timeoutMillis: number
  readonly attempts: ReadonlyArray<AttemptReport>
  readonly unresolved: ReadonlyArray<ResolveError>
}> {
  override get message(): string {
    return printable(`${titleOf(this)}${tail(story(this.attempts, this.unresolved))}`)
  }
}

/**
 * Everything `Dialer.dial` can fail with.
 *
 * @since 0.1.0
 * @category dial
 */
export type DialError = InvalidEndpoint | ResolveError | AllAttemptsFailed | DialTimeout

// -----------------------------------------------------------------------------
// an established connection
// -----------------------------------------------------------------------------

/**
 * Why an established connection is no more.
 *
 * - `End`: both sides finished; nothing was lost
 * - `Reset`: the peer or the network broke it (ECONNRESET, EPIPE, ECONNABORTED)
 * - `Refused`: what a datagram socket sent was answered that nobody listens there (ECONNREFUSED, from ICMP)
 * - `Aborted`: this side discarded it (`abort`, or a close whose flush deadline passed)
 * - `TimedOut`: the kernel's retransmissions or keep-alive probes went unanswered (ETIMEDOUT)
 * - `Truncated`: a TLS peer ended its stream without saying so (close_notify): it may have been cut short
 * - `TooLong`: a datagram is longer than the network carries (EMSGSIZE). That write failed and sent nothing; the
 *   connection is as it was, so only a write tells this and `Connection.lost` never does
 * - `Error`: anything else; see `code` and `cause`
 *
 * @since 0.1.0
 * @category connection
 */
export type LostReason =
  | "End"
  | "Reset"
  | "Refused"
  | "Aborted"
  | "TimedOut"
  | "Truncated"
  | "TooLong"
  | "Error"

/**
 * Twisted: `connectionLost(reason)`. An established connection ended; also what a read or write fails with after that.
 *
 * @since 0.1.0
 * @category connection
 */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<{
  readonly address: SocketAddress
  readonly reason: LostReason
  readonly code?: string | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    const what = this.reason === "TooLong" ? `write to ${this.address}` : `connection to ${this.address} lost`
    const why = this.reason === "Error" && isTagged(this.cause)
      // An error of ours, of TLS: it says more than that something failed, and its code.
      ? this.cause.message
      : `${lostReasonText[this.reason]}${codeSuffix(this.code)}`
    return printable(`${what}: ${why}`)
  }
}

// -----------------------------------------------------------------------------
// errno, in one place
// -----------------------------------------------------------------------------

const reasonOfErrno: { readonly [code: string]: AttemptReason } = {
  ECONNREFUSED: "Refused",
  EHOSTUNREACH: "HostUnreachable",
  EHOSTDOWN: "HostUnreachable",
  ENETUNREACH: "NetworkUnreachable",
  ENETDOWN: "NetworkUnreachable",
  ENONET: "NetworkUnreachable",
  ETIMEDOUT: "TimedOut",
  EADDRINUSE: "AddressInUse",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
  EMFILE: "TooManyOpenFiles",
  ENFILE: "TooManyOpenFiles",
  ECONNRESET: "Reset",
  ECONNABORTED: "Reset",
  EPIPE: "Reset",
  ENOENT: "NotFound",
  ENOTDIR: "NotFound",
  ELOOP: "NotFound",
  EAGAIN: "Busy",
  ENOBUFS: "NoMemory",
  ENOMEM: "NoMemory",
  EINVAL: "InvalidArgument",
  ENAMETOOLONG: "InvalidArgument",
  EFAULT: "InvalidArgument",
  EAFNOSUPPORT: "Unsupported",
  EPROTONOSUPPORT: "Unsupported",
  EPROTOTYPE: "Unsupported",
  EOPNOTSUPP: "Unsupported",
  ENOTSUP: "Unsupported",
  ESOCKTNOSUPPORT: "Unsupported",
  EPFNOSUPPORT: "Unsupported",
  ENOTSOCK: "Unsupported",
  ENOPROTOOPT: "Unsupported",
  ENOSYS: "Unsupported"
}

/**
 * The reason an errno of `socket`, `bind` or `connect` stands for; `Unknown` for a code this table does not have.
 *
 * EADDRNOTAVAIL is two things: from bind, the local address asked for is not on this machine; from connect, the kernel
 * found no local address (or no free port) to reach the remote one from.
 *
 * @example
 * ```ts
 * import { DialError } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * assert.strictEqual(DialError.fromErrno("ECONNREFUSED", "connect"), "Refused")
 * assert.strictEqual(DialError.fromErrno("EADDRNOTAVAIL", "bind"), "AddressNotAvailable")
 * assert.strictEqual(DialError.fromErrno("EADDRNOTAVAIL", "connect"), "AddressUnreachable")
 * ```
 *
 * @since 0.1.0
 * @category errno
 */
export const fromErrno = (code: string | undefined, operation: AttemptOperation): AttemptReason =>
  code === "EADDRNOTAVAIL"
    ? operation === "bind" ? "AddressNotAvailable" : "AddressUnreachable"
    : code !== undefined && Object.hasOwn(reasonOfErrno, code)
    ? reasonOfErrno[code]!
    : "Unknown"

/**
 * The reason an errno of a read or write on an established connection stands for.
 *
 * @since 0.1.0
 * @category errno
 */
export const lostFromErrno = (code: string | undefined): LostReason => {
  if (code === "EMSGSIZE") return "TooLong"
  const reason = fromErrno(code, "connect")
  switch (reason) {
    case "Reset":
    case "Refused":
    case "TimedOut":
      return reason
    default:
      return "Error"
  }
}

// -----------------------------------------------------------------------------
// the story, in words
// -----------------------------------------------------------------------------

const attemptReasonText: { readonly [R in AttemptReason]: string } = {
  Refused: "connection refused",
  HostUnreachable: "host unreachable",
  NetworkUnreachable: "network unreachable",
  AddressUnreachable: "no local address or port to reach it from",
  TimedOut: "timed out (the kernel had no answer)",
  AttemptTimeout: "no answer within its own limit",
  AddressInUse: "local address already in use",
  AddressNotAvailable: "local address not on this machine",
  PermissionDenied: "permission denied",
  TooManyOpenFiles: "too many open files",
  Reset: "connection reset",
  NotFound: "no such socket",
  Busy: "temporarily out of queue space or ports",
  NoMemory: "out of memory or buffer space",
  InvalidArgument: "not accepted",
  Unsupported: "not supported on this machine",
  NotEstablished: "connected, but not established",
  Unknown: "failed"
}

/** The reason of a failed attempt, with what else its operation and its address make of it. */
const attemptText = ({ address, cause, code, detail, operation, reason }: AttemptError): string => {
  if (reason === "NotEstablished" && cause instanceof Error) return `${attemptReasonText[reason]}: ${cause.message}`
  // What was refused for its own sake is so on every machine.
  if (detail !== undefined) {
    return `${reason === "Unsupported" ? "not supported" : attemptReasonText[reason]}: ${detail}${codeSuffix(code)}`
  }
  const overIp = operation === "connect" && address._tag !== "Unix"
  const text = overIp && reason === "PermissionDenied"
    ? "prohibited by a firewall or route"
    : overIp && code === "EINVAL"
    ? "not accepted; a blackhole route gives this too"
    : attemptReasonText[reason]
  return `${text}${codeSuffix(code)}`
}

const resolveReasonText: { readonly [R in ResolveReason]: string } = {
  NotFound: "no such name or no address of this kind",
  Timeout: "no answer in time",
  Temporary: "temporary failure, try again",
  Refused: "the name server refused the question",
  ServerFailure: "the name server failed",
  BadName: "not a name that can be looked up",
  InvalidResponse: "the answer makes no sense",
  Unsupported: "this resolver cannot look that up",
  Unknown: "failed"
}

const resolveText = ({ code, detail, reason }: ResolveError): string =>
  `${resolveReasonText[reason]}${codeSuffix(code)}${detail === undefined ? "" : `: ${detail}`}`

const lostReasonText: { readonly [R in LostReason]: string } = {
  End: "ended cleanly",
  Reset: "reset by peer",
  Refused: "nobody listens there",
  Aborted: "aborted by this side",
  TimedOut: "the peer stopped answering",
  Truncated: "the stream may have been cut short",
  TooLong: "the datagram is longer than the network carries",
  Error: "failed"
}

/** How much of an input a message quotes: a name that goes on for ever must not fill the log. */
const longestInput = 120

const isTagged = (cause: unknown): cause is Error => cause instanceof Error && "_tag" in cause

const codeSuffix = (code: string | undefined): string => code === undefined ? "" : ` (${code})`

const recordType = (family: AddressFamily): string => family === "inet6" ? "AAAA" : family === "inet" ? "A" : family

const millis = (n: number): string => `${n < 10 ? Math.round(n * 10) / 10 : Math.round(n)} ms`

/** What became of the dial, in one line. */
const titleOf = (error: AllAttemptsFailed | DialTimeout): string => {
  if (error._tag === "DialTimeout") {
    return `dial ${error.endpoint}: timed out after ${millis(error.timeoutMillis)} while ${error.phase}`
  }
  const made = error.attempts.filter((report) => report.outcome !== "NeverTried").length
  const what = made === 0
    ? "no address to attempt"
    : made === 1
    ? "the only attempt failed"
    : made === 2
    ? "both attempts failed"
    : `all ${made} attempts failed`
  return `dial ${error.endpoint}: ${what} in ${millis(error.elapsedMillis)}`
}

const tail = (story: string): string => story === "" ? "" : `: ${story}`

/** What became of an address, without the address. */
const reportText = (report: AttemptReport): string => {
  switch (report.outcome) {
    case "Failed":
      return `${report.error.operation === "bind" ? "bind: " : ""}${attemptText(report.error)}`
    case "Stopped":
      return report.phase === "establishing" ? "connected, still being established" : "still connecting"
    case "Connected":
      return "connected"
    case "NeverTried":
      return `never tried, ${report.why}`
  }
}

const story = (attempts: ReadonlyArray<AttemptReport>, unresolved: ReadonlyArray<ResolveError>): string =>
  [
    ...attempts.map((report) =>
      report.outcome === "NeverTried"
        ? `${report.address} ${reportText(report)}`
        : `${report.address} ${reportText(report)} after ${millis(report.endedAt - report.startedAt)}`
    ),
    ...unresolved.map((error) => error.message)
  ].join("; ")

/**
 * An error as lines of text for a terminal: its message's parts as a table, one address a row.
 *
 * Pure text without colour; columns are padded with spaces. The last line has no newline.
 *
 * @example
 * ```ts
 * import { Address, DialError } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const address = Address.socketAddress(Address.unsafeParse("192.0.2.7"), Address.Port(5432))
 * const error = new DialError.AttemptError({ operation: "connect", address, reason: "Refused", code: "ECONNREFUSED" })
 * const failed = new DialError.AllAttemptsFailed({
 *   endpoint: "tcp://db.internal:5432",
 *   attempts: [{ outcome: "Failed", attempt: 0, address, startedAt: 2, endedAt: 5, error }],
 *   unresolved: [],
 *   elapsedMillis: 6
 * })
 *
 * assert.strictEqual(
 *   DialError.pretty(failed),
 *   "dial tcp://db.internal:5432: the only attempt failed in 6 ms\n" +
 *     "  #0  192.0.2.7:5432  2 ms to 5 ms  connection refused (ECONNREFUSED)"
 * )
 * ```
 *
 * @since 0.1.0
 * @category rendering
 */
export const pretty = (error: DialError | AttemptError | ConnectStopped | ConnectionLost | InvalidAddress): string => {
  switch (error._tag) {
    case "AllAttemptsFailed":
    case "DialTimeout":
      return table(titleOf(error), error.attempts, error.unresolved)
    default:
      return error.message
  }
}

const table = (
  title: string,
  attempts: ReadonlyArray<AttemptReport>,
  unresolved: ReadonlyArray<ResolveError>
): string => {
  const rows = [
    ...attempts.map((report) => [
      report.outcome === "NeverTried" ? "-" : `#${report.attempt}`,
      String(report.address),
      report.outcome === "NeverTried" ? "" : `${millis(report.startedAt)} to ${millis(report.endedAt)}`,
      reportText(report)
    ]),
    ...unresolved.map((error) => [
      "-",
      error.family === undefined ? error.host : `${error.host} ${recordType(error.family)}`,
      "",
      resolveText(error)
    ])
  ]
  const cells = rows.map((row) => row.map((cell) => printable(cell)))
  const widths = [0, 1, 2].map((column) => Math.max(0, ...cells.map((row) => row[column]!.length)))
  return [
    printable(title),
    ...cells.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()}`)
  ].join("\n")
}
