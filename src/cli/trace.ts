/**
 * `dial trace ENDPOINT`: dial, show what happened when, close.
 */
import type * as Terminal from "@effect/platform/Terminal"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import * as Dialer from "../Dialer.js"
import type { DialError } from "../DialError.js"
import type { DialOptions } from "../DialOptions.js"
import * as Endpoint from "../Endpoint.js"
import * as Display from "./display.js"
import { type Line, paint, part } from "./lines.js"
import { canDraw, hasColour, type StdioError, write } from "./stdio.js"

/** Dial the endpoint and close the connection again; fails as the dial does. */
export const trace = (
  endpoint: Endpoint.Endpoint,
  options: { readonly dial: DialOptions; readonly json: boolean }
): Effect.Effect<void, DialError | StdioError, Dialer.Dialer | Terminal.Terminal> => {
  const display = options.json ? Display.json : canDraw() ? Display.waterfall : Display.transcript
  const title = `${paint([part(Endpoint.format(endpoint), "strong"), ...caveat(endpoint)], hasColour())}\n`
  return warmUp.pipe(
    Effect.zipRight(options.json ? Effect.void : write(title)),
    Effect.zipRight(
      Effect.scoped(Effect.asVoid(Display.watch(Dialer.dial(endpoint, options.dial), display)))
    )
  )
}

/** What a picture of a dial over UDP would otherwise seem to say. */
const caveat = (endpoint: Endpoint.Endpoint): Line =>
  Endpoint.socketType(endpoint) === "dgram"
    ? [part("  nothing is sent: connected is an address that there is a way to", "faint")]
    : []

/**
 * The first dial of a process loads and compiles code for longer than a near host takes to answer, and would tell that
 * as the network's time. So one goes ahead, to a UNIX socket that is not there: it fails at once and touches no network.
 */
const warmUp: Effect.Effect<void, never, Dialer.Dialer | Terminal.Terminal> = Effect.suspend(() =>
  Dialer.dial(`unix:/nonexistent/${randomUUID()}`, { timeout: "1 second" })
).pipe(
  (dialing) => Display.watch(dialing, Display.rehearsal),
  Effect.scoped,
  Effect.ignore
)
