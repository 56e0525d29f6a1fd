/**
 * The process's own streams as effects: writes that wait until they are taken, and a reader that is gone as an error.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"

/** Standard input or output failed; EPIPE when whoever read our output has gone, as `head` does. */
export class StdioError extends Data.TaggedError("StdioError")<{
  readonly stream: "input" | "output"
  readonly code: string | undefined
  readonly cause: unknown
}> {
  override get message(): string {
    const { cause } = this
    return `standard ${this.stream}: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

const failed = (stream: StdioError["stream"]) => (cause: unknown): StdioError =>
  new StdioError({ stream, cause, code: (cause as NodeJS.ErrnoException | null)?.code })

/** Write to standard output; done when it was taken, so that a slow reader slows us. */
export const write = (data: string | Uint8Array): Effect.Effect<void, StdioError> =>
  Effect.async((resume) => {
    process.stdout.write(data, (error) => resume(error ? Effect.fail(failed("output")(error)) : Effect.void))
  })

/** Write a line to standard error. A standard error that is gone leaves nobody to tell. */
export const complain = (text: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    process.stderr.write(`${text}\n`, () => resume(Effect.void))
  })

/** Standard input, read as it is pulled. */
export const input: Stream.Stream<Uint8Array, StdioError> = NodeStream.fromReadable(
  () => process.stdin,
  failed("input")
)

/** A broken pipe is told to the write that met it; without a listener Node would also crash on it. */
export const guard: Effect.Effect<void> = Effect.sync(() => {
  process.stdout.on("error", ignore)
  process.stderr.on("error", ignore)
})

const ignore = (): void => {}

/** Whether standard output can be drawn on: a terminal that moves its cursor. */
export const canDraw = (): boolean => process.stdout.isTTY && process.env["TERM"] !== "dumb"

/** Whether standard output shows colours (https://no-color.org). */
export const hasColour = (): boolean => canDraw() && (process.env["NO_COLOR"] ?? "") === ""
