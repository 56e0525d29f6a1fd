/**
 * DNS messages as values (RFC 1035 §4): a question to bytes, bytes to an answer or a typed error.
 *
 * The bytes of records are the work of dns-packet. It trusts what it reads: a record's length may disagree with its
 * data, and then everything after it is read from the wrong place. So a message is walked first, and only one whose
 * every name and length is what it says is given to it; what is not decoded here is hidden from it as unknown data.
 *
 * A record whose own name is not a host name (octets other than letters, digits, hyphen, underscore) is about nothing
 * that can be asked here, and one with such a name in its data is of no use: either is of type `Other`. So no dot inside
 * a label can pass for the end of one.
 *
 * @since 0.2.0
 */
import * as Packet from "dns-packet"
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import { fromOctets, type IpAddress } from "./Address.js"
import type { IpFamily } from "./internal/answer.js"
import { asBuffer, spanAt, WireError } from "./internal/dnsName.js"
import * as ServiceBinding from "./ServiceBinding.js"

/**
 * The types of record that can be asked for and are decoded.
 *
 * @since 0.2.0
 * @category models
 */
export type RecordType = "A" | "AAAA" | "CNAME" | "SOA" | "SRV" | "HTTPS" | "SVCB" | "NS" | "PTR" | "TXT" | "MX"

/**
 * The family of the addresses in records of a type.
 *
 * @since 0.2.0
 * @category models
 */
export const familyOf = (type: RecordType): IpFamily | undefined =>
  type === "AAAA" ? "inet6" : type === "A" ? "inet" : undefined

/**
 * The numbers of the types, as IANA has them.
 *
 * @since 0.2.0
 * @category models
 */
export const typeCodes: { readonly [T in RecordType]: number } = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  SVCB: 64,
  HTTPS: 65
}

/**
 * What is asked: `name` without a trailing dot, in the very case that goes on the wire.
 *
 * @since 0.2.0
 * @category models
 */
export interface Question {
  readonly name: string
  readonly type: RecordType
}

/**
 * RFC 1035 §4.1.1's RCODE, in words; a number for one that has none here. With EDNS it has 12 bits (RFC 6891 §6.1.3):
 * 16 is BADVERS, whose lower four bits alone would be `NoError`.
 *
 * @since 0.2.0
 * @category models
 */
export type ResponseCode =
  | "NoError"
  | "FormatError"
  | "ServerFailure"
  | "NameError"
  | "NotImplemented"
  | "Refused"
  | number

const responseCodes = ["NoError", "FormatError", "ServerFailure", "NameError", "NotImplemented", "Refused"] as const

/**
 * A resource record. `name` and every name in the data are lower-case without a trailing dot; `timeToLive` is in
 * seconds, 0 for one with its top bit set (RFC 2181 §8). A record of a type not decoded has `type: "Other"`.
 *
 * @since 0.2.0
 * @category models
 */
export type DnsRecord =
  & { readonly name: string; readonly timeToLive: number }
  & (
    | { readonly type: "A" | "AAAA"; readonly address: IpAddress }
    | { readonly type: "CNAME" | "NS" | "PTR"; readonly target: string }
    | {
      readonly type: "SOA"
      readonly primary: string
      readonly mailbox: string
      readonly serial: number
      readonly refresh: number
      readonly retry: number
      readonly expire: number
      readonly minimum: number
    }
    | {
      readonly type: "SRV"
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    }
    | { readonly type: "MX"; readonly preference: number; readonly target: string }
    | { readonly type: "TXT"; readonly texts: ReadonlyArray<Uint8Array> }
    | { readonly type: "HTTPS" | "SVCB"; readonly binding: ServiceBinding.ServiceBinding }
    | { readonly type: "Other"; readonly code: number; readonly data: Uint8Array }
  )

/**
 * A message that was received, or that a name server in a test sends.
 *
 * @since 0.2.0
 * @category models
 */
