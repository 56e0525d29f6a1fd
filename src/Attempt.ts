/**
 * The life of one attempt to connect one socket to one address: prepare, connect, settle exactly once, clean up in
 * order.
 *
 * What must be true, whatever mix of success, error, timeout, stop and interruption arrives:
 *
 * - there is exactly one outcome: a Connection, an `AttemptError`, or the interruption; the first cause wins and every
 *   later one changes nothing
 * - an attempt that does not connect is cleaned up before anyone hears of it, once, in the seed's order: stop reading
 *   and writing, close the socket, release what referred to it, notify (which here is the Effect's own exit)
 * - the cleanup is this one program, the same for every Transport
 *
 * Twisted: `failIfNotConnected` is the failing half of {@link connect}, `_finishInit` its prepare step, and
 * `stopConnecting` is interrupting it.
 *
 * Not here: which address, in what order, beside which others (`HappyEyeballs`), and for which name (`Dialer`).
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Connection from "./Connection.js"
import { AttemptError } from "./DialError.js"
import { type OpenRequest, type SocketHandle, Transport } from "./Transport.js"

/**
 * Open a socket for the request and connect it.
 *
 * The Connection belongs to the Scope in the environment, which closes it (flush, then abort). Fails with an
 * `AttemptError`; with `AttemptTimeout` in it when `timeout` passes first. Interrupting it destroys the pending
 * connect at once.
 *
 * @since 0.1.0
 * @category connecting
 */
export const connect = (
  request: OpenRequest,
  options?: {
    /** The longest this attempt may take. `undefined`: as long as the kernel lets it. */
    readonly timeout?: Duration.DurationInput | undefined
  }
): Effect.Effect<Connection.Connection, AttemptError, Transport | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Transport, (transport) =>
      Effect.flatMap(transport.open(request), (handle) => {
        const connecting = restore(withLimit(handle.connect, request, options?.timeout))
        return Effect.flatMap(
          Effect.onExit(connecting, (exit) => Exit.isSuccess(exit) ? Effect.void : failIfNotConnected(handle)),
          () => {
            const connection = Connection.fromHandle(handle, request.socketType)
            return Effect.as(Effect.addFinalizer(() => connection.close()), connection)
          }
        )
      }))
  )

/**
 * Twisted: `failIfNotConnected`. The cleanup of an attempt that did not connect, in the order observers may rely on.
 * The close is the orderly one, as in the seed: nothing was sent that a reset could discard.
 */
const failIfNotConnected = (handle: SocketHandle): Effect.Effect<void> =>
  handle.stopReadingAndWriting.pipe(
    Effect.ensuring(handle.close("orderly")),
    Effect.ensuring(handle.release)
  )

const withLimit = (
  connect: Effect.Effect<void, AttemptError>,
  request: OpenRequest,
  timeout: Duration.DurationInput | undefined
): Effect.Effect<void, AttemptError> =>
  timeout === undefined ? connect : Effect.timeoutFail(connect, {
    duration: timeout,
    onTimeout: () =>
      new AttemptError({
        operation: "connect",
        address: request.address,
        localAddress: request.localAddress,
        reason: "AttemptTimeout",
        cause: `no connection within ${Duration.format(Duration.decode(timeout))}`
      })
  })
