/**
 * Addresses as values: IPv4 and IPv6 (RFC 4291, printed by RFC 5952, with the zones of RFC 4007), ports, UNIX socket
 * paths, and the socket addresses made of them.
 *
 * Parsing is strict: a text is an address in the one form that every system reads alike, or it is an `InvalidAddress`
 * that names the position and the reason. Nothing here looks up a name or asks the platform anything; what a user
 * writes to name a peer is `Endpoint`.
 *
 * The classes are exported for what they hold. Their constructors check nothing and are for values already known good
 * (an adapter reading what the kernel said); everyone else calls the functions beside them.
 *
 * @since 0.1.0
 */
import * as Brand from "effect/Brand"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Order_ from "effect/Order"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { InvalidAddress } from "./DialError.js"
import * as Text from "./internal/addressText.js"
import { Textual } from "./internal/textual.js"

// ---------------------------------------------------------------------------------------------------------------------
// kinds of socket
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The family of an address: `"inet"` is AF_INET, `"inet6"` AF_INET6, `"unix"` AF_UNIX (Twisted: `addressFamily`).
 *
 * @since 0.1.0
 * @category kinds of socket
 */
export type AddressFamily = "inet" | "inet6" | "unix"

/**
 * The type of a socket: `"stream"` is SOCK_STREAM, `"dgram"` SOCK_DGRAM (Twisted: `socketType`).
 *
 * @since 0.1.0
 * @category kinds of socket
 */
export type SocketType = "stream" | "dgram"

// ---------------------------------------------------------------------------------------------------------------------
// IP addresses
// ---------------------------------------------------------------------------------------------------------------------

