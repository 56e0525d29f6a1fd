/**
 * `dial connect ENDPOINT`: standard input to the socket, the socket to standard output, as nc does.
 *
 * Nothing is read from one side before the other took what came before.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Connection } from "../Connection.js"
import * as Dialer from "../Dialer.js"
import type { ConnectionLost, DialError } from "../DialError.js"
import type { Endpoint } from "../Endpoint.js"
import { input, type StdioError, write } from "./stdio.js"

/**
 * How long to wait for more input once the peer has ended its half. Most peers that end are gone, and a terminal or an
 * idle pipe would keep the process for ever; input that flows is sent to its end. (socat: `-t`, 0.5 s.)
 */
const lingerAfterPeerEnd = "1 second"

/** Dial the endpoint and relay until both halves have ended; fails when the dial does or the connection is lost. */
export const connect = (
  endpoint: Endpoint
): Effect.Effect<void, DialError | ConnectionLost | StdioError, Dialer.Dialer> =>
  Effect.scoped(Effect.flatMap(Dialer.dial(endpoint), (connection) =>
    // Whoever stops us midway wants out now: no flush.
    Effect.onExit(relay(connection), (exit) => Exit.isSuccess(exit) ? Effect.void : connection.abort)))

const relay = (connection: Connection): Effect.Effect<void, ConnectionLost | StdioError, Scope.Scope> =>
  Effect.gen(function*() {
    const peerEnded = yield* Deferred.make<void>()
    const receiving = Effect.zipRight(receive(connection), Deferred.succeed(peerEnded, undefined))
    yield* Effect.all([send(connection, peerEnded), receiving], { concurrency: 2, discard: true })
  })

const receive = (connection: Connection): Effect.Effect<void, ConnectionLost | StdioError> =>
  Effect.flatMap(
    connection.read,
    Option.match({
      onNone: () => Effect.void,
      onSome: (bytes) => Effect.zipRight(write(bytes), receive(connection))
    })
  )

const send = (
  connection: Connection,
  peerEnded: Deferred.Deferred<void>
): Effect.Effect<void, ConnectionLost | StdioError, Scope.Scope> =>
  Effect.flatMap(Stream.toPull(input), (pull) => {
    const gaveUp = Deferred.await(peerEnded).pipe(
      Effect.zipRight(Effect.sleep(lingerAfterPeerEnd)),
      Effect.zipRight(Effect.fail(Option.none()))
    )
    const rest: Effect.Effect<never, Option.Option<ConnectionLost | StdioError>> = Effect.flatMap(
      Effect.raceFirst(pull, gaveUp),
      (chunk) =>
        Effect.zipRight(
          Effect.mapError(Effect.forEach(chunk, (bytes) => connection.write(bytes), { discard: true }), Option.some),
          rest
        )
    )
    return Effect.catchAll(rest, Option.match({ onNone: () => connection.end, onSome: Effect.fail }))
  })
