/**
 * What this machine says of name servers and names: /etc/resolv.conf and /etc/hosts.
 *
 * Both are read as glibc reads them: a line that makes no sense is skipped, a file that is not there is an empty one.
 *
 * @since 0.2.0
 */
import { FileSystem } from "@effect/platform/FileSystem"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as MutableRef from "effect/MutableRef"
import * as Option from "effect/Option"
import { type IpAddress, parse, Port, type SocketAddress, socketAddress } from "./Address.js"
import { domainName } from "./Endpoint.js"

/**
 * resolv.conf(5), as far as it concerns a stub resolver.
 *
 * @since 0.2.0
 * @category models
 */
export interface ResolvConf {
  /** At most three, as glibc has it; port 53. 127.0.0.1 when there is none. */
  readonly servers: ReadonlyArray<SocketAddress>
  /** The search list, without trailing dots, lower-case. */
  readonly search: ReadonlyArray<string>
  /** A name with at least so many dots is tried as it is before the search list. */
  readonly ndots: number
  /** How long one server has for one try. */
  readonly timeout: Duration.Duration
  /** How many times the list of servers is gone through. */
  readonly attempts: number
  /** Whether each lookup begins with another server. */
  readonly rotate: boolean
}

/**
 * hosts(5): the addresses of each name, lower-case without a trailing dot, in the order of the file.
 *
 * @since 0.2.0
 * @category models
 */
export type Hosts = ReadonlyMap<string, ReadonlyArray<IpAddress>>

/** glibc's MAXNS. */
const mostServers = 3

const dnsPort = Port(53)

/**
 * What glibc does without a resolv.conf.
 *
 * @since 0.2.0
 * @category defaults
 */
export const defaultResolvConf: ResolvConf = {
  servers: [socketAddress(Either.getOrThrow(parse("127.0.0.1")), dnsPort)],
  search: [],
  ndots: 1,
  timeout: Duration.seconds(5),
  attempts: 2,
  rotate: false
}

/**
 * The text of a resolv.conf as a value. The last `search` or `domain` line counts; options are held to glibc's limits
 * (ndots 15, timeout 30 seconds, attempts 5).
 *
 * @example
 * ```ts
 * import { DnsConfig } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const conf = DnsConfig.parseResolvConf("nameserver 192.0.2.53\nsearch corp.example example.com\noptions ndots:2")
 * assert.deepStrictEqual(conf.servers.map(String), ["192.0.2.53:53"])
 * assert.deepStrictEqual([conf.search, conf.ndots], [["corp.example", "example.com"], 2])
 * ```
 *
 * @since 0.2.0
 * @category parsing
 */
