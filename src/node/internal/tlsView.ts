/**
 * What clients ask a `tls.TLSSocket` about its session, answered from the session of a connection over TLS.
 *
 * Only a stream over TLS has these: a client tells by `encrypted`, or by the method being there, whether it has one.
 */
import { X509Certificate } from "node:crypto"
import type * as Tls from "node:tls"
import type { TlsSession } from "../../TlsSession.js"

export interface TlsView {
  readonly encrypted: true
  readonly authorized: boolean
  readonly authorizationError: Error | null
  readonly alpnProtocol: string | false
  readonly servername: string | false
  readonly getProtocol: () => string
  readonly getCipher: () => Tls.CipherNameAndProtocol
  readonly isSessionReused: () => boolean
  readonly getPeerCertificate: (detailed?: boolean) => Tls.PeerCertificate
  readonly getPeerX509Certificate: () => X509Certificate | undefined
}

export const tlsView = (session: TlsSession): TlsView => {
  const leaf = () => {
    const [certificate] = session.certificates
    return certificate === undefined ? undefined : new X509Certificate(certificate.der)
  }
  return {
    encrypted: true,
    authorized: session.verified,
    authorizationError: null,
    alpnProtocol: session.alpn ?? false,
    servername: session.serverName ?? false,
    getProtocol: () => session.protocol,
    getCipher: () => ({ name: session.cipher, standardName: session.cipher, version: session.protocol }),
    isSessionReused: () => session.resumed,
    getPeerCertificate: () => (leaf()?.toLegacyObject() ?? {}) as Tls.PeerCertificate,
    getPeerX509Certificate: leaf
  }
}
