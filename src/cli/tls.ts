/**
 * What a command takes about TLS, as options of the library: the files are read here, so that one that is missing or no
 * certificate is one clear line before anything is dialed.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { constants, createReadStream, fstatSync, openSync } from "node:fs"
import { Socket } from "node:net"
import type { Readable } from "node:stream"
import { isatty, ReadStream as Terminal } from "node:tty"
import { getSystemErrorMap } from "node:util"
import * as Address from "../Address.js"
import * as Endpoint from "../Endpoint.js"
import { octetsOf } from "../internal/octetsOf.js"
import { quoted } from "../internal/printable.js"
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
export const parseTls = (endpoint: Endpoint.Endpoint, words: TlsWords): Effect.Effect<TlsOptions, BadUsage> =>
  Effect.gen(function*() {
    const given = (["ca", "servername", "alpn", "cert", "key"] as const).find((word) => Option.isSome(words[word]))
    if (given !== undefined && endpoint._tag !== "Tls") {
      return yield* wrong(`--${given} is for TLS: write the endpoint as tls://host:port`)
    }
    const roots = yield* Effect.transposeMapOption(words.ca, (file) => certificatesIn("--ca", file))
    const serverName = yield* Effect.transposeMapOption(words.servername, checkedName)
    const alpn = yield* Effect.transposeMapOption(words.alpn, protocols)
    const identity = yield* identityOf(words)
    return {
      roots: Option.getOrUndefined(Option.map(roots, ({ all }) => all)),
      serverName: Option.getOrUndefined(serverName),
      alpn: Option.getOrUndefined(alpn),
      identity
    }
  })

const wrong = (reason: string): Effect.Effect<never, BadUsage> => Effect.fail(new BadUsage({ reason }))

const quote = (text: string): string => quoted(text, 60)

// -----------------------------------------------------------------------------
// files
// -----------------------------------------------------------------------------

/** Twenty times all the roots there are; a device or a disk image is not read to its end. */
const most = { bytes: 4 * 1024 * 1024, text: "4 MiB" }

/** PEM is ASCII; what stands around it may be anything. */
const read = (option: string, file: string): Effect.Effect<string, BadUsage> =>
  octetsOf(contents(file), most.bytes).pipe(
    Effect.catchAll((error) => wrong(`${option}: cannot read ${quote(file)}: ${errnoText(error)}`)),
    Effect.flatMap(Option.match({
      onNone: () => wrong(`${option}: ${quote(file)} is over ${most.text}: it cannot be what is asked for`),
      onSome: (octets) => Effect.succeed(Buffer.from(octets).toString("latin1"))
    }))
  )

const contents = (file: string): Stream.Stream<Uint8Array, NodeJS.ErrnoException> =>
  Stream.unwrap(
    Effect.map(
      // Without O_NONBLOCK the open of a FIFO waits for a writer, in a thread that an exit of the process waits for.
      Effect.try({ try: () => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK), catch: asErrno }),
      (fd) => NodeStream.fromReadable<NodeJS.ErrnoException, Uint8Array>(() => readableOf(fd), asErrno)
    )
  )

const asErrno = (cause: unknown): NodeJS.ErrnoException => cause as NodeJS.ErrnoException

/** What may keep us waiting, a FIFO or a terminal, is polled: a read of it is in no thread either, and can be given up. */
const readableOf = (fd: number): Readable =>
  isatty(fd)
    ? new Terminal(fd)
    : fstatSync(fd).isFIFO()
    ? new Socket({ fd, readable: true, writable: false })
    : createReadStream("", { fd })

const errnoText = ({ code, errno }: NodeJS.ErrnoException): string => {
  const [name = code, text] = errno === undefined ? [] : getSystemErrorMap().get(errno) ?? []
  return text === undefined ? String(name) : `${text} (${name})`
}

/** What is between is for X509Certificate to judge. */
const block = /-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END \1CERTIFICATE-----/g

/** The certificates of a file, the first of them read, and all as one text in which nothing else is left. */
const certificatesIn = (
  option: string,
  file: string
): Effect.Effect<{ readonly first: X509Certificate; readonly all: string }, BadUsage> =>
  Effect.gen(function*() {
    const text = yield* read(option, file)
    const blocks = [...text.matchAll(block)].map(([certificate]) => certificate)
    const certificates = yield* Effect.forEach(blocks, (certificate, index) =>
      Effect.catchAll(
        Effect.try(() => new X509Certificate(certificate)),
        () => wrong(`${option}: number ${index + 1} of ${blocks.length} in ${quote(file)} is no certificate`)
      ))
    const [first] = certificates
    if (first !== undefined) return { first, all: `${blocks.join("\n")}\n` }
    return yield* wrong(`${option}: there is no certificate in PEM in ${quote(file)}${isDer(text) ? derHint : ""}`)
  })

const isDer = (text: string): boolean =>
  Option.isSome(Option.liftThrowable(() => new X509Certificate(Buffer.from(text, "latin1")))())

const derHint = ": it is DER, of which openssl x509 -inform der makes PEM"

const identityOf = ({ cert, key }: TlsWords): Effect.Effect<TlsOptions["identity"], BadUsage> =>
  Effect.gen(function*() {
    if (Option.isNone(cert) && Option.isNone(key)) return undefined
    if (Option.isNone(cert)) return yield* wrong("--key needs --cert FILE, the certificate it belongs to")
    if (Option.isNone(key)) return yield* wrong("--cert needs --key FILE, the key that belongs to it")
    const certificate = yield* certificatesIn("--cert", cert.value)
    const secret = yield* read("--key", key.value)
    const privateKey = yield* Effect.catchAll(
      Effect.try(() => createPrivateKey(secret)),
      () =>
        /-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(secret)
          ? wrong(`--key: the key in ${quote(key.value)} has a passphrase: openssl pkey writes one without`)
          : wrong(`--key: there is no key in PEM in ${quote(key.value)}`)
    )
    return certificate.first.checkPrivateKey(privateKey)
      ? { certificate: certificate.all, key: Redacted.make(secret) }
      : yield* wrong(`--key: ${quote(key.value)} does not belong to the certificate in ${quote(cert.value)}`)
  })

// -----------------------------------------------------------------------------
// names
// -----------------------------------------------------------------------------

const checkedName = (text: string): Effect.Effect<string, BadUsage> =>
  Either.isRight(Address.parse(text)) || Either.isRight(Endpoint.domainName(text))
    ? Effect.succeed(text)
    : wrong(`--servername: ${quote(text)} is no name: write one as db.internal`)

/** RFC 7301 §3.1: a protocol's name has 1 to 255 bytes. All that are registered but GREASE are visible ASCII. */
const protocols = (text: string): Effect.Effect<ReadonlyArray<string>, BadUsage> => {
  const names = text.split(",").map((name) => name.trim())
  return names.every((name) => /^[\x21-\x7e]{1,255}$/.test(name))
    ? Effect.succeed(names)
    : wrong(`--alpn: ${quote(text)} is no list of protocols: write one as h2,http/1.1`)
}
