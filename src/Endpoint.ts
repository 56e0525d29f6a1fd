/**
 * What a user asks to reach: a port of a host and how it is spoken to, or a UNIX socket, as a value and as text.
 *
 *     tcp://host:port    host:port    tcp://[v6%zone]:port    [v6]:port
 *     tls://host:port    udp://host:port
 *     unix:/path         unix:///path unix:./path             unix:@abstract
 *
 * An endpoint is not a URL: it has no user, path, query or fragment, and nothing in it is percent-encoded. It names the
 * peer and not how to reach it; timeouts and socket options belong to the dial, an address that was looked up is an
 * `Address.SocketAddress`.
 *
 * Names follow RFC 1123 §2.1 with UTS 46 for those outside ASCII, brackets RFC 3986 §3.2.2, zones RFC 9844.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Address from "./Address.js"
import { InvalidEndpoint } from "./DialError.js"
import * as Text from "./internal/addressText.js"
import * as Domain from "./internal/domainText.js"
import { Textual } from "./internal/textual.js"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The name of a host: `ascii` is its lower-case A-labels without a trailing dot, `fullyQualified` whether it had one.
 *
 * A resolver takes a fully qualified name as it is and applies no search list to it, so `example.com.` and
 * `example.com` are not equal. The constructor checks nothing; see {@link domainName}.
 *
 * @since 0.1.0
 * @category models
 */
export class DomainName extends Textual {
  readonly _tag = "DomainName"

  constructor(readonly ascii: string, readonly fullyQualified: boolean) {
    super()
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof DomainName && this.ascii === that.ascii && this.fullyQualified === that.fullyQualified
  }

  [Hash.symbol](): number {
    return Hash.string(this.toString())
  }

  toString(): string {
    return this.fullyQualified ? `${this.ascii}.` : this.ascii
  }
}

/**
 * A host, either by its address or by its name.
 *
 * @since 0.1.0
 * @category models
 */
export type Host = Address.IpAddress | DomainName

/**
 * The ways to speak to a port of a host, by the tags of their endpoints.
 *
 * @since 0.2.0
 * @category models
 */
export type HostScheme = "Tcp" | "Tls" | "Udp"

/** What each is called in a text. */
const hostSchemes: { readonly [S in HostScheme]: string } = { Tcp: "tcp", Tls: "tls", Udp: "udp" }

/**
 * A port of a host, and how it is spoken to, which `_tag` tells: `"Tcp"` and `"Tls"` over a stream, `"Udp"` in
 * datagrams. Everything else is the same for all of them. The constructor checks nothing; see {@link tcp},
 * {@link tls} and {@link udp}.
 *
 * @since 0.2.0
 * @category models
 */
export class HostEndpoint<out S extends HostScheme = HostScheme, out H extends Host = Host> extends Textual {
  constructor(readonly _tag: S, readonly host: H, readonly port: Address.Port) {
    super()
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof HostEndpoint && this._tag === that._tag && this.port === that.port &&
      Equal.equals(this.host, that.host)
  }

  [Hash.symbol](): number {
    return Hash.combine(Hash.combine(Hash.string(this._tag))(Hash.number(this.port)))(Hash.hash(this.host))
  }

  toString(): string {
    const host = this.host.toString()
    return `${hostSchemes[this._tag]}://${this.host._tag === "Ipv6Address" ? `[${host}]` : host}:${this.port}`
  }
}

/**
 * A UNIX stream socket.
 *
 * @since 0.1.0
 * @category models
 */
export class UnixEndpoint extends Textual {
  readonly _tag = "Unix"

  constructor(readonly path: Address.UnixPath) {
    super()
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof UnixEndpoint && Equal.equals(this.path, that.path)
  }

  [Hash.symbol](): number {
    return Hash.hash(this.path)
  }

  // A path that begins with two slashes would be read back as a host.
  toString(): string {
    const path = this.path.toString()
    return path.startsWith("//") ? `unix://${path}` : `unix:${path}`
  }
}

