/**
 * What the tests of the recipes share: a real server for each file, the network that a recipe is given, and what a user
 * finds in an error.
 *
 * A recipe is tested twice: as a program, built and run as its first lines say, and as its function in this process on
 * names of the test's own, where the server can be killed under it.
 */
import { layer, type Vitest } from "@effect/vitest"
import { Context, Effect, Layer, ManagedRuntime, type Scope } from "effect"
import { Address, Dialer, DialError, Resolver, Tls, TlsError } from "effect-dial"
import { NodeTls, NodeTransport } from "effect-dial/node"
import { spawn } from "node:child_process"
import * as path from "node:path"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { isBuilt } from "../../.ci/build.mjs"
import { certificates } from "../support/certificates.js"
import { describeWith } from "../support/daemons.js"
import * as Loopback from "../support/loopback.js"
import type * as Servers from "../support/servers.js"

/** The server of this file. */
export class Server extends Context.Tag("test/recipes/Server")<Server, Servers.Server>() {}

/** The tests of one recipe on one server of a kind, in real time. After them nothing is connected to it. */
export const recipe = (
  title: string,
  kind: Servers.Kind,
  body: (it: Vitest.MethodsNonLive<Server, true>) => void
): void =>
  describeWith(kind.programs, title, () => {
    const server = Layer.scoped(Server, kind.start)
    layer(server, { timeout: "60 seconds", excludeTestServices: true })((it) => body(it))
  })

/** Run it, then see that no connection to the server is left. */
export const leavesNoConnection = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Server> =>
  Effect.flatMap(Server, ({ port, tlsPort }) => {
    const live = () =>
      [port, tlsPort].flatMap(Loopback.tcpRows).filter(({ state, timer }) => state !== "LISTEN" && timer !== "timewait")
    const over = Loopback.until("every connection to the server to be over", () => live().length === 0)
    return Effect.zipLeft(
      self,
      Effect.catchAllDefect(over, (defect) => Effect.die(new Error(`${defect}: ${JSON.stringify(live())}`)))
    )
  })

/** Where the server is, after an address that refuses and one that never answers. */
export const dead: Effect.Effect<ReadonlyArray<string>, never, Scope.Scope | Server> = Effect.gen(function*() {
  const { port, tlsPort } = yield* Server
  for (const at of new Set([port, tlsPort])) yield* Loopback.silent({ host: "127.0.0.2", port: at })
  return ["::1", "127.0.0.2", "127.0.0.1"]
})

type Runtime = ManagedRuntime.ManagedRuntime<Dialer.Dialer, never>

type Network = Effect.Effect<Runtime, never, Scope.Scope | Server>

const dialerOf = (names: ReadonlyArray<string>, addresses: ReadonlyArray<string>): Layer.Layer<Dialer.Dialer> => {
  const found = addresses.map(Address.unsafeParse)
  const resolver = Resolver.layerStatic(Object.fromEntries(names.map((name) => [name, found])))
  return Layer.provide(Dialer.layer, Layer.merge(resolver, NodeTransport.layer))
}

const running = (dialer: Layer.Layer<Dialer.Dialer>): Effect.Effect<Runtime, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => ManagedRuntime.make(dialer)), (runtime) => runtime.disposeEffect)

/** A name, `db.test`, is 127.0.0.1. */
export const network = (
  addresses: ReadonlyArray<string> = ["127.0.0.1"],
  name = "db.test"
): Effect.Effect<Runtime, never, Scope.Scope> => running(dialerOf([name], addresses))

/** `db.test` and `other.test` have these addresses, for a Dialer with TLS that is made from the one of sockets. */
export const networkOf = (
  dialer: Layer.Layer<Dialer.Dialer, never, Dialer.Dialer | Tls.Tls>,
  addresses: ReadonlyArray<string> = ["127.0.0.1"]
): Effect.Effect<Runtime, never, Scope.Scope> =>
  running(Layer.provide(dialer, Layer.merge(dialerOf(["db.test", "other.test"], addresses), NodeTls.layer)))

