/**
 * The system's resolver, as Node reaches it: getaddrinfo through `dns.lookup`, once per family.
 *
 * It sees what every other program on the machine sees (hosts file, search domains, mDNS, NSS), in the system's own
 * RFC 6724 order within a family. Two questions instead of one, so that an A that is there does not wait for an AAAA
 * that is not.
 *
 * getaddrinfo tells no time to live and cannot be cancelled: an interrupted lookup is forgotten at once, while its
 * thread of Node's pool goes on to its end.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Dns from "node:dns"
import * as Address from "../Address.js"
import { ResolveError, type ResolveReason } from "../DialError.js"
import type { DomainName } from "../Endpoint.js"
import { type Answer, families, type IpFamily, noAddresses, Resolver } from "../Resolver.js"

/**
 * Names through the operating system's resolver.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Dialer, Endpoint } from "effect-dial"
 * import { NodeResolver } from "effect-dial/node"
 * import * as assert from "node:assert"
 *
 * const addresses = await Dialer.resolveAddress(Endpoint.unsafeParse("localhost:80")).pipe(
 *   Effect.provide(NodeResolver.layer),
 *   Effect.runPromise
 * )
 * assert.ok(addresses.length > 0)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Resolver> = Layer.succeed(Resolver, {
  resolve: (name) =>
    Stream.mapEffect(Stream.fromIterable(families), (family) => lookup(name, family), {
      concurrency: families.length,
      unordered: true
    })
})

const lookup = (name: DomainName, family: IpFamily): Effect.Effect<Answer> =>
  Effect.async((resume) => {
    Dns.lookup(
      String(name),
      { family: family === "inet6" ? 6 : 4, all: true, order: "verbatim" },
      (error, addresses) => resume(Effect.succeed(answer(name, family, error, addresses)))
    )
  })

const answer = (
  name: DomainName,
  family: IpFamily,
  error: NodeJS.ErrnoException | null,
  found: ReadonlyArray<Dns.LookupAddress> | undefined
): Answer => {
  if (error !== null) {
    const { code } = error
    return noAddresses(
      family,
      new ResolveError({ host: String(name), family, reason: reasonOf(code), code, cause: error })
    )
  }
  const addresses = (found ?? []).flatMap(({ address }) =>
    Either.match(Address.parse(address), {
      onLeft: () => [],
      onRight: (ip) => [ip]
    })
  )
  return addresses.length > 0
    ? { _tag: "Addresses", family, addresses }
    : noAddresses(family, new ResolveError({ host: String(name), family, reason: "NotFound" }))
}

/** getaddrinfo's words (its EAI_ codes, and Node's own name for two of them). */
const reasonOf = (code: string | undefined): ResolveReason => {
  switch (code) {
    // EAI_NONAME and EAI_NODATA, both
    case "ENOTFOUND":
    case "EAI_NODATA":
    case "EAI_ADDRFAMILY":
      return "NotFound"
    case "EAI_AGAIN":
      return "Temporary"
    case "EAI_FAIL":
      return "ServerFailure"
    case "EAI_FAMILY":
    case "EAI_SERVICE":
    case "EAI_SOCKTYPE":
      return "Unsupported"
    case "EAI_BADFLAGS":
    case "EINVAL":
      return "BadName"
    case "ETIMEDOUT":
      return "Timeout"
    default:
      return "Unknown"
  }
}
