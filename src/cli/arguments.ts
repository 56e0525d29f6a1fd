/**
 * What the commands take, as values: parsed here so that a mistake is one clear line.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { parse, parseSocketAddress, Port, type SocketAddress, socketAddress } from "../Address.js"
import type { DialOptions } from "../DialOptions.js"
import { type RecordType, typeCodes } from "../DnsMessage.js"
import { quoted } from "../internal/printable.js"

/** The command line cannot mean anything. */
export class BadUsage extends Data.TaggedError("BadUsage")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}

const units: { readonly [unit: string]: string } = { ms: "millis", s: "seconds", m: "minutes", h: "hours" }

/** A time as people type it (`10s`, `500ms`, `1.5m`, `1h`) or as Effect writes it (`10 seconds`); more than 0. */
export const parseTimeout = (text: string): Either.Either<Duration.Duration, BadUsage> => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? []
  const duration = Duration.decodeUnknown(
    amount === undefined || unit === undefined ? text : `${amount} ${units[unit]}`
  )
  return Option.isSome(duration) && Duration.greaterThan(duration.value, Duration.zero)
    ? Either.right(duration.value)
    : Either.left(
      new BadUsage({ reason: `${quote(text)} is no timeout: write a time over 0 as 500ms, 10s or 1m` })
    )
}

/** A delay as people type it; 0 is one. */
export const parseDelay = (option: string, text: string): Either.Either<Duration.Duration, BadUsage> =>
  text === "0" ? Either.right(Duration.zero) : Either.mapLeft(
    parseTimeout(text),
    () => new BadUsage({ reason: `${option}: ${quote(text)} is no delay: write a time as 250ms or 1s` })
  )

const familyWords: { readonly [word: string]: DialOptions["families"] } = {
  any: undefined,
  inet6: ["inet6"],
  inet: ["inet"],
  "inet6-first": ["inet6", "inet"],
  "inet-first": ["inet", "inet6"]
}

/** Which families, and which of them first. */
export const parseFamily = (text: string): Either.Either<DialOptions["families"], BadUsage> =>
  Object.hasOwn(familyWords, text)
    ? Either.right(familyWords[text])
    : wrong(`${quote(text)} is no family: write ${list(Object.keys(familyWords), "or")}`)

/** Who is asked for names. */
export type Names =
  | { readonly _tag: "System" }
  | { readonly _tag: "Dns"; readonly servers: ReadonlyArray<SocketAddress> | undefined }
  | { readonly _tag: "Https"; readonly url: URL }

const httpsResolver = "doh=https://host/dns-query"

/** `--resolver` and `--server` together. */
export const parseNames = (
  resolver: Option.Option<string>,
  server: Option.Option<string>
): Either.Either<Names, BadUsage> => {
  if (Option.isSome(server)) {
    if (Option.exists(resolver, (text) => text !== "dns")) return wrong("--server is for --resolver dns")
    return Either.map(parseServer(server.value), (server): Names => ({ _tag: "Dns", servers: [server] }))
  }
  const text = Option.getOrElse(resolver, () => "system")
  if (text === "system") return Either.right({ _tag: "System" })
  if (text === "dns") return Either.right({ _tag: "Dns", servers: undefined })
  const url = text.startsWith("doh=") && URL.canParse(text.slice(4)) ? new URL(text.slice(4)) : undefined
  return url?.protocol === "https:" || url?.protocol === "http:"
    ? Either.right({ _tag: "Https", url })
    : wrong(
      // Nothing of a URL is shown: it may hold a password or a token, and what is said here may be in a log.
      `${/^\w*$/.test(text) ? quote(text) : "what is given"} is no resolver: write system, dns or ${httpsResolver}`
    )
}

/** An address, with a port or without. */
const parseServer = (text: string): Either.Either<SocketAddress, BadUsage> => {
  const ip = Either.map(parse(text), (ip): SocketAddress => socketAddress(ip, Port(53)))
  return Either.mapLeft(
    Either.orElse(ip, () => parseSocketAddress(text)),
    () => new BadUsage({ reason: `${quote(text)} is no name server: write an address as 192.0.2.53 or [::1]:5353` })
  )
}

/** A type of record. */
export const parseType = (text: string): Either.Either<RecordType, BadUsage> => {
  const type = text.toUpperCase()
  return Object.hasOwn(typeCodes, type)
    ? Either.right(type as RecordType)
    : wrong(`${quote(text)} is no type of record: write ${list(Object.keys(typeCodes), "or")}`)
}

