/**
 * The same scenes played on a `net.Socket` and on our streams, and what a client sees of each, compared: the socket of
 * Node is the specification.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type * as net from "node:net"
import type * as Address from "../../../src/Address.js"
import * as Loopback from "../../support/loopback.js"
import * as Sockets from "../../support/sockets.js"

type Peer = Effect.Effect.Success<Effect.Effect.Success<ReturnType<typeof Loopback.listen>>["accept"]>

/** A socket on the stage, and what was seen of it. */
class Stage {
  readonly seen: Array<string> = []

  constructor(readonly socket: net.Socket, readonly to: Address.SocketAddress, readonly accept: Effect.Effect<Peer>) {
    for (const event of ["connect", "end", "finish", "drain", "timeout"]) {
      socket.on(event, () => this.note(event))
    }
    // Of a write that the kernel takes at once Node tells between connect and ready, and we a tick later.
    socket.on("ready", () => {
      this.seen[this.seen.lastIndexOf("connect")] += ", ready"
    })
    socket.on("error", (error: NodeJS.ErrnoException) => this.note(`error ${error.code}`))
    socket.on("close", (hadError) => this.note(`close ${hadError}`))
  }

  note(what: string): void {
    this.seen.push(what)
  }

  /** Bytes as they come, joined where nothing came in between. */
  reads(): this {
    this.socket.on("data", (bytes: Buffer | string) => {
      const last = this.seen.at(-1)
      if (last?.startsWith("data ")) this.seen[this.seen.length - 1] = `${last}${bytes}`
      else this.note(`data ${bytes}`)
    })
    return this
  }

  connect(): this {
    const { socket, to } = this
    if (to._tag === "Unix") socket.connect(to.path._tag === "Abstract" ? `\0${to.path.name}` : to.path.path)
    else socket.connect(to.port, to.ip.toString())
    return this
  }

  /** Waits until this was seen. */
  sees(what: string): Effect.Effect<void> {
    return Loopback.until(`${what} to be seen, after ${this.seen}`, () => this.seen.includes(what))
  }

  get connected(): Effect.Effect<Peer> {
    this.connect()
    return Effect.zipRight(this.sees("connect, ready"), this.accept)
  }

  get closed(): Effect.Effect<void> {
    return Loopback.until(
      `the close to be seen, after ${this.seen}`,
      () => this.seen.some((what) => what.startsWith("close "))
    )
  }

  state(): void {
    const { connecting, destroyed, pending, readyState } = this.socket
    this.note(
      `${readyState} ${connecting ? "connecting" : pending ? "pending" : "there"}${destroyed ? " destroyed" : ""}`
    )
  }
}

interface Scene {
  readonly name: string
  readonly options?: Sockets.Options
  readonly to?: "a listener" | "nobody" | "a listener that is silent"
  readonly play: (stage: Stage) => Effect.Effect<void, never, Scope.Scope>
}

