/**
 * The other end: small servers on this machine for tests that need real sockets, each an Effect that its Scope closes.
 *
 * A {@link Peer} reads nothing until a test asks, so that what the kernel holds is all that is in between. Every wait
 * is for an event or a condition and is bounded by {@link patience}; a wait that lasts longer is a defect which names
 * what was waited for.
 */
import { type Duration, Effect, Either, Option, Queue, Runtime, type Scope } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import * as Address from "../../src/Address.js"

const patience: Duration.DurationInput = "5 seconds"

/** A wait that must be over soon, or the test fails by name. */
export const within = <A, E, R>(waitingFor: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    Effect.timeoutOption(self, patience),
    Option.match({
      onNone: () => Effect.die(new Error(`waited too long for ${waitingFor}`)),
      onSome: Effect.succeed
    })
  )

/** Let the event loop go round once: timers, I/O, immediates. */
export const turn: Effect.Effect<void> = Effect.async((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** Let the event loop go round `n` times: enough for whatever is going to happen without anyone's help. */
export const turns = (n: number): Effect.Effect<void> => Effect.repeatN(turn, n)

/** Wait until the condition holds. */
export const until = (condition: string, holds: () => boolean): Effect.Effect<void> =>
  within(condition, Effect.repeat(turn, { until: holds }))

/** Wait until a number has grown and then stayed the same for 200 turns of the loop. */
export const stalled = (what: string, read: () => number): Effect.Effect<number> =>
  Effect.suspend(() => {
    const seen = { value: 0, turns: 0 }
    const still = () => {
      const value = read()
      seen.turns = value === seen.value && value > 0 ? seen.turns + 1 : 0
      seen.value = value
      return seen.turns > 200
    }
    return Effect.map(until(`${what} to stall`, still), () => seen.value)
  })

export const hasIpv6 = Object.values(os.networkInterfaces()).some((infos) =>
  infos?.some((info) => info.address === "::1")
)

// -----------------------------------------------------------------------------
// what the process and the kernel hold
// -----------------------------------------------------------------------------

/** The sockets among this process's descriptors. */
export const openSockets = (): ReadonlySet<string> => {
  const linkOf = (fd: string): string => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return "" // the descriptor that listed the directory
    }
  }
  return new Set(fs.readdirSync("/proc/self/fd").map(linkOf).filter((link) => link.startsWith("socket:")))
}

/** Run it, then see that each socket it opened is closed. */
export const leavesNoSocket = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const before = openSockets()
    const left = () => [...openSockets()].filter((socket) => !before.has(socket))
    return Effect.tap(self, until("every socket of the test to be closed", () => left().length === 0))
  })

interface TcpRow {
  readonly localPort: number
  readonly remotePort: number
  readonly state: string
  /**
   * What the kernel's timer is for. One in `timewait` is no process's: the kernel remembers a closed one, in TIME_WAIT or,
   * when the peer's reset crossed with our close, in FIN_WAIT2.
   */
  readonly timer: "none" | "retransmit" | "keepalive" | "timewait" | "probe"
  readonly timerSeconds: number
}

const states: { readonly [hex: string]: string } = {
  "01": "ESTABLISHED",
  "02": "SYN_SENT",
  "04": "FIN_WAIT1",
  "05": "FIN_WAIT2",
  "06": "TIME_WAIT",
  "08": "CLOSE_WAIT",
  "09": "LAST_ACK",
  "0A": "LISTEN"
}

const timers: { readonly [hex: string]: TcpRow["timer"] } = {
  "01": "retransmit",
  "02": "keepalive",
  "03": "timewait",
  "04": "probe"
}

/** The kernel's TCP sockets to or from a port, of either family: /proc/net/tcp and tcp6. */
export const tcpRows = (port: number): ReadonlyArray<TcpRow> =>
  ["/proc/net/tcp", "/proc/net/tcp6"].filter((file) => fs.existsSync(file)).flatMap((file) =>
    fs.readFileSync(file, "utf8").trim().split("\n").slice(1).flatMap((line): ReadonlyArray<TcpRow> => {
      const [, local = "", remote = "", state = "", , timer = ""] = line.trim().split(/\s+/)
      const [active = "", when = ""] = timer.split(":")
      const row: TcpRow = {
        localPort: portOf(local),
        remotePort: portOf(remote),
        state: states[state] ?? state,
        timer: timers[active] ?? "none",
        timerSeconds: parseInt(when, 16) / 100
      }
      return row.localPort === port || row.remotePort === port ? [row] : []
    })
  )

const portOf = (hex: string): number => parseInt(hex.slice(hex.lastIndexOf(":") + 1), 16)

export const portNumber = (address: Address.SocketAddress): number => address._tag === "Unix" ? 0 : address.port

// -----------------------------------------------------------------------------
// one accepted connection
// -----------------------------------------------------------------------------

