/**
 * The transport of Node, driven as users drive it: through Attempt and Dialer, against real sockets of this machine.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Exit, Fiber, type Scope } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"
import * as Address from "../../src/Address.js"
import * as Attempt from "../../src/Attempt.js"
import * as Dialer from "../../src/Dialer.js"
import type { AttemptError } from "../../src/DialError.js"
import * as NodeNetwork from "../../src/node/NodeNetwork.js"
import * as SocketOptions from "../../src/SocketOptions.js"
import { type OpenRequest, Transport } from "../../src/Transport.js"
import * as Loopback from "../support/loopback.js"

/** A test on real sockets: scoped, on this machine's network, and no socket may be left when its scope is closed. */
const scenario = (
  name: string,
  self: () => Effect.Effect<void, unknown, Dialer.Dialer | Transport | Scope.Scope>,
  limitMillis?: number
) =>
  it.live(
    name,
    () => Loopback.leavesNoSocket(Effect.scoped(Effect.provide(self(), NodeNetwork.layer))),
    limitMillis
  )

const requestTo = (address: Address.SocketAddress, request?: Partial<OpenRequest>): OpenRequest => ({
  socketType: "stream",
  address,
  options: SocketOptions.defaults,
  ...request
})

const connect = (address: Address.SocketAddress, request?: Partial<OpenRequest>) =>
  Attempt.connect(requestTo(address, request))

/** How the attempt fails; the Scope it would have filled is its own. */
const failure = (
  address: Address.SocketAddress,
  request?: Partial<OpenRequest>
): Effect.Effect<AttemptError, never, Transport> =>
  Effect.scoped(Effect.flip(connect(address, request))).pipe(
    Effect.catchAll(({ remoteAddress }) => Effect.die(new Error(`connected to ${remoteAddress}`)))
  )

const outline = ({ code, operation, reason }: AttemptError) => [operation, reason, code]

const handshakes = (address: Address.SocketAddress) =>
  Loopback.tcpRows(Loopback.portNumber(address)).filter(({ state }) => state === "SYN_SENT")

const loopbacks = ["127.0.0.1", "127.0.0.42", ...(Loopback.hasIpv6 ? ["::1"] : [])]

describe.each(loopbacks)("connecting over TCP to %s", (host) => {
  scenario("a listener gives a connection with both its addresses", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen({ host })
      const connection = yield* connect(listener.address)
      const { socket } = yield* listener.accept
      expect(String(connection.remoteAddress)).toBe(String(listener.address))
      expect(String(connection.localAddress)).toBe(
        String(Loopback.inet(socket.remoteAddress ?? "", socket.remotePort ?? 0))
      )
    }))

  scenario("a port where nobody listens is refused, and the error says where", () =>
    Effect.gen(function*() {
      const address = yield* Loopback.refusing(host)
      const error = yield* failure(address)
      expect(outline(error)).toEqual(["connect", "Refused", "ECONNREFUSED"])
      expect(error.message).toBe(`connect to ${address}: connection refused (ECONNREFUSED)`)
      expect(error.cause).toMatchObject({ code: "ECONNREFUSED", syscall: "connect" })
    }))
})

