/**
 * The client of undici for one connection, dialed by us.
 *
 * undici goes on connecting for a request that was given up, and for a client that was destroyed: a name that never
 * resolves or a host that never answers would be dialed to the end for nobody. So each client counts who waits for its
 * dial, and gives the dial up with the last of them. Once connected it costs a look at a field for a request.
 */
import * as Undici from "@effect/platform-node/Undici"
import type * as Either from "effect/Either"
import { ConnectStopped, type InvalidEndpoint } from "../../DialError.js"
import * as Endpoint from "../../Endpoint.js"
import type { DialedSocket } from "./dialedSocket.js"

/** What undici asks to be connected to. */
export type Target = Undici.buildConnector.Options

export interface Ports {
  /** The endpoint of a target. */
  readonly endpointOf: (target: Target) => Either.Either<Endpoint.Endpoint, InvalidEndpoint>
  /** A stream that has not been asked for anything yet. */
  readonly socketTo: (endpoint: Endpoint.Endpoint) => DialedSocket
  /** The dials under way, to be given up with everything else. */
  readonly dials: Set<Dial>
}

/** One dial for one client, and the requests that wait for it. */
export class Dial {
  #socket: DialedSocket | undefined
  #target = ""
  #told: Undici.buildConnector.Callback | undefined
  /** The requests by their signals; one without a signal waits whatever happens. */
  readonly #waiting = new Set<AbortSignal | undefined>()
  readonly #gaveUp = ({ target }: Pick<Event, "target">): void => {
    this.#waiting.delete(target as AbortSignal)
    if (this.#waiting.size === 0) this.stop()
  }

  constructor(private readonly ports: Ports) {}

  readonly connect = (target: Target, told: Undici.buildConnector.Callback): void => {
    const endpoint = this.ports.endpointOf(target)
    if (endpoint._tag === "Left") return told(endpoint.left, null)
    this.#target = Endpoint.format(endpoint.right)
    this.#told = told
    const socket = this.#socket = this.ports.socketTo(endpoint.right)
    this.ports.dials.add(this)
    socket.once("error", this.#failed)
    socket.once("connect", () => this.#settle(null, socket))
  }

  readonly #failed = (error: Error): void => this.#settle(error, null)

  #settle(...outcome: Parameters<Undici.buildConnector.Callback>): void {
    const told = this.#told
    this.#told = undefined
    this.ports.dials.delete(this)
    this.#socket?.off("error", this.#failed)
    for (const signal of this.#waiting) signal?.removeEventListener("abort", this.#gaveUp)
    this.#waiting.clear()
    told?.(...outcome)
  }

  /** A request came; it waits unless there is a connection. */
  wait(signal: AbortSignal | undefined): void {
    if (this.#socket !== undefined && this.#told === undefined && !this.#socket.destroyed) return
    this.#waiting.add(signal)
    if (signal?.aborted) setImmediate(this.#gaveUp, { target: signal })
    else signal?.addEventListener("abort", this.#gaveUp)
  }

  /** Give up a dial that is under way. */
  stop(): void {
    if (this.#told === undefined) return
    this.#socket?.destroy()
    this.#settle(new ConnectStopped({ target: this.#target }), null)
  }
}

export class UndiciClient extends Undici.Client {
  constructor(origin: URL, options: Undici.Client.Options, private readonly dial: Dial) {
    super(origin, { ...options, connect: dial.connect })
  }

  override dispatch(options: Undici.Dispatcher.DispatchOptions, handler: Undici.Dispatcher.DispatchHandler): boolean {
    const { signal } = options as { readonly signal?: unknown }
    this.dial.wait(signal instanceof AbortSignal ? signal : undefined)
    return super.dispatch(options, handler)
  }
}
