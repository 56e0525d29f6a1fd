// Dial a literal on loopback with TLS 1.3 and close it, one after another. Most of the time is arithmetic, half of it the
// server's, which is another process.
import { Effect } from "effect"
import { Tls } from "effect-dial"
import { repeat, start } from "../measure.mjs"
import { dialOptions, endpoint, openRaw, rawOptions, run } from "../tlsContenders.mjs"

const warmUp = 1_500
const dials = 1_500

const figures = ({ cpu, wall }) => ({ rate: dials / (wall / 1e6), cpu: cpu / dials })

const raw = (options) => async (ports) => {
  const of = options(ports)
  const dial = async (times) => {
    for (let i = 0; i < times; i++) {
      const socket = await openRaw(of(ports.hold[i % ports.hold.length]))
      // Not from within OpenSSL, whose last word the server would not be sent.
      await new Promise(setImmediate)
      socket.destroy()
    }
  }
  await dial(warmUp)
  const stop = start()
  await dial(dials)
  return figures(stop())
}

const ours = (options) => (ports) =>
  run(Effect.gen(function*() {
    const given = options(ports)
    const endpoints = ports.hold.map(endpoint)
    const dial = (i) => Effect.scoped(Tls.dial(endpoints[i % endpoints.length], given))
    yield* repeat(warmUp, dial)
    const stop = start()
    yield* repeat(dials, dial)
    return figures(stop())
  }))

export default {
  title: "dial a literal on loopback with TLS and close, one after another",
  server: "tlsServer.mjs",
  rounds: 12,
  metrics: {
    rate: { unit: "handshakes a second", digits: 0 },
    cpu: { unit: "µs CPU per handshake", digits: 0 }
  },
  contenders: {
    "raw": raw(rawOptions),
    "effect-dial": ours(dialOptions)
  },
  goals: [
    { metric: "rate", contender: "effect-dial", over: "raw", atLeast: 0.95 }
  ]
}
