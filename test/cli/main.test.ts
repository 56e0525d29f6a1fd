import { Effect, Exit, Scope } from "effect"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import type { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, it, vi } from "vitest"
import {
  type DatagramPeer,
  deferred,
  dial,
  listen,
  listenAt,
  listenForDatagrams,
  objects,
  type Peer,
  shows,
  socketsTo,
  start
} from "./dial.js"

const peers: Array<Pick<Peer, "close">> = []
const scopes: Array<Scope.CloseableScope> = []

afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.close()))
  await Promise.all(scopes.splice(0).map((scope) => Effect.runPromise(Scope.close(scope, Exit.void))))
})

const peer = async (accept: (socket: Socket) => void): Promise<Peer> => {
  const made = await listen(accept)
  peers.push(made)
  return made
}

const datagramPeer = async (...answers: Parameters<typeof listenForDatagrams>): Promise<DatagramPeer> => {
  const made = await listenForDatagrams(...answers)
  peers.push(made)
  return made
}

/** A port on 127.0.0.1 that nobody listens on. */
const refusing = async (): Promise<string> => {
  const made = await listen(() => {})
  await made.close()
  return made.endpoint
}

/** A port on 127.0.0.2 where no SYN is answered. The lab is that of dist, whose worker is JavaScript. */
const silentPort = async (): Promise<number> => {
  const lab: typeof import("../../src/cli/lab.js") = await import(
    new URL("../../dist/cli/lab.js", import.meta.url).href
  )
  const scope = Effect.runSync(Scope.make())
  scopes.push(scope)
  return Effect.runPromise(Scope.extend(lab.build({ "127.0.0.2": "silent" }), scope))
}

const echo = (socket: Socket) => socket.pipe(socket)
const tags = (stdout: Buffer) => objects(stdout).map((event) => event["_tag"])

