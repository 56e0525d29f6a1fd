/**
 * What always has to hold of what the codec makes of octets, and of what a lookup makes of what its sockets heard.
 */
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Address from "../../Address.js"
import type { ResolveError } from "../../DialError.js"
import * as DnsMessage from "../../DnsMessage.js"
import type { Records } from "../../DnsResolver.js"
import type { Answer } from "../../Resolver.js"
import * as ServiceBinding from "../../ServiceBinding.js"
import { askedName, type Case, firstOf } from "./dnsCase.js"
import * as Oracle from "./dnsOracle.js"
import type { Heard } from "./dnsWire.js"

/** What is under test, where a test may plant a bug. */
export interface Codec {
  readonly decode: typeof DnsMessage.decode
  readonly decodeBinding: typeof ServiceBinding.decode
}

// -----------------------------------------------------------------------------
// the codec
// -----------------------------------------------------------------------------

/** Longer messages are not said again: uncompressed they may be too long for any message. */
const longestEcho = 1500

/** What does not hold of one message; nothing when all does. */
export const judgeMessage = ({ decode, decodeBinding }: Codec, bytes: Uint8Array): ReadonlyArray<string> => {
  const before = bytes.slice()
  const violations: Array<string> = []
  const decoded = attempt("decode", violations, () => decode(bytes))
  if (before.some((octet, at) => octet !== bytes[at])) violations.push("decode changed the octets")
  if (decoded !== undefined) {
    if (Either.isLeft(decoded)) {
      if (decoded.left._tag !== "MalformedMessage") violations.push("decode failed with an error of another kind")
    } else {
      violations.push(...judgeHead(decoded.right, bytes), ...judgeAddresses(decoded.right, bytes))
      if (bytes.length <= longestEcho) violations.push(...judgeEcho(decode, decoded.right))
    }
  }
  for (const { dataAt, length, type } of Oracle.placesOf(bytes)) {
    if (type !== DnsMessage.typeCodes.SVCB && type !== DnsMessage.typeCodes.HTTPS) continue
    violations.push(...judgeBinding(decodeBinding, bytes.slice(dataAt, dataAt + length)))
  }
  return violations
}

const attempt = <A>(what: string, violations: Array<string>, run: () => A): A | undefined => {
  try {
    return run()
  } catch (thrown) {
    violations.push(`${what} threw ${String(thrown)}`)
    return undefined
  }
}

const judgeHead = (message: DnsMessage.Message, bytes: Uint8Array): ReadonlyArray<string> => {
  const question = Oracle.questionOf(bytes)
  const type = question === undefined || question.class !== 1 ? undefined : question.type
  const known = Object.values(DnsMessage.typeCodes).some((code) => code === type)
  const wanted = known ? `${question?.name} ${type}` : "none"
  const { id, question: own, response, truncated } = message
  const found = own === undefined ? "none" : `${own.name} ${DnsMessage.typeCodes[own.type]}`
  return [
    ...id === Oracle.idOf(bytes) ? [] : [`its id is ${id}, and ${Oracle.idOf(bytes)} in the octets`],
    ...response === Oracle.isResponse(bytes) ? [] : ["it is no response, or one, against the octets"],
    ...truncated === Oracle.isTruncated(bytes) ? [] : ["it is truncated, or not, against the octets"],
    ...found === wanted ? [] : [`its question is ${found}, and ${wanted} in the octets`]
  ]
}

const addressRecords = (message: DnsMessage.Message): ReadonlyArray<string> =>
  [message.answers, message.authorities, message.additionals].flatMap((records, section) =>
    records.flatMap((record) =>
      record.type === "A" || record.type === "AAAA"
        ? [`${section} ${record.name} ${Oracle.hex(Address.octets(record.address))}`]
        : []
    )
  )

