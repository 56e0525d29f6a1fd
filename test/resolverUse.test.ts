/**
 * DnsResolver as it is used, with the name servers of `test/support/nameServers.ts`: the second server behind one that is
 * gone, a machine's resolv.conf, a dial. And what a forger would have to guess.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { describe, expect, it, layer } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import * as dgram from "node:dgram"
import { once } from "node:events"
import * as fs from "node:fs"
import * as Dialer from "../src/Dialer.js"
import * as DnsMessage from "../src/DnsMessage.js"
import * as DnsResolver from "../src/DnsResolver.js"
import { NodeSourceAddress, NodeTransport } from "../src/node/index.js"
import * as NameServer from "../src/testing/NameServer.js"
import { at } from "./support/addresses.js"
import { describeWith } from "./support/daemons.js"
import { addresses, asking } from "./support/lookups.js"
import * as Loopback from "./support/loopback.js"
import * as NameServers from "./support/nameServers.js"

const { four, six } = NameServers

const both = [`${six(1)} 300`, `${four(1)} 300`]

/** A resolver by files like those of /etc, which are looked at each time. */
const byFiles = (directory: string, options: DnsResolver.DnsOptions = {}) => {
  const files = { resolvConf: `${directory}/resolv.conf`, hosts: `${directory}/hosts`, interval: 0 }
  return Layer.provide(
    DnsResolver.layer({ ...options, files }),
    Layer.merge(NodeTransport.layer, NodeFileSystem.layer)
  )
}

describeWith([NameServers.unbound, NameServers.dnsmasq], "with real name servers", () => {
  layer(NameServers.servers, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("a server that is down is followed by the next", () =>
      Effect.gen(function*() {
        const { unbound } = yield* NameServers.Servers
        const down = yield* Loopback.refusing()
        const twice = Effect.replicateEffect(addresses("both.zone.test"), 2)
        const { opened, value } = yield* asking([down, unbound.address], {}, twice)
        expect(value).toEqual([both, both])
        // The second time the one that is down is asked last.
        expect(opened).toEqual(["dgram", "dgram", "dgram", "dgram", "dgram", "dgram"])
      }).pipe(Effect.scoped))

    it.effect("a server that has gone silent is followed by the next after its timeout, and asked last from then on", () =>
      Effect.gen(function*() {
        const { dnsmasq, unbound } = yield* NameServers.Servers
        yield* Effect.acquireRelease(dnsmasq.signal("STOP"), () => dnsmasq.signal("CONT"))
        const twice = Effect.replicateEffect(Effect.timed(addresses("both.zone.test")), 2)
        const { opened, value } = yield* asking([dnsmasq.address, unbound.address], { timeout: "300 millis" }, twice)
        expect(value.map(([, said]) => said)).toEqual([both, both])
        expect(opened.length).toBe(6)
      }).pipe(Effect.scoped))

    it.effect("a server that refuses is followed by the next", () =>
      Effect.gen(function*() {
        const { dnsmasq, unbound } = yield* NameServers.Servers
        const { value } = yield* asking([dnsmasq.address, unbound.address], {}, addresses("both.data.test"))
        expect(value).toEqual(both)
      }))

    it.effect("the search list and ndots of resolv.conf are obeyed, and those of a new one once it is there", () =>
      Effect.gen(function*() {
        const { unbound } = yield* NameServers.Servers
        const directory = yield* Loopback.temporaryDirectory
        const write = (name: string, text: string) => fs.writeFileSync(`${directory}/${name}`, text)
        write("resolv.conf", "search data.test zone.test\noptions ndots:2\n")
        write("hosts", `${four(77)} pinned\n`)
        yield* Effect.gen(function*() {
          expect(yield* addresses("both")).toEqual(both)
          expect(yield* addresses("a.new")).toEqual(["NotFound 60", `${four(2)} 300`])
          expect(yield* addresses("pinned")).toEqual(["NotFound", four(77)])
          expect(yield* addresses("both.")).toEqual(["ServerFailure", "ServerFailure"])
          write("resolv.conf", "search new.zone.test\n")
          expect(yield* addresses("a")).toEqual(["NotFound 60", `${four(2)} 300`])
          write("hosts", `${six(77)} pinned.a\n${six(78)} a\n`)
          expect(yield* addresses("a")).toEqual([six(78), "NotFound"])
        }).pipe(Effect.provide(byFiles(directory, { servers: [unbound.address] })), Loopback.leavesNoSocket)
      }).pipe(Effect.scoped))

    it.effect("a name is dialed, past the address where nobody is", () =>
      Effect.gen(function*() {
        const { dnsmasq } = yield* NameServers.Servers
        const names = Layer.provide(DnsResolver.layerServers({ servers: [dnsmasq.address] }), NodeTransport.layer)
        const network = Layer.provide(Dialer.layer, Layer.mergeAll(names, NodeSourceAddress.layer, NodeTransport.layer))
        const { address } = yield* Loopback.listen({ host: "127.0.0.1" })
        const dialed = Effect.map(
          Dialer.dial(`here.zone.test:${Loopback.portNumber(address)}`),
          ({ remoteAddress }) => remoteAddress
        )
        expect(yield* Effect.provide(Effect.scoped(dialed), network)).toEqual(address)
      }).pipe(Effect.scoped, Loopback.leavesNoSocket))
  })
})

