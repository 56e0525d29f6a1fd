/**
 * The laws of connected datagram sockets: whole messages or none, nobody waits for room, a refusal is told to whoever
 * sends on, and there is no end.
 *
 * Where the Arena loses datagrams, a question is asked again, as whoever uses datagrams has to.
 *
 * @since 0.2.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Address from "../../Address.js"
import * as Attempt from "../../Attempt.js"
import type { Connection } from "../../Connection.js"
import type { AttemptError, ConnectionLost } from "../../DialError.js"
import { firstOf } from "../../internal/sideBySide.js"
import { type OpenRequest, Transport } from "../../Transport.js"
import * as Behaviour from "../Behaviour.js"
import {
  Arena,
  dies,
  errorOf,
  holds,
  interruptedAtEveryStep,
  type Law,
  law,
  LawBroken,
  pattern,
  same,
  sameBytes,
  waits
} from "./Law.js"

const datagramsTo = (address: Address.SocketAddress, localAddress?: Address.SocketAddress): OpenRequest => ({
  socketType: "dgram",
  address,
  localAddress,
  options: {}
})

const connect = (
  address: Address.SocketAddress,
  localAddress?: Address.SocketAddress
): Effect.Effect<Connection, AttemptError, Transport | Scope.Scope> =>
  Attempt.connect(datagramsTo(address, localAddress))

type Conversation = (connection: Connection) => Effect.Effect<unknown, ConnectionLost>

const listening = (behaviour: Conversation = Behaviour.echo) =>
  Effect.flatMap(Arena, ({ listen }) => listen("udp", behaviour))

const connected = (behaviour?: Conversation) => Effect.flatMap(listening(behaviour), (address) => connect(address))

/** An address that is taken, and where nobody listens: this end of another connection. */
const deserted = Effect.map(connected(), ({ localAddress }) => localAddress)

const connectedToNobody = Effect.flatMap(deserted, (address) => connect(address))

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

const port = (address: Address.SocketAddress): number => address._tag === "Unix" ? 0 : address.port

const ip = (address: Address.SocketAddress): string => address._tag === "Unix" ? "none" : String(address.ip)

/** The next datagram. */
const next = (connection: Connection): Effect.Effect<Uint8Array, ConnectionLost | LawBroken> =>
  Effect.flatMap(
    connection.read,
    Option.match({
      onNone: () => Effect.fail(new LawBroken({ message: "a datagram socket has ended" })),
      onSome: Effect.succeed
    })
  )

/** Reads on until the datagram comes that is looked for. */
const find = (
  connection: Connection,
  isIt: (bytes: Uint8Array) => boolean
): Effect.Effect<Uint8Array, ConnectionLost | LawBroken> =>
  Effect.flatMap(next(connection), (bytes) => isIt(bytes) ? Effect.succeed(bytes) : find(connection, isIt))

/** Ask the echo, once where nothing gets lost: the datagram of the answer. */
const ask = (
  connection: Connection,
  question: Uint8Array | string
): Effect.Effect<Uint8Array, ConnectionLost | LawBroken, Arena> =>
  Effect.flatMap(Arena, ({ lossy }) => {
    const { length } = typeof question === "string" ? new TextEncoder().encode(question) : question
    const once = Effect.zipRight(
      connection.write(question),
      find(connection, (bytes) => !lossy || bytes.length === length)
    )
    const again = (tries: number): Effect.Effect<Uint8Array, ConnectionLost | LawBroken> =>
      Effect.flatMap(Effect.timeoutOption(once, patience), (answer) => {
        if (Option.isSome(answer)) return Effect.succeed(answer.value)
        return lossy && tries > 0
          ? again(tries - 1)
          : Effect.fail(new LawBroken({ message: `no answer to ${length} bytes` }))
      })
    return again(50)
  })

const patience = "5 seconds"

const isAnswered = (connection: Connection, question: string) =>
  Effect.flatMap(ask(connection, question), (answer) => same("the answer", text(answer), question))

/** Send on until that fails: a refusal may get lost, and is told to the call that follows it. */
const sendOn = (connection: Connection): Effect.Effect<ConnectionLost, LawBroken, Arena> =>
  Effect.flatMap(
    Arena,
    ({ settle }) => errorOf("sending on", Effect.forever(Effect.zipRight(connection.write("anybody?"), settle)))
  )

