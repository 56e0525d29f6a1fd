/**
 * Real servers of this machine: a daemon in the foreground, at free ports of loopback and in a directory of its own,
 * until its Scope closes.
 *
 * - it is there when it answers, not after a time
 * - it cannot outlive its test: it ends with the Scope, and with the process of the test, however that ends
 * - a program that is not installed is a failure in CI, where `.ci/debian.mjs` has seen to it, and elsewhere a skip that
 *   says so
 */
import { describe } from "@effect/vitest"
import { type Duration, Effect, Schedule, Scope } from "effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import * as dgram from "node:dgram"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { temporaryDirectory } from "./loopback.js"

/** A program that a test starts, and where it comes from. */
export interface Program {
  readonly name: string
  /** Debian's package; it stands in `.ci/debian.mjs`. */
  readonly package: string
  /** Where it is when it is not on the PATH. */
  readonly directories?: ReadonlyArray<string>
  /** It refuses to run as root, or changes its user then: root starts it as nobody. */
  readonly unprivileged?: boolean
}

/** Daemons are here, and a user's PATH often is not. */
const systemDirectories = ["/usr/local/sbin", "/usr/sbin", "/sbin"]

const located = ({ directories = [], name }: Program): string | undefined =>
  [...(process.env["PATH"] ?? "").split(path.delimiter), ...systemDirectories, ...directories]
    .map((directory) => path.join(directory, name))
    .find((file) => fs.existsSync(file))

const absence = (programs: ReadonlyArray<Program>): string | undefined => {
  const missing = programs.filter((program) => located(program) === undefined)
  return missing.length === 0
    ? undefined
    : missing.map((program) => `${program.name} is not installed: Debian's package ${program.package}`).join(", ")
}

/** A `describe` that needs programs: where one is missing it is skipped, and its name says why. In CI it fails instead. */
export const describeWith = (programs: ReadonlyArray<Program>, title: string, body: () => void): void => {
  const missing = process.env["CI"] === "true" ? undefined : absence(programs)
  describe.skipIf(missing !== undefined)(missing === undefined ? title : `${title} (skipped: ${missing})`, body)
}

/** Where a daemon lives. */
export interface Place {
  /** Empty but for its files; removed behind it. */
  readonly directory: string
  /** Free over UDP and TCP. */
  readonly ports: readonly [number, ...ReadonlyArray<number>]
}

/** How to start a daemon at a place. */
export interface Start {
  readonly arguments: ReadonlyArray<string>
  /** Written into the directory first, by name. */
  readonly files?: { readonly [name: string]: string }
  /** Run in the directory after that, one after another: what makes the data that the daemon starts from. */
  readonly prepare?: ReadonlyArray<readonly [program: Program, ...args: ReadonlyArray<string>]>
  readonly env?: { readonly [name: string]: string }
  /**
   * The signal that ends it at once with all its children, for a daemon whose children leave its process group.
   *
   * @default KILL for the process group
   */
  readonly kill?: "QUIT"
  /** Anything that works only once the daemon does. It is tried again and again. */
  readonly ready: Effect.Effect<unknown, unknown>
}

export interface Daemon extends Place {
  /** The end of what it has printed. */
  readonly output: () => string
  /** Send it a signal: STOP makes a server silent, CONT wakes it. */
  readonly signal: (name: Signal) => Effect.Effect<void>
  /** TERM, then KILL for whatever is left. The Scope does the same. */
  readonly stop: Effect.Effect<void>
  /** End it without asking, as when its machine is short of memory. */
  readonly kill: Effect.Effect<void>
  /** In the same place, with the files it left there; after a `stop` or a `kill`. Done when it answers. */
  readonly restart: Effect.Effect<void>
}

type Signal = "TERM" | "INT" | "QUIT" | "HUP" | "STOP" | "CONT"

/** How long a daemon may take until it answers, on a busy machine. */
const patience: Duration.DurationInput = "20 seconds"

/** How long it may take to end by itself. */
const grace: Duration.DurationInput = "1 second"

/**
 * Start a daemon; a defect that tells what it printed when it ends before it answers. `ports` is how many it needs.
 *
 * Somebody else can take a port before the daemon does: then it is tried again at others.
 */
export const start = (
  program: Program,
  at: (place: Place) => Start,
  options: { readonly ports?: number } = {}
): Effect.Effect<Daemon, never, Scope.Scope> =>
  Effect.gen(function*() {
    const file = located(program)
    if (file === undefined) return yield* Effect.die(new Error(absence([program])))
    const scope = yield* Effect.scope
    const attempt = Effect.gen(function*() {
      const [first, ...more] = yield* Effect.replicateEffect(freePort, options.ports ?? 1)
      const place: Place = { directory: yield* temporaryDirectory, ports: [first ?? 0, ...more] }
      const how = at(place)
      yield* furnish(how, place.directory, program)
      const once = launch(program, file, how, place.directory)
      const current = { process: yield* once }
      const daemon: Daemon = {
        ...place,
        output: () => current.process.output(),
        signal: (name) => current.process.signal(name),
        stop: Effect.suspend(() => current.process.stop),
        kill: Effect.suspend(() => current.process.kill),
        restart: Effect.gen(function*() {
          yield* current.process.kill
          // What was killed may hold its port for a moment.
          const again = Effect.retry(once, Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(20)))
          current.process = yield* Effect.orDie(Scope.extend(again, scope))
        })
      }
      return daemon
    })
    return yield* Effect.orDie(Effect.retry(attempt, { times: 2 }))
  })

