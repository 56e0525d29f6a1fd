/**
 * What may happen to the octets of a DNS message on the way: anything, and more often what such messages break at.
 *
 * A mutation is data, so that it can be drawn, printed and made smaller by fast-check: 0 is the smallest of every number
 * in it, and the plainest.
 */
import * as FastCheck from "effect/FastCheck"
import { nameAt, type Place, placesOf, word } from "./dnsOracle.js"

export type Mutation =
  | { readonly _tag: "Flip"; readonly at: number; readonly bit: number }
  | { readonly _tag: "Set"; readonly at: number; readonly octet: number }
  | { readonly _tag: "Insert"; readonly at: number; readonly octets: ReadonlyArray<number> }
  | { readonly _tag: "Delete"; readonly at: number; readonly count: number }
  | { readonly _tag: "Cut"; readonly at: number }
  | { readonly _tag: "Id"; readonly change: number }
  | { readonly _tag: "Flags"; readonly change: number }
  /** One of the four counts of the header. */
  | { readonly _tag: "Count"; readonly which: number; readonly value: number }
  /** The length of one record's data. */
  | { readonly _tag: "Length"; readonly record: number; readonly value: number }
  /** Another type or class, of one record or of the question. */
  | { readonly _tag: "Type"; readonly record: number; readonly word: 0 | 1; readonly value: number }
  /** A compression pointer where a record's name or its data begins, or anywhere. */
  | { readonly _tag: "Pointer"; readonly where: "name" | "data" | "anywhere"; readonly at: number; readonly to: number }
  /** Names that are each a label and a pointer to the one before, and records that stand on the last. */
  | { readonly _tag: "Chain"; readonly links: number; readonly label: number; readonly records: number }
  /** A length of a parameter of a service binding, or of a text: any octet inside data. */
  | { readonly _tag: "Data"; readonly record: number; readonly at: number; readonly octet: number }
  /** The head of this message and the tail of another. */
  | { readonly _tag: "Splice"; readonly at: number; readonly from: number }
  | { readonly _tag: "Repeat"; readonly at: number; readonly count: number; readonly times: number }

const octet = FastCheck.nat(255)
const at = FastCheck.nat(600)
const sixteen = FastCheck.oneof(
  FastCheck.constantFrom(0, 1, 2, 3, 4, 15, 16, 17, 63, 64, 255, 256, 0x0fff, 0x7fff, 0x8000, 0xc00c, 0xfffe, 0xffff),
  FastCheck.nat(0xffff)
)
const tag = <T extends Mutation["_tag"]>(_tag: T) => ({ _tag: FastCheck.constant(_tag) })

export const mutation: FastCheck.Arbitrary<Mutation> = FastCheck.oneof(
  FastCheck.record({ ...tag("Flip"), at, bit: FastCheck.nat(7) }),
  FastCheck.record({ ...tag("Set"), at, octet: FastCheck.oneof(FastCheck.constantFrom(0, 63, 64, 0xc0, 0xff), octet) }),
  FastCheck.record({ ...tag("Insert"), at, octets: FastCheck.array(octet, { minLength: 1, maxLength: 8 }) }),
  FastCheck.record({ ...tag("Delete"), at, count: FastCheck.integer({ min: 1, max: 16 }) }),
  FastCheck.record({ ...tag("Cut"), at }),
  FastCheck.record({ ...tag("Id"), change: FastCheck.oneof(FastCheck.nat(15).map((bit) => 1 << bit), sixteen) }),
  FastCheck.record({ ...tag("Flags"), change: sixteen }),
  FastCheck.record({ ...tag("Count"), which: FastCheck.nat(3), value: sixteen }),
  FastCheck.record({ ...tag("Length"), record: FastCheck.nat(7), value: sixteen }),
  FastCheck.record({
    ...tag("Type"),
    record: FastCheck.nat(7),
    word: FastCheck.constantFrom<0 | 1>(0, 1),
    value: FastCheck.oneof(FastCheck.constantFrom(1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 64, 65, 255, 0x8001), sixteen)
  }),
  FastCheck.record({
    ...tag("Pointer"),
    where: FastCheck.constantFrom<"name" | "data" | "anywhere">("name", "data", "anywhere"),
    at,
    to: FastCheck.oneof(FastCheck.nat(64), FastCheck.nat(0x3fff))
  }),
  FastCheck.record({
    ...tag("Chain"),
    links: FastCheck.nat(140),
    label: FastCheck.nat(63),
    records: FastCheck.oneof({ weight: 200, arbitrary: FastCheck.nat(3) }, FastCheck.nat(4000))
  }),
  FastCheck.record({ ...tag("Data"), record: FastCheck.nat(7), at: FastCheck.nat(40), octet }),
  FastCheck.record({ ...tag("Splice"), at, from: at }),
  FastCheck.record({
    ...tag("Repeat"),
    at,
    count: FastCheck.integer({ min: 1, max: 64 }),
    times: FastCheck.integer({ min: 1, max: 20 })
  })
)