describe("connecting over TCP", () => {
  scenario("to an address that no route leads to is an unreachable network", () =>
    Effect.gen(function*() {
      // The kernel takes no TCP connect to a broadcast or multicast address, whatever its routes.
      const everywhere = ["255.255.255.255", "224.0.0.1", ...(Loopback.hasIpv6 ? ["ff02::1"] : [])]
      const errors = yield* Effect.forEach(everywhere, (host) => failure(Loopback.inet(host, 9)))
      expect(errors.map(outline)).toEqual(everywhere.map(() => ["connect", "NetworkUnreachable", "ENETUNREACH"]))
    }))

  scenario("to an IPv4-mapped address reaches the IPv4 listener", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen()
      const mapped = Loopback.inet("::ffff:127.0.0.1", Loopback.portNumber(listener.address))
      const connection = yield* connect(mapped)
      yield* listener.accept
      expect(String(connection.remoteAddress)).toBe(String(mapped))
    }))

  scenario(
    "to a link-local address names its zone in the error, and one that does not exist is not taken",
    () =>
      Effect.gen(function*() {
        const address = Either.getOrThrow(Address.parseSocketAddress("[fe80::1%nosuch0]:9"))
        const error = yield* failure(address)
        expect(outline(error)).toEqual(["socket", "InvalidArgument", undefined])
        expect(error.message).toContain("[fe80::1%nosuch0]:9")
        expect(error.message).toContain("no interface nosuch0")
        const dialed = yield* Effect.flip(Dialer.dial("[fe80::1%nosuch0]:9"))
        expect(dialed.message).toContain("no interface nosuch0")
        const zoneless = yield* Effect.flip(Dialer.dial("[fe80::1]:9"))
        expect(zoneless.message).toContain("a link-local address needs a zone")
      })
  )

  scenario("to a free port from that very port is refused, not connected to itself", () =>
    Effect.gen(function*() {
      const { address } = yield* Effect.scoped(Loopback.listen())
      expect(outline(yield* failure(address, { localAddress: address }))).toEqual(["connect", "Refused", undefined])
    }))

  // Not every machine has one; where one has, both forms of its zone must work.
  const linkLocals = Object.entries(os.networkInterfaces()).flatMap(([name, infos]) =>
    (infos ?? []).flatMap((info) =>
      info.family === "IPv6" && info.address.startsWith("fe80:") && info.scopeid !== undefined
        ? [{ host: info.address.replace(/%.*/, ""), name, index: info.scopeid }]
        : []
    )
  ).slice(0, 1)
  for (const { host, index, name } of linkLocals) {
    for (const zone of [name, String(index)]) {
      scenario(`to a link-local address of this machine works with the zone ${zone}`, () =>
        Effect.gen(function*() {
          const listener = yield* Loopback.listen({ host: `${host}%${name}` })
          const address = Address.normalise(
            Loopback.inet(`${host}%${zone}`, Loopback.portNumber(listener.address))
          )
          const connection = yield* connect(address)
          yield* listener.accept
          const { remoteAddress } = connection
          expect(remoteAddress._tag === "Inet6" ? remoteAddress.scopeId : undefined).toBe(index)
        }))
    }
  }

  scenario("from a local address and port is seen by the peer to come from there", () =>
    Effect.gen(function*() {
      const listener = yield* Loopback.listen()
      const anyPort = yield* connect(listener.address, { localAddress: Loopback.inet("127.0.0.9", 0) })
      expect((yield* listener.accept).socket.remoteAddress).toBe("127.0.0.9")
      expect(String(anyPort.localAddress)).toMatch(/^127\.0\.0\.9:[1-9]/)
      // the port of a listener on another address is as good as free here
      const { address } = yield* Loopback.listen({ host: "127.0.0.43" })
      const here = Loopback.inet("127.0.0.44", Loopback.portNumber(address))
      const connection = yield* connect(listener.address, { localAddress: here })
      expect(String(connection.localAddress)).toBe(String(here))
      expect((yield* listener.accept).socket.remotePort).toBe(Loopback.portNumber(here))
    }))

  scenario("from a local address that is not on this machine fails to bind", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen()
      const error = yield* failure(address, { localAddress: Loopback.inet("203.0.113.1", 0) })
      expect(outline(error)).toEqual(["bind", "AddressNotAvailable", "EADDRNOTAVAIL"])
      expect(error.message).toBe(
        `bind 203.0.113.1:0 to connect to ${address}: local address not on this machine (EADDRNOTAVAIL)`
      )
    }))

  scenario("from a local port that is taken fails to bind", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen()
      const taken = yield* Loopback.listen()
      const error = yield* failure(address, { localAddress: taken.address })
      expect(outline(error)).toEqual(["bind", "AddressInUse", "EADDRINUSE"])
      expect(error.message).toBe(
        `bind ${taken.address} to connect to ${address}: local address already in use (EADDRINUSE)`
      )
    }))

  scenario(
    "twice between the same two ports is no bind's fault: the second connect has nothing to connect from",
    () =>
      Effect.gen(function*() {
        const { address } = yield* Loopback.listen()
        const first = yield* connect(address, { localAddress: Loopback.inet("127.0.0.1", 0) })
        const error = yield* failure(address, { localAddress: first.localAddress })
        expect(outline(error)).toEqual(["connect", "AddressUnreachable", "EADDRNOTAVAIL"])
      })
  )
})