/** The user and group of Debian's nobody, for a program that must not be root. */
const owner = ({ unprivileged = false }: Program) =>
  unprivileged && process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined

/** Everything a daemon finds in its directory. */
const furnish = (how: Start, directory: string, program: Program): Effect.Effect<void, Error> =>
  Effect.gen(function*() {
    const user = owner(program)
    if (user !== undefined) fs.chownSync(directory, user.uid, user.gid)
    for (const [name, text] of Object.entries(how.files ?? {})) {
      const file = path.join(directory, name)
      fs.writeFileSync(file, text, { mode: program.unprivileged === true ? 0o600 : 0o644 })
      if (user !== undefined) fs.chownSync(file, user.uid, user.gid)
    }
    for (const [tool, ...args] of how.prepare ?? []) {
      const file = located(tool)
      if (file === undefined) return yield* Effect.die(new Error(absence([tool])))
      yield* Effect.async<void, Error>((resume) => {
        execFile(file, args, { cwd: directory, ...user }, (error, stdout, stderr) => {
          resume(error === null ? Effect.void : Effect.fail(new Error(`${error.message}\n${stdout}${stderr}`)))
        })
      })
    }
  })

/** The daemon once, until it answers. */
const launch = (program: Program, file: string, how: Start, directory: string) =>
  Effect.gen(function*() {
    const process = yield* Effect.acquireRelease(
      Effect.sync(() => guarded(file, how, directory, owner(program))),
      ({ stop }) => stop
    )
    const ready = Effect.timeoutFail(Effect.retry(how.ready, Schedule.spaced("20 millis")), {
      duration: patience,
      onTimeout: () => new Error("it does not answer")
    })
    yield* Effect.mapError(
      Effect.raceFirst(ready, process.ended),
      (error) => new Error(`${program.name}: ${String(error)}\n${process.output()}`)
    )
    return process
  })

/**
 * Runs a program as a child of this shell, whose standard input is a pipe from the test: each line names a signal for
 * the program, and the end of the pipe, which the kernel sees to when the test's process is gone, kills the whole
 * process group.
 */
export const guard = `
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
{ while read -r signal <&3; do kill -"$signal" "$program"; done; kill -KILL 0; } >/dev/null 2>&1 &
exec 3<&-
wait "$program"
`

const guarded = (
  file: string,
  how: Start,
  directory: string,
  user: { readonly uid: number; readonly gid: number } | undefined
) => {
  const shell = spawn("/bin/sh", ["-c", guard, "guard", file, ...how.arguments], {
    cwd: directory,
    ...user,
    // A process group of its own.
    detached: true,
    env: { ...process.env, ...how.env },
    stdio: ["pipe", "pipe", "pipe"]
  })
  const printed = { text: "" }
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed.text = (printed.text + text).slice(-20_000)
    })
  }
  // The shell can be gone before what is written to it.
  shell.stdin.on("error", () => {})
  const signal: Daemon["signal"] = (name) => Effect.sync(() => void shell.stdin.write(`${name}\n`))
  const exited = exit(shell)
  const endAll = Effect.zipRight(Effect.sync(() => shell.stdin.end()), exited)
  const endBy = (name: Signal) =>
    Effect.gen(function*() {
      yield* Effect.zipRight(signal(name), signal("CONT"))
      yield* Effect.timeoutOption(Effect.interruptible(exited), grace)
      yield* endAll
    })
  return {
    output: () => printed.text,
    signal,
    ended: Effect.flatMap(exited, (how) => Effect.fail(new Error(`it ended by itself (${how})`))),
    stop: endBy(how.kill ?? "TERM"),
    kill: how.kill === undefined ? endAll : endBy(how.kill)
  }
}

const exit = (child: ChildProcess): Effect.Effect<string> =>
  Effect.async((resume) => {
    const done = () => resume(Effect.succeed(child.signalCode ?? `code ${child.exitCode}`))
    if (child.exitCode !== null || child.signalCode !== null) return done()
    child.once("exit", done)
    return Effect.sync(() => child.off("exit", done))
  })

/**
 * A port that nobody has over UDP or TCP. Below the ports that the kernel gives to clients, so that no connection of
 * another test takes it before the daemon does.
 */
const freePort: Effect.Effect<number> = Effect.tryPromise(async () => {
  const port = 20_000 + Math.floor(Math.random() * 12_000)
  const tcp = net.createServer()
  const udp = dgram.createSocket("udp4")
  try {
    await Promise.all([
      once(tcp.listen(port, "127.0.0.1"), "listening"),
      once(udp.bind(port, "127.0.0.1"), "listening")
    ])
    return port
  } finally {
    await Promise.all([new Promise((done) => tcp.close(done)), new Promise<void>((done) => udp.close(done))])
  }
}).pipe(Effect.retry({ times: 50 }), Effect.orDie)