/**
 * An IPv4 address; `bits` is its value as an unsigned 32-bit integer, 127.0.0.1 being `0x7f000001`.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export class Ipv4Address extends Textual {
  readonly _tag = "Ipv4Address"

  constructor(readonly bits: number) {
    super()
  }

  get family(): "inet" {
    return "inet"
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Ipv4Address && this.bits === that.bits
  }

  [Hash.symbol](): number {
    return Hash.number(this.bits)
  }

  toString(): string {
    return Text.ipv4Text(this.bits)
  }
}

/**
 * The eight 16-bit groups of an IPv6 address, the first written one first.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export type Ipv6Groups = readonly [number, number, number, number, number, number, number, number]

/**
 * An IPv6 address: `groups` are its eight 16-bit groups in order, `zone` the interface it is meant on.
 *
 * A zone is an interface's name (`"eth0"`) or number (`"2"`), or `undefined` when the address is the same wherever one
 * stands. It is kept as it was written, since interface names tell upper from lower case.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export class Ipv6Address extends Textual {
  readonly _tag = "Ipv6Address"

  constructor(readonly groups: Ipv6Groups, readonly zone: string | undefined) {
    super()
  }

  get family(): "inet6" {
    return "inet6"
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Ipv6Address && this.zone === that.zone &&
      this.groups.every((group, index) => group === that.groups[index])
  }

  [Hash.symbol](): number {
    const hash = Hash.array(this.groups)
    return this.zone === undefined ? hash : Hash.combine(Hash.string(this.zone))(hash)
  }

  toString(): string {
    const text = Text.ipv6Text(this.groups)
    return this.zone === undefined ? text : `${text}%${this.zone}`
  }
}

/**
 * An IPv4 or an IPv6 address, told apart by `_tag` or by `family`.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export type IpAddress = Ipv4Address | Ipv6Address

/**
 * Tells whether a value is an IPv4 or IPv6 address of this module.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const isIpAddress = (u: unknown): u is IpAddress => u instanceof Ipv4Address || u instanceof Ipv6Address

const invalid = (kind: InvalidAddress["kind"], input: string) => (problem: Text.Problem): InvalidAddress =>
  new InvalidAddress({ kind, input, position: problem.position, reason: problem.reason })

const orThrow = <A, E>(result: Either.Either<A, E>): A => Either.getOrThrowWith(result, (error) => error)

/**
 * Parses an IPv4 address: four decimal numbers from 0 to 255 without leading zeros.
 *
 * The octal, hexadecimal, short and integer forms that `inet_aton` takes (`012.1.2.3`, `0x7f.1`, `127.1`,
 * `2130706433`) fail with `InvalidAddress`: systems disagree on what they mean.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const parseIpv4 = (text: string): Either.Either<Ipv4Address, InvalidAddress> =>
  Either.mapBoth(Text.parseIpv4Bits(text), {
    onLeft: invalid("ipv4", text),
    onRight: (bits) => new Ipv4Address(bits)
  })

/**
 * Parses an IPv6 address as RFC 4291 §2.2 writes it, with a zone where it can have one.
 *
 * A zone follows `%` as it is, without percent-encoding (RFC 9844): 1 to 64 letters, digits and `. _ ~ -`. It stands
 * only with link-local addresses, fe80::/10 and the interface-local and link-local multicast ff01 and ff02: on every
 * other address Linux ignores it, so one written there is a mistake and fails with `InvalidAddress`.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const parseIpv6 = (text: string): Either.Either<Ipv6Address, InvalidAddress> => {
  const percent = text.indexOf("%")
  const groups = Text.parseIpv6Groups(percent < 0 ? text : text.slice(0, percent))
  if (Either.isLeft(groups)) return Either.left(invalid("ipv6", text)(groups.left))
  if (percent < 0) return Either.right(new Ipv6Address(groups.right, undefined))
  return Either.mapBoth(Text.shifted(Text.checkZone(text.slice(percent + 1), groups.right), percent + 1), {
    onLeft: invalid("zone", text),
    onRight: (zone) => new Ipv6Address(groups.right, zone)
  })
}

/**
 * Parses an IPv4 or IPv6 address, or fails with `InvalidAddress`; a text with a `:` is read as IPv6.
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import * as Address from "effect-dial/Address"
 * import * as assert from "node:assert"
 *
 * const ip = Either.getOrThrow(Address.parse("2001:DB8:0:0:0:0:0:1"))
 * assert.strictEqual(String(ip), "2001:db8::1")
 *
 * const short = Either.flip(Address.parse("127.1"))
 * assert.strictEqual(Either.getOrThrow(short).reason, "it has 2 parts, four are needed")
 * ```
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const parse = (text: string): Either.Either<IpAddress, InvalidAddress> =>
  text.includes(":") ? parseIpv6(text) : parseIpv4(text)

/**
 * Parses an address that the program's author wrote; throws the `InvalidAddress` that {@link parse} fails with.
 *
 * @example
 * ```ts
 * import { Equal } from "effect"
 * import * as Address from "effect-dial/Address"
 * import * as assert from "node:assert"
 *
 * const loopback = Address.unsafeParse("::1")
 * assert.ok(Address.isLoopback(loopback))
 * assert.ok(Equal.equals(loopback, Address.unsafeParse("0:0:0:0:0:0:0:1")))
 * ```
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const unsafeParse = (text: string): IpAddress => orThrow(parse(text))

/**
 * The octets of an address in network order: 4 for IPv4, 16 for IPv6, whose zone is not among them.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const octets = (ip: IpAddress): Uint8Array =>
  ip._tag === "Ipv4Address"
    ? Uint8Array.of(ip.bits >>> 24, ip.bits >>> 16, ip.bits >>> 8, ip.bits)
    : Uint8Array.from(ip.groups.flatMap((group) => [group >>> 8, group & 0xff]))

/**
 * The address that 4 or 16 octets in network order stand for; any other number of them fails with `InvalidAddress`.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const fromOctets = (bytes: Uint8Array): Either.Either<IpAddress, InvalidAddress> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const pair = (index: number): number => view.getUint16(index * 2)
  if (bytes.length === 4) return Either.right(new Ipv4Address(view.getUint32(0)))
  if (bytes.length === 16) {
    return Either.right(
      new Ipv6Address([pair(0), pair(1), pair(2), pair(3), pair(4), pair(5), pair(6), pair(7)], undefined)
    )
  }
  return Either.left(
    new InvalidAddress({
      kind: bytes.length < 4 ? "ipv4" : "ipv6",
      input: Array.from(bytes.subarray(0, 17), (byte) => byte.toString(16).padStart(2, "0")).join(" "),
      position: 0,
      reason: `an address is 4 or 16 octets, not ${bytes.length}`
    })
  )
}

/**
 * Tells whether an address is an IPv4 address inside IPv6, `::ffff:0:0/96` (RFC 4291 §2.5.5.2).
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const isIpv4Mapped = (ip: IpAddress): boolean => ip._tag === "Ipv6Address" && Text.isMappedGroups(ip.groups)

/**
 * The IPv4 address inside an IPv4-mapped one; any other address unchanged.
 *
 * @example
 * ```ts
 * import * as Address from "effect-dial/Address"
 * import * as assert from "node:assert"
 *
 * assert.strictEqual(String(Address.unmap(Address.unsafeParse("::ffff:c000:201"))), "192.0.2.1")
 * ```
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const unmap = (ip: IpAddress): IpAddress =>
  ip._tag === "Ipv6Address" && Text.isMappedGroups(ip.groups) ? new Ipv4Address(Text.mappedBits(ip.groups)) : ip

// The kernel treats a mapped address as the IPv4 address in it, so that is what the predicates judge. A filter which
// refuses 127.0.0.1 and lets ::ffff:127.0.0.1 pass has refused nothing.
const judged =
  (onIpv4: (bits: number) => boolean, onIpv6: (groups: Ipv6Groups) => boolean) => (ip: IpAddress): boolean => {
    const address = unmap(ip)
    return address._tag === "Ipv4Address" ? onIpv4(address.bits) : onIpv6(address.groups)
  }

const endsWith = (groups: Ipv6Groups, last: number): boolean =>
  groups.every((group, index) => group === (index === 7 ? last : 0))

/**
 * Tells whether an address is of this host itself: 127.0.0.0/8 or `::1`, also where IPv4-mapped.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const isLoopback: (ip: IpAddress) => boolean = judged(
  (bits) => bits >>> 24 === 127,
  (groups) => endsWith(groups, 1)
)

/**
 * Tells whether an address is unicast on one link: 169.254.0.0/16 (RFC 3927) or fe80::/10, also where IPv4-mapped.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const isLinkLocal: (ip: IpAddress) => boolean = judged(
  (bits) => bits >>> 16 === 0xa9fe,
  (groups) => (groups[0] & 0xffc0) === 0xfe80
)

/**
 * Tells whether an address stands for "any": `0.0.0.0` or `::`, also where IPv4-mapped.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const isUnspecified: (ip: IpAddress) => boolean = judged((bits) => bits === 0, (groups) => endsWith(groups, 0))

/**
 * Tells whether an address is of a group: 224.0.0.0/4 or ff00::/8, also where IPv4-mapped.
 *
 * @since 0.1.0
 * @category IP addresses
 */
