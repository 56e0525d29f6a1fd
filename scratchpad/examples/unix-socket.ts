// The same program over a UNIX socket: only the endpoint differs. Not for Windows.
import { FileSystem } from "@effect/platform"
import { NodeFileSystem, NodeRuntime, NodeSocketServer } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { Dialer, DialError } from "effect-dial"
import { NodeNetwork } from "effect-dial/node"

const ask = (path: string) =>
  Effect.scoped(Effect.gen(function*() {
    const connection = yield* Dialer.dial(`unix:${path}`)
    yield* connection.write("ping")
    yield* connection.end
    return yield* Stream.mkString(Stream.decodeText(connection.stream))
  }))

const program = Effect.gen(function*() {
  const files = yield* FileSystem.FileSystem
  const directory = yield* files.makeTempDirectoryScoped()
  const path = `${directory}/echo.sock`

  const server = yield* NodeSocketServer.make({ path })
  const echo = server.run((socket) => Effect.scoped(Effect.flatMap(socket.writer, (write) => socket.run(write))))
  yield* Effect.forkScoped(echo)
  yield* Console.log(`the answer is ${yield* ask(path)}`)

  const error = yield* Effect.flip(ask(`${directory}/nobody.sock`))
  yield* Console.log(error._tag === "ConnectionLost" ? error.message : DialError.pretty(error))
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(Layer.merge(NodeNetwork.layer, NodeFileSystem.layer))))
