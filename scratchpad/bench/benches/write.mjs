// Write 512 MiB in chunks of 64 KiB, each as soon as the socket asks for more; over when the server says it got all.
import { Deferred, Effect, Option, Stream } from "effect"
import { openDial, openDuplex, openNodeSocket, openRaw, run } from "../contenders.mjs"
import { repeat, start } from "../measure.mjs"

const MiB = 1024 * 1024
const chunk = new Uint8Array(64 * 1024).fill(0x2e)
const chunks = (bytes) => bytes / chunk.length
// A GiB is 16,384 writes, after which all code is compiled.
const warmUp = 1024 * MiB
const size = 512 * MiB

const figures = ({ cpu, wall }, got) => {
  if (Number(got) !== size) throw new Error(`${got} bytes arrived of ${size}`)
  return { rate: size / MiB / (wall / 1e6), cpu: cpu / (size / MiB) }
}

/** `write(bytes)` sends so many on a new connection, and gives what the server says of it. */
const measured = (write) =>
  run(Effect.gen(function*() {
    yield* Effect.scoped(write(warmUp))
    const stop = start()
    const got = yield* Effect.scoped(write(size))
    return figures(stop(), got)
  }))

const answer = (connection) =>
  Effect.map(Effect.zipRight(connection.end, connection.read), (bytes) => Buffer.from(Option.getOrThrow(bytes)))

const onStream = (open) => async ({ sink }) => {
  const write = async (bytes) => {
    const socket = await open(sink)
    let left = chunks(bytes)
    const send = () => {
      while (left > 0) {
        left--
        if (!socket.write(chunk)) return
      }
      socket.end()
    }
    socket.on("drain", send)
    const answered = new Promise((resolve) => socket.on("data", resolve))
    send()
    return answered
  }
  await write(warmUp)
  const stop = start()
  const got = await write(size)
  return figures(stop(), got)
}

export default {
  title: "write 512 MiB with backpressure",
  rounds: 12,
  metrics: {
    rate: { unit: "MiB a second", digits: 0 },
    cpu: { unit: "µs CPU per MiB", digits: 0 }
  },
  contenders: {
    "raw write and drain": onStream(openRaw),
    "effect-dial Duplex": onStream(openDuplex),
    "effect-dial write": ({ sink }) =>
      measured((bytes) =>
        Effect.gen(function*() {
          const connection = yield* openDial(sink)
          yield* repeat(chunks(bytes), () => connection.write(chunk))
          return yield* answer(connection)
        })
      ),
    "effect-dial sink": ({ sink }) =>
      measured((bytes) =>
        Effect.gen(function*() {
          const connection = yield* openDial(sink)
          yield* Stream.run(Stream.take(Stream.forever(Stream.succeed(chunk)), chunks(bytes)), connection.sink)
          return yield* answer(connection)
        })
      ),
    "NodeSocket writer": ({ sink }) =>
      measured((bytes) =>
        Effect.gen(function*() {
          const answered = yield* Deferred.make()
          const socket = yield* openNodeSocket(sink, (bytes) => Deferred.succeed(answered, bytes))
          // Its writer ends the socket with its Scope.
          yield* Effect.scoped(Effect.flatMap(socket.writer, (write) => repeat(chunks(bytes), () => write(chunk))))
          return yield* Deferred.await(answered)
        })
      )
  },
  goals: [
    { metric: "rate", contender: "effect-dial write", over: "raw write and drain", atLeast: 0.95 },
    { metric: "rate", contender: "effect-dial Duplex", over: "raw write and drain", atLeast: 0.95 }
  ]
}