const judgeAddresses = (message: DnsMessage.Message, bytes: Uint8Array): ReadonlyArray<string> => {
  const wanted = Oracle.placesOf(bytes).flatMap((place) => {
    const address = Oracle.addressIn(bytes, place)
    const owner = address === undefined ? undefined : Oracle.ownerOf(bytes, place)
    return owner === undefined ? [] : [`${place.section} ${owner} ${address}`]
  })
  const found = addressRecords(message)
  return found.join() === wanted.join() ? [] : [`its addresses are ${found.join()}, and ${wanted.join()} in the octets`]
}

/** Said again, what was understood has to be understood the same. */
const judgeEcho = (decode: Codec["decode"], message: DnsMessage.Message): ReadonlyArray<string> => {
  // A type of its own for each record that was hidden would have to be carried; the root stands for a name there.
  const plain = (records: ReadonlyArray<DnsMessage.DnsRecord>) =>
    records.filter(({ name, type }) => type !== "Other" && name !== "")
  const { additionals, answers, authorities } = message
  const said = {
    ...message,
    answers: plain(answers),
    authorities: plain(authorities),
    additionals: plain(additionals)
  }
  const violations: Array<string> = []
  const bytes = attempt("encodeResponse", violations, () => Uint8Array.from(DnsMessage.encodeResponse(said)))
  if (bytes === undefined) return violations
  const again = attempt("decode of what was encoded", violations, () => decode(bytes))
  if (again === undefined) return violations
  if (Either.isLeft(again)) return [`what was understood and said again is not: ${again.left.message}`]
  return text(again.right) === text(said) ? [] : ["what was understood and said again is understood otherwise"]
}

const text = (value: unknown): string =>
  JSON.stringify(value, (key, part: unknown) =>
    key === "udpPayloadSize"
      ? undefined
      : part instanceof Map
      ? [...part]
      : part instanceof Uint8Array
      ? Oracle.hex(part)
      : part)

const judgeBinding = (decode: Codec["decodeBinding"], data: Uint8Array): ReadonlyArray<string> => {
  const violations: Array<string> = []
  const decoded = attempt("the decoding of a binding", violations, () => decode(data))
  if (decoded === undefined) return violations
  if (Either.isLeft(decoded)) {
    return decoded.left._tag === "MalformedBinding" ? [] : ["a binding failed with an error of another kind"]
  }
  const encoded = attempt("the encoding of a binding", violations, () => ServiceBinding.encode(decoded.right))
  if (encoded === undefined) return violations
  // There is one way to write a binding, but for the case of its target; an alias has no parameters.
  const wanted = Oracle.hex(lowerTarget(data))
  const same = ServiceBinding.isAlias(decoded.right)
    ? wanted.startsWith(Oracle.hex(encoded))
    : wanted === Oracle.hex(encoded)
  return same ? [] : [`the binding ${Oracle.hex(data)} is written ${Oracle.hex(encoded)}`]
}

const lowerTarget = (data: Uint8Array): Uint8Array => {
  const end = Oracle.nameAt(data, 2)?.end ?? 2
  return data.map((octet, at) => at >= 2 && at < end && octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet)
}

// -----------------------------------------------------------------------------
// the lookup
// -----------------------------------------------------------------------------

/** What a lookup came to. */
export type Outcome = Exit.Exit<ReadonlyArray<Answer> | Either.Either<Records, ResolveError>, unknown>

/** More sockets than any chain of aliases, with every server asked as often as it may be, can need. */
const mostSockets = 400

export const judgeLookup = (
  { ask, randomizeCase }: Case,
  servers: ReadonlyArray<Address.SocketAddress>,
  sockets: ReadonlyArray<Heard>,
  outcome: Outcome
): ReadonlyArray<string> => {
  if (outcome._tag === "Failure") return [`the lookup ended with ${String(outcome.cause)}`]
  const violations: Array<string> = []
  const left = sockets.filter(({ open }) => open).length
  if (left > 0) violations.push(`${left} sockets are open after it`)
  if (sockets.length > mostSockets) violations.push(`it opened ${sockets.length} sockets`)
  const strange = sockets.find(({ request }) => !servers.some((server) => String(server) === String(request.address)))
  if (strange !== undefined) violations.push(`it asked ${strange.request.address}, which is no server of its`)
  const known = believe(sockets, randomizeCase)
  const astray = sockets.find(({ asked }) => asked !== undefined && !known.names.has(asked.question.name.toLowerCase()))
  if (astray !== undefined) violations.push(`it asked for ${astray.asked?.question.name}, to which nothing leads`)
  const found = outcome.value
  return Array.isArray(found)
    ? [...violations, ...judgeAnswers(found as ReadonlyArray<Answer>, ask, known)]
    : [...violations, ...judgeRecords(found as Either.Either<Records, ResolveError>, known)]
}

