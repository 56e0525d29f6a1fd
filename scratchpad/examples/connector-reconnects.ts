// A connection that comes back: the server ends each one after a line, and the connector dials again, three times.
import { NodeRuntime } from "@effect/platform-node"
import { Console, type Duration, Effect, Option, Stream } from "effect"
import { type Connection, Connector } from "effect-dial"
import { NodeNetwork } from "effect-dial/node"
import * as Net from "node:net"

const greeter = Effect.acquireRelease(
  Effect.async<Net.Server>((resume) => {
    const server = Net.createServer((socket) => socket.end("one line\n")).listen(0, "127.0.0.1", () => {
      resume(Effect.succeed(server))
    })
  }),
  (server) => Effect.sync(() => server.close())
)

/** Every connection there is, one after another: whenever there is none, wait a little and dial. */
const connections = (
  connector: Connector.Connector,
  delay: Duration.DurationInput
): Stream.Stream<Connection.Connection> =>
  connector.changes.pipe(
    Stream.tap((state) =>
      state._tag === "Disconnected"
        // A dial that fails is the next Disconnected, with the error in `because`.
        ? Effect.ignore(Effect.delay(connector.connect, delay))
        : Effect.void
    ),
    Stream.filterMap((state) => state._tag === "Connected" ? Option.some(state.connection) : Option.none())
  )

const program = Effect.gen(function*() {
  const { port } = (yield* greeter).address() as Net.AddressInfo
  const connector = yield* Connector.make(`127.0.0.1:${port}`)

  yield* connections(connector, "20 millis").pipe(
    Stream.mapEffect((connection) =>
      Effect.gen(function*() {
        const said = yield* Stream.mkString(Stream.decodeText(connection.stream))
        yield* Console.log(`${connection.localAddress} was told ${JSON.stringify(said)}`)
        // The server has ended its half; ending ours ends the connection.
        yield* connection.end
      })
    ),
    Stream.take(3),
    Stream.runDrain
  )
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(NodeNetwork.layer)))