describe("opening", () => {
  scenario(
    "what this transport does not have fails before any call, as the operation socket",
    () =>
      Effect.gen(function*() {
        const { address } = yield* Loopback.listen()
        const file = Loopback.unix("/run/no-such-socket")
        const errors = yield* Effect.all([
          failure(Loopback.unix("/run/no-such-socket"), { socketType: "dgram" }),
          failure(address, { localAddress: Loopback.inet("::1", 0) }),
          failure(file, { localAddress: Loopback.unix("/tmp/here") }),
          failure(Address.unnamed)
        ])
        expect(errors.map(outline)).toEqual([
          ["socket", "Unsupported", undefined],
          ["socket", "InvalidArgument", undefined],
          ["socket", "Unsupported", undefined],
          ["socket", "InvalidArgument", undefined]
        ])
        expect(errors.every(({ detail, message }) => detail !== undefined && message.includes(detail))).toBe(true)
      })
  )

  scenario("without connecting holds no descriptor, and can be cleaned up twice", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen()
      const before = Loopback.openSockets().size
      const handle = yield* Effect.flatMap(Transport, (transport) => transport.open(requestTo(address)))
      expect(Loopback.openSockets().size).toBe(before)
      const cleanup = Effect.all([handle.stopReadingAndWriting, handle.close("orderly"), handle.release])
      yield* cleanup
      yield* cleanup
      yield* handle.close("abort")
      expect(Loopback.openSockets().size).toBe(before)
    }))
})

// -----------------------------------------------------------------------------
// UNIX sockets
// -----------------------------------------------------------------------------

