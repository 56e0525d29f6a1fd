/** Listeners of the simulated network that speak TLS: Node's, over the reads and writes of their connections. */
import { Effect, Runtime } from "effect"
import * as tls from "node:tls"
import * as Connection from "../../src/Connection.js"
import type { ConnectionLost } from "../../src/DialError.js"
import { Carrier } from "../../src/node/internal/carrier.js"
import { turns } from "../support/loopback.js"
import { Accepted, serve, shaken } from "./arenas.js"

/** A behaviour over TLS, once the handshake is done. */
export const speakingTls = <E extends ConnectionLost>(
  context: tls.SecureContext,
  behaviour: (connection: Connection.Connection) => Effect.Effect<unknown, E>
) =>
(connection: Connection.Connection): Effect.Effect<unknown, ConnectionLost> =>
  Effect.flatMap(Effect.runtime<never>(), (runtime) => {
    const { handle } = Connection.take(connection)
    const carrier = new Carrier(handle, runtime, undefined)
    const socket = new tls.TLSSocket(carrier, { isServer: true, secureContext: context })
    // Which a TLS socket without a server swallows.
    carrier.on("error", (error) => socket.destroy(error))
    const abort = () => {
      Runtime.runSync(runtime)(handle.close("abort"))
      socket.destroy()
    }
    const accepted = new Accepted(socket, connection.localAddress, connection.remoteAddress, { abort })
    const served = Effect.zipRight(shaken(socket), serve(Connection.fromHandle(accepted, "stream"), behaviour))
    // A handshake that fails ends here, and so does one that the client gives up.
    return Effect.raceFirst(served, accepted.lost)
  })

/** Node's TLS over a stream of JavaScript moves by turns of the event loop. */
export const idle = turns(12)