interface Known {
  /** The names that may be asked for. */
  readonly names: ReadonlySet<string>
  /** The addresses that may be told, in hexadecimal. */
  readonly addresses: ReadonlySet<string>
  /** The data of service bindings that may be told, in hexadecimal. */
  readonly bindings: ReadonlyArray<string>
  /** How many answers may be believed at all. */
  readonly answers: number
}

/** What may be believed: what stands in the answers to what was asked, by whom it was asked. */
const believe = (sockets: ReadonlyArray<Heard>, exactCase: boolean): Known => {
  const names = new Set([askedName])
  const answers = sockets.flatMap(({ asked, pieces, request }) => {
    if (asked === undefined) return []
    const { name, type } = asked.question
    const sent = { id: asked.id, name, type, exactCase }
    const messages = request.socketType === "stream" ? [firstOf(pieces)] : pieces
    return messages.flatMap((bytes) =>
      bytes !== undefined && Oracle.isAnswer(bytes, sent) ? [{ bytes, names: Oracle.namesIn(bytes, sent) }] : []
    )
  })
  for (const answer of answers) answer.names.forEach((name) => names.add(name))
  return {
    names,
    addresses: new Set(answers.flatMap(({ bytes, names }) => Oracle.addressesIn(bytes, names))),
    bindings: answers.flatMap(({ bytes }) =>
      Oracle.placesOf(bytes).flatMap(({ dataAt, length, type }) =>
        type === DnsMessage.typeCodes.HTTPS ? [Oracle.hex(lowerTarget(bytes.slice(dataAt, dataAt + length)))] : []
      )
    ),
    answers: answers.length
  }
}

const judgeAnswers = (answers: ReadonlyArray<Answer>, ask: Case["ask"], known: Known): ReadonlyArray<string> => {
  const kinds = answers.map((answer) => answer._tag === "Services" ? "services" : answer.family).toSorted().join()
  const wanted = ask === "services" ? "inet,inet6,services" : "inet,inet6"
  const told = answers.flatMap((answer) => answer._tag === "Addresses" ? answer.addresses : [])
  const bindings = answers.flatMap((answer) => answer._tag === "Services" ? answer.services : [])
  return [
    ...kinds === wanted ? [] : [`it told of ${kinds}, not of ${wanted}`],
    ...told.flatMap((address) =>
      known.addresses.has(Oracle.hex(Address.octets(address))) ? [] : [`it told of ${address}, which no answer has`]
    ),
    ...bindings.flatMap((binding) => {
      const data = Oracle.hex(ServiceBinding.encode(binding))
      return known.bindings.some((other) => other.startsWith(data))
        ? []
        : [`it told of the binding ${data}, which no answer has`]
    })
  ]
}

const judgeRecords = (found: Either.Either<Records, ResolveError>, known: Known): ReadonlyArray<string> => {
  if (Either.isLeft(found)) {
    return found.left._tag === "ResolveError" ? [] : ["it failed with an error of another kind"]
  }
  const { canonicalName, records } = found.right
  return [
    ...known.answers === 0 ? ["it found records though nobody answered"] : [],
    ...known.names.has(canonicalName) ? [] : [`it found records of ${canonicalName}, to which nothing leads`],
    ...records.length > 0 ? [] : ["it found no records, and did not say so"],
    ...records.flatMap((record) =>
      "address" in record && !known.addresses.has(Oracle.hex(Address.octets(record.address)))
        ? [`it found ${record.address}, which no answer has`]
        : []
    )
  ]
}
