/**
 * One question to a list of name servers (RFC 1035 §4.2, RFC 5452): UDP first, TCP for what does not fit.
 *
 * What must be true:
 *
 * - each try has a socket and so a source port of its own, chosen by the kernel, and an id that cannot be guessed
 * - nothing is accepted but a response from the server asked (the socket is connected), with that id and that question;
 *   whatever else arrives is ignored, and the wait for the real answer goes on
 * - one datagram that is lost costs a second, not the timeout: the same question is sent again meanwhile
 * - a server that refuses, fails or cannot be reached is followed by the next at once, one that is silent after its
 *   timeout; one that is silent or cannot be reached is asked last for half a minute, but one that answers that it
 *   failed or refuses is not: that may well be about the one name (RFC 2308 §7.1)
 * - no more questions are under way than a descriptor limit and a small resolver take; the others wait their turn
 * - an interruption closes the socket at once
 *
 * Not here: names (search lists, chains of CNAMEs, hosts files: `DnsResolver`), and any cache.
 *
 * @since 0.2.0
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as MutableRef from "effect/MutableRef"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { SocketAddress, SocketType } from "./Address.js"
import * as Attempt from "./Attempt.js"
import type { Connection } from "./Connection.js"
import { AttemptError, type ConnectionLost, ResolveError, type ResolveReason } from "./DialError.js"
import * as DnsMessage from "./DnsMessage.js"
import { setAlarm } from "./internal/alarm.js"
import { endAll } from "./internal/endAll.js"
import { Permits } from "./internal/permits.js"
import type { Timers } from "./internal/timers.js"
import { Transport } from "./Transport.js"

/**
 * Whom to ask, and how.
 *
 * @since 0.2.0
 * @category models
 */
export interface ExchangeOptions {
  readonly servers: ReadonlyArray<SocketAddress>
  /**
   * How long one server has for one try, over UDP and TCP together. While it lasts, the question is sent again after one
   * second, three and so on.
   *
   * @default "5 seconds"
   */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * How many times the list of servers is gone through.
   *
   * @default 2
   */
  readonly attempts?: number | undefined
  /**
   * Begin each question with another server.
   *
   * @default false
   */
  readonly rotate?: boolean | undefined
  /**
   * The largest UDP answer that is asked for with EDNS0 (RFC 6891), in octets. What DNS Flag Day 2020 settled on fits
   * every path.
   *
   * @default 1232
   */
  readonly udpPayloadSize?: number | undefined
  /**
   * Mix the case of the letters in the question and want it back so (draft-vixie-dnsext-dns0x20): more for a forger to
   * guess. Some servers do not keep the case; they are taken for silent.
   *
   * @default false
   */
  readonly randomizeCase?: boolean | undefined
  /**
   * How many questions may be under way at once, each with its socket. More wait; the wait is not of their timeout.
   *
   * @default {@link defaultMaxInFlight}
   */
  readonly maxInFlight?: number | undefined
}

/**
 * What a name server on a small device takes at once (150 is dnsmasq's own limit, and a socket's receive buffer holds
 * not many more), and far from any limit of descriptors.
 *
 * @since 0.2.0
 * @category defaults
 */
export const defaultMaxInFlight = 128

/**
 * Asks a question. Fails with `ResolveError` when no server gave an answer: of a kind other than silence if any did,
 * with every server's failure in its `cause`.
 *
 * @since 0.2.0
 * @category models
 */
export type Ask = (question: DnsMessage.Question) => Effect.Effect<DnsMessage.Message, ResolveError>

/**
 * Where the numbers come from that a forger must not guess: 16 bits at a time. Not Effect's Random, whose next number
 * follows from those before it; a test that wants to know them provides its own.
 *
 * @since 0.2.0
 * @category randomness
 */
export class Entropy extends Context.Reference<Entropy>()("effect-dial/DnsExchange/Entropy", {
  defaultValue: (): { readonly next: () => number } => {
    // Each call of the generator costs microseconds, whatever it is asked for.
    const drawn = new Uint16Array(64)
    const used = MutableRef.make(drawn.length)
    return {
      next: () => {
        if (MutableRef.get(used) === drawn.length) {
          globalThis.crypto.getRandomValues(drawn)
          MutableRef.set(used, 0)
        }
        return drawn[MutableRef.getAndIncrement(used)] ?? 0
      }
    }
  }
}) {}