export const isMulticast: (ip: IpAddress) => boolean = judged(
  (bits) => bits >>> 28 === 0xe,
  (groups) => groups[0] >>> 8 === 0xff
)

// ---------------------------------------------------------------------------------------------------------------------
// ports
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A port: an integer from 0 to 65535, 0 meaning "the system chooses" where a local address is asked for.
 *
 * @since 0.1.0
 * @category ports
 */
export type Port = number & Brand.Brand<"Port">

/**
 * Makes a port of a number; `Port(n)` throws `BrandErrors`, `Port.either(n)` and `Port.option(n)` return them.
 *
 * @example
 * ```ts
 * import * as Address from "effect-dial/Address"
 * import * as assert from "node:assert"
 *
 * const https = Address.Port(443)
 * assert.ok(Address.Port.is(https))
 * assert.ok(!Address.Port.is(65536))
 * ```
 *
 * @since 0.1.0
 * @category ports
 */
export const Port: Brand.Brand.Constructor<Port> = Brand.refined<Port>(
  (n) => Number.isInteger(n) && n >= 0 && n <= 65535,
  (n) => Brand.error(`a port is an integer from 0 to 65535, not ${n}`)
)

/**
 * Parses a port of one to five decimal digits without sign, space or leading zero, or fails with `InvalidAddress`.
 *
 * @since 0.1.0
 * @category ports
 */
