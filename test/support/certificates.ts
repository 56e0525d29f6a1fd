/**
 * Certificates made for a test, good ones and each kind of bad one. Made once a process, by @peculiar/x509 on Node's
 * Web Crypto: elliptic keys, which take no time.
 */
import * as x509 from "@peculiar/x509"
import type { webcrypto } from "node:crypto"

/** A certificate and its key, as PEM. */
export interface Issued {
  readonly certificate: string
  readonly key: string
  readonly serialNumber: string
}

/** Somebody who issues certificates. */
export interface Authority extends Issued {
  readonly name: string
  readonly keys: webcrypto.CryptoKeyPair
}

interface Request {
  readonly name?: string
  /** DNS names and IP addresses. */
  readonly names?: ReadonlyArray<string>
  readonly from?: Date
  readonly to?: Date
  /** Whether it may issue others. */
  readonly authority?: boolean
  readonly purpose?: "server" | "client"
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

const day = 86_400_000

const ago = (days: number): Date => new Date(Date.now() - days * day)

const serial = { next: 1 }

const nextSerial = (): string => (serial.next++).toString(16).padStart(16, "0").replace(/^0/, "1")

const isAddress = (name: string): boolean => /^[\d.]+$/.test(name) || name.includes(":")

const extensions = async (request: Request, keys: webcrypto.CryptoKeyPair): Promise<Array<x509.Extension>> => [
  new x509.BasicConstraintsExtension(request.authority === true, undefined, true),
  new x509.KeyUsagesExtension(
    request.authority === true
      ? x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign
      : x509.KeyUsageFlags.digitalSignature,
    true
  ),
  ...request.authority === true
    ? []
    : [
      new x509.ExtendedKeyUsageExtension([
        request.purpose === "client" ? x509.ExtendedKeyUsage.clientAuth : x509.ExtendedKeyUsage.serverAuth
      ])
    ],
  ...request.names === undefined
    ? []
    : [
      new x509.SubjectAlternativeNameExtension(
        request.names.map((value) => ({ type: isAddress(value) ? "ip" : "dns", value }))
      )
    ],
  await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)
]

const keyPem = async (keys: webcrypto.CryptoKeyPair): Promise<string> =>
  x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY")

/** A certificate issued by an authority, or by itself. */
const issue = async (by: Authority | "itself", request: Request): Promise<Authority> => {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const name = `CN=${request.name ?? request.names?.[0] ?? "nobody"}`
  const serialNumber = nextSerial()
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber,
    subject: name,
    issuer: by === "itself" ? name : by.name,
    notBefore: request.from ?? ago(1),
    notAfter: request.to ?? ago(-30),
    publicKey: keys.publicKey,
    signingKey: by === "itself" ? keys.privateKey : by.keys.privateKey,
    signingAlgorithm: algorithm,
    extensions: await extensions(request, keys)
  })
  return { name, keys, serialNumber, certificate: `${certificate.toString("pem")}\n`, key: await keyPem(keys) }
}

/** A list of what an authority has revoked. */
export const revocationList = async (by: Authority, revoked: ReadonlyArray<Issued>, to = ago(-30)): Promise<string> => {
  const list = await x509.X509CrlGenerator.create({
    issuer: by.name,
    thisUpdate: ago(2),
    nextUpdate: to,
    entries: revoked.map(({ serialNumber }) => ({ serialNumber, revocationDate: ago(1) })),
    signingAlgorithm: algorithm,
    signingKey: by.keys.privateKey
  })
  // Its own toString writes a header that OpenSSL does not know.
  return `${x509.PemConverter.encode(list.rawData, "X509 CRL")}\n`
}

const root = await issue("itself", { name: "Test Root", authority: true })
const otherRoot = await issue("itself", { name: "Other Root", authority: true })
const intermediate = await issue(root, { name: "Test Intermediate", authority: true })
const oldIntermediate = await issue(root, { name: "Old Intermediate", authority: true, from: ago(20), to: ago(10) })

const names = ["localhost", "db.test", "*.wild.test", "127.0.0.1", "::1"]

const below = async (by: Authority, request: Request): Promise<Issued> => {
  const leaf = await issue(by, request)
  return { ...leaf, certificate: leaf.certificate + by.certificate }
}

/** The same with a first moment that is none. Its signature is no good any more, which who trusts nobody never sees. */
const withoutDates = ({ certificate, ...rest }: Issued): Issued => {
  const der = Buffer.from(certificate.replace(/-----[A-Z ]+-----/g, ""), "base64")
  // A UTCTime of thirteen characters (RFC 5280 §4.1.2.5.1).
  der.write("XX", der.indexOf(Uint8Array.of(0x17, 13)) + 2 + 2, "latin1")
  return { ...rest, certificate: `-----BEGIN CERTIFICATE-----\n${der.toString("base64")}\n-----END CERTIFICATE-----\n` }
}

/** One root, what is right under it, and what is wrong each in its own way. */
export const certificates = {
  root,
  otherRoot,
  intermediate,
  good: await issue(root, { name: "good", names }),
  expired: await issue(root, { name: "expired", names, from: ago(20), to: ago(10) }),
  notYetValid: await issue(root, { name: "early", names, from: ago(-10), to: ago(-20) }),
  otherName: await issue(root, { name: "other", names: ["other.test", "10.9.8.7"] }),
  selfSigned: await issue("itself", { name: "self", names }),
  withoutDates: withoutDates(await issue("itself", { name: "timeless", names })),
  untrusted: await below(otherRoot, { name: "untrusted", names }),
  chained: await below(intermediate, { name: "chained", names }),
  incomplete: await issue(intermediate, { name: "incomplete", names }),
  belowExpired: await below(oldIntermediate, { name: "below expired", names }),
  belowLeaf: await below(await issue(root, { name: "no authority", names }), { name: "below leaf", names }),
  clientOnly: await issue(root, { name: "client only", names, purpose: "client" }),
  client: await issue(root, { name: "a client", purpose: "client" }),
  otherClient: await issue(otherRoot, { name: "a stranger", purpose: "client" })
}
