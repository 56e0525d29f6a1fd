/** The laws can fail: each of these Transports has one bug, and the law that is about it says so. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option } from "effect"
import { Simulation } from "../../src/testing/index.js"
import { type Arena } from "../../src/testing/laws.js"
import { connection } from "../../src/testing/laws/connection.js"
import { datagram } from "../../src/testing/laws/datagram.js"
import { type Law } from "../../src/testing/laws/Law.js"
import { transport } from "../../src/testing/laws/transport.js"
import { type SocketHandle, Transport } from "../../src/Transport.js"
import { simulatedLoopback } from "./arenas.js"

type Bug = (handle: SocketHandle) => { readonly [K in keyof SocketHandle]?: SocketHandle[K] }

const bugs: { readonly [name: string]: readonly [bug: Bug, law: string] } = {
  "doubles what it writes": [
    (handle) => ({ write: (bytes) => Effect.zipRight(handle.write(bytes), handle.write(bytes)) }),
    "what is written arrives, whole and in order (tcp)"
  ],
  "loses the last byte of large reads": [
    (handle) => ({
      read: Effect.map(handle.read, Option.map((bytes) => bytes.length > 100 ? bytes.subarray(1) : bytes))
    }),
    "no byte is lost, doubled or reordered when written in pieces of up to 1460"
  ],
  "never waits for the kernel": [
    (handle) => ({ write: (bytes) => Effect.asVoid(Effect.forkDaemon(handle.write(bytes))) }),
    "a writer is suspended while the way is full, and goes on when the peer reads"
  ],
  "aborts orderly": [
    (handle) => ({ close: () => handle.close("orderly") }),
    "abort: the peer sees a reset, this side's reason is Aborted"
  ],
  "closes nothing": [
    () => ({ close: () => Effect.void }),
    "a handle that was opened and never connected leaves nothing once it is closed"
  ],
  "does not close what is connecting": [
    (handle) => {
      let connected = false
      return {
        connect: (settled) =>
          handle.connect((error) => {
            connected = error === undefined
            settled(error)
          }),
        close: (mode) => Effect.suspend(() => connected ? handle.close(mode) : Effect.void)
      }
    },
    "an attempt that is interrupted while it waits leaves nothing, at once"
  ],
  "settles twice": [
    (handle) => ({
      connect: (settled) =>
        handle.connect((error) => {
          settled(error)
          settled(error)
        })
    }),
    "a connect settles once"
  ],
  "settles re-entrantly": [
    () => ({ connect: (settled) => settled() }),
    "a connect never settles before it has returned"
  ],
  "takes a reset for an end": [
    (handle) => ({ read: Effect.catchAll(handle.read, () => Effect.succeedNone) }),
    "a peer that sends 1000 bytes and resets is never taken for one that ends"
  ],
  "ends without saying so": [
    () => ({ end: Effect.void }),
    "this side's end is no loss: reading goes on"
  ],
  "loses what an interrupted read was given": [
    (handle) => ({
      read: Effect.onInterrupt(handle.read, () => Effect.ignore(Effect.timeout(handle.read, "1 minute")))
    }),
    "interrupting a read loses no byte"
  ],
  "forgets its addresses": [
    (handle) => {
      let closed = false
      return {
        close: (mode) =>
          Effect.suspend(() => {
            closed = true
            return handle.close(mode)
          }),
        get localAddress() {
          return closed ? handle.remoteAddress : handle.localAddress
        }
      }
    },
    "addresses survive the close"
  ],
  "cuts datagrams in two": [
    (handle) => ({
      write: (bytes) =>
        Effect.zipRight(
          handle.write(bytes.subarray(0, bytes.length >> 1)),
          handle.write(bytes.subarray(bytes.length >> 1))
        )
    }),
    "a datagram is read as it was written: none is joined, none is cut, an empty one is one"
  ],
  "takes a stream's view of an empty write": [
    (handle) => ({ write: (bytes) => bytes.length === 0 ? Effect.void : handle.write(bytes) }),
    "datagrams that wait are read one by one"
  ],
  "joins the datagrams that wait": [
    (handle) => ({
      read: Effect.flatMap(handle.read, (first) =>
        Effect.map(
          Effect.timeoutOption(handle.read, "1 second"),
          Option.match({
            onNone: () => first,
            onSome: (second) => Option.zipWith(first, second, (one, two) => Uint8Array.from([...one, ...two]))
          })
        ))
    }),
    "datagrams that wait are read one by one"
  ],
  "takes a datagram that is too long for the end": [
    (handle) => ({ write: (bytes) => Effect.onError(handle.write(bytes), () => handle.close("abort")) }),
    "one that is longer than the network carries fails its write as too long, and nothing else"
  ],
  "keeps a refusal to itself": [
    (handle) => ({
      read: Effect.catchIf(handle.read, ({ reason }) => reason === "Refused", () => Effect.never)
    }),
    "what nobody listens for is refused, and that is told to the read that waits"
  ],
  "gives a datagram to a read that is gone": [
    (handle) => ({
      read: Effect.onInterrupt(handle.read, () => Effect.ignore(Effect.timeout(handle.read, "1 minute")))
    }),
    "a read that is interrupted, before or as its datagram comes, leaves it to the next"
  ],
  "waits for room": [
    (handle) => {
      const kept: Array<Option.Option<Uint8Array>> = []
      let pumping = false
      let wake: () => void = () => {}
      const pump: Effect.Effect<void> = Effect.flatMap(Effect.option(handle.read), (bytes) => {
        kept.push(Option.flatten(bytes))
        wake()
        return Option.isSome(bytes) ? pump : Effect.void
      })
      return {
        write: (bytes) =>
          Effect.suspend(() => {
            if (pumping) return handle.write(bytes)
            pumping = true
            return Effect.zipRight(Effect.forkDaemon(pump), handle.write(bytes))
          }),
        read: Effect.async((resume) => {
          wake = () => kept.length > 0 && resume(Effect.sync(() => kept.shift() ?? Option.none()))
          wake()
        })
      }
    },
    "while nobody reads, what finds no room is dropped, and what is read is whole"
  ]
}

const check = (law: Law<Transport | Arena>, layer: Layer.Layer<Transport | Arena>) =>
  Effect.exit(Simulation.run(Effect.provide(law.check, layer), { timeLimit: "1 hour" }))

/** The handle's own state stays its own: what a bug does not touch is asked of the handle itself. */
const asItIs = (handle: SocketHandle): SocketHandle => ({
  connect: (settled) => handle.connect(settled),
  get localAddress() {
    return handle.localAddress
  },
  get remoteAddress() {
    return handle.remoteAddress
  },
  read: Effect.suspend(() => handle.read),
  write: (bytes) => handle.write(bytes),
  get unsent() {
    return handle.unsent
  },
  flush: Effect.suspend(() => handle.flush),
  end: Effect.suspend(() => handle.end),
  lost: Effect.suspend(() => handle.lost),
  stopReadingAndWriting: Effect.suspend(() => handle.stopReadingAndWriting),
  close: (mode) => handle.close(mode),
  release: Effect.suspend(() => handle.release)
})

const broken = (bug: Bug) =>
  Layer.flatMap(simulatedLoopback, (context) =>
    Layer.merge(
      Layer.succeedContext(context),
      Layer.effect(
        Transport,
        Effect.map(Effect.provide(Transport, context), (transport): Transport["Type"] => ({
          open: (request) =>
            Effect.map(
              transport.open(request),
              (handle) => Object.create(asItIs(handle), Object.getOwnPropertyDescriptors(bug(handle))) as SocketHandle
            )
        }))
      )
    ))

describe("a Transport that", () => {
  for (const [name, [bug, lawName]] of Object.entries(bugs)) {
    it.live(`${name} breaks the law "${lawName}"`, () =>
      Effect.gen(function*() {
        const law = [...transport, ...connection, ...datagram].find(({ name }) => name === lawName)
        if (law === undefined) throw new Error(`no such law: ${lawName}`)
        const kept = yield* check(law, simulatedLoopback)
        expect(Exit.isSuccess(kept) ? "kept" : Cause.pretty(kept.cause)).toBe("kept")
        const exit = yield* check(law, broken(bug))
        expect(Exit.isFailure(exit)).toBe(true)
      }))
  }
})