/** The far end of a connection. It reads only while a read waits. */
class Peer {
  private readonly chunks: Array<Uint8Array> = []
  private size = 0
  private wake: () => void = () => {}
  /** Why it is over: an errno, or "closed"; `undefined` while it is not. */
  outcome: string | undefined
  ended = false

  constructor(readonly socket: net.Socket) {
    const code = { value: "closed" }
    const tcp = socket.localPort !== undefined
    socket.on("error", (error: NodeJS.ErrnoException) => {
      code.value = error.code ?? error.message
    })
    socket.on("data", (bytes: Uint8Array) => {
      this.chunks.push(bytes)
      this.size += bytes.length
      this.wake()
    })
    socket.on("end", () => {
      // libuv takes the hang-up that follows a partial read for an end, though it be a reset; the kernel knows better:
      // a socket that was reset has no peer name. (Nor has one whose two halves have ended.)
      if (tcp && !socket.writableEnded && socket.remoteAddress === undefined) {
        socket.destroy(Object.assign(new Error("reset after data"), { code: "ECONNRESET" }))
        return
      }
      this.ended = true
      this.wake()
    })
    socket.on("close", () => {
      this.outcome = code.value
      this.wake()
    })
    socket.pause()
  }

  /** Exactly so many bytes; fewer only when there will be no more. */
  read(size: number): Effect.Effect<Uint8Array> {
    return within(
      `${size} bytes at the peer`,
      Effect.async<Uint8Array>((resume) => {
        this.wake = () => {
          if (this.size < size && !this.ended && this.outcome === undefined) return
          this.stop()
          const all = concat(this.chunks)
          const rest = all.subarray(size)
          this.chunks.splice(0, this.chunks.length, ...(rest.length > 0 ? [rest] : []))
          this.size = rest.length
          resume(Effect.succeed(all.subarray(0, size)))
        }
        this.wake()
        if (this.wake !== idle) this.socket.resume()
        return Effect.sync(() => this.stop())
      })
    )
  }

  /** Everything up to the end, however that comes: see `ended` and `outcome`. */
  get readToEnd(): Effect.Effect<Uint8Array> {
    return this.read(Number.MAX_SAFE_INTEGER)
  }

  private stop(): void {
    this.wake = idle
    this.socket.pause()
  }

  /** Done when the kernel took them; a connection that breaks meanwhile is told by `closed`. */
  write(bytes: Uint8Array | string): Effect.Effect<void> {
    return within(
      "the peer's write",
      Effect.async<void>((resume) => {
        this.socket.write(bytes, () => resume(Effect.void))
      })
    )
  }

  get end(): Effect.Effect<void> {
    return within(
      "the peer's end",
      Effect.async<void>((resume) => {
        this.socket.end(() => resume(Effect.void))
      })
    )
  }

  /** RST. */
  get reset(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.socket.resetAndDestroy()
    })
  }

  /** How it ended for this side, which reads on until it does and answers an end with its own. */
  get closed(): Effect.Effect<string> {
    return Effect.suspend(() => {
      this.socket.resume()
      const over = () => {
        if (this.ended && !this.socket.writableEnded) this.socket.end()
        return this.outcome !== undefined
      }
      return Effect.map(until("the peer to see the end", over), () => this.outcome ?? "")
    })
  }
}

const idle = (): void => {}

export const concat = (chunks: Iterable<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat([...chunks]))

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

// -----------------------------------------------------------------------------
// listeners
// -----------------------------------------------------------------------------

interface Listener {
  readonly address: Address.SocketAddress
  /** The next connection. */
  readonly accept: Effect.Effect<Peer>
  readonly accepted: () => number
}

/** Where to listen: a TCP host, at any free port unless it says which; or a UNIX path as `Address.parseUnixPath` reads it. */
export type At = { readonly host: string; readonly port?: number } | { readonly path: string }

/** Accepts what comes and does nothing with it: a sink whose gate is `Peer.read`. */
export const listen = (at: At = { host: "127.0.0.1" }): Effect.Effect<Listener, never, Scope.Scope> =>
  serve(at, () => Effect.void)

/** A listener with something to do for each connection, in a fiber of the Scope. */
const serve = (
  at: At = { host: "127.0.0.1" },
  conversation: (peer: Peer) => Effect.Effect<unknown>
): Effect.Effect<Listener, never, Scope.Scope> =>
  Effect.gen(function*() {
    const peers: Array<Peer> = []
    const queue = yield* Queue.unbounded<Peer>()
    const run = Runtime.runFork(yield* Effect.runtime<never>())
    const scope = yield* Effect.scope
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      const peer = new Peer(socket)
      peers.push(peer)
      Queue.unsafeOffer(queue, peer)
      run(Effect.forkIn(conversation(peer), scope))
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => {
        server.once("error", (error) => resume(Effect.die(error)))
        server.listen("path" in at ? { path: sunPath(at.path) } : { host: at.host, port: at.port ?? 0 }, () => {
          resume(Effect.void)
        })
      }),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const { socket } of peers) socket.destroy()
        })
    )
    return {
      address: "path" in at ? unix(at.path) : boundTo(server),
      accept: within("a connection to accept", Queue.take(queue)),
      accepted: () => peers.length
    }
  })

