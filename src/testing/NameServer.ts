/**
 * A name server for a simulated network: what it says to each question is written down, lies and silences too.
 *
 * {@link make} gives behaviours for port 53 over UDP and TCP, to stand among a host's listeners, and a log of what was
 * asked. It is for tests of programs that resolve names by `DnsResolver`; for all others the names of the `Topology` are
 * simpler.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { unsafeParse } from "../Address.js"
import type { Connection } from "../Connection.js"
import type { ConnectionLost } from "../DialError.js"
import * as DnsMessage from "../DnsMessage.js"
import type { Behaviour } from "./Behaviour.js"

/**
 * What is said to one question. Every field has a default; an empty answer is NODATA.
 *
 * @since 0.2.0
 * @category models
 */
export interface Reply {
  /** Addresses, or whole records; a CNAME chain stands here with what it leads to. */
  readonly answers?: ReadonlyArray<string | DnsMessage.DnsRecord> | undefined
  readonly authorities?: ReadonlyArray<DnsMessage.DnsRecord> | undefined
  /** @default "NoError" */
  readonly code?: DnsMessage.ResponseCode | undefined
  /**
   * In seconds, for addresses.
   *
   * @default 60
   */
  readonly timeToLive?: number | undefined
  /** Say it so much later. */
  readonly delay?: Duration.DurationInput | undefined
  /** Over UDP say only that it does not fit; over TCP all of it. */
  readonly truncated?: boolean | undefined
  /** What stands in the answer instead of what was asked: for tests of who believes it. */
  readonly lie?: Partial<DnsMessage.Message> | undefined
  /** Send these octets instead of an answer. */
  readonly garbage?: Uint8Array | undefined
}

/**
 * What is said to each question, by name and then by type. `"silence"` is no answer; a list is one reply for each time
 * it is asked, the last for ever; replies sent together answer one question, in their order. A name that is not here is
 * NameError, a type that is not there NODATA.
 *
 * @since 0.2.0
 * @category models
 */
export interface Script {
  readonly [name: string]: { readonly [T in DnsMessage.RecordType]?: Said } | "silence" | Reply
}

/**
 * See {@link Script}.
 *
 * @since 0.2.0
 * @category models
 */
export type Said = "silence" | Reply | ReadonlyArray<string> | {
  readonly sequence: readonly [Said, ...ReadonlyArray<Said>]
} | { readonly together: ReadonlyArray<Reply> }

/**
 * A question as it came.
 *
 * @since 0.2.0
 * @category models
 */
export interface Asked {
  /** Milliseconds of the Clock. */
  readonly at: number
  readonly over: "udp" | "tcp"
  readonly name: string
  readonly type: DnsMessage.RecordType
  readonly id: number
  readonly udpPayloadSize: number | undefined
}

/**
 * A name server: its listeners, and what it was asked so far.
 *
 * @since 0.2.0
 * @category models
 */
export interface NameServer {
  readonly listeners: { readonly "dgram 53": Behaviour; readonly "53": Behaviour }
  readonly log: ReadonlyArray<Asked>
  /** The replies to a question, each with its delay: for a server outside a simulated network. */
  readonly replies: (
    query: DnsMessage.Message,
    over: Asked["over"],
    now: number
  ) => ReadonlyArray<{ readonly delay: number; readonly bytes: Uint8Array }>
}

