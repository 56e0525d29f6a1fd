/** The stub resolver beside one scripted name server on a simulated network without delays. */
import { Effect, Stream } from "effect"
import type * as DnsResolver from "../../src/DnsResolver.js"
import { layerServers } from "../../src/DnsResolver.js"
import * as Endpoint from "../../src/Endpoint.js"
import * as Resolver from "../../src/Resolver.js"
import { NameServer, SimNetwork } from "../../src/testing/index.js"
import { at } from "./addresses.js"

/** What came of it, and what the name server was asked: name and type. */
export const beside = <A, E>(
  script: NameServer.Script,
  effect: Effect.Effect<A, E, Resolver.Resolver | DnsResolver.DnsResolver>,
  options: { readonly seed?: number } & Partial<DnsResolver.DnsOptions> = {}
) => {
  const { seed, ...more } = options
  const { listeners, log } = NameServer.make(script)
  return SimNetwork.run(Effect.provide(effect, layerServers({ ...more, servers: [at("10.0.0.53:53")] })), {
    hosts: { dns: { addresses: ["10.0.0.53"], listeners } },
    seed
  }).pipe(Effect.map((value) => ({ value, asked: log.map(({ name, type }) => `${name} ${type}`) })))
}

/** The answers for both families, each the addresses or the reason there are none. */
export const addresses = (name: string) =>
  Effect.gen(function*() {
    const { resolve } = yield* Resolver.Resolver
    const answers = yield* Stream.runCollect(resolve(yield* Endpoint.domainName(name)))
    return [...answers].map((answer) =>
      answer._tag === "Addresses" ? answer.addresses.join(" ") : answer.error?.reason ?? "nothing"
    )
  })
