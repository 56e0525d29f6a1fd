/**
 * How a service can be reached, as its SVCB or HTTPS record tells it (RFC 9460), and the bytes of such a record.
 *
 * The bytes are read strictly, as §2.2 wants: "If any RRs are malformed, the client MUST reject the entire RRSet".
 * `DnsMessage` does that.
 *
 * Not here: which record a dial takes (`Resolution`).
 *
 * @since 0.2.0
 */
import * as Either from "effect/Either"
import { fromOctets, type Ipv4Address, type Ipv6Address, octets, Port } from "./Address.js"

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
  /** The protocols offered, the default one not among them; `undefined` when the record says nothing of it. */
  readonly alpn?: ReadonlyArray<string> | undefined
  readonly noDefaultAlpn: boolean
  readonly port?: Port | undefined
  readonly ipv4Hint: ReadonlyArray<Ipv4Address>
  readonly ipv6Hint: ReadonlyArray<Ipv6Address>
  /** The ECHConfigList, undecoded. */
  readonly ech?: Uint8Array | undefined
  /** The keys a client must understand to use the record (RFC 9460 §8). */
  readonly mandatory: ReadonlyArray<number>
  /** Every parameter that is not one of the above, undecoded, by its key. */
  readonly others: ReadonlyMap<number, Uint8Array>
}

/**
 * The keys of RFC 9460 §14.3.2 that {@link ServiceBinding} has fields for.
 *
 * @since 0.2.0
 * @category models
 */
export const Key = { mandatory: 0, alpn: 1, noDefaultAlpn: 2, port: 3, ipv4Hint: 4, ech: 5, ipv6Hint: 6 } as const

/**
 * A record with nothing but a priority and a target; for tests and for records made by hand.
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (
  priority: number,
  target: string,
  parameters?: Partial<Omit<ServiceBinding, "priority" | "target">>
): ServiceBinding => ({
  priority,
  target,
  noDefaultAlpn: false,
  ipv4Hint: [],
  ipv6Hint: [],
  mandatory: [],
  others: new Map(),
  ...parameters
})

/**
 * Whether a client that knows RFC 9460's own keys can use the record (§8: it "MUST NOT" when it does not understand a
 * mandatory key). ECH is understood in so far as it can be left out: a connection without it is what there was before.
 *
 * @since 0.2.0
 * @category using
 */
export const isUsable = ({ mandatory }: ServiceBinding): boolean =>
  mandatory.every((key) => key <= Key.ipv6Hint && key !== Key.ech)

/**
 * The protocols a ServiceMode record offers, the scheme's default among them unless the record says otherwise (RFC 9460
 * §7.1.2).
 *
 * @since 0.2.0
 * @category using
 */
export const alpnOf = ({ alpn, noDefaultAlpn }: ServiceBinding, defaultAlpn: string): ReadonlyArray<string> =>
  noDefaultAlpn ? alpn ?? [] : [...alpn ?? [], defaultAlpn]

// -----------------------------------------------------------------------------
// bytes
// -----------------------------------------------------------------------------

/**
 * The RDATA of a record as a value; the reason in words when it is malformed (§2.2).
 *
 * @since 0.2.0
 * @category codec
 */
export const decode = (data: Uint8Array): Either.Either<ServiceBinding, string> => {
  if (data.length < 3) return Either.left("it is too short")
  const priority = uint16(data, 0)
  return Either.flatMap(
    targetName(data, 2),
    ({ end, target }) =>
      Either.flatMap(parametersOf(data, end), (parameters) =>
        Either.flatMap(fields(parameters), (known) => {
          const binding = { priority, target, ...known }
          const wrong = selfConsistent(binding, parameters)
          return wrong === undefined ? Either.right(binding) : Either.left(wrong)
        }))
  )
}

/** §2.2: TargetName is uncompressed. */
const targetName = (
  data: Uint8Array,
  start: number
): Either.Either<{ readonly target: string; readonly end: number }, string> => {
  const labels: Array<string> = []
  // let: a name is read label by label
  let at = start
  for (;;) {
    const length = data[at]
    if (length === undefined) return Either.left("its target name does not end")
    if (length === 0) break
    if (length > 63) return Either.left("its target name is compressed or has an unknown kind of label")
    const label = ascii(data.subarray(at + 1, at + 1 + length))
    if (label.length < length || !/^[A-Za-z0-9_-]+$/.test(label)) {
      return Either.left("its target name is not a host name")
    }
    labels.push(label.toLowerCase())
    at += length + 1
  }
  return at - start > 254
    ? Either.left("its target name is too long")
    : Either.right({ target: labels.join("."), end: at + 1 })
}

type Parameters = ReadonlyMap<number, Uint8Array>

const parametersOf = (data: Uint8Array, start: number): Either.Either<Parameters, string> => {
  const parameters = new Map<number, Uint8Array>()
  // let: parameters are read one after another, each with its own length; their keys go up
  let at = start
  let last = -1
  while (at < data.length) {
    if (at + 4 > data.length) return Either.left("a parameter is cut off")
    const key = uint16(data, at)
    const end = at + 4 + uint16(data, at + 2)
    if (end > data.length) return Either.left(`the value of key ${key} is cut off`)
    if (key <= last) return Either.left(`key ${key} does not come after ${last}`)
    parameters.set(key, data.slice(at + 4, end))
    at = end
    last = key
  }
  return Either.right(parameters)
}