const making: ReadonlyArray<Law<Transport | Arena>> = [
  law("a datagram socket connects without a packet: nobody need be there", () =>
    Effect.gen(function*() {
      const connection = yield* connectedToNobody
      yield* same("type", connection.socketType, "dgram")
    })),

  law("a connect settles once, and never before it has returned", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const { open } = yield* Transport
      const handle = yield* open(datagramsTo(yield* deserted))
      let times = 0
      handle.connect(() => {
        times += 1
      })
      const early = times
      yield* settle
      yield* handle.close("orderly")
      yield* settle
      yield* handle.release
      yield* same("settlements, early and all", [early, times], [0, 1])
    })),

  law("nobody is told of the outcome after stopReadingAndWriting", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const { open } = yield* Transport
      const handle = yield* open(datagramsTo(yield* deserted))
      let told = 0
      handle.connect(() => {
        told += 1
      })
      yield* handle.stopReadingAndWriting
      yield* settle
      yield* Effect.zipRight(handle.close("abort"), handle.release)
      yield* same("notifications", told, 0)
    })),

  law("it has both its addresses, also after its close", () =>
    Effect.gen(function*() {
      const address = yield* listening()
      const connection = yield* connect(address)
      yield* same("remote address", connection.remoteAddress, address)
      yield* same("family", connection.localAddress.family, address.family)
      yield* holds(port(connection.localAddress) > 0, "no port")
      const before = `${connection.localAddress} ${connection.remoteAddress}`
      yield* connection.close()
      yield* same("addresses", `${connection.localAddress} ${connection.remoteAddress}`, before)
    })),

  law("the peer sees the address it tells", () =>
    Effect.gen(function*() {
      const connection = yield* connected((peer) =>
        Effect.forever(Effect.zipRight(peer.read, peer.write(String(peer.remoteAddress))))
      )
      const seen = yield* Effect.flatMap(Arena, ({ lossy, settle }) =>
        lossy
          ? firstOf(next(connection), Effect.forever(Effect.zipRight(connection.write("?"), settle)))
          : Effect.zipRight(connection.write("?"), next(connection)))
      yield* same("address", text(seen), connection.localAddress)
    })),

  law("a local address that is asked for is bound", () =>
    Effect.gen(function*() {
      const { local } = yield* Arena
      const connection = yield* connect(yield* listening(), local)
      yield* same("ip", ip(connection.localAddress), ip(local))
      yield* holds(port(connection.localAddress) > 0, "no port")
      yield* isAnswered(connection, "from there")
    })),

  law("a local address and port that another datagram socket has is in use", () =>
    Effect.gen(function*() {
      const { local } = yield* Arena
      const address = yield* listening()
      const first = yield* connect(address, local)
      for (const to of [address, yield* listening()]) {
        const error = yield* errorOf("the second", connect(to, first.localAddress))
        yield* same("operation and reason", `${error.operation} ${error.reason}`, "bind AddressInUse")
      }
    })),

  law("binding to an address of another machine fails as not available", () =>
    Effect.gen(function*() {
      const { foreign } = yield* Arena
      const error = yield* errorOf("the connect", connect(yield* listening(), foreign))
      yield* same("operation and reason", `${error.operation} ${error.reason}`, "bind AddressNotAvailable")
    })),

  law("what there cannot be is refused when the socket is opened", () =>
    Effect.gen(function*() {
      const { local, missing } = yield* Arena
      const { open } = yield* Transport
      const other = Address.socketAddress(
        Address.unsafeParse(local.family === "inet" ? "::1" : "127.0.0.1"),
        Address.Port(9)
      )
      for (
        const [request, reason] of [
          [datagramsTo(missing), "Unsupported"],
          [datagramsTo(other, local), "InvalidArgument"],
          [datagramsTo(local), "InvalidArgument"]
        ] as const
      ) {
        const error = yield* errorOf(`opening for ${request.address}`, open(request))
        yield* same("operation and reason", `${error.operation} ${error.reason}`, `socket ${reason}`)
      }
    })),

  law("closing can be repeated, in every state, and so can stopping and releasing", () =>
    Effect.gen(function*() {
      const { quiet } = yield* Arena
      const { open } = yield* Transport
      const request = datagramsTo(yield* listening())
      for (const mode of ["orderly", "abort"] as const) {
        for (const start of [false, true]) {
          const handle = yield* open(request)
          if (start) handle.connect(() => {})
          const all = [handle.stopReadingAndWriting, handle.close(mode), handle.release]
          yield* Effect.all([...all, ...all, handle.close("orderly"), handle.close("abort")], { discard: true })
        }
      }
      yield* quiet
    })),

  law("interrupted at any step, an attempt leaves nothing open", () =>
    Effect.gen(function*() {
      const { quiet } = yield* Arena
      const address = yield* listening()
      const steps = yield* interruptedAtEveryStep(Effect.scoped(connect(address)), () => quiet)
      yield* holds(steps > 10, `only ${steps} steps`)
    })),

  law("interrupted at any step, a question and its answer leave nothing open", () =>
    Effect.gen(function*() {
      const { quiet } = yield* Arena
      const address = yield* listening()
      const asking = Effect.scoped(Effect.flatMap(connect(address), (connection) => ask(connection, "hello")))
      const steps = yield* interruptedAtEveryStep(Effect.ignore(asking), () => quiet)
      yield* holds(steps > 30, `only ${steps} steps`)
    })),

  law("a connection belongs to its Scope, and ends with it", () =>
    Effect.gen(function*() {
      const { quiet } = yield* Arena
      const scope = yield* Scope.make()
      const connection = yield* Scope.extend(connect(yield* listening()), scope)
      yield* Scope.close(scope, Exit.void)
      yield* same("reason", (yield* connection.lost).reason, "End")
      yield* quiet
    }))
]

