/**
 * Random lookups and what a name server, or somebody who plays one, says to them: all data, drawn by fast-check, the
 * smallest of which is a lookup that is answered truthfully.
 */
import * as FastCheck from "effect/FastCheck"
import * as Address from "../../Address.js"
import * as DnsMessage from "../../DnsMessage.js"
import * as ServiceBinding from "../../ServiceBinding.js"
import { type Question, word } from "./dnsOracle.js"
import { joined, mutate, type Mutation, mutation } from "./mutations.js"

/** A record of an answer; `owner` 0 is the name that was asked, 1 to 3 the links of a chain, 4 a stranger. */
interface Piece {
  readonly kind: "address" | "other family" | "alias" | "soa" | "srv" | "service" | "alias mode" | "texts" | "unknown"
  readonly owner: number
  readonly number: number
  readonly section: 0 | 1 | 2
}

/** Before any octet is changed: a truth, or a lie that is a message all the same. */
interface Said {
  readonly lie:
    | "none"
    | "id"
    | "name"
    | "case"
    | "type"
    | "class"
    | "no question"
    | "a query"
    | "of an earlier question"
  readonly code: DnsMessage.ResponseCode
  readonly truncated: boolean
  readonly pieces: ReadonlyArray<Piece>
}

/** One message on its way to one socket. */
export interface Packet {
  readonly said: Said
  readonly mutations: ReadonlyArray<Mutation>
  /** Who sends it: a socket that is connected hears only its peer. */
  readonly from: "the server" | "a stranger"
  /** Milliseconds after the question. */
  readonly delay: number
  /** Over TCP: what is added to the two octets of its length. */
  readonly frame: number
}

/** What comes over one socket, UDP or TCP, and how it ends. */
export interface Reply {
  readonly packets: ReadonlyArray<Packet>
  /** Where a stream is cut into the pieces that are read. */
  readonly cuts: ReadonlyArray<number>
  readonly end: "silence" | "end" | "reset" | "refused"
}

export interface Case {
  readonly ask: "addresses" | "services" | DnsMessage.RecordType
  readonly servers: number
  readonly attempts: number
  readonly randomizeCase: boolean
  /** Where the ids come from. */
  readonly entropy: number
  /** One for each socket in the order of opening; the last for all that follow. */
  readonly replies: ReadonlyArray<Reply>
}

// -----------------------------------------------------------------------------
// drawing
// -----------------------------------------------------------------------------

const mostly = <A>(plain: A, ...others: ReadonlyArray<A>): FastCheck.Arbitrary<A> =>
  FastCheck.oneof(
    { weight: 6, arbitrary: FastCheck.constant(plain) },
    { weight: others.length, arbitrary: FastCheck.constantFrom(...others) }
  )

const piece: FastCheck.Arbitrary<Piece> = FastCheck.record({
  kind: mostly<Piece["kind"]>(
    "address",
    "other family",
    "alias",
    "alias",
    "alias",
    "soa",
    "srv",
    "service",
    "service",
    "alias mode",
    "texts",
    "unknown"
  ),
  owner: mostly(0, 1, 2, 3, 4),
  number: FastCheck.nat(7),
  section: mostly<Piece["section"]>(0, 1, 2)
})

const said: FastCheck.Arbitrary<Said> = FastCheck.record({
  lie: FastCheck.oneof(
    { weight: 10, arbitrary: FastCheck.constant("none" as const) },
    {
      weight: 9,
      arbitrary: FastCheck.constantFrom<Said["lie"]>(
        "id",
        "name",
        "case",
        "type",
        "class",
        "no question",
        "a query",
        "of an earlier question"
      )
    }
  ),
  code: FastCheck.oneof(
    { weight: 14, arbitrary: FastCheck.constant<DnsMessage.ResponseCode>("NoError") },
    FastCheck.constantFrom<DnsMessage.ResponseCode>(
      "NameError",
      "ServerFailure",
      "Refused",
      "FormatError",
      "NotImplemented",
      11
    )
  ),
  truncated: mostly(false, true),
  pieces: FastCheck.array(piece, { maxLength: 5 })
})