export const parsePort = (text: string): Either.Either<Port, InvalidAddress> =>
  Either.mapBoth(Text.parsePortNumber(text), { onLeft: invalid("port", text), onRight: (port) => port as Port })

// ---------------------------------------------------------------------------------------------------------------------
// UNIX socket paths
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How many bytes of UTF-8 a UNIX socket path can have on Linux: `sun_path` is 108 bytes with its closing NUL.
 *
 * @since 0.1.0
 * @category UNIX socket paths
 */
export const linuxUnixPathMaxBytes = 107

/**
 * How many bytes of UTF-8 a UNIX socket path can have on macOS and the BSDs: `sun_path` is 104 bytes with its NUL.
 *
 * @since 0.1.0
 * @category UNIX socket paths
 */
export const bsdUnixPathMaxBytes = 103

/**
 * A UNIX socket in the file system.
 *
 * @since 0.1.0
 * @category UNIX socket paths
 */
export class Pathname extends Textual {
  readonly _tag = "Pathname"

  constructor(readonly path: string) {
    super()
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Pathname && this.path === that.path
  }

  [Hash.symbol](): number {
    return Hash.string(this.path)
  }

  toString(): string {
    return this.path === "" ? "(unnamed)" : this.path
  }
}

/**
 * A UNIX socket in Linux's abstract namespace, which has no file; `name` is without the NUL that it begins with there.
 *
 * @since 0.1.0
 * @category UNIX socket paths
 */
export class Abstract extends Textual {
  readonly _tag = "Abstract"

  constructor(readonly name: string) {
    super()
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Abstract && this.name === that.name
  }

  [Hash.symbol](): number {
    return Hash.combine(Hash.string(this.name))(Hash.string("@"))
  }

  toString(): string {
    return `@${this.name}`
  }
}

/**
 * Where a UNIX socket is: a path in the file system or a name in the abstract namespace.
 *
 * @since 0.1.0
 * @category UNIX socket paths
 */
export type UnixPath = Pathname | Abstract

/**
 * What a UNIX path is checked against.
 *
 * @since 0.1.0
 * @category UNIX socket paths
 */
export interface UnixPathOptions {
  /**
   * How many bytes of UTF-8 the path or the name can have.
   *
   * @default 107 ({@link linuxUnixPathMaxBytes})
   */
  readonly maxBytes?: number | undefined
}

// An unpaired surrogate has no UTF-8: the system would silently be asked for another path, with U+FFFD in its place.
const checkUnixText = (text: string, maxBytes: number): Text.Problem | undefined => {
  const bad = text.search(/[\0\p{Surrogate}]/u)
  if (bad >= 0) return { position: bad, reason: `${Text.quoteAt(text, bad)} cannot stand in it` }
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maxBytes))
  return read < text.length ? { position: read, reason: `it is over ${maxBytes} bytes of UTF-8` } : undefined
}

/**
 * Makes the path of a UNIX socket, or fails with `InvalidAddress`.
 *
 * It has to begin with `/`, `./` or `../`, so that its text is never taken for a host or an abstract name; to hold no
 * NUL; and to fit the platform. That is checked here because Node does not: it cuts an over-long path silently, which
 * connects to another file, and takes an empty one for TCP on localhost.
 *
 * @since 0.1.0
 * @category UNIX socket paths
 */
