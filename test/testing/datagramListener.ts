/** A UDP socket of Node as the listener of the laws: a Connection for each sender, all over the one socket. */
import { Effect, Exit, Option, Runtime, type Scope } from "effect"
import * as Dgram from "node:dgram"
import type { SocketAddress } from "../../src/Address.js"
import * as Connection from "../../src/Connection.js"
import { ConnectionLost } from "../../src/DialError.js"
import type { CloseMode, SocketHandle } from "../../src/Transport.js"
import { inet } from "../support/loopback.js"

/** What the listener has with one sender. */
class Flow implements SocketHandle {
  private readonly unread: Array<Uint8Array> = []
  private reason: ConnectionLost | undefined
  private wake: () => void = () => {}
  readonly unsent = 0
  readonly flush = Effect.void
  readonly end = Effect.void
  readonly lost = Effect.never
  readonly stopReadingAndWriting = Effect.void
  readonly release = Effect.void

  constructor(
    private readonly socket: Dgram.Socket,
    readonly localAddress: SocketAddress,
    readonly remoteAddress: SocketAddress,
    private readonly from: Dgram.RemoteInfo,
    private readonly closed: () => void
  ) {}

  connect(settled: () => void): void {
    queueMicrotask(settled)
  }

  get read(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return Effect.async((resume) => {
      this.wake = () => {
        if (this.unread.length > 0) resume(Effect.sync(() => Option.fromNullable(this.unread.shift())))
        else if (this.reason !== undefined) resume(Effect.fail(this.reason))
      }
      this.wake()
    })
  }

  write(bytes: Uint8Array): Effect.Effect<void, ConnectionLost> {
    return Effect.async((resume) => {
      if (this.reason !== undefined) return resume(Effect.fail(this.reason))
      this.socket.send(bytes, this.from.port, this.from.address, () => resume(Effect.void))
    })
  }

  close(mode: CloseMode): Effect.Effect<void> {
    return Effect.sync(() => this.over(mode === "abort" ? "Aborted" : "End"))
  }

  arrived(bytes: Uint8Array): void {
    this.unread.push(bytes)
    this.wake()
  }

  over(reason: ConnectionLost["reason"]): void {
    this.reason ??= new ConnectionLost({ address: this.remoteAddress, reason })
    this.closed()
    this.wake()
  }
}

/** Listens at a free port until the Scope closes, which ends what it has with each sender. */
export const listenForDatagrams = (
  host: string,
  behaviour: (connection: Connection.Connection) => Effect.Effect<unknown, ConnectionLost>
): Effect.Effect<SocketAddress, never, Scope.Scope> =>
  Effect.gen(function*() {
    const run = Runtime.runFork(yield* Effect.runtime())
    const socket = Dgram.createSocket(host.includes(":") ? "udp6" : "udp4")
    const flows = new Map<string, Flow>()
    const flowOf = (from: Dgram.RemoteInfo): Flow => {
      const address = inet(from.address, from.port)
      const key = String(address)
      const known = flows.get(key)
      if (known !== undefined) return known
      const flow = new Flow(socket, inet(host, socket.address().port), address, from, () => flows.delete(key))
      const connection = Connection.fromHandle(flow, "dgram")
      flows.set(key, flow)
      run(Effect.onExit(behaviour(connection), (exit) => Exit.isSuccess(exit) ? connection.close() : connection.abort))
      return flow
    }
    socket.on("message", (bytes, from) => flowOf(from).arrived(new Uint8Array(bytes)))
    return yield* Effect.acquireRelease(
      Effect.async<SocketAddress>((resume) => {
        socket.bind(0, host, () => resume(Effect.succeed(inet(host, socket.address().port))))
      }),
      () =>
        Effect.async<void>((resume) => {
          socket.close(() => resume(Effect.void))
          for (const flow of flows.values()) flow.over("End")
        })
    )
  })
