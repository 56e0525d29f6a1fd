/** `dial connect` and `dial trace` over TLS, as a user runs them: the built command, files, a server on loopback. */
import { Effect, Either, Exit, Option, Scope } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type * as tls from "node:tls"
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { parseTls, type TlsWords } from "../../src/cli/tls.js"
import * as Endpoint from "../../src/Endpoint.js"
import { certificates } from "../support/certificates.js"
import * as Servers from "../support/tls.js"
import { dial, listen, main, objects, shows, start } from "./dial.js"

const scopes: Array<Scope.CloseableScope> = []

let directory = ""

const file = (name: string): string => path.join(directory, name)

beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "dial-tls-"))
  const { client, otherClient, root } = certificates
  const files = {
    "root.pem": root.certificate,
    "me.pem": client.certificate,
    "me.key": client.key,
    "other.key": otherClient.key,
    "locked.key": createPrivateKey(client.key).export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "secret"
    }),
    "root.der": new X509Certificate(root.certificate).raw,
    "empty.pem": "",
    "noise": randomBytes(5000),
    "second.pem": `${root.certificate}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    "huge.pem": root.certificate + " ".repeat(4 * 1024 * 1024)
  }
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(file(name), text)
})

afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

afterEach(async () => {
  await Promise.all(scopes.splice(0).map((scope) => Effect.runPromise(Scope.close(scope, Exit.void))))
})

const serve = async (options: tls.TlsOptions, conversation?: (socket: tls.TLSSocket) => void) => {
  const scope = Effect.runSync(Scope.make())
  scopes.push(scope)
  const server = await Effect.runPromise(Scope.extend(Servers.serve(options, conversation), scope))
  return { ...server, endpoint: `tls://127.0.0.1:${server.port}` }
}

describe("dial trace", () => {
  it("tells what was agreed on, and with whom", async () => {
    const { endpoint } = await serve({ ALPNProtocols: ["h2"] })
    const { code, stderr, stdout } = await dial([
      "trace",
      endpoint,
      "--ca",
      file("root.pem"),
      "--servername",
      "db.test",
      "--alpn",
      "h2,http/1.1",
      "--json"
    ])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const events = objects(stdout)
    expect(events.map((event) => event["_tag"])).toEqual([
      "AttemptStarted",
      "AttemptEstablishing",
      "AttemptSecured",
      "AttemptConnected",
      "Connected"
    ])
    expect(events[2]).toMatchObject({
      protocol: "TLSv1.3",
      alpn: "h2",
      serverName: "db.test",
      verified: true,
      certificates: [{ subject: "CN=good", issuer: "CN=Test Root" }]
    })
  })

  it("tells the same in lines where there is no terminal", async () => {
    const { endpoint } = await serve({})
    const { code, stdout } = await dial(["trace", endpoint, "--ca", file("root.pem")])
    expect(code).toBe(0)
    expect(stdout.toString()).toMatch(/#0 \S+ establishing\n.*#0 \S+ secured after [\d.]+ ms: TLSv1.3, CN=good\n/)
  })

  it("exits 1 on a certificate that is not trusted, and says whose it is", async () => {
    const { endpoint } = await serve({})
    const { code, stderr, stdout } = await dial(["trace", endpoint])
    expect(code).toBe(1)
    expect(stdout.toString()).toContain("TLS: incomplete chain (UNABLE_TO_VERIFY_LEAF_SIGNATURE)")
    expect(stderr).toContain("CN=good for localhost, db.test")
    expect(stderr).toContain(`dial ${endpoint}`)
  })
})

describe("a peer that says nothing", () => {
  it("is given up at the timeout, and told as one that connected", async () => {
    const { close, endpoint } = await listen(() => {})
    const { code, stderr, stdout } = await dial(["trace", `tls://${endpoint}`, "--timeout", "300ms"])
    expect(code).toBe(1)
    expect(stdout.toString()).toContain("failed: timed out while establishing")
    expect(stderr).toContain("connected, still being established")
    await close()
  })

  it("sees the connection go on Ctrl-C, which exits 130", async () => {
    const seen = { sockets: 0, gone: 0 }
    const { close, endpoint } = await listen((socket) => {
      seen.sockets += 1
      socket.on("end", () => socket.end()).on("close", () => seen.gone += 1).resume()
    })
    const { child, result } = start("trace", `tls://${endpoint}`, "--json")
    await shows(child, "AttemptEstablishing")
    child.kill("SIGINT")
    const { code, stderr, stdout } = await result
    const last = objects(stdout).at(-1)?.["_tag"]
    expect({ code, stderr, last }).toEqual({ code: 130, stderr: "", last: "AttemptStopped" })
    await vi.waitFor(() => expect(seen).toEqual({ sockets: 1, gone: 1 }), 5000)
    await close()
  })
})

describe("dial connect", () => {
  it("relays over TLS, byte for byte, and ends with the peer", async () => {
    const { endpoint } = await serve({}, Servers.echo)
    const bytes = randomBytes(300_000)
    const { code, stderr, stdout } = await dial(["connect", endpoint, "--ca", file("root.pem")], bytes)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout.equals(bytes)).toBe(true)
  })

  it("shows its certificate", async () => {
    const { endpoint } = await serve(
      { requestCert: true, rejectUnauthorized: true, ca: certificates.root.certificate },
      (socket) => socket.on("data", () => socket.end(String(socket.getPeerCertificate().subject.CN)))
    )
    const args = ["connect", endpoint, "--ca", file("root.pem"), "--cert", file("me.pem"), "--key", file("me.key")]
    const { code, stdout } = await dial(args, "who am I?")
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: "a client" })
  })

  it("exits 1 when what came may have been cut short, after what did come", async () => {
    const server = await serve({}, (socket) => {
      socket.once("data", () => socket.write("half of", () => server.accepted[0]?.end()))
    })
    const { code, stderr, stdout } = await dial(["connect", server.endpoint, "--ca", file("root.pem")], "all of it?")
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 1, stdout: "half of" })
    expect(stderr).toBe(`connection to 127.0.0.1:${server.port} lost: the stream may have been cut short\n`)
  })
})

