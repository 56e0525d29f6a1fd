// Write 512 MiB over TLS in chunks of 64 KiB, each as soon as the socket asks for more; over when the server says it got
// all.
import { Effect, Option } from "effect"
import { Tls } from "effect-dial"
import { repeat, start } from "../measure.mjs"
import { dialOptions, endpoint, openRaw, rawOptions, run } from "../tlsContenders.mjs"

const MiB = 1024 * 1024
const chunk = new Uint8Array(64 * 1024).fill(0x2e)
const chunks = (bytes) => bytes / chunk.length
const warmUp = 256 * MiB
const size = 512 * MiB

const figures = ({ cpu, wall }, got) => {
  if (Number(got) !== size) throw new Error(`${got} bytes arrived of ${size}`)
  return { rate: size / MiB / (wall / 1e6), cpu: cpu / (size / MiB) }
}

export default {
  title: "write 512 MiB over TLS with backpressure",
  server: "tlsServer.mjs",
  rounds: 12,
  metrics: {
    rate: { unit: "MiB a second", digits: 0 },
    cpu: { unit: "µs CPU per MiB", digits: 0 }
  },
  contenders: {
    "raw write and drain": async (ports) => {
      const of = rawOptions(ports)
      const write = async (bytes) => {
        const socket = await openRaw({ ...of(ports.sink), allowHalfOpen: true })
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
    },
    "effect-dial write": (ports) =>
      run(Effect.gen(function*() {
        const options = dialOptions(ports)
        const write = (bytes) =>
          Effect.scoped(Effect.gen(function*() {
            const connection = yield* Tls.dial(endpoint(ports.sink), options)
            yield* repeat(chunks(bytes), () => connection.write(chunk))
            yield* connection.end
            return Buffer.from(Option.getOrThrow(yield* connection.read))
          }))
        yield* write(warmUp)
        const stop = start()
        const got = yield* write(size)
        return figures(stop(), got)
      }))
  },
  goals: [
    { metric: "rate", contender: "effect-dial write", over: "raw write and drain", atLeast: 0.95 }
  ]
}