/**
 * How one server failed to answer.
 *
 * @since 0.2.0
 * @category errors
 */
export class ServerFailed extends Data.TaggedError("ServerFailed")<{
  readonly server: SocketAddress
  readonly reason: ResolveReason
  /** Whether it said nothing of use in its time, or could not be reached: it is asked last for a while. */
  readonly silent: boolean
  readonly cause?: unknown
}> {
  override get message(): string {
    const code = this.reason === "Temporary" && Predicate.hasProperty(this.cause, "code") ? ` (${this.cause.code})` : ""
    return `${this.server} ${serverText[this.reason]}${code}`
  }
}

const serverText: { readonly [R in ResolveReason]: string } = {
  NotFound: "has no such name",
  Timeout: "did not answer",
  Temporary: "could not be asked",
  Refused: "refused the question",
  ServerFailure: "failed",
  BadName: "does not take the name",
  InvalidResponse: "gave an answer that makes no sense",
  Unsupported: "does not support the question",
  Unknown: "failed"
}

/** For how long a server that did not answer is asked after the others. */
const penaltyMillis = 30_000

const defaultTimeout: Duration.DurationInput = "5 seconds"
const defaultAttempts = 2
const defaultPayloadSize = 1232

/**
 * An exchange with these servers over the Transport in the environment. It remembers which of them were silent.
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (options: ExchangeOptions): Effect.Effect<Ask, never, Transport> => makeWith(options, undefined)

/**
 * {@link make}, with who sleeps for the timeouts.
 *
 * @internal
 */
export const makeWith = (
  options: ExchangeOptions,
  timers: Timers | undefined
): Effect.Effect<Ask, never, Transport> =>
  Effect.map(Effect.all([Transport, Entropy, Effect.runtime<never>()]), ([transport, { next }, runtime]) => {
    const permits = new Permits(Math.max(1, options.maxInFlight ?? defaultMaxInFlight))
    const penalties = new Map<SocketAddress, number>()
    const asked = MutableRef.make(0)
    const { attempts = defaultAttempts, servers } = options
    const inOrder = (now: number): ReadonlyArray<SocketAddress> => {
      const first = options.rotate === true ? MutableRef.getAndIncrement(asked) % servers.length : 0
      const rotated = [...servers.slice(first), ...servers.slice(0, first)]
      return rotated.toSorted((self, that) => late(self, now) - late(that, now))
    }
    const late = (server: SocketAddress, now: number): number => (penalties.get(server) ?? 0) > now ? 1 : 0
    return (question) =>
      Effect.clockWith((clock) => {
        const order = inOrder(clock.unsafeCurrentTimeMillis())
        const tries = Array.from({ length: attempts }, () => order).flat()
        const go = (
          index: number,
          failures: ReadonlyArray<ServerFailed>
        ): Effect.Effect<DnsMessage.Message, ResolveError> => {
          const server = tries[index]
          if (server === undefined) return Effect.fail(noAnswer(question, failures))
          const attempt = new Try(transport, timers, runtime, next, options, server, question)
          return Effect.matchEffect(permits.use(askServer(attempt)), {
            onFailure: (failure) => {
              if (failure.silent) penalties.set(server, clock.unsafeCurrentTimeMillis() + penaltyMillis)
              return go(index + 1, [...failures, failure])
            },
            onSuccess: (message) => {
              penalties.delete(server)
              return Effect.succeed(message)
            }
          })
        }
        return go(0, [])
      })
  })

const noAnswer = ({ name, type }: DnsMessage.Question, failures: ReadonlyArray<ServerFailed>): ResolveError => {
  const telling = failures.find(({ reason }) => reason !== "Timeout" && reason !== "Temporary") ?? failures[0]
  return new ResolveError({
    host: name,
    family: DnsMessage.familyOf(type),
    reason: telling?.reason ?? "Unsupported",
    // A server that is asked again mostly fails again in the same way: said once.
    detail: [...new Set(failures.map(({ message }) => message))].join(", ") || "no name server to ask",
    cause: failures.length === 1 ? failures[0] : new AggregateError(failures, "no name server answered")
  })
}