/** One member of the union for each scheme, so that `_tag` tells them apart. */
type OverEach<S extends HostScheme, H extends Host> = S extends HostScheme ? HostEndpoint<S, H> : never

/**
 * An endpoint whose host has to be looked up.
 *
 * @since 0.1.0
 * @category models
 */
export type Named = OverEach<HostScheme, DomainName>

/**
 * An endpoint that is its own one address.
 *
 * @since 0.1.0
 * @category models
 */
export type Literal = OverEach<HostScheme, Address.IpAddress> | UnixEndpoint

/**
 * What can be dialed, told apart by `_tag`, and by {@link requiresResolution} into `Named` and `Literal`.
 *
 * @since 0.1.0
 * @category models
 */
export type Endpoint = Named | Literal

/**
 * A TCP port of a host.
 *
 * @since 0.1.0
 * @category models
 */
export type TcpEndpoint = Extract<Endpoint, { readonly _tag: "Tcp" }>

/**
 * A TCP port of a host where TLS is spoken from the first byte. Who dials it needs a Dialer that speaks TLS.
 *
 * @since 0.2.0
 * @category models
 */
export type TlsEndpoint = Extract<Endpoint, { readonly _tag: "Tls" }>

/**
 * A UDP port of a host.
 *
 * @since 0.2.0
 * @category models
 */
export type UdpEndpoint = Extract<Endpoint, { readonly _tag: "Udp" }>

/**
 * An endpoint or the text of one, as functions that dial take it.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = Endpoint | string

/**
 * Tells whether a value is an endpoint of this module.
 *
 * @since 0.1.0
 * @category models
 */
export const isEndpoint = (u: unknown): u is Endpoint => u instanceof HostEndpoint || u instanceof UnixEndpoint

// ---------------------------------------------------------------------------------------------------------------------
// hosts
// ---------------------------------------------------------------------------------------------------------------------

const invalid = (input: string) => ({ position, reason }: Text.Problem): InvalidEndpoint =>
  new InvalidEndpoint({ input, position, reason })

/**
 * Makes the name of a host from its text, or fails with `InvalidEndpoint`.
 *
 * A name has at most 253 octets in labels of 1 to 63: letters, digits, hyphens inside, and underscores, which service
 * names have. Other scripts are mapped to A-labels. A name whose last label is a number (`127.1`, `1.2.3.4.5`,
 * `foo.0x4`) is never one.
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import * as Endpoint from "effect-dial/Endpoint"
 * import * as assert from "node:assert"
 *
 * const name = Either.getOrThrow(Endpoint.domainName("Bücher.example."))
 * assert.strictEqual(name.ascii, "xn--bcher-kva.example")
 * assert.ok(name.fullyQualified)
 * ```
 *
 * @since 0.1.0
 * @category hosts
 */
export const domainName = (text: string): Either.Either<DomainName, InvalidEndpoint> =>
  Either.mapLeft(nameOf(text), invalid(text))

const nameOf = (text: string): Either.Either<DomainName, Text.Problem> =>
  Either.map(Domain.parseName(text), ({ ascii, fullyQualified }) => new DomainName(ascii, fullyQualified))

const hostOf = (text: string): Either.Either<Host, Text.Problem> => {
  if (text.startsWith("[")) return Text.problem(0, "a host by itself has no brackets")
  if (text.includes(":")) return Address.parseIpv6(text)
  return Domain.endsInNumber(text)
    ? Either.map(Domain.parseDottedDecimal(text), (bits) => new Address.Ipv4Address(bits))
    : nameOf(text)
}

/**
 * The host of an endpoint as it is looked up or shown, without brackets; of a UNIX endpoint, its path or `@name`.
 *
 * @since 0.1.0
 * @category hosts
 */
export const hostText = (endpoint: Endpoint): string =>
  endpoint._tag === "Unix" ? endpoint.path.toString() : endpoint.host.toString()