/** Sizes about the borders of frames, fragments and what the longest IPv4 packet carries. */
const sizes = [1, 0, 2, 1472, 1473, 9000, 0, 65_507]

const carrying: ReadonlyArray<Law<Transport | Arena>> = [
  law(
    "a datagram is read as it was written: none is joined, none is cut, an empty one is one",
    () =>
      Effect.gen(function*() {
        const connection = yield* connected()
        for (const size of sizes) yield* sameBytes(yield* ask(connection, pattern(size, size)), pattern(size, size))
      })
  ),

  law("datagrams that wait are read one by one", () =>
    Effect.gen(function*() {
      const { lossy, settle } = yield* Arena
      const connection = yield* connected()
      const sent = ["one", "", "three", "four"]
      for (const one of sent) yield* connection.write(one)
      yield* settle
      if (lossy) return
      const read = yield* Effect.replicateEffect(next(connection), sent.length)
      yield* same("datagrams", read.map(text).join("|"), sent.join("|"))
    })),

  law("the stream gives an element for each datagram", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const connection = yield* connected()
      const asking = Effect.forever(Effect.zipRight(connection.write("a datagram"), settle))
      const read = yield* firstOf(Stream.runCollect(Stream.take(connection.stream, 3)), asking)
      yield* same("elements", [...read].map(text).join("|"), "a datagram|a datagram|a datagram")
    })),

  law("writers at the same time send whole datagrams", () =>
    Effect.gen(function*() {
      const { lossy, settle } = yield* Arena
      const connection = yield* connected()
      const values = [1, 2, 3, 4]
      yield* Effect.forEach(values, (value) => connection.write(new Uint8Array(1000 + value).fill(value)), {
        concurrency: "unbounded",
        discard: true
      })
      yield* settle
      for (const _ of lossy ? [] : values) {
        const bytes = yield* next(connection)
        const value = bytes[0] ?? 0
        yield* sameBytes(bytes, new Uint8Array(1000 + value).fill(value))
      }
    })),

  law("bytes may be changed once their write is done", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const bytes = new TextEncoder().encode("hello")
      yield* connection.write(bytes)
      bytes.fill(0)
      yield* isAnswered(connection, "hello")
    })),

  law(
    "one that is longer than the network carries fails its write as too long, and nothing else",
    () =>
      Effect.gen(function*() {
        const connection = yield* connected()
        const losing = yield* Effect.fork(connection.lost)
        const error = yield* errorOf("the write", connection.write(new Uint8Array(70_000)))
        yield* same("reason and code", `${error.reason} ${error.code}`, "TooLong EMSGSIZE")
        yield* isAnswered(connection, "short")
        yield* waits("the loss", losing)
      })
  ),

  law(
    "a read that is interrupted, before or as its datagram comes, leaves it to the next",
    () =>
      Effect.gen(function*() {
        const { lossy, settle } = yield* Arena
        const connection = yield* connected()
        let read = 0
        for (let n = 0; n < 30; n++) {
          const reading = yield* Effect.fork(next(connection))
          yield* connection.write(`number ${n}`)
          if (n % 3 === 0) yield* settle
          if (n % 3 === 1) yield* Effect.yieldNow()
          const exit = yield* Fiber.interrupt(reading)
          if (exit._tag === "Success") read += 1
        }
        yield* settle
        if (lossy) return
        yield* Effect.replicateEffect(next(connection), 30 - read)
      })
  ),

  law("while nobody reads, what finds no room is dropped, and what is read is whole", () =>
    Effect.gen(function*() {
      const { lossy, settle } = yield* Arena
      const size = 1000
      const flood = 40 * 50
      const flooded = yield* Deferred.make<void>()
      // Little by little: whoever reads ahead without a bound loses nothing, and is found out.
      const wave = (peer: Connection, n: number) =>
        Effect.zipRight(
          Effect.forEach(
            Array.from({ length: 50 }, (_, index) => new Uint8Array(size).fill(n * 50 + index)),
            (bytes) => peer.write(bytes),
            { discard: true }
          ),
          settle
        )
      const drown = (peer: Connection) =>
        Effect.zipRight(
          Effect.forEach(Array.from({ length: 40 }, (_, n) => n), (n) => wave(peer, n), { discard: true }),
          Deferred.succeed(flooded, undefined)
        )
      const connection = yield* connected((peer) =>
        Effect.zipRight(peer.read, Effect.zipRight(drown(peer), Behaviour.echo(peer)))
      )
      const asking = Effect.forever(Effect.zipRight(connection.write("and then?"), settle))
      yield* firstOf(Deferred.await(flooded), asking)
      yield* settle
      const kept: Array<Uint8Array> = []
      const reading: Effect.Effect<void, ConnectionLost | LawBroken> = Effect.flatMap(next(connection), (bytes) => {
        if (bytes.length < size) return Effect.void
        kept.push(bytes)
        return reading
      })
      yield* firstOf(reading, asking)
      yield* holds(lossy || kept.length > 0, "nothing was kept")
      yield* holds(kept.length < flood, "nothing was dropped")
      yield* holds(
        kept.every((bytes) => bytes.length === size && bytes.every((byte) => byte === bytes[0])),
        "not all of them are whole"
      )
    })),

  law("bytes are counted, those read and those written", () =>
    Effect.gen(function*() {
      const connection = yield* connected(Behaviour.discard)
      for (const one of ["hello", "", "you"]) yield* connection.write(one)
      yield* same("written and read", [connection.bytesWritten, connection.bytesRead], [8, 0])
    })),

  law("it hears only its peer", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const stranger = yield* connect(connection.localAddress)
      yield* same("the stranger", (yield* sendOn(stranger)).reason, "Refused")
      yield* isAnswered(connection, "good")
    })),

  law("a hundred at once hear each its own answer, and leave nothing", () =>
    Effect.gen(function*() {
      const { quiet } = yield* Arena
      const address = yield* listening()
      const one = (n: number) =>
        Effect.scoped(Effect.flatMap(connect(address), (connection) => isAnswered(connection, `number ${n + 100}`)))
      yield* Effect.forEach(Array.from({ length: 100 }, (_, n) => n), one, { concurrency: "unbounded", discard: true })
      yield* quiet
    }))
]

