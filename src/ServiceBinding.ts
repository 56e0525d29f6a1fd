/**
 * How a service can be reached, as its SVCB or HTTPS record tells it (RFC 9460): the model, the RDATA, and the rules
 * that need no lookup.
 *
 * What must be true: {@link decode} takes what §2.2 calls well-formed and nothing else. That a malformed record spoils
 * its whole set is seen to by `DnsMessage.decode`, as only it knows the set.
 *
 * Not here: following aliases, shuffling equals (both need more than the records), the ECH that `ech` is for.
 *
 * @since 0.2.0
 */
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import * as Order_ from "effect/Order"
import * as Address from "./Address.js"
import { asBuffer, spanAt, textAt, WireError, wireName } from "./internal/dnsName.js"

// ---------------------------------------------------------------------------------------------------------------------
// model
// ---------------------------------------------------------------------------------------------------------------------

/**
 * One record. `priority` 0 is AliasMode: the service is wherever `target` is; anything else is ServiceMode, the lowest
 * first.
 *
 * @since 0.2.0
 * @category models
 */
export interface ServiceBinding {
  readonly priority: number
  /** The host that offers the service, lower-case without a trailing dot; `""` is the record's own name. */
  readonly target: string
  /**
   * The protocols offered, the default one not among them, an octet a character; `undefined` when the record says
   * nothing of it. See {@link alpnOf}.
   */
  readonly alpn?: ReadonlyArray<string> | undefined
  readonly noDefaultAlpn: boolean
  readonly port?: Address.Port | undefined
  readonly ipv4Hint: ReadonlyArray<Address.Ipv4Address>
  readonly ipv6Hint: ReadonlyArray<Address.Ipv6Address>
  /** The ECHConfigList, undecoded. */
  readonly ech?: Uint8Array | undefined
  /** The keys a client must understand to use the record (RFC 9460 §8), ascending. */
  readonly mandatory: ReadonlyArray<number>
  /** Every parameter that is not one of the above, undecoded, by its key. */
  readonly others: ReadonlyMap<number, Uint8Array>
}

/**
 * The SvcParamKeys of RFC 9460 §14.3.2 that have a field in {@link ServiceBinding}.
 *
 * @since 0.2.0
 * @category models
 */
export const keys = {
  mandatory: 0,
  alpn: 1,
  noDefaultAlpn: 2,
  port: 3,
  ipv4Hint: 4,
  ech: 5,
  ipv6Hint: 6
} as const

/**
 * The keys that a client which takes heed of every field but `ech` understands.
 *
 * @since 0.2.0
 * @category models
 */
export const understoodKeys: ReadonlySet<number> = new Set(Object.values(keys).filter((key) => key !== keys.ech))

/**
 * RDATA that RFC 9460 §2.2 calls malformed, or with a target whose name no text can stand for. `position` is the offset
 * of the octet in the RDATA.
 *
 * @since 0.2.0
 * @category errors
 */
export class MalformedBinding extends Data.TaggedError("MalformedBinding")<{
  readonly reason: string
  readonly position: number
}> {
  override get message(): string {
    return `not a service binding: ${this.reason} (octet ${this.position})`
  }
}

/**
 * A binding in ServiceMode with nothing said but what is given.
 *
 * @example
 * ```ts
 * import { Address, ServiceBinding } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const binding = ServiceBinding.make({ priority: 1, alpn: ["h2"], port: Address.Port(8443) })
 * assert.deepStrictEqual(ServiceBinding.alpnOf(binding, ["http/1.1"]), ["h2", "http/1.1"])
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (
  fields: { readonly priority: number } & Partial<ServiceBinding>
): ServiceBinding => ({
  target: "",
  noDefaultAlpn: false,
  ipv4Hint: [],
  ipv6Hint: [],
  mandatory: [],
  others: new Map(),
  ...fields
})

// ---------------------------------------------------------------------------------------------------------------------
// rules
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Whether the record is in AliasMode (RFC 9460 §2.4.2).
 *
 * @since 0.2.0
 * @category rules
 */
export const isAlias = (binding: ServiceBinding): boolean => binding.priority === 0

/**
 * The name to look up, given the owner of the record: the owner itself for a ServiceMode target of `"."` (RFC 9460
 * §2.5.2), `undefined` for an AliasMode one, which says that there is no such service (§2.5.1).
 *
 * @since 0.2.0
 * @category rules
 */
export const targetOf = (binding: ServiceBinding, owner: string): string | undefined => {
  if (binding.target !== "") return binding.target
  return isAlias(binding) ? undefined : owner
}

/**
 * Whether a client that understands these keys may use the record: it is self-consistent (RFC 9460 §2.4.3), no
 * mandatory key is unknown (§8), among them `port` and `no-default-alpn` where they are present, as HTTPS has it (§9),
 * and its port can be connected to. An AliasMode record has no parameters, so it always may.
 *
 * @since 0.2.0
 * @category rules
 */
