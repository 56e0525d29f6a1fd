/**
 * The grammar of domain names: RFC 1123 §2.1 letters, digits and hyphens, the lengths of RFC 1035 §2.3.4, and the
 * mapping of names outside ASCII to A-labels by UTS 46.
 */
import * as Either from "effect/Either"
import { parseIpv4Bits, type Problem, problem, quote, quoteAt } from "./addressText.js"

/** RFC 1035 §2.3.4: "labels 63 octets or less". */
const maxLabelOctets = 63

/** RFC 1035 §2.3.4: "names 255 octets or less", of which the wire takes two that the text does not show. */
const maxNameOctets = 253

// A name in another script can shrink when it is mapped, but not from this size; it bounds the work of UTS 46.
const maxUnicodeLength = 1024

/** A checked name: lower-case A-labels without the trailing dot, and whether it had one. */
export interface NameText {
  readonly ascii: string
  readonly fullyQualified: boolean
}

// UTS 46 §4.5 takes these three for a dot too.
const dot = /[.\u3002\uff0e\uff61]/

/**
 * The rule of WHATWG URL ("ends in a number"): what such a name would mean is a number to some systems and a name to
 * others, so it is never a name.
 */
export const endsInNumber = (host: string): boolean =>
  /(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)$/.test(host.endsWith(".") ? host.slice(0, -1) : host)

export const parseDottedDecimal = (host: string): Either.Either<number, Problem> =>
  Either.mapLeft(parseIpv4Bits(host), ({ position, reason }) => ({
    position,
    reason: `${quote(host)} looks like an IPv4 address but is not one in dotted decimal: ${reason}`
  }))

export const parseName = (text: string): Either.Either<NameText, Problem> => {
  if (text === "") return problem(0, "the host is missing")
  const fullyQualified = dot.test(text.slice(-1))
  const name = fullyQualified ? text.slice(0, -1) : text
  return Either.flatMap(needsIdna(name) ? idna(name) : ldh(name), (ascii) =>
    endsInNumber(ascii)
      ? Either.flatMap(parseDottedDecimal(text), () => problem(0, `${quote(text)} is an IPv4 address, not a name`))
      : Either.right({ ascii, fullyQualified }))
}

const needsIdna = (name: string): boolean => /[^\0-\x7f]/.test(name) || /(?:^|\.)xn--/i.test(name)

const ldh = (name: string): Either.Either<string, Problem> => {
  if (name.length > maxNameOctets) return problem(maxNameOctets, tooLong)
  const wrong = firstProblem(withOffsets(name.split(".")), labelProblem)
  return wrong === undefined ? Either.right(name.toLowerCase()) : Either.left(wrong)
}

const tooLong = `the name is over ${maxNameOctets} octets`

interface Label {
  readonly text: string
  readonly offset: number
}

const withOffsets = (texts: ReadonlyArray<string>): ReadonlyArray<Label> => {
  const labels: Array<Label> = []
  for (const text of texts) {
    const last = labels[labels.length - 1]
    labels.push({ text, offset: last === undefined ? 0 : last.offset + last.text.length + 1 })
  }
  return labels
}

const firstProblem = (
  labels: ReadonlyArray<Label>,
  check: (label: string) => Problem | undefined
): Problem | undefined => {
  for (const { offset, text } of labels) {
    const wrong = check(text)
    if (wrong !== undefined) return { position: offset + wrong.position, reason: wrong.reason }
  }
  return undefined
}

// Underscore is outside RFC 1123's host names, but service names have it (RFC 8552 _tcp) and resolvers look them up.
const labelProblem = (label: string): Problem | undefined => {
  if (label === "") return { position: 0, reason: "a label of the name is empty" }
  const bad = label.search(/[^A-Za-z0-9_-]/)
  if (bad >= 0) return { position: bad, reason: `${quoteAt(label, bad)} cannot stand in a name` }
  if (label.startsWith("-")) return { position: 0, reason: "a label begins with a hyphen" }
  if (label.endsWith("-")) return { position: label.length - 1, reason: "a label ends in a hyphen" }
  return label.length > maxLabelOctets
    ? { position: maxLabelOctets, reason: `a label is over ${maxLabelOctets} octets` }
    : undefined
}

/**
 * UTS 46 needs tables of many kilobytes that change with every Unicode version. Each platform that this library can run
 * on has them behind `URL`, so that is what maps the name, after every ASCII character which URL would interpret
 * (`%`, `/`, `:`, `@`, `?`, `#`, a space) was refused here. Its answer is then checked as any ASCII name is.
 */
const idna = (name: string): Either.Either<string, Problem> => {
  if (name.length > maxUnicodeLength) return problem(maxUnicodeLength, tooLong)
  const labels = withOffsets(name.split(dot))
  const bad = name.search(/[\0-,/:-@[-^`{-\x7f]/)
  if (bad >= 0) return problem(bad, `${quoteAt(name, bad)} cannot stand in a name`)
  const empty = labels.find((label) => label.text === "")
  if (empty !== undefined) return problem(empty.offset, "a label of the name is empty")
  const ascii = toAscii(name)
  if (ascii === undefined) {
    const wrong = labels.find((label) => toAscii(label.text) === undefined)
    return problem(wrong?.offset ?? 0, `${quote(wrong?.text ?? name)} is not valid in an internationalised name`)
  }
  return Either.mapLeft(ldh(ascii), (wrong) => atSource(labels, ascii, wrong))
}

// A problem of the mapped name belongs to the label it is in, as offsets inside a label do not survive the mapping.
const atSource = (labels: ReadonlyArray<Label>, ascii: string, { position, reason }: Problem): Problem => {
  const mapped = ascii.split(".")
  const index = ascii.slice(0, position).split(".").length - 1
  return { position: mapped.length === labels.length ? labels[index]?.offset ?? 0 : 0, reason }
}

// The label added at the end keeps URL from reading a last label such as "１" as part of an IPv4 address.
const toAscii = (name: string): string | undefined => {
  try {
    return new URL(`http://${name}.a/`).hostname.slice(0, -2)
  } catch {
    return undefined
  }
}
