// Runs the built `dial` as a user does: a process with pipes, and a bound on its life.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { createSocket as createDatagramSocket } from "node:dgram"
import { readFileSync } from "node:fs"
import { createServer, type ListenOptions, type Server, type Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { isBuilt } from "../../.ci/build.mjs"

/** The built command. */
export const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url))

export interface Result {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly result: Promise<Result>
}

export const start = (...args: ReadonlyArray<string>): Running => {
  if (!isBuilt()) throw new Error("dist is older than src: run `pnpm build`")
  const child = spawn(process.execPath, [main, ...args], { timeout: 9000, killSignal: "SIGKILL" })
  const stdout: Array<Buffer> = []
  const stderr: Array<Buffer> = []
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk))
  child.stdin.on("error", () => {})
  const result = new Promise<Result>((resolve) => {
    child.on(
      "close",
      (code, signal) =>
        resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() })
    )
  })
  return { child, result }
}

/** Run to the end with this standard input. */
export const dial = (args: ReadonlyArray<string>, input: Uint8Array | string = ""): Promise<Result> => {
  const { child, result } = start(...args)
  child.stdin.end(input)
  return result
}

/** The objects of `--json`; throws on anything else in the output. */
export const objects = (stdout: Buffer): ReadonlyArray<Record<string, unknown>> =>
  stdout.toString().trimEnd().split("\n").map((line) => JSON.parse(line))

/** Resolves with the first output that holds `text`. */
export const shows = (child: ChildProcessWithoutNullStreams, text: string): Promise<void> =>
  new Promise((resolve) => {
    let seen = ""
    child.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString()
      if (seen.includes(text)) resolve()
    })
  })

export interface Peer {
  readonly endpoint: string
  readonly port: number
  readonly close: () => Promise<void>
}

/** A server on loopback for one test; its sockets stay half-open as `accept` wants. */
export const listen = (accept: (socket: Socket) => void): Promise<Peer> =>
  listenAt({ host: "127.0.0.1", port: 0 }, accept)

/** {@link listen}, where it is told to. */
export const listenAt = (where: ListenOptions, accept: (socket: Socket) => void): Promise<Peer> =>
  new Promise((resolve, reject) => {
    const sockets = new Set<Socket>()
    const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      accept(socket)
    })
    server.on("error", reject)
    server.listen(where, () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resolve({
        endpoint: `127.0.0.1:${port}`,
        port,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            sockets.forEach((socket) => socket.destroy())
          })
      })
    })
  })

export interface DatagramPeer {
  readonly endpoint: string
  /** What has come, each datagram. */
  readonly heard: ReadonlyArray<Buffer>
  readonly close: () => Promise<void>
}

/** A UDP socket on loopback for one test, and what it answers to a datagram. */
export const listenForDatagrams = (
  answers: (bytes: Buffer) => ReadonlyArray<string>
): Promise<DatagramPeer> =>
  new Promise((resolve, reject) => {
    const heard: Array<Buffer> = []
    const socket = createDatagramSocket("udp4")
    const state = { open: true }
    socket.on("error", reject)
    socket.on("message", (bytes, from) => {
      heard.push(bytes)
      for (const text of answers(bytes)) socket.send(text, from.port, from.address)
    })
    socket.bind(0, "127.0.0.1", () =>
      resolve({
        endpoint: `udp://127.0.0.1:${socket.address().port}`,
        heard,
        close: () =>
          new Promise((closed) => {
            if (!state.open) return closed()
            state.open = false
            socket.close(() => closed())
          })
      }))
  })

/** How many sockets of this machine are in a state (of /proc/net/tcp, in hexadecimal) towards a remote port. */
export const socketsTo = (port: number, state: string): number => {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  return readFileSync("/proc/net/tcp", "utf8").split("\n").filter((row) => {
    const [, , remote, found] = row.trim().split(/\s+/)
    return remote?.endsWith(suffix) === true && found === state
  }).length
}

/** A promise and what resolves it. */
export const deferred = <A = void>(): { readonly promise: Promise<A>; readonly resolve: (value: A) => void } => {
  let resolve: (value: A) => void = () => {}
  const promise = new Promise<A>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
