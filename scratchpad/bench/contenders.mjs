// What the benchmarks share of each contender: how it runs, and how it opens a connection to a port of the server.
import { NodeSocket } from "@effect/platform-node"
import { Deferred, Effect, ManagedRuntime, Scope } from "effect"
import { Dialer, Endpoint } from "effect-dial"
import * as Duplex from "effect-dial/node/Duplex"
import * as NodeNetwork from "effect-dial/node/NodeNetwork"
import { connect } from "node:net"

/** The address as the options of `net.connect`, which NodeSocket takes too; effect-dial's default is `noDelay`. */
export const to = (port) => ({ host: "127.0.0.1", port, noDelay: true })

export const endpoint = (port) => Endpoint.unsafeParse(`127.0.0.1:${port}`)

/** Runs one program of effect-dial or NodeSocket, in one fiber, over one network layer. */
export const run = (program) => Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(NodeNetwork.layer)))

export const openRaw = (port) =>
  new Promise((resolve, reject) => {
    const socket = connect(to(port))
    socket.once("connect", () => resolve(socket))
    socket.on("error", reject)
  })

let runtime

/** A stream of Node over effect-dial, which is used as `openRaw`'s is. */
export const openDuplex = (port) => Duplex.connect(runtime ??= ManagedRuntime.make(NodeNetwork.layer), endpoint(port))

export const openDial = (port) => Dialer.dial(endpoint(port))

/**
 * The least an Effect program can do: `net.connect` in an `Effect.async`, destroyed by the Scope. No address, deadline,
 * event or error of its own; what it costs over raw is what fibers and scopes cost.
 */
export const openBare = (port) =>
  Effect.flatMap(Effect.scope, (scope) =>
    Effect.async((resume) => {
      const socket = connect(to(port))
      socket.once(
        "connect",
        () => resume(Effect.as(Scope.addFinalizer(scope, Effect.sync(() => socket.destroy())), socket))
      )
      socket.on("error", (error) => resume(Effect.fail(error)))
    }))

/** A NodeSocket that is open, and stays so as long as the Scope. `onBytes` is told what arrives. */
export const openNodeSocket = (port, onBytes) =>
  Effect.gen(function*() {
    const socket = yield* NodeSocket.makeNet(to(port))
    const opened = yield* Deferred.make()
    yield* socket.runRaw(onBytes, { onOpen: Deferred.succeed(opened, undefined) }).pipe(
      Effect.tapErrorCause((cause) => Deferred.failCause(opened, cause)),
      Effect.forkScoped
    )
    yield* Deferred.await(opened)
    return socket
  })
