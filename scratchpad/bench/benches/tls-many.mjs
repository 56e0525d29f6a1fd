// A thousand dials with TLS 1.3 at once, until the last of them is secured.
import { Effect } from "effect"
import { Tls } from "effect-dial"
import { start } from "../measure.mjs"
import { dialOptions, endpoint, openRaw, rawOptions, run } from "../tlsContenders.mjs"

const dials = 1_000

const figures = ({ cpu, wall }) => ({ wall: wall / 1000, cpu: cpu / dials })

export default {
  title: "1,000 dials with TLS at once",
  server: "tlsServer.mjs",
  rounds: 12,
  metrics: {
    wall: { unit: "ms until all are secured", digits: 0 },
    cpu: { unit: "µs CPU per dial", digits: 0 }
  },
  contenders: {
    "raw": async (ports) => {
      const of = rawOptions(ports)
      const all = () =>
        Promise.all(Array.from({ length: dials }, (_, i) => openRaw(of(ports.hold[i % ports.hold.length]))))
      const close = async (sockets) => {
        // Not from within OpenSSL, whose last word the server would not be sent.
        await new Promise(setImmediate)
        for (const socket of sockets) socket.destroy()
      }
      await close(await all())
      const stop = start()
      const sockets = await all()
      const measured = figures(stop())
      await close(sockets)
      return measured
    },
    "effect-dial": (ports) =>
      run(Effect.gen(function*() {
        const options = { ...dialOptions(ports), handshakeTimeout: "60 seconds", timeout: "60 seconds" }
        const endpoints = ports.hold.map(endpoint)
        const all = Effect.forEach(
          Array.from({ length: dials }, (_, i) => endpoints[i % endpoints.length]),
          (to) => Tls.dial(to, options),
          { concurrency: "unbounded", discard: true }
        )
        yield* Effect.scoped(all)
        return yield* Effect.scoped(Effect.gen(function*() {
          const stop = start()
          yield* all
          return figures(stop())
        }))
      }))
  },
  goals: [
    { metric: "wall", contender: "effect-dial", over: "raw", atMost: 1.3 }
  ]
}
