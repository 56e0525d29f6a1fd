/**
 * What clients of Node call on the socket they are given, as their sources have it, by client: each call is taken on our
 * stream at every moment of its life, with the answer that a `net.Socket` gives then.
 *
 * Read from the sources of pg 8.23, postgres.js 3.4, mysql2 3.24, ioredis 5.11, undici 7.30, ws 8.23, nodemailer 7.0,
 * mqtt.js 5.16, and the http, http2 and tls modules of Node 20.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type * as net from "node:net"
import * as Loopback from "../../support/loopback.js"
import * as Sockets from "../../support/sockets.js"

type Call = readonly [name: string, call: (socket: net.Socket) => unknown]

const noop = (): void => {}

const get = (...names: ReadonlyArray<string>): ReadonlyArray<Call> =>
  names.map((name) => [name, (socket) => (socket as unknown as Record<string, unknown>)[name]])

const on = (...events: ReadonlyArray<string>): ReadonlyArray<Call> =>
  events.flatMap((event): ReadonlyArray<Call> => [
    [`on ${event}`, (socket) => socket.on(event, noop)],
    [`once ${event}`, (socket) => socket.once(event, noop)],
    [`removeListener ${event}`, (socket) => socket.removeListener(event, noop)]
  ])

const keepAlive: Call = ["setKeepAlive", (socket) => socket.setKeepAlive(true, 60_000)]
const noDelay: Call = ["setNoDelay", (socket) => socket.setNoDelay(true)]
const write: Call = ["write", (socket) => socket.write("x")]
const writeTold: Call = ["write with a callback", (socket) => socket.write("x", noop)]
const corked: Call = ["cork, write, uncork", (socket) => {
  socket.cork()
  socket.write("x")
  return socket.uncork()
}]
const timeoutOff: Call = ["setTimeout 0", (socket) => socket.setTimeout(0)]
const end: Call = ["end", (socket) => socket.end()]
const destroy: Call = ["destroy", (socket) => socket.destroy()]

const clients: { readonly [client: string]: ReadonlyArray<Call> } = {
  "pg": [
    noDelay,
    ...on("connect", "error", "close", "data"),
    ["setKeepAlive without a delay", (socket) => socket.setKeepAlive(true, undefined)],
    ...get("writable"),
    write,
    writeTold,
    corked,
    ["ref", (socket) => socket.ref()],
    ["unref", (socket) => socket.unref()],
    end,
    destroy
  ],
  "postgres.js": [
    ...on("connect", "error", "close", "drain", "data"),
    keepAlive,
    ["its own fields", (socket) => Object.assign(socket, { host: "h", port: 1, ssl: false })],
    writeTold,
    ...get("readyState"),
    ["pause", (socket) => socket.pause()],
    ["resume", (socket) => socket.resume()],
    ["end with bytes", (socket) => socket.end(Buffer.from("X"))],
    destroy,
    // What removes every listener must not take any of the stream's own that it lives by.
    ["removeAllListeners", (socket) => socket.removeAllListeners().on("error", noop)]
  ],
  "mysql2": [
    noDelay,
    keepAlive,
    ...on("connect", "error", "end", "close", "data", "drain", "pause"),
    ["removeAllListeners data", (socket) => socket.removeAllListeners("data")],
    writeTold,
    ["emit pause", (socket) => socket.emit("pause")],
    ["pause", (socket) => socket.pause()],
    ["resume", (socket) => socket.resume()],
    ...get("destroyed", "readableEnded"),
    end,
    destroy
  ],
  "ioredis": [
    ...get("connecting", "destroyed", "writable"),
    ["_writableState.ended", (socket) => (socket as unknown as Stateful)._writableState.ended],
    noDelay,
    keepAlive,
    ["setTimeout with a callback", (socket) => socket.setTimeout(10_000, noop)],
    timeoutOff,
    ["prependListener", (socket) => socket.prependListener("data", noop)],
    ["resume", (socket) => socket.resume()],
    ["write text", (socket) => socket.write("*1\r\n")],
    ["the address", (socket) => `${typeof socket.remoteAddress}:${typeof socket.remotePort}`],
    ["removeAllListeners data", (socket) => socket.removeAllListeners("data")],
    end,
    ["destroy with an error", (socket) => socket.destroy(new Error("Socket timeout."))]
  ],
  "undici": [
    keepAlive,
    noDelay,
    ...on("connect", "error", "readable", "end", "close"),
    ...get("errored", "destroyed", "alpnProtocol", "writableNeedDrain", "timeout", "session"),
    [
      "the addresses",
      (socket) =>
        [socket.localAddress, socket.localPort, socket.remoteAddress, socket.remotePort, socket.remoteFamily]
          .map((value) => typeof value).join()
    ],
    ["the counts", (socket) => `${socket.bytesRead} ${socket.bytesWritten}`],
    ["ref", (socket) => socket.ref()],
    ["unref", (socket) => socket.unref()],
    ["write latin1", (socket) => socket.write("GET / HTTP/1.1\r\n", "latin1")],
    corked,
    ["read", (socket) => socket.read()],
    ["autoSelectFamilyAttemptedAddresses, where there are any", (socket) => {
      const attempted: unknown = socket.autoSelectFamilyAttemptedAddresses
      return attempted === undefined || Array.isArray(attempted)
    }],
    ["destroy, on error", (socket) => socket.destroy().on("error", noop)]
  ],
  "node:http and its agents": [
    ...on("connect", "error", "data", "end", "close", "drain", "free", "timeout", "agentRemove", "keylog"),
    ["its own fields", (socket) => Object.assign(socket, { _httpMessage: null, parser: null, _hadError: false })],
    ["setKeepAlive of the agent", (socket) => socket.setKeepAlive(true, 1000)],
    ["setTimeout", (socket) => socket.setTimeout(5000)],
    ...get("timeout", "connecting", "writable", "readable", "writableCorked", "readableHighWaterMark", "destroyed"),
    timeoutOff,
    ["writableHighWaterMark", (socket) => socket.writableHighWaterMark],
    ["writableLength", (socket) => socket.writableLength],
    ["write in an encoding", (socket) => socket.write("GET / HTTP/1.1\r\n\r\n", "latin1", noop)],
    ["emit free", (socket) => socket.emit("free")],
    ["unref", (socket) => socket.unref()],
    ["ref", (socket) => socket.ref()],
    ["pause", (socket) => socket.pause()],
    ["resume", (socket) => socket.resume()],
    ["readableFlowing is given back", (socket) => Reflect.set(socket, "readableFlowing", null)],
    ["destroySoon", (socket) => socket.destroySoon()],
    destroy
  ],
  "ws": [
    timeoutOff,
    ["setNoDelay without an argument", (socket) => socket.setNoDelay()],
    ...on("close", "data", "end", "error"),
    ["_writableState.length", (socket) => (socket as unknown as Stateful)._writableState.length],
    ["_readableState.endEmitted", (socket) => (socket as unknown as Stateful)._readableState.endEmitted],
    corked,
    ["pause", (socket) => socket.pause()],
    ["resume", (socket) => socket.resume()],
    ["unshift nothing", (socket) => socket.unshift(Buffer.alloc(0))],
    ...get("destroyed"),
    end,
    destroy
  ],
  "nodemailer": [
    ...on("error", "data", "timeout", "close", "end"),
    ["setKeepAlive without a delay", (socket) => socket.setKeepAlive(true)],
    ["setTimeout of ten minutes", (socket) => socket.setTimeout(600_000)],
    ["resume", (socket) => socket.resume()],
    ["the addresses", (socket) => [socket.localAddress, socket.remotePort].map((value) => typeof value).join()],
    ...get("destroyed", "writable", "upgrading"),
    ["write bytes", (socket) => socket.write(Buffer.from("EHLO x\r\n", "utf-8"))],
    end,
    destroy
  ],
  "mqtt.js": [
    ["setMaxListeners", (socket) => socket.setMaxListeners(1000)],
    ...on("error", "close", "drain"),
    corked,
    write,
    ["end with a callback", (socket) => socket.end(noop)],
    destroy
  ],
  "node:tls and node:http2, for which it is a stream": [
    ...get(
      "readable",
      "writable",
      "readableLength",
      "writableLength",
      "allowHalfOpen",
      "encrypted",
      "secureConnecting"
    ),
    ["pause", (socket) => socket.pause()],
    ["resume", (socket) => socket.resume()],
    ...on("end", "close"),
    ["isPaused", (socket) => socket.isPaused()],
    [
      "the rest of what is documented",
      (socket) => [typeof socket.address(), socket.pending, typeof socket.localFamily].join()
    ],
    ["resetAndDestroy", (socket) => socket.resetAndDestroy()]
  ]
}

interface Stateful {
  readonly _writableState: { readonly ended: boolean; readonly length: number }
  readonly _readableState: { readonly endEmitted: boolean }
}

/** What a call answers, or throws, so that it can be compared. */
const answer = (socket: net.Socket, call: Call[1]): unknown => {
  try {
    const result = call(socket)
    if (result instanceof Error) return `an error ${(result as NodeJS.ErrnoException).code}`
    return result === socket ? "the socket" : result
  } catch (error) {
    return `throws ${error}`
  }
}

