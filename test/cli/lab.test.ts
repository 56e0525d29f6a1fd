// The lab's worker is JavaScript, so this is the lab that was built; its types are those of the source.
import { Duration, Effect, Either, Exit, Layer, Scope } from "effect"
import { connect, createServer } from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import * as Json from "../../src/cli/json.js"
import { Address, Dialer, DialEvent, Resolver } from "../../src/index.js"
import { NodeNetwork } from "../../src/node/index.js"

const Lab: typeof import("../../src/cli/lab.js") = await import(new URL("../../dist/cli/lab.js", import.meta.url).href)

const hosts = { "127.0.0.2": "silent", "127.0.0.4": "refusing", "127.0.0.8": "good" } as const
let scope: Scope.CloseableScope
let port: number

beforeEach(async () => {
  scope = Effect.runSync(Scope.make())
  port = await Effect.runPromise(Scope.extend(Lab.build(hosts), scope))
})

afterEach(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const dial = (host: string) =>
  Dialer.dial(`${host}:${port}`, { timeout: "300 millis" }).pipe(
    Effect.scoped,
    Effect.either,
    Effect.map(Either.match({ onLeft: (error) => error._tag, onRight: () => "connected" })),
    Effect.provide(NodeNetwork.layer),
    Effect.runPromise
  )

describe("the lab", () => {
  it("has hosts that accept, refuse and are silent", async () => {
    expect(await dial("127.0.0.8")).toBe("connected")
    expect(await dial("127.0.0.4")).toBe("AllAttemptsFailed")
    expect(await dial("127.0.0.2")).toBe("DialTimeout")
    expect(await dial("127.0.0.2")).toBe("DialTimeout")
  })

  it("frees its ports when its Scope closes", async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    for (const host of Object.keys(hosts)) {
      await new Promise<void>((resolve, reject) => {
        const server = createServer().on("error", reject)
        server.listen(port, host, () => server.close(() => resolve()))
      })
    }
  })

  it("closes connections that are still open", async () => {
    const socket = connect(port, "127.0.0.8")
    await new Promise((resolve) => socket.once("connect", resolve))
    const closed = new Promise((resolve) => socket.on("error", () => {}).once("close", resolve))
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await closed
  })

  it("shows in JSON lines what real sockets did for a name with several addresses", async () => {
    const lines: Array<string> = []
    const network = Layer.fresh(Dialer.layer).pipe(
      Layer.provide(Resolver.layerStatic({ "rough.lab": Object.keys(hosts).map(Address.unsafeParse) })),
      Layer.provide(NodeNetwork.layer)
    )
    await Dialer.dial(`rough.lab:${port}`, { attemptDelay: Duration.millis(100) }).pipe(
      (dialing) => DialEvent.observe(dialing, () => (event) => lines.push(Json.line(event))),
      Effect.scoped,
      Effect.provide(network),
      Effect.runPromise
    )
    const [silent, refusing, good] = Object.keys(hosts).map((address, attempt) => ({
      attempt,
      address,
      port,
      family: "inet"
    }))
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { _tag: "ResolutionStarted", name: "rough.lab" },
      { _tag: "ResolutionFailed", family: "inet6", reason: "NotFound" },
      { _tag: "AddressesResolved", family: "inet", addresses: Object.keys(hosts) },
      { _tag: "Planned", candidates: Object.keys(hosts).map((address) => ({ address, port })) },
      { _tag: "AttemptStarted", ...silent },
      { _tag: "AttemptStarted", ...refusing },
      { _tag: "AttemptFailed", ...refusing, reason: "Refused" },
      { _tag: "AttemptStarted", ...good },
      { _tag: "AttemptConnected", ...good },
      { _tag: "AttemptStopped", ...silent },
      { _tag: "Connected", address: "127.0.0.8", port, localAddress: expect.stringMatching(/^127\./) }
    ])
  })
})
