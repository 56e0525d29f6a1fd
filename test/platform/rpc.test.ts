/**
 * @effect/rpc over our socket, against its own server over the platform's.
 */
import { NodeSocketServer } from "@effect/platform-node"
import { isSocketError } from "@effect/platform/Socket"
import { SocketServer } from "@effect/platform/SocketServer"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Context, Deferred, Effect, Exit, Fiber, Layer, Schedule, Schema, Scope, Stream } from "effect"
import * as net from "node:net"
import { NodeNetwork } from "../../src/node/index.js"
import * as PlatformSocket from "../../src/platform/PlatformSocket.js"
import * as Loopback from "../support/loopback.js"

class Sums extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Number, b: Schema.Number }, success: Schema.Number }),
  Rpc.make("Count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("Never", { success: Schema.Void })
) {}

const handlers = Sums.toLayer({
  Add: ({ a, b }) => Effect.succeed(a + b),
  // One chunk: more than a client takes at once.
  Count: ({ to }) => Stream.range(1, to),
  Never: () => Effect.never
})

/** A server at this port, 0 for any, until its Scope closes; the port it has. */
const serve = (port: number) =>
  RpcServer.layer(Sums).pipe(
    Layer.provide([handlers, RpcServer.layerProtocolSocketServer]),
    Layer.provideMerge(NodeSocketServer.layer({ host: "127.0.0.1", port })),
    Layer.provide(RpcSerialization.layerMsgPack),
    Layer.build,
    Effect.map((context) => {
      const { address } = Context.get(context, SocketServer)
      return address._tag === "TcpAddress" ? address.port : 0
    })
  )

const soon = Schedule.spaced("20 millis")

/** A client of whatever serves at that port, over a socket of ours. */
const connect = (port: number, options?: PlatformSocket.Options & { readonly retryTransientErrors?: boolean }) =>
  Effect.gen(function*() {
    const socket = PlatformSocket.layer(`127.0.0.1:${port}`, { handlerConcurrency: "unbounded", ...options })
    const protocol = yield* Layer.build(
      RpcClient.layerProtocolSocket({ retrySchedule: soon, retryTransientErrors: options?.retryTransientErrors }).pipe(
        Layer.provide([Layer.provide(socket, NodeNetwork.layer), RpcSerialization.layerMsgPack])
      )
    )
    return yield* Effect.provide(RpcClient.make(Sums), protocol)
  })

const reasonOf = ({ cause }: { readonly cause?: unknown }): string | undefined =>
  isSocketError(cause) ? cause.reason : undefined

/** What stands before a server and can break off all that goes through it. */
const relay = (to: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly server: net.Server; readonly sockets: Set<net.Socket> }>((resume) => {
        const sockets = new Set<net.Socket>()
        const server = net.createServer((near) => {
          const far = net.connect(to, "127.0.0.1")
          for (const socket of [near, far]) {
            sockets.add(socket)
            socket.on("error", () => {})
            socket.on("close", () => sockets.delete(socket))
          }
          near.pipe(far).pipe(near)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
      }),
      ({ server, sockets }) =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          sockets.forEach((socket) => socket.destroy())
        })
    ),
    ({ server, sockets }) => ({
      port: (server.address() as net.AddressInfo).port,
      reset: Effect.sync(() => sockets.forEach((socket) => socket.resetAndDestroy()))
    })
  )

const live = <E>(name: string, test: () => Effect.Effect<unknown, E, Scope.Scope>): void =>
  it.live(name, () => Loopback.leavesNoSocket(Effect.scoped(Effect.suspend(test))))