describe("a FIFO", () => {
  const fifo = (name: string): string => {
    execFileSync("bash", ["-c", "mkfifo \"$0\"", file(name)])
    return file(name)
  }

  /** The other end, as soon as somebody reads; until then there is none to open. */
  const writer = (path: string): Promise<number> =>
    vi.waitFor(() => fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK), 5000)

  const holds = (pid: number | undefined, path: string): boolean =>
    fs.readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return fs.readlinkSync(`/proc/${pid}/fd/${fd}`) === path
      } catch {
        return false
      }
    })

  it.each([
    ["--ca", (path: string) => ["--ca", path]],
    ["--cert", (path: string) => ["--cert", path, "--key", file("me.key")]],
    ["--key", (path: string) => ["--cert", file("me.pem"), "--key", path]]
  ])("that nobody writes to, as %s, ends with Ctrl-C and exit code 130", async (option, words) => {
    const path = fifo(`unwritten${option}`)
    const { child, result } = start("trace", "tls://127.0.0.1:1", ...words(path))
    await vi.waitFor(() => expect(holds(child.pid, path)).toBe(true), 5000)
    child.kill("SIGINT")
    const { code, stderr, stdout } = await result
    expect({ code, stderr, stdout: stdout.toString() }).toEqual({ code: 130, stderr: "", stdout: "" })
  })

  it("whose writer says nothing ends with Ctrl-C too", async () => {
    const path = fifo("silent.pem")
    const { child, result } = start("trace", "tls://127.0.0.1:1", "--ca", path)
    const end = await writer(path)
    child.kill("SIGINT")
    const { code, stderr } = await result
    fs.closeSync(end)
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" })
  })

  it("is waited for, and read to its end, however slowly it is written", async () => {
    const { endpoint } = await serve({})
    const path = fifo("slow.pem")
    const { result } = start("trace", endpoint, "--ca", path)
    const end = await writer(path)
    const half = certificates.root.certificate.length / 2
    fs.writeSync(end, certificates.root.certificate.slice(0, half))
    fs.writeSync(end, certificates.root.certificate.slice(half))
    fs.closeSync(end)
    const { code, stderr } = await result
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it("may be what a shell makes of a command", async () => {
    const { endpoint } = await serve({})
    const line = `"$0" "$1" trace "$2" --ca <(cat "$3")`
    const shell = spawn("bash", ["-c", line, process.execPath, main, endpoint, file("root.pem")], { timeout: 9000 })
    const said = { stderr: "" }
    shell.stderr.on("data", (chunk: Buffer) => said.stderr += chunk.toString())
    const code = await new Promise((resolve) => shell.on("close", resolve))
    expect({ code, ...said }).toEqual({ code: 0, stderr: "" })
  })
})

