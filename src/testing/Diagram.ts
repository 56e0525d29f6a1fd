/**
 * A trace as a sequence diagram in text: hosts side by side, time downwards, an arrow for each packet.
 *
 * An arrow stands at the time it was sent and says when it arrives; one that is lost, or waits for a way to open, ends
 * in `X`. What happens at one host stands in that host's column; what concerns the whole network is between rules.
 *
 * @since 0.1.0
 */
import type { NetworkEvent, Trace } from "./Trace.js"

/**
 * How to draw.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The hosts in the order of their columns. Those in the trace that are not named follow. */
  readonly hosts?: ReadonlyArray<string> | undefined
  /**
   * The width of a column, in characters.
   *
   * @default 34
   */
  readonly width?: number | undefined
  /**
   * Leave out acknowledgements of handshakes, and events of dials.
   *
   * @default false
   */
  readonly brief?: boolean | undefined
}

/**
 * Draw a trace. Lines end in a newline; an empty trace is an empty text.
 *
 * @since 0.1.0
 * @category drawing
 */
export const render = (trace: Trace, options: Options = {}): string => {
  const events = options.brief === true ? trace.filter((event) => !isDetail(event)) : trace
  if (events.length === 0) return ""
  const width = options.width ?? 34
  const hosts = [...new Set([...options.hosts ?? [], ...events.flatMap(hostsOf)])]
  const column = (host: string) => hosts.indexOf(host) * width
  const times = events.map(({ at }) => clock(at))
  const margin = Math.max(...times.map((text) => text.length))
  const rails = (text: string, at: number) => overlay(hosts.map(() => "│".padEnd(width)).join("").trimEnd(), text, at)
  const lines = events.map((event, index) => {
    const time = times[index] === times[index - 1] ? "" : times[index] ?? ""
    return `${time.padStart(margin)}  ${drawn(event, column, rails, hosts.length * width)}`.trimEnd()
  })
  const header = `${" ".repeat(margin)}  ${hosts.map((host) => host.padEnd(width)).join("")}`.trimEnd()
  return [header, ...lines, ""].join("\n")
}

const drawn = (
  event: NetworkEvent,
  column: (host: string) => number,
  rails: (text: string, at: number) => string,
  width: number
): string => {
  switch (event._tag) {
    case "Packet": {
      const label = `${event.kind}${event.bytes > 0 ? ` ${event.bytes}` : ""} #${event.connection}${
        event.arrives === null || event.arrives === event.at ? "" : ` (${clock(event.arrives)})`
      }`
      return arrow(column(event.from), column(event.to), label, event.arrives !== null, rails)
    }
    case "Opened":
      return rails(`● #${event.connection} opens to ${event.address}`, column(event.host))
    case "Closed":
      return rails(`○ #${event.connection} closes (${event.mode})`, column(event.host))
    case "Lost":
      return rails(`✗ #${event.connection} lost: ${event.reason}`, column(event.host))
    case "Lookup":
      return rails(`? ${event.name}`, column(event.host))
    case "Answer":
      return rails(`= ${event.family}: ${event.answer}`, column(event.host))
    case "Behaved":
      return rails(`! #${event.connection} behaviour failed: ${event.failure}`, column(event.host))
    case "Dial":
      return rails(`  dial ${event.dial}: ${event.event._tag}`, column("client"))
    case "Steered":
      return `══ ${event.what} `.padEnd(width, "═")
  }
}

const arrow = (
  from: number,
  to: number,
  label: string,
  arrives: boolean,
  rails: (text: string, at: number) => string
): string => {
  if (from === to) return rails(`↺ ${label}${arrives ? "" : " X"}`, from)
  const length = Math.abs(to - from) - 1
  const text = ` ${label} `.slice(0, Math.max(0, length - 4))
  const line = "─".repeat(Math.max(0, length - 1 - text.length - 2))
  return to > from
    ? rails(`──${text}${line}${arrives ? "▶" : "X"}`, from + 1)
    : rails(`${arrives ? "◀" : "X"}${line}${text}──`, to + 1)
}

const overlay = (line: string, text: string, at: number): string =>
  `${line.slice(0, at).padEnd(at)}${text}${line.slice(at + text.length)}`

const hostsOf = (event: NetworkEvent): ReadonlyArray<string> => {
  switch (event._tag) {
    case "Packet":
      return [event.from, event.to]
    case "Steered":
      return []
    case "Dial":
      return ["client"]
    default:
      return [event.host]
  }
}

const isDetail = (event: NetworkEvent): boolean =>
  event._tag === "Dial" || (event._tag === "Packet" && event.kind === "ACK")

/** Milliseconds, with as many decimals as say something. */
const clock = (millis: number): string => String(Math.round(millis * 1000) / 1000)
