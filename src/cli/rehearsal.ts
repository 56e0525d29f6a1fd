/**
 * A handshake with nobody: it makes OpenSSL's context for some options, which reads every root there is, and loads and
 * compiles what a handshake needs, so that the one that is shown takes the network's time and not that.
 */
import * as Effect from "effect/Effect"
import { unnamed } from "../Address.js"
import * as Connection from "../Connection.js"
import * as Tls from "../Tls.js"
import type { TlsOptions } from "../TlsOptions.js"
import type { SocketHandle } from "../Transport.js"

/** Answers with what is no TLS, and says no more. */
const nobody = (words: Array<string>): SocketHandle => ({
  connect: (settled) => queueMicrotask(settled),
  localAddress: unnamed,
  remoteAddress: unnamed,
  read: Effect.suspend(() => {
    const word = words.pop()
    return word === undefined ? Effect.never : Effect.succeedSome(new TextEncoder().encode(word))
  }),
  write: () => Effect.void,
  unsent: 0,
  flush: Effect.void,
  end: Effect.void,
  lost: Effect.never,
  stopReadingAndWriting: Effect.void,
  close: () => Effect.void,
  release: Effect.void
})

/** It fails, and nobody is told. The options have to be those of the dial, not their like: the context is kept for them. */
export const rehearse = (options: TlsOptions): Effect.Effect<void, never, Tls.Tls> =>
  Effect.flatMap(
    Tls.Tls,
    (tls) =>
      Effect.suspend(() =>
        tls.upgrade(
          Connection.fromHandle(nobody(["220 nobody"]), "stream"),
          { expected: "localhost", serverName: "localhost" },
          options
        )
      )
  ).pipe(
    Effect.scoped,
    Effect.timeout("1 second"),
    Effect.ignore
  )
