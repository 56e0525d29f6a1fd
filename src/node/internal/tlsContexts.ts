/**
 * What handshakes under the same options share: OpenSSL's context, which takes a millisecond to make from PEM, and the
 * sessions that can be resumed. Both are kept in bounds, the least recently used going first.
 */
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createHash, X509Certificate } from "node:crypto"
import * as NodeTls from "node:tls"
import { defaultMinVersion, type Identity, type TlsOptions } from "../../TlsOptions.js"

/** OpenSSL's context for some options. */
export interface TlsContext {
  /** No two contexts have the same. */
  readonly id: number
  readonly secure: NodeTls.SecureContext
}

/** A map that forgets what was used the longest ago. */
class Recent<V> {
  private readonly map = new Map<string, V>()

  constructor(private readonly most: number) {}

  get(key: string): V | undefined {
    const value = this.map.get(key)
    if (value !== undefined) {
      this.map.delete(key)
      this.map.set(key, value)
    }
    return value
  }

  set(key: string, value: V): void {
    this.map.delete(key)
    this.map.set(key, value)
    if (this.map.size <= this.most) return
    for (const oldest of this.map.keys()) {
      this.map.delete(oldest)
      break
    }
  }

  delete(key: string): void {
    this.map.delete(key)
  }
}

/** More than a program has identities and roots; each context holds its certificates, and the default roots are shared. */
const mostContexts = 64

export class Contexts {
  // Options are values: one object never means another thing, and most programs have few.
  private readonly ofOptions = new WeakMap<TlsOptions, TlsContext>()
  private readonly ofContent = new Recent<TlsContext>(mostContexts)
  private made = 0

  /** Throws OpenSSL's error for a certificate, a key or a list that cannot be used. */
  for(options: TlsOptions): TlsContext {
    const known = this.ofOptions.get(options)
    if (known !== undefined) return known
    const key = contentOf(options)
    const context = this.ofContent.get(key) ?? { id: this.made++, secure: make(options) }
    this.ofContent.set(key, context)
    this.ofOptions.set(options, context)
    return context
  }
}

const make = (options: TlsOptions): NodeTls.SecureContext => {
  const { identity, minVersion = defaultMinVersion, revocationLists } = options
  const roots = rootsOf(options)
  return NodeTls.createSecureContext({
    minVersion,
    ...roots === undefined ? {} : { ca: roots },
    ...revocationLists === undefined ? {} : { crl: [...listOf(revocationLists)] },
    ...identity === undefined ? {} : identityOf(identity)
  })
}

const identityOf = ({ certificate, key, passphrase }: Identity): NodeTls.SecureContextOptions => ({
  cert: certificatesIn("identity", certificate).join("\n"),
  key: Redacted.value(key),
  ...passphrase === undefined ? {} : { passphrase: Redacted.value(passphrase) }
})

/** Since Node 22.15. */
const { getCACertificates } = NodeTls as {
  readonly getCACertificates?: (type: "system") => ReadonlyArray<string>
}

const rootsOf = ({ roots, systemRoots }: TlsOptions): Array<string> | undefined => {
  const given = roots === undefined ? undefined : listOf(roots).flatMap((text) => certificatesIn("roots", text))
  if (systemRoots !== true) return given
  if (getCACertificates === undefined) throw new Error("this Node cannot tell the system's roots (22.15 and later can)")
  return [...given ?? [], ...getCACertificates("system")]
}

/** Node takes a text without a certificate, and leaves out one that it cannot read. */
const certificatesIn = (what: string, text: string): ReadonlyArray<string> => {
  const blocks = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^]*?(?:-----END [^-]*-----|$)/g) ?? []
  if (blocks.length === 0) throw new Error(`${what}: there is no certificate in PEM`)
  for (const block of blocks) void new X509Certificate(block)
  return blocks
}

const listOf = (texts: string | ReadonlyArray<string>): ReadonlyArray<string> =>
  typeof texts === "string" ? [texts] : texts

/** All that a context is made of, and what a session must not be resumed without: hashed, as it holds secrets. */
const contentOf = (options: TlsOptions): string => {
  const { dangerouslySkipVerification, identity, minVersion, pins, revocationLists, roots, systemRoots } = options
  const content = [
    roots,
    systemRoots,
    revocationLists,
    minVersion,
    identity?.certificate,
    Option.getOrNull(Option.map(Option.fromNullable(identity?.key), Redacted.value)),
    Option.getOrNull(Option.map(Option.fromNullable(identity?.passphrase), Redacted.value)),
    pins,
    dangerouslySkipVerification
  ]
  return createHash("sha256").update(JSON.stringify(content)).digest("base64")
}

/** A session that may be resumed. */
export interface Ticket {
  readonly session: Buffer
  /** The peer's certificate, which it does not show again. */
  readonly leaf: X509Certificate
  /** RFC 8446 §C.4: "Clients SHOULD NOT reuse a ticket for multiple connections." Of TLS 1.2 a session is used again. */
  readonly once: boolean
}

/** Servers send two after a handshake, and one after a resumption. */
const mostTickets = 4

/** The sessions of each endpoint, the newest first to be used. */
export class Sessions {
  private readonly ofEndpoint: Recent<ReadonlyArray<Ticket>>

  constructor(mostEndpoints: number) {
    this.ofEndpoint = new Recent(mostEndpoints)
  }

  add(endpoint: string, ticket: Ticket): void {
    const others = ticket.once ? this.ofEndpoint.get(endpoint) ?? [] : []
    this.ofEndpoint.set(endpoint, [ticket, ...others.slice(0, mostTickets - 1)])
  }

  take(endpoint: string): Ticket | undefined {
    const [ticket, ...others] = this.ofEndpoint.get(endpoint) ?? []
    // Nobody looks at the dates of the certificate again.
    if (ticket === undefined || Date.parse(ticket.leaf.validTo) < Date.now()) {
      this.ofEndpoint.delete(endpoint)
      return undefined
    }
    if (ticket.once) this.ofEndpoint.set(endpoint, others)
    return ticket
  }

  /** The peer would not have it. */
  forget(endpoint: string): void {
    this.ofEndpoint.delete(endpoint)
  }
}