export const pathname = (path: string, options?: UnixPathOptions): Either.Either<Pathname, InvalidAddress> => {
  const problem = path === ""
    ? { position: 0, reason: "the path is empty" }
    : /^\.{0,2}\//.test(path)
    ? checkUnixText(path, options?.maxBytes ?? linuxUnixPathMaxBytes)
    : { position: 0, reason: "a path begins with \"/\", \"./\" or \"../\"" }
  return problem === undefined ? Either.right(new Pathname(path)) : Either.left(invalid("unix path", path)(problem))
}

/**
 * Makes a name of the abstract namespace from its text without `@` or NUL, or fails with `InvalidAddress`.
 *
 * It has to be non-empty, hold no NUL (a text could not show it) and fit the platform. The namespace is Linux's: no
 * other system has it.
 *
 * @since 0.1.0
 * @category UNIX socket paths
 */
export const abstract = (name: string, options?: UnixPathOptions): Either.Either<Abstract, InvalidAddress> => {
  const problem = name === ""
    ? { position: 0, reason: "the abstract name is empty" }
    : checkUnixText(name, options?.maxBytes ?? linuxUnixPathMaxBytes)
  return problem === undefined ? Either.right(new Abstract(name)) : Either.left(invalid("unix path", name)(problem))
}

/**
 * Parses `/path`, `./path`, `../path` or `@name`, or fails with `InvalidAddress`; every character stands for itself.
 *
 * @since 0.1.0
 * @category UNIX socket paths
 */
export const parseUnixPath = (text: string, options?: UnixPathOptions): Either.Either<UnixPath, InvalidAddress> =>
  text.startsWith("@")
    ? Either.mapLeft(
      abstract(text.slice(1), options),
      ({ position, reason }) => invalid("unix path", text)({ position: position + 1, reason })
    )
    : pathname(text, options)

// ---------------------------------------------------------------------------------------------------------------------
// socket addresses
// ---------------------------------------------------------------------------------------------------------------------

/**
 * An IPv4 address and a port, AF_INET's socket address (Twisted: `realAddress` as a 2-tuple).
 *
 * @since 0.1.0
 * @category socket addresses
 */
export class Inet4 extends Textual {
  readonly _tag = "Inet4"

  constructor(readonly ip: Ipv4Address, readonly port: Port) {
    super()
  }

  get family(): "inet" {
    return "inet"
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Inet4 && this.port === that.port && this.ip.bits === that.ip.bits
  }

  [Hash.symbol](): number {
    return Hash.combine(Hash.number(this.port))(Hash.hash(this.ip))
  }

  toString(): string {
    return `${this.ip.toString()}:${this.port}`
  }
}

/**
 * An IPv6 address and a port with flow and scope, AF_INET6's socket address (Twisted: `realAddress` as a 4-tuple).
 *
 * `flowInfo` is the 20-bit flow label, 0 for none. `scopeId` is the number of the interface, 0 for none or for not yet
 * known: only the platform can turn a zone's name into it.
 *
 * @since 0.1.0
 * @category socket addresses
 */
export class Inet6 extends Textual {
  readonly _tag = "Inet6"

  constructor(
    readonly ip: Ipv6Address,
    readonly port: Port,
    readonly flowInfo: number,
    readonly scopeId: number
  ) {
    super()
  }

  get family(): "inet6" {
    return "inet6"
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Inet6 && this.port === that.port && this.scopeId === that.scopeId &&
      this.flowInfo === that.flowInfo && this.ip[Equal.symbol](that.ip)
  }

  [Hash.symbol](): number {
    return Hash.combine(Hash.number(this.port))(Hash.combine(Hash.number(this.scopeId))(Hash.hash(this.ip)))
  }

  toString(): string {
    return `[${normaliseInet6(this).ip.toString()}]:${this.port}`
  }
}

/**
 * Where a UNIX socket listens, AF_UNIX's socket address.
 *
 * @since 0.1.0
 * @category socket addresses
 */
export class Unix extends Textual {
  readonly _tag = "Unix"