describe("connecting to a UNIX socket", () => {
  scenario("by its path works, and neither end has an address but that path", () =>
    Effect.gen(function*() {
      const file = path.join(yield* Loopback.temporaryDirectory, "it")
      const listener = yield* Loopback.listen({ path: file })
      const connection = yield* Dialer.dial(`unix:${file}`)
      yield* connection.write("hi")
      expect(Loopback.text(yield* (yield* listener.accept).read(2))).toBe("hi")
      expect(String(connection.remoteAddress)).toBe(file)
      expect(connection.localAddress).toBe(Address.unnamed)
    }))

  scenario("by its abstract name works", () =>
    Effect.gen(function*() {
      const name = Loopback.abstractName()
      const listener = yield* Loopback.listen({ path: name })
      const connection = yield* Dialer.dial(`unix:${name}`)
      yield* connection.write("hi")
      expect(Loopback.text(yield* (yield* listener.accept).read(2))).toBe("hi")
      expect(String(connection.remoteAddress)).toBe(name)
    }))

  scenario("that is not there is not found, whichever part of the path is missing", () =>
    Effect.gen(function*() {
      const directory = yield* Loopback.temporaryDirectory
      fs.writeFileSync(path.join(directory, "file"), "")
      const errors = yield* Effect.forEach(["none", "none/none", "file/none"], (name) =>
        failure(Loopback.unix(path.join(directory, name))))
      expect(errors.map(outline)).toEqual([
        ["connect", "NotFound", "ENOENT"],
        ["connect", "NotFound", "ENOENT"],
        ["connect", "NotFound", "ENOTDIR"]
      ])
      expect(errors[0]?.message).toBe(`connect to ${path.join(directory, "none")}: no such socket (ENOENT)`)
    }))

  scenario(
    "that nobody listens on is refused: a stale file, a plain file, an abstract name",
    () =>
      Effect.gen(function*() {
        const directory = yield* Loopback.temporaryDirectory
        const [live, stale, plain] = ["live", "stale", "plain"].map((name) => path.join(directory, name)) as [
          string,
          string,
          string
        ]
        // Node removes the file it listened on, so keep the socket by a second name.
        yield* Effect.scoped(Effect.andThen(Loopback.listen({ path: live }), () => fs.linkSync(live, stale)))
        fs.writeFileSync(plain, "")
        const errors = yield* Effect.forEach(
          [stale, plain, Loopback.abstractName()],
          (name) => failure(Loopback.unix(name))
        )
        expect(errors.map(outline)).toEqual([
          ["connect", "Refused", "ECONNREFUSED"],
          ["connect", "Refused", "ECONNREFUSED"],
          ["connect", "Refused", "ECONNREFUSED"]
        ])
      })
  )

  scenario("in a directory one may not enter is denied", () =>
    Effect.gen(function*() {
      const directory = yield* Loopback.temporaryDirectory
      const file = path.join(directory, "it")
      yield* Loopback.listen({ path: file })
      fs.chmodSync(directory, process.geteuid?.() === 0 ? 0o700 : 0o000)
      const error = yield* Effect.ensuring(
        asNobody(failure(Loopback.unix(file))),
        Effect.sync(() => fs.chmodSync(directory, 0o700))
      )
      expect(outline(error)).toEqual(["connect", "PermissionDenied", "EACCES"])
    }))

  scenario("that one may not write to is denied", () =>
    Effect.gen(function*() {
      const directory = yield* Loopback.temporaryDirectory
      const file = path.join(directory, "it")
      yield* Loopback.listen({ path: file })
      fs.chmodSync(directory, 0o755)
      fs.chmodSync(file, process.geteuid?.() === 0 ? 0o700 : 0o000)
      const error = yield* asNobody(failure(Loopback.unix(file)))
      expect(outline(error)).toEqual(["connect", "PermissionDenied", "EACCES"])
      expect(error.message).toBe(`connect to ${file}: permission denied (EACCES)`)
    }))

  scenario("whose queue is full is busy, and fails at once", () =>
    Effect.gen(function*() {
      const address = yield* Loopback.silent({ path: Loopback.abstractName() })
      expect(outline(yield* failure(address))).toEqual(["connect", "Busy", "EAGAIN"])
    }))

  scenario("by a path too long for the kernel is refused before anything is called", () =>
    Effect.gen(function*() {
      const tooLong = `/tmp/${"x".repeat(200)}`
      expect(Either.isLeft(Address.parseUnixPath(tooLong))).toBe(true)
      const error = yield* Effect.flip(Dialer.dial(`unix:${tooLong}`))
      expect(error._tag).toBe("InvalidEndpoint")
    }))

  scenario(
    "by a path too long for the kernel that nobody checked is not cut to another socket's name",
    () =>
      Effect.gen(function*() {
        const directory = yield* Loopback.temporaryDirectory
        // As the kernel's sun_path has it, 108 bytes without a NUL: what libuv makes of any path that begins so.
        const longest = path.join(directory, "x".repeat(108 - directory.length - 1))
        const server = net.createServer()
        yield* Effect.acquireRelease(
          Effect.async<void>((resume) => {
            server.listen(longest, () => resume(Effect.void))
          }),
          () => Effect.sync(() => server.close())
        )
        const error = yield* failure(Address.unix(new Address.Pathname(`${longest}-and-more`)))
        expect([error.operation, error.reason]).toEqual(["socket", "InvalidArgument"])
      })
  )
})

