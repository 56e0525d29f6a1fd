/**
 * Lines of text with a tone for each part, and the one place that knows what a tone looks like on a terminal. Pure.
 */
import * as Ansi from "@effect/printer-ansi/Ansi"
import { printable } from "../internal/printable.js"

/** What a part of a line means, which says its colour where there are colours. */
export type Tone = "plain" | "strong" | "faint" | "connected" | "failed" | "stopped" | "answered"

/** A part of a line. */
export interface Part {
  readonly text: string
  readonly tone: Tone
}

/** A line, without its newline. */
export type Line = ReadonlyArray<Part>

/** A part of a line. A UNIX path may hold escape codes; they are shown, not obeyed. */
export const part = (text: string, tone: Tone = "plain"): Part => ({ text: printable(text), tone })

/**
 * What a terminal gives two columns: Unicode's East Asian Wide and Fullwidth (UAX #11), in ranges rounded over the
 * unassigned, and the emoji. A wrong guess misplaces a column; only one too low wraps a line, so doubts are wide.
 */
const wide = new RegExp(
  "[\\p{Emoji_Presentation}\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3" +
    "\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6" +
    "\u{16fe0}-\u{18dff}\u{1aff0}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]",
  "u"
)
/** U+FE0F makes a narrow symbol a wide emoji, so it counts as the column it adds. */
const combining = /(?!\ufe0f)[\p{Mn}\p{Me}\p{Cf}]/u

/** How many columns a text takes on a terminal. */
export const columns = (text: string): number => Array.from(text).reduce((sum, char) => sum + columnsOf(char), 0)

const columnsOf = (char: string): number => wide.test(char) ? 2 : combining.test(char) ? 0 : 1

/** As much of the beginning of a text as `width` columns hold. */
const take = ([...chars]: Iterable<string>, width: number): string => {
  const [first, ...rest] = chars
  const left = width - (first === undefined ? 0 : columnsOf(first))
  return first === undefined || left < 0 ? "" : first + take(rest, left)
}

/** A text in `width` columns: padded, or cut with an ellipsis. */
export const fit = (text: string, width: number): string => {
  const shown = columns(text) <= width ? text : width < 1 ? "" : `${take(text, width - 1)}…`
  return shown + " ".repeat(Math.max(0, width - columns(shown)))
}

/** A line in at most `width` columns, so that it never wraps. */
export const clip = (line: Line, width: number): Line => {
  const [first, ...rest] = line
  if (first === undefined || width <= 0) return []
  const used = columns(first.text)
  return used <= width
    ? [first, ...clip(rest, width - used)]
    : [{ ...first, text: fit(first.text, width) }]
}

/** A line as text, with escape codes or without. */
export const paint = (line: Line, colour: boolean): string =>
  (colour ? line.map(painted).join("") : line.map(({ text }) => text).join("")).trimEnd()

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
  return style === undefined || text.trim() === "" ? text : `${Ansi.stringify(style)}${text}${reset}`
}
