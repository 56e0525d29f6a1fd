import { describe, expect, it } from "@effect/vitest"
import { Data, Either, Match } from "effect"
import { constants } from "node:os"
import * as Address from "../src/Address.js"
import {
  AllAttemptsFailed,
  AttemptError,
  type AttemptOperation,
  type AttemptReason,
  type AttemptReport,
  ConnectionLost,
  ConnectStopped,
  DialTimeout,
  fromErrno,
  InvalidAddress,
  InvalidEndpoint,
  lostFromErrno,
  type LostReason,
  pretty,
  ResolveError,
  type ResolveReason
} from "../src/DialError.js"
import * as Endpoint from "../src/Endpoint.js"
import { TlsError } from "../src/TlsError.js"

const inet = (text: string, port: number) => Address.socketAddress(Address.unsafeParse(text), Address.Port(port))
const path = (name: string) => Address.unix(new Address.Pathname(name))

const v4 = inet("192.0.2.10", 443)
const v6 = inet("2001:db8::10", 443)
const here = inet("192.0.2.1", 0)

/**
 * Every errno that Linux's manual pages and sources give for socket, bind and connect on an INET, INET6 or UNIX stream
 * socket.
 */
const errnos: { readonly [code: string]: AttemptReason } = {
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
const operations: ReadonlyArray<AttemptOperation> = ["socket", "bind", "connect"]

describe("fromErrno", () => {
  it.each(Object.entries(errnos))("%s is %s, whichever operation it came from", (code, reason) => {
    expect(operations.map((operation) => fromErrno(code, operation))).toEqual([reason, reason, reason])
  })

  it("EADDRNOTAVAIL from bind is a local address not on this machine, from connect no way to reach the remote one", () => {
    expect(fromErrno("EADDRNOTAVAIL", "bind")).toBe("AddressNotAvailable")
    expect(fromErrno("EADDRNOTAVAIL", "connect")).toBe("AddressUnreachable")
  })

  it.each(["EXDEV", "ENOTASOCKET", "", "constructor", "toString", "__proto__", undefined])(
    "a code it does not have (%s) is Unknown, and no property of an object",
    (code) => {
      expect(operations.map((operation) => fromErrno(code, operation))).toEqual(["Unknown", "Unknown", "Unknown"])
    }
  )

  it("names every errno of this platform that says something about a network or an address", () => {
    const network = /^E(ADDR|CONN|HOST|NET|AF|PF|PROTO|SOCK)|^E(TIMEDOUT|ACCES|PERM|MFILE|NFILE)$/
    // of an established connection, a datagram or a wrong call: none is the outcome of socket, bind or connect here
    const others = new Set(["ENETRESET", "EPROTO"])
    const unnamed = Object.keys(constants.errno).filter((code) =>
      network.test(code) && !others.has(code) && fromErrno(code, "connect") === "Unknown"
    )
    expect(unnamed).toEqual([])
  })
})

describe("lostFromErrno", () => {
  const table: ReadonlyArray<readonly [string | undefined, LostReason]> = [
    ["ECONNRESET", "Reset"],
    ["EPIPE", "Reset"],
    ["ECONNABORTED", "Reset"],
    ["ETIMEDOUT", "TimedOut"],
    ["ECONNREFUSED", "Refused"],
    ["EMSGSIZE", "TooLong"],
    ["EHOSTUNREACH", "Error"],
    ["ENETDOWN", "Error"],
    ["ENOBUFS", "Error"],
    ["EIO", "Error"],
    [undefined, "Error"]
  ]
  it.each(table)("%s on an established connection is %s", (code, reason) => {
    expect(lostFromErrno(code)).toBe(reason)
  })
})

// -----------------------------------------------------------------------------
// messages
// -----------------------------------------------------------------------------

const refused = new AttemptError({ operation: "connect", address: v6, reason: "Refused", code: "ECONNREFUSED" })
const badBind = new AttemptError({
  operation: "bind",
  address: v4,
  localAddress: here,
  reason: "AddressNotAvailable",
  code: "EADDRNOTAVAIL"
})
const noAaaa = new ResolveError({ host: "db.example", family: "inet6", reason: "Temporary", code: "EAI_AGAIN" })
const reports: ReadonlyArray<AttemptReport> = [
  { outcome: "Failed", attempt: 0, address: v6, startedAt: 12.34, endedAt: 13.5, error: refused },
  { outcome: "Failed", attempt: 1, address: v4, startedAt: 13.5, endedAt: 1240.4, error: badBind },
  { outcome: "Stopped", attempt: 2, address: inet("192.0.2.11", 443), startedAt: 263.5, endedAt: 30_000 },
  { outcome: "NeverTried", address: inet("192.0.2.12", 443), why: "the deadline passed first" }
]
const allFailed = new AllAttemptsFailed({
  endpoint: "tcp://db.example:443",
  attempts: reports.slice(0, 2),
  unresolved: [noAaaa],
  elapsedMillis: 1240.4
})
const timedOut = new DialTimeout({
  endpoint: "tcp://db.example:443",
  phase: "connecting",
  timeoutMillis: 30_000,
  attempts: reports,
  unresolved: [noAaaa]
})
const onlyOne = new AllAttemptsFailed({
  endpoint: "unix:/run/db.sock",
  attempts: [{
    outcome: "Failed",
    attempt: 0,
    address: path("/run/db.sock"),
    startedAt: 0,
    endedAt: 0.04,
    error: new AttemptError({
      operation: "connect",
      address: path("/run/db.sock"),
      reason: "NotFound",
      code: "ENOENT"
    })
  }],
  unresolved: [],
  elapsedMillis: 0.06
})

const attempt = (reason: AttemptReason, code?: string) =>
  new AttemptError({ operation: "connect", address: v4, reason, code })

const messages: ReadonlyArray<readonly [Error, string]> = [
  [
    new InvalidAddress({ kind: "ipv4", input: "127.1", position: 5, reason: "expected 4 numbers" }),
    "invalid ipv4 \"127.1\" at position 5: expected 4 numbers"
  ],
  [
    new InvalidEndpoint({ input: "tcp://a\nb:1", position: 7, reason: "not a letter, digit or hyphen" }),
    "invalid endpoint \"tcp://a\\nb:1\" at position 7: not a letter, digit or hyphen"
  ],
  [
    new InvalidEndpoint({ input: "x".repeat(200), position: 199, reason: "too long" }),
    `invalid endpoint "${"x".repeat(120)}…" at position 199: too long`
  ],
  [
    new ResolveError({ host: "db.example", reason: "NotFound", code: "ENOTFOUND" }),
    "resolve db.example: no such name or no address of this kind (ENOTFOUND)"
  ],
  [noAaaa, "resolve db.example (AAAA): temporary failure, try again (EAI_AGAIN)"],
  [
    new ResolveError({ host: "db.example", family: "inet", reason: "Timeout" }),
    "resolve db.example (A): no answer in time"
  ],
  [refused, "connect to [2001:db8::10]:443: connection refused (ECONNREFUSED)"],
  [
    badBind,
    "bind 192.0.2.1:0 to connect to 192.0.2.10:443: local address not on this machine (EADDRNOTAVAIL)"
  ],
  [
    new AttemptError({ operation: "bind", address: v4, reason: "AddressInUse", code: "EADDRINUSE" }),
    "bind the local address to connect to 192.0.2.10:443: local address already in use (EADDRINUSE)"
  ],
  [
    new AttemptError({ operation: "socket", address: v4, reason: "TooManyOpenFiles", code: "EMFILE" }),
    "open a socket for 192.0.2.10:443: too many open files (EMFILE)"
  ],
  [attempt("Unknown", "EXDEV"), "connect to 192.0.2.10:443: failed (EXDEV)"],
  [attempt("Unknown"), "connect to 192.0.2.10:443: failed"],
  [
    attempt("InvalidArgument", "EINVAL"),
    "connect to 192.0.2.10:443: not accepted; a blackhole route gives this too (EINVAL)"
  ],
  [
    new AttemptError({ operation: "bind", address: v4, localAddress: here, reason: "InvalidArgument", code: "EINVAL" }),
    "bind 192.0.2.1:0 to connect to 192.0.2.10:443: not accepted (EINVAL)"
  ],
  [
    new AttemptError({
      operation: "connect",
      address: v4,
      reason: "InvalidArgument",
      detail: "a local address of family inet6"
    }),
    "connect to 192.0.2.10:443: not accepted: a local address of family inet6"
  ],
  [
    new AttemptError({ operation: "socket", address: v4, reason: "Unsupported", detail: "stream sockets only" }),
    "open a socket for 192.0.2.10:443: not supported: stream sockets only"
  ],
  [
    attempt("PermissionDenied", "EACCES"),
    "connect to 192.0.2.10:443: prohibited by a firewall or route (EACCES)"
  ],
  [
    new AttemptError({
      operation: "connect",
      address: path("/run/db.sock"),
      reason: "PermissionDenied",
      code: "EACCES"
    }),
    "connect to /run/db.sock: permission denied (EACCES)"
  ],
  [
    new AttemptError({
      operation: "bind",
      address: v4,
      localAddress: here,
      reason: "PermissionDenied",
      code: "EACCES"
    }),
    "bind 192.0.2.1:0 to connect to 192.0.2.10:443: permission denied (EACCES)"
  ],
  [attempt("AttemptTimeout"), "connect to 192.0.2.10:443: no answer within its own limit"],
  [
    new AttemptError({ operation: "connect", address: path("/run/db.sock"), reason: "NotFound", code: "ENOENT" }),
    "connect to /run/db.sock: no such socket (ENOENT)"
  ],
  [
    new ConnectStopped({ target: "192.0.2.10:443" }),
    "connect to 192.0.2.10:443: stopped before it was connected"
  ],
  [
    allFailed,
    "dial tcp://db.example:443: both attempts failed in 1240 ms: " +
    "[2001:db8::10]:443 connection refused (ECONNREFUSED) after 1.2 ms; " +
    "192.0.2.10:443 bind: local address not on this machine (EADDRNOTAVAIL) after 1227 ms; " +
    "resolve db.example (AAAA): temporary failure, try again (EAI_AGAIN)"
  ],
  [
    onlyOne,
    "dial unix:/run/db.sock: the only attempt failed in 0.1 ms: /run/db.sock no such socket (ENOENT) after 0 ms"
  ],
  [
    timedOut,
    "dial tcp://db.example:443: timed out after 30000 ms while connecting: " +
    "[2001:db8::10]:443 connection refused (ECONNREFUSED) after 1.2 ms; " +
    "192.0.2.10:443 bind: local address not on this machine (EADDRNOTAVAIL) after 1227 ms; " +
    "192.0.2.11:443 still connecting after 29737 ms; " +
    "192.0.2.12:443 never tried, the deadline passed first; " +
    "resolve db.example (AAAA): temporary failure, try again (EAI_AGAIN)"
  ],
  [
    new DialTimeout({
      endpoint: "tcp://db.example:443",
      phase: "resolving",
      timeoutMillis: 500,
      attempts: [],
      unresolved: []
    }),
    "dial tcp://db.example:443: timed out after 500 ms while resolving"
  ],
  [
    new ConnectionLost({ address: v4, reason: "Reset", code: "ECONNRESET" }),
    "connection to 192.0.2.10:443 lost: reset by peer (ECONNRESET)"
  ],
  [new ConnectionLost({ address: v4, reason: "End" }), "connection to 192.0.2.10:443 lost: ended cleanly"],
  [new ConnectionLost({ address: v4, reason: "Aborted" }), "connection to 192.0.2.10:443 lost: aborted by this side"],
  [
    new ConnectionLost({ address: v4, reason: "TimedOut", code: "ETIMEDOUT" }),
    "connection to 192.0.2.10:443 lost: the peer stopped answering (ETIMEDOUT)"
  ],
  [
    new ConnectionLost({ address: v4, reason: "Refused", code: "ECONNREFUSED" }),
    "connection to 192.0.2.10:443 lost: nobody listens there (ECONNREFUSED)"
  ],
  [
    new ConnectionLost({ address: v4, reason: "TooLong", code: "EMSGSIZE" }),
    "write to 192.0.2.10:443: the datagram is longer than the network carries (EMSGSIZE)"
  ],
  [
    new ConnectionLost({ address: v4, reason: "Error", code: "ENETDOWN" }),
    "connection to 192.0.2.10:443 lost: failed (ENETDOWN)"
  ],
  [
    new ConnectionLost({
      address: v4,
      reason: "Error",
      code: "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
      cause: new TlsError({ address: v4, expected: "db.example", reason: "PeerAlert", alert: "certificate_required" })
    }),
    "connection to 192.0.2.10:443 lost: TLS with db.example at 192.0.2.10:443: the peer ended it with the alert " +
    "certificate_required"
  ]
]

describe("message", () => {
  it.each(messages.map(([error, message]) => ({ error, message })))(
    "a log line has the operation, the address and the reason: $message",
    ({ error, message }) => {
      expect(error.message).toBe(message)
      expect(String(error)).toBe(`${error.name}: ${message}`)
    }
  )

  it("every reason of an attempt has its own words", () => {
    const reasons = [
      ...new Set(
        [...Object.values(errnos), "AddressUnreachable", "AddressNotAvailable", "AttemptTimeout", "Unknown"] as const
      )
    ]
    const told = new Set(reasons.map((reason) => attempt(reason).message))
    expect(told.size).toBe(17)
  })

  it("every reason of a resolution has its own words", () => {
    const reasons: { readonly [R in ResolveReason]: true } = {
      NotFound: true,
      Timeout: true,
      Temporary: true,
      Refused: true,
      ServerFailure: true,
      BadName: true,
      InvalidResponse: true,
      Unsupported: true,
      Unknown: true
    }
    const told = Object.keys(reasons).map((reason) =>
      new ResolveError({ host: "db.example", reason: reason as ResolveReason }).message
    )
    expect(new Set(told).size).toBe(9)
    expect(told.filter((message) => !/^resolve db\.example: \w/.test(message))).toEqual([])
  })

  it.each([
    ["a C1 control", "\u009b2J", "\\u009b2J"],
    ["a bidirectional override", "a\u202eb", "a\\u202eb"],
    ["DEL", "a\u007fb", "a\\u007fb"],
    ["a line separator", "a\u2028b", "a\\u2028b"],
    ["an invisible tag", "a\u{e0041}b", "a\\udb40\\udc41b"],
    ["a lone surrogate", "a\ud800b", "a\\ud800b"]
  ])("shows %s and does not send it to the terminal", (_, raw, shown) => {
    const address = path(`/tmp/${raw}`)
    const refusal = new AttemptError({ operation: "connect", address, reason: "NotFound" })
    const failed = new AllAttemptsFailed({
      endpoint: `unix:/tmp/${raw}`,
      attempts: [{ outcome: "Failed", attempt: 0, address, startedAt: 0, endedAt: 1, error: refusal }],
      unresolved: [],
      elapsedMillis: 1
    })
    const errors = [
      new InvalidAddress({ kind: "unix path", input: raw, position: 0, reason: `${raw} is refused` }),
      new InvalidEndpoint({ input: raw, position: 0, reason: `${raw} is refused` }),
      new ResolveError({ host: raw, reason: "NotFound" }),
      new ConnectStopped({ target: raw }),
      new ConnectionLost({ address, reason: "Reset" }),
      refusal,
      failed
    ]
    for (const error of errors) {
      for (const text of [error.message, ...pretty(error).split("\n")]) {
        expect(text).toContain(shown)
        expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      }
    }
  })

  it.each(["\u009b2J", "\u202e1", "\u007f"])("what the parsers say of %j is free of it", (raw) => {
    const refusalOf = (result: Either.Either<unknown, InvalidAddress | InvalidEndpoint>) =>
      Either.getOrThrow(Either.flip(result)).message
    for (const text of [raw, `1.2.3.${raw}`, `${raw}:80`, `a${raw}.example:80`, `tcp${raw}://a:1`, `a:8${raw}`]) {
      for (const message of [refusalOf(Address.parse(text)), refusalOf(Endpoint.parse(text))]) {
        expect(message).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      }
    }
  })

  it("a name that goes on for ever does not fill the log", () => {
    const { message } = new InvalidEndpoint({ input: "é".repeat(100_000), position: 0, reason: "too long" })
    expect(message.length).toBeLessThan(200)
  })
})

// -----------------------------------------------------------------------------
// as values
// -----------------------------------------------------------------------------

const oneOfEach = [
  new InvalidAddress({ kind: "port", input: "x", position: 0, reason: "not a number" }),
  new InvalidEndpoint({ input: "x", position: 0, reason: "no port" }),
  noAaaa,
  refused,
  new ConnectStopped({ target: "x" }),
  allFailed,
  timedOut,
  new ConnectionLost({ address: v4, reason: "End" })
]

describe("an error as a value", () => {
  it.each(oneOfEach.map((error) => ({ error, tag: error._tag })))("$tag is an Error by that name", ({ error, tag }) => {
    expect(error).toBeInstanceOf(Error)
    expect(error.name).toBe(tag)
    expect(error.stack).toContain(`${tag}: ${error.message}`)
  })

  it("each is matched by its tag, and there are no others", () => {
    const tell = Match.type<(typeof oneOfEach)[number]>().pipe(Match.tagsExhaustive({
      InvalidAddress: ({ kind }) => kind,
      InvalidEndpoint: ({ input }) => input,
      ResolveError: ({ reason }) => reason,
      AttemptError: ({ reason }) => reason,
      ConnectStopped: ({ target }) => target,
      AllAttemptsFailed: ({ attempts }) => String(attempts.length),
      DialTimeout: ({ phase }) => phase,
      ConnectionLost: ({ reason }) => reason
    }))
    expect(oneOfEach.map(tell)).toEqual(["port", "x", "Temporary", "Refused", "x", "2", "connecting", "End"])
  })

  it("the raw cause is kept as it came", () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { errno: -111 })
    const error = new AttemptError({
      operation: "connect",
      address: v4,
      reason: "Refused",
      code: "ECONNREFUSED",
      cause
    })
    expect(error.cause).toBe(cause)
  })

  it("is not to be confused with another library's error of the same tag", () => {
    class Other extends Data.TaggedError("AttemptError")<{ readonly reason: string }> {}
    expect(new Other({ reason: "Refused" })).not.toBeInstanceOf(AttemptError)
  })
})