describe("@effect/rpc over a dialed socket", () => {
  live("asks and is answered, a value and a stream", () =>
    Effect.gen(function*() {
      const client = yield* connect(yield* serve(0))
      expect(yield* client.Add({ a: 1, b: 2 })).toBe(3)
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(client.Count({ to: 100 })))).toEqual(
        Chunk.toReadonlyArray(Chunk.range(1, 100))
      )
    }))

  live(
    "is answered again after the server was restarted, and told meanwhile that nobody listens",
    () =>
      Effect.gen(function*() {
        const first = yield* Scope.make()
        const port = yield* Scope.extend(serve(0), first)
        const client = yield* connect(port)
        const underWay = yield* Effect.fork(client.Never())
        // Sent behind it on the same connection, and answered: the server has both.
        expect(yield* client.Add({ a: 1, b: 2 })).toBe(3)
        yield* Scope.close(first, Exit.void)
        // A server that stops in order says so: what it was doing was interrupted.
        const exit = yield* Loopback.within("the request under way to end", Fiber.await(underWay))
        expect(Exit.isInterrupted(exit)).toBe(true)

        const refused = yield* Loopback.within(
          "a request to be refused",
          Effect.repeat(Effect.delay(Effect.flip(client.Add({ a: 1, b: 1 })), "20 millis"), {
            until: (error) => reasonOf(error) === "Open"
          })
        )
        expect(refused.cause).toMatchObject({ cause: { _tag: "AllAttemptsFailed" } })

        yield* serve(port)
        const sum = yield* Loopback.within("an answer", Effect.retry(client.Add({ a: 2, b: 3 }), soon))
        expect(sum).toBe(5)
      })
  )

  live(
    "has what was under way fail with the loss when the connection breaks, and goes on with the next",
    () =>
      Effect.gen(function*() {
        const { port, reset } = yield* relay(yield* serve(0))
        const client = yield* connect(port)
        const underWay = yield* Effect.fork(Effect.flip(client.Never()))
        expect(yield* client.Add({ a: 1, b: 2 })).toBe(3)
        yield* reset
        const error = yield* Loopback.within("the request under way to fail", Fiber.join(underWay))
        expect(error).toMatchObject({ _tag: "RpcClientError" })
        expect(error.cause).toMatchObject({ reason: "Read", cause: { _tag: "ConnectionLost", reason: "Reset" } })
        const sum = yield* Loopback.within("an answer", Effect.retry(client.Add({ a: 2, b: 3 }), soon))
        expect(sum).toBe(5)
      })
  )

  live("waits for a server that is not there yet, when it is told to", () =>
    Effect.gen(function*() {
      const free = yield* Scope.make()
      const port = yield* Scope.extend(serve(0), free)
      yield* Scope.close(free, Exit.void)

      const client = yield* connect(port, { retryTransientErrors: true })
      const sum = yield* Effect.fork(client.Add({ a: 1, b: 2 }))
      yield* Loopback.turns(50)
      expect(sum.unsafePoll()).toBe(null)
      yield* serve(port)
      expect(yield* Loopback.within("the answer", Fiber.join(sum))).toBe(3)
    }))

  /** For each item of a stream another request, when more items have come than the client keeps. */
  const askForEach = (options?: PlatformSocket.Options) =>
    Effect.gen(function*() {
      const client = yield* connect(yield* serve(0), options)
      const first = yield* Deferred.make<void>()
      const asking = yield* client.Count({ to: 100 }).pipe(
        Stream.tap(() => Deferred.succeed(first, undefined)),
        Stream.mapEffect((item) => client.Add({ a: item, b: 1 })),
        Stream.runSum,
        Effect.fork
      )
      yield* Loopback.within("the first item", Deferred.await(first))
      return asking
    })

  live(
    "may ask for each item of a stream, when its handlers do not wait for one another",
    () =>
      Effect.gen(function*() {
        const asking = yield* askForEach()
        expect(yield* Loopback.within("all sums", Fiber.join(asking))).toBe(5150)
      })
  )

  // Why `handlerConcurrency` is there: the stream's handler waits for room, its reader for an answer behind it.
  live("waits for itself there, with one handler at a time", () =>
    Effect.gen(function*() {
      const asking = yield* askForEach({ handlerConcurrency: 1 })
      yield* Loopback.turns(200)
      expect(asking.unsafePoll()).toBe(null)
      yield* Fiber.interrupt(asking)
    }))
})