export interface Message {
  readonly id: number
  readonly response: boolean
  readonly truncated: boolean
  readonly authoritative: boolean
  readonly recursionAvailable: boolean
  readonly responseCode: ResponseCode
  /** The question, its name in the very case that came; `undefined` when there is none, or one of another type or class. */
  readonly question: Question | undefined
  readonly answers: ReadonlyArray<DnsRecord>
  readonly authorities: ReadonlyArray<DnsRecord>
  readonly additionals: ReadonlyArray<DnsRecord>
  /** The sender's UDP payload size, when it speaks EDNS (RFC 6891). */
  readonly udpPayloadSize: number | undefined
}

/**
 * Bytes that are not a DNS message, or not one this library would use. `position` is the offset of the octet.
 *
 * @since 0.2.0
 * @category errors
 */
export class MalformedMessage extends Data.TaggedError("MalformedMessage")<{
  readonly reason: string
  readonly position?: number | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    return `not a DNS message${this.position === undefined ? "" : ` at octet ${this.position}`}: ${this.reason}`
  }
}

// -----------------------------------------------------------------------------
// values to bytes
// -----------------------------------------------------------------------------

/**
 * A question as bytes, with recursion desired. `udpPayloadSize` adds EDNS0's OPT record; without it there is none.
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import { DnsMessage } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const bytes = DnsMessage.encodeQuestion(7, { name: "ExAmPle.com", type: "AAAA" }, { udpPayloadSize: 1232 })
 * const { question, udpPayloadSize } = Either.getOrThrow(DnsMessage.decode(bytes))
 * assert.deepStrictEqual([question, udpPayloadSize], [{ name: "ExAmPle.com", type: "AAAA" }, 1232])
 * ```
 *
 * @since 0.2.0
 * @category codec
 */
export const encodeQuestion = (
  id: number,
  question: Question,
  options?: { readonly udpPayloadSize?: number | undefined }
): Uint8Array =>
  Packet.encode({
    type: "query",
    id,
    flags: Packet.RECURSION_DESIRED,
    questions: [asked(question)],
    additionals: options?.udpPayloadSize === undefined ? [] : [edns(options.udpPayloadSize)]
  })

/**
 * A response as bytes: what a name server in a test says. A response code over 15 needs a `udpPayloadSize`.
 *
 * @since 0.2.0
 * @category codec
 */
export const encodeResponse = (message: Message): Uint8Array => {
  const { additionals, answers, authorities, id, question, udpPayloadSize } = message
  const code = typeof message.responseCode === "number"
    ? message.responseCode
    : responseCodes.indexOf(message.responseCode)
  return Packet.encode({
    type: message.response ? "response" : "query",
    id,
    flags: (message.truncated ? Packet.TRUNCATED_RESPONSE : 0) |
      (message.authoritative ? Packet.AUTHORITATIVE_ANSWER : 0) |
      (message.recursionAvailable ? Packet.RECURSION_AVAILABLE : 0) | Packet.RECURSION_DESIRED | (code & 15),
    questions: question === undefined ? [] : [asked(question)],
    answers: answers.map(packed),
    authorities: authorities.map(packed),
    additionals: [...additionals.map(packed), ...udpPayloadSize === undefined ? [] : [edns(udpPayloadSize, code >> 4)]]
  })
}

// The types of dns-packet know neither SVCB nor its own way of naming a type by number.
const typeName = (type: RecordType): Packet.RecordType =>
  (type === "SVCB" || type === "HTTPS" ? `UNKNOWN_${typeCodes[type]}` : type) as Packet.RecordType

const asked = ({ name, type }: Question): Packet.Question => ({ name, type: typeName(type), class: "IN" })

const edns = (udpPayloadSize: number, extendedRcode = 0): Packet.Answer =>
  ({ type: "OPT", name: ".", udpPayloadSize, extendedRcode, ednsVersion: 0, flags: 0, options: [] }) as never

