/**
 * The DevTools client of @effect/experimental over our sockets, against its own server over the platform's.
 */
import { DevTools } from "@effect/experimental"
import type * as Domain from "@effect/experimental/DevTools/Domain"
import * as DevToolsServer from "@effect/experimental/DevTools/Server"
import { NodeSocketServer } from "@effect/platform-node"
import { SocketServer } from "@effect/platform/SocketServer"
import { it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Queue, Schedule, Scope } from "effect"
import { NodeNetwork } from "../../src/node/index.js"
import * as NodeWebSocket from "../../src/node/NodeWebSocket.js"
import * as PlatformSocket from "../../src/platform/PlatformSocket.js"
import * as Loopback from "../support/loopback.js"

/** A server at this port, 0 for any, that asks each client for its metrics; what it hears goes into the queue. */
const serve = (port: number, heard: Queue.Queue<Domain.Request.WithoutPing>, sockets = NodeSocketServer.layer) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(sockets({ host: "127.0.0.1", port }))
    yield* DevToolsServer.run((client) =>
      Effect.zipRight(
        client.request({ _tag: "MetricsRequest" }),
        Effect.forever(Effect.flatMap(client.queue.take, (request) => Queue.offer(heard, request)))
      )
    ).pipe(Effect.provide(context), Effect.forkScoped)
    const { address } = Context.get(context, SocketServer)
    return address._tag === "TcpAddress" ? address.port : 0
  })

const spanOf = (name: string) => (request: Domain.Request.WithoutPing): boolean =>
  request._tag === "Span" && request.name === name && request.status._tag === "Ended"

/** The next thing heard that is it. */
const waitFor = <A>(what: string, heard: Queue.Dequeue<A>, is: (heard: A) => boolean) =>
  Loopback.within(what, Effect.repeat(Queue.take(heard), { until: is }))

/** The tracer in force sends spans to that port. */
const traced = (port: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(
    effect,
    DevTools.layerSocket.pipe(
      // Or the client takes the end of a server for the end of its work.
      Layer.provide(PlatformSocket.layer(`127.0.0.1:${port}`, { closeCodeIsError: () => true })),
      Layer.provide(NodeNetwork.layer)
    )
  )

const live = <E>(name: string, test: () => Effect.Effect<unknown, E, Scope.Scope>): void =>
  it.live(name, () => Loopback.leavesNoSocket(Effect.scoped(Effect.suspend(test))), 20_000)

live("DevTools hears spans and metrics through a dialed socket", () =>
  Effect.gen(function*() {
    const heard = yield* Queue.unbounded<Domain.Request.WithoutPing>()
    const port = yield* serve(0, heard)
    yield* Effect.gen(function*() {
      yield* Effect.withSpan(Effect.void, "a span")
      yield* waitFor("the span", heard, spanOf("a span"))
    }).pipe(traced(port))
    // The last thing a client says is what it measured.
    yield* waitFor("the metrics", heard, ({ _tag }) => _tag === "MetricsSnapshot")
  }))

live("DevTools hears spans through a WebSocket of ours", () =>
  Effect.gen(function*() {
    const heard = yield* Queue.unbounded<Domain.Request.WithoutPing>()
    const port = yield* serve(0, heard, NodeSocketServer.layerWebSocket)
    const traced = DevTools.layerWebSocket(`ws://localhost:${port}`).pipe(
      Layer.provide(NodeWebSocket.layer()),
      Layer.provide(NodeNetwork.layer)
    )
    yield* Effect.provide(
      Effect.zipRight(Effect.withSpan(Effect.void, "a span"), waitFor("the span", heard, spanOf("a span"))),
      traced
    )
  }))

live("DevTools goes on with a server that was restarted", () =>
  Effect.gen(function*() {
    const heard = yield* Queue.unbounded<Domain.Request.WithoutPing>()
    const first = yield* Scope.make()
    const port = yield* Scope.extend(serve(0, heard), first)
    yield* Effect.gen(function*() {
      yield* Effect.withSpan(Effect.void, "before")
      yield* waitFor("the span before", heard, spanOf("before"))
      yield* Scope.close(first, Exit.void)
      yield* serve(port, heard)
      // A span that is under way when the connection is lost may be lost with it: say it until it is heard.
      yield* Effect.fork(Effect.repeat(Effect.withSpan(Effect.void, "after"), Schedule.spaced("50 millis")))
      yield* waitFor("the span after", heard, spanOf("after"))
    }).pipe(traced(port))
  }))
