/**
 * The stream that dials behind, with the type that our own modules know it by.
 */
import * as Effect from "effect/Effect"
import type * as ManagedRuntime from "effect/ManagedRuntime"
import * as Runtime from "effect/Runtime"
import * as Dialer from "../../Dialer.js"
import { InvalidEndpoint } from "../../DialError.js"
import * as Endpoint from "../../Endpoint.js"
import { DialedSocket, type StreamOptions } from "./dialedSocket.js"
import * as Line from "./line.js"

export type DialerRuntime = ManagedRuntime.ManagedRuntime<Dialer.Dialer, unknown> | Runtime.Runtime<Dialer.Dialer>

export const lazySocket = (
  runtime: DialerRuntime,
  endpoint: Endpoint.Input,
  options: Dialer.DialOptions & StreamOptions
): DialedSocket => {
  const run: Line.Dial<Dialer.Dialer> = "runFork" in runtime
    ? (dial) => runtime.runFork(dial)
    : Runtime.runFork(runtime)
  const target = typeof endpoint === "string" ? endpoint : Endpoint.format(endpoint)
  const dial = Effect.flatMap(Endpoint.fromInput(endpoint), (endpoint) =>
    Endpoint.socketType(endpoint) === "stream"
      ? Dialer.dial(endpoint, options)
      : Effect.fail(new InvalidEndpoint({ input: target, position: 0, reason: "datagrams are no stream of bytes" })))
  return new DialedSocket(Line.dialed(run, dial, target), options)
}
