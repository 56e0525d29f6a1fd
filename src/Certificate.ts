/**
 * An X.509 certificate as a value: what a person needs to know which one it is and whether it can be the right one.
 *
 * It is what a peer sent, not a proof of anything: whether it was verified is told by whoever has it.
 *
 * Not here: reading DER or PEM, and verifying (the platform does both).
 *
 * @since 0.2.0
 */
import * as DateTime from "effect/DateTime"
import { shortened } from "./internal/printable.js"

/**
 * A certificate (RFC 5280).
 *
 * @since 0.2.0
 * @category models
 */
export interface Certificate {
  /** Whose it is: `CN=db.internal, O=Example`. Empty for one that has only names. */
  readonly subject: string
  /** Who issued it, written as the subject is. */
  readonly issuer: string
  /** The DNS names and IP addresses it is for: its subject alternative names of these two kinds. */
  readonly names: ReadonlyArray<string>
  /** The first moment of its validity. */
  readonly validFrom: DateTime.Utc
  /** The last moment of its validity. */
  readonly validTo: DateTime.Utc
  /** In hexadecimal. */
  readonly serialNumber: string
  /** The SHA-256 of its DER, in base64. */
  readonly fingerprint: string
  /** The SHA-256 of its SubjectPublicKeyInfo, in base64: what a pin is (RFC 7469 §2.4). */
  readonly pin: string
  /** Its DER. */
  readonly der: Uint8Array
}

/**
 * A certificate in one line: its subject, names, dates and issuer. Of what a peer made very long, and of very many
 * names, the rest is left out.
 *
 * @example
 * ```ts
 * import { DateTime } from "effect"
 * import { Certificate } from "effect-dial"
 * import * as assert from "node:assert"
 *
 * const certificate: Certificate.Certificate = {
 *   subject: "CN=db.internal",
 *   issuer: "CN=Example CA",
 *   names: ["db.internal", "10.0.0.7"],
 *   validFrom: DateTime.unsafeMake("2025-01-01"),
 *   validTo: DateTime.unsafeMake("2026-01-01"),
 *   serialNumber: "01",
 *   fingerprint: "",
 *   pin: "",
 *   der: new Uint8Array(0)
 * }
 * assert.strictEqual(
 *   Certificate.describe(certificate),
 *   "CN=db.internal for db.internal and 10.0.0.7, valid from 2025-01-01 to 2026-01-01, issued by CN=Example CA"
 * )
 * ```
 *
 * @since 0.2.0
 * @category text
 */
export const describe = (certificate: Certificate): string => lines(certificate).join(", ")

/**
 * What {@link describe} tells, as lines for where there is room for them: whose it is, its dates, its issuer.
 *
 * @since 0.2.0
 * @category text
 */
export const lines = ({ issuer, names, subject, validFrom, validTo }: Certificate): ReadonlyArray<string> => [
  `${subject === "" ? "no subject" : short(subject)} for ${names.length === 0 ? "no name" : listed(names)}`,
  `valid from ${DateTime.formatIsoDateUtc(validFrom)} to ${DateTime.formatIsoDateUtc(validTo)}`,
  issuer === subject ? "issued by itself" : `issued by ${issuer === "" ? "nobody" : short(issuer)}`
]

/** A certificate may be for hundreds of names, and a message is one line. */
const mostNames = 5

/** Nothing bounds a subject, and a name only the certificate's length; an honest one is a fraction of this. */
const longest = 200

const short = (text: string): string => shortened(text, longest)

const listed = (names: ReadonlyArray<string>): string => {
  const shown = names.length > mostNames + 1
    ? [...names.slice(0, mostNames).map(short), `${names.length - mostNames} more`]
    : names.map(short)
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`
}