const packet: FastCheck.Arbitrary<Packet> = FastCheck.record({
  said,
  mutations: FastCheck.oneof(
    { weight: 1, arbitrary: FastCheck.constant([]) },
    { weight: 5, arbitrary: FastCheck.array(mutation, { minLength: 1, maxLength: 4 }) }
  ),
  from: FastCheck.oneof(
    { weight: 12, arbitrary: FastCheck.constant("the server" as const) },
    FastCheck.constant("a stranger" as const)
  ),
  delay: mostly(0, 1, 900, 1500),
  frame: mostly(0, -1, 1, 256, 65_535)
})

const reply: FastCheck.Arbitrary<Reply> = FastCheck.record({
  packets: FastCheck.array(packet, { minLength: 1, maxLength: 4 }),
  cuts: FastCheck.array(FastCheck.nat(80), { maxLength: 4 }),
  end: mostly<Reply["end"]>("silence", "end", "reset", "refused")
})

const types = Object.keys(DnsMessage.typeCodes) as ReadonlyArray<DnsMessage.RecordType>

export const anyCase: FastCheck.Arbitrary<Case> = FastCheck.record({
  ask: FastCheck.oneof(
    { weight: 6, arbitrary: FastCheck.constant("addresses" as const) },
    { weight: 3, arbitrary: FastCheck.constant("services" as const) },
    { weight: 3, arbitrary: FastCheck.constantFrom(...types) }
  ),
  servers: FastCheck.integer({ min: 1, max: 2 }),
  attempts: FastCheck.integer({ min: 1, max: 2 }),
  randomizeCase: FastCheck.boolean(),
  entropy: FastCheck.nat(0xffff),
  replies: FastCheck.array(reply, { minLength: 1, maxLength: 4 })
})

// -----------------------------------------------------------------------------
// to octets
// -----------------------------------------------------------------------------

/** The name that every lookup asks for. */
export const askedName = "www.fuzz.test"

/** A question as it came to a server. */
export interface Asked {
  readonly id: number
  readonly question: Question
}

const typeOf = (code: number): DnsMessage.RecordType => types.find((type) => DnsMessage.typeCodes[type] === code) ?? "A"

const ownerOf = (question: Question, owner: number): string =>
  owner === 0 ? question.name : owner === 4 ? "stranger.test" : `c${owner}.fuzz.test`

const recordOf = ({ kind, number, owner }: Piece, question: Question): DnsMessage.DnsRecord => {
  const head = { name: ownerOf(question, owner), timeToLive: number * 60 }
  const six = (question.type === DnsMessage.typeCodes.AAAA) !== (kind === "other family")
  switch (kind) {
    case "address":
    case "other family":
      return {
        ...head,
        type: six ? "AAAA" : "A",
        address: Address.unsafeParse(six ? `2001:db8::${number + 1}` : `192.0.2.${number + 1}`)
      }
    case "alias":
      return { ...head, type: "CNAME", target: ownerOf(question, number < 4 ? (owner + 1) % 4 : number % 5) }
    case "soa":
      return {
        ...head,
        type: "SOA",
        primary: "ns.fuzz.test",
        mailbox: "root.fuzz.test",
        serial: 1,
        refresh: 2,
        retry: 3,
        expire: 4,
        minimum: number
      }
    case "srv":
      return { ...head, type: "SRV", priority: number, weight: 1, port: 53, target: number === 0 ? "" : "c1.fuzz.test" }
    case "service":
    case "alias mode":
      return {
        ...head,
        type: question.type === DnsMessage.typeCodes.SVCB ? "SVCB" : "HTTPS",
        binding: bindingOf(kind === "alias mode" ? 0 : number + 1, number)
      }
    case "texts":
      return { ...head, type: "TXT", texts: [new Uint8Array(number), new Uint8Array([104, 105])] }
    case "unknown":
      return { ...head, type: "Other", code: 99, data: new Uint8Array(number) }
  }
}

