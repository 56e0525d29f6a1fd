/**
 * A small network on loopback with hosts that are good, that refuse and that are silent: real sockets for `dial demo`.
 *
 * A good host accepts. A refusing host has no listener. A silent host has one whose accept queue is full, so that the
 * kernel drops every further SYN, as a firewall would. All of it belongs to a Scope.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { Worker } from "node:worker_threads"
import { allOf } from "../internal/sideBySide.js"
import type * as Silent from "./silentListener.js"

/** The lab could not be built. */
export class LabError extends Data.TaggedError("LabError")<{
  readonly what: string
  readonly code?: string | undefined
}> {
  override get message(): string {
    return `the lab on loopback cannot be built: ${this.what}${this.code === undefined ? "" : ` (${this.code})`}`
  }
}

/** What the host at an address does on one port. */
export type Behaviour = "good" | "refusing" | "silent"

/** Addresses and what each does. */
export type Hosts = { readonly [address: string]: Behaviour }

/** Whether this machine has the IPv6 loopback address. */
export const hasIpv6: Effect.Effect<boolean> = Effect.suspend(() => Effect.isSuccess(Effect.scoped(listen("::1", 0))))

/** Build hosts on one port that is free on all of them, and give that port. */
export const build = (hosts: Hosts): Effect.Effect<number, LabError, Scope.Scope> =>
  randomPort.pipe(
    Effect.flatMap((port) =>
      Effect.as(
        allOf(Object.entries(hosts).map(([host, behaviour]) => behaviours[behaviour](host, port))),
        port
      )
    ),
    // What was built on a port that is taken elsewhere stays, unused, until the Scope closes.
    Effect.retry({ while: (error) => error.code === "EADDRINUSE", schedule: Schedule.recurs(20) })
  )

/**
 * Below the ports that systems hand out to clients: there a client could meet its own port on a refusing host, and TCP
 * lets a socket connect to itself.
 */
const randomPort = Random.nextIntBetween(20_000, 30_000)

const behaviours: {
  readonly [B in Behaviour]: (host: string, port: number) => Effect.Effect<void, LabError, Scope.Scope>
} = {
  good: (host, port) => listen(host, port),
  // That we can listen there shows that nobody does.
  refusing: (host, port) => Effect.scoped(listen(host, port)),
  silent: (host, port) => Effect.zipRight(listenSilently(host, port), fillQueue(host, port, 16))
}

const listen = (host: string, port: number): Effect.Effect<void, LabError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: Net.Server; readonly sockets: Set<Net.Socket> }, LabError>((resume) => {
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer((socket) => {
        sockets.add(socket)
        socket.on("error", ignore).on("close", () => sockets.delete(socket)).resume()
      })
      server.on("error", (error: NodeJS.ErrnoException) =>
        resume(Effect.fail(new LabError({ what: `listen on ${host}`, code: error.code }))))
      server.listen({ host, port, ipv6Only: true }, () =>
        resume(Effect.succeed({ server, sockets })))
    }),
    ({ server, sockets }) =>
      Effect.async<void>((resume) => {
        server.close(() =>
          resume(Effect.void)
        )
        sockets.forEach((socket) => socket.destroy())
      })
  )

const listenSilently = (host: string, port: number): Effect.Effect<void, LabError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      new Worker(new URL("./silentListener.js", import.meta.url), { workerData: { host, port } satisfies Silent.Where })
    ),
    (worker) => Effect.promise(() => worker.terminate())
  ).pipe(
    Effect.flatMap((worker) =>
      Effect.async<Silent.Report, LabError>((resume) => {
        worker.once("message", (report: Silent.Report) => resume(Effect.succeed(report)))
        worker.on("error", (error) => resume(Effect.fail(new LabError({ what: `a worker: ${error.message}` }))))
      })
    ),
    Effect.flatMap((report) =>
      report.listening ? Effect.void : Effect.fail(new LabError({ what: `listen on ${host}`, code: report.code }))
    )
  )

/** How long a connect on loopback may take before it counts as not answered; it takes well under 1 ms. */
const patience = "100 millis"

/** Connect until a connect is not answered, and keep all of them: that one shows that the queue is full. */
const fillQueue = (host: string, port: number, tries: number): Effect.Effect<void, LabError, Scope.Scope> =>
  tries === 0
    ? Effect.fail(new LabError({ what: `this system answers ${host} though its accept queue is full` }))
    : Effect.flatMap(knock(host, port), (socket) =>
      connected(socket).pipe(
        Effect.timeoutOption(patience),
        Effect.flatMap(Option.match({ onSome: Effect.succeed, onNone: () => answeredMeanwhile(socket) })),
        Effect.flatMap((answered) => answered ? fillQueue(host, port, tries - 1) : Effect.void)
      ))

const knock = (host: string, port: number): Effect.Effect<Net.Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => Net.connect({ host, port }).on("error", ignore)),
    (socket) => Effect.sync(() => socket.destroy())
  )

const connected = (socket: Net.Socket): Effect.Effect<true> =>
  Effect.async((resume) => {
    socket.once("connect", () => resume(Effect.succeed(true)))
  })

/** A late timer runs before Node has looked at its sockets: an immediate comes after. */
const answeredMeanwhile = (socket: Net.Socket): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    setImmediate(() => resume(Effect.succeed(!socket.connecting)))
  })

const ignore = (): void => {}
