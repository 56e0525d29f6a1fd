/**
 * A Transport that does what a table says, in virtual time, and keeps a log of all that was asked of it.
 *
 * Not the simulated network: no bytes flow here. It is for tests of who opens what when, and who closes it.
 */
import { Deferred, type Duration, Effect, type Fiber, FiberId, Layer, type Option, Runtime } from "effect"
import type * as Address from "../../src/Address.js"
import { AttemptError, type AttemptReason, ConnectionLost, type LostReason } from "../../src/DialError.js"
import { type CloseMode, type OpenRequest, type SocketHandle, Transport } from "../../src/Transport.js"
import { at } from "./addresses.js"

/** What becomes of a connect to one address, `delay` after it began (default 0); `throws` is a Transport with a bug. */
export interface Scenario {
  readonly delay?: Duration.DurationInput
  readonly outcome: "connected" | "never" | "throws" | AttemptReason
}

type Operation =
  | "open"
  | "connect"
  | "connected"
  | "stopReadingAndWriting"
  | "close orderly"
  | "close abort"
  | "release"

/** One thing asked of a socket, or for `connected`, told of it. `at` is virtual milliseconds. */
interface Step {
  readonly at: number
  readonly address: string
  readonly operation: Operation
}

/** One socket's log and state. */
class FakeSocket implements SocketHandle {
  readonly operations: Array<Operation> = []
  readonly unsent = 0
  readonly localAddress: Address.SocketAddress
  readonly lost: Effect.Effect<ConnectionLost>
  readonly read: Effect.Effect<Option.Option<Uint8Array>, ConnectionLost>
  readonly flush = Effect.void
  readonly end = Effect.void
  readonly stopReadingAndWriting: Effect.Effect<void>
  readonly release: Effect.Effect<void>
  private connecting: Fiber.RuntimeFiber<void> | undefined

  constructor(
    readonly request: OpenRequest,
    private readonly scenario: Scenario,
    private readonly loss: Deferred.Deferred<ConnectionLost>,
    private readonly runtime: Runtime.Runtime<never>,
    private readonly record: (socket: FakeSocket, operation: Operation) => void
  ) {
    this.localAddress = request.localAddress ?? at(request.address.family === "inet6" ? "[::1]:4" : "127.0.0.1:4")
    this.lost = Deferred.await(loss)
    this.read = Effect.flatMap(this.lost, (lost) => lost.reason === "End" ? Effect.succeedNone : Effect.fail(lost))
    this.stopReadingAndWriting = Effect.sync(() => {
      record(this, "stopReadingAndWriting")
      this.connecting?.unsafeInterruptAsFork(FiberId.none)
    })
    this.release = Effect.sync(() => record(this, "release"))
    record(this, "open")
  }

  get remoteAddress(): Address.SocketAddress {
    return this.request.address
  }

  /** Opened and not closed. */
  get isOpen(): boolean {
    return !this.operations.some((operation) => operation.startsWith("close"))
  }

  connect(settled: (error?: AttemptError) => void): void {
    const { delay = 0, outcome } = this.scenario
    const { address, localAddress } = this.request
    this.record(this, "connect")
    if (outcome === "throws") throw new Error("a bug of the transport")
    if (outcome === "never") return
    const settle = Effect.sync(() => {
      if (outcome !== "connected") {
        return settled(new AttemptError({ operation: "connect", address, localAddress, reason: outcome }))
      }
      this.record(this, "connected")
      settled()
    })
    // Not immediate: even without a delay it is settled after this has returned.
    this.connecting = Runtime.runFork(this.runtime)(
      Effect.interruptible(Effect.zipRight(Effect.sleep(delay), settle)),
      { immediate: false }
    )
  }

  write(): Effect.Effect<void, ConnectionLost> {
    return Effect.void
  }

  close(mode: CloseMode): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.record(this, `close ${mode}`)
      return this.lose(mode === "abort" ? "Aborted" : "End")
    })
  }

  /** The connection ends for this reason, unless it has ended already. */
  lose(reason: LostReason): Effect.Effect<void> {
    return Deferred.succeed(this.loss, new ConnectionLost({ address: this.remoteAddress, reason }))
  }
}

export interface FakeTransport {
  readonly layer: Layer.Layer<Transport>
  /** Every socket made, in order. */
  readonly sockets: ReadonlyArray<FakeSocket>
  /** Everything asked of them, in order. */
  readonly log: ReadonlyArray<Step>
  /** How many sockets are open now. */
  readonly open: () => number
  /** When each address's connect began: `[address, virtual milliseconds]`, in order. */
  readonly starts: () => ReadonlyArray<readonly [string, number]>
}

/** A Transport for the addresses of the table, written as `1.2.3.4:80`; an address not in it is a defect. */
export const make = (table: { readonly [address: string]: Scenario }): FakeTransport => {
  const sockets: Array<FakeSocket> = []
  const log: Array<Step> = []
  return {
    layer: Layer.succeed(Transport, {
      open: (request) =>
        Effect.gen(function*() {
          const scenario = table[String(request.address)]
          if (scenario === undefined) return yield* Effect.dieMessage(`no scenario for ${request.address}`)
          const clock = yield* Effect.clock
          const socket = new FakeSocket(
            request,
            scenario,
            yield* Deferred.make<ConnectionLost>(),
            yield* Effect.runtime(),
            ({ operations, remoteAddress }, operation) => {
              operations.push(operation)
              log.push({ at: clock.unsafeCurrentTimeMillis(), address: String(remoteAddress), operation })
            }
          )
          sockets.push(socket)
          return socket
        })
    }),
    sockets,
    log,
    open: () => sockets.filter((socket) => socket.isOpen).length,
    starts: () =>
      log.filter(({ operation }) => operation === "connect").map(({ address, at }) => [address, at] as const)
  }
}
