/**
 * The laws of a Transport: what its handles owe to those who drive them, and what `Attempt` makes of them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Address from "../../Address.js"
import * as Attempt from "../../Attempt.js"
import type { AttemptError } from "../../DialError.js"
import { type SocketHandle, Transport } from "../../Transport.js"
import * as Behaviour from "../Behaviour.js"
import { Arena, concat, connect, errorOf, holds, interruptedAtEveryStep, type Law, law, same, streamTo } from "./Law.js"

const open = (address: Address.SocketAddress) =>
  Effect.flatMap(
    Transport,
    (transport) => Effect.acquireRelease(transport.open(streamTo(address)), (handle) => dispose(handle))
  )

const dispose = (handle: SocketHandle) =>
  Effect.zipRight(Effect.zipRight(handle.stopReadingAndWriting, handle.close("abort")), handle.release)

/** The outcome a handle's connect tells, and how it told it. */
const outcome = (handle: SocketHandle): Effect.Effect<Either.Either<void, AttemptError>> =>
  Effect.async((resume) => {
    handle.connect((error) => resume(Effect.succeed(error === undefined ? Either.void : Either.left(error))))
  })

const established = (kind: "tcp" | "unix" = "tcp", behaviour: typeof Behaviour.echo = Behaviour.echo) =>
  Effect.gen(function*() {
    const { listen } = yield* Arena
    const handle = yield* open(yield* listen(kind, behaviour))
    yield* Effect.flatMap(outcome(handle), Either.match({ onLeft: Effect.fail, onRight: () => Effect.void }))
    return handle
  })

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

const encoded = (text: string): Uint8Array => new TextEncoder().encode(text)

const ip = (address: Address.SocketAddress): string => address._tag === "Unix" ? "none" : String(address.ip)

const port = (address: Address.SocketAddress): number => address._tag === "Unix" ? 0 : address.port

/** A Transport that writes down what is asked of its handles. */
const recorded = (log: Array<string>) =>
  Effect.map(Transport, (transport): Transport["Type"] => ({
    open: (request) =>
      Effect.map(transport.open(request), (handle) => {
        const note = (word: string) => Effect.sync(() => log.push(word))
        return Object.create(handle, {
          connect: { value: (settled: () => void) => handle.connect(settled) },
          stopReadingAndWriting: { value: Effect.zipRight(note("stop"), handle.stopReadingAndWriting) },
          close: { value: (mode: "orderly" | "abort") => Effect.zipRight(note(`close ${mode}`), handle.close(mode)) },
          release: { value: Effect.zipRight(note("release"), handle.release) }
        }) as SocketHandle
      })
  }))

/**
 * What every Transport owes.
 *
 * @since 0.1.0
 * @category laws
 */
