/**
 * Lines of text with a tone for each part, and the one place that knows what a tone looks like on a terminal. Pure.
 */
import * as Ansi from "@effect/printer-ansi/Ansi"

/** What a part of a line means, which says its colour where there are colours. */
export type Tone = "plain" | "strong" | "faint" | "connected" | "failed" | "stopped" | "answered"

/** A part of a line. */
export interface Part {
  readonly text: string
  readonly tone: Tone
}

/** A line, without its newline. */
export type Line = ReadonlyArray<Part>

/** A part of a line. */
export const part = (text: string, tone: Tone = "plain"): Part => ({ text, tone })

/** A text in `width` columns: padded, or cut with an ellipsis. */
export const fit = (text: string, width: number): string =>
  text.length <= width ? text.padEnd(width) : width < 1 ? "" : `${text.slice(0, width - 1)}…`

/** A line in at most `width` columns, so that it never wraps. */
export const clip = (line: Line, width: number): Line => {
  const [first, ...rest] = line
  if (first === undefined || width <= 0) return []
  return first.text.length <= width
    ? [first, ...clip(rest, width - first.text.length)]
    : [{ ...first, text: fit(first.text, width) }]
}

/** A line as text, with escape codes or without. */
export const paint = (line: Line, colour: boolean): string =>
  (colour ? line.map(painted).join("") : line.map(({ text }) => visible(text)).join("")).trimEnd()

const styles: { readonly [T in Tone]: Ansi.Ansi | undefined } = {
  plain: undefined,
  strong: Ansi.bold,
  faint: Ansi.blackBright,
  connected: Ansi.green,
  failed: Ansi.red,
  stopped: Ansi.yellow,
  answered: Ansi.cyan
}

// @effect/printer-ansi starts every style with a reset but has none by itself.
const reset = "\u001B[0m"

const painted = ({ text, tone }: Part): string => {
  const style = styles[tone]
  return style === undefined || text.trim() === "" ? visible(text) : `${Ansi.stringify(style)}${visible(text)}${reset}`
}

/** A UNIX path may hold escape codes; they are shown, not obeyed. */
const visible = (text: string): string => text.replaceAll(/\p{Cc}/gu, "\u{FFFD}")
