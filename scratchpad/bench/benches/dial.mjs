// Dial a literal on loopback and close it, one after another.
//
// The closes leave no TIME_WAIT (see `hold` in server.mjs) and go round 16 ports, so no round slows the next.
import { NodeSocket } from "@effect/platform-node"
import { Effect } from "effect"
import { Dialer } from "effect-dial"
import { connect } from "node:net"
import { endpoint, openBare, openNodeSocket, run, to } from "../contenders.mjs"
import { repeat, start } from "../measure.mjs"

// As a service is after a minute: fewer leave a part of the code that more is made of in the interpreter.
const warmUp = 16_000
const dials = 4_000

const figures = ({ cpu, wall }) => ({ cpu: cpu / dials, rate: dials / (wall / 1e6) })

const measured = (dial) =>
  run(Effect.gen(function*() {
    yield* repeat(warmUp, dial)
    const stop = start()
    yield* repeat(dials, dial)
    return figures(stop())
  }))

export default {
  title: "dial a literal on loopback and close, one after another",
  rounds: 15,
  metrics: {
    cpu: { unit: "µs CPU per connection", digits: 1 },
    rate: { unit: "connections a second", digits: 0 }
  },
  contenders: {
    "raw": async ({ hold }) => {
      const dial = (times) =>
        new Promise((resolve, reject) => {
          let done = 0
          const next = () => {
            const socket = connect(to(hold[done % hold.length]))
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
    },
    "effect-dial": ({ hold }) => {
      const endpoints = hold.map(endpoint)
      return measured((i) => Effect.scoped(Dialer.dial(endpoints[i % endpoints.length])))
    },
    "bare Effect": ({ hold }) => measured((i) => Effect.scoped(openBare(hold[i % hold.length]))),
    // As it is used: open and in hand, in a Scope, which is what a dial gives.
    "NodeSocket": ({ hold }) => measured((i) => Effect.scoped(openNodeSocket(hold[i % hold.length], () => {}))),
    // The least that opens and closes one: a `run` that gives up as soon as it is open.
    "NodeSocket, run only": ({ hold }) =>
      measured((i) =>
        Effect.flatMap(
          NodeSocket.makeNet(to(hold[i % hold.length])),
          (socket) => Effect.exit(socket.runRaw(() => {}, { onOpen: Effect.interrupt }))
        )
      )
  },
  goals: [
    { metric: "cpu", contender: "effect-dial", over: "raw", atMost: 2 },
    { metric: "rate", contender: "effect-dial", over: "NodeSocket", atLeast: 3 },
    { metric: "rate", contender: "effect-dial", over: "NodeSocket, run only", atLeast: 3 }
  ]
}
