/**
 * The grammar of addresses as text: IPv4 dotted decimal, IPv6 (RFC 4291 §2.2, printed by RFC 5952), zones (RFC 4007
 * §11), ports, and the split of `host:port`. Shared by Address, which tags a problem `InvalidAddress`, and Endpoint,
 * which shifts its position to where the address began and tags it `InvalidEndpoint`.
 */
import * as Either from "effect/Either"
import { quoted } from "./printable.js"

/** Why a text was refused; `position` is a 0-based UTF-16 offset into that text. */
export interface Problem {
  readonly position: number
  readonly reason: string
}

export const problem = (position: number, reason: string): Either.Either<never, Problem> =>
  Either.left({ position, reason })

/** Moves a problem found in a part of a text to its position in the whole. */
export const shifted = <A>(self: Either.Either<A, Problem>, by: number): Either.Either<A, Problem> =>
  by === 0 ? self : Either.mapLeft(self, ({ position, reason }) => ({ position: position + by, reason }))

/** Quotes input for a reason: whatever was passed, the reason stays one short line. */
export const quote = (text: string): string => quoted(text, 40)

/** Quotes the character at an offset, or names its code point where printing it would show nothing. */
export const quoteAt = (text: string, offset: number): string => {
  const char = String.fromCodePoint(text.codePointAt(offset) ?? 0)
  return /[\s\p{C}]/u.test(char)
    ? `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`
    : JSON.stringify(char)
}

// ---------------------------------------------------------------------------------------------------------------------
// IPv4
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Four decimal parts and nothing else. inet_aton's octal, hexadecimal and short forms are refused because systems
 * disagree on them (`012.1.2.3` is 10.1.2.3 or 12.1.2.3), which is how address filters are passed by.
 */
export const parseIpv4Bits = (text: string): Either.Either<number, Problem> =>
  text === "" ? problem(0, "an IPv4 address is missing") : ipv4From(text, text.split(".", 5), 0, 0, 0)