// -----------------------------------------------------------------------------
// one server
// -----------------------------------------------------------------------------

/** One question to one server, within one timeout: over UDP, and over TCP after it. */
class Try {
  /** Whether its time is over. */
  over = false
  /** What arrived that was not even a message, should nothing better come. */
  garbage: unknown
  /** Ends the wait under way. */
  private giveUp: () => void = () => {}

  constructor(
    readonly transport: Transport["Type"],
    readonly timers: Timers | undefined,
    private readonly runtime: Runtime.Runtime<never>,
    readonly next: () => number,
    readonly options: ExchangeOptions,
    readonly server: SocketAddress,
    readonly question: DnsMessage.Question
  ) {}

  readonly ring = (): void => {
    this.over = true
    this.giveUp()
  }

  fail(reason: ResolveReason, cause: unknown, silent = false): ServerFailed {
    const { garbage, server } = this
    return this.over
      ? new ServerFailed({
        server,
        reason: garbage === undefined ? "Timeout" : "InvalidResponse",
        silent: true,
        cause: garbage
      })
      : new ServerFailed({ server, reason, silent, cause })
  }

  /**
   * A connection to the server for the time of `use`. The timeout ends it by aborting the connection: to race a timer
   * with it would be two fibers a question.
   */
  connected<A>(
    socketType: SocketType,
    use: (connection: Connection) => Effect.Effect<A, ConnectionLost | ServerFailed>
  ): Effect.Effect<A, ServerFailed> {
    const settled = new Settlement()
    const request = { socketType, address: this.server, options: {} }
    return Effect.acquireUseRelease(
      Effect.tap(
        Scope.make(),
        (scope) => Attempt.begin(scope, this.transport, request, undefined, undefined, settled.settle)
      ),
      (): Effect.Effect<A, AttemptError | ConnectionLost | ServerFailed> =>
        Effect.flatMap(settled.wait((giveUp) => this.until(() => giveUp(this.late))), (connection) => {
          this.until(() => Runtime.runFork(this.runtime)(connection.abort))
          return use(connection)
        }),
      // Nothing is worth flushing to a server that has answered, or need not any more.
      (scope) => Scope.close(scope, Exit.interrupt(FiberId.none))
    ).pipe(
      Effect.mapError((cause) => cause._tag === "ServerFailed" ? cause : this.fail("Temporary", cause, true))
    )
  }

  /** `use`, while the same datagram is sent again and again; that is a fiber only where the first was lost. */
  sendingAgain<A, E>(write: Effect.Effect<void, ConnectionLost>, use: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const timeout = Duration.toMillis(this.options.timeout ?? defaultTimeout)
    if (firstPause >= timeout) return use
    const resending = again(write, 2 * firstPause, timeout - firstPause)
    const under: { fiber: Fiber.RuntimeFiber<void> | undefined; over: boolean } = { fiber: undefined, over: false }
    const ring = () => {
      if (!under.over) under.fiber = Runtime.runFork(this.runtime)(Effect.zipRight(Effect.ignore(write), resending))
    }
    return Effect.acquireUseRelease(
      setAlarm(this.timers, firstPause, ring),
      () => use,
      (alarm) =>
        Effect.suspend(() => {
          under.over = true
          return Effect.zipRight(alarm.stop, under.fiber === undefined ? Effect.void : endAll([under.fiber]))
        })
    )
  }

  private get late(): AttemptError {
    return new AttemptError({ operation: "connect", address: this.server, reason: "AttemptTimeout" })
  }

  private until(giveUp: () => void): void {
    this.giveUp = giveUp
    if (this.over) giveUp()
  }
}

/** Where the outcome of an attempt waits for its fiber, or that for it. */
class Settlement {
  private outcome: Effect.Effect<Connection, AttemptError> | undefined
  private resume: (outcome: Effect.Effect<Connection, AttemptError>) => void = () => {}

  readonly settle = (outcome: Effect.Effect<Connection, AttemptError>): void => {
    this.outcome ??= outcome
    this.resume(outcome)
  }

