// @effect/rpc over a dialed socket: the server is restarted, and the client goes on.
import { NodeRuntime, NodeSocketServer } from "@effect/platform-node"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "@effect/rpc"
import { Console, Effect, Layer, Schedule, Schema } from "effect"
import { NodeNetwork } from "effect-dial/node"
import { PlatformSocket } from "effect-dial/platform"
import * as Net from "node:net"

class Greetings extends RpcGroup.make(
  Rpc.make("Greet", { payload: { name: Schema.String }, success: Schema.String })
) {}

const handlers = Greetings.toLayer({ Greet: ({ name }) => Effect.succeed(`hello, ${name}`) })

const server = (port: number) =>
  RpcServer.layer(Greetings).pipe(
    Layer.provide([handlers, RpcServer.layerProtocolSocketServer]),
    Layer.provide([NodeSocketServer.layer({ host: "127.0.0.1", port }), RpcSerialization.layerNdjson])
  )

const soon = Schedule.spaced("50 millis")

const client = (port: number) =>
  RpcClient.layerProtocolSocket({ retrySchedule: soon, retryTransientErrors: true }).pipe(
    // Rpc holds each stream back by itself; here one that is held back must not hold back the others.
    Layer.provide(PlatformSocket.layer(`localhost:${port}`, { handlerConcurrency: "unbounded" })),
    Layer.provide([NodeNetwork.layer, RpcSerialization.layerNdjson])
  )

/** A port that was free a moment ago. */
const freePort = Effect.async<number>((resume) => {
  const probe = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address() as Net.AddressInfo
    probe.close(() => resume(Effect.succeed(port)))
  })
})

const program = Effect.gen(function*() {
  const port = yield* freePort
  yield* Effect.gen(function*() {
    const { Greet } = yield* RpcClient.make(Greetings)
    const greet = (name: string) => Effect.flatMap(Effect.retry(Greet({ name }), soon), Console.log)
    yield* Effect.provide(greet("first server"), server(port))
    yield* Effect.provide(greet("second server"), server(port))
  }).pipe(Effect.scoped, Effect.provide(client(port)))
})

NodeRuntime.runMain(program)
