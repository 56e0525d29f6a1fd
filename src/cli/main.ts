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
import { helpFor, options } from "./help.js"
import * as Network from "./network.js"
import { rehearse } from "./rehearsal.js"
import { records, resolve } from "./resolve.js"
import { guard, hasColour, write } from "./stdio.js"
import { parseTls } from "./tls.js"
import { trace } from "./trace.js"

const endpoint = Args.text({ name: "endpoint" })

const described = <A>(name: string, option: Options.Options<A>): Options.Options<A> =>
  Options.withDescription(option, options[`--${name}`]?.[1] ?? "")

const text = (name: string): Options.Options<string> => described(name, Options.text(name))

const optional = (name: string): Options.Options<Option.Option<string>> => Options.optional(text(name))

const timeout = Options.withDefault(text("timeout"), "10s")

const json = described("json", Options.boolean("json"))

const family = Options.withDefault(text("family"), "any")

const resolver = optional("resolver")

const server = optional("server")

const tls = {
  ca: optional("ca"),
  servername: optional("servername"),
  alpn: optional("alpn"),
  cert: optional("cert"),
  key: optional("key")
}

const commands = [
  Command.make("connect", { endpoint, ...tls }, (given) =>
    Effect.gen(function*() {
      const endpoint = yield* Endpoint.parse(given.endpoint)
      const tls = yield* parseTls(endpoint, given)
      return yield* Effect.provide(connect(endpoint), Network.layer(endpoint, { _tag: "System" }, tls))
    })),
  Command.make(
    "trace",
    {
      endpoint,
      timeout,
      attemptDelay: optional("attempt-delay"),
      resolutionDelay: optional("resolution-delay"),
      family,
      resolver,
      server,
      ...tls,
      json
    },
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
  ),
  Command.make(
    "resolve",
    { name: Args.text({ name: "name" }), type: optional("type"), resolver, server, json },
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
  ),
  Command.make("demo", {}, () => Effect.provide(demo, NodeNetwork.layer))
] as const

const delay = (option: string, text: Option.Option<string>) =>
  Option.match(text, {
    onNone: () => Either.right(undefined),
    onSome: (text) => Either.map(parseDelay(option, text), (delay): Duration.Duration | undefined => delay)
  })

const { version }: { readonly version: string } = createRequire(import.meta.url)("../../package.json")

const run = Command.make("dial").pipe(
  Command.withSubcommands(commands),
  Command.run({ name: "dial", version, executable: "dial" })
)

/** @effect/cli prints what is wrong by itself, over several lines; `settle` does it. What else it says is output. */
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

const words = process.argv.slice(2)

const help = helpFor(words)

guard.pipe(
  Effect.zipRight(
    help === undefined ? Effect.zipRight(checkWords(words), quietly(run(process.argv))) : write(help)
  ),
  Effect.as(0),
  Effect.catchAll(settle),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