  /** `until` is told what ends the wait. */
  wait(until: (giveUp: (error: AttemptError) => void) => void): Effect.Effect<Connection, AttemptError> {
    return Effect.suspend(() =>
      this.outcome ?? Effect.async((resume) => {
        this.resume = resume
        until((error) => resume(Effect.fail(error)))
      })
    )
  }
}

const askServer = (it: Try): Effect.Effect<DnsMessage.Message, ServerFailed> => {
  const { options } = it
  const exchange = Effect.flatMap(overUdp(it, options.udpPayloadSize ?? defaultPayloadSize), (message) =>
    // A server from before EDNS says so in one of these ways (RFC 6891 §7).
    message.responseCode === "FormatError" || message.responseCode === "NotImplemented"
      ? overUdp(it, undefined)
      : Effect.succeed(message)).pipe(
      Effect.flatMap((message) => message.truncated ? overTcp(it) : Effect.succeed(message)),
      Effect.flatMap((message) => answered(it, message))
    )
  return Effect.acquireUseRelease(
    setAlarm(it.timers, options.timeout ?? defaultTimeout, it.ring),
    () => exchange,
    (alarm) => alarm.stop
  )
}

const answered = (
  it: Try,
  message: DnsMessage.Message
): Effect.Effect<DnsMessage.Message, ServerFailed> => {
  switch (message.responseCode) {
    case "NoError":
      return isReferral(message)
        ? Effect.fail(it.fail("ServerFailure", new Error("it only names other name servers")))
        : Effect.succeed(message)
    case "NameError":
      return Effect.succeed(message)
    case "Refused":
      return Effect.fail(it.fail("Refused", new Error("it says Refused")))
    default:
      return Effect.fail(it.fail("ServerFailure", new Error(`it says ${message.responseCode}`)))
  }
}

/**
 * Not an answer for a stub resolver, which needs a server that does the rest of the work (RFC 1034 §5.3.1): taken for
 * one, it would say that the name has no such record.
 */
const isReferral = ({ answers, authoritative, authorities, recursionAvailable }: DnsMessage.Message): boolean =>
  !recursionAvailable && !authoritative && answers.length === 0 && !authorities.some(({ type }) => type === "SOA")

/** What was sent, for the check of what comes. */
interface Sent {
  readonly id: number
  readonly question: DnsMessage.Question
  /** Whether the case of the name must come back as it was. */
  readonly exactCase: boolean
}

/**
 * Whether a message from the server that was asked is the answer to what was sent (RFC 5452 §9.1). Pure.
 *
 * A FormatError alone may come without the question: a server that could not read it cannot repeat it.
 *
 * @since 0.2.0
 * @category checking
 */
export const accepts = ({ exactCase, id, question }: Sent, message: DnsMessage.Message): boolean => {
  if (!message.response || message.id !== id) return false
  if (message.question === undefined) return message.responseCode === "FormatError" && message.answers.length === 0
  const { name, type } = message.question
  return type === question.type &&
    (exactCase ? name === question.name : name.toLowerCase() === question.name.toLowerCase())
}

const prepare = ({ next, options, question }: Try, udpPayloadSize: number | undefined) => {
  const exactCase = options.randomizeCase === true
  const sent: Sent = {
    id: next() & 0xffff,
    exactCase,
    question: exactCase ? { ...question, name: mixed(question.name, next) } : question
  }
  return { sent, bytes: DnsMessage.encodeQuestion(sent.id, sent.question, { udpPayloadSize }) }
}

const mixed = (name: string, next: () => number): string =>
  name.replaceAll(/[a-z]{1,16}/gi, (letters) => {
    const bits = next()
    return [...letters].map((letter, index) => (bits >> index) & 1 ? letter.toUpperCase() : letter.toLowerCase()).join(
      ""
    )
  })

