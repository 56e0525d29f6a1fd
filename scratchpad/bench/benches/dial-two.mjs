// Dial a name that has two addresses and close it, one after another, against `net.connect` to the address that wins.
//
// The resolver is a static one, so that what is measured is the dial's own work: answers, order, plan, race. Where the
// first address refuses, the second starts 10 ms later (RFC 8305 §5: never sooner); there many dials are under way at a
// time, as all of them one after another would take minutes.
import { Effect, Layer } from "effect"
import { Address, Dialer, Endpoint, Resolver } from "effect-dial"
import { NodeSourceAddress, NodeTransport } from "effect-dial/node"
import { connect } from "node:net"
import { start } from "../measure.mjs"

const warmUp = 16_000
const dials = 4_000
const lanes = 100

const addresses = ["::1", "127.0.0.1"]
const names = Resolver.layerStatic({ "two.test": addresses.map(Address.unsafeParse) })

const figures = ({ cpu }) => ({ cpu: cpu / dials })

const raw = async (options) => {
  const dial = (times) =>
    new Promise((resolve, reject) => {
      let done = 0
      const next = () => {
        const socket = connect({ ...options(done), noDelay: true })
        socket.on("error", reject)
        socket.on("connect", () => {
          socket.destroy()
          if (++done === times) resolve()
          else next()
        })
      }
      next()
    })
  await dial(warmUp)
  const stop = start()
  await dial(dials)
  return figures(stop())
}

/** `atOnce` dials are under way at a time, each of them followed by another. */
const measured = (ports, atOnce, ...layers) => {
  const endpoints = ports.map((port) => Endpoint.unsafeParse(`two.test:${port}`))
  const dial = (times) =>
    Effect.forEach(
      {
        length: times,
        *[Symbol.iterator]() {
          for (let i = 0; i < times; i++) yield endpoints[i % endpoints.length]
        }
      },
      (endpoint) => Effect.scoped(Dialer.dial(endpoint)),
      { concurrency: atOnce, discard: true }
    )
  return Effect.gen(function*() {
    yield* dial(warmUp)
    const stop = start()
    yield* dial(dials)
    return figures(stop())
  }).pipe(
    Effect.provide(Layer.provide(Dialer.layer, Layer.mergeAll(names, NodeTransport.layer, ...layers))),
    Effect.runPromise
  )
}

const lookup = (_host, _options, callback) =>
  callback(null, addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })))

export default {
  title: "dial a name with two addresses and close",
  rounds: 12,
  metrics: {
    cpu: { unit: "µs CPU per connection", digits: 1 }
  },
  contenders: {
    "raw, to the winner": ({ both }) => raw((i) => ({ host: "::1", port: both[i % both.length] })),
    "raw, by the name": ({ both }) => raw((i) => ({ host: "two.test", port: both[i % both.length], lookup })),
    "effect-dial": ({ both }) => measured(both, 1),
    "with source addresses": ({ both }) => measured(both, 1, NodeSourceAddress.layer),
    "the first refuses": ({ hold }) => measured(hold, lanes)
  },
  goals: [
    { metric: "cpu", contender: "effect-dial", over: "raw, to the winner", atMost: 2.5 },
    { metric: "cpu", contender: "with source addresses", over: "raw, to the winner", atMost: 2.5 },
    { metric: "cpu", contender: "the first refuses", over: "raw, to the winner", atMost: 2.5 }
  ]
}