const scenes: ReadonlyArray<Scene> = [
  {
    name: "a connect, a question, an answer, and the peer's end, which is answered",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.reads().connected
        stage.state()
        stage.socket.write("question", () => stage.note("written"))
        expect(Loopback.text(yield* peer.read(8))).toBe("question")
        yield* peer.write("answer")
        yield* stage.sees("data answer")
        yield* peer.end
        yield* stage.closed
        stage.state()
        expect(peer.ended || Loopback.text(yield* peer.readToEnd)).toBeTruthy()
      })
  },
  {
    name: "what is written and ended before the connect arrives whole and in order",
    play: (stage) =>
      Effect.gen(function*() {
        const { socket } = stage.reads().connect()
        stage.state()
        socket.write("one ", () => stage.note("one"))
        socket.write("two ", () => stage.note("two"))
        socket.write("three ", () => stage.note("three"))
        socket.end("four", () => stage.note("ended"))
        const peer = yield* stage.accept
        expect(Loopback.text(yield* peer.readToEnd)).toBe("one two three four")
        yield* peer.write("bye")
        yield* peer.end
        yield* stage.closed
      })
  },
  {
    name: "a write beyond the high-water mark before the connect says so and drains",
    options: { highWaterMark: 8 },
    play: (stage) =>
      Effect.gen(function*() {
        const { socket } = stage.connect()
        stage.note(String(socket.write("1234")))
        stage.note(String(socket.write("5678")))
        stage.note(String(socket.writableNeedDrain))
        const peer = yield* stage.accept
        expect(Loopback.text(yield* peer.read(8))).toBe("12345678")
        yield* stage.sees("drain")
        stage.note(`${socket.bytesWritten} written`)
        socket.destroy()
        yield* stage.closed
      })
  },
  {
    name: "text in another encoding is sent in it, and counted in bytes",
    play: (stage) =>
      Effect.gen(function*() {
        stage.connect().socket.write("ä", "latin1")
        stage.socket.write("e4", "hex")
        stage.socket.write("ä")
        stage.note(`${stage.socket.bytesWritten} bytes`)
        const peer = yield* stage.accept
        expect([...yield* peer.read(4)]).toEqual([0xe4, 0xe4, 0xc3, 0xa4])
        stage.note(`${stage.socket.bytesWritten} bytes`)
        stage.socket.destroy()
        yield* stage.closed
      })
  },
  {
    name: "corked writes go out together",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.connected
        stage.socket.cork()
        stage.socket.write("a")
        stage.socket.write("b", () => stage.note("b written"))
        stage.socket.uncork()
        expect(Loopback.text(yield* peer.read(2))).toBe("ab")
        yield* stage.sees("b written")
        stage.socket.destroy()
        yield* stage.closed
      })
  },
  {
    name: "the peer's end leaves our half open where that was asked for",
    options: { allowHalfOpen: true },
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.reads().connected
        yield* peer.write("last words")
        yield* peer.end
        yield* stage.sees("end")
        stage.state()
        stage.socket.write("still here")
        expect(Loopback.text(yield* peer.read(10))).toBe("still here")
        stage.socket.end()
        yield* stage.closed
      })
  },
  {
    name: "a write after the peer's end is an EPIPE where our half ends with it",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.reads().connected
        stage.socket.once("end", () => {
          setImmediate(() => {
            stage.socket.write("too late", (error) => stage.note(`refused ${(error as NodeJS.ErrnoException).code}`))
          })
        })
        yield* peer.end
        yield* stage.closed
      })
  },
  {
    name: "an end that is noticed by nobody who reads waits for a reader",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.connected
        yield* peer.write("unread")
        yield* peer.end
        yield* Loopback.turns(20)
        stage.state()
        stage.reads()
        yield* stage.closed
      })
  },
  {
    name: "our end first: the answer is read to the peer's end",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.reads().connected
        stage.socket.end("request")
        yield* stage.sees("finish")
        stage.state()
        expect(Loopback.text(yield* peer.readToEnd)).toBe("request")
        yield* peer.write("a long answer")
        yield* stage.sees("data a long answer")
        yield* peer.end
        yield* stage.closed
      })
  },
  {
    name: "a pause holds bytes and their end back, and a resume gives them",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.reads().connected
        stage.socket.pause()
        yield* peer.write("held")
        yield* peer.end
        yield* Loopback.turns(20)
        stage.note("resumed")
        stage.socket.resume()
        yield* stage.closed
        stage.note(`${stage.socket.bytesRead} bytes`)
      })
  },
  {
    name: "an encoding that is set turns what is read into text",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.connected
        stage.socket.setEncoding("utf8")
        stage.socket.on("data", (text) => stage.note(`${typeof text}`))
        yield* peer.write("text")
        yield* stage.sees("string")
        stage.socket.destroy()
        yield* stage.closed
      })
  },
  {
    name: "a refused connect is an error and a close",
    to: "nobody",
    play: (stage) =>
      Effect.gen(function*() {
        stage.socket.on("close", () => stage.state())
        stage.connect()
        yield* stage.closed
        stage.note(String(stage.socket.errored !== null))
      })
  },
  {
    name: "a refused connect fails what was written before it",
    to: "nobody",
    play: (stage) =>
      Effect.gen(function*() {
        stage.connect()
        stage.socket.write("first", (error) => stage.note(`first ${error instanceof Error}`))
        stage.socket.write("second", (error) => stage.note(`second ${error instanceof Error}`))
        yield* stage.closed
        yield* stage.sees("second true")
        stage.seen.sort()
      })
  },
  {
    name: "destroy while connecting is a close and nothing else",
    to: "a listener that is silent",
    play: (stage) =>
      Effect.gen(function*() {
        stage.connect()
        yield* Loopback.turns(5)
        stage.state()
        stage.socket.destroy()
        stage.state()
        yield* stage.closed
      })
  },
  {
    name: "destroy in the same step as the connect is a close and nothing else",
    play: (stage) =>
      Effect.gen(function*() {
        stage.connect()
        stage.socket.destroy()
        yield* stage.closed
        yield* Loopback.turns(20)
      })
  },
  {
    name: "destroy with an error while connecting is that error",
    to: "a listener that is silent",
    play: (stage) =>
      Effect.gen(function*() {
        stage.connect()
        stage.socket.write("never sent", (error) => stage.note(`unsent ${error instanceof Error}`))
        yield* Loopback.turns(5)
        stage.socket.destroy(Object.assign(new Error("enough"), { code: "ENOUGH" }))
        yield* stage.closed
        yield* stage.sees("unsent true")
        stage.seen.sort()
      })
  },
  {
    name: "destroy with an error while connected is that error",
    play: (stage) =>
      Effect.gen(function*() {
        yield* stage.reads().connected
        stage.socket.destroy(Object.assign(new Error("enough"), { code: "ENOUGH" }))
        yield* stage.closed
        stage.state()
      })
  },
  {
    name: "destroy twice, end and write after it are no events",
    play: (stage) =>
      Effect.gen(function*() {
        yield* stage.connected
        stage.socket.destroy()
        stage.socket.destroy(new Error("late"))
        stage.socket.end()
        stage.socket.write("late", (error) => stage.note(`refused ${(error as NodeJS.ErrnoException).code}`))
        yield* stage.closed
        yield* Loopback.turns(20)
      })
  },
  {
    name: "a listener that destroys when it is told of the connect",
    play: (stage) =>
      Effect.gen(function*() {
        stage.socket.once("connect", () => stage.socket.destroy())
        stage.connect()
        yield* stage.closed
        yield* Loopback.turns(20)
      })
  },
  {
    name: "a reset by the peer while nobody reads or writes is an error and a close",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.connected
        yield* peer.reset
        yield* stage.closed
      })
  },
  {
    name: "a reset by the peer in the middle of a stream is an error and a close",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.reads().connected
        yield* peer.write("half of")
        yield* stage.sees("data half of")
        yield* peer.reset
        yield* stage.closed
      })
  },
  {
    name: "destroySoon sends what is queued, ends and closes",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.connected
        stage.socket.write("parting ")
        stage.socket.write("words")
        stage.socket.destroySoon()
        expect(Loopback.text(yield* peer.readToEnd)).toBe("parting words")
        yield* stage.closed
      })
  },
  {
    name: "resetAndDestroy is a reset for the peer and a close here",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.connected
        stage.socket.resetAndDestroy()
        expect(yield* peer.closed).toBe("ECONNRESET")
        yield* stage.closed
      })
  },
  {
    name: "a timeout of idleness rings once, closes nothing, and is rearmed by activity",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.reads().connected
        stage.socket.setTimeout(20, () => stage.note("rang"))
        stage.note(String(stage.socket.timeout))
        yield* stage.sees("rang")
        yield* peer.write("activity")
        yield* stage.sees("data activity")
        yield* Loopback.until("a second timeout", () => stage.seen.filter((what) => what === "timeout").length === 2)
        stage.socket.setTimeout(0)
        stage.state()
        stage.socket.end()
        yield* peer.end
        yield* stage.closed
      })
  },
  {
    name: "a write that the kernel does not take is idleness in the end",
    play: (stage) =>
      Effect.gen(function*() {
        yield* stage.connected
        stage.socket.setTimeout(20, () => stage.socket.destroy())
        stage.socket.write(Buffer.alloc(16 * 1024 * 1024))
        yield* stage.closed
      })
  },
  {
    name: "a timeout of idleness rings while connecting",
    to: "a listener that is silent",
    play: (stage) =>
      Effect.gen(function*() {
        stage.socket.setTimeout(20, () => stage.socket.destroy())
        stage.connect()
        yield* stage.closed
      })
  },
  {
    name: "a timeout that is no time is refused, and one that was taken back does not ring",
    play: (stage) =>
      Effect.gen(function*() {
        const { socket } = stage
        for (const bad of [-1, Number.NaN, Infinity, "5" as never]) {
          try {
            socket.setTimeout(bad)
          } catch (error) {
            stage.note((error as NodeJS.ErrnoException).code ?? "")
          }
        }
        const rang = () => stage.note("rang")
        socket.setTimeout(1, rang)
        socket.setTimeout(0, rang)
        yield* stage.connected
        stage.note(String(socket.listenerCount("timeout")))
        socket.destroy()
        socket.setTimeout(1, rang)
        yield* stage.closed
        stage.note(String(socket.listenerCount("timeout")))
      })
  },
  {
    name: "a signal destroys with an AbortError",
    play: (stage) =>
      Effect.gen(function*() {
        yield* stage.connected
        controllers.at(-1)?.abort()
        yield* stage.closed
      }),
    get options() {
      const controller = new AbortController()
      controllers.push(controller)
      return { signal: controller.signal }
    }
  },
  {
    name: "an iteration gives every byte and ends with the peer",
    play: (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.connected
        yield* peer.write("all of it")
        yield* peer.end
        const chunks = yield* Effect.promise(() => stage.socket.toArray())
        stage.note(Buffer.concat(chunks).toString())
        yield* stage.closed
      })
  },
  {
    name: "the addresses are there from the connect on, by family",
    play: (stage) =>
      Effect.gen(function*() {
        const { socket } = stage
        const { address, family, port } = socket.address() as net.AddressInfo
        stage.note([socket.remoteAddress, socket.localPort, address, family, port].join())
        const peer = yield* stage.connected
        stage.note(
          [socket.remoteAddress, socket.remotePort === Loopback.portNumber(stage.to), socket.remoteFamily].join()
        )
        stage.note([socket.localAddress, socket.localPort === peer.socket.remotePort, socket.localFamily].join())
        stage.note(String((socket.address() as net.AddressInfo).port === socket.localPort))
        socket.destroy()
        yield* stage.closed
      })
  }
]

