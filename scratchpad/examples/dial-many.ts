// A thousand connections in one Scope: a hundred dials at a time, held together, and closed together.
import { NodeRuntime } from "@effect/platform-node"
import { Array, Console, Deferred, Effect } from "effect"
import { Dialer } from "effect-dial"
import { NodeNetwork } from "effect-dial/node"
import * as Net from "node:net"

const total = 1_000

const program = Effect.gen(function*() {
  const open = new Set<Net.Socket>()
  const allGone = yield* Deferred.make<void>()
  const server = yield* Effect.acquireRelease(
    Effect.async<Net.Server>((resume) => {
      const server = Net.createServer((socket) => {
        open.add(socket)
        socket.resume().on("close", () => {
          open.delete(socket)
          if (open.size === 0) Deferred.unsafeDone(allGone, Effect.void)
        })
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const endpoint = `127.0.0.1:${(server.address() as Net.AddressInfo).port}`

  yield* Effect.scoped(Effect.gen(function*() {
    const connections = yield* Effect.forEach(Array.range(1, total), () => Dialer.dial(endpoint), { concurrency: 100 })
    const ports = new Set(connections.map((connection) => String(connection.localAddress)))
    yield* Console.log(`${connections.length} connections from ${ports.size} ports`)
  }))

  yield* Effect.timeout(Deferred.await(allGone), "5 seconds")
  yield* Console.log(`the server holds ${open.size}`)
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(NodeNetwork.layer)))
