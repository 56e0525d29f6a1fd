/**
 * A dial as a picture: each lookup and each attempt a row, its time a bar. Pure: events in, lines out.
 *
 *                     start     took  0                                                      300 ms
 *     AAAA           0.0 ms   0.2 ms  ╸                                                              ::1
 *     A              0.0 ms   0.2 ms  ╸                                                              127.0.0.8
 *     #0  ::1        0.5 ms   251 ms  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━            stopped
 *     #1  127.0.0.8  251 ms   0.6 ms                                                   ╺╸            connected
 *     connected to 127.0.0.8:20480 from 127.0.0.1:51234 in 252 ms
 */
import * as Certificate from "../Certificate.js"
import type { DialEvent } from "../DialEvent.js"
import { printable } from "../internal/printable.js"
import { families } from "../Resolver.js"
import { clip, columns, fit, type Line, part, type Tone } from "./lines.js"
import { agreedText, failureText, hostOf, millis, outcomeText, reasonText, recordType } from "./words.js"

/** What a picture is drawn for. */
export interface Frame {
  /** Milliseconds since the dial began: where the bars of what is under way end. */
  readonly now: number
  /** Columns; no line is longer. */
  readonly width: number
  /** Whether the dial is over, also one that was interrupted and has no last event. */
  readonly over?: boolean | undefined
}

/** The picture of the events so far. */
export const draw = (events: ReadonlyArray<DialEvent>, frame: Frame): ReadonlyArray<Line> => {
  const rows = rowsOf(events, frame)
  const layout = layoutOf(rows, frame)
  return [
    ...(rows.length === 0 ? [] : [header(layout)]),
    ...rows.map((row) => rowLine(row, layout, frame.now)),
    ...ending(events)
  ].map((line) => clip(line, frame.width))
}

// -----------------------------------------------------------------------------
// rows
// -----------------------------------------------------------------------------

interface Row {
  readonly label: string
  readonly startedAt: number
  /** `undefined` while it is under way. */
  readonly endedAt: number | undefined
  readonly tone: Tone
  readonly outcome: string
}

const rowsOf = (events: ReadonlyArray<DialEvent>, frame: Frame): ReadonlyArray<Row> => {
  const last = events.find((event) => event._tag === "Connected" || event._tag === "DialFailed")?.at
  const over = last ?? (frame.over === true ? frame.now : undefined)
  return events.flatMap((event) =>
    event._tag === "ResolutionStarted"
      ? lookups(event, events, over)
      : event._tag === "AttemptStarted"
      ? attemptRows(event, events)
      : []
  )
}

type Of<Tag extends DialEvent["_tag"]> = Extract<DialEvent, { readonly _tag: Tag }>

/** A row for each family, and one for a failure of the name as a whole. */
const lookups = (
  { at: startedAt }: Of<"ResolutionStarted">,
  events: ReadonlyArray<DialEvent>,
  over: number | undefined
): ReadonlyArray<Row> => {
  const whole = events.filter((event) => event._tag === "ResolutionFailed").find(({ error }) =>
    error.family === undefined
  )
  const rows = families.flatMap((family): ReadonlyArray<Row> => {
    const label = recordType(family)
    const answer = events.find((event) =>
      event._tag === "AddressesResolved" && event.family === family ||
      event._tag === "ResolutionFailed" && event.error.family === family
    )
    if (answer?._tag === "AddressesResolved") {
      return [{ label, startedAt, endedAt: answer.at, tone: "answered", outcome: listed(answer.addresses.map(String)) }]
    }
    if (answer?._tag === "ResolutionFailed") {
      // Half the names of the world have no AAAA: that is an answer, and no reason for alarm.
      const tone = answer.error.reason === "NotFound" ? "faint" : "failed"
      return [{ label, startedAt, endedAt: answer.at, tone, outcome: reasonText(answer.error.reason) }]
    }
    if (whole !== undefined) return []
    return [
      over === undefined
        ? { label, startedAt, endedAt: undefined, tone: "plain", outcome: "asking" }
        : { label, startedAt, endedAt: over, tone: "stopped", outcome: "no answer yet" }
    ]
  })
  return whole === undefined
    ? rows
    : [...rows, {
      label: "name",
      startedAt,
      endedAt: whole.at,
      tone: "failed",
      outcome: reasonText(whole.error.reason)
    }]
}

/** Addresses in short: all of them while they fit the column. */
const listed = (addresses: ReadonlyArray<string>): string => {
  const all = addresses.join(", ")
  return all.length <= outcomeWidth
    ? all
    : `${addresses[0]}${addresses.length === 1 ? "" : ` +${addresses.length - 1}`}`
}

/** A row for the connect, and one for the handshake that followed. */
const attemptRows = (start: Of<"AttemptStarted">, events: ReadonlyArray<DialEvent>): ReadonlyArray<Row> => {
  const own = events.filter((event) => "attempt" in event && event.attempt === start.attempt)
  const shaking = own.find((event) => event._tag === "AttemptEstablishing")
  const number = `#${start.attempt}`
  const row = { label: `${number}  ${printable(hostOf(start.address))}`, startedAt: start.at }
  if (shaking === undefined) return [{ ...row, ...ended(own, "connecting", "connected") }]
  const session = own.find((event) => event._tag === "AttemptSecured")?.session
  const agreed = session === undefined ? "established" : agreedText(session)
  return [
    { ...row, endedAt: shaking.at, tone: "connected", outcome: "connected" },
    {
      label: `${" ".repeat(number.length)}  TLS`,
      startedAt: shaking.at,
      ...ended(own, "shaking hands", agreed)
    }
  ]
}