type Moment = (make: Sockets.Make) => Effect.Effect<net.Socket, never, Scope.Scope>

/** Each moment that a client may call at. */
const moments: { readonly [moment: string]: Moment } = {
  "while it connects": (make) =>
    Effect.map(Loopback.listen(), ({ address }) => make(address).connect(Loopback.portNumber(address), "127.0.0.1")),
  "when it is connected": (make) =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen()
      const socket = make(address).connect(Loopback.portNumber(address), "127.0.0.1")
      const told = { connected: false }
      socket.once("connect", () => {
        told.connected = true
      })
      yield* Loopback.until("the connect", () => told.connected)
      return socket
    }),
  "after its close": (make) =>
    Effect.gen(function*() {
      const address = yield* Loopback.refusing()
      const socket = make(address).connect(Loopback.portNumber(address), "127.0.0.1")
      const told = { closed: false }
      socket.on("error", noop).once("close", () => {
        told.closed = true
      })
      yield* Loopback.until("the close", () => told.closed)
      return socket
    })
}

const answersAt = (moment: Moment, calls: ReadonlyArray<Call>, make: Sockets.Make) =>
  Effect.scoped(Effect.gen(function*() {
    const socket = yield* moment(make)
    yield* Effect.addFinalizer(() => Effect.sync(() => socket.on("error", noop).destroy()))
    socket.on("error", noop)
    return calls.map(([name, call]) => [name, answer(socket, call)])
  }))

describe.each(Object.entries(clients))("the calls of %s on its socket", (_, calls) => {
  for (const [name, moment] of Object.entries(moments)) {
    it.scopedLive(`are answered ${name} as a net.Socket answers them`, () =>
      Loopback.leavesNoSocket(Effect.scoped(Effect.gen(function*() {
        const specified = yield* answersAt(moment, calls, Sockets.ofNode)
        expect(yield* answersAt(moment, calls, yield* Sockets.ofNodeTransport)).toEqual(specified)
        expect(yield* answersAt(moment, calls, yield* Sockets.ofAnyConnection)).toEqual(specified)
      }))))
  }
})