describe("pretty", () => {
  it("a failed dial is a table with a row for each address", () => {
    expect(`\n${pretty(allFailed)}\n`).toMatchInlineSnapshot(`
      "
      dial tcp://db.example:443: both attempts failed in 1240 ms
        #0  [2001:db8::10]:443  12 ms to 14 ms    connection refused (ECONNREFUSED)
        #1  192.0.2.10:443      14 ms to 1240 ms  bind: local address not on this machine (EADDRNOTAVAIL)
        -   db.example AAAA                       temporary failure, try again (EAI_AGAIN)
      "
    `)
  })

  it("a dial out of time tells what was under way, what was never tried and what did not resolve", () => {
    expect(`\n${pretty(timedOut)}\n`).toMatchInlineSnapshot(`
      "
      dial tcp://db.example:443: timed out after 30000 ms while connecting
        #0  [2001:db8::10]:443  12 ms to 14 ms      connection refused (ECONNREFUSED)
        #1  192.0.2.10:443      14 ms to 1240 ms    bind: local address not on this machine (EADDRNOTAVAIL)
        #2  192.0.2.11:443      264 ms to 30000 ms  still connecting
        -   192.0.2.12:443                          never tried, the deadline passed first
        -   db.example AAAA                         temporary failure, try again (EAI_AGAIN)
      "
    `)
  })

  it("a dial of one path is one row", () => {
    expect(`\n${pretty(onlyOne)}\n`).toMatchInlineSnapshot(`
      "
      dial unix:/run/db.sock: the only attempt failed in 0.1 ms
        #0  /run/db.sock  0 ms to 0 ms  no such socket (ENOENT)
      "
    `)
  })

  it("no line ends in a space and none holds a control character", () => {
    for (const error of [allFailed, timedOut, onlyOne]) {
      expect(pretty(error).split("\n").filter((line) => line.trimEnd() !== line)).toEqual([])
      expect(pretty(error).replaceAll("\n", "")).not.toMatch(/\p{Cc}/u)
    }
  })

  it("any other error is its message", () => {
    for (const error of oneOfEach) {
      if (error._tag !== "AllAttemptsFailed" && error._tag !== "DialTimeout") expect(pretty(error)).toBe(error.message)
    }
  })

  it("an attempt over its own limit fits 80 columns", () => {
    const address = inet("192.0.2.100", 65_535)
    const late = new AttemptError({ operation: "connect", address, reason: "AttemptTimeout" })
    const failed = new AllAttemptsFailed({
      endpoint: "tcp://db.example:65535",
      attempts: [{ outcome: "Failed", attempt: 0, address, startedAt: 10_000, endedAt: 20_000, error: late }],
      unresolved: [],
      elapsedMillis: 20_000
    })
    for (const line of pretty(failed).split("\n")) expect(line.length).toBeLessThanOrEqual(80)
  })

  it("a path with a newline in its name cannot forge a row of the table", () => {
    const address = path("/tmp/a\n  #1  forged")
    const forged = new AllAttemptsFailed({
      endpoint: "unix:/tmp/a",
      attempts: [{
        outcome: "Failed",
        attempt: 0,
        address,
        startedAt: 0,
        endedAt: 1,
        error: new AttemptError({ operation: "connect", address, reason: "NotFound", code: "ENOENT" })
      }],
      unresolved: [],
      elapsedMillis: 1
    })
    expect(pretty(forged).split("\n").length).toBe(2)
  })
})