const fields = (
  parameters: Parameters
): Either.Either<Omit<ServiceBinding, "priority" | "target">, string> => {
  const others = new Map([...parameters].filter(([key]) => key > Key.ipv6Hint))
  const alpn = parameters.get(Key.alpn)
  const port = parameters.get(Key.port)
  const ech = parameters.get(Key.ech)
  const mandatory = parameters.get(Key.mandatory)
  const ipv4Hint = parameters.get(Key.ipv4Hint)
  const ipv6Hint = parameters.get(Key.ipv6Hint)
  const ids = alpn === undefined ? undefined : protocols(alpn)
  if (alpn !== undefined && ids === undefined) return Either.left("its alpn is not a list of protocols")
  if (port !== undefined && port.length !== 2) return Either.left("its port is not two octets")
  if (parameters.get(Key.noDefaultAlpn)?.length ?? 0) return Either.left("its no-default-alpn has a value")
  if (mandatory !== undefined && (mandatory.length === 0 || mandatory.length % 2 !== 0)) {
    return Either.left("its mandatory keys are not a list of keys")
  }
  if (badHint(ipv4Hint, 4) || badHint(ipv6Hint, 16)) return Either.left("a hint is not a list of addresses")
  return Either.right({
    ...ids === undefined ? undefined : { alpn: ids },
    noDefaultAlpn: parameters.has(Key.noDefaultAlpn),
    ...port === undefined ? undefined : { port: Port(uint16(port, 0)) },
    ipv4Hint: chunks(ipv4Hint, 4).map((bytes) => Either.getOrThrow(fromOctets(bytes)) as Ipv4Address),
    ipv6Hint: chunks(ipv6Hint, 16).map((bytes) => Either.getOrThrow(fromOctets(bytes)) as Ipv6Address),
    ...ech === undefined ? undefined : { ech },
    mandatory: chunks(mandatory, 2).map((bytes) => uint16(bytes, 0)),
    others
  })
}

const badHint = (value: Uint8Array | undefined, size: number): boolean =>
  value !== undefined && (value.length === 0 || value.length % size !== 0)

/** §7.1.1: each protocol has its length, at least 1, before it; the list is not empty. */
const protocols = (value: Uint8Array): ReadonlyArray<string> | undefined => {
  const ids: Array<string> = []
  // let: each entry says where the next begins
  for (let at = 0; at < value.length;) {
    const length = value[at] ?? 0
    if (length === 0 || at + 1 + length > value.length) return undefined
    ids.push(ascii(value.subarray(at + 1, at + 1 + length)))
    at += 1 + length
  }
  return ids.length === 0 ? undefined : ids
}

/** What §7.1.1, §8 call malformed although each parameter by itself is not. */
const selfConsistent = ({ mandatory, priority }: ServiceBinding, parameters: Parameters): string | undefined => {
  if (priority === 0) return undefined
  const increasing = mandatory.every((key, index) => index === 0 || key > (mandatory[index - 1] ?? -1))
  if (!increasing) return "its mandatory keys are out of order or repeated"
  if (mandatory.includes(Key.mandatory)) return "mandatory is mandatory by itself"
  const missing = mandatory.find((key) => !parameters.has(key))
  if (missing !== undefined) return `the mandatory key ${missing} is missing`
  return parameters.has(Key.noDefaultAlpn) && !parameters.has(Key.alpn)
    ? "it has no-default-alpn without alpn"
    : undefined
}

/**
 * A record as RDATA: what a name server in a test says.
 *
 * @since 0.2.0
 * @category codec
 */
export const encode = (binding: ServiceBinding): Uint8Array => {
  const { alpn, ech, ipv4Hint, ipv6Hint, mandatory, noDefaultAlpn, others, port, priority, target } = binding
  const labels = target === "" ? [] : target.split(".").map((label) => prefixed(encoder.encode(label)))
  const known: ReadonlyArray<readonly [number, ReadonlyArray<number> | undefined]> = [
    [Key.mandatory, mandatory.length === 0 ? undefined : mandatory.flatMap(pair)],
    [Key.alpn, alpn?.flatMap((id) => prefixed(encoder.encode(id)))],
    [Key.noDefaultAlpn, noDefaultAlpn ? [] : undefined],
    [Key.port, port === undefined ? undefined : pair(port)],
    [Key.ipv4Hint, ipv4Hint.length === 0 ? undefined : ipv4Hint.flatMap((ip) => [...octets(ip)])],
    [Key.ech, ech === undefined ? undefined : [...ech]],
    [Key.ipv6Hint, ipv6Hint.length === 0 ? undefined : ipv6Hint.flatMap((ip) => [...octets(ip)])],
    ...[...others].toSorted(([self], [that]) => self - that).map(([key, value]) => [key, [...value]] as const)
  ]
  return Uint8Array.from([
    ...pair(priority),
    ...labels.flat(),
    0,
    ...known.flatMap(([key, value]) => value === undefined ? [] : [...pair(key), ...pair(value.length), ...value])
  ])
}

const uint16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

const pair = (n: number): ReadonlyArray<number> => [n >> 8, n & 255]

const prefixed = (bytes: Uint8Array): ReadonlyArray<number> => [bytes.length, ...bytes]

const chunks = (bytes: Uint8Array | undefined, size: number): ReadonlyArray<Uint8Array> =>
  bytes === undefined
    ? []
    : Array.from({ length: bytes.length / size }, (_, index) => bytes.subarray(index * size, (index + 1) * size))

const ascii = (bytes: Uint8Array): string => String.fromCharCode(...bytes)

const encoder = new TextEncoder()
