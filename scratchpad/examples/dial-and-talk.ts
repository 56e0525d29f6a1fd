// Dial an echo server, say something, finish, and read what comes back until the server has finished too.
import { NodeRuntime, NodeSocketServer } from "@effect/platform-node"
import { Console, Effect, Stream } from "effect"
import { Dialer } from "effect-dial"
import { NodeNetwork } from "effect-dial/node"

const echoServer = Effect.gen(function*() {
  const server = yield* NodeSocketServer.make({ host: "127.0.0.1", port: 0 })
  const echo = server.run((socket) => Effect.scoped(Effect.flatMap(socket.writer, (write) => socket.run(write))))
  yield* Effect.forkScoped(echo)
  return server.address._tag === "TcpAddress" ? server.address.port : 0
})

const program = Effect.gen(function*() {
  const port = yield* echoServer
  const connection = yield* Dialer.dial(`localhost:${port}`, { timeout: "2 seconds" })
  yield* Console.log(`connected to ${connection.remoteAddress} from ${connection.localAddress}`)

  yield* connection.write("hello, ")
  yield* connection.write("world\n")
  yield* connection.end
  const answer = yield* Stream.mkString(Stream.decodeText(connection.stream))
  yield* Console.log(`the server said ${JSON.stringify(answer)}`)
  if (answer !== "hello, world\n") return yield* Effect.dieMessage("that is not an echo")

  yield* Console.log((yield* connection.lost).message)
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(NodeNetwork.layer)))
