/**
 * Certificates as Node has them, made the values of `Certificate`.
 */
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import { createHash, type X509Certificate } from "node:crypto"
import * as Address from "../../Address.js"
import type { Certificate } from "../../Certificate.js"

/**
 * The certificates of a chain as values. One that cannot be read to the end is left out: a peer may send dates that are
 * none, and keys that OpenSSL does not know.
 */
export const certificatesOf = (leaf: X509Certificate | undefined): ReadonlyArray<Certificate> =>
  chainOf(leaf).flatMap((x509) => readable(() => certificateOf(x509)))

/** The pins of a chain's keys. */
export const pinsOf = (leaf: X509Certificate | undefined): ReadonlyArray<string> =>
  chainOf(leaf).flatMap((x509) => readable(() => pinOf(x509)))

const readable = <A>(read: () => A): ReadonlyArray<A> => {
  try {
    return [read()]
  } catch {
    return []
  }
}

const certificateOf = (x509: X509Certificate): Certificate => ({
  subject: oneLine(x509.subject),
  issuer: oneLine(x509.issuer),
  names: namesOf(x509.subjectAltName),
  validFrom: DateTime.unsafeMake(Date.parse(x509.validFrom)),
  validTo: DateTime.unsafeMake(Date.parse(x509.validTo)),
  serialNumber: x509.serialNumber,
  fingerprint: sha256(x509.raw),
  pin: pinOf(x509),
  der: new Uint8Array(x509.raw)
})

const pinOf = (x509: X509Certificate): string => sha256(x509.publicKey.export({ type: "spki", format: "der" }))

/** A certificate and, behind it, those the peer sent along, as Node has found them to issue one another. */
const chainOf = (leaf: X509Certificate | undefined): ReadonlyArray<X509Certificate> => {
  const chain: Array<X509Certificate> = []
  // A root is its own issuer, and a peer can send what leads in a circle.
  for (let next = leaf; next !== undefined && chain.length < longestChain; next = next.issuerCertificate) {
    if (chain.some(({ fingerprint256 }) => fingerprint256 === next?.fingerprint256)) break
    chain.push(next)
  }
  return chain
}

const longestChain = 100

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("base64")

/** Node writes an attribute a line, from the least to the most specific. Either may be missing. */
const oneLine = (name: string | undefined): string => (name ?? "").split("\n").filter(Boolean).toReversed().join(", ")

/** Node writes `DNS:a.test, IP Address:10.0.0.1, DNS:"quo\"ted"`, a value as JSON where it has to. */
const namesOf = (text: string | undefined): ReadonlyArray<string> =>
  Array.from(
    (text ?? "").matchAll(/(?:^|, )(DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]*)/g),
    ([, kind, value = ""]) => {
      const plain = value.startsWith("\"") ? String(JSON.parse(value)) : value
      return kind === "DNS" ? plain : Either.getOrElse(Either.map(Address.parse(plain), String), () => plain)
    }
  )