const bindingOf = (priority: number, number: number): ServiceBinding.ServiceBinding =>
  ServiceBinding.make({
    priority,
    target: number % 3 === 0 ? "" : `c${number % 3}.fuzz.test`,
    ...priority === 0 ? {} : {
      mandatory: number % 4 === 1 ? [1, 3] : [],
      alpn: ["h2", "h3"],
      port: Address.Port(8443),
      ipv4Hint: [Address.unsafeParse("192.0.2.200") as Address.Ipv4Address],
      ipv6Hint: [Address.unsafeParse("2001:db8::200") as Address.Ipv6Address],
      others: new Map([[700 + number, new Uint8Array(number)]])
    }
  })

/** The octets before any mutation. `earlier` is another question of the same lookup, where there was one. */
const truth = ({ code, lie, pieces, truncated }: Said, asked: Asked, earlier: Asked): Uint8Array => {
  const { id, question } = lie === "of an earlier question" ? earlier : asked
  const type = typeOf(question.type)
  const section = (n: Piece["section"]) =>
    pieces.filter(({ section }) => section === n).map((piece) => recordOf(piece, question))
  // Copied: it may be a Buffer, whose slices share its memory.
  const bytes = Uint8Array.from(DnsMessage.encodeResponse({
    id: lie === "id" ? id ^ 1 : id,
    response: lie !== "a query",
    truncated,
    authoritative: false,
    recursionAvailable: true,
    responseCode: code,
    question: lie === "no question" ? undefined : {
      name: lie === "name" ? "stranger.test" : lie === "case" ? otherCase(question.name) : question.name,
      type: lie === "type" ? type === "A" ? "AAAA" : "A" : type
    },
    answers: section(0),
    authorities: section(1),
    additionals: section(2),
    udpPayloadSize: pieces.length === 1 ? 1232 : undefined
  }))
  // Its class is the last octet of the question, which stands as it was asked.
  if (lie === "class") bytes[12 + question.name.length + 2 + 3] = 3
  return bytes
}

const otherCase = (name: string): string =>
  name.replace(/[a-z]/i, (letter) => letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase())

/** The octets of a packet that answers a question. */
export const octetsOf = ({ mutations, said }: Packet, asked: Asked, earlier: Asked): Uint8Array => {
  const other = () => truth({ lie: "none", code: "NoError", truncated: false, pieces: defaultPieces }, asked, earlier)
  return mutations.reduce((bytes, each) => mutate(bytes, each, other), truth(said, asked, earlier))
}

const defaultPieces: ReadonlyArray<Piece> = [
  { kind: "address", owner: 0, number: 0, section: 0 },
  { kind: "alias", owner: 0, number: 0, section: 0 },
  { kind: "service", owner: 0, number: 1, section: 0 }
]

/** Whether the octets differ from those a truthful server would have sent. */
export const isMutant = ({ from, mutations, said }: Packet): boolean =>
  mutations.length > 0 || said.lie !== "none" || from !== "the server"

/** A stream of messages, each behind its length, in the pieces in which it is read. */
export const streamOf = (
  messages: ReadonlyArray<{ readonly bytes: Uint8Array; readonly frame: number }>,
  cuts: ReadonlyArray<number>
): ReadonlyArray<Uint8Array> => {
  const whole = joined(messages.flatMap(({ bytes, frame }) => {
    const length = (bytes.length + frame) & 0xffff
    return [Uint8Array.from([length >> 8, length & 0xff]), bytes]
  }))
  const places = [0, ...cuts.map((cut) => cut % (whole.length + 1)).toSorted((self, that) => self - that), whole.length]
  return places.slice(1).flatMap((end, index) => {
    const piece = whole.subarray(places[index], end)
    return piece.length === 0 ? [] : [piece]
  })
}

/** The first message of a stream, if all of it is there. */
export const firstOf = (pieces: ReadonlyArray<Uint8Array>): Uint8Array | undefined => {
  const whole = joined(pieces)
  const end = 2 + word(whole, 0)
  return whole.length < 2 || whole.length < end ? undefined : whole.subarray(2, end)
}