const ending: ReadonlyArray<Law<Transport | Arena>> = [
  law("what nobody listens for is refused, and that is told to the read that waits", () =>
    Effect.gen(function*() {
      const { settle } = yield* Arena
      const connection = yield* connectedToNobody
      const reading = yield* Effect.fork(Effect.flip(connection.read))
      yield* firstOf(
        Fiber.await(reading),
        Effect.forever(Effect.zipRight(Effect.ignore(connection.write("anybody?")), settle))
      )
      const lost = yield* Fiber.join(reading)
      yield* same("reason and code", `${lost.reason} ${lost.code}`, "Refused ECONNREFUSED")
    })),

  law("a refusal is told to the write that follows, and is the one reason of the loss", () =>
    Effect.gen(function*() {
      const connection = yield* connectedToNobody
      const losing = yield* Effect.fork(connection.lost)
      yield* same("write", (yield* sendOn(connection)).reason, "Refused")
      yield* same("lost", (yield* Fiber.join(losing)).reason, "Refused")
      yield* same("read", (yield* errorOf("the read", connection.read)).reason, "Refused")
      yield* same("write again", (yield* errorOf("the write", connection.write("x"))).reason, "Refused")
    })),

  law("what came before a refusal is read before it", () =>
    Effect.gen(function*() {
      const { lossy, settle } = yield* Arena
      const listener = yield* Scope.make()
      const connection = yield* Effect.flatMap(Scope.extend(listening(), listener), (address) => connect(address))
      yield* connection.write("while it was there")
      yield* settle
      yield* Scope.close(listener, Exit.void)
      yield* same("the write", (yield* sendOn(connection)).reason, "Refused")
      if (!lossy) yield* same("the first read", text(yield* next(connection)), "while it was there")
      yield* same(
        "the last read",
        (yield* errorOf("reading on", Effect.forever(next(connection))))._tag,
        "ConnectionLost"
      )
    })),

  law("there is no end: an end sends nothing, and reading goes on", () =>
    Effect.gen(function*() {
      const { lossy, settle } = yield* Arena
      let heard = 0
      const gate = yield* Deferred.make<void>()
      const connection = yield* connected((peer) =>
        Effect.forever(Effect.zipRight(
          Effect.map(peer.read, () => {
            heard += 1
          }),
          Effect.zipRight(Deferred.await(gate), peer.write("still here"))
        ))
      )
      yield* connection.write("hello")
      yield* connection.end
      yield* connection.end
      const losing = yield* Effect.fork(connection.lost)
      yield* settle
      yield* holds(heard <= 1, `the peer heard ${heard} datagrams`)
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      if (!lossy) yield* same("the answer", text(yield* next(connection)), "still here")
      yield* dies("a write after end", connection.write("x"))
      yield* waits("the loss", losing)
    })),

  law("a close delivers what was written, and tells the peer nothing", () =>
    Effect.gen(function*() {
      const { lossy, settle } = yield* Arena
      const heard: Array<string> = []
      const connection = yield* connected((peer) =>
        Effect.forever(Effect.map(peer.read, (bytes) => heard.push(text(Option.getOrThrow(bytes)))))
      )
      const writing = yield* Effect.fork(connection.write("the last word"))
      yield* Effect.yieldNow()
      yield* connection.close()
      yield* Fiber.join(writing)
      yield* settle
      if (!lossy) yield* same("heard", heard.join("|"), "the last word")
      yield* same("reason", (yield* connection.lost).reason, "End")
    })),

  ...(["End", "Aborted"] as const).map((reason) =>
    law(`closed, it gives the reason ${reason} to whoever waits and to whoever comes`, () =>
      Effect.gen(function*() {
        const connection = yield* connected()
        const reading = yield* Effect.fork(connection.read)
        const losing = yield* Effect.fork(connection.lost)
        yield* Effect.yieldNow()
        yield* reason === "End" ? connection.close() : connection.abort
        yield* Effect.zipRight(connection.abort, connection.close())
        yield* same("the read that waited", (yield* errorOf("the read", Fiber.join(reading))).reason, reason)
        yield* same("lost", (yield* Fiber.join(losing)).reason, reason)
        yield* same("read", (yield* errorOf("the read", connection.read)).reason, reason)
        yield* same("write", (yield* errorOf("the write", connection.write("x"))).reason, reason)
      }))
  )
]

/**
 * What every connected datagram socket owes, whatever Transport it came from.
 *
 * @since 0.2.0
 * @category laws
 */
export const datagram: ReadonlyArray<Law<Transport | Arena>> = [...making, ...carrying, ...ending]
