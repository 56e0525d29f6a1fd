/**
 * What shows a dial while it runs: a waterfall redrawn in place on a terminal, a log, or JSON lines.
 *
 * The dial and what shows it are two fibers with a mailbox between them, so that a slow terminal never holds up a dial
 * or falsifies its times.
 */
import * as Terminal from "@effect/platform/Terminal"
import * as Ansi from "@effect/printer-ansi/Ansi"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as DialEvent from "../DialEvent.js"
import * as Json from "./json.js"
import { type Line, paint } from "./lines.js"
import { canDraw, hasColour, type StdioError, write } from "./stdio.js"
import * as Transcript from "./transcript.js"
import * as Waterfall from "./waterfall.js"

/** The events of one dial as they happen, and the time since it began in milliseconds. */
interface Feed {
  readonly events: Mailbox.ReadonlyMailbox<DialEvent.DialEvent>
  readonly now: Effect.Effect<number>
}

/** Shows a feed until it ends. */
export type Display = (feed: Feed) => Effect.Effect<void, StdioError, Terminal.Terminal>

/**
 * Run an effect that dials once, and show that dial until its last event. An output that fails, because its reader has
 * gone, interrupts the dial and is the error.
 */
export const watch = <A, E, R>(
  dialing: Effect.Effect<A, E, R>,
  display: Display
): Effect.Effect<A, E | StdioError, R | Terminal.Terminal> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const begun = clock.unsafeCurrentTimeMillis()
    const events = yield* Mailbox.make<DialEvent.DialEvent>()
    const now = Effect.sync(() => clock.unsafeCurrentTimeMillis() - begun)
    // Two fibers and not a race: the finalizers of an interrupted race run before its sides have ended, and the last
    // events of the dial would be lost.
    const dial = yield* Effect.fork(DialEvent.observe(dialing, () => (event) => events.unsafeOffer(event)))
    // A daemon, because an interruption reaches all children at once and this one has yet to show how the dial ended.
    const shown = yield* Effect.forkDaemon(Effect.tapError(display({ events, now }), () => Fiber.interruptFork(dial)))
    const exit = yield* Fiber.await(dial).pipe(
      Effect.onInterrupt(() => Fiber.interrupt(dial)),
      Effect.ensuring(Effect.zipRight(events.end, finish(shown)))
    )
    const seen = yield* Fiber.poll(shown)
    return yield* Option.isSome(seen) ? Effect.zipRight(seen.value, exit) : exit
  })

/**
 * Let the display show the last events; one whose output is stuck must not keep the process. In a fiber of its own,
 * because in one that was interrupted nothing can be timed out any more.
 */
const finish = (shown: Fiber.Fiber<void, StdioError>): Effect.Effect<void> =>
  Fiber.await(shown).pipe(
    Effect.timeoutOption("1 second"),
    Effect.interruptible,
    Effect.forkDaemon,
    Effect.flatMap(Fiber.join),
    Effect.zipRight(Fiber.interruptFork(shown))
  )

/** One line for each event, as it happens. */
const eachLine =
  (text: (event: DialEvent.DialEvent, earlier: ReadonlyArray<DialEvent.DialEvent>) => string): Display =>
  ({ events }) => {
    const rest = (seen: ReadonlyArray<DialEvent.DialEvent>): Effect.Effect<void, StdioError> =>
      Effect.flatMap(events.takeAll, ([taken, done]) => {
        const all = [...seen, ...taken]
        const lines = all.slice(seen.length).map((event, index) =>
          `${text(event, all.slice(0, seen.length + index))}\n`
        )
        return Effect.zipRight(
          lines.length === 0 ? Effect.void : write(lines.join("")),
          done ? Effect.void : rest(all)
        )
      })
    return rest([])
  }

/** A JSON object for each event. */
export const json: Display = eachLine(Json.line)

/** A line of a log for each event. */
export const transcript: Display = eachLine((event, earlier) => paint(Transcript.line(event, earlier), hasColour()))

/** The waterfall: redrawn in place on a terminal, elsewhere drawn once, when the dial is over. */
export const waterfall: Display = (feed) => canDraw() ? live(feed) : once(feed)

/** The columns of a waterfall that nobody watches. */
const plainWidth = 80

const collect = (
  { events }: Pick<Feed, "events">,
  seen: ReadonlyArray<DialEvent.DialEvent> = []
): Effect.Effect<ReadonlyArray<DialEvent.DialEvent>> =>
  Effect.flatMap(events.takeAll, ([taken, done]) => {
    const all = [...seen, ...taken]
    return done ? Effect.succeed(all) : collect({ events }, all)
  })

const once: Display = (feed) =>
  Effect.flatMap(
    Effect.zip(collect(feed), feed.now),
    ([all, now]) =>
      write(Waterfall.draw(all, { now, width: plainWidth }).map((line) => `${paint(line, false)}\n`).join(""))
  )

/** Does the work of every display and shows nothing, so that the code of the next one is warm. */
export const rehearsal: Display = (feed) =>
  Effect.flatMap(collect(feed), (events) => {
    events.forEach((event) => Json.line(event))
    events.forEach((event) => paint(Transcript.line(event, events), true))
    Waterfall.draw(events, { now: 1, width: plainWidth }).forEach((line) => paint(line, true))
    return write("")
  })

/** How often a picture without news is redrawn, for its bars to grow. */
const tick = "60 millis"

const live: Display = ({ events, now }) => {
  const redraw = (seen: ReadonlyArray<DialEvent.DialEvent>, before: number, last: boolean) =>
    Effect.gen(function*() {
      const terminal = yield* Terminal.Terminal
      const [time, columns, rows] = yield* Effect.all([now, terminal.columns, terminal.rows])
      const picture = Waterfall.draw(seen, { now: time, width: columns || plainWidth, over: last })
      // A line above the top of the screen cannot be drawn again: while it changes, show what fits.
      const lines = last || rows < 3 ? picture : picture.slice(-(rows - 1))
      yield* write(overwrite(before, lines))
      return lines.length
    })
  const run = (
    seen: ReadonlyArray<DialEvent.DialEvent>,
    before: number
  ): Effect.Effect<void, StdioError, Terminal.Terminal> =>
    Effect.timeoutOption(events.takeAll, tick).pipe(
      Effect.map(Option.getOrElse(() => [Chunk.empty<DialEvent.DialEvent>(), false] as const)),
      Effect.flatMap(([taken, done]) => {
        const all = [...seen, ...taken]
        return Effect.flatMap(redraw(all, before, done), (lines) => done ? Effect.void : run(all, lines))
      })
    )
  return Effect.acquireUseRelease(
    write(Ansi.stringify(Ansi.cursorHide)),
    () => run([], 0),
    () => Effect.ignore(write(Ansi.stringify(Ansi.cursorShow)))
  )
}

const eraseLine = Ansi.stringify(Ansi.eraseEndLine)

/** Lines in the place of the `before` lines above the cursor. */
const overwrite = (before: number, lines: ReadonlyArray<Line>): string =>
  (before === 0 ? "" : Ansi.stringify(Ansi.cursorUp(before))) +
  lines.map((line) => `${paint(line, hasColour())}${eraseLine}\n`).join("") +
  Ansi.stringify(Ansi.eraseDown)
