/**
 * Text from outside made fit for a terminal and a log.
 *
 * Escape sequences start with a C0 or a C1 control, bidirectional overrides (a `Cf`) show an address as another one,
 * and a line separator forges a row. All other invisible characters go the same way, so that what is read is what is
 * there. Applying it twice changes nothing, and JSON text stays JSON of the same value.
 */

/** Every control, format, private, unassigned and lone surrogate character, and U+2028 and U+2029, as `\uXXXX`. */
export const printable = (text: string): string =>
  text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => char.split("").map(escape).join(""))

const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`

/** A text of which what is over `most` UTF-16 code units is left out. */
export const shortened = (text: string, most: number): string => text.length > most ? `${text.slice(0, most)}…` : text

/** Text in double quotes on one short line, {@link shortened}. */
export const quoted = (text: string, most: number): string => printable(JSON.stringify(shortened(text, most)))
