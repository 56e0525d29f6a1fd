/**
 * What listeners do with the connections they accept: an Effect over the same Connection a client holds.
 *
 * A behaviour is run once for each connection, in a Scope of its own. When it ends, the connection is closed (flush, then
 * abort); when it fails or dies, the connection is aborted, and the failure stands in the network's trace.
 *
 * A behaviour may dial on: it runs on its own host, whose Transport, Resolver and SourceAddress it finds.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Connection } from "../Connection.js"
import type { ConnectionLost } from "../DialError.js"
import type { Resolver } from "../Resolver.js"
import type { SourceAddress } from "../SourceAddress.js"
import type { Transport } from "../Transport.js"

/**
 * A program over an accepted connection.
 *
 * @since 0.1.0
 * @category models
 */
export type Behaviour = (
  connection: Connection
) => Effect.Effect<unknown, unknown, Resolver | Transport | SourceAddress | Scope.Scope>

/** Every chunk until the peer's end. */
const forEachChunk = <E>(
  connection: Connection,
  f: (bytes: Uint8Array) => Effect.Effect<void, E>
): Effect.Effect<void, E | ConnectionLost> =>
  Effect.flatMap(
    connection.read,
    (bytes) => Option.isNone(bytes) ? Effect.void : Effect.zipRight(f(bytes.value), forEachChunk(connection, f))
  )

/**
 * Send back whatever comes, until the peer ends.
 *
 * @since 0.1.0
 * @category behaviours
 */
export const echo = (connection: Connection): Effect.Effect<void, ConnectionLost> =>
  forEachChunk(connection, connection.write.bind(connection))

/**
 * Read and forget whatever comes, until the peer ends.
 *
 * @since 0.1.0
 * @category behaviours
 */
export const discard = (connection: Connection): Effect.Effect<void, ConnectionLost> =>
  forEachChunk(connection, () => Effect.void)

/**
 * Send this, then end.
 *
 * @since 0.1.0
 * @category behaviours
 */
export const send = (...chunks: ReadonlyArray<Uint8Array | string>): Behaviour => (connection) =>
  Effect.zipRight(
    Effect.forEach(chunks, (chunk) => connection.write(chunk), { discard: true }),
    Effect.zipRight(connection.end, discard(connection))
  )

/**
 * Accept and do nothing: neither read, nor write, nor close. A client's bytes fill its window and stay, and what it does
 * after them, a reset too, is not seen.
 *
 * @since 0.1.0
 * @category behaviours
 */
export const silent = (connection: Connection): Effect.Effect<ConnectionLost> => connection.lost

/**
 * Accept and close.
 *
 * @since 0.1.0
 * @category behaviours
 */
export const close = (): Effect.Effect<void> => Effect.void

/**
 * Accept and reset.
 *
 * @since 0.1.0
 * @category behaviours
 */
export const reset = (connection: Connection): Effect.Effect<void> => connection.abort

/**
 * Another behaviour, begun so much later.
 *
 * @since 0.1.0
 * @category behaviours
 */
export const after = (delay: Duration.DurationInput, behaviour: Behaviour): Behaviour => (connection) =>
  Effect.zipRight(Effect.sleep(delay), behaviour(connection))
