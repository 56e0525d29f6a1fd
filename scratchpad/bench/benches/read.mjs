// Read 512 MiB that a server sends as fast as it is read.
import { NodeSocket } from "@effect/platform-node"
import { Effect, Option, Stream } from "effect"
import { openDial, openDuplex, openRaw, run, to } from "../contenders.mjs"
import { start } from "../measure.mjs"

const MiB = 1024 * 1024
const warmUp = 128 * MiB
const size = 512 * MiB

const figures = ({ cpu, wall }, got) => {
  if (got !== size) throw new Error(`${got} bytes read of ${size}`)
  return { rate: size / MiB / (wall / 1e6), cpu: cpu / (size / MiB) }
}

/** `read(bytes)` asks for so many on a new connection, and gives how many it got. */
const measured = (read) =>
  run(Effect.gen(function*() {
    yield* Effect.scoped(read(warmUp))
    const stop = start()
    const got = yield* Effect.scoped(read(size))
    return figures(stop(), got)
  }))

const length = (total, bytes) => total + bytes.length

const onStream = (open) => async ({ source }) => {
  const read = async (bytes) => {
    const socket = await open(source)
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
}

export default {
  title: "read 512 MiB",
  rounds: 12,
  metrics: {
    rate: { unit: "MiB a second", digits: 0 },
    cpu: { unit: "µs CPU per MiB", digits: 0 }
  },
  contenders: {
    "raw data": onStream(openRaw),
    "effect-dial Duplex": onStream(openDuplex),
    "effect-dial read": ({ source }) =>
      measured((bytes) =>
        Effect.gen(function*() {
          const connection = yield* openDial(source)
          yield* connection.write(String(bytes))
          let got = 0
          while (true) {
            const chunk = yield* connection.read
            if (Option.isNone(chunk)) return got
            got += chunk.value.length
          }
        })
      ),
    "effect-dial stream": ({ source }) =>
      measured((bytes) =>
        Effect.gen(function*() {
          const connection = yield* openDial(source)
          yield* connection.write(String(bytes))
          return yield* Stream.runFold(connection.stream, 0, length)
        })
      ),
    "NodeSocket channel": ({ source }) =>
      measured((bytes) =>
        Stream.make(String(bytes)).pipe(
          Stream.pipeThroughChannel(NodeSocket.makeNetChannel(to(source))),
          Stream.runFold(0, length)
        )
      )
  },
  goals: [
    { metric: "rate", contender: "effect-dial read", over: "raw data", atLeast: 0.95 },
    { metric: "rate", contender: "effect-dial stream", over: "raw data", atLeast: 0.85 },
    { metric: "rate", contender: "effect-dial Duplex", over: "raw data", atLeast: 0.95 }
  ]
}
