import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Daemons from "../support/daemons.js"
import { rawConnect, until } from "../support/loopback.js"

const node: Daemons.Program = { name: "node", package: "nodejs", directories: [path.dirname(process.execPath)] }

/** A program with a child: both hold the port, and neither heeds TERM. */
const stubborn = `
const { spawn } = require("node:child_process")
process.on("SIGTERM", () => {})
const server = require("node:net").createServer().listen(Number(process.argv[1]), "127.0.0.1", () => {
  const stdio = ["ignore", "ignore", "ignore", server._handle.fd]
  spawn("/bin/sh", ["-c", "trap '' TERM; while :; do sleep 1; done"], { stdio })
})
`

/** Writes a line at each start. */
const counter = `
require("node:fs").appendFileSync("starts", "start\\n")
require("node:net").createServer().listen(Number(process.argv[1]), "127.0.0.1")
`

const connects = (port: number) => Effect.scoped(rawConnect({ host: "127.0.0.1", port }))

const nobodyAt = (port: number) =>
  until(`port ${port} to be left`, () => {
    const rows = fs.readFileSync("/proc/net/tcp", "utf8")
    return !rows.includes(`:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`)
  })

describe("a daemon of a test", () => {
  it.live("answers once it has started, and with its Scope it is gone with its children", () =>
    Effect.gen(function*() {
      const port = yield* Effect.scoped(Effect.gen(function*() {
        const daemon = yield* Daemons.start(node, ({ ports: [port] }) => ({
          arguments: ["-e", stubborn, String(port)],
          ready: Effect.sandbox(connects(port))
        }))
        yield* connects(daemon.ports[0])
        return daemon.ports[0]
      }))
      yield* nobodyAt(port)
    }))

  it.live("does not outlive the process of its test", () =>
    Effect.gen(function*() {
      const script = `
        const child = require("node:child_process").spawn("/bin/sh", ["-c", process.argv[1], "guard", ...process.argv.slice(2)], {
          detached: true,
          stdio: ["pipe", "pipe", "inherit"]
        })
        child.stdout.pipe(process.stdout)
      `
      const server = `
        const server = require("node:net").createServer().listen(0, "127.0.0.1", () => console.log(server.address().port))
      `
      const owner = spawn(process.execPath, ["-e", script, Daemons.guard, process.execPath, "-e", server], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      const [line] = yield* Effect.promise(() => once(owner.stdout, "data"))
      yield* connects(Number(line))
      owner.kill("SIGKILL")
      yield* nobodyAt(Number(line))
    }))

  it.live("that ends before it answers is a defect with what it printed", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(
        Daemons.start(node, () => ({
          arguments: ["-e", "console.error('no such option'); process.exit(3)"],
          ready: Effect.fail("not yet")
        }))
      ))
      expect(defect(exit)).toMatch(/node: .*it ended by itself \(code 3\)\nno such option/)
    }))

  it.live("that was killed starts again at the same port, with the files it left", () =>
    Effect.scoped(Effect.gen(function*() {
      const daemon = yield* Daemons.start(node, ({ ports: [port] }) => ({
        arguments: ["-e", counter, String(port)],
        ready: Effect.sandbox(connects(port))
      }))
      yield* daemon.kill
      yield* nobodyAt(daemon.ports[0])
      yield* daemon.restart
      yield* connects(daemon.ports[0])
      expect(fs.readFileSync(path.join(daemon.directory, "starts"), "utf8")).toBe("start\nstart\n")
    })))

  it.live("that must not be root is somebody else, and so are its files", () =>
    Effect.scoped(Effect.gen(function*() {
      const daemon = yield* Daemons.start({ ...node, unprivileged: true }, ({ ports: [port] }) => ({
        arguments: ["-e", counter, String(port)],
        files: { given: "" },
        prepare: [[{ name: "touch", package: "coreutils" }, "prepared"]],
        ready: Effect.sandbox(connects(port))
      }))
      const owners = ["given", "prepared", "starts"].map((name) => fs.statSync(path.join(daemon.directory, name)).uid)
      const user = process.getuid!() === 0 ? 65_534 : process.getuid!()
      expect(owners).toEqual([user, user, user])
    })))

  it.live("whose program is not installed is a defect that names the package", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(
        Daemons.start({ name: "no-such-daemon", package: "no-such" }, () => ({ arguments: [], ready: Effect.void }))
      ))
      expect(defect(exit)).toContain("no-such-daemon is not installed: Debian's package no-such")
    }))
})

const defect = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) ? String(Option.getOrUndefined(Cause.dieOption(exit.cause))) : "no defect"