const packed = (record: DnsRecord): Packet.Answer => {
  const head = { name: record.name === "" ? "." : record.name, ttl: record.timeToLive, class: "IN" }
  const data = (type: string, data: unknown) => ({ ...head, type, data }) as Packet.Answer
  switch (record.type) {
    case "A":
    case "AAAA":
      return data(record.type, record.address.toString())
    case "CNAME":
    case "NS":
    case "PTR":
      return data(record.type, record.target)
    case "SOA":
      return data("SOA", { ...record, mname: record.primary, rname: record.mailbox })
    case "SRV":
      return data("SRV", { ...record, target: record.target === "" ? "." : record.target })
    case "MX":
      return data("MX", { preference: record.preference, exchange: record.target })
    case "TXT":
      return data("TXT", record.texts.map((text) => asBuffer(text)))
    case "SVCB":
    case "HTTPS":
      return data(typeName(record.type), asBuffer(ServiceBinding.encode(record.binding)))
    case "Other":
      return data(`UNKNOWN_${record.code}`, asBuffer(record.data))
  }
}

// -----------------------------------------------------------------------------
// bytes to values
// -----------------------------------------------------------------------------

/**
 * Bytes as a message.
 *
 * Fails with `MalformedMessage` when a count, a length or a name is not what it says, when octets are left over, or when
 * an SVCB or HTTPS record breaks RFC 9460 §2.2, which rejects all of them.
 *
 * @since 0.2.0
 * @category codec
 */
export const decode = (received: Uint8Array): Either.Either<Message, MalformedMessage> => {
  // Not a Buffer, whose slices are Buffers that share its memory.
  const bytes = new Uint8Array(received.buffer, received.byteOffset, received.length)
  return Either.try({
    try: () => {
      const walked = walk(bytes)
      const packet = parsed(bytes, walked)
      return messageOf(bytes, walked, packet, recordsOf(bytes, walked, packet))
    },
    catch: (cause) =>
      cause instanceof WireError
        ? new MalformedMessage({ reason: cause.reason, position: cause.position })
        : new MalformedMessage({ reason: "it cannot be read", cause })
  })
}

/** One record's place in the bytes. */
interface Place {
  readonly section: 0 | 1 | 2
  /** Where its type stands. */
  readonly at: number
  readonly code: number
  readonly dataAt: number
  readonly end: number
  /** Whether its own name and those in its data are host names. */
  readonly plain: boolean
}

interface Walked {
  readonly questions: number
  /** The question's type and class, when there is just one question. */
  readonly question: { readonly code: number; readonly plain: boolean } | undefined
  readonly places: ReadonlyArray<Place>
}

const headerOctets = 12

const walk = (bytes: Uint8Array): Walked => {
  if (bytes.length < headerOctets) throw new WireError(bytes.length, "it is shorter than a header")
  const questions = uint16(bytes, 4)
  const places: Array<Place> = []
  // let: each part begins where the one before ends
  let at = headerOctets
  // let: that of the last, which is the only one that counts
  let question: Walked["question"]
  // let: as many as the header says
  for (let left = questions; left > 0; left--) {
    const name = spanAt(bytes, at, true)
    if (name.end + 4 > bytes.length) throw new WireError(at, "a question is cut off")
    question = questions === 1 && uint16(bytes, name.end + 2) === 1
      ? { code: uint16(bytes, name.end), plain: name.plain }
      : undefined
    at = name.end + 4
  }
  for (const section of [0, 1, 2] as const) {
    // let: as many as the header says
    for (let left = uint16(bytes, 6 + 2 * section); left > 0; left--) {
      const place = placeAt(bytes, at, section)
      places.push(place)
      at = place.end
    }
  }
  if (at !== bytes.length) throw new WireError(at, "octets are left over")
  return { questions, question, places }
}