/**
 * Tells whether an endpoint names a host that has to be looked up; an address or a UNIX path has not (Twisted:
 * `_requiresResolution`).
 *
 * @example
 * ```ts
 * import * as Endpoint from "effect-dial/Endpoint"
 * import * as assert from "node:assert"
 *
 * assert.ok(Endpoint.requiresResolution(Endpoint.unsafeParse("localhost:80")))
 * assert.ok(!Endpoint.requiresResolution(Endpoint.unsafeParse("[::1]:80")))
 * ```
 *
 * @since 0.1.0
 * @category hosts
 */
export const requiresResolution = (endpoint: Endpoint): endpoint is Named =>
  endpoint._tag !== "Unix" && endpoint.host._tag === "DomainName"

// ---------------------------------------------------------------------------------------------------------------------
// sockets
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The endpoint whose sockets carry this one: the TCP endpoint of the same host and port under a TLS one; any other is
 * its own.
 *
 * @example
 * ```ts
 * import * as Endpoint from "effect-dial/Endpoint"
 * import * as assert from "node:assert"
 *
 * const carrier = Endpoint.transport(Endpoint.unsafeParse("tls://example.com:443"))
 * assert.strictEqual(String(carrier), "tcp://example.com:443")
 * ```
 *
 * @since 0.2.0
 * @category sockets
 */
export const transport = (endpoint: Endpoint): Exclude<Endpoint, TlsEndpoint> =>
  endpoint._tag === "Tls" ? over("Tcp", endpoint.host, endpoint.port) : endpoint

/**
 * The type of the sockets that reach an endpoint (Twisted: `socketType`).
 *
 * @since 0.2.0
 * @category sockets
 */
export const socketType = (endpoint: Endpoint): Address.SocketType => endpoint._tag === "Udp" ? "dgram" : "stream"

// ---------------------------------------------------------------------------------------------------------------------
// text
// ---------------------------------------------------------------------------------------------------------------------

/** How the text after `scheme:` is read; a scheme with authority is told from a host only by the `//` that follows. */
interface Scheme {
  readonly authority: boolean
  readonly parse: (rest: string) => Either.Either<Endpoint, Text.Problem>
}

/** A member of the union, which a type argument that is not known does not tell. */
const over = <S extends HostScheme>(
  scheme: S,
  host: Host,
  port: Address.Port
): Extract<Endpoint, { readonly _tag: S }> =>
  new HostEndpoint(scheme, host, port) as HostEndpoint as Extract<Endpoint, { readonly _tag: S }>

const refused: { readonly [char: string]: string } = {
  "/": "an endpoint has no path",
  "?": "an endpoint has no query",
  "#": "an endpoint has no fragment",
  "@": "an endpoint has no user",
  "\\": "an endpoint has no backslash"
}