  constructor(readonly path: UnixPath) {
    super()
  }

  get family(): "unix" {
    return "unix"
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Unix && this.path[Equal.symbol](that.path)
  }

  [Hash.symbol](): number {
    return this.path[Hash.symbol]()
  }

  toString(): string {
    return this.path.toString()
  }
}

/**
 * What a socket connects to or is bound to, told apart by `_tag` or by `family` (Twisted: `realAddress`).
 *
 * @since 0.1.0
 * @category socket addresses
 */
export type SocketAddress = Inet4 | Inet6 | Unix

/**
 * Tells whether a value is a socket address of this module.
 *
 * @since 0.1.0
 * @category socket addresses
 */
export const isSocketAddress = (u: unknown): u is SocketAddress =>
  u instanceof Inet4 || u instanceof Inet6 || u instanceof Unix

/**
 * Makes the socket address of an IPv4 address and a port.
 *
 * @since 0.1.0
 * @category socket addresses
 */
export const inet4 = (ip: Ipv4Address, port: Port): Inet4 => new Inet4(ip, port)

/**
 * What an IPv6 socket address has beside its address and port.
 *
 * @since 0.1.0
 * @category socket addresses
 */
export interface Inet6Options {
  /**
   * The flow label, of which the low 20 bits are taken.
   *
   * @default 0
   */
  readonly flowInfo?: number | undefined
  /**
   * The number of the interface, 0 for none.
   *
   * @default 0
   */
  readonly scopeId?: number | undefined
}

/**
 * Makes the socket address of an IPv6 address and a port as they are given; see {@link normalise}.
 *
 * @since 0.1.0
 * @category socket addresses
 */
export const inet6 = (ip: Ipv6Address, port: Port, options?: Inet6Options): Inet6 =>
  new Inet6(ip, port, (options?.flowInfo ?? 0) & 0xfffff, (options?.scopeId ?? 0) >>> 0)

/**
 * Makes the socket address of a UNIX path.
 *
 * @since 0.1.0
 * @category socket addresses
 */
export const unix = (path: UnixPath): Unix => new Unix(path)

/**
 * The address of a UNIX socket that was never bound, as a client's own end is: getsockname tells the family and no
 * path. It is printed `(unnamed)` and nothing can connect to it.
 *
 * @since 0.1.0
 * @category socket addresses
 */
export const unnamed: Unix = new Unix(new Pathname(""))

/**
 * Makes the socket address of an IP address and a port, in the address's family.
 *
 * @example
 * ```ts
 * import * as Address from "effect-dial/Address"
 * import * as assert from "node:assert"
 *
 * const address = Address.socketAddress(Address.unsafeParse("::1"), Address.Port(443))
 * assert.strictEqual(address.family, "inet6")
 * assert.strictEqual(String(address), "[::1]:443")
 * ```
 *
 * @since 0.1.0
 * @category socket addresses
 */
export const socketAddress = (ip: IpAddress, port: Port): Inet4 | Inet6 =>
  ip._tag === "Ipv4Address" ? new Inet4(ip, port) : new Inet6(ip, port, 0, 0)

// A number as RFC 4007 §11.2 writes it, in 32 bits; 0 is its default zone, so no zone at all.
const zoneNumber = (zone: string): number | undefined =>
  /^(?:0|[1-9][0-9]{0,9})$/.test(zone) && Number(zone) <= 0xffffffff ? Number(zone) : undefined

/**
 * Makes the zone and the scope id of an IPv6 socket address agree; every other address is returned as it is (Twisted:
 * `_setRealAddress`).
 *
 * A numeric zone is the scope id, over one that differs; a scope id without a zone becomes a numeric one; a named zone
 * stays beside the scope id that the platform found for it, or 0. An address that takes no zone (see
 * {@link parseIpv6}) loses both, as Linux ignores them. Normalising twice changes nothing more.
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import * as Address from "effect-dial/Address"
 * import * as assert from "node:assert"
 *
 * const ip = Either.getOrThrow(Address.parseIpv6("fe80::1"))
 * const address = Address.normalise(Address.inet6(ip, Address.Port(80), { scopeId: 2 }))
 * assert.strictEqual(String(address), "[fe80::1%2]:80")
 * ```
 *
 * @since 0.1.0
 * @category socket addresses
 */
