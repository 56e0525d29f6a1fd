/** `dial connect` and `dial trace` over TLS, as a user runs them: the built command, files, a server on loopback. */
import { Effect, Exit, Scope } from "effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type * as tls from "node:tls"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { certificates } from "../support/certificates.js"
import * as Servers from "../support/tls.js"
import { dial, objects } from "./dial.js"

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
    "other.key": otherClient.key
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

describe("bad usage", () => {
  it.each<readonly [words: ReadonlyArray<string>, says: string]>([
    [["tls://a:1", "--ca", "nowhere.pem"], "--ca: cannot read \"nowhere.pem\": NotFound"],
    [["tls://a:1", "--ca", "me.key"], "--ca: there is no certificate in PEM in"],
    [["tls://a:1", "--servername", "not a name"], "--servername: \"not a name\" is no name"],
    [["tls://a:1", "--alpn", "h2,,"], "--alpn: \"h2,,\" is no list of protocols"],
    [["tls://a:1", "--cert", "me.pem"], "--cert needs --key FILE"],
    [["tls://a:1", "--key", "me.key"], "--key needs --cert FILE"],
    [["tls://a:1", "--cert", "me.pem", "--key", "me.pem"], "--key: there is no key in PEM"],
    [["tls://a:1", "--cert", "me.pem", "--key", "other.key"], "does not belong to the certificate"],
    [["a:1", "--servername", "a"], "--servername is for TLS: write the endpoint as tls://host:port"],
    [["tls://a:1", "--ca"], "--ca needs a value, as in --ca roots.pem"]
  ])("%j is one line on standard error and exit code 2", async (words, says) => {
    const args = words.map((word) => fs.existsSync(file(word)) ? file(word) : word)
    for (const command of ["connect", "trace"]) {
      const { code, stderr, stdout } = await dial([command, ...args])
      expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: "" })
      expect(stderr).toMatch(/^dial: [^\n]+\n$/)
      expect(stderr).toContain(says)
    }
  })
})