/**
 * A name server that says what the script has.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Address, Dialer, DnsResolver, Endpoint } from "effect-dial"
 * import { NameServer, SimNetwork } from "effect-dial/testing"
 * import * as assert from "node:assert"
 *
 * const server = NameServer.make({ "web.test": { A: ["192.0.2.1"], AAAA: "silence" } })
 * const dns = DnsResolver.layerServers({ servers: [Address.inet4(Address.unsafeParse("10.0.0.53") as Address.Ipv4Address, Address.Port(53))] })
 *
 * const found = await SimNetwork.run(
 *   Effect.provide(
 *     Dialer.resolveAddress(Endpoint.unsafeParse("web.test:80"), { families: ["inet"] }),
 *     dns
 *   ),
 *   { hosts: { dns: { addresses: ["10.0.0.53"], listeners: server.listeners } } }
 * ).pipe(Effect.runPromise)
 * assert.deepStrictEqual(found.map(String), ["192.0.2.1:80"])
 * assert.deepStrictEqual(server.log.map(({ name, type }) => [name, type]), [["web.test", "A"]])
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (script: Script): NameServer => {
  const log: Array<Asked> = []
  const counts = new Map<string, number>()
  const known = new Map(Object.entries(script).map(([name, said]) => [name.toLowerCase(), said]))
  const replies: NameServer["replies"] = (query, over, now) => {
    const { id, question, udpPayloadSize } = query
    if (question === undefined) return []
    log.push({ at: now, over, id, udpPayloadSize, ...question })
    const key = `${question.name.toLowerCase()} ${question.type} ${over}`
    const count = counts.get(key) ?? 0
    counts.set(key, count + 1)
    const reply = replyTo(known.get(question.name.toLowerCase()), question.type, count)
    if (reply === "silence") return []
    return ("together" in reply ? reply.together : [reply]).map((each) => ({
      delay: Duration.toMillis(each.delay ?? 0),
      bytes: each.garbage ?? DnsMessage.encodeResponse(messageOf(query, question, each, over))
    }))
  }
  return {
    log,
    replies,
    listeners: {
      "dgram 53": (connection) => serveUdp(connection, replies),
      53: (connection) => serveTcp(connection, replies)
    }
  }
}

type Chosen = "silence" | Reply | { readonly together: ReadonlyArray<Reply> }

const replyTo = (entry: Script[string] | undefined, type: DnsMessage.RecordType, count: number): Chosen => {
  if (entry === undefined) return { code: "NameError" }
  if (entry === "silence") return entry
  const said = isReply(entry) ? entry : entry[type] ?? {}
  return choose(said, count)
}

const choose = (said: Said, count: number): Chosen => {
  if (said === "silence") return said
  if ("sequence" in said) return choose(said.sequence[Math.min(count, said.sequence.length - 1)] ?? "silence", count)
  return isList(said) ? { answers: said } : said
}

const isList = (said: object): said is ReadonlyArray<string> => Array.isArray(said)

const isReply = (entry: object): entry is Reply =>
  ["answers", "authorities", "code", "delay", "truncated", "lie", "garbage"].some((field) => field in entry)

const messageOf = (
  { id, udpPayloadSize }: DnsMessage.Message,
  question: DnsMessage.Question,
  reply: Reply,
  over: Asked["over"]
): DnsMessage.Message => {
  const cut = reply.truncated === true && over === "udp"
  const record = (answer: string | DnsMessage.DnsRecord): DnsMessage.DnsRecord => {
    if (typeof answer !== "string") return answer
    const address = unsafeParse(answer)
    const type = address.family === "inet6" ? "AAAA" : "A"
    return { name: question.name, timeToLive: reply.timeToLive ?? 60, type, address }
  }
  return {
    id,
    response: true,
    truncated: cut,
    authoritative: false,
    recursionAvailable: true,
    responseCode: reply.code ?? "NoError",
    question,
    answers: cut ? [] : (reply.answers ?? []).map(record),
    authorities: reply.authorities ?? [],
    additionals: [],
    udpPayloadSize: udpPayloadSize === undefined ? undefined : 1232,
    ...reply.lie
  }
}

const serveUdp = (connection: Connection, replies: NameServer["replies"]): Effect.Effect<void, ConnectionLost> =>
  Effect.flatMap(connection.read, (datagram) =>
    Option.isNone(datagram) ? Effect.void : Effect.zipRight(
      answer(connection, datagram.value, "udp", replies, (bytes) => bytes),
      serveUdp(connection, replies)
    ))

const serveTcp = (connection: Connection, replies: NameServer["replies"]): Effect.Effect<void, ConnectionLost> =>
  Effect.flatMap(connection.read, (bytes) =>
    Option.isNone(bytes) ? connection.end : Effect.zipRight(
      // A question fits one segment, and a client sends it in one.
      answer(connection, bytes.value.subarray(2), "tcp", replies, (answer) =>
        Uint8Array.from([answer.length >> 8, answer.length & 255, ...answer])),
      serveTcp(connection, replies)
    ))

/** Each reply in a fiber of its own: one that is late holds up no other. */
const answer = (
  connection: Connection,
  bytes: Uint8Array,
  over: Asked["over"],
  replies: NameServer["replies"],
  framed: (bytes: Uint8Array) => Uint8Array
): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    const query = DnsMessage.decode(bytes)
    const all = Either.isRight(query) ? replies(query.right, over, clock.unsafeCurrentTimeMillis()) : []
    return Effect.forEach(all, ({ bytes, delay }) => {
      const send = Effect.ignore(connection.write(framed(bytes)))
      return delay === 0 ? send : Effect.fork(Effect.zipRight(Effect.sleep(delay), send))
    }, { discard: true })
  })