describe("bad usage", () => {
  it.each<readonly [words: ReadonlyArray<string>, says: string]>([
    [["tls://a:1", "--ca", "nowhere.pem"], "--ca: cannot read \"nowhere.pem\": no such file or directory (ENOENT)"],
    [["a:1", "--servername", "a"], "--servername is for TLS: write the endpoint as tls://host:port"],
    [["tls://a:1", "--ca"], "--ca needs a value, as in --ca roots.pem"]
  ])("%j is one line on standard error and exit code 2", async (words, says) => {
    for (const command of ["connect", "trace"]) {
      const { code, stderr, stdout } = await dial([command, ...words])
      expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: "" })
      expect(stderr).toBe(`dial: ${says} (see dial --help)\n`)
    }
  })
})

type Words = Partial<Record<keyof TlsWords, string>>

/** What `dial connect tls://a:1` makes of words, of which those that are the name of a file here stand for that. */
const understood = (words: Words) => {
  const given = (word: keyof TlsWords): Option.Option<string> =>
    Option.map(
      Option.fromNullable(words[word]),
      (text) => text !== "" && fs.existsSync(file(text)) ? file(text) : text
    )
  const parsed = parseTls(Endpoint.unsafeParse("tls://a:1"), {
    ca: given("ca"),
    servername: given("servername"),
    alpn: given("alpn"),
    cert: given("cert"),
    key: given("key")
  })
  return Effect.runPromise(Effect.either(parsed))
}

describe("a word that cannot mean anything", () => {
  it.each<readonly [words: Words, says: string]>([
    [{ ca: "." }, "--ca: cannot read {}: illegal operation on a directory (EISDIR)"],
    [{ ca: "me.key" }, "--ca: there is no certificate in PEM in {}"],
    [{ ca: "empty.pem" }, "--ca: there is no certificate in PEM in {}"],
    [
      { ca: "root.der" },
      "--ca: there is no certificate in PEM in {}: it is DER, of which openssl x509 -inform der makes PEM"
    ],
    [{ ca: "noise" }, "--ca: there is no certificate in PEM in {}"],
    [{ ca: "second.pem" }, "--ca: number 2 of 2 in {} is no certificate"],
    [{ ca: "huge.pem" }, "--ca: {} is over 4 MiB: it cannot be what is asked for"],
    [{ servername: "not a name" }, "--servername: {} is no name: write one as db.internal"],
    [{ servername: "*.test" }, "--servername: {} is no name: write one as db.internal"],
    [{ servername: "db.test:443" }, "--servername: {} is no name: write one as db.internal"],
    [{ servername: "\u001b[2J" }, "--servername: {} is no name: write one as db.internal"],
    [{ alpn: "" }, "--alpn: {} is no list of protocols: write one as h2,http/1.1"],
    [{ alpn: "h2,," }, "--alpn: {} is no list of protocols: write one as h2,http/1.1"],
    [{ alpn: "a b" }, "--alpn: {} is no list of protocols: write one as h2,http/1.1"],
    [{ alpn: "x".repeat(256) }, "--alpn: {} is no list of protocols: write one as h2,http/1.1"],
    [{ cert: "me.pem" }, "--cert needs --key FILE, the key that belongs to it"],
    [{ key: "me.key" }, "--key needs --cert FILE, the certificate it belongs to"],
    [{ cert: "me.key", key: "me.key" }, "--cert: there is no certificate in PEM in {}"],
    [{ cert: "me.pem", key: "me.pem" }, "--key: there is no key in PEM in {}"],
    [{ cert: "me.pem", key: "locked.key" }, "--key: the key in {} has a passphrase: openssl pkey writes one without"],
    [{ cert: "me.pem", key: "other.key" }, "--key: {} does not belong to the certificate in {}"]
  ])("%j is told in one line", async (words, says) => {
    const { message } = Either.getOrThrow(Either.flip(await understood(words)))
    expect(message).not.toContain("\n")
    expect(message.replaceAll(/"[^"]*"/g, "{}")).toBe(says)
  })
})

describe("words that mean something", () => {
  it("may have spaces between protocols, and an address for a name", async () => {
    expect(Either.getOrThrow(await understood({ alpn: "h2, http/1.1", servername: "::1" }))).toMatchObject({
      alpn: ["h2", "http/1.1"],
      serverName: "::1"
    })
  })

  it("may name files with more in them than certificates, as Windows writes them", async () => {
    const { certificate } = certificates.root
    fs.writeFileSync(
      file("much.pem"),
      `\ufeffThe root of caf\u00e9s\n${certificate}${certificate}`.replaceAll("\n", "\r\n")
    )
    const { roots } = Either.getOrThrow(await understood({ ca: "much.pem" }))
    expect(String(roots).match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
    expect(String(roots)).not.toContain("root")
  })
})