const placeAt = (bytes: Uint8Array, start: number, section: Place["section"]): Place => {
  const name = spanAt(bytes, start, true)
  const at = name.end
  if (at + 10 > bytes.length) throw new WireError(start, "a record is cut off")
  const code = uint16(bytes, at)
  const dataAt = at + 10
  const end = dataAt + uint16(bytes, at + 8)
  if (end > bytes.length) throw new WireError(dataAt, "the data of a record is cut off")
  // Only the Internet's class has these types (OPT's class is a size).
  const plain = namesArePlain(bytes, code, dataAt, end) && name.plain && (uint16(bytes, at + 2) & 0x7fff) === 1
  return { section, at, code, dataAt, end, plain }
}

/** The names at the head of a type's data, after so many octets, and how many octets follow them. */
const namesIn: ReadonlyMap<number, readonly [before: number, names: number, after: number]> = new Map([
  [typeCodes.NS, [0, 1, 0]],
  [typeCodes.CNAME, [0, 1, 0]],
  [typeCodes.PTR, [0, 1, 0]],
  [typeCodes.MX, [2, 1, 0]],
  [typeCodes.SRV, [6, 1, 0]],
  [typeCodes.SOA, [0, 2, 20]]
])

/** Whether the names in data of a type are host names; throws for data that does not fill its length exactly. */
const namesArePlain = (bytes: Uint8Array, code: number, dataAt: number, end: number): boolean => {
  const wrong = () => new WireError(dataAt, `the data of a record of type ${code} does not fill its length`)
  const size = code === typeCodes.A ? 4 : code === typeCodes.AAAA ? 16 : end - dataAt
  if (end - dataAt !== size || code === typeCodes.TXT && !textsFit(bytes, dataAt, end)) throw wrong()
  const names = namesIn.get(code)
  if (names === undefined) return true
  const [before, count, after] = names
  const first = spanAt(bytes, dataAt + before, true)
  const last = count === 2 ? spanAt(bytes, first.end, true) : first
  if (last.end + after !== end) throw wrong()
  // The second is the mailbox of a SOA, a name of its own kind.
  return first.plain
}

const textsFit = (bytes: Uint8Array, start: number, end: number): boolean => {
  // let: each text says where the next begins
  let at = start
  while (at < end) at += 1 + (bytes[at] ?? 0)
  return at === end
}

const uint16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

const decoded: ReadonlySet<number> = new Set(
  Object.values(typeCodes).filter((code) => code !== typeCodes.SVCB && code !== typeCodes.HTTPS)
)

/** RFC 6895 keeps 65280 to 65534 for private use: dns-packet takes such data as it is. */
const hidden = 65280

/** What dns-packet makes of it, with every record hidden that it need not or must not decode. */
const parsed = (bytes: Uint8Array, { places }: Walked): Packet.DecodedPacket => {
  const foreign = places.filter(({ code, plain }) => !plain || !decoded.has(code))
  const copy = asBuffer(foreign.length === 0 ? bytes : bytes.slice())
  for (const { at } of foreign) copy.set([hidden >> 8, hidden & 255], at)
  return Packet.decode(copy)
}

const recordsOf = (
  bytes: Uint8Array,
  { places }: Walked,
  packet: Packet.DecodedPacket
): ReadonlyArray<DnsRecord> => {
  const answers = [...packet.answers ?? [], ...packet.authorities ?? [], ...packet.additionals ?? []]
  return places.map((place, index) => recordOf(bytes, place, answers[index] as unknown as Raw))
}

/** A record as dns-packet has it. */
interface Raw {
  readonly name: string
  readonly ttl?: number
  readonly data: never
}