export const isUsable = (binding: ServiceBinding, understood: ReadonlySet<number> = understoodKeys): boolean =>
  isAlias(binding) || (
    (binding.alpn !== undefined || !binding.noDefaultAlpn) &&
    binding.port !== 0 &&
    binding.mandatory.every((key) => understood.has(key) && has(binding, key)) &&
    automaticallyMandatory.every((key) => understood.has(key) || !has(binding, key))
  )

const automaticallyMandatory: ReadonlyArray<number> = [keys.noDefaultAlpn, keys.port]

const has = (binding: ServiceBinding, key: number): boolean => parameters(binding).some(([present]) => present === key)

/**
 * The protocols that the endpoint offers, given those that are the default of the scheme, `["http/1.1"]` for HTTPS
 * (RFC 9460 §7.1.2's "SVCB ALPN set").
 *
 * @since 0.2.0
 * @category rules
 */
export const alpnOf = (binding: ServiceBinding, defaultAlpn: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(new Set([...binding.alpn ?? [], ...(binding.noDefaultAlpn ? [] : defaultAlpn)]))

/**
 * The order in which records are to be tried, the lowest priority first; sorting by it keeps the order of equals, which
 * the caller shuffles beforehand (RFC 9460 §2.4.1).
 *
 * @since 0.2.0
 * @category rules
 */
export const Order: Order_.Order<ServiceBinding> = Order_.mapInput(Order_.number, ({ priority }) => priority)

/**
 * The records of one set that count, in {@link Order}: those in AliasMode if there are any, as all others are then to
 * be ignored (RFC 9460 §2.4.1), else those that {@link isUsable}.
 *
 * @since 0.2.0
 * @category rules
 */
export const usable = (
  set: ReadonlyArray<ServiceBinding>,
  understood: ReadonlySet<number> = understoodKeys
): ReadonlyArray<ServiceBinding> => {
  const aliases = set.filter(isAlias)
  return aliases.length > 0
    ? aliases
    : set.filter((binding) => isUsable(binding, understood)).toSorted(Order)
}

// ---------------------------------------------------------------------------------------------------------------------
// RDATA
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The RDATA of an SVCB or HTTPS record as a binding. The parameters of an AliasMode record are left out, whatever they
 * are (RFC 9460 §2.4.2).
 *
 * @since 0.2.0
 * @category codec
 */
export const decode = (rdata: Uint8Array): Either.Either<ServiceBinding, MalformedBinding> =>
  Either.try({
    try: () => read(rdata),
    catch: (cause) =>
      cause instanceof WireError
        ? new MalformedBinding({ position: cause.position, reason: cause.reason })
        : new MalformedBinding({ position: 0, reason: String(cause) })
  })

const read = (rdata: Uint8Array): ServiceBinding => {
  if (rdata.length < 3) throw new WireError(rdata.length, "it ends before its target")
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.byteLength)
  const name = spanAt(rdata, 2, false)
  if (!name.plain) throw new WireError(2, "its target is no name of a host")
  const fields = {
    priority: view.getUint16(0),
    target: textAt(asBuffer(rdata), 2).toLowerCase()
  }
  const values = split(rdata, view, name.end, -1)
  return make(fields.priority === 0 ? fields : { ...fields, ...valuesOf(values) })
}

type Values = ReadonlyArray<readonly [key: number, value: Uint8Array, position: number]>

const split = (rdata: Uint8Array, view: DataView, start: number, last: number): Values => {
  const values: Array<Values[number]> = []
  // let: a cursor; there can be 16,000 parameters, too many for recursion.
  let at = start
  // let: the key before, which the next one must be above
  let previous = last
  while (at < rdata.length) {
    if (at + 4 > rdata.length) throw new WireError(at, "it ends inside a parameter")
    const key = view.getUint16(at)
    const end = at + 4 + view.getUint16(at + 2)
    if (key <= previous) throw new WireError(at, `key ${key} follows key ${previous}`)
    if (end > rdata.length) throw new WireError(at, "it ends inside a parameter")
    values.push([key, rdata.slice(at + 4, end), at + 4])
    previous = key
    at = end
  }
  return values
}

const valuesOf = (values: Values): Partial<ServiceBinding> => {
  const others = new Map<number, Uint8Array>()
  const fields = values.map(([key, value, position]): Partial<ServiceBinding> => {
    const wrong = (reason: string): never => {
      throw new WireError(position, reason)
    }
    switch (key) {
      case keys.mandatory:
        return { mandatory: mandatoryOf(value, wrong) }
      case keys.alpn:
        return { alpn: protocolsOf(value, wrong) }
      case keys.noDefaultAlpn:
        return value.length === 0 ? { noDefaultAlpn: true } : wrong("no-default-alpn has a value")
      case keys.port:
        return value.length === 2
          ? { port: Address.Port(pairsOf(value)[0] as number) }
          : wrong("port is not two octets")
      case keys.ipv4Hint:
        return { ipv4Hint: hintsOf<Address.Ipv4Address>(value, 4, wrong) }
      case keys.ech:
        return value.length > 0 ? { ech: value } : wrong("ech is empty")
      case keys.ipv6Hint:
        return { ipv6Hint: hintsOf<Address.Ipv6Address>(value, 16, wrong) }
      default:
        others.set(key, value)
        return {}
    }
  })
  return Object.assign({ others }, ...fields) as Partial<ServiceBinding>
}