export const normalise = (address: SocketAddress): SocketAddress =>
  address._tag === "Inet6" ? normaliseInet6(address) : address

const normaliseInet6 = (address: Inet6): Inet6 => {
  const { ip, scopeId } = address
  if (ip.zone === undefined && scopeId === 0) return address
  if (!Text.takesZone(ip.groups)) return withScope(address, undefined, 0)
  const number = ip.zone === undefined ? scopeId : zoneNumber(ip.zone)
  if (number === undefined) return address
  return withScope(address, number === 0 ? undefined : String(number), number)
}

const withScope = (address: Inet6, zone: string | undefined, scopeId: number): Inet6 =>
  address.ip.zone === zone && address.scopeId === scopeId
    ? address
    : new Inet6(new Ipv6Address(address.ip.groups, zone), address.port, address.flowInfo, scopeId)

/**
 * Parses `1.2.3.4:80`, `[fe80::1%eth0]:80`, `/path` or `@name` to a normalised socket address, or fails with
 * `InvalidAddress`.
 *
 * It reads back what `toString` writes, but for a flow label, which no text of an address holds.
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import * as Address from "effect-dial/Address"
 * import * as assert from "node:assert"
 *
 * const address = Either.getOrThrow(Address.parseSocketAddress("[fe80::1%2]:80"))
 * assert.ok(address._tag === "Inet6" && address.scopeId === 2)
 * ```
 *
 * @since 0.1.0
 * @category socket addresses
 */
export const parseSocketAddress = (text: string): Either.Either<SocketAddress, InvalidAddress> =>
  Either.mapLeft(
    text.startsWith("@") || /^\.{0,2}\//.test(text)
      ? Either.map(parseUnixPath(text), unix)
      : parseInet(text),
    invalid("socket address", text)
  )

const parseInet = (text: string): Either.Either<SocketAddress, Text.Problem> =>
  Either.flatMap(Text.splitHostPort(text), (parts) =>
    Either.flatMap(
      Text.shifted<IpAddress>(parts.bracketed ? parseIpv6(parts.host) : parseIpv4(parts.host), parts.hostAt),
      (ip) =>
        Either.map(
          Text.shifted(Text.parsePortNumber(parts.port), parts.portAt),
          (port) => normalise(socketAddress(ip, port as Port))
        )
    ))

// ---------------------------------------------------------------------------------------------------------------------
// instances
// ---------------------------------------------------------------------------------------------------------------------

const familyRank: { readonly [F in AddressFamily]: number } = { inet: 0, inet6: 1, unix: 2 }

const Ipv6Order = Order_.combine(
  Order_.mapInput(Order_.array(Order_.number), (ip: Ipv6Address) => ip.groups),
  Order_.mapInput(Order_.string, (ip: Ipv6Address) => ip.zone ?? "")
)

/**
 * Orders IP addresses: IPv4 before IPv6, then by value, then by zone, none first.
 *
 * @since 0.1.0
 * @category instances
 */
export const IpOrder: Order_.Order<IpAddress> = Order_.make((self, that) => {
  if (self._tag === "Ipv4Address" && that._tag === "Ipv4Address") return Order_.number(self.bits, that.bits)
  if (self._tag === "Ipv6Address" && that._tag === "Ipv6Address") return Ipv6Order(self, that)
  return self._tag === "Ipv4Address" ? -1 : 1
})

const Inet6Order = Order_.combineAll<Inet6>([
  Order_.mapInput(Ipv6Order, (address) => address.ip),
  Order_.mapInput(Order_.number, (address) => address.port),
  Order_.mapInput(Order_.number, (address) => address.scopeId),
  Order_.mapInput(Order_.number, (address) => address.flowInfo)
])