const recordOf = (bytes: Uint8Array, place: Place, raw: Raw): DnsRecord => {
  const { code, dataAt, end, plain } = place
  // RFC 2181 §8: a TTL with its top bit set is 0.
  const timeToLive = (raw.ttl ?? 0) > 0x7fff_ffff ? 0 : raw.ttl ?? 0
  const head = { name: nameText(raw.name), timeToLive }
  if (plain && (code === typeCodes.SVCB || code === typeCodes.HTTPS)) {
    const binding = ServiceBinding.decode(bytes.subarray(dataAt, end))
    if (Either.isLeft(binding)) throw new WireError(dataAt + binding.left.position, binding.left.message)
    return { ...head, type: code === typeCodes.HTTPS ? "HTTPS" : "SVCB", binding: binding.right }
  }
  if (!plain || !decoded.has(code)) return { ...head, type: "Other", code, data: bytes.slice(dataAt, end) }
  return { ...head, ...dataOf(bytes, place, raw.data) }
}

type DataOf<R> = R extends unknown ? Omit<R, "name" | "timeToLive"> : never

const dataOf = (bytes: Uint8Array, { code, dataAt, end }: Place, data: never): DataOf<DnsRecord> => {
  switch (code) {
    case typeCodes.A:
    case typeCodes.AAAA:
      return {
        type: code === typeCodes.A ? "A" : "AAAA",
        address: Either.getOrThrow(fromOctets(bytes.subarray(dataAt, end)))
      }
    case typeCodes.SOA: {
      const { mname, rname, ...numbers } = data as Packet.SoaData
      return {
        type: "SOA",
        primary: nameText(mname),
        mailbox: textOf(rname),
        serial: numbers.serial ?? 0,
        refresh: numbers.refresh ?? 0,
        retry: numbers.retry ?? 0,
        expire: numbers.expire ?? 0,
        minimum: numbers.minimum ?? 0
      }
    }
    case typeCodes.SRV: {
      const { port, priority, target, weight } = data as Packet.SrvData
      return { type: "SRV", priority: priority ?? 0, weight: weight ?? 0, port, target: nameText(target) }
    }
    case typeCodes.MX: {
      const { exchange, preference } = data as Packet.MxData
      return { type: "MX", preference: preference ?? 0, target: nameText(exchange) }
    }
    case typeCodes.TXT:
      return { type: "TXT", texts: (data as ReadonlyArray<Uint8Array>).map((text) => Uint8Array.from(text)) }
    default:
      return {
        type: code === typeCodes.CNAME ? "CNAME" : code === typeCodes.NS ? "NS" : "PTR",
        target: nameText(data)
      }
  }
}

const textOf = (name: string): string => name === "." ? "" : name

const nameText = (name: string): string => textOf(name).toLowerCase()

const recordTypes = new Map(Object.entries(typeCodes).map(([type, code]) => [code, type as RecordType]))

const messageOf = (
  bytes: Uint8Array,
  { places, question }: Walked,
  packet: Packet.DecodedPacket,
  records: ReadonlyArray<DnsRecord>
): Message => {
  const section = (n: Place["section"]) =>
    records.filter((_, index) => places[index]?.section === n && places[index].code !== optCode)
  const opt = places.find(({ code, section }) => section === 2 && code === optCode)
  const type = question?.plain === true ? recordTypes.get(question.code) : undefined
  const flags = packet.flags ?? 0
  // RFC 6891 §6.1.3: its upper eight bits stand first where the TTL of another record does.
  const code = (flags & 15) | (opt === undefined ? 0 : (bytes[opt.at + 4] ?? 0) << 4)
  return {
    id: packet.id ?? 0,
    response: packet.type === "response",
    truncated: (flags & Packet.TRUNCATED_RESPONSE) !== 0,
    authoritative: (flags & Packet.AUTHORITATIVE_ANSWER) !== 0,
    recursionAvailable: (flags & Packet.RECURSION_AVAILABLE) !== 0,
    responseCode: responseCodes[code] ?? code,
    question: type === undefined ? undefined : { name: textOf(packet.questions?.[0]?.name ?? ""), type },
    answers: section(0),
    authorities: section(1),
    additionals: section(2),
    // RFC 6891 §6.1.2: it stands where the class of another record does.
    udpPayloadSize: opt === undefined ? undefined : uint16(bytes, opt.at + 2)
  }
}

const optCode = 41
