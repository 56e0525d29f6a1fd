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
import * as ServiceBinding from "./ServiceBinding.js"

/**
 * The types of record that can be asked for and are decoded.
 *
 * @since 0.2.0
 * @category models
 */
export type RecordType = "A" | "AAAA" | "CNAME" | "SOA" | "SRV" | "HTTPS" | "SVCB" | "NS" | "PTR" | "TXT" | "MX"

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
 * RFC 1035 §4.1.1's RCODE, in words; a number for one that has none here.
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
 * A response as bytes: what a name server in a test says.
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
    additionals: [...additionals.map(packed), ...udpPayloadSize === undefined ? [] : [edns(udpPayloadSize)]]
  })
}

// The types of dns-packet know neither SVCB nor its own way of naming a type by number.
const typeName = (type: RecordType): Packet.RecordType =>
  (type === "SVCB" || type === "HTTPS" ? `UNKNOWN_${typeCodes[type]}` : type) as Packet.RecordType

const asked = ({ name, type }: Question): Packet.Question => ({ name, type: typeName(type), class: "IN" })

const edns = (udpPayloadSize: number): Packet.Answer =>
  ({ type: "OPT", name: ".", udpPayloadSize, extendedRcode: 0, ednsVersion: 0, flags: 0, options: [] }) as never

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
      return data("TXT", record.texts.map((text) => bufferOf(text)))
    case "SVCB":
    case "HTTPS":
      return data(typeName(record.type), bufferOf(ServiceBinding.encode(record.binding)))
    case "Other":
      return data(`UNKNOWN_${record.code}`, bufferOf(record.data))
  }
}

/** dns-packet copies with Buffer's own `copy`: it takes nothing but Buffers, which `encode` of an empty message makes. */
const bufferOf = (bytes: Uint8Array): Uint8Array => {
  const buffer = BufferClass.alloc(bytes.length)
  buffer.set(bytes)
  return buffer
}

const BufferClass = Packet.encode({ type: "query", id: 0 }).constructor as unknown as {
  readonly alloc: (size: number) => Uint8Array
  readonly from: (bytes: ArrayBufferLike, offset: number, length: number) => Uint8Array
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
  return Either.flatMap(
    walk(bytes),
    (walked) =>
      Either.flatMap(
        parsed(bytes, walked),
        (packet) => Either.map(recordsOf(bytes, walked, packet), (records) => messageOf(bytes, walked, packet, records))
      )
  )
}

const malformed = (reason: string, position?: number): Either.Either<never, MalformedMessage> =>
  Either.left(new MalformedMessage({ reason, position }))

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

const walk = (bytes: Uint8Array): Either.Either<Walked, MalformedMessage> => {
  if (bytes.length < headerOctets) return malformed("it is shorter than a header")
  const questions = uint16(bytes, 4)
  // let: each part begins where the one before ends
  let at = headerOctets
  let question: Walked["question"]
  for (let index = 0; index < questions; index++) {
    const name = nameAt(bytes, at)
    if (typeof name === "string") return malformed(name, at)
    if (name.end + 4 > bytes.length) return malformed("a question is cut off", at)
    if (questions === 1 && uint16(bytes, name.end + 2) === 1) {
      question = { code: uint16(bytes, name.end), plain: name.plain }
    }
    at = name.end + 4
  }
  const places: Array<Place> = []
  for (const section of [0, 1, 2] as const) {
    for (let left = uint16(bytes, 6 + 2 * section); left > 0; left--) {
      const place = placeAt(bytes, at, section)
      if (typeof place === "string") return malformed(place, at)
      places.push(place)
      at = place.end
    }
  }
  return at === bytes.length ? Either.right({ questions, question, places }) : malformed("octets are left over", at)
}

