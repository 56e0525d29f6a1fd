// A service that starts after its clients do: retry while every address refuses, and on nothing else.
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schedule, type Scope } from "effect"
import { Dialer, type DialError } from "effect-dial"
import { NodeNetwork } from "effect-dial/node"
import * as Net from "node:net"

const listen = (port: number): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Net.Server>((resume) => {
      const server = Net.createServer((socket) => socket.end()).listen(port, "127.0.0.1", () => {
        resume(Effect.succeed(server))
      })
    }),
    (server) => Effect.sync(() => server.close())
  ).pipe(Effect.map((server) => (server.address() as Net.AddressInfo).port))

const refused = (error: DialError.DialError): boolean =>
  error._tag === "AllAttemptsFailed" &&
  error.attempts.every((report) => report.outcome === "Failed" && report.error.reason === "Refused")

const patiently = Schedule.exponential("20 millis").pipe(Schedule.intersect(Schedule.recurs(8)))

const program = Effect.gen(function*() {
  // A port where nobody listens for now.
  const port = yield* Effect.scoped(listen(0))
  yield* Effect.forkScoped(Effect.delay(listen(port), "200 millis"))

  const connection = yield* Dialer.dial(`127.0.0.1:${port}`).pipe(
    Effect.tapError((error) => Console.log(error.message)),
    Effect.retry({ while: refused, schedule: patiently })
  )
  yield* Console.log(`connected to ${connection.remoteAddress}`)
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(NodeNetwork.layer)))
