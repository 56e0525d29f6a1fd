// 64 bytes to an echo server and back, 20,000 times on one connection, each after the last.
import { Deferred, Effect, Option } from "effect"
import { performance } from "node:perf_hooks"
import { openDial, openDuplex, openNodeSocket, openRaw, run } from "../contenders.mjs"
import { start, summary } from "../measure.mjs"

const message = new Uint8Array(64).fill(0x2e)
const warmUp = 10_000
const trips = 20_000

/** A stopwatch for all trips, told of each one's beginning and of the bytes that come back. */
const stopwatch = () => {
  const micros = new Float64Array(trips)
  let done = -warmUp
  let missing = 0
  let began = 0
  let stop
  return {
    begin: () => {
      if (done === 0) stop ??= start()
      missing = message.length
      began = performance.now()
    },
    /** Whether this trip is over with these bytes. */
    arrived: (bytes) => {
      missing -= bytes.length
      if (missing > 0) return false
      if (done >= 0) micros[done] = (performance.now() - began) * 1000
      done++
      return true
    },
    get over() {
      return done === trips
    },
    get figures() {
      const { median, p99 } = summary(micros)
      return { p50: median, p99, cpu: stop().cpu / trips }
    }
  }
}

const onStream = (open) => async ({ echo }) => {
  const socket = await open(echo)
  const watch = stopwatch()
  const send = () => {
    watch.begin()
    socket.write(message)
  }
  return new Promise((resolve) => {
    socket.on("data", (bytes) => {
      if (!watch.arrived(bytes)) return
      if (watch.over) resolve(watch.figures)
      else send()
    })
    send()
  })
}

export default {
  title: "64-byte ping-pong",
  rounds: 12,
  metrics: {
    p50: { unit: "µs a round trip, p50", digits: 1 },
    p99: { unit: "µs a round trip, p99", digits: 1 },
    cpu: { unit: "µs CPU per round trip", digits: 1 }
  },
  contenders: {
    "raw": onStream(openRaw),
    "effect-dial Duplex": onStream(openDuplex),
    "effect-dial": ({ echo }) =>
      run(Effect.gen(function*() {
        const connection = yield* openDial(echo)
        const watch = stopwatch()
        while (!watch.over) {
          watch.begin()
          yield* connection.write(message)
          while (!watch.arrived(Option.getOrThrow(yield* connection.read))) { /* the rest of it */ }
        }
        return watch.figures
      })),
    "NodeSocket": ({ echo }) =>
      run(Effect.gen(function*() {
        const watch = stopwatch()
        const finished = yield* Deferred.make()
        const socket = yield* openNodeSocket(echo, (bytes) => {
          if (!watch.arrived(bytes)) return
          return watch.over ? Deferred.succeed(finished, watch.figures) : send()
        })
        const write = yield* socket.writer
        const send = () =>
          Effect.suspend(() => {
            watch.begin()
            return write(message)
          })
        yield* send()
        return yield* Deferred.await(finished)
      }))
  },
  goals: [
    { metric: "p50", contender: "effect-dial", over: "raw", atMost: 1.2 },
    { metric: "p50", contender: "effect-dial Duplex", over: "raw", atMost: 1 / 0.95 }
  ]
}