describe("dial trace", () => {
  it("--json tells of a connected dial, and nothing else", async () => {
    const ended = deferred<void>()
    const { endpoint, port } = await peer((socket) => socket.resume().on("end", () => ended.resolve()))
    const { code, stderr, stdout } = await dial(["trace", endpoint, "--json"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const target = { address: "127.0.0.1", port, family: "inet" }
    expect(objects(stdout)).toEqual([
      { _tag: "AttemptStarted", at: expect.any(Number), attempt: 0, ...target },
      { _tag: "AttemptConnected", at: expect.any(Number), attempt: 0, ...target },
      {
        _tag: "Connected",
        at: expect.any(Number),
        ...target,
        localAddress: "127.0.0.1",
        localPort: expect.any(Number),
        elapsedMillis: expect.any(Number)
      }
    ])
    await ended.promise
  })

  it("--json tells of every answer for a name", async () => {
    const { port } = await peer(() => {})
    const { code, stdout } = await dial(["trace", "--json", `localhost:${port}`])
    expect(code).toBe(0)
    const events = objects(stdout)
    expect(events[0]).toMatchObject({ _tag: "ResolutionStarted", name: "localhost" })
    expect(events.filter((event) => event["_tag"] === "AddressesResolved")).toContainEqual(
      { _tag: "AddressesResolved", at: expect.any(Number), name: "localhost", family: "inet", addresses: ["127.0.0.1"] }
    )
    expect(events.at(-1)).toMatchObject({ _tag: "Connected", address: "127.0.0.1", port, family: "inet" })
    const times = events.map((event) => Number(event["at"]))
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })

  it("exits 1 on a refused port, with DialFailed last and the story on standard error", async () => {
    const endpoint = await refusing()
    const { code, stderr, stdout } = await dial(["trace", endpoint, "--json"])
    expect(code).toBe(1)
    expect(tags(stdout)).toEqual(["AttemptStarted", "AttemptFailed", "DialFailed"])
    expect(objects(stdout)[1]).toMatchObject({ attempt: 0, reason: "Refused", code: "ECONNREFUSED" })
    expect(objects(stdout)[2]).toMatchObject({
      error: "AllAttemptsFailed",
      attempts: [{ attempt: 0, address: "127.0.0.1", outcome: "Failed", reason: "Refused" }]
    })
    expect(stderr).toContain(`dial tcp://${endpoint}`)
    expect(stderr).toContain("ECONNREFUSED")
  })

  it("writes plain text where there is no terminal", async () => {
    const { endpoint } = await peer(() => {})
    const { code, stdout } = await dial(["trace", endpoint])
    expect(code).toBe(0)
    expect(stdout.toString().replaceAll(/ +[0-9.]+ ms|:[0-9]+|after/g, (found) => found.startsWith(":") ? ":N" : "T"))
      .toBe(
        "tcp://127.0.0.1:N\nT  #0 127.0.0.1:N started\nT  #0 127.0.0.1:N connected TT\n" +
          "T  connected to 127.0.0.1:N from 127.0.0.1:N\n"
      )
  })

  it("of a udp endpoint says that connected means less there", async () => {
    const { close, endpoint } = await datagramPeer(() => [])
    await close()
    const { code, stderr, stdout } = await dial(["trace", endpoint])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const lines = stdout.toString().trimEnd().split("\n")
    expect(lines[0]).toBe(`${endpoint}  nothing is sent: connected is an address that there is a way to`)
    expect(lines.at(-1)).toContain(`connected to ${endpoint.slice("udp://".length)} from 127.0.0.1:`)
  })

  it("of a UNIX socket tells its path", async () => {
    const { close } = await listenAt({ path: "\0dial-cli-trace" }, () => {})
    const { code, stdout } = await dial(["trace", "unix:@dial-cli-trace", "--json"])
    await close()
    expect(code).toBe(0)
    expect(objects(stdout).at(-1)).toMatchObject({ _tag: "Connected", address: "@dial-cli-trace", family: "unix" })
  })

  it("gives up at its timeout", async () => {
    const { code, stderr, stdout } = await dial([
      "trace",
      `127.0.0.2:${await silentPort()}`,
      "--timeout",
      "300ms",
      "--json"
    ])
    expect(code).toBe(1)
    expect(tags(stdout)).toEqual(["AttemptStarted", "AttemptStopped", "DialFailed"])
    expect(objects(stdout)[2]).toMatchObject({ error: "DialTimeout" })
    expect(stderr).toContain("timed out after 300 ms")
  })

  it("exits 130 on Ctrl-C and leaves no pending connect behind", async () => {
    const port = await silentPort()
    const pendingBefore = socketsTo(port, "02")
    const { child, result } = start("trace", `127.0.0.2:${port}`, "--json", "--timeout", "1m")
    await shows(child, "AttemptStarted")
    await vi.waitFor(() => expect(socketsTo(port, "02")).toBe(pendingBefore + 1), 5000)
    child.kill("SIGINT")
    const { code, signal, stdout } = await result
    expect({ code, signal }).toEqual({ code: 130, signal: null })
    expect(tags(stdout)).toEqual(["AttemptStarted", "AttemptStopped"])
    expect(socketsTo(port, "02")).toBe(pendingBefore)
  })

  it("ends quietly when its reader has gone", async () => {
    const { child, result } = start("trace", `127.0.0.2:${await silentPort()}`, "--timeout", "300ms")
    child.stdout.destroy()
    const { code, stderr } = await result
    expect({ code, stderr }).toEqual({ code: 141, stderr: "" })
  })
})

describe("dial connect", () => {
  it("relays a mebibyte of binary there and back, byte for byte", async () => {
    const { endpoint } = await peer(echo)
    const bytes = randomBytes(1024 * 1024)
    const { code, stderr, stdout } = await dial(["connect", endpoint], bytes)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout.equals(bytes)).toBe(true)
  })

  it("half-closes at the end of input and goes on reading", async () => {
    const { endpoint } = await peer((socket) => {
      let count = 0
      socket.on("data", (chunk) => {
        count += chunk.length
      }).on("end", () => socket.end(`got ${count}`))
    })
    const { code, stdout } = await dial(["connect", endpoint], "twelve bytes")
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: "got 12" })
  })

  it("sends what input there is after the peer has ended its half", async () => {
    const received = deferred<string>()
    const { endpoint } = await peer((socket) => {
      const chunks: Array<Buffer> = []
      socket.on("data", (chunk) => chunks.push(chunk)).on(
        "end",
        () => received.resolve(Buffer.concat(chunks).toString())
      )
      socket.end("first")
    })
    const { child, result } = start("connect", endpoint)
    await shows(child, "first")
    child.stdin.end("last word")
    expect(await received.promise).toBe("last word")
    expect((await result).code).toBe(0)
  })

  it("ends when the peer has ended and nothing more is typed", async () => {
    const { endpoint } = await peer((socket) => socket.end("bye"))
    const { child, result } = start("connect", endpoint)
    const { code, stdout } = await result
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: "bye" })
    child.stdin.destroy()
  })

  it("exits 1 when the connection is lost, and says how", async () => {
    const { endpoint } = await peer((socket) => socket.on("data", () => socket.resetAndDestroy()))
    const { child, result } = start("connect", endpoint)
    child.stdin.write("hello")
    const { code, stderr } = await result
    expect(code).toBe(1)
    expect(stderr).toBe(`connection to ${endpoint} lost: reset by peer (ECONNRESET)\n`)
  })

  it.each([["path", "/it"], ["abstract name", "@dial-cli"]])("relays over a UNIX socket by its %s", async (_, name) => {
    const directory = await mkdtemp(join(tmpdir(), "dial-cli-"))
    try {
      const at = name.startsWith("/") ? `${directory}${name}` : name
      const { close } = await listenAt({ path: at.replace("@", "\0") }, echo)
      const { code, stderr, stdout } = await dial(["connect", `unix:${at}`], "hello")
      await close()
      expect({ code, stderr, stdout: stdout.toString() }).toEqual({ code: 0, stderr: "", stdout: "hello" })
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it("exits 1 when there is no such UNIX socket", async () => {
    const { code, stderr } = await dial(["connect", "unix:/nonexistent/it"])
    expect(code).toBe(1)
    expect(stderr).toContain("no such socket (ENOENT)")
  })

  it("exits 1 when the dial fails", async () => {
    const { code, stderr, stdout } = await dial(["connect", await refusing()])
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toContain("connection refused")
  })

  it("exits 130 on Ctrl-C and the peer sees the connection go", async () => {
    const accepted = deferred<Socket>()
    const { endpoint } = await peer((socket) => accepted.resolve(socket.resume()))
    const { child, result } = start("connect", endpoint)
    const socket = await accepted.promise
    const gone = Promise.race(
      [once(socket, "close"), once(socket, "error"), once(socket, "end")].map((event) => event.catch(() => {}))
    )
    child.stdin.write("x")
    await once(socket, "data")
    child.kill("SIGINT")
    expect((await result).code).toBe(130)
    await gone
  })
})

describe("dial connect udp://", () => {
  it("sends each piece of input as a datagram, and writes each that comes", async () => {
    const { endpoint, heard } = await datagramPeer((bytes) => [`<${bytes}>`])
    const { child, result } = start("connect", endpoint)
    for (const line of ["one\n", "two\n"]) {
      const shown = shows(child, `<${line}>`)
      child.stdin.write(line)
      await shown
    }
    child.stdin.end()
    const { code, stderr, stdout } = await result
    expect({ code, stderr, stdout: stdout.toString() }).toEqual({ code: 0, stderr: "", stdout: "<one\n><two\n>" })
    expect(heard.map(String)).toEqual(["one\n", "two\n"])
  })

  it("cuts input that no datagram holds, and loses none of it", async () => {
    const { endpoint, heard } = await datagramPeer(() => [])
    const bytes = randomBytes(65_536)
    const { code, stderr } = await dial(["connect", endpoint], bytes)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(Math.max(...heard.map(({ length }) => length))).toBeLessThanOrEqual(16_384)
    expect(Buffer.concat(heard).equals(bytes)).toBe(true)
  })

  it("exits 1 when nobody listens, and says so", async () => {
    const { close, endpoint } = await datagramPeer(() => [])
    await close()
    const { code, stderr } = await dial(["connect", endpoint], "hello")
    expect(code).toBe(1)
    expect(stderr).toBe(`connection to ${endpoint.slice("udp://".length)} lost: nobody listens there (ECONNREFUSED)\n`)
  })

  it("exits 130 on Ctrl-C", async () => {
    const { endpoint } = await datagramPeer(() => ["hello"])
    const { child, result } = start("connect", endpoint)
    const shown = shows(child, "hello")
    child.stdin.write("?")
    await shown
    child.kill("SIGINT")
    expect((await result).code).toBe(130)
  })
})

describe("bad usage", () => {
  it.each([
    [["trace", "127.1:80"], "four are needed"],
    [["connect", "localhost"], "localhost"],
    [["trace", "a:1", "--timeout", "10"], "\"10\" is no timeout"],
    [["trace"], "needs an endpoint"],
    [["trace", "a:1", "--jsn"], "--jsn"],
    [["trace", "--bogus", "a:1"], "--bogus"],
    [["trace", "127.0.0.1:1", "--timeout"], "--timeout needs a value"],
    [["conect", "a:1"], "conect"],
    [["trace", "\u009b2J\u202e"], "\\u009b2J\\u202e"],
    [["connect", "a:1", "\u007f"], "\\u007f"]
  ])("%j is one line on standard error and exit code 2", async (args, says) => {
    const { code, stderr, stdout } = await dial(args)
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toMatch(/^dial: [^\n]+\n$/)
    expect(stderr).toContain(says)
  })
})

describe("about itself", () => {
  it("--version is the package's", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
    const { code, stdout } = await dial(["--version"])
    expect({ code, version: stdout.toString().trim() }).toEqual({ code: 0, version })
  })

  it("--help names every command, without escape codes in a pipe", async () => {
    const { code, stdout } = await dial(["--help"])
    expect(code).toBe(0)
    for (const name of ["connect", "trace", "demo"]) expect(stdout.toString()).toContain(name)
    expect(stdout.includes(0x1b)).toBe(false)
  })

  it("--completions gives a script for the shell", async () => {
    const { code, stdout } = await dial(["--completions", "bash"])
    expect(code).toBe(0)
    expect(stdout.toString()).toContain("complete -F _dial_bash_completions")
  })
})