const controllers: Array<AbortController> = []

const rooms = [
  { room: "over TCP", at: Effect.succeed({ host: "127.0.0.1" }) },
  { room: "over a UNIX socket", at: Effect.sync(() => ({ path: Loopback.abstractName() })) }
] as const

/** Not where a UNIX socket has no reset, no silence of its own, or no address. */
const inetOnly = /reset|silent|addresses/

const playedOn = (scene: Scene, at: Loopback.At, make: Sockets.Make) =>
  Effect.scoped(Effect.gen(function*() {
    const listener = yield* Loopback.listen(at)
    const to = scene.to === "nobody"
      ? "path" in at ? Loopback.unix(Loopback.abstractName()) : yield* Loopback.refusing()
      : scene.to === "a listener that is silent"
      ? yield* Loopback.silent()
      : listener.address
    const socket = make(to, scene.options)
    const stage = new Stage(socket, to, listener.accept)
    yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
    yield* scene.play(stage)
    return stage.seen
  }))

describe.each(rooms)("a client $room sees of our streams what it sees of a net.Socket:", ({ at, room }) => {
  for (const scene of scenes) {
    if (room !== "over TCP" && inetOnly.test(`${scene.name} ${scene.to}`)) continue
    it.scopedLive(scene.name, () =>
      Loopback.leavesNoSocket(Effect.scoped(Effect.gen(function*() {
        const where = yield* at
        const specified = yield* playedOn(scene, where, Sockets.ofNode)
        expect(specified.length).toBeGreaterThan(0)
        expect(yield* playedOn(scene, where, yield* Sockets.ofNodeTransport)).toEqual(specified)
        expect(yield* playedOn(scene, where, yield* Sockets.ofAnyConnection)).toEqual(specified)
      }))))
  }
})