/** How what an attempt began has ended. */
const ended = (
  own: ReadonlyArray<DialEvent>,
  underway: string,
  succeeded: string
): Pick<Row, "endedAt" | "tone" | "outcome"> => {
  for (const event of own) {
    switch (event._tag) {
      case "AttemptFailed":
        return { endedAt: event.at, tone: "failed", outcome: failureText(event.error) }
      case "AttemptStopped":
        return { endedAt: event.at, tone: "stopped", outcome: "stopped" }
      case "AttemptConnected":
        return { endedAt: event.at, tone: "connected", outcome: succeeded }
    }
  }
  return { endedAt: undefined, tone: "plain", outcome: underway }
}

// -----------------------------------------------------------------------------
// columns
// -----------------------------------------------------------------------------

const timeWidth = 8
const outcomeWidth = 24
const barWidths = { least: 8, most: 64 }
const gap = "  "

interface Layout {
  readonly label: number
  /** 0 where the terminal is too narrow for bars. */
  readonly bar: number
  readonly outcome: number
  /** The time at the right end of the bars, in milliseconds. */
  readonly span: number
}

const layoutOf = (rows: ReadonlyArray<Row>, { now, width }: Frame): Layout => {
  const label = Math.min(Math.max(0, ...rows.map((row) => columns(row.label))), Math.floor(width * 0.4))
  const outcome = Math.min(Math.max(0, ...rows.map((row) => columns(row.outcome))), outcomeWidth)
  const left = width - label - outcome - 2 * timeWidth - 5 * gap.length
  return {
    label,
    outcome,
    bar: left < barWidths.least ? 0 : Math.min(left, barWidths.most),
    span: roundUp(Math.max(...rows.map((row) => row.endedAt ?? now), 0))
  }
}

/** The next round number: a live scale that moves seldom, and never far. */
const roundUp = (time: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(time, 1)))
  return power * ([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8].find((step) => step * power >= time) ?? 10)
}

const header = ({ bar, label, span }: Layout): Line => [
  part(gap + " ".repeat(label) + gap + "start".padStart(timeWidth) + gap + "took".padStart(timeWidth), "faint"),
  ...(bar === 0 ? [] : [part(`${gap}0${spanText(span).padStart(bar - 1)}`, "faint")])
]

const spanText = (span: number): string => span < 10_000 ? `${span} ms` : `${span / 1000} s`

const rowLine = (row: Row, { bar, label, span }: Layout, now: number): Line => {
  const end = row.endedAt ?? now
  return [
    part(gap + fit(row.label, label) + gap),
    part(
      millis(row.startedAt).padStart(timeWidth) + gap + millis(end - row.startedAt).padStart(timeWidth) + gap,
      "faint"
    ),
    ...(bar === 0 ? [] : [part(barText(row.startedAt / span, end / span, bar), row.tone), part(gap)]),
    part(row.outcome, row.tone)
  ]
}

/** A bar from one part of the width to another, exact to half a column and never shorter than that. */
const barText = (from: number, to: number, width: number): string => {
  const halves = width * 2
  const first = Math.min(Math.floor(from * halves), halves - 1)
  const last = Math.min(Math.max(Math.ceil(to * halves), first + 1), halves)
  const covers = (half: number): boolean => first <= half && half < last
  return Array.from({ length: width }, (_, column) => {
    const left = covers(column * 2)
    const right = covers(column * 2 + 1)
    return left && right ? "━" : left ? "╸" : right ? "╺" : " "
  }).join("")
}

// -----------------------------------------------------------------------------
// the end
// -----------------------------------------------------------------------------

const ending = (events: ReadonlyArray<DialEvent>): ReadonlyArray<Line> => {
  const last = events.at(-1)
  switch (last?._tag) {
    case "Connected":
      return [
        [
          part(`${gap}connected to ${last.address}`, "connected"),
          part(`${last.localAddress._tag === "Unix" ? "" : ` from ${last.localAddress}`} in ${millis(last.at)}`)
        ],
        ...secured(events)
      ]
    case "DialFailed":
      return [[part(`${gap}failed`, "failed"), part(` in ${millis(last.at)}: ${outcomeText(last.error)}`)]]
    default:
      return []
  }
}

/** What was agreed on with the one that won, and its certificate. */
const secured = (events: ReadonlyArray<DialEvent>): ReadonlyArray<Line> => {
  const won = events.find((event) => event._tag === "AttemptConnected")?.attempt
  const session = events.find((event) => event._tag === "AttemptSecured" && event.attempt === won)
  if (session?._tag !== "AttemptSecured") return []
  const { certificates: [leaf], cipher, verified } = session.session
  return [
    [
      part(`${gap}secured by ${agreedText(session.session)}, ${cipher}`),
      ...verified ? [] : [part(", NOT VERIFIED", "failed")]
    ],
    // Each on a line of its own: as one they are longer than most terminals are wide.
    ...leaf === undefined ? [] : Certificate.lines(leaf).map((text) => [part(`${gap}${gap}${text}`)])
  ]
}
