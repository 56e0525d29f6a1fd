#!/usr/bin/env node
/**
 * The `dial` command. This file only wires: what each command does is a room of its own.
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createRequire } from "node:module"
import { stripVTControlCharacters } from "node:util"
import * as Endpoint from "../Endpoint.js"
import * as NodeNetwork from "../node/NodeNetwork.js"
import { checkWords, parseTimeout } from "./arguments.js"
import { connect } from "./connect.js"
import { demo } from "./demo.js"
import { settle, teardown } from "./exit.js"
import { guard, hasColour, write } from "./stdio.js"
import { trace } from "./trace.js"

const endpoint = Args.text({ name: "endpoint" }).pipe(
  Args.withDescription("host:port, [v6]:port, tcp://host:port, unix:/path or unix:@abstract")
)

const timeout = Options.text("timeout").pipe(
  Options.withPseudoName("time"),
  Options.withDescription("The whole dial's deadline: 500ms, 10s, 1m"),
  Options.withDefault("10s")
)

const json = Options.boolean("json").pipe(
  Options.withDescription("Print every event as it happens, one JSON object a line, and nothing else")
)

const commands = [
  Command.make("connect", { endpoint }, ({ endpoint }) => Effect.flatMap(Endpoint.parse(endpoint), connect)).pipe(
    Command.withDescription("Relay standard input to the endpoint and what it sends to standard output")
  ),
  Command.make(
    "trace",
    { endpoint, timeout, json },
    ({ endpoint, json, timeout }) =>
      Effect.flatMap(
        Effect.all([Endpoint.parse(endpoint), parseTimeout(timeout)]),
        ([endpoint, timeout]) => trace(endpoint, { timeout, json })
      )
  ).pipe(
    Command.withDescription("Dial the endpoint, show what happened when, and close")
  ),
  Command.make("demo", {}, () => demo).pipe(
    Command.withDescription("Dial the names of a small lab on loopback: good, refusing and silent hosts")
  )
] as const

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
  Effect.provide(Layer.merge(NodeContext.layer, NodeNetwork.layer)),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
