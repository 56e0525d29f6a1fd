/**
 * `dial resolve NAME`: what a name resolves to, and the order in which a dial would attempt its addresses, and why.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { IpAddress } from "../Address.js"
import * as AddressPlan from "../AddressPlan.js"
import * as AddressSelection from "../AddressSelection.js"
import type { ResolveError } from "../DialError.js"
import type { DnsRecord, RecordType } from "../DnsMessage.js"
import { DnsResolver } from "../DnsResolver.js"
import type { DomainName } from "../Endpoint.js"
import { noAddress } from "../internal/journal.js"
import { printable } from "../internal/printable.js"
import { type Answer, Resolver } from "../Resolver.js"
import { SourceAddress } from "../SourceAddress.js"
import { type Line, paint, part } from "./lines.js"
import { hasColour, type StdioError, write } from "./stdio.js"
import { reasonText, recordType, serviceText } from "./words.js"

interface Options {
  readonly json: boolean
}

/** Show every answer as it comes, then the order; fails when the name has no address. */
export const resolve = (
  name: DomainName,
  { json }: Options
): Effect.Effect<void, ResolveError | StdioError, Resolver | SourceAddress> =>
  Effect.gen(function*() {
    const { resolve } = yield* Resolver
    const answers: Array<Answer> = []
    yield* Stream.runForEach(resolve(name), (answer) => {
      answers.push(answer)
      return json ? writeJson(answerJson(answer)) : writeLine(answerLine(answer))
    })
    const found = answers.flatMap((answer) => answer._tag === "Addresses" ? answer.addresses : [])
    if (found.length === 0) {
      const errors = answers.flatMap((answer) => answer._tag === "NoAddresses" ? [answer.error] : [])
      return yield* noAddress(String(name), errors)
    }
    const ranks = yield* rank(found)
    yield* json
      ? Effect.forEach(ranks, (rank) => writeJson(rankJson(rank)), { discard: true })
      : Effect.zipRight(
        writeLine([part("order", "strong")]),
        Effect.forEach(ranks, (rank) => writeLine(rankLine(rank)), { discard: true })
      )
  })

/** Show the records of one type; fails when the name has none. */
export const records = (
  name: DomainName,
  type: RecordType,
  { json }: Options
): Effect.Effect<void, ResolveError | StdioError, DnsResolver> =>
  Effect.gen(function*() {
    const { query } = yield* DnsResolver
    const { records } = yield* query(name, type)
    yield* Effect.forEach(records, (record) => {
      const { name, timeToLive } = record
      const data = dataText(record)
      return json
        ? writeJson({ _tag: "Record", type, name, timeToLive, data })
        : writeLine([part(`${type.padEnd(5)}  `), part(data, "answered"), part(`  ${timeToLive} s`, "faint")])
    }, { discard: true })
  })

// -----------------------------------------------------------------------------
// the order
// -----------------------------------------------------------------------------

interface Rank {
  readonly place: number
  readonly address: IpAddress
  readonly source: IpAddress | undefined
  /** The rule that put the one before it first. */
  readonly because: string | undefined
}

const rank = (addresses: ReadonlyArray<IpAddress>): Effect.Effect<ReadonlyArray<Rank>, never, SourceAddress> =>
  Effect.gen(function*() {
    const sourceAddress = Option.some(yield* SourceAddress)
    const six = addresses.filter(({ family }) => family === "inet6")
    const sorted = yield* AddressSelection.select([...six, ...addresses.filter((ip) => !six.includes(ip))], {
      sourceAddress
    })
    const plan = AddressPlan.interleave(sorted.map(({ address }) => address))
    return plan.map((address, index) => {
      const own = candidateOf(sorted, address)
      const before = candidateOf(sorted, plan[index - 1])
      return {
        place: index + 1,
        address,
        source: own?.source === undefined ? undefined : Option.getOrUndefined(own.source),
        because: own === undefined || before === undefined ? undefined : because(before, own)
      }
    })
  })

const candidateOf = (candidates: ReadonlyArray<AddressSelection.Candidate>, address: IpAddress | undefined) =>
  candidates.find((candidate) => candidate.address === address)

const because = (before: AddressSelection.Candidate, own: AddressSelection.Candidate): string => {
  const { order, rule } = AddressSelection.compare(before, own)
  // The one before stands there although the rules would have it otherwise: its family's turn had come.
  return order > 0 ? "RFC 8305 §4: the families alternate" : AddressSelection.ruleText[rule]
}

const rankLine = ({ address, because, place, source }: Rank): Line => [
  part(`  ${place}  ${address}`),
  part(source === undefined ? "" : `  from ${source}`, "faint"),
  part(because === undefined ? "" : `  after ${place - 1} by ${because}`, "faint")
]

const rankJson = ({ address, because, place, source }: Rank) => ({
  _tag: "Order",
  place,
  address: String(address),
  source: source && String(source),
  because
})

// -----------------------------------------------------------------------------
// answers and records
// -----------------------------------------------------------------------------

const seconds = (timeToLive: Duration.Duration | undefined): number | undefined =>
  timeToLive === undefined ? undefined : Duration.toSeconds(timeToLive)

const kindOf = (answer: Answer): string => answer._tag === "Services" ? "HTTPS" : recordType(answer.family)

const answerLine = (answer: Answer): Line => {
  const ttl = seconds(answer.timeToLive)
  const head = part(`${kindOf(answer).padEnd(5)}  `)
  const tail = part(ttl === undefined ? "" : `  ${ttl} s`, "faint")
  switch (answer._tag) {
    case "Addresses":
      return [head, part(answer.addresses.join(", "), "answered"), tail]
    case "Services":
      return [head, part(answer.services.map(serviceText).join(", "), "answered"), tail]
    case "NoAddresses":
      return [
        head,
        part(reasonText(answer.error.reason), answer.error.reason === "NotFound" ? "faint" : "failed"),
        tail
      ]
  }
}

const answerJson = (answer: Answer) => ({
  _tag: answer._tag,
  type: kindOf(answer),
  timeToLive: seconds(answer.timeToLive),
  ...answer._tag === "Addresses"
    ? { addresses: answer.addresses.map(String) }
    : answer._tag === "NoAddresses"
    ? { reason: answer.error.reason, code: answer.error.code }
    : { services: answer.services.map(serviceText) }
})

const dataText = (record: DnsRecord): string => {
  switch (record.type) {
    case "A":
    case "AAAA":
      return String(record.address)
    case "CNAME":
    case "NS":
    case "PTR":
      return record.target
    case "SRV":
      return `${record.priority} ${record.weight} ${record.port} ${record.target}`
    case "MX":
      return `${record.preference} ${record.target}`
    case "TXT":
      return record.texts.map((text) => JSON.stringify(new TextDecoder().decode(text))).join(" ")
    case "HTTPS":
    case "SVCB":
      return serviceText(record.binding)
    case "SOA":
      return `${record.primary} ${record.mailbox} ${record.serial} ${record.refresh} ${record.retry} ${record.expire} ${record.minimum}`
    case "Other":
      return `${record.data.length} octets`
  }
}

const writeLine = (line: Line): Effect.Effect<void, StdioError> => write(`${paint(line, hasColour())}\n`)

const writeJson = (value: unknown): Effect.Effect<void, StdioError> => write(`${printable(JSON.stringify(value))}\n`)