const ipv4From = (
  text: string,
  parts: ReadonlyArray<string>,
  index: number,
  offset: number,
  bits: number
): Either.Either<number, Problem> => {
  const part = parts[index]
  if (part === undefined) {
    return index === 4 ? Either.right(bits) : problem(text.length, `it has ${plural(index, "part")}, four are needed`)
  }
  if (index === 4) return problem(offset - 1, "it has more than four parts")
  if (part === "") return problem(offset, `part ${index + 1} is empty`)
  const bad = part.search(/[^0-9]/)
  if (bad >= 0) return problem(offset + bad, `${quoteAt(part, bad)} is not a decimal digit`)
  if (part.length > 1 && part.startsWith("0")) {
    return problem(offset, `part ${quote(part)} has a leading zero, which some systems read as octal`)
  }
  if (part.length > 3 || Number(part) > 255) return problem(offset, `part ${quote(part)} is over 255`)
  return ipv4From(text, parts, index + 1, offset + part.length + 1, bits * 256 + Number(part))
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

export const ipv4Text = (bits: number): string =>
  `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`

// ---------------------------------------------------------------------------------------------------------------------
// IPv6
// ---------------------------------------------------------------------------------------------------------------------

/** The eight groups of an IPv6 address, so that reading one needs no check. */
export type Groups = readonly [number, number, number, number, number, number, number, number]

/** Parses an IPv6 address without a zone. */
export const parseIpv6Groups = (text: string): Either.Either<Groups, Problem> => {
  if (text === "") return problem(0, "an IPv6 address is missing")
  const gap = text.indexOf("::")
  if (gap < 0) {
    return Either.flatMap(groupsOf(text, 0, true), (groups) => {
      if (groups.length === 8) return Either.right(groups as Groups)
      return groups.length < 8
        ? problem(text.length, `it has ${plural(groups.length, "group")}, eight or a "::" are needed`)
        : problem(text.lastIndexOf(":") + 1, "the dotted quad would make more than eight groups")
    })
  }
  const second = text.indexOf("::", gap + 1)
  if (second >= 0) return problem(second === gap + 1 ? gap + 2 : second, "\"::\" can appear only once")
  return Either.flatMap(
    groupsOf(text.slice(0, gap), 0, false),
    (head) =>
      Either.flatMap(groupsOf(text.slice(gap + 2), gap + 2, true), (tail) => {
        const missing = 8 - head.length - tail.length
        return missing > 0
          ? Either.right(
            [...head, ...Array.from({ length: missing }, () => 0), ...tail] as ReadonlyArray<number> as Groups
          )
          : problem(gap, "\"::\" stands for at least one group, but eight are there without it")
      })
  )
}

const groupsOf = (
  section: string,
  at: number,
  mayEndInQuad: boolean
): Either.Either<ReadonlyArray<number>, Problem> =>
  section === "" ? Either.right([]) : shifted(groupsFrom(section, section.split(":", 9), 0, 0, mayEndInQuad, []), at)

const groupsFrom = (
  section: string,
  parts: ReadonlyArray<string>,
  index: number,
  offset: number,
  mayEndInQuad: boolean,
  groups: ReadonlyArray<number>
): Either.Either<ReadonlyArray<number>, Problem> => {
  const part = parts[index]
  if (part === undefined) return Either.right(groups)
  if (groups.length === 8) return problem(offset, "it has more than eight groups")
  if (part === "") return problem(Math.min(offset, section.length - 1), "a single \":\" stands next to no group")
  if (part.includes(".")) {
    if (index < parts.length - 1 || !mayEndInQuad) {
      return problem(offset + part.indexOf("."), "a dotted quad can stand only at the end")
    }
    return Either.map(
      shifted(parseIpv4Bits(part), offset),
      (bits) => [...groups, bits >>> 16, bits & 0xffff]
    )
  }
  const bad = part.search(/[^0-9a-fA-F]/)
  if (bad >= 0) return problem(offset + bad, `${quoteAt(part, bad)} is not a hexadecimal digit`)
  if (part.length > 4) return problem(offset + 4, `group ${quote(part)} has more than four digits`)
  return groupsFrom(section, parts, index + 1, offset + part.length + 1, mayEndInQuad, [
    ...groups,
    Number.parseInt(part, 16)
  ])
}

export const isMappedGroups = (groups: Groups): boolean =>
  groups[5] === 0xffff && groups[0] === 0 && groups[1] === 0 && groups[2] === 0 && groups[3] === 0 && groups[4] === 0

export const mappedBits = (groups: Groups): number => ((groups[6] << 16) | groups[7]) >>> 0

/**
 * RFC 5952: §4.3 lower case, §4.1 no leading zeros, §4.2.1 and §4.2.3 the longest run of zero groups becomes "::", the
 * first one on a tie, §4.2.2 "The symbol "::" MUST NOT be used to shorten just one 16-bit 0 field", §5 IPv4-mapped
 * with its dotted quad.
 */
export const ipv6Text = (groups: Groups): string => {
  if (isMappedGroups(groups)) return `::ffff:${ipv4Text(mappedBits(groups))}`
  const start = longestZeroRun(groups, 0, -1, 1)
  if (start < 0) return hexText(groups)
  return `${hexText(groups.slice(0, start))}::${hexText(groups.slice(start + zeroRun(groups, start)))}`
}

const hexText = (groups: ReadonlyArray<number>): string => groups.map((group) => group.toString(16)).join(":")

const zeroRun = (groups: ReadonlyArray<number>, index: number): number =>
  groups[index] === 0 ? 1 + zeroRun(groups, index + 1) : 0

const longestZeroRun = (groups: ReadonlyArray<number>, index: number, best: number, bestLength: number): number => {
  if (index >= groups.length) return best
  const length = zeroRun(groups, index)
  return length > bestLength
    ? longestZeroRun(groups, index + length, index, length)
    : longestZeroRun(groups, index + Math.max(length, 1), best, bestLength)
}

// ---------------------------------------------------------------------------------------------------------------------
// Zones
// ---------------------------------------------------------------------------------------------------------------------

// Linux and the BSDs have 15 bytes (IF_NAMESIZE less its NUL), Windows names are longer; this only bounds the input.
const maxZoneLength = 64

/**
 * The addresses that Linux asks a scope id for (`__ipv6_addr_needs_scope_id`): link-local unicast fe80::/10, and
 * multicast of interface-local or link-local scope (RFC 4291 §2.7).
 */
export const takesZone = ([first]: Groups): boolean =>
  (first & 0xffc0) === 0xfe80 || ((first & 0xff00) === 0xff00 && ((first & 0xf) === 1 || (first & 0xf) === 2))

/** RFC 4007 §11.2 leaves the characters of a zone id open; RFC 6874 §2 gives those that need no escape in a URI. */
export const checkZone = (zone: string, groups: Groups): Either.Either<string, Problem> => {
  if (zone === "") return problem(0, "the zone after \"%\" is empty")
  const bad = zone.search(/[^A-Za-z0-9._~-]/)
  if (bad >= 0) return problem(bad, `${quoteAt(zone, bad)} cannot stand in a zone`)
  if (zone.length > maxZoneLength) return problem(maxZoneLength, `the zone is over ${maxZoneLength} characters`)
  return takesZone(groups)
    ? Either.right(zone)
    : problem(0, "only a link-local address (fe80::/10, or multicast ff01 and ff02) has a zone")
}

// ---------------------------------------------------------------------------------------------------------------------
// Ports, and host:port
// ---------------------------------------------------------------------------------------------------------------------

export const parsePortNumber = (text: string): Either.Either<number, Problem> => {
  if (text === "") return problem(0, "the port is missing")
  const bad = text.search(/[^0-9]/)
  if (bad >= 0) return problem(bad, `${quoteAt(text, bad)} is not a decimal digit of a port`)
  if (text.length > 1 && text.startsWith("0")) return problem(0, `port ${quote(text)} has a leading zero`)
  return text.length > 5 || Number(text) > 65535
    ? problem(0, `port ${quote(text)} is over 65535`)
    : Either.right(Number(text))
}

/** A `host:port` taken apart; the offsets are those of the two parts in the text. */
export interface HostPort {
  readonly host: string
  readonly hostAt: number
  readonly bracketed: boolean
  readonly port: string
  readonly portAt: number
}

/** Splits `host:port` and `[v6]:port`, looking at nothing inside the two parts. */
export const splitHostPort = (text: string): Either.Either<HostPort, Problem> => {
  if (text === "") return problem(0, "the host is missing")
  if (text.startsWith("[")) return splitBracketed(text)
  const colon = text.indexOf(":")
  if (colon < 0) return problem(text.length, "the port is missing")
  const second = text.indexOf(":", colon + 1)
  if (second >= 0) {
    return /^[0-9a-fA-F:.]*(?:%|$)/.test(text)
      ? problem(0, "an IPv6 address has to stand in brackets, as in [::1]:80")
      : problem(second, "a second \":\" follows the host")
  }
  return colon === 0 ? problem(0, "the host is missing") : Either.right({
    host: text.slice(0, colon),
    hostAt: 0,
    bracketed: false,
    port: text.slice(colon + 1),
    portAt: colon + 1
  })
}

const splitBracketed = (text: string): Either.Either<HostPort, Problem> => {
  const close = text.indexOf("]")
  if (close < 0) return problem(0, "\"[\" is never closed")
  if (close === text.length - 1) return problem(text.length, "the port is missing")
  return text[close + 1] === ":"
    ? Either.right({
      host: text.slice(1, close),
      hostAt: 1,
      bracketed: true,
      port: text.slice(close + 2),
      portAt: close + 2
    })
    : problem(close + 1, `":" and a port have to follow "]", not ${quoteAt(text, close + 1)}`)
}