const quote = (text: string): string => quoted(text, 60)

// -----------------------------------------------------------------------------
// words in the wrong place
// -----------------------------------------------------------------------------

/** A command, by what it takes. */
export interface Command {
  readonly name: "connect" | "trace" | "resolve" | "demo"
  /** What it takes one of, and an example. */
  readonly takes: readonly [what: "endpoint" | "name", example: string] | undefined
  /** Its options, each with an example of its value where it takes one. */
  readonly options: { readonly [option: string]: string | undefined }
}

const endpoint = ["endpoint", "example.com:80"] as const

const tls = {
  "--ca": "roots.pem",
  "--servername": "db.internal",
  "--alpn": "h2,http/1.1",
  "--cert": "me.pem",
  "--key": "me.key"
}

/** All there are. */
export const commands: ReadonlyArray<Command> = [
  { name: "connect", takes: endpoint, options: tls },
  {
    name: "trace",
    takes: endpoint,
    options: {
      "--timeout": "10s",
      "--attempt-delay": "250ms",
      "--resolution-delay": "50ms",
      "--family": "inet6",
      "--resolver": "dns",
      "--server": "192.0.2.53",
      ...tls,
      "--json": undefined
    }
  },
  {
    name: "resolve",
    takes: ["name", "example.com"],
    options: { "--type": "AAAA", "--resolver": "dns", "--server": "192.0.2.53", "--json": undefined }
  },
  { name: "demo", takes: undefined, options: {} }
]

/** What @effect/cli itself answers, whatever else is there. */
const builtIn = new Set(["-h", "--help", "--version", "--wizard", "--completions", "--log-level"])

/**
 * Refuse a command line that @effect/cli would not take, by the word that is wrong: it names the word after an unknown
 * option, or an option whose value is missing. `words` are those after the program's name.
 */
export const checkWords = (words: ReadonlyArray<string>): Either.Either<void, BadUsage> => {
  const [name, ...rest] = words
  if (name === undefined || words.some((word) => builtIn.has(word.split("=", 1)[0] ?? ""))) return Either.void
  const command = commands.find((command) => command.name === name)
  if (command !== undefined) return checkRest(command, rest)
  const known = list(commands.map((command) => command.name), "or")
  return wrong(
    `${
      name.startsWith("-") ? `a command comes before ${quote(name)}` : `unknown command ${quote(name)}`
    }: dial takes ${known}`
  )
}

const checkRest = (command: Command, words: ReadonlyArray<string>): Either.Either<void, BadUsage> => {
  const seen = new Set<string>()
  const others: Array<string> = []
  // let: an option takes the word after it along
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ""
    if (word === "--") {
      others.push(...words.slice(index + 1))
      break
    }
    if (!word.startsWith("-")) {
      others.push(word)
      continue
    }
    const [option = "", value] = word.split("=", 2)
    if (!Object.hasOwn(command.options, option)) {
      const known = Object.keys(command.options)
      return wrong(
        `unknown option ${quote(option)}: ${command.name} takes ${known.length === 0 ? "none" : list(known, "and")}`
      )
    }
    if (seen.has(option)) return wrong(`${option} is given twice`)
    seen.add(option)
    const example = command.options[option]
    if (example === undefined) {
      if (value !== undefined) return wrong(`${option} takes no value`)
    } else if (value === undefined) {
      const next = words[++index]
      if (next === undefined || next.startsWith("--")) {
        return wrong(`${option} needs a value, as in ${option} ${example}`)
      }
    }
  }
  const { name, takes } = command
  const taken = takes === undefined ? 0 : 1
  if (takes !== undefined && others.length < taken) {
    return wrong(`${name} needs ${takes[0] === "endpoint" ? "an" : "a"} ${takes[0]}, as in ${name} ${takes[1]}`)
  }
  return others.length === taken
    ? Either.void
    : wrong(
      `unexpected ${quote(others[taken] ?? "")}: ${name} takes ${
        takes === undefined ? "no endpoint" : `one ${takes[0]}`
      }`
    )
}

const wrong = (reason: string): Either.Either<never, BadUsage> => Either.left(new BadUsage({ reason }))

const list = (words: ReadonlyArray<string>, conjunction: string): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}`