const pairsOf = (value: Uint8Array): ReadonlyArray<number> =>
  Array.from({ length: value.length / 2 }, (_, n) => ((value[2 * n] as number) << 8) | (value[2 * n + 1] as number))

// §8: "the keys are represented by their numeric values in network byte order, concatenated in strictly increasing
// numeric order", and key 0 "MUST NOT appear in its own value-list".
const mandatoryOf = (value: Uint8Array, wrong: (reason: string) => never): ReadonlyArray<number> => {
  if (value.length === 0 || value.length % 2 !== 0) return wrong("mandatory is not a list of keys")
  const listed = pairsOf(value)
  if (listed[0] === keys.mandatory) return wrong("mandatory lists itself")
  return listed.every((key, n) => n === 0 || key > (listed[n - 1] as number))
    ? listed
    : wrong("the keys of mandatory do not increase")
}

// §7.1.1: "These pairs MUST exactly fill the SvcParamValue; otherwise, the SvcParamValue is malformed."
const protocolsOf = (value: Uint8Array, wrong: (reason: string) => never): ReadonlyArray<string> => {
  const protocols: Array<string> = []
  // let: a cursor; there can be 32,000 protocols, too many for recursion.
  let at = 0
  while (at < value.length) {
    const length = value[at] as number
    if (length === 0 || at + 1 + length > value.length) return wrong("alpn is not a list of protocols")
    protocols.push(Array.from(value.subarray(at + 1, at + 1 + length), (octet) => String.fromCharCode(octet)).join(""))
    at += 1 + length
  }
  return protocols.length > 0 ? protocols : wrong("alpn is empty")
}

const hintsOf = <A extends Address.IpAddress>(
  value: Uint8Array,
  octets: 4 | 16,
  wrong: (reason: string) => never
): ReadonlyArray<A> => {
  if (value.length === 0 || value.length % octets !== 0) return wrong(`a hint is not of ${octets} octets`)
  return Array.from(
    { length: value.length / octets },
    (_, n) => Either.getOrThrow(Address.fromOctets(value.subarray(n * octets, (n + 1) * octets))) as A
  )
}

/**
 * A binding as RDATA, in the order that RFC 9460 §2.2 asks for. It checks only the target, and throws
 * `MalformedBinding` for one that is no name: what a name server in a test says may be wrong in every other way.
 *
 * @since 0.2.0
 * @category codec
 */
export const encode = (binding: ServiceBinding): Uint8Array => {
  const target = Either.getOrThrowWith(
    Either.try(() => wireName(binding.target)),
    () => new MalformedBinding({ position: 2, reason: "its target is no name of a host" })
  )
  const sorted = parameters(binding).toSorted(([one], [other]) => one - other)
  return Uint8Array.from([...pair(binding.priority), ...target, ...sorted.flatMap(parameterOctets)])
}

const parameterOctets = (
  [key, value]: readonly [number, Uint8Array | ReadonlyArray<number>]
): ReadonlyArray<number> => [
  ...pair(key),
  ...pair(value.length),
  ...value
]

const pair = (number: number): ReadonlyArray<number> => [number >>> 8, number & 0xff]

const octetsOf = (addresses: ReadonlyArray<Address.IpAddress>): ReadonlyArray<number> =>
  addresses.flatMap((address) => [...Address.octets(address)])

const parameters = (
  binding: ServiceBinding
): ReadonlyArray<readonly [key: number, value: ReadonlyArray<number> | Uint8Array]> => [
  ...(binding.mandatory.length === 0 ? [] : [[keys.mandatory, binding.mandatory.flatMap(pair)] as const]),
  ...(binding.alpn === undefined
    ? []
    : [
      [
        keys.alpn,
        binding.alpn.flatMap((protocol) => [protocol.length, ...Array.from(protocol, (char) => char.charCodeAt(0))])
      ] as const
    ]),
  ...(binding.noDefaultAlpn ? [[keys.noDefaultAlpn, []] as const] : []),
  ...(binding.port === undefined ? [] : [[keys.port, pair(binding.port)] as const]),
  ...(binding.ipv4Hint.length === 0 ? [] : [[keys.ipv4Hint, octetsOf(binding.ipv4Hint)] as const]),
  ...(binding.ech === undefined ? [] : [[keys.ech, binding.ech] as const]),
  ...(binding.ipv6Hint.length === 0 ? [] : [[keys.ipv6Hint, octetsOf(binding.ipv6Hint)] as const]),
  ...binding.others
]
