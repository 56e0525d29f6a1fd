/**
 * A handshake with nobody: it makes OpenSSL's context for some options, which reads every root there is, and loads and
 * compiles what a handshake needs, so that the one that is shown takes the network's time and not that. It takes 20 ms
 * before the dial; of a handshake on loopback it takes 12 ms to 8, and whoever measures a server next door sees that.
 */
import * as Effect from "effect/Effect"
import { unnamed } from "../Address.js"
import * as Connection from "../Connection.js"
import * as Tls from "../Tls.js"
import type { TlsOptions } from "../TlsOptions.js"
import type { SocketHandle } from "../Transport.js"

/** Takes what is written, and ends. */
const nobody: SocketHandle = {
  connect: (settled) => queueMicrotask(settled),
  localAddress: unnamed,
  remoteAddress: unnamed,
  read: Effect.succeedNone,
  write: () => Effect.void,
  unsent: 0,
  flush: Effect.void,
  end: Effect.void,
  lost: Effect.never,
  stopReadingAndWriting: Effect.void,
  close: () => Effect.void,
  release: Effect.void
}

/** It fails, and nobody is told. The options have to be those of the dial, not their like: the context is kept for them. */
export const rehearse = (options: TlsOptions): Effect.Effect<void, never, Tls.Tls> =>
  Effect.flatMap(
    Tls.Tls,
    (tls) =>
      Effect.suspend(() =>
        tls.upgrade(
          Connection.fromHandle(nobody, "stream"),
          { expected: "localhost", serverName: "localhost" },
          options
        )
      )
  ).pipe(
    Effect.scoped,
    Effect.timeout("1 second"),
    Effect.ignore
  )
