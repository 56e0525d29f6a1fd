/**
 * What the commands take, as values: parsed here so that a mistake is one clear line.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
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

const quote = (text: string): string => quoted(text, 60)

// -----------------------------------------------------------------------------
// words in the wrong place
// -----------------------------------------------------------------------------

interface Command {
  readonly name: string
  readonly endpoint: boolean
  /** Its options, each with an example of its value where it takes one. */
  readonly options: { readonly [option: string]: string | undefined }
}

const commands: ReadonlyArray<Command> = [
  { name: "connect", endpoint: true, options: {} },
  { name: "trace", endpoint: true, options: { "--timeout": "10s", "--json": undefined } },
  { name: "demo", endpoint: false, options: {} }
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
  const taken = command.endpoint ? 1 : 0
  if (others.length < taken) return wrong(`${command.name} needs an endpoint, as in ${command.name} example.com:80`)
  return others.length === taken
    ? Either.void
    : wrong(`unexpected ${quote(others[taken] ?? "")}: ${command.name} takes ${taken === 0 ? "no" : "one"} endpoint`)
}

const wrong = (reason: string): Either.Either<never, BadUsage> => Either.left(new BadUsage({ reason }))

const list = (words: ReadonlyArray<string>, conjunction: string): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}`
