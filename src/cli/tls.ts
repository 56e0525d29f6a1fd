/**
 * What a command takes about TLS, as options of the library: the files are read here, so that one that is missing or no
 * certificate is one clear line before anything is dialed.
 */
import { FileSystem } from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, X509Certificate } from "node:crypto"
import * as Address from "../Address.js"
import * as Endpoint from "../Endpoint.js"
import { printable, quoted } from "../internal/printable.js"
import type { TlsOptions } from "../TlsOptions.js"
import { BadUsage } from "./arguments.js"

/** As they are typed. */
export interface TlsWords {
  readonly ca: Option.Option<string>
  readonly servername: Option.Option<string>
  readonly alpn: Option.Option<string>
  readonly cert: Option.Option<string>
  readonly key: Option.Option<string>
}

/** The options for an endpoint; none are for one that TLS is not spoken to. */
export const parseTls = (
  endpoint: Endpoint.Endpoint,
  words: TlsWords
): Effect.Effect<TlsOptions, BadUsage, FileSystem> =>
  Effect.gen(function*() {
    const given = (["ca", "servername", "alpn", "cert", "key"] as const).find((word) => Option.isSome(words[word]))
    if (given !== undefined && endpoint._tag !== "Tls") {
      return yield* wrong(`--${given} is for TLS: write the endpoint as tls://host:port`)
    }
    const roots = yield* Effect.transposeMapOption(words.ca, rootsIn)
    const serverName = yield* Effect.transposeMapOption(words.servername, checkedName)
    const alpn = yield* Effect.transposeMapOption(words.alpn, protocols)
    const identity = yield* identityOf(words)
    return {
      roots: Option.getOrUndefined(roots),
      serverName: Option.getOrUndefined(serverName),
      alpn: Option.getOrUndefined(alpn),
      identity
    }
  })

const wrong = (reason: string): Effect.Effect<never, BadUsage> => Effect.fail(new BadUsage({ reason }))

const quote = (text: string): string => quoted(text, 60)

const read = (option: string, file: string): Effect.Effect<string, BadUsage, FileSystem> =>
  Effect.flatMap(FileSystem, (files) =>
    Effect.catchAll(files.readFileString(file), (error) =>
      wrong(
        `${option}: cannot read ${quote(file)}: ${
          error._tag === "SystemError" ? error.reason : printable(error.message)
        }`
      )))

/** A certificate, or the first of several. */
const certificateIn = (option: string, file: string, text: string): Effect.Effect<X509Certificate, BadUsage> =>
  Effect.catchAll(
    Effect.try(() => new X509Certificate(text)),
    () => wrong(`${option}: there is no certificate in PEM in ${quote(file)}`)
  )

const rootsIn = (file: string): Effect.Effect<string, BadUsage, FileSystem> =>
  Effect.tap(read("--ca", file), (text) => certificateIn("--ca", file, text))

const checkedName = (text: string): Effect.Effect<string, BadUsage> =>
  Either.isRight(Address.parse(text)) || Either.isRight(Endpoint.domainName(text))
    ? Effect.succeed(text)
    : wrong(`--servername: ${quote(text)} is no name: write one as db.internal`)

/** RFC 7301 §3.1: a protocol's name has 1 to 255 bytes. */
const protocols = (text: string): Effect.Effect<ReadonlyArray<string>, BadUsage> => {
  const names = text.split(",")
  return names.every((name) => name !== "" && Buffer.byteLength(name) < 256)
    ? Effect.succeed(names)
    : wrong(`--alpn: ${quote(text)} is no list of protocols: write one as h2,http/1.1`)
}

const identityOf = ({ cert, key }: TlsWords): Effect.Effect<TlsOptions["identity"], BadUsage, FileSystem> =>
  Effect.gen(function*() {
    if (Option.isNone(cert) && Option.isNone(key)) return undefined
    if (Option.isNone(cert)) return yield* wrong("--key needs --cert FILE, the certificate it belongs to")
    if (Option.isNone(key)) return yield* wrong("--cert needs --key FILE, the key that belongs to it")
    const [certificate, secret] = yield* Effect.all([read("--cert", cert.value), read("--key", key.value)])
    const x509 = yield* certificateIn("--cert", cert.value, certificate)
    const privateKey = yield* Effect.catchAll(
      Effect.try(() => createPrivateKey(secret)),
      () => wrong(`--key: there is no key in PEM, without a passphrase, in ${quote(key.value)}`)
    )
    return x509.checkPrivateKey(privateKey)
      ? { certificate, key: Redacted.make(secret) }
      : yield* wrong(`--key: ${quote(key.value)} does not belong to the certificate in ${quote(cert.value)}`)
  })