/** Without root's power over permissions. */
const asNobody = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const user = process.geteuid?.()
  const become = (id: number | undefined) => Effect.sync(() => id === undefined ? undefined : process.seteuid?.(id))
  return user === 0 ? Effect.acquireUseRelease(become(65_534), () => self, () => become(user)) : self
}

// -----------------------------------------------------------------------------
// giving up
// -----------------------------------------------------------------------------

describe.each(loopbacks)("giving up on a listener on %s that never answers", (host) => {
  scenario("interrupting the attempt leaves neither handshake nor descriptor", () =>
    Effect.gen(function*() {
      const address = yield* Loopback.silent({ host })
      const before = Loopback.openSockets().size
      const attempt = yield* Effect.fork(connect(address))
      yield* Loopback.until("the handshake to begin", () => handshakes(address).length === 1)
      expect(Loopback.openSockets().size).toBe(before + 1)
      const exit = yield* Loopback.within("the interruption", Fiber.interrupt(attempt))
      expect(handshakes(address)).toEqual([])
      expect(Loopback.openSockets().size).toBe(before)
      expect(Exit.isInterrupted(exit)).toBe(true)
    }))

  scenario(
    "the attempt's own limit leaves neither handshake nor descriptor, and says which limit",
    () =>
      Effect.gen(function*() {
        const address = yield* Loopback.silent({ host })
        const before = Loopback.openSockets().size
        const error = yield* Effect.flip(Attempt.connect(requestTo(address), { timeout: "30 millis" }))
        expect(handshakes(address)).toEqual([])
        expect(Loopback.openSockets().size).toBe(before)
        expect(outline(error)).toEqual(["connect", "AttemptTimeout", undefined])
        expect(error.message).toBe(`connect to ${address}: no answer within its own limit`)
      })
  )

  scenario(
    "the dial's deadline leaves neither handshake nor descriptor, and tells of the address",
    () =>
      Effect.gen(function*() {
        const address = yield* Loopback.silent({ host })
        const before = Loopback.openSockets().size
        const error = yield* Effect.flip(Dialer.dial(`tcp://${address}`, { timeout: "30 millis" }))
        expect(handshakes(address)).toEqual([])
        expect(Loopback.openSockets().size).toBe(before)
        expect(error._tag).toBe("DialTimeout")
        expect(error.message).toMatch(
          new RegExp(
            `^dial tcp://${escaped(String(address))}: timed out after 30 ms while connecting: ` +
              `${escaped(String(address))} still connecting after \\d+ ms$`
          )
        )
      })
  )

  scenario("the loser of a race is gone when the winner is handed out", () =>
    Effect.gen(function*() {
      const silent = yield* Loopback.silent({ host })
      const good = yield* Loopback.listen({ host })
      const before = Loopback.openSockets().size
      const connection = yield* Dialer.dial("name.invalid:1", {
        addresses: [silent, good.address],
        attemptDelay: "10 millis"
      })
      expect(handshakes(silent)).toEqual([])
      expect(String(connection.remoteAddress)).toBe(String(good.address))
      yield* good.accept
      expect(Loopback.openSockets().size).toBe(before + 2)
    }))
})

const escaped = (text: string): string => text.replace(/[.[\]]/g, "\\$&")

