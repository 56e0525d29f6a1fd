/**
 * A Duplex over the simulated network: any Connection will do, and its time is that of the runtime.
 */
import { expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import type * as net from "node:net"
import type * as Dialer from "../../../src/Dialer.js"
import { ConnectionLost, DialTimeout } from "../../../src/DialError.js"
import * as Duplex from "../../../src/node/Duplex.js"
import { Behaviour, Fault, SimNetwork, type Topology } from "../../../src/testing/index.js"
import * as Loopback from "../../support/loopback.js"

const topology: Topology.Topology = {
  hosts: {
    db: { addresses: ["10.0.0.2"], listeners: { 5432: Behaviour.echo, 25: Behaviour.send("220 ready\r\n") } },
    dead: { addresses: ["10.0.0.3"] }
  },
  names: { "db.test": ["10.0.0.3", "10.0.0.2"], "dead.test": ["10.0.0.3"] },
  defaultLink: { latency: "20 millis" }
}

const test = (
  name: string,
  self: Effect.Effect<void, unknown, Dialer.Dialer | SimNetwork.SimNetwork>,
  faults: Topology.Topology["faults"] = []
) =>
  it.effect(
    name,
    () => Effect.provide(Effect.zipLeft(self, SimNetwork.expectQuiet), SimNetwork.layer({ ...topology, faults }))
  )

/** Lets so many times ten milliseconds pass, and Node's events happen in between. */
const pass = (tens: number): Effect.Effect<void> =>
  Effect.repeatN(Effect.zipRight(TestClock.adjust(10), Loopback.turns(4)), tens - 1)

const seenOf = (socket: net.Socket): Array<string> => {
  const seen: Array<string> = []
  for (const event of ["connect", "ready", "end", "finish"]) socket.on(event, () => seen.push(event))
  socket.on("data", (bytes) => seen.push(`data ${bytes}`))
  socket.on("error", (error: NodeJS.ErrnoException) => seen.push(`error ${error.code}`))
  socket.on("close", (hadError) => seen.push(`close ${hadError}`))
  return seen
}

test(
  "a round trip takes the time of the links, past an address that refuses",
  Effect.gen(function*() {
    const socket = Duplex.lazy(yield* Effect.runtime<Dialer.Dialer>(), "db.test:5432")
    const seen = seenOf(socket)
    socket.write("hel")
    socket.write("lo")
    // 40 ms to be refused, 40 ms to connect, 40 ms for the echo.
    yield* pass(11)
    expect(seen).toEqual(["connect", "ready"])
    yield* pass(2)
    expect(seen).toEqual(["connect", "ready", "data hello"])
    expect([socket.remoteAddress, socket.remotePort, socket.remoteFamily]).toEqual(["10.0.0.2", 5432, "IPv4"])
    socket.end()
    yield* pass(5)
    expect(seen.slice(3)).toEqual(["finish", "end", "close false"])
  })
)

test(
  "what a server says and its end are read, and answered with ours",
  Effect.gen(function*() {
    const socket = Duplex.lazy(yield* Effect.runtime<Dialer.Dialer>(), "10.0.0.2:25")
    const seen = seenOf(socket)
    yield* pass(20)
    expect(seen).toEqual(["connect", "ready", "data 220 ready\r\n", "end", "finish", "close false"])
  })
)

test(
  "a deadline is the clock's",
  Effect.gen(function*() {
    const socket = Duplex.lazy(yield* Effect.runtime<Dialer.Dialer>(), "db.test:5432", { timeout: 30 })
    const seen = seenOf(socket)
    const errors: Array<unknown> = []
    socket.on("error", (error) => errors.push(error))
    yield* pass(2)
    expect(seen).toEqual([])
    yield* pass(1)
    expect(seen).toEqual(["error ETIMEDOUT", "close true"])
    expect(errors).toEqual([expect.any(DialTimeout)])
  })
)

test(
  "destroyed while it dials, connects or writes it leaves nothing",
  Effect.gen(function*() {
    const runtime = yield* Effect.runtime<Dialer.Dialer>()
    for (const tens of [1, 2, 4, 5, 8, 9, 11]) {
      const socket = Duplex.lazy(runtime, "db.test:5432")
      const seen = seenOf(socket)
      socket.write(Buffer.alloc(1_000_000))
      yield* pass(tens)
      socket.destroy()
      yield* pass(1)
      expect(seen.filter((what) => !what.startsWith("data"))).toEqual([
        ...tens >= 8 ? ["connect", "ready"] : [],
        "close false"
      ])
      yield* SimNetwork.expectQuiet
    }
  })
)

test(
  "a reset is the error of the stream",
  Effect.gen(function*() {
    const network = yield* SimNetwork.SimNetwork
    const socket = Duplex.lazy(yield* Effect.runtime<Dialer.Dialer>(), "10.0.0.2:5432")
    const errors: Array<unknown> = []
    const seen = seenOf(socket)
    socket.on("error", (error) => errors.push(error))
    yield* pass(5)
    yield* network.crash("db")
    yield* network.restart("db")
    socket.write("anybody?")
    yield* pass(6)
    expect(seen).toEqual(["connect", "ready", "error ECONNRESET", "close true"])
    expect(errors).toEqual([expect.any(ConnectionLost)])
  })
)

test(
  "a black hole is given up when the stream is",
  Effect.gen(function*() {
    const socket = Duplex.lazy(yield* Effect.runtime<Dialer.Dialer>(), "10.0.0.2:5432")
    const seen = seenOf(socket)
    yield* pass(20)
    socket.end("never sent")
    socket.destroy()
    yield* pass(1)
    expect(seen).toEqual(["close false"])
  }),
  [Fault.on("db", Fault.silentSyn)]
)
