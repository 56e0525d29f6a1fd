/** Lookups of the stub resolver over real sockets, told as text. */
import { Duration, Effect, Either, Layer, Stream } from "effect"
import type * as Address from "../../src/Address.js"
import * as DnsResolver from "../../src/DnsResolver.js"
import * as Endpoint from "../../src/Endpoint.js"
import { NodeTransport } from "../../src/node/index.js"
import { Resolver } from "../../src/Resolver.js"
import { Transport } from "../../src/Transport.js"
import { leavesNoSocket } from "./loopback.js"

/** Of the resolver. */
export type Options = Partial<DnsResolver.DnsOptions>

/** Run it with a resolver that asks these servers, and say which sockets it opened. */
export const asking = <A, E>(
  servers: ReadonlyArray<Address.SocketAddress>,
  options: Options,
  self: Effect.Effect<A, E, Resolver | DnsResolver.DnsResolver>
) => {
  const opened: Array<string> = []
  const transport = Layer.effect(
    Transport,
    Effect.map(Transport, ({ open }) => ({
      open: (request) => {
        opened.push(request.socketType)
        return open(request)
      }
    }))
  ).pipe(Layer.provide(NodeTransport.layer))
  return Effect.provide(self, Layer.provide(DnsResolver.layerServers({ ...options, servers }), transport)).pipe(
    Effect.map((value) => ({ value, opened: opened.toSorted() })),
    leavesNoSocket
  )
}

export const name = (text: string) => Either.getOrThrow(Endpoint.domainName(text))

/** In steps of 20 seconds, because a cache counts them down. */
const seconds = (timeToLive: Duration.Duration | undefined): string =>
  timeToLive === undefined ? "" : ` ${Math.ceil(Duration.toSeconds(timeToLive) / 20) * 20}`

/** What a name has of AAAA and of A: addresses in order or the reason why there are none, and for how long. */
export const addresses = (text: string): Effect.Effect<ReadonlyArray<string>, unknown, Resolver> =>
  Effect.gen(function*() {
    const { resolve } = yield* Resolver
    const told = new Map<string, string>()
    yield* Stream.runForEach(resolve(name(text)), (answer) =>
      Effect.sync(() => {
        if (answer._tag === "Services") return
        const what = answer._tag === "Addresses" ? sorted(answer.addresses) : answer.error.reason
        told.set(answer.family, what + seconds(answer.timeToLive))
      }))
    return [told.get("inet6") ?? "nothing", told.get("inet") ?? "nothing"]
  })

const sorted = (addresses: ReadonlyArray<Address.IpAddress>): string => addresses.map(String).toSorted().join(" ")