const sunPath = (path: string): string => path.replace(/^@/, "\0")

const boundTo = (server: net.Server): Address.SocketAddress => {
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error(`listening at ${String(address)}`)
  return inet(address.address, address.port)
}

export const inet = (host: string, port: number): Address.SocketAddress =>
  Address.socketAddress(Address.unsafeParse(host), Address.Port(port))

export const unix = (path: string): Address.SocketAddress =>
  Address.unix(Either.getOrThrow(Address.parseUnixPath(path)))

/** Sends back what it is sent, and its end. */
export const echo = (at?: At): Effect.Effect<Listener, never, Scope.Scope> =>
  serve(at, ({ socket }) => Effect.sync(() => socket.pipe(socket)))

/** Sends `size` zero bytes as fast as they are taken, then its end; `taken` is what the kernel has accepted. */
export const source = (
  size: number,
  at?: At
): Effect.Effect<Listener & { readonly taken: () => number }, never, Scope.Scope> => {
  const chunk = new Uint8Array(65_536)
  const taken = { bytes: 0 }
  const send = (socket: net.Socket): void => {
    if (taken.bytes >= size) {
      socket.end()
      return
    }
    socket.write(chunk, (error) => {
      if (error) return
      taken.bytes += chunk.length
      send(socket)
    })
  }
  return Effect.map(
    serve(at, ({ socket }) => Effect.sync(() => send(socket))),
    (listener) => ({ ...listener, taken: () => taken.bytes })
  )
}

/** Breaks every connection off at once. */
export const resetter = (at?: At): Effect.Effect<Listener, never, Scope.Scope> => serve(at, (peer) => peer.reset)

/** Says its piece, ends its half, and reads only when a test asks. */
export const halfCloser = (
  piece: Uint8Array | string,
  at?: At
): Effect.Effect<Listener, never, Scope.Scope> => serve(at, (peer) => Effect.zipRight(peer.write(piece), peer.end))

/**
 * An address where nobody listens and nobody can begin to: the local end of a connection that is held open.
 */
export const refusing = (host = "127.0.0.1"): Effect.Effect<Address.SocketAddress, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { address } = yield* listen({ host })
    const socket = yield* rawConnect({ host, port: portNumber(address) })
    return inet(socket.localAddress ?? host, socket.localPort ?? 0)
  })

/** A plain client socket, connected. */
export const rawConnect = (to: net.NetConnectOpts): Effect.Effect<net.Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<net.Socket>((resume) => {
      const socket = net.connect(to)
      socket.once("error", (error) => resume(Effect.die(error)))
      socket.once("connect", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const deafWorker = `
const { parentPort, workerData: { gate, at } } = require("node:worker_threads")
const server = require("node:net").createServer().listen({ ...at, backlog: 1 }, () => {
  parentPort.postMessage(server.address())
  Atomics.wait(new Int32Array(gate), 0, 0)
  process.exit()
})
`

/**
 * A listener whose accept queue is full: on TCP it never answers a SYN, on UNIX a connect is EAGAIN. Its thread is
 * asleep, so it accepts nobody, and two connections fill a backlog of 1.
 */
export const silent = (at: At = { host: "127.0.0.1" }): Effect.Effect<Address.SocketAddress, never, Scope.Scope> =>
  Effect.gen(function*() {
    const gate = new SharedArrayBuffer(4)
    const where = "path" in at ? { path: sunPath(at.path) } : { host: at.host, port: at.port ?? 0 }
    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(deafWorker, { eval: true, workerData: { gate, at: where } })),
      (worker) =>
        Effect.async<void>((resume) => {
          worker.once("exit", () => resume(Effect.void))
          Atomics.store(new Int32Array(gate), 0, 1)
          Atomics.notify(new Int32Array(gate), 0)
        })
    )
    const bound = yield* within(
      "the silent listener",
      Effect.async<net.AddressInfo | string>((resume) => {
        worker.once("error", (error) => resume(Effect.die(error)))
        worker.once("message", (address) => resume(Effect.succeed(address)))
      })
    )
    const to = typeof bound === "string" ? { path: bound } : { host: bound.address, port: bound.port }
    yield* Effect.replicateEffect(within("the queue to fill", rawConnect(to)), 2)
    return "path" in at ? unix(at.path) : inet(at.host, typeof bound === "string" ? 0 : bound.port)
  })

/** A directory of its own for UNIX sockets. */
export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "dial-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

const names = { next: 0 }

/** A name in the abstract namespace that no other test has. */
export const abstractName = (): string => {
  names.next += 1
  return `@effect-dial-test-${process.pid}-${names.next}`
}
