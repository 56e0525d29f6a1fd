/**
 * A certificate for servers on loopback, and the authority that signed it, made anew for each test run: nothing expires in
 * the repository and no key is in it.
 */
import * as x509 from "@peculiar/x509"
import { Effect } from "effect"

/** All PEM. */
export interface ServerCertificate {
  /** What a client has to trust. */
  readonly authority: string
  readonly certificate: string
  readonly key: string
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
const day = 86_400_000

/** For `db.test`, for `localhost`, and for 127.0.0.1. */
export const serverCertificate: Effect.Effect<ServerCertificate> = Effect.promise(async () => {
  const keys = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const [ours, its] = await Promise.all([keys(), keys()])
  const validity = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day) }
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: "CN=authority of a test",
    keys: ours,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)]
  })
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity,
    subject: "CN=db.test",
    issuer: authority.subject,
    signingKey: ours.privateKey,
    publicKey: its.publicKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: "dns", value: "db.test" },
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" }
      ])
    ]
  })
  return {
    authority: authority.toString("pem"),
    certificate: certificate.toString("pem"),
    key: x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", its.privateKey), "PRIVATE KEY")
  }
})