export const parseResolvConf = (text: string): ResolvConf => {
  const lines = linesOf(text, /^[;#]/)
  const servers = lines.flatMap(([keyword, value]) => {
    const ip = keyword === "nameserver" && value !== undefined ? Option.getRight(parse(value)) : Option.none()
    return Option.isSome(ip) ? [socketAddress(ip.value, dnsPort)] : []
  })
  const search = lines.findLast(([keyword]) => keyword === "search" || keyword === "domain")
  const options = lines.flatMap(([keyword, ...words]) => keyword === "options" ? words : [])
  return {
    servers: servers.length === 0 ? defaultResolvConf.servers : servers.slice(0, mostServers),
    search: search === undefined ? [] : names(search[0] === "domain" ? search.slice(1, 2) : search.slice(1)),
    ndots: number(options, "ndots", 0, 15) ?? defaultResolvConf.ndots,
    timeout: Duration.seconds(number(options, "timeout", 1, 30) ?? Duration.toSeconds(defaultResolvConf.timeout)),
    attempts: number(options, "attempts", 1, 5) ?? defaultResolvConf.attempts,
    rotate: options.includes("rotate")
  }
}

/**
 * The text of a hosts file as a value.
 *
 * @since 0.2.0
 * @category parsing
 */
export const parseHosts = (text: string): Hosts => {
  const hosts = new Map<string, ReadonlyArray<IpAddress>>()
  for (const [address, ...words] of linesOf(text, /#/)) {
    const ip = parse(address ?? "")
    if (Either.isLeft(ip)) continue
    for (const name of names(words)) {
      const known = hosts.get(name) ?? []
      if (!known.some((other) => String(other) === String(ip.right))) hosts.set(name, [...known, ip.right])
    }
  }
  return hosts
}

const linesOf = (text: string, comment: RegExp): ReadonlyArray<ReadonlyArray<string>> =>
  text.split("\n").map((line) => line.slice(0, comment.exec(line)?.index ?? line.length).trim().split(/\s+/))

const names = (words: ReadonlyArray<string>): ReadonlyArray<string> =>
  words.flatMap((word) => Either.match(domainName(word), { onLeft: () => [], onRight: ({ ascii }) => [ascii] }))

const number = (options: ReadonlyArray<string>, name: string, least: number, most: number): number | undefined => {
  const value = options.findLast((option) => option.startsWith(`${name}:`))?.slice(name.length + 1)
  return value === undefined || !/^\d+$/.test(value) ? undefined : Math.min(most, Math.max(least, Number(value)))
}

// -----------------------------------------------------------------------------
// files
// -----------------------------------------------------------------------------

/**
 * Where the configuration is.
 *
 * @since 0.2.0
 * @category models
 */
export interface Files {
  /** @default "/etc/resolv.conf" */
  readonly resolvConf?: string | undefined
  /** @default "/etc/hosts" */
  readonly hosts?: string | undefined
  /**
   * How often a file is looked at, at most, to see whether it has changed.
   *
   * @default "5 seconds"
   */
  readonly interval?: Duration.DurationInput | undefined
}

/**
 * The machine's configuration as it is now. A lookup pays for it at most once an interval, and then a stat of each file.
 *
 * @since 0.2.0
 * @category models
 */
export interface Watched {
  readonly resolvConf: Effect.Effect<ResolvConf>
  readonly hosts: Effect.Effect<Hosts>
}

/**
 * Read the files, and read them again when they change. A file that cannot be read is as if it were empty, until it can.
 *
 * @since 0.2.0
 * @category reading
 */
export const watch = (files: Files = {}): Effect.Effect<Watched, never, FileSystem> =>
  Effect.map(FileSystem, (fileSystem) => {
    const interval = Duration.toMillis(files.interval ?? "5 seconds")
    return {
      resolvConf: watched(fileSystem, files.resolvConf ?? "/etc/resolv.conf", interval, parseResolvConf),
      hosts: watched(fileSystem, files.hosts ?? "/etc/hosts", interval, parseHosts)
    }
  })

/** What was read, from which version of the file, and when that was last looked at. */
interface Reading<A> {
  readonly value: A
  readonly version: string
  readonly lookedAt: number
}

const watched = <A>(
  fileSystem: FileSystem,
  path: string,
  interval: number,
  read: (text: string) => A
): Effect.Effect<A> => {
  const newest = MutableRef.make<Reading<A> | undefined>(undefined)
  const version = Effect.match(Effect.suspend(() => fileSystem.stat(path)), {
    onFailure: () => "",
    onSuccess: ({ ino, mtime, size }) =>
      [Option.getOrElse(ino, () => 0), Option.getOrUndefined(mtime)?.getTime(), size].join(" ")
  })
  const text = Effect.catchAll(Effect.suspend(() => fileSystem.readFileString(path)), () => Effect.succeed(""))
  return Effect.clockWith((clock) => {
    const known = MutableRef.get(newest)
    const now = clock.unsafeCurrentTimeMillis()
    if (known !== undefined && now - known.lookedAt < interval) return Effect.succeed(known.value)
    // Whoever asks meanwhile is given what is known.
    if (known !== undefined) MutableRef.set(newest, { ...known, lookedAt: now })
    return Effect.flatMap(version, (version) => {
      if (known !== undefined && known.version === version) return Effect.succeed(known.value)
      return Effect.map(text, (text) => {
        const value = read(text)
        MutableRef.set(newest, { value, version, lookedAt: now })
        return value
      })
    })
  })
}