const Inet4Order = Order_.combine(
  Order_.mapInput(Order_.number, (address: Inet4) => address.ip.bits),
  Order_.mapInput(Order_.number, (address: Inet4) => address.port)
)

const UnixOrder = Order_.mapInput(
  Order_.combine(
    Order_.mapInput(Order_.boolean, (path: UnixPath) => path._tag === "Abstract"),
    Order_.mapInput(Order_.string, (path: UnixPath) => path.toString())
  ),
  (address: Unix) => address.path
)

/**
 * Orders socket addresses: inet, inet6, unix; then by address and port, or path names before abstract names.
 *
 * @since 0.1.0
 * @category instances
 */
export const SocketAddressOrder: Order_.Order<SocketAddress> = Order_.make((self, that) => {
  if (self._tag === "Inet4" && that._tag === "Inet4") return Inet4Order(self, that)
  if (self._tag === "Inet6" && that._tag === "Inet6") return Inet6Order(self, that)
  if (self._tag === "Unix" && that._tag === "Unix") return UnixOrder(self, that)
  return Order_.number(familyRank[self.family], familyRank[that.family])
})

// ---------------------------------------------------------------------------------------------------------------------
// schemas
// ---------------------------------------------------------------------------------------------------------------------

const codec = <A extends Textual | Port>(
  self: Schema.Schema<A>,
  identifier: string,
  read: (text: string) => Either.Either<A, InvalidAddress>
): Schema.Schema<A, string> =>
  Schema.transformOrFail(Schema.String, self, {
    strict: true,
    decode: (text, _, ast) => Either.mapLeft(read(text), (error) => new ParseResult.Type(ast, text, error.message)),
    encode: (value) => ParseResult.succeed(value.toString())
  }).annotations({ identifier })

/**
 * The schema of an IP address that is one already.
 *
 * @since 0.1.0
 * @category schemas
 */
export const IpAddressFromSelf: Schema.Schema<IpAddress> = Schema.declare(isIpAddress, {
  identifier: "IpAddressFromSelf"
})

/**
 * The codec between an IP address and its text; a `ParseError` carries the message of the `InvalidAddress`.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import * as Address from "effect-dial/Address"
 * import * as assert from "node:assert"
 *
 * const Config = Schema.Struct({ bind: Address.IpAddressFromString, port: Address.PortFromString })
 * const config = Schema.decodeUnknownSync(Config)({ bind: "::1", port: "443" })
 * assert.strictEqual(config.bind.family, "inet6")
 * assert.deepStrictEqual(Schema.encodeSync(Config)(config), { bind: "::1", port: "443" })
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const IpAddressFromString: Schema.Schema<IpAddress, string> = codec(
  IpAddressFromSelf,
  "IpAddressFromString",
  parse
)

/**
 * The schema of a port that is a number already.
 *
 * @since 0.1.0
 * @category schemas
 */
export const PortFromSelf: Schema.Schema<Port, number> = Schema.Number.pipe(
  Schema.fromBrand(Port, { identifier: "PortFromSelf" })
)

/**
 * The codec between a port and its decimal text; a `ParseError` carries the message of the `InvalidAddress`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const PortFromString: Schema.Schema<Port, string> = codec(
  Schema.typeSchema(PortFromSelf),
  "PortFromString",
  parsePort
)

/**
 * The schema of a socket address that is one already.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SocketAddressFromSelf: Schema.Schema<SocketAddress> = Schema.declare(isSocketAddress, {
  identifier: "SocketAddressFromSelf"
})

/**
 * The codec between a socket address and its text; a `ParseError` carries the message of the `InvalidAddress`.
 *
 * Decoding gives a normalised address. Encoding leaves out a flow label, which no text of an address holds.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SocketAddressFromString: Schema.Schema<SocketAddress, string> = codec(
  SocketAddressFromSelf,
  "SocketAddressFromString",
  parseSocketAddress
)