const parseAuthority = (scheme: HostScheme, text: string): Either.Either<Endpoint, Text.Problem> => {
  const bad = text.search(/[\s\p{Cc}/?#@\\]/u)
  if (bad >= 0) {
    return Text.problem(bad, refused[text.charAt(bad)] ?? `${Text.quoteAt(text, bad)} cannot stand in an endpoint`)
  }
  return Either.flatMap(Text.splitHostPort(text), (parts) =>
    Either.flatMap(
      Text.shifted<Host>(parts.bracketed ? Address.parseIpv6(parts.host) : hostOf(parts.host), parts.hostAt),
      (host) =>
        Either.map(
          Text.shifted(Text.parsePortNumber(parts.port), parts.portAt),
          (port) => over(scheme, host, port as Address.Port)
        )
    ))
}

const hostScheme = (scheme: HostScheme): readonly [string, Scheme] => [
  hostSchemes[scheme],
  {
    authority: true,
    parse: (rest) =>
      rest.startsWith("//")
        ? Text.shifted(parseAuthority(scheme, rest.slice(2)), 2)
        : Text.problem(0, `"//" has to follow "${hostSchemes[scheme]}:"`)
  }
]

const parseUnix = (rest: string): Either.Either<Endpoint, Text.Problem> => {
  if (rest.startsWith("//") && !rest.startsWith("///")) {
    return Text.problem(2, "a UNIX endpoint has no host: it is unix:/path or unix:///path")
  }
  const skipped = rest.startsWith("///") ? 2 : 0
  return Text.shifted(
    Either.map(Address.parseUnixPath(rest.slice(skipped)), (path) => new UnixEndpoint(path)),
    skipped
  )
}

const schemes: ReadonlyMap<string, Scheme> = new Map([
  hostScheme("Tcp"),
  hostScheme("Tls"),
  hostScheme("Udp"),
  ["unix", { authority: false, parse: parseUnix }]
])

/**
 * Parses an endpoint, or fails with an `InvalidEndpoint` that names the position in `text` and the reason.
 *
 * Without a scheme it is TCP. The port is required, and an IPv6 address stands in brackets. A zone follows `%` as it is
 * (RFC 9844), not as `%25`. What follows `unix:` is the path to its last character, spaces included.
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import * as Endpoint from "effect-dial/Endpoint"
 * import * as assert from "node:assert"
 *
 * const endpoint = Either.getOrThrow(Endpoint.parse("Example.COM:443"))
 * assert.strictEqual(String(endpoint), "tcp://example.com:443")
 *
 * const error = Either.getOrThrow(Either.flip(Endpoint.parse("tcp://127.1:80")))
 * assert.strictEqual(error._tag, "InvalidEndpoint")
 * assert.strictEqual(error.position, 11)
 * ```
 *
 * @since 0.1.0
 * @category text
 */
export const parse = (text: string): Either.Either<Endpoint, InvalidEndpoint> =>
  Either.mapLeft(text === "" ? Text.problem(0, "it is empty") : parseText(text), invalid(text))

const parseText = (text: string): Either.Either<Endpoint, Text.Problem> => {
  const colon = text.indexOf(":")
  const name = text.slice(0, Math.max(colon, 0))
  const rest = text.slice(colon + 1)
  const scheme = schemes.get(name.toLowerCase())
  // "tcp:80" is port 80 of a host named tcp.
  if (scheme !== undefined && (!scheme.authority || /[^0-9]/.test(rest))) {
    return Text.shifted(scheme.parse(rest), colon + 1)
  }
  return colon >= 0 && rest.startsWith("//") && !/[\s\p{Cc}]/u.test(name)
    ? Text.problem(0, `unknown scheme ${Text.quote(name)}: the schemes are ${Array.from(schemes.keys()).join(", ")}`)
    : parseAuthority("Tcp", text)
}

/**
 * Parses an endpoint that the program's author wrote; throws the `InvalidEndpoint` that {@link parse} fails with.
 *
 * @since 0.1.0
 * @category text
 */
export const unsafeParse = (text: string): Endpoint => Either.getOrThrowWith(parse(text), (error) => error)

/**
 * Takes an endpoint as it is and parses a text as {@link parse} does, failing with `InvalidEndpoint`.
 *
 * @since 0.1.0
 * @category text
 */
export const fromInput = (input: Input): Either.Either<Endpoint, InvalidEndpoint> =>
  typeof input === "string" ? parse(input) : Either.right(input)

/**
 * The one text of an endpoint, always with its scheme; {@link parse} reads it back to an equal endpoint.
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import * as Endpoint from "effect-dial/Endpoint"
 * import * as assert from "node:assert"
 *
 * const endpoint = Either.getOrThrow(Endpoint.tcp("fe80::1%eth0", 80))
 * assert.strictEqual(Endpoint.format(endpoint), "tcp://[fe80::1%eth0]:80")
 * ```
 *
 * @since 0.1.0
 * @category text
 */
export const format = (endpoint: Endpoint): string => endpoint.toString()

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes a TCP endpoint; fails with `InvalidEndpoint` when a host given as text is none, or the port is not an integer
 * from 0 to 65535.
 *
 * A host given as text is a name or an address without brackets.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tcp = (host: string | Host, port: number): Either.Either<TcpEndpoint, InvalidEndpoint> =>
  checked("Tcp", host, port)

/**
 * Makes a TLS endpoint, as {@link tcp} makes a TCP one.
 *
 * @since 0.2.0
 * @category constructors
 */
export const tls = (host: string | Host, port: number): Either.Either<TlsEndpoint, InvalidEndpoint> =>
  checked("Tls", host, port)

/**
 * Makes a UDP endpoint, as {@link tcp} makes a TCP one.
 *
 * @since 0.2.0
 * @category constructors
 */
export const udp = (host: string | Host, port: number): Either.Either<UdpEndpoint, InvalidEndpoint> =>
  checked("Udp", host, port)

const checked = <S extends HostScheme>(
  scheme: S,
  host: string | Host,
  port: number
): Either.Either<Extract<Endpoint, { readonly _tag: S }>, InvalidEndpoint> =>
  Either.flatMap(
    typeof host === "string" ? Either.mapLeft(hostOf(host), invalid(host)) : Either.right(host),
    (host) =>
      Address.Port.is(port)
        ? Either.right(over(scheme, host, port))
        : Either.left(
          new InvalidEndpoint({ input: String(port), position: 0, reason: "a port is an integer from 0 to 65535" })
        )
  )

/**
 * Makes a UNIX endpoint from `/path`, `./path`, `../path` or `@abstract`; fails with `InvalidEndpoint` as
 * `Address.pathname` and `Address.abstract` say.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unix = (
  path: string,
  options?: Address.UnixPathOptions
): Either.Either<UnixEndpoint, InvalidEndpoint> =>
  Either.mapBoth(Address.parseUnixPath(path, options), {
    onLeft: invalid(path),
    onRight: (parsed) => new UnixEndpoint(parsed)
  })

/**
 * The endpoint that a socket address is; its scope id becomes the zone, its flow label is left out. A UNIX path is a
 * UNIX endpoint, whatever the scheme.
 *
 * @example
 * ```ts
 * import * as Address from "effect-dial/Address"
 * import * as Endpoint from "effect-dial/Endpoint"
 * import * as assert from "node:assert"
 *
 * const address = Address.socketAddress(Address.unsafeParse("::1"), Address.Port(53))
 * assert.strictEqual(String(Endpoint.fromSocketAddress(address, "Udp")), "udp://[::1]:53")
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromSocketAddress = (address: Address.SocketAddress, scheme: HostScheme = "Tcp"): Literal => {
  const normal = Address.normalise(address)
  return normal._tag === "Unix"
    ? new UnixEndpoint(normal.path)
    : new HostEndpoint(scheme, normal.ip, normal.port) as Literal
}

// ---------------------------------------------------------------------------------------------------------------------
// schemas
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The schema of an endpoint that is one already.
 *
 * @since 0.1.0
 * @category schemas
 */
export const EndpointFromSelf: Schema.Schema<Endpoint> = Schema.declare(isEndpoint, { identifier: "EndpointFromSelf" })

/**
 * The codec between an endpoint and its text; a `ParseError` carries the message of the `InvalidEndpoint`.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import * as Endpoint from "effect-dial/Endpoint"
 * import * as assert from "node:assert"
 *
 * const upstream = Schema.decodeSync(Endpoint.EndpointFromString)("unix:@bus")
 * assert.strictEqual(upstream._tag, "Unix")
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const EndpointFromString: Schema.Schema<Endpoint, string> = Schema.transformOrFail(
  Schema.String,
  EndpointFromSelf,
  {
    strict: true,
    decode: (text, _, ast) => Either.mapLeft(parse(text), (error) => new ParseResult.Type(ast, text, error.message)),
    encode: (endpoint) => ParseResult.succeed(format(endpoint))
  }
).annotations({ identifier: "EndpointFromString" })
