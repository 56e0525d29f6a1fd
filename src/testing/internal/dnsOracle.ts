/**
 * A second reader of DNS messages, to judge the first: what a message says of itself, and whom a resolver may believe.
 *
 * It shares no line with `DnsMessage`, and reads as far as it can where that refuses: a message it makes sense of need
 * not be well formed. What must be true is the converse: nothing is believed that stands in no message it accepts.
 */

/** What was sent on a socket. */
export interface Sent {
  readonly id: number
  readonly name: string
  readonly type: number
  /** Whether the case of the name must come back as it was. */
  readonly exactCase: boolean
}

/** A question as it stands in the octets, its name in the very case. */
export interface Question {
  readonly name: string
  readonly type: number
  readonly class: number
}

/** A record's place. */
export interface Place {
  readonly nameAt: number
  /** Where its type stands, and its class and its time to live behind it. */
  readonly typeAt: number
  readonly dataAt: number
  readonly length: number
  readonly section: number
  readonly type: number
  readonly class: number
}

const headerOctets = 12

export const word = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

export const idOf = (bytes: Uint8Array): number => word(bytes, 0)

export const isResponse = (bytes: Uint8Array): boolean => ((bytes[2] ?? 0) & 0x80) !== 0

export const isTruncated = (bytes: Uint8Array): boolean => ((bytes[2] ?? 0) & 0x02) !== 0

interface Name {
  /** `undefined` for octets that are no visible ASCII, a dot or a backslash in a label. */
  readonly text: string | undefined
  readonly end: number
}

const mostLabels = 400

/** The name at an offset; `undefined` when it leads out of the message or never ends. */
export const nameAt = (bytes: Uint8Array, offset: number): Name | undefined => {
  const labels: Array<string> = []
  let plain = true
  let end: number | undefined
  let at = offset
  for (let steps = 0; steps < mostLabels; steps++) {
    const head = bytes[at]
    if (head === undefined) return undefined
    if (head === 0) return { text: plain ? labels.join(".") : undefined, end: end ?? at + 1 }
    if (head >= 0xc0) {
      end ??= at + 2
      at = word(bytes, at) & 0x3fff
      continue
    }
    const label = bytes.subarray(at + 1, at + 1 + head)
    if (head > 63 || label.length < head) return undefined
    plain &&= label.every((octet) => octet > 0x20 && octet < 0x7f && octet !== 0x2e && octet !== 0x5c)
    labels.push(String.fromCharCode(...label))
    at += 1 + head
  }
  return undefined
}

/** Where a name ends that stands at an offset, wherever its pointers lead. */
const endOfName = (bytes: Uint8Array, offset: number): number | undefined => {
  for (let at = offset;;) {
    const head = bytes[at]
    if (head === undefined) return undefined
    if (head === 0) return at + 1
    if (head >= 0xc0) return at + 2
    at += 1 + head
  }
}

/** Whose record it is, in lower case; `undefined` when no text can stand for it. */
export const ownerOf = (bytes: Uint8Array, { nameAt: offset }: Place): string | undefined =>
  nameAt(bytes, offset)?.text?.toLowerCase()

/** The only question of a message; `undefined` when there is none, or another number of them. */
export const questionOf = (bytes: Uint8Array): Question | undefined => {
  if (bytes.length < headerOctets || word(bytes, 4) !== 1) return undefined
  const name = nameAt(bytes, headerOctets)
  if (name?.text === undefined || name.end + 4 > bytes.length) return undefined
  return { name: name.text, type: word(bytes, name.end), class: word(bytes, name.end + 2) }
}

/** The records, as far as they can be read. */
export const placesOf = (bytes: Uint8Array): ReadonlyArray<Place> => {
  const places: Array<Place> = []
  let at = headerOctets
  for (let left = word(bytes, 4); left > 0; left--) {
    const end = endOfName(bytes, at)
    if (end === undefined) return places
    at = end + 4
  }
  for (const section of [0, 1, 2]) {
    for (let left = word(bytes, 6 + 2 * section); left > 0; left--) {
      const typeAt = endOfName(bytes, at)
      if (typeAt === undefined || typeAt + 10 > bytes.length) return places
      const dataAt = typeAt + 10
      const length = word(bytes, typeAt + 8)
      if (dataAt + length > bytes.length) return places
      places.push({
        nameAt: at,
        typeAt,
        dataAt,
        length,
        section,
        type: word(bytes, typeAt),
        class: word(bytes, typeAt + 2)
      })
      at = dataAt + length
    }
  }
  return places
}

/** RFC 5452 §9.1, of octets from the server that was asked: is this the answer to what was sent? */
export const isAnswer = (bytes: Uint8Array, sent: Sent): boolean => {
  const question = questionOf(bytes)
  return question !== undefined && isResponse(bytes) && idOf(bytes) === sent.id && question.type === sent.type &&
    question.class === 1 &&
    (sent.exactCase ? question.name === sent.name : question.name.toLowerCase() === sent.name.toLowerCase())
}

/** The data of an address record, in hexadecimal; of another, `undefined`. */
export const addressIn = (bytes: Uint8Array, { dataAt, length, type, class: of }: Place): string | undefined =>
  (of & 0x7fff) === 1 && (type === 1 && length === 4 || type === 28 && length === 16)
    ? hex(bytes.subarray(dataAt, dataAt + length))
    : undefined

const digits = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"))

export const hex = (bytes: Uint8Array): string => {
  let text = ""
  for (const octet of bytes) text += digits[octet]
  return text
}

const cname = 5

/** The names that an answer's chain of CNAMEs leads to, and the one that was asked for. */
export const namesIn = (bytes: Uint8Array, sent: Sent): ReadonlySet<string> => {
  const aliases = placesOf(bytes).filter(({ section, type }) => section === 0 && type === cname)
  const names = new Set([sent.name.toLowerCase()])
  for (let known = 0; known < names.size;) {
    known = names.size
    for (const alias of aliases) {
      const target = names.has(ownerOf(bytes, alias) ?? "") ? nameAt(bytes, alias.dataAt)?.text : undefined
      if (target !== undefined) names.add(target.toLowerCase())
    }
  }
  return names
}

/** The addresses, in hexadecimal, that an answer gives these names. */
export const addressesIn = (bytes: Uint8Array, names: ReadonlySet<string>): ReadonlyArray<string> =>
  placesOf(bytes).flatMap((place) => {
    const address = place.section === 0 ? addressIn(bytes, place) : undefined
    return address !== undefined && names.has(ownerOf(bytes, place) ?? "") ? [address] : []
  })