/** `db.test` is where the server is, after an address that refuses and one that never answers. */
export const dualStack: Network = Effect.flatMap(dead, (addresses) => network(addresses))

/** {@link trusting} over {@link dualStack}. */
export const dualStackTrusting: Network = Effect.flatMap(
  Effect.all([Server, dead]),
  ([{ authority }, addresses]) => networkOf(Tls.layerWith({ roots: authority }), addresses)
)

/** `db.test` and `other.test` are 127.0.0.1, and `tls://` endpoints are trusted for what the test's authority signed. */
export const trusting: Network = Effect.suspend(() => trustingWith({}))

/** {@link trusting}, with more options. */
export const trustingWith = (options: Tls.TlsOptions): Network =>
  Effect.flatMap(Server, ({ authority }) => networkOf(Tls.layerWith({ roots: authority, ...options })))

/** {@link trusting}, of another authority than the server's. */
export const distrusting: Network = networkOf(Tls.layerWith({ roots: certificates.otherRoot.certificate }))

/** Our error in what a client of Node threw: the very error, or what it was caused by. */
export const ours = (error: unknown): DialError.DialError | undefined =>
  error instanceof DialError.AllAttemptsFailed || error instanceof DialError.DialTimeout
    ? error
    : error instanceof AggregateError
    ? error.errors.map(ours).find((found) => found !== undefined)
    : error instanceof Error && error.cause !== undefined
    ? ours(error.cause)
    : undefined

/** The reasons of TLS for which a dial failed, one for each address that was connected. */
export const tlsReasons = (error: unknown): ReadonlyArray<string> => {
  const dialError = ours(error)
  return (dialError !== undefined && "attempts" in dialError ? dialError.attempts : []).flatMap((report) =>
    report.outcome === "Failed" && TlsError.isTlsError(report.error.cause) ? [report.error.cause.reason] : []
  )
}

/** An endpoint where nobody listens. */
export const refusing: Effect.Effect<string, never, Scope.Scope> = Effect.map(Loopback.refusing(), String)

/** What is thrown. */
export const rejection = (promise: () => PromiseLike<unknown>): Effect.Effect<unknown> =>
  Effect.flatMap(
    Effect.either(Effect.tryPromise({ try: async () => await promise(), catch: (error) => error })),
    (outcome) => outcome._tag === "Left" ? Effect.succeed(outcome.left) : Effect.dieMessage("it was not rejected")
  )

/** Ours, of what is thrown again and again: a client may first have to notice that its connections are gone. */
export const refused = (promise: () => PromiseLike<unknown>): Effect.Effect<DialError.DialError> =>
  Effect.flatMap(rejection(promise), (error) => {
    const found = ours(error)
    return found === undefined ? refused(promise) : Effect.succeed(found)
  })

const runner = fileURLToPath(new URL("../../scratchpad/examples/run.mjs", import.meta.url))

/** The recipe as a program, whose machine trusts the test's authority: what it printed, or a defect. */
export const program = (name: string, ...args: ReadonlyArray<string>): Effect.Effect<string, never, Server> =>
  Effect.flatMap(Server, ({ directory }) => printed(name, args, path.join(directory, "authority.pem")))

const printed = (name: string, args: ReadonlyArray<string>, roots: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    if (!isBuilt()) throw new Error("dist is older than src: run `pnpm build`")
    const child = spawn(process.execPath, [runner, `recipes/${name}`, ...args], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: roots },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 20_000,
      killSignal: "SIGKILL"
    })
    const code = new Promise((resolve) => child.on("close", resolve))
    const [printed, complaints] = await Promise.all([text(child.stdout), text(child.stderr)])
    if (await code !== 0) throw new Error(`${name} ended with ${await code}\n${printed}${complaints}`)
    return printed
  })