/** The octets after it; `other` makes another message, for a splice. */
export const mutate = (bytes: Uint8Array, mutation: Mutation, other: () => Uint8Array): Uint8Array => {
  if (bytes.length === 0) return bytes
  switch (mutation._tag) {
    case "Flip":
      return change(bytes, mutation.at % bytes.length, (octet) => octet ^ (1 << mutation.bit))
    case "Set":
      return change(bytes, mutation.at % bytes.length, () => mutation.octet)
    case "Insert":
      return splice(bytes, mutation.at, 0, mutation.octets)
    case "Delete":
      return splice(bytes, mutation.at, mutation.count, [])
    case "Cut":
      return bytes.subarray(0, mutation.at % bytes.length)
    case "Id":
      return setWord(bytes, 0, word(bytes, 0) ^ mutation.change)
    case "Flags":
      return setWord(bytes, 2, word(bytes, 2) ^ mutation.change)
    case "Count":
      return setWord(bytes, 4 + 2 * mutation.which, mutation.value)
    case "Chain":
      return chain(bytes, mutation)
    case "Splice": {
      const tail = other()
      return joined([bytes.subarray(0, mutation.at % bytes.length), tail.subarray(mutation.from % (tail.length || 1))])
    }
    case "Repeat":
      return repeat(bytes, mutation)
    default:
      return inRecord(bytes, mutation)
  }
}

const inRecord = (
  bytes: Uint8Array,
  mutation: Extract<Mutation, { readonly _tag: "Length" | "Type" | "Pointer" | "Data" }>
): Uint8Array => {
  const places = placesOf(bytes)
  const pick = (n: number): Place | undefined => places[n % (places.length || 1)]
  switch (mutation._tag) {
    case "Length": {
      const place = pick(mutation.record)
      return place === undefined ? bytes : setWord(bytes, place.typeAt + 8, mutation.value)
    }
    case "Type": {
      // The question counts as one more record.
      const place = places[mutation.record % (places.length + 1)]
      const typeAt = place?.typeAt ?? nameAt(bytes, 12)?.end
      return typeAt === undefined ? bytes : setWord(bytes, typeAt + 2 * mutation.word, mutation.value)
    }
    case "Pointer": {
      const place = pick(mutation.at)
      const where = mutation.where === "name" ? place?.nameAt : mutation.where === "data" ? place?.dataAt : undefined
      return setWord(bytes, where ?? mutation.at % bytes.length, 0xc000 | mutation.to)
    }
    case "Data": {
      const place = pick(mutation.record)
      return place === undefined || place.length === 0
        ? bytes
        : change(bytes, place.dataAt + mutation.at % place.length, () => mutation.octet)
    }
  }
}

const change = (bytes: Uint8Array, at: number, to: (octet: number) => number): Uint8Array => {
  const changed = bytes.slice()
  if (at < changed.length) changed[at] = to(changed[at] ?? 0)
  return changed
}

const setWord = (bytes: Uint8Array, at: number, value: number): Uint8Array =>
  change(change(bytes, at, () => (value >> 8) & 0xff), at + 1, () => value & 0xff)

const splice = (bytes: Uint8Array, at: number, count: number, octets: ReadonlyArray<number>): Uint8Array => {
  const start = at % (bytes.length + 1)
  return joined([bytes.subarray(0, start), Uint8Array.from(octets), bytes.subarray(start + count)])
}

const repeat = (bytes: Uint8Array, mutation: Extract<Mutation, { readonly _tag: "Repeat" }>): Uint8Array => {
  const start = mutation.at % bytes.length
  const part = bytes.subarray(start, start + mutation.count)
  return joined([
    bytes.subarray(0, start),
    ...Array.from({ length: mutation.times }, () => part),
    bytes.subarray(start)
  ])
}

/** What fits a message over TCP. */
const mostOctets = 65_535

/** Address records whose names are the ends of a chain: the dearest names to read that a message can have. */
const chain = (
  bytes: Uint8Array,
  { label, links, records }: Extract<Mutation, { readonly _tag: "Chain" }>
): Uint8Array => {
  const name = nameAt(bytes, 12)
  if (name === undefined) return bytes
  const question = bytes.subarray(0, Math.min(name.end + 4, bytes.length))
  // The links stand in the data of a record of an unknown type: nothing there is read but by pointers.
  const dataAt = question.length + 1 + 10
  const size = (label === 0 ? 0 : label + 1) + 2
  const stretch = Math.min(links, Math.floor(0x3000 / size))
  const data = new Uint8Array(stretch * size).fill(0x61)
  for (let n = 0; n < stretch; n++) {
    const to = n === 0 ? 12 : dataAt + (n - 1) * size
    if (label > 0) data[n * size] = label
    data.set([0xc0 | (to >> 8), to & 0xff], (n + 1) * size - 2)
  }
  const last = dataAt + Math.max(0, stretch - 1) * size
  const record = Uint8Array.from([0xc0 | (last >> 8), last & 0xff, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1])
  const many = Math.min(records, Math.floor((mostOctets - dataAt - data.length) / record.length))
  const head = setWord(setWord(question, 4, 1), 6, many + 1)
  return joined([
    setWord(setWord(head, 8, 0), 10, 0),
    Uint8Array.from([0, 0xff, 0x80, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 0xff]),
    data,
    ...Array.from({ length: many }, () => record)
  ])
}

export const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  parts.reduce((at, part) => {
    whole.set(part, at)
    return at + part.length
  }, 0)
  return whole.subarray(0, mostOctets)
}
