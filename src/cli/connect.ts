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
import { allOf, firstOf } from "../internal/sideBySide.js"
import { input, type StdioError, write } from "./stdio.js"

/** What is relayed: the process's own standard input and output, unless it is told otherwise. */
interface Ends {
  readonly input: Stream.Stream<Uint8Array, StdioError>
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, StdioError>
}

/**
 * How long to wait for more input once the peer has ended its half. Most peers that end are gone, and a terminal or an
 * idle pipe would keep the process for ever; input that flows is sent to its end. (socat: `-t`, 0.5 s.)
 */
const lingerAfterPeerEnd = "1 second"

/** How long a datagram socket waits for another answer once the input has ended: nothing else says that it is over. */
const lingerAfterInput = "1 second"

/** The longest datagram made of input: a file is read in pieces that are longer than any datagram (nc: 16 KiB). */
const longestDatagram = 16_384

/**
 * Dial the endpoint and relay; fails when the dial does or the connection is lost. A stream is over when both halves
 * have ended. Datagrams are over when the input has ended and no more of them have come for a while.
 */
export const connect = (
  endpoint: Endpoint,
  ends: Ends = { input, write }
): Effect.Effect<void, DialError | ConnectionLost | StdioError, Dialer.Dialer> =>
  Effect.scoped(Effect.flatMap(Dialer.dial(endpoint), (connection) =>
    // Whoever stops us midway wants out now: no flush.
    Effect.onExit(
      connection.socketType === "dgram" ? relayDatagrams(connection, ends) : relay(connection, ends),
      (exit) => Exit.isSuccess(exit) ? Effect.void : connection.abort
    )))

// -----------------------------------------------------------------------------
// streams
// -----------------------------------------------------------------------------

const relay = (connection: Connection, ends: Ends): Effect.Effect<void, ConnectionLost | StdioError, Scope.Scope> =>
  Effect.gen(function*() {
    const peerEnded = yield* Deferred.make<void>()
    const receiving = Effect.zipRight(receive(connection, ends), Deferred.succeed(peerEnded, undefined))
    yield* allOf([send(connection, ends, peerEnded), receiving])
  })

const receive = (connection: Connection, ends: Ends): Effect.Effect<void, ConnectionLost | StdioError> =>
  Effect.flatMap(
    connection.read,
    Option.match({
      onNone: () => Effect.void,
      onSome: (bytes) => Effect.zipRight(ends.write(bytes), receive(connection, ends))
    })
  )

const send = (
  connection: Connection,
  ends: Ends,
  peerEnded: Deferred.Deferred<void>
): Effect.Effect<void, ConnectionLost | StdioError, Scope.Scope> =>
  Effect.flatMap(Stream.toPull(ends.input), (pull) => {
    const gaveUp = Deferred.await(peerEnded).pipe(
      Effect.zipRight(Effect.sleep(lingerAfterPeerEnd)),
      Effect.zipRight(Effect.fail(Option.none()))
    )
    const rest: Effect.Effect<never, Option.Option<ConnectionLost | StdioError>> = Effect.flatMap(
      firstOf(pull, gaveUp),
      (chunk) =>
        Effect.zipRight(
          Effect.mapError(Effect.forEach(chunk, (bytes) => connection.write(bytes), { discard: true }), Option.some),
          rest
        )
    )
    return Effect.catchAll(rest, Option.match({ onNone: () => connection.end, onSome: Effect.fail }))
  })

// -----------------------------------------------------------------------------
// datagrams
// -----------------------------------------------------------------------------

/** What is read of the input at once, a line of a terminal, is a datagram; what comes is written as it comes. */
const relayDatagrams = (
  connection: Connection,
  ends: Ends
): Effect.Effect<void, ConnectionLost | StdioError> =>
  Effect.gen(function*() {
    const inputEnded = yield* Deferred.make<void>()
    const sending = Stream.runForEach(
      ends.input,
      (bytes) => Effect.forEach(datagrams(bytes), connection.write.bind(connection), { discard: true })
    )
    const quiet = Effect.zipRight(Deferred.await(inputEnded), Effect.sleep(lingerAfterInput))
    const receiving: Effect.Effect<void, ConnectionLost | StdioError> = Effect.flatMap(
      firstOf(connection.read, Effect.as(quiet, Option.none<Uint8Array>())),
      Option.match({
        onNone: () => Effect.void,
        onSome: (bytes) => Effect.zipRight(ends.write(bytes), receiving)
      })
    )
    yield* allOf([Effect.zipRight(sending, Deferred.succeed(inputEnded, undefined)), receiving])
  })

const datagrams = (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from(
    { length: Math.ceil(bytes.length / longestDatagram) },
    (_, n) => bytes.subarray(n * longestDatagram, (n + 1) * longestDatagram)
  )