describe("dial demo", () => {
  it("shows every kind of dial in under 10 s and ends with the story of one that failed", async () => {
    const { code, stderr, stdout } = await dial(["demo"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const scenes = stdout.toString().split(/\n(?=\S+\.lab:\d+\n)/).slice(1)
    expect(scenes.map((scene) => scene.slice(0, scene.indexOf(":")))).toEqual([
      "good.lab",
      "refused-then-good.lab",
      "silent-then-good.lab",
      "rough.lab",
      "dead.lab"
    ])
    const [good, refused, silent, rough, dead] = scenes
    for (const scene of [good, refused, silent, rough]) expect(scene).toContain("connected to ")
    expect(good).not.toContain("#1")
    expect(refused).toMatch(/#0 .* refused\n.*#1 .* connected\n/)
    expect(silent).toMatch(/#0 .* stopped\n.*#1 .* connected\n/)
    expect(rough).toMatch(/stopped\n.* refused\n.* connected\n/)
    expect(dead).toContain("no address connected")
    expect(dead?.trimEnd().split("\n").at(-1)).toContain("connection refused (ECONNREFUSED)")
    expect(stdout.includes(0x1b)).toBe(false)
  })

  it("takes its lab down on Ctrl-C", async () => {
    const { child, result } = start("demo")
    await shows(child, "good.lab")
    child.kill("SIGINT")
    expect((await result).code).toBe(130)
  })
})