// Only root may be at port 53, and a network of loopback addresses is Linux's.
const mayServe = process.getuid?.() === 0 && process.platform === "linux"

describeWith([NameServers.unbound], "with a real name server at port 53", () => {
  it.live.skipIf(!mayServe)(
    `resolv.conf alone leads to it${mayServe ? "" : " (skipped: only root on Linux may be there)"}`,
    () =>
      Effect.gen(function*() {
        // Of this process: no other run of the tests is there.
        const host = `127.53.${process.pid >> 8 & 255}.${process.pid & 255 || 1}`
        yield* NameServers.startUnbound({ host, port: 53 })
        const directory = yield* Loopback.temporaryDirectory
        fs.writeFileSync(`${directory}/resolv.conf`, `# ours\nnameserver ${host}\ndomain zone.test\n`)
        expect(yield* Effect.provide(addresses("both"), byFiles(directory))).toEqual(both)
      }).pipe(Effect.scoped)
  )
})

describe("what a forger would have to guess", () => {
  it.live("the ids and the source ports of 200 questions are spread over all that there are", () =>
    Effect.gen(function*() {
      const { replies } = NameServer.make({ "web.test": { A: [four(1)] } })
      const seen: Array<{ readonly id: number; readonly port: number }> = []
      const socket = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const socket = dgram.createSocket("udp4", (bytes, from) => {
            const query = Either.getOrThrow(DnsMessage.decode(bytes))
            seen.push({ id: query.id, port: from.port })
            for (const { bytes } of replies(query, "udp", 0)) socket.send(bytes, from.port, from.address)
          })
          await once(socket.bind(0, "127.0.0.1"), "listening")
          return socket
        }),
        (socket) => Effect.sync(() => socket.close())
      )
      const server = at(`127.0.0.1:${socket.address().port}`)
      yield* asking([server], {}, Effect.replicateEffect(addresses("web.test"), 100))
      const distinct = (numbers: ReadonlyArray<number>) => new Set(numbers).size
      const [ids, ports] = [seen.map(({ id }) => id), seen.map(({ port }) => port)]
      expect(ids.length).toBe(200)
      // Among 65536 and 28000, less than one of 200 is expected twice.
      expect(distinct(ids)).toBeGreaterThan(190)
      expect(distinct(ports)).toBeGreaterThan(190)
      for (const numbers of [ids, ports]) {
        // The steps from one to the next are as different as the numbers.
        expect(distinct(numbers.slice(1).map((number, index) => number - (numbers[index] ?? 0)))).toBeGreaterThan(180)
      }
      for (const bit of Array.from({ length: 16 }, (_, index) => 1 << index)) {
        const set = ids.filter((id) => (id & bit) !== 0).length
        expect(set).toBeGreaterThan(60)
        expect(set).toBeLessThan(140)
      }
    }).pipe(Effect.scoped))
})
