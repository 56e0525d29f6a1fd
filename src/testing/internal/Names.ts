/**
 * The simulated resolver: records with delays, faults and changes.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Address from "../../Address.js"
import { ResolveError } from "../../DialError.js"
import type { DomainName } from "../../Endpoint.js"
import { type Answer, families, type IpFamily, noAddresses } from "../../Resolver.js"
import type { NameFault } from "../Fault.js"
import type { FamilyRecord, FamilyRecords, NameRecord } from "../Topology.js"
import type { NetworkEvent } from "../Trace.js"

interface Prepared {
  readonly answer: ReadonlyArray<Address.IpAddress> | NameFault
  readonly delay: Duration.Duration
  readonly timeToLive: Duration.Duration | undefined
}

type Lookup = { readonly [F in IpFamily]: Prepared }

const missing: NameFault = { _tag: "NoSuchName", reason: "NotFound" }

const isFault = (record: object): record is NameFault => "_tag" in record

const isList = (record: object): record is ReadonlyArray<string> => Array.isArray(record)

export class Names {
  private readonly records = new Map<string, { readonly lookups: ReadonlyArray<Lookup>; asked: number }>()
  private lookups = 0
  /** Lookups under way, and where they were asked for. */
  readonly pending = new Map<number, { readonly name: string; readonly host: string; readonly since: number }>()

  constructor(
    records: { readonly [name: string]: NameRecord },
    private readonly now: () => number,
    private readonly record: (event: NetworkEvent) => void
  ) {
    for (const [name, given] of Object.entries(records)) this.set(name, given)
  }

  set(name: string, given: NameRecord): void {
    const sequence = "sequence" in given ? given.sequence : [given]
    this.records.set(key(name), { lookups: sequence.map(prepare), asked: 0 })
  }

  resolve(host: string, name: DomainName): Stream.Stream<Answer, ResolveError> {
    return Stream.unwrapScoped(Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const id = ++this.lookups
          this.record({ _tag: "Lookup", at: this.now(), host, lookup: id, name: String(name) })
          this.pending.set(id, { name: String(name), host, since: this.now() })
          return id
        }),
        (id) => Effect.sync(() => this.pending.delete(id))
      ),
      (id) => {
        const known = this.records.get(key(String(name)))
        const lookup = known?.lookups[Math.min(known.asked++, known.lookups.length - 1)] ?? nowhere
        // One after another, in the order of their delays: a Stream of fibers costs more than a whole connection.
        const order = families.toSorted((self, that) => dueAt(lookup[self]) - dueAt(lookup[that]))
        const startedAt = this.now()
        return Stream.mapEffect(Stream.fromIterable(order), (family) => {
          const answer = this.answer(host, id, name, family, lookup[family])
          const wait = Duration.toMillis(lookup[family].delay) - (this.now() - startedAt)
          return wait > 0 ? Effect.delay(answer, wait) : answer
        })
      }
    ))
  }

  private answer(
    host: string,
    lookup: number,
    name: DomainName,
    family: IpFamily,
    prepared: Prepared
  ): Effect.Effect<Answer, ResolveError> {
    const { answer, timeToLive } = prepared
    const say = (text: string) => this.record({ _tag: "Answer", at: this.now(), host, lookup, family, answer: text })
    return Effect.suspend((): Effect.Effect<Answer, ResolveError> => {
      if (!isFault(answer)) {
        if (answer.length > 0) {
          say(answer.join(" "))
          return Effect.succeed({ _tag: "Addresses", family, addresses: answer, timeToLive })
        }
        say("NotFound")
        return Effect.succeed(negative(name, family, "NotFound"))
      }
      switch (answer._tag) {
        case "NoSuchName":
          say(answer.reason)
          return Effect.succeed(negative(name, family, answer.reason))
        case "NoAnswer":
          return Effect.never
        case "ResolverFails":
          say(`the resolver fails: ${answer.reason}`)
          return Effect.fail(new ResolveError({ host: String(name), reason: answer.reason }))
      }
    })
  }
}

/** When a family is answered, in milliseconds after the question; never comes last. */
const dueAt = ({ answer, delay }: Prepared): number =>
  isFault(answer) && answer._tag === "NoAnswer" ? Number.MAX_VALUE : Duration.toMillis(delay)

const negative = (name: DomainName, family: IpFamily, reason: ResolveError["reason"]): Answer =>
  noAddresses(family, new ResolveError({ host: String(name), family, reason }))

const prepare = (record: NameRecord): Lookup => {
  if ("sequence" in record) return prepare(record.sequence[0])
  if (isFault(record)) return { inet: prepareFamily(record), inet6: prepareFamily(record) }
  if (!isList(record)) return prepareFamilies(record)
  const addresses = record.map(Address.unsafeParse)
  const of = (family: IpFamily) => plain(addresses.filter((address) => address.family === family))
  return { inet: of("inet"), inet6: of("inet6") }
}

const prepareFamilies = (records: FamilyRecords): Lookup => ({
  inet: prepareFamily(records.inet ?? missing),
  inet6: prepareFamily(records.inet6 ?? missing)
})

const prepareFamily = (record: FamilyRecord): Prepared => {
  if (isList(record)) return plain(record.map(Address.unsafeParse))
  if (isFault(record)) return plain(record)
  const { answer, delay, timeToLive } = record
  return {
    answer: isList(answer) ? answer.map(Address.unsafeParse) : answer,
    delay: Duration.decode(delay ?? 0),
    timeToLive: timeToLive === undefined ? undefined : Duration.decode(timeToLive)
  }
}

const plain = (answer: Prepared["answer"]): Prepared => ({ answer, delay: Duration.zero, timeToLive: undefined })

const nowhere: Lookup = prepare(missing)

const key = (name: string): string => name.toLowerCase().replace(/\.$/, "")
