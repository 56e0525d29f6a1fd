// TLS of PostgreSQL by our TLS, for any of its clients: a Dialer made from the Dialer. A server before 17 is asked for TLS in
// the clear, and here asking is part of the attempt as the handshake is: of the race, of the deadline, of the typed error.
// The client is not told (no `ssl`): what it gets is secure already.
//
//   node scratchpad/examples/run.mjs recipes/postgres-tls db.example.com:5432
import { Data, Effect, Layer, ManagedRuntime, Option } from "effect"
import { type Connection, Dialer, Endpoint, Tls } from "effect-dial"
import { Duplex, NodeNetwork } from "effect-dial/node"
import { Pool } from "pg"

/** The cause of an attempt that reached a server without TLS. */
export class NoTls extends Data.TaggedError("NoTls")<{ readonly answer: string }> {
  override get message() {
    return `asked for TLS, the server answered ${JSON.stringify(this.answer)}`
  }
}

/** SSLRequest: its length, and a number where a version of the protocol would be. */
const sslRequest = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47)

/** One S and nothing behind it: what came in the clear would be taken for what the server said over TLS. */
const ask = (connection: Connection.Connection) =>
  Effect.gen(function*() {
    yield* connection.write(sslRequest)
    const answer = new TextDecoder().decode(Option.getOrUndefined(yield* connection.read))
    if (answer !== "S") return yield* new NoTls({ answer })
  })

/**
 * Every dial of this Dialer is to a PostgreSQL server, by TLS, with the options of `Tls.layerWith`. A server that dies does
 * not end TLS, and its messages say how long they are: that is an end as it is without TLS, and no error of the stream,
 * behind which postgres.js loses a query.
 */
export const postgresTls = (
  options: Tls.TlsOptions = {}
): Layer.Layer<Dialer.Dialer, never, Dialer.Dialer | Tls.Tls> =>
  Layer.effect(
    Dialer.Dialer,
    Effect.map(Effect.all([Dialer.Dialer, Tls.Tls]), ([below, tls]) =>
      Dialer.make((input, establish, dialOptions) =>
        Effect.flatMap(Endpoint.fromInput(input), (endpoint) =>
          below.dialWith(endpoint, (connection, progress) =>
            Effect.gen(function*() {
              yield* ask(connection)
              const secured = yield* Tls.upgrade(connection, {
                serverName: Endpoint.hostText(endpoint),
                allowTruncation: true,
                ...options
              })
              yield* progress.secured(secured.tls)
              return yield* establish(secured, progress)
            }).pipe(Effect.provideService(Tls.Tls, tls)), dialOptions))
      ))
  )

export const main = async (endpoint = "localhost:5432"): Promise<void> => {
  const runtime = ManagedRuntime.make(Layer.provide(postgresTls(), NodeNetwork.layer))
  const pool = new Pool({ user: "postgres", stream: () => Duplex.lazy(runtime, endpoint, { timeout: "5 seconds" }) })
  try {
    const { rows } = await pool.query("select version, cipher from pg_stat_ssl where pid = pg_backend_pid()")
    console.log(`${rows[0].version}, ${rows[0].cipher}`)
  } finally {
    await pool.end()
    await runtime.dispose()
  }
}
