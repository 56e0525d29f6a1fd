/**
 * From where this machine would reach a destination: a connected UDP socket, which sends nothing, and its own name.
 *
 * The kernel takes its routing decision at `connect`; no packet leaves for it. The answer is not kept: it costs about
 * what a socket costs, and a network can change between two dials.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Dgram from "node:dgram"
import * as Net from "node:net"
import * as Address from "../Address.js"
import { SourceAddress } from "../SourceAddress.js"

/**
 * The kernel's own choice of source.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Address, SourceAddress } from "effect-dial"
 * import { NodeSourceAddress } from "effect-dial/node"
 * import * as assert from "node:assert"
 *
 * const source = await Effect.flatMap(
 *   SourceAddress.SourceAddress,
 *   ({ sourceFor }) => sourceFor(Address.unsafeParse("127.0.0.1"))
 * ).pipe(Effect.provide(NodeSourceAddress.layer), Effect.runPromise)
 * assert.deepStrictEqual(Option.map(source, String), Option.some("127.0.0.1"))
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer: Layer.Layer<SourceAddress> = Layer.succeed(SourceAddress, {
  sourceFor: (destination) => Effect.async((resume) => ask(destination, (source) => resume(Effect.succeed(source))))
})

/** Any port but 0, which is not connected to. */
const discard = 9

const ask = (destination: Address.IpAddress, tell: (source: Option.Option<Address.IpAddress>) => void) => {
  const host = destination.toString()
  // A zone that is no interface here makes it a name to Node.
  if (Net.isIP(host) === 0) {
    tell(Option.none())
    return
  }
  const socket = Dgram.createSocket({
    type: destination.family === "inet6" ? "udp6" : "udp4",
    lookup: (name, options, callback?: (error: null, address: string, family: number) => void) => {
      const done = callback ?? options as unknown as typeof callback
      done?.(null, name, Net.isIP(name))
    }
  })
  socket.unref()
  const end = (source: Option.Option<Address.IpAddress>) => {
    socket.close()
    tell(source)
    ended = true
  }
  let ended = false
  socket.on("error", () => {
    if (!ended) end(Option.none())
  })
  try {
    socket.connect(discard, host, (error?: Error) => {
      if (!ended) end(error ? Option.none() : known(socket.address().address))
    })
  } catch {
    end(Option.none())
  }
  return Effect.sync(() => {
    if (ended) return
    ended = true
    socket.close()
  })
}

/** An address that is none is what the kernel says when it cannot tell: for a link-local destination without a zone. */
const known = (address: string): Option.Option<Address.IpAddress> => {
  const source = Address.unsafeParse(address)
  return Address.isUnspecified(source) ? Option.none() : Option.some(source)
}
