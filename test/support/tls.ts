/**
 * TLS servers on loopback, plainly made of `node:tls`: each an Effect that its Scope closes.
 */
import { Effect, type Scope } from "effect"
import * as net from "node:net"
import * as tls from "node:tls"
import type * as Address from "../../src/Address.js"
import { certificates, type Issued } from "./certificates.js"
import { inet } from "./loopback.js"

export interface Server {
  readonly address: Address.SocketAddress
  readonly port: number
  /** Every connection that was secured so far. */
  readonly secured: ReadonlyArray<tls.TLSSocket>
  /** Whether each of them has resumed a session. */
  readonly resumed: ReadonlyArray<boolean>
  /** Every connection that was accepted so far. */
  readonly accepted: ReadonlyArray<net.Socket>
  /** What went wrong with them. */
  readonly errors: ReadonlyArray<NodeJS.ErrnoException>
  /** Have others for the tickets from now on: those that were given are no good any more. */
  readonly setTicketKeys: (keys: Buffer) => void
}

const listening = (
  server: net.Server,
  sockets: ReadonlyArray<net.Socket>,
  host: string
): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<number>((resume) => {
      server.listen(0, host, () => resume(Effect.succeed((server.address() as net.AddressInfo).port)))
    }),
    () =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        sockets.forEach((socket) => socket.destroy())
      })
  )

export const withIdentity = ({ certificate, key }: Issued): tls.TlsOptions => ({ cert: certificate, key })

/** A server with the good certificate, unless its options say otherwise, that does something with each connection. */
export const serve = (
  options: tls.TlsOptions,
  conversation: (socket: tls.TLSSocket) => void = () => {},
  host = "127.0.0.1"
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function*() {
    const secured: Array<tls.TLSSocket> = []
    const resumed: Array<boolean> = []
    const accepted: Array<net.Socket> = []
    const errors: Array<NodeJS.ErrnoException> = []
    const server = tls.createServer(
      { ...withIdentity(certificates.good), allowHalfOpen: true, ...options },
      (socket) => {
        secured.push(socket)
        resumed.push(socket.isSessionReused())
        socket.on("error", (error) => errors.push(error))
        conversation(socket)
      }
    )
    server.on("connection", (socket: net.Socket) => {
      accepted.push(socket)
      socket.on("error", () => {})
    })
    server.on("tlsClientError", (error) => errors.push(error))
    const port = yield* listening(server, accepted, host)
    return {
      address: inet(host, port),
      port,
      secured,
      resumed,
      accepted,
      errors,
      setTicketKeys: (keys) => server.setTicketKeys(keys)
    }
  })

/** Sends back what it gets, and its end. */
export const echo = (socket: tls.TLSSocket): void => void socket.pipe(socket)

/** A server that speaks no TLS by itself. */
export const plain = (
  conversation: (socket: net.Socket) => void,
  host = "127.0.0.1"
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function*() {
    const accepted: Array<net.Socket> = []
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      accepted.push(socket)
      socket.on("error", () => {})
      conversation(socket)
    })
    const port = yield* listening(server, accepted, host)
    return { address: inet(host, port), port, secured: [], resumed: [], accepted, errors: [], setTicketKeys: () => {} }
  })

/** The server's half of TLS over an accepted socket. */
export const secure = (socket: net.Socket, options: tls.TLSSocketOptions = {}): tls.TLSSocket => {
  const over = new tls.TLSSocket(socket, {
    isServer: true,
    secureContext: tls.createSecureContext({ ...withIdentity(certificates.good) }),
    ...options
  })
  over.on("error", () => {})
  return over
}
