/** The places where the laws are checked: the simulated network, on loopback and over a bad link, and this machine. */
import { Effect, Exit, Layer, Option, Runtime } from "effect"
import * as net from "node:net"
import * as path from "node:path"
import * as tls from "node:tls"
import type { SocketAddress } from "../../src/Address.js"
import * as Connection from "../../src/Connection.js"
import { ConnectionLost, lostFromErrno } from "../../src/DialError.js"
import * as NodeTransport from "../../src/node/NodeTransport.js"
import { Fault, SimNetwork, type Topology } from "../../src/testing/index.js"
import { Arena, LawBroken } from "../../src/testing/laws.js"
import type { CloseMode, SocketHandle } from "../../src/Transport.js"
import { at } from "../support/addresses.js"
import { inet, openSockets, refusing, silent, temporaryDirectory, turns, unix } from "../support/loopback.js"
import { listenForDatagrams } from "./datagramListener.js"

// -----------------------------------------------------------------------------
// simulated
// -----------------------------------------------------------------------------

const simulated = (host: string, ip: string, local: string, foreign: string, topology: Topology.Topology) =>
  Layer.provideMerge(
    Layer.effect(
      Arena,
      Effect.gen(function*() {
        const network = yield* SimNetwork.SimNetwork
        let paths = 0
        const settle = Effect.sleep("10 seconds")
        const quiet = (tries: number): Effect.Effect<void, LawBroken> =>
          Effect.flatMap(
            network.accounting,
            ({ accepted, bytesInFlight, dialed }) =>
              accepted + dialed + bytesInFlight === 0
                ? Effect.void
                : tries > 0
                ? Effect.zipRight(settle, quiet(tries - 1))
                : Effect.fail(
                  new LawBroken({ message: `open: ${dialed} dialed, ${accepted} accepted, ${bytesInFlight} bytes` })
                )
          )
        return {
          listen: (kind, behaviour) =>
            kind === "unix"
              ? network.listen("client", `/run/${++paths}.sock`, behaviour)
              : network.listen(host, `${kind === "udp" ? "dgram " : ""}${ip}:0`, behaviour),
          refused: Effect.succeed(at(`${ip}:9`)),
          silent: Effect.as(network.inject(Fault.on(`${ip}:7`, Fault.silentSyn)), at(`${ip}:7`)),
          local: at(`${local}:0`),
          foreign: at(`${foreign}:0`),
          lossy: (topology.defaultLink?.loss ?? 0) > 0,
          missing: at("/run/missing.sock"),
          settle,
          // A socket of the program's own is closed at once; the peer's may have a way to go.
          quiet: Effect.zipRight(
            Effect.flatMap(
              network.accounting,
              ({ dialed }) =>
                dialed === 0
                  ? Effect.void
                  : Effect.fail(new LawBroken({ message: `${dialed} dialed sockets are open` }))
            ),
            quiet(10)
          )
        }
      })
    ),
    SimNetwork.layer(topology)
  )

/** Everything on one host: no delay at all. */
export const simulatedLoopback = simulated("client", "127.0.0.1", "127.0.0.1", "203.0.113.9", {})

export const simulatedLoopback6 = simulated("client", "[::1]", "[::1]", "[2001:db8:9::9]", {})

/** Two hosts, and between them a way that delays, loses and carries little. */
export const simulatedLink = simulated("far", "10.0.0.2", "192.0.2.1", "203.0.113.9", {
  hosts: { far: { addresses: ["10.0.0.2"] } },
  defaultLink: { latency: "15 millis", jitter: "30 millis", loss: 0.02, bytesPerSecond: 50_000_000 },
  window: 200_000,
  seed: 42
})

// -----------------------------------------------------------------------------
// this machine
// -----------------------------------------------------------------------------

/** An accepted `net.Socket` as the handle of a Connection: the peer of the laws, plainly made. */
export class Accepted implements SocketHandle {
  private reason: ConnectionLost | undefined
  private ended = false
  private wake: (() => void) | undefined
  private readonly losers = new Set<() => void>()