const placeAt = (bytes: Uint8Array, start: number, section: Place["section"]): Place | string => {
  const name = nameAt(bytes, start)
  if (typeof name === "string") return name
  const at = name.end
  if (at + 10 > bytes.length) return "a record is cut off"
  const code = uint16(bytes, at)
  const dataAt = at + 10
  const end = dataAt + uint16(bytes, at + 8)
  if (end > bytes.length) return "the data of a record is cut off"
  const fits = dataFits(bytes, code, dataAt, end)
  return typeof fits === "string" ? fits : {
    section,
    at,
    code,
    dataAt,
    end,
    // Only the Internet's class has these types (OPT's class is a size).
    plain: name.plain && fits && (uint16(bytes, at + 2) & 0x7fff) === 1
  }
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

/** Whether data of a type fills its length exactly, and then whether its names are host names. */
const dataFits = (bytes: Uint8Array, code: number, dataAt: number, end: number): boolean | string => {
  const wrong = `the data of a record of type ${code} does not fill its length`
  if (code === typeCodes.A) return end - dataAt === 4 ? true : wrong
  if (code === typeCodes.AAAA) return end - dataAt === 16 ? true : wrong
  if (code === typeCodes.TXT) return textsFit(bytes, dataAt, end) ? true : wrong
  const names = namesIn.get(code)
  if (names === undefined) return true
  const [before, count, after] = names
  // let: one name after another
  let at = dataAt + before
  let plain = true
  for (let index = 0; index < count; index++) {
    const name = nameAt(bytes, at)
    if (typeof name === "string") return name
    // The mailbox of a SOA is a name of its own kind.
    plain = plain && (name.plain || index === 1)
    at = name.end
  }
  return at + after === end ? plain : wrong
}

const textsFit = (bytes: Uint8Array, start: number, end: number): boolean => {
  // let: each text says where the next begins
  let at = start
  while (at < end) at += 1 + (bytes[at] ?? 0)
  return at === end
}

/** Where a name ends, and whether it is a host name; else what is wrong with it. Pointers go backwards only. */
const nameAt = (bytes: Uint8Array, start: number): { readonly end: number; readonly plain: boolean } | string => {
  // let: labels one after another, from one place and, after a pointer, from an earlier one
  let at = start
  let lowest = start
  let end: number | undefined
  let length = 0
  let plain = true
  for (;;) {
    const octet = bytes[at]
    if (octet === undefined) return "a name does not end"
    if (octet === 0) return { end: end ?? at + 1, plain }
    if (octet >= 0xc0) {
      const low = bytes[at + 1]
      if (low === undefined) return "a pointer is cut off"
      const target = ((octet & 0x3f) << 8) | low
      if (target >= lowest) return "a pointer does not point back"
      end ??= at + 2
      lowest = target
      at = target
    } else if (octet > 63) {
      return "a label is of an unknown kind"
    } else {
      length += octet + 1
      // RFC 1035 §2.3.4: 255 octets, the last zero among them.
      if (length > 254) return "a name is longer than 255 octets"
      if (at + 1 + octet > bytes.length) return "a label is cut off"
      for (let index = at + 1; index <= at + octet; index++) plain &&= hostOctets[bytes[index] ?? 0] === true
      at += 1 + octet
    }
  }
}

/** The asterisk is a wildcard's, which a server may show. */
const hostOctets: ReadonlyArray<boolean> = Array.from(
  { length: 256 },
  (_, octet) => /[A-Za-z0-9_*-]/.test(String.fromCharCode(octet))
)

const uint16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

const decoded: ReadonlySet<number> = new Set(
  [...Object.values(typeCodes)].filter((code) => code !== typeCodes.SVCB && code !== typeCodes.HTTPS)
)

/** RFC 6895 keeps 65280 to 65534 for private use: dns-packet takes such data as it is. */
const hidden = 65280

/** What dns-packet makes of it, with every record hidden that it need not or must not decode. */
const parsed = (bytes: Uint8Array, { places }: Walked): Either.Either<Packet.DecodedPacket, MalformedMessage> =>
  Either.try({
    try: () => {
      const foreign = places.filter(({ code, plain }) => !plain || !decoded.has(code))
      const copy = foreign.length === 0
        ? BufferClass.from(bytes.buffer, bytes.byteOffset, bytes.length)
        : bufferOf(bytes)
      for (const { at } of foreign) copy.set([hidden >> 8, hidden & 255], at)
      return Packet.decode(copy as never)
    },
    catch: (cause) => new MalformedMessage({ reason: "it cannot be read", cause })
  })

const recordsOf = (
  bytes: Uint8Array,
  { places }: Walked,
  packet: Packet.DecodedPacket
): Either.Either<ReadonlyArray<DnsRecord>, MalformedMessage> => {
  const answers = [...packet.answers ?? [], ...packet.authorities ?? [], ...packet.additionals ?? []]
  const records: Array<DnsRecord> = []
  for (const [index, place] of places.entries()) {
    const record = recordOf(bytes, place, answers[index] as unknown as Raw)
    if (typeof record === "string") return malformed(record, place.dataAt)
    records.push(record)
  }
  return Either.right(records)
}

/** A record as dns-packet has it. */
interface Raw {
  readonly name: string
  readonly ttl?: number
  readonly data: never
}

const recordOf = (bytes: Uint8Array, place: Place, raw: Raw): DnsRecord | string => {
  const { code, dataAt, end, plain } = place
  // RFC 2181 §8: a TTL with its top bit set is 0.
  const timeToLive = (raw.ttl ?? 0) > 0x7fff_ffff ? 0 : raw.ttl ?? 0
  const head = { name: nameText(raw.name), timeToLive }
  if (plain && (code === typeCodes.SVCB || code === typeCodes.HTTPS)) {
    return Either.match(ServiceBinding.decode(bytes.subarray(dataAt, end)), {
      onLeft: ({ message }) => message,
      onRight: (binding): DnsRecord => ({ ...head, type: code === typeCodes.HTTPS ? "HTTPS" : "SVCB", binding })
    })
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
        mailbox: rname,
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

const nameText = (name: string): string => name === "." ? "" : name.toLowerCase()

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
  return {
    id: packet.id ?? 0,
    response: packet.type === "response",
    truncated: (flags & Packet.TRUNCATED_RESPONSE) !== 0,
    authoritative: (flags & Packet.AUTHORITATIVE_ANSWER) !== 0,
    recursionAvailable: (flags & Packet.RECURSION_AVAILABLE) !== 0,
    responseCode: responseCodes[flags & 15] ?? (flags & 15),
    question: type === undefined ? undefined : { name: packet.questions?.[0]?.name ?? "", type },
    answers: section(0),
    authorities: section(1),
    additionals: section(2),
    // RFC 6891 §6.1.2: it stands where the class of another record does.
    udpPayloadSize: opt === undefined ? undefined : uint16(bytes, opt.at + 2)
  }
}

const optCode = 41