describe("giving up", () => {
  scenario(
    "at any moment of a connect that would have worked leaves nothing on either side",
    () =>
      Effect.gen(function*() {
        const listener = yield* Loopback.listen()
        for (const moment of Array.from({ length: 60 }, (_, i) => i)) {
          const attempt = yield* Effect.fork(Effect.scoped(Effect.andThen(connect(listener.address), Effect.never)))
          // a few steps of the scheduler, then a few turns of the event loop
          yield* Effect.repeatN(Effect.yieldNow(), moment % 12)
          yield* Effect.when(Loopback.turns(Math.floor(moment / 12)), () => moment >= 12)
          yield* Loopback.within("the interruption", Fiber.interrupt(attempt))
        }
        expect(handshakes(listener.address)).toEqual([])
        expect(listener.accepted()).toBeGreaterThan(0)
        const peers = yield* Effect.replicateEffect(listener.accept, listener.accepted())
        yield* Effect.forEach(peers, (peer) => peer.closed)
      })
  )

  scenario("on every address in turn tells of each", () =>
    Effect.gen(function*() {
      const addresses = [yield* Loopback.refusing(), yield* Loopback.refusing("127.0.0.42")]
      const error = yield* Effect.flip(Dialer.dial("name.invalid:1", { addresses }))
      expect(error._tag).toBe("AllAttemptsFailed")
      for (const address of addresses) {
        expect(error.message).toContain(`${address} connection refused (ECONNREFUSED)`)
      }
    }))
})

// -----------------------------------------------------------------------------
// a process at its limit
// -----------------------------------------------------------------------------

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The sources as JavaScript in a directory of their own, for a process that is not vitest's. */
const compiledSources: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Loopback.temporaryDirectory,
  (directory) => {
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 }
    for (const file of fs.readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts")) continue
      const target = path.join(directory, "src", file.replace(/\.ts$/, ".js"))
      fs.mkdirSync(path.dirname(target), { recursive: true })
      const source = fs.readFileSync(path.join(root, "src", file), "utf8")
      fs.writeFileSync(target, ts.transpileModule(source, { compilerOptions }).outputText)
    }
    fs.writeFileSync(path.join(directory, "package.json"), JSON.stringify({ type: "module" }))
    fs.symlinkSync(path.join(root, "node_modules"), path.join(directory, "node_modules"))
    return directory
  }
)

const atItsLimit = `
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as Address from "./src/Address.js"
import * as Attempt from "./src/Attempt.js"
import * as NodeTransport from "./src/node/NodeTransport.js"

const address = Address.socketAddress(Address.unsafeParse("127.0.0.1"), Address.Port(9))
const attempt = (localAddress) =>
  Attempt.connect({ socketType: "stream", address, localAddress, options: {} }).pipe(
    Effect.flip, Effect.scoped, Effect.map(({ code, reason, message }) => [reason, code, message])
  )
const anyPort = Address.socketAddress(Address.unsafeParse("127.0.0.1"), Address.Port(0))
const all = Effect.all([attempt(), attempt(anyPort)]).pipe(Effect.provide(NodeTransport.layer))

await Effect.runPromise(all) // so that everything is loaded
const open = []
try {
  for (;;) open.push(fs.openSync("/dev/null"))
} catch {}
const outcome = await Effect.runPromise(all)
for (const fd of open) fs.closeSync(fd)
console.log(JSON.stringify(outcome))
`

/** Compiling the sources and starting another Node takes seconds on a busy machine. */
const childMillis = 20_000

describe("a process with no descriptor left", () => {
  scenario("is told that it has too many open files", () =>
    Effect.gen(function*() {
      const directory = yield* compiledSources
      const script = path.join(directory, "child.js")
      fs.writeFileSync(script, atItsLimit)
      const output = yield* Effect.async<string, Error>((resume) => {
        const child = execFile(
          "/bin/sh",
          ["-c", "ulimit -n 1024; exec \"$0\" \"$1\"", process.execPath, script],
          { timeout: childMillis },
          (error, stdout) => resume(error === null ? Effect.succeed(stdout) : Effect.fail(error))
        )
        return Effect.sync(() => child.kill())
      })
      const outcomes: ReadonlyArray<readonly [string, string, string]> = JSON.parse(output)
      expect(outcomes.map(([reason, code]) => [reason, code])).toEqual([
        ["TooManyOpenFiles", "EMFILE"],
        ["TooManyOpenFiles", "EMFILE"]
      ])
      for (const [, , message] of outcomes) {
        expect(message).toBe("open a socket for 127.0.0.1:9: too many open files (EMFILE)")
      }
    }), 2 * childMillis)
})