  constructor(
    private readonly socket: net.Socket,
    readonly localAddress: SocketAddress,
    readonly remoteAddress: SocketAddress,
    /** What `socket` is TLS over, where it is. */
    private readonly wire: { readonly abort: () => void } | undefined
  ) {
    socket.on("error", (error: NodeJS.ErrnoException) => this.lose(lostFromErrno(error.code), error.code))
    socket.on("readable", () => this.wake?.())
    socket.on("end", () => {
      this.ended = true
      this.wake?.()
    })
    socket.on("close", () => this.lose("End"))
  }

  connect(settled: () => void): void {
    queueMicrotask(settled)
  }

  get read(): Effect.Effect<Option.Option<Uint8Array>, ConnectionLost> {
    return Effect.async((resume) => {
      const look = () => {
        const done = (exit: Effect.Effect<Option.Option<Uint8Array>, ConnectionLost>) => {
          this.wake = undefined
          resume(exit)
        }
        const bytes: Uint8Array | null = this.socket.read()
        if (bytes !== null) return done(Effect.succeedSome(new Uint8Array(bytes)))
        if (this.ended) return done(Effect.succeedNone)
        if (this.reason !== undefined) return done(Effect.fail(this.reason))
      }
      this.wake = look
      look()
      return Effect.sync(() => {
        this.wake = undefined
      })
    })
  }

  write(bytes: Uint8Array): Effect.Effect<void, ConnectionLost> {
    return Effect.async((resume) => {
      if (this.reason !== undefined) return resume(Effect.fail(this.reason))
      this.socket.write(bytes, (error) => {
        resume(error ? Effect.suspend(() => Effect.fail(this.reason ?? this.lose("Reset"))) : Effect.void)
      })
    })
  }

  get unsent(): number {
    return this.socket.writableLength
  }

  get flush(): Effect.Effect<void, ConnectionLost> {
    return this.unsent === 0 || this.socket.writableEnded ? Effect.void : this.write(new Uint8Array(0))
  }

  get end(): Effect.Effect<void, ConnectionLost> {
    return Effect.async((resume) => {
      // Not while TLS still decrypts: it would throw that away.
      setImmediate(() => this.socket.end(() => resume(Effect.void)))
    })
  }

  get lost(): Effect.Effect<ConnectionLost> {
    return Effect.async((resume) => {
      const tell = () => this.reason !== undefined && resume(Effect.succeed(this.reason))
      this.losers.add(tell)
      tell()
    })
  }

  readonly stopReadingAndWriting = Effect.void
  readonly release = Effect.void

  close(mode: CloseMode): Effect.Effect<void> {
    return Effect.sync(() => {
      this.lose(mode === "abort" ? "Aborted" : "End")
      // A TLS socket goes with its wire: freed by itself while OpenSSL is on the stack, it would crash.
      if (mode === "abort" && this.wire !== undefined) return this.wire.abort()
      if (mode === "abort" && this.socket.remoteFamily !== undefined) this.socket.resetAndDestroy()
      // TLS has an end of its own to send.
      else if (this.wire !== undefined) this.socket.end()
      this.socket.destroy()
    })
  }

  private lose(reason: ConnectionLost["reason"], code?: string): ConnectionLost {
    const lost = this.reason ??= new ConnectionLost({ address: this.remoteAddress, reason, code })
    this.wake?.()
    for (const tell of this.losers) tell()
    return lost
  }
}

/** Runs a behaviour on an accepted connection: closed when it ends, aborted when it fails. */
export const serve = (
  connection: Connection.Connection,
  behaviour: (connection: Connection.Connection) => Effect.Effect<unknown, ConnectionLost>
): Effect.Effect<unknown, ConnectionLost> =>
  Effect.onExit(behaviour(connection), (exit) => Exit.isSuccess(exit) ? connection.close() : connection.abort)