export const transport: ReadonlyArray<Law<Transport | Arena>> = [
  law("a handle that was opened and never connected leaves nothing once it is closed", () =>
    Effect.gen(function*() {
      const { listen, quiet } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      yield* Effect.scoped(open(address))
      yield* quiet
    })),

  law("opening performs no I/O: the listener sees no connection", () =>
    Effect.gen(function*() {
      const { listen, settle } = yield* Arena
      let accepted = 0
      const address = yield* listen("tcp", () => Effect.sync(() => accepted++))
      yield* open(address)
      yield* settle
      yield* same("connections", accepted, 0)
    })),

  law("a connect to a listener settles without an error", () => established()),

  law("a connect settles once", () =>
    Effect.gen(function*() {
      const { listen, settle } = yield* Arena
      const handle = yield* open(yield* listen("tcp", Behaviour.echo))
      let times = 0
      handle.connect(() => {
        times += 1
      })
      yield* settle
      yield* handle.close("orderly")
      yield* settle
      yield* same("settlements", times, 1)
    })),

  law("a connect that is refused settles once", () =>
    Effect.gen(function*() {
      const { refused, settle } = yield* Arena
      const handle = yield* open(yield* refused)
      let times = 0
      handle.connect(() => {
        times += 1
      })
      yield* settle
      yield* handle.close("orderly")
      yield* settle
      yield* same("settlements", times, 1)
    })),

  law("a connect never settles before it has returned", () =>
    Effect.gen(function*() {
      const { listen, missing, refused } = yield* Arena
      for (const address of [yield* refused, missing, yield* listen("tcp", Behaviour.echo)]) {
        const handle = yield* open(address)
        let returned = false
        const early = yield* Effect.async<boolean>((resume) => {
          handle.connect(() => resume(Effect.succeed(!returned)))
          returned = true
        })
        yield* holds(!early, `the connect to ${address} settled re-entrantly`)
      }
    })),

  law("a refused connect fails as refused, and names its address and step", () =>
    Effect.gen(function*() {
      const { refused } = yield* Arena
      const address = yield* refused
      const result = yield* Effect.flatMap(open(address), outcome)
      if (Either.isRight(result)) return yield* holds(false, "it connected")
      yield* same("reason", result.left.reason, "Refused")
      yield* same("operation", result.left.operation, "connect")
      yield* same("code", result.left.code, "ECONNREFUSED")
      yield* same("address", result.left.address, address)
    })),

  law("a UNIX path where nothing is fails as not found", () =>
    Effect.gen(function*() {
      const { missing } = yield* Arena
      const result = yield* Effect.flatMap(open(missing), outcome)
      yield* same("reason", Either.isLeft(result) && result.left.reason, "NotFound")
    })),

  law(
    "a connect that is never answered stays pending, and leaves nothing when it is closed",
    () =>
      Effect.gen(function*() {
        const { quiet, settle, silent } = yield* Arena
        const address = yield* silent
        let settled = false
        yield* Effect.scoped(Effect.gen(function*() {
          const handle = yield* open(address)
          handle.connect(() => {
            settled = true
          })
          yield* settle
        }))
        yield* holds(!settled, "it settled")
        yield* quiet
      })
  ),

  law("nobody is told of the outcome after stopReadingAndWriting", () =>
    Effect.gen(function*() {
      const { listen, refused, settle } = yield* Arena
      let told = 0
      for (const address of [yield* listen("tcp", Behaviour.echo), yield* refused]) {
        const handle = yield* open(address)
        handle.connect(() => {
          told += 1
        })
        yield* handle.stopReadingAndWriting
        yield* settle
      }
      yield* same("notifications", told, 0)
    })),

  law("a connect given up in the same instant leaves nothing", () =>
    Effect.gen(function*() {
      const { listen, quiet } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      yield* Effect.scoped(Effect.flatMap(open(address), (handle) => Effect.sync(() => handle.connect(() => {}))))
      yield* quiet
    })),

  ...(["orderly", "abort"] as const).map((mode) =>
    law(
      `closing (${mode}) can be repeated, in every state, and so can stopping and releasing`,
      () =>
        Effect.gen(function*() {
          const { listen, silent } = yield* Arena
          const address = yield* listen("tcp", Behaviour.echo)
          const connecting = yield* open(yield* silent)
          connecting.connect(() => {})
          for (const handle of [yield* open(address), connecting, yield* established()]) {
            const all = [handle.stopReadingAndWriting, handle.close(mode), handle.release]
            yield* Effect.all([...all, ...all, handle.close("orderly"), handle.close("abort")], { discard: true })
          }
        })
    )
  ),

  law("the local address is the family's, with a port of its own, once connected", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      yield* same("family", handle.localAddress.family, handle.remoteAddress.family)
      yield* holds(port(handle.localAddress) > 0, `no port in ${handle.localAddress}`)
    })),

  law("the remote address is the one that was asked for", () =>
    Effect.gen(function*() {
      const { listen } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      const handle = yield* open(address)
      yield* outcome(handle)
      yield* same("remote address", handle.remoteAddress, address)
    })),

  law("addresses survive close and release", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      const before = `${handle.localAddress} ${handle.remoteAddress}`
      yield* dispose(handle)
      yield* same("addresses", `${handle.localAddress} ${handle.remoteAddress}`, before)
    })),

  law("a UNIX client's own address is unnamed", () =>
    Effect.gen(function*() {
      const handle = yield* established("unix")
      yield* same("local address", handle.localAddress, Address.unnamed)
    })),

  law("the peer sees the address the handle tells", () =>
    Effect.gen(function*() {
      const { listen } = yield* Arena
      const connection = yield* Effect.flatMap(
        listen("tcp", (connection) => connection.write(String(connection.remoteAddress))),
        (address) => connect(address)
      )
      const seen = yield* connection.read
      yield* same("address", text(Option.getOrElse(seen, () => new Uint8Array())), connection.localAddress)
    })),

  law("two connects to one listener have ports of their own", () =>
    Effect.gen(function*() {
      const { listen } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      const [one, two] = yield* Effect.all([connect(address), connect(address)])
      yield* holds(port(one.localAddress) !== port(two.localAddress), `both have ${one.localAddress}`)
    })),

  law("a local address that is asked for is bound", () =>
    Effect.gen(function*() {
      const { listen, local } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      const connection = yield* connect(address, local)
      yield* same("ip", ip(connection.localAddress), ip(local))
      yield* holds(port(connection.localAddress) > 0, "no port")
    })),

  law("two connections to one peer cannot have one local address and port", () =>
    Effect.gen(function*() {
      const { listen, local } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      const first = yield* connect(address, local)
      const error = yield* errorOf("the second", connect(address, first.localAddress))
      // A platform that binds with SO_REUSEADDR finds out only as it connects.
      yield* holds(
        error.reason === "AddressInUse" || error.reason === "AddressUnreachable",
        `the reason is ${error.operation} ${error.reason}`
      )
    })),

  law("binding to an address of another machine fails as not available", () =>
    Effect.gen(function*() {
      const { foreign, listen } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      const error = yield* errorOf("the connect", connect(address, foreign))
      yield* same("operation and reason", `${error.operation} ${error.reason}`, "bind AddressNotAvailable")
    })),

  law("a local address of another family is refused when the socket is opened", () =>
    Effect.gen(function*() {
      const { local } = yield* Arena
      const v6 = Address.socketAddress(Address.unsafeParse("::1"), Address.Port(0))
      const { open } = yield* Transport
      const error = yield* errorOf("open", open(streamTo(local, v6)))
      yield* same("operation", error.operation, "socket")
    })),

  law("a UNIX socket without a name is refused when the socket is opened", () =>
    Effect.gen(function*() {
      const { open } = yield* Transport
      const error = yield* errorOf("open", open(streamTo(Address.unnamed)))
      yield* same("operation", error.operation, "socket")
    })),

  law(
    "a UNIX path or name longer than the kernel can hold is refused when the socket is opened",
    () =>
      Effect.gen(function*() {
        const { open } = yield* Transport
        const long = "x".repeat(300)
        for (const path of [new Address.Pathname(`/tmp/${long}`), new Address.Abstract(long)]) {
          const error = yield* errorOf("open", open(streamTo(Address.unix(path))))
          yield* same("operation and reason", `${error.operation} ${error.reason}`, "socket InvalidArgument")
        }
      })
  ),

  law("a handle reads what the peer writes, and the peer what the handle writes", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      yield* handle.write(encoded("hello"))
      yield* same("echo", text(Option.getOrElse(yield* handle.read, () => new Uint8Array())), "hello")
    })),

  law("what was written is no longer unsent once the write is done", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      yield* same("unsent", handle.unsent, 0)
      yield* handle.write(encoded("hello"))
      yield* same("unsent", handle.unsent, 0)
      yield* handle.flush
    })),

  law("bytes may be changed once their write is done", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      const bytes = encoded("hello")
      yield* handle.write(bytes)
      bytes.fill(0)
      yield* same("echo", text(Option.getOrElse(yield* handle.read, () => new Uint8Array())), "hello")
    })),

  law("a second end is a no-op", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      yield* handle.end
      yield* handle.end
      yield* same("read", Option.isNone(yield* handle.read), true)
    })),

  law("whoever closes first gives the reason: abort, then orderly", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      yield* handle.close("abort")
      yield* handle.close("orderly")
      yield* same("reason", (yield* handle.lost).reason, "Aborted")
    })),

  law("whoever closes first gives the reason: orderly, then abort", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      yield* handle.close("orderly")
      yield* handle.close("abort")
      yield* same("reason", (yield* handle.lost).reason, "End")
    })),

  law("everybody who waits for the loss is told the one reason", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      const waiting = yield* Effect.fork(Effect.all([handle.lost, handle.lost, handle.lost], { concurrency: 3 }))
      yield* Effect.yieldNow()
      yield* handle.close("abort")
      const reasons = [...yield* Fiber.join(waiting), yield* handle.lost]
      yield* same("reasons", reasons.map(({ reason }) => reason), ["Aborted", "Aborted", "Aborted", "Aborted"])
    })),

  law("whoever stopped waiting for the loss is not in the way of others", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      const gone = yield* Effect.fork(handle.lost)
      const stays = yield* Effect.fork(handle.lost)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(gone)
      yield* handle.close("abort")
      yield* same("reason", (yield* Fiber.join(stays)).reason, "Aborted")
    })),

  law("a read that waits fails with the reason when the socket is closed", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      const reading = yield* Effect.fork(handle.read)
      yield* Effect.yieldNow()
      yield* handle.close("abort")
      yield* same("reason", (yield* errorOf("the read", Fiber.join(reading))).reason, "Aborted")
    })),

  law("reads and writes after a close fail with its reason, and do not hang", () =>
    Effect.gen(function*() {
      const handle = yield* established()
      yield* handle.close("abort")
      yield* same("read", (yield* errorOf("the read", handle.read)).reason, "Aborted")
      yield* same("write", (yield* errorOf("the write", handle.write(encoded("x")))).reason, "Aborted")
      yield* handle.release
      yield* same("read", (yield* errorOf("the read", handle.read)).reason, "Aborted")
      yield* same("write", (yield* errorOf("the write", handle.write(encoded("x")))).reason, "Aborted")
    })),

  // ---------------------------------------------------------------------------
  // attempts
  // ---------------------------------------------------------------------------

  law("an attempt that fails has cleaned up, though its Scope lives on", () =>
    Effect.gen(function*() {
      const { quiet, refused } = yield* Arena
      const address = yield* refused
      yield* same("reason", (yield* errorOf("the attempt", connect(address))).reason, "Refused")
      yield* quiet
    })),

  law("an attempt cleans up in order, once: stop, close, release", () =>
    Effect.gen(function*() {
      const { refused } = yield* Arena
      const log: Array<string> = []
      const recording = yield* recorded(log)
      yield* errorOf("the attempt", Effect.provideService(connect(yield* refused), Transport, recording))
      yield* same("cleanup", log, ["stop", "close orderly", "release"])
    })),

  law("an attempt that is interrupted cleans up in the same order, once", () =>
    Effect.gen(function*() {
      const { settle, silent } = yield* Arena
      const log: Array<string> = []
      const recording = yield* recorded(log)
      const fiber = yield* Effect.fork(Effect.provideService(connect(yield* silent), Transport, recording))
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* same("cleanup", log, ["stop", "close orderly", "release"])
    })),

  law("an attempt that is not answered in its time fails as that, and leaves nothing", () =>
    Effect.gen(function*() {
      const { quiet, silent } = yield* Arena
      const address = yield* silent
      const error = yield* errorOf("the attempt", Attempt.connect(streamTo(address), { timeout: "30 millis" }))
      yield* same("reason", error.reason, "AttemptTimeout")
      yield* quiet
    })),

  law("an attempt that is interrupted while it waits leaves nothing, at once", () =>
    Effect.gen(function*() {
      const { quiet, settle, silent } = yield* Arena
      const fiber = yield* Effect.fork(connect(yield* silent))
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* quiet
    })),

  law("an attempt has one outcome when its time is up as it connects", () =>
    Effect.gen(function*() {
      const { listen, quiet } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      for (const timeout of [0, 1, 2, 3, 5]) {
        yield* Effect.scoped(Effect.ignore(Attempt.connect(streamTo(address), { timeout })))
      }
      yield* quiet
    })),

  law("a connection belongs to its Scope, and ends with it", () =>
    Effect.gen(function*() {
      const { listen, quiet } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      const scope = yield* Scope.make()
      const connection = yield* Scope.extend(connect(address), scope)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      yield* same("reason", (yield* connection.lost).reason, "End")
      yield* quiet
    })),

  law("interrupted at any step, an attempt that would connect leaves nothing open", () =>
    Effect.gen(function*() {
      const { listen, quiet } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      const steps = yield* interruptedAtEveryStep(Effect.scoped(connect(address)), () => quiet)
      yield* holds(steps > 10, `only ${steps} steps`)
    })),

  law("interrupted at any step, an attempt that would be refused leaves nothing open", () =>
    Effect.gen(function*() {
      const { quiet, refused } = yield* Arena
      const address = yield* refused
      const steps = yield* interruptedAtEveryStep(Effect.scoped(Effect.ignore(connect(address))), () => quiet)
      yield* holds(steps > 10, `only ${steps} steps`)
    })),

  law("interrupted at any step, a whole conversation leaves nothing open", () =>
    Effect.gen(function*() {
      const { listen, quiet } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      const conversation = Effect.scoped(Effect.gen(function*() {
        const connection = yield* connect(address)
        yield* connection.write("hello")
        yield* connection.read
        yield* connection.end
        yield* connection.read
      }))
      const steps = yield* interruptedAtEveryStep(conversation, () => quiet)
      yield* holds(steps > 50, `only ${steps} steps`)
    })),

  law("a hundred connects at once are a hundred connections, and leave nothing", () =>
    Effect.gen(function*() {
      const { listen, quiet } = yield* Arena
      const address = yield* listen("tcp", Behaviour.echo)
      const one = (index: number) =>
        Effect.scoped(Effect.gen(function*() {
          const connection = yield* connect(address)
          yield* connection.write(`number ${index}`)
          yield* connection.end
          const chunks: Array<Uint8Array> = []
          for (let next = yield* connection.read; Option.isSome(next); next = yield* connection.read) {
            chunks.push(next.value)
          }
          return text(concat(chunks))
        }))
      const indices = Array.from({ length: 100 }, (_, index) => index)
      const answers = yield* Effect.forEach(indices, one, { concurrency: "unbounded" })
      yield* same("answers", answers, indices.map((index) => `number ${index}`))
      yield* quiet
    }))
]
