#!/usr/bin/env node
/**
 * The `dial` command. This file only wires: what each command does is a room of its own.
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { createRequire } from "node:module"
import { stripVTControlCharacters } from "node:util"
import type { RecordType } from "../DnsMessage.js"
import * as Endpoint from "../Endpoint.js"
import * as NodeNetwork from "../node/NodeNetwork.js"
import { BadUsage, checkWords, parseDelay, parseFamily, parseNames, parseTimeout, parseType } from "./arguments.js"
import { connect } from "./connect.js"
import { demo } from "./demo.js"
import { settle, teardown } from "./exit.js"
import * as Network from "./network.js"
import { rehearse } from "./rehearsal.js"
import { records, resolve } from "./resolve.js"
import { guard, hasColour, write } from "./stdio.js"
import { parseTls } from "./tls.js"
import { trace } from "./trace.js"

const endpoint = Args.text({ name: "endpoint" }).pipe(
  Args.withDescription("host:port, [v6]:port, tcp://, tls:// or udp://host:port, unix:/path or unix:@abstract")
)

const timeout = Options.text("timeout").pipe(
  Options.withPseudoName("time"),
  Options.withDescription("The whole dial's deadline: 500ms, 10s, 1m"),
  Options.withDefault("10s")
)

const json = Options.boolean("json").pipe(
  Options.withDescription("Print every event as it happens, one JSON object a line, and nothing else")
)

const delayOption = (name: string, description: string) =>
  Options.optional(Options.withDescription(Options.withPseudoName(Options.text(name), "time"), description))

const attemptDelay = delayOption("attempt-delay", "The time between the starts of two attempts: 250ms")

const resolutionDelay = delayOption("resolution-delay", "How long an A waits for a AAAA: 50ms")

const family = Options.text("family").pipe(
  Options.withDescription("any, inet6, inet, inet6-first or inet-first"),
  Options.withDefault("any")
)

const resolver = Options.optional(
  Options.withDescription(Options.text("resolver"), "Who is asked for names: system, dns or doh=URL")
)

const server = Options.optional(
  Options.withDescription(
    Options.text("server"),
    "The name server to ask, with --resolver dns: 192.0.2.53 or [::1]:5353"
  )
)

const tlsOption = (name: string, value: string, description: string) =>
  Options.optional(Options.withDescription(Options.withPseudoName(Options.text(name), value), description))

const tls = {
  ca: tlsOption("ca", "file", "The certificates to trust, PEM, instead of Node's own"),
  servername: tlsOption("servername", "name", "Who the certificate has to be for, instead of the endpoint's host"),
  alpn: tlsOption("alpn", "protocols", "The application protocols to offer: h2,http/1.1"),
  cert: tlsOption("cert", "file", "The certificate to show, PEM, with its issuers behind it"),
  key: tlsOption("key", "file", "The key of --cert, PEM")
}

const type = Options.optional(
  Options.withDescription(Options.text("type"), "The type of record to ask for: AAAA, SRV, HTTPS")
)

const commands = [
  Command.make("connect", { endpoint, ...tls }, (given) =>
    Effect.gen(function*() {
      const endpoint = yield* Endpoint.parse(given.endpoint)
      const tls = yield* parseTls(endpoint, given)
      return yield* Effect.provide(connect(endpoint), Network.layer(endpoint, { _tag: "System" }, tls))
    })).pipe(
      Command.withDescription("Relay standard input to the endpoint and what it sends to standard output")
    ),
  Command.make(
    "trace",
    { endpoint, timeout, attemptDelay, resolutionDelay, family, resolver, server, ...tls, json },
    (given) =>
      Effect.gen(function*() {
        const endpoint = yield* Endpoint.parse(given.endpoint)
        const timeout = yield* parseTimeout(given.timeout)
        const attemptDelay = yield* delay("--attempt-delay", given.attemptDelay)
        const resolutionDelay = yield* delay("--resolution-delay", given.resolutionDelay)
        const families = yield* parseFamily(given.family)
        const names = yield* parseNames(given.resolver, given.server)
        const tls = yield* parseTls(endpoint, given)
        const dial = { timeout, attemptDelay, resolutionDelay, families }
        const warm = endpoint._tag === "Tls" ? rehearse(tls) : Effect.void
        const traced = Effect.zipRight(warm, trace(endpoint, { dial, json: given.json }))
        return yield* Effect.provide(traced, Network.layer(endpoint, names, tls))
      })
  ).pipe(
    Command.withDescription("Dial the endpoint, show what happened when, and close")
  ),
  Command.make(
    "resolve",
    { name: Args.text({ name: "name" }), type, resolver, server, json },
    (given) =>
      Effect.gen(function*() {
        const name = yield* Endpoint.domainName(given.name)
        const type = yield* Option.match(given.type, {
          onNone: () => Either.right(undefined),
          onSome: (text) => Either.map(parseType(text), (type): RecordType | undefined => type)
        })
        const wantsDns = type !== undefined && Option.isNone(given.resolver)
        const names = yield* parseNames(wantsDns ? Option.some("dns") : given.resolver, given.server)
        if (type === undefined) return yield* Effect.provide(resolve(name, given), Network.names(names))
        return yield* names._tag === "System"
          ? new BadUsage({ reason: "--type needs --resolver dns or doh=URL: the system tells only addresses" })
          : Effect.provide(records(name, type, given), Network.records(names))
      })
  ).pipe(
    Command.withDescription("Show what a name resolves to, and the order in which a dial would attempt it, and why")
  ),
  Command.make("demo", {}, () => Effect.provide(demo, NodeNetwork.layer)).pipe(
    Command.withDescription("Dial the names of a small lab on loopback: good, refusing and silent hosts")
  )
] as const

const delay = (option: string, text: Option.Option<string>) =>
  Option.match(text, {
    onNone: () => Either.right(undefined),
    onSome: (text) => Either.map(parseDelay(option, text), (delay): Duration.Duration | undefined => delay)
  })

const { version }: { readonly version: string } = createRequire(import.meta.url)("../../package.json")

const run = Command.make("dial").pipe(
  Command.withDescription("Dial an endpoint: resolve its name, race its addresses, tell the whole story"),
  Command.withSubcommands(commands),
  Command.run({ name: "dial", version, executable: "dial" })
)

/** @effect/cli prints what is wrong by itself, over several lines; `settle` does it. Its help goes where output goes. */
const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.consoleWith((console) =>
    Effect.withConsole(effect, {
      ...console,
      error: () => Effect.void,
      log: (...lines: ReadonlyArray<unknown>) => {
        const text = `${lines.join(" ")}\n`
        return Effect.ignore(write(hasColour() ? text : stripVTControlCharacters(text)))
      }
    })
  )

// Ctrl-C and SIGTERM both interrupt; only the code tells them apart.
process.once("SIGTERM", () => {
  process.exitCode = 143
})

guard.pipe(
  Effect.zipRight(checkWords(process.argv.slice(2))),
  Effect.zipRight(quietly(run(process.argv))),
  Effect.as(0),
  Effect.catchAll(settle),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
