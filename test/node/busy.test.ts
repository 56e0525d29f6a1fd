/** A process that was kept from its sockets does not take its own slowness for the network's. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import * as Dgram from "node:dgram"
import { once } from "node:events"
import * as Dialer from "../../src/Dialer.js"
import * as DialEvent from "../../src/DialEvent.js"
import * as DnsMessage from "../../src/DnsMessage.js"
import * as DnsResolver from "../../src/DnsResolver.js"
import * as Endpoint from "../../src/Endpoint.js"
import { NodeTransport } from "../../src/node/index.js"
import * as Resolver from "../../src/Resolver.js"
import { NameServer } from "../../src/testing/index.js"
import { at, ip } from "../support/addresses.js"
import * as Loopback from "../support/loopback.js"

/** Nothing else happens in this process for so many milliseconds. */
const beBusy = (millis: number): void => {
  const until = performance.now() + millis
  while (performance.now() < until) { /* on purpose */ }
}

describe("a process that is busy for longer than", () => {
  it.live("the attempt delay starts no second attempt beside a connection it has", () =>
    Effect.scoped(Effect.gen(function*() {
      const { address } = yield* Loopback.listen({ host: "127.0.0.2" })
      const port = Loopback.portNumber(address)
      const names = Resolver.layerStatic({ "two.test": [ip("127.0.0.2"), ip("127.0.0.3")] })
      const network = Layer.provide(Dialer.layer, Layer.merge(names, NodeTransport.layer))
      const started: Array<string> = []
      const observe: DialEvent.Observe = () => (event) => {
        if (event._tag !== "AttemptStarted") return
        started.push(String(event.address))
        // Node connects in the next tick; the tick after that is before any socket is read.
        process.nextTick(() => process.nextTick(beBusy, 150))
      }
      const dial = Dialer.dial(`two.test:${port}`, { attemptDelay: "100 millis" })
      const connection = yield* Effect.provide(DialEvent.observe(dial, observe), network)
      expect([String(connection.remoteAddress), started]).toEqual([`127.0.0.2:${port}`, [`127.0.0.2:${port}`]])
    })))

  it.live("a name server's timeout takes the answer that has come", () =>
    Effect.scoped(Effect.gen(function*() {
      const { replies } = NameServer.make({ "web.test": { A: ["192.0.2.1"] } })
      const server = Dgram.createSocket("udp4")
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      yield* Effect.promise(async () => {
        server.bind(0, "127.0.0.1")
        await once(server, "listening")
      })
      server.on("message", (bytes, from) => {
        for (const { bytes: reply } of replies(Either.getOrThrow(DnsMessage.decode(bytes)), "udp", 0)) {
          server.send(reply, from.port, from.address)
          beBusy(150)
        }
      })
      const dns = DnsResolver.layerServers({
        servers: [at(`127.0.0.1:${server.address().port}`)],
        timeout: "100 millis",
        attempts: 1
      })
      const found = yield* Effect.provide(
        Dialer.resolveAddress(Endpoint.unsafeParse("web.test:80"), { families: ["inet"] }),
        Layer.provide(dns, NodeTransport.layer)
      )
      expect(found.map(String)).toEqual(["192.0.2.1:80"])
    })))
})