const overUdp = (
  it: Try,
  udpPayloadSize: number | undefined
): Effect.Effect<DnsMessage.Message, ServerFailed> => {
  const { bytes, sent } = prepare(it, udpPayloadSize)
  return it.connected("dgram", (connection) => {
    const answer: Effect.Effect<DnsMessage.Message, ConnectionLost | ServerFailed> = Effect.flatMap(
      connection.read,
      (datagram) => {
        // A socket that is at its end says so again at every read: nothing will come.
        if (Option.isNone(datagram)) return Effect.flatMap(connection.lost, Effect.fail)
        const message = DnsMessage.decode(datagram.value)
        if (Either.isRight(message)) return accepts(sent, message.right) ? Effect.succeed(message.right) : answer
        const head = headOf(sent, datagram.value)
        if (head === undefined) {
          it.garbage = message.left
          return answer
        }
        return head.truncated ? Effect.succeed(head) : Effect.fail(it.fail("InvalidResponse", message.left))
      }
    )
    const write = connection.write(bytes)
    return Effect.zipRight(write, it.sendingAgain(write, answer))
  })
}

/** Milliseconds: RFC 8085 §3.1.1's time to wait for somebody of whom nothing is known. It is doubled each time. */
const firstPause = 1000

/** For as long as there is time for an answer. Who waits for that learns from the read that the socket is gone. */
const again = (write: Effect.Effect<void, ConnectionLost>, pause: number, left: number): Effect.Effect<void> =>
  pause >= left
    ? Effect.void
    : Effect.zipRight(Effect.sleep(pause), Effect.zipRight(Effect.ignore(write), again(write, pause * 2, left - pause)))

/**
 * The header and the question of a message that cannot be read beyond them, when it is the answer to what was sent: its
 * server has no better one. All that matters of one that was cut off (some servers do so inside a record) is here.
 */
const headOf = (sent: Sent, bytes: Uint8Array): DnsMessage.Message | undefined => {
  const head = bytes.slice(0, DnsMessage.encodeQuestion(0, sent.question).length)
  // The counts of the records, which do not follow.
  head.fill(0, 6, 12)
  const message = Either.getRight(DnsMessage.decode(head))
  return Option.getOrUndefined(Option.filter(message, (message) => accepts(sent, message)))
}

/** RFC 1035 §4.2.2: each message is preceded by its length in two octets. */
const overTcp = (it: Try): Effect.Effect<DnsMessage.Message, ServerFailed> => {
  const { bytes, sent } = prepare(it, undefined)
  const framed = Uint8Array.from([bytes.length >> 8, bytes.length & 255, ...bytes])
  return it.connected(
    "stream",
    (connection) => Effect.zipRight(connection.write(framed), frame(connection))
  ).pipe(
    Effect.flatMap((frame) => {
      // unbound does so beyond ten connections.
      if (frame === undefined) {
        return Effect.fail(it.fail("Temporary", new Error("it ended the connection before its answer"), true))
      }
      const message = DnsMessage.decode(frame)
      if (Either.isLeft(message)) return Effect.fail(it.fail("InvalidResponse", message.left))
      return accepts(sent, message.right) && !message.right.truncated
        ? Effect.succeed(message.right)
        : Effect.fail(it.fail("InvalidResponse", new Error("it is cut off, or the answer to another question")))
    })
  )
}

/**
 * The first message of a stream; `undefined` when the stream ends before it does. What was read so far is `size` octets,
 * and the message `whole` with its length, once that is known.
 */
const frame = (
  connection: Connection,
  pieces: Chunk.Chunk<Uint8Array> = Chunk.empty(),
  size = 0,
  whole = Infinity
): Effect.Effect<Uint8Array | undefined, ConnectionLost> =>
  Effect.flatMap(connection.read, (next) => {
    if (Option.isNone(next)) return Effect.succeed(undefined)
    const all = Chunk.append(pieces, next.value)
    const held = size + next.value.length
    const wanted = whole < Infinity || held < 2 ? whole : lengthOf(joined(all))
    return held < wanted ? frame(connection, all, held, wanted) : Effect.succeed(joined(all).subarray(2, wanted))
  })

const lengthOf = ([high = 0, low = 0]: Uint8Array): number => 2 + high * 256 + low

const joined = (chunks: Chunk.Chunk<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(Chunk.reduce(chunks, 0, (sum, bytes) => sum + bytes.length))
  Chunk.reduce(chunks, 0, (at, bytes) => {
    whole.set(bytes, at)
    return at + bytes.length
  })
  return whole
}
