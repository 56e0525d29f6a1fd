// Read 512 MiB over TLS that a server sends as fast as it is read.
import { Effect, Option, Stream } from "effect"
import { Tls } from "effect-dial"
import { start } from "../measure.mjs"
import { dialOptions, endpoint, openRaw, rawOptions, run } from "../tlsContenders.mjs"

const MiB = 1024 * 1024
const warmUp = 128 * MiB
const size = 512 * MiB

const figures = ({ cpu, wall }, got) => {
  if (got !== size) throw new Error(`${got} bytes read of ${size}`)
  return { rate: size / MiB / (wall / 1e6), cpu: cpu / (size / MiB) }
}

/** `read(connection)` reads to the end, and gives how many bytes there were. */
const ours = (read) => (ports) =>
  run(Effect.gen(function*() {
    const options = dialOptions(ports)
    const readAll = (bytes) =>
      Effect.scoped(Effect.gen(function*() {
        const connection = yield* Tls.dial(endpoint(ports.source), options)
        yield* connection.write(String(bytes))
        return yield* read(connection)
      }))
    yield* readAll(warmUp)
    const stop = start()
    const got = yield* readAll(size)
    return figures(stop(), got)
  }))

export default {
  title: "read 512 MiB over TLS",
  server: "tlsServer.mjs",
  rounds: 12,
  metrics: {
    rate: { unit: "MiB a second", digits: 0 },
    cpu: { unit: "µs CPU per MiB", digits: 0 }
  },
  contenders: {
    "raw data": async (ports) => {
      const of = rawOptions(ports)
      const read = async (bytes) => {
        const socket = await openRaw(of(ports.source))
        let got = 0
        socket.on("data", (chunk) => {
          got += chunk.length
        })
        const ended = new Promise((resolve) => socket.on("end", resolve))
        socket.write(String(bytes))
        await ended
        return got
      }
      await read(warmUp)
      const stop = start()
      const got = await read(size)
      return figures(stop(), got)
    },
    "effect-dial read": ours((connection) =>
      Effect.gen(function*() {
        let got = 0
        while (true) {
          const chunk = yield* connection.read
          if (Option.isNone(chunk)) return got
          got += chunk.value.length
        }
      })
    ),
    "effect-dial stream": ours((connection) =>
      Stream.runFold(connection.stream, 0, (total, bytes) => total + bytes.length)
    )
  },
  goals: [
    { metric: "rate", contender: "effect-dial read", over: "raw data", atLeast: 0.95 }
  ]
}
