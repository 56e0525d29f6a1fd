/**
 * The network a command runs on, by who is asked for names.
 *
 * The system is asked in a child process, so that a command that is done exits at once whatever its name server does;
 * an endpoint without a name needs nobody.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type { FileSystem } from "@effect/platform/FileSystem"
import * as Layer from "effect/Layer"
import * as Dialer from "../Dialer.js"
import * as DnsResolver from "../DnsResolver.js"
import * as Endpoint from "../Endpoint.js"
import * as NodeResolver from "../node/NodeResolver.js"
import * as NodeSourceAddress from "../node/NodeSourceAddress.js"
import * as NodeTls from "../node/NodeTls.js"
import * as NodeTransport from "../node/NodeTransport.js"
import * as Resolver from "../Resolver.js"
import type { SourceAddress } from "../SourceAddress.js"
import * as Tls from "../Tls.js"
import type { TlsOptions } from "../TlsOptions.js"
import type { Names } from "./arguments.js"

type Asked = Exclude<Names, { readonly _tag: "System" }>

/** Records of any type. */
export const records = (
  names: Asked
): Layer.Layer<Resolver.Resolver | DnsResolver.DnsResolver, never, FileSystem> =>
  names._tag === "Https"
    ? Layer.provide(DnsResolver.layerHttps({ url: names.url }), NodeHttpClient.layer)
    : Layer.provide(
      names.servers === undefined ? DnsResolver.layer() : DnsResolver.layerServers({ servers: names.servers }),
      NodeTransport.layer
    )

const resolver = (names: Names): Layer.Layer<Resolver.Resolver, never, FileSystem> =>
  names._tag === "System" ? NodeResolver.layerProcess : records(names)

/** Addresses, and where they would be reached from. */
export const names = (names: Names): Layer.Layer<Resolver.Resolver | SourceAddress, never, FileSystem> =>
  Layer.merge(resolver(names), NodeSourceAddress.layer)

/** Everything to dial the endpoint with. */
export const layer = (
  endpoint: Endpoint.Endpoint,
  names: Names,
  tls: TlsOptions
): Layer.Layer<Dialer.Dialer | Tls.Tls, never, FileSystem> => {
  const plain = Layer.provide(
    Dialer.layer,
    Layer.mergeAll(
      Endpoint.requiresResolution(endpoint) ? resolver(names) : Resolver.layerStatic({}),
      NodeSourceAddress.layer,
      NodeTransport.layer
    )
  )
  return Layer.provideMerge(Layer.provide(Tls.layerWith(tls), plain), NodeTls.layer)
}
