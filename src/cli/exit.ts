/**
 * How a command ends: what it says on standard error, and its exit code.
 *
 * - 0: connected, or shown what was asked for
 * - 1: the dial failed, or the connection was lost; the story is on standard error
 * - 2: bad usage or endpoint; one line
 * - 130: Ctrl-C (143: SIGTERM), with nothing left open
 * - 141: whoever read our output has gone, as when a program dies of SIGPIPE; nothing is said
 */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import type * as Runtime from "@effect/platform/Runtime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { stripVTControlCharacters } from "node:util"
import type { ConnectionLost, DialError } from "../DialError.js"
import { pretty } from "../DialError.js"
import { printable } from "../internal/printable.js"
import type { BadUsage } from "./arguments.js"
import type { LabError } from "./lab.js"
import { complain, type StdioError } from "./stdio.js"

/** Everything a command can fail with. */
export type Failure = BadUsage | ConnectionLost | DialError | LabError | StdioError | ValidationError.ValidationError

/** Tell of a failure as a person can use it, and give the exit code. */
export const settle = (error: Failure): Effect.Effect<number> => {
  if (ValidationError.isValidationError(error)) return Effect.as(complain(usage(oneLine(error.error))), 2)
  switch (error._tag) {
    case "BadUsage":
    case "InvalidEndpoint":
      return Effect.as(complain(usage(error.message)), 2)
    case "StdioError":
      return error.code === "EPIPE" ? Effect.succeed(141) : Effect.as(complain(`dial: ${printable(error.message)}`), 1)
    case "LabError":
      return Effect.as(complain(`dial: ${printable(error.message)}`), 1)
    default:
      return Effect.as(complain(pretty(error)), 1)
  }
}

const usage = (problem: string): string => `dial: ${printable(problem)} (see dial --help)`

const oneLine = (doc: HelpDoc.HelpDoc): string =>
  stripVTControlCharacters(HelpDoc.toAnsiText(doc)).replaceAll(/\s+/g, " ").trim()

/** Leave the process with the code an exit stands for; a defect is a bug and shows its stack. */
export const teardown: Runtime.Teardown = (exit) => {
  if (Exit.isSuccess(exit)) process.exit(typeof exit.value === "number" ? exit.value : 0)
  if (Cause.isInterruptedOnly(exit.cause)) process.exit(process.exitCode ?? 130)
  process.stderr.write(`${Cause.pretty(exit.cause)}\n`)
  process.exit(1)
}