/** Waits until a server's half of a handshake is done, and OpenSSL, which tells that from inside, is too. */
export const shaken = (socket: net.Socket): Effect.Effect<void> =>
  Effect.async((resume) => {
    socket.once("secure", () => setImmediate(() => resume(Effect.void)))
  })

const listenOnNode = (
  where: net.ListenOptions,
  behaviour: (connection: Connection.Connection) => Effect.Effect<unknown, ConnectionLost>,
  secure: tls.SecureContext | undefined
) =>
  Effect.gen(function*() {
    const run = Runtime.runFork(yield* Effect.runtime())
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const reset = () => {
        if (socket.remoteFamily === undefined) socket.destroy()
        else socket.resetAndDestroy()
      }
      const over = secure === undefined
        ? socket
        : new tls.TLSSocket(socket, { isServer: true, secureContext: secure })
      const handle = new Accepted(
        over,
        socket.localAddress === undefined ? unix(where.path ?? "") : inet(socket.localAddress, socket.localPort ?? 0),
        socket.remoteAddress === undefined
          ? unix(where.path ?? "")
          : inet(socket.remoteAddress, socket.remotePort ?? 0),
        secure === undefined ? undefined : { abort: reset }
      )
      const connection = Connection.fromHandle(handle, "stream")
      run(
        secure === undefined
          ? serve(connection, behaviour)
          : Effect.zipRight(shaken(over), serve(connection, behaviour))
      )
    })
    return yield* Effect.acquireRelease(
      Effect.async<SocketAddress>((resume) => {
        server.listen({ ...where, backlog: 1024 }, () => {
          const address = server.address()
          resume(Effect.succeed(
            typeof address === "string" || address === null
              ? unix(where.path ?? "")
              : inet(address.address, address.port)
          ))
        })
      }),
      () => Effect.sync(() => server.close())
    )
  })

/** Where an Arena listens: its own address, and one to dial from that is not this machine's. */
interface Place {
  readonly host: string
  readonly local: string
  readonly foreign: string
}

const ipv4: Place = { host: "127.0.0.1", local: "127.0.0.1", foreign: "203.0.113.9" }
const ipv6: Place = { host: "::1", local: "[::1]", foreign: "[2001:db8:9::9]" }

/** An Arena on loopback, whose stream listeners speak TLS where they are given a context for it. */
export const onNode = (secure: tls.SecureContext | undefined, { foreign, host, local }: Place = ipv4) =>
  Layer.scoped(
    Arena,
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      let paths = 0
      // What is open before anything is under test: others' sockets, and the listeners.
      const known = new Set(openSockets())
      const admit = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.tap(effect, () => Effect.sync(() => openSockets().forEach((socket) => known.add(socket))))
      const quiet = (tries: number): Effect.Effect<void, LawBroken> =>
        Effect.suspend(() => {
          const open = [...openSockets()].filter((socket) => !known.has(socket))
          if (open.length === 0) return Effect.void
          return tries > 0
            ? Effect.zipRight(turns(5), quiet(tries - 1))
            : Effect.fail(new LawBroken({ message: `${open.length} sockets are open` }))
        })
      return {
        listen: (kind, behaviour) =>
          admit(
            kind === "udp" ? listenForDatagrams(host, behaviour) : listenOnNode(
              kind === "tcp" ? { host, port: 0 } : { path: path.join(directory, `${++paths}.sock`) },
              behaviour,
              secure
            )
          ),
        refused: admit(refusing(host)),
        silent: admit(silent({ host })),
        local: at(`${local}:0`),
        foreign: at(`${foreign}:0`),
        lossy: false,
        missing: at(path.join(directory, "missing.sock")),
        settle: turns(60),
        quiet: quiet(200)
      }
    })
  )

/** Real sockets on 127.0.0.1. */
export const nodeLoopback = Layer.merge(NodeTransport.layer, onNode(undefined))

/** Real sockets on ::1. */
export const nodeLoopback6 = Layer.merge(NodeTransport.layer, onNode(undefined, ipv6))
