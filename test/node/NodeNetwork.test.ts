import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import * as Address from "../../src/Address.js"
import * as Dialer from "../../src/Dialer.js"
import * as DnsResolver from "../../src/DnsResolver.js"
import * as NodeNetwork from "../../src/node/NodeNetwork.js"
import * as NodeTransport from "../../src/node/NodeTransport.js"
import * as Resolver from "../../src/Resolver.js"
import * as Loopback from "../support/loopback.js"
import { serve } from "../support/nameServer.js"

describe("NodeNetwork.layer", () => {
  it.live("is all that a dial of a name needs: question, answer and end over a real socket", () =>
    Loopback.leavesNoSocket(Effect.scoped(
      Effect.gen(function*() {
        const listener = yield* Loopback.echo()
        const connection = yield* Dialer.dial(`localhost:${Loopback.portNumber(listener.address)}`)
        yield* connection.write("question")
        yield* connection.end
        expect(Option.map(yield* connection.read, Loopback.text)).toEqual(Option.some("question"))
        expect(Option.isNone(yield* connection.read)).toBe(true)
        expect((yield* Loopback.within("the end", connection.lost)).reason).toBe("End")
      }).pipe(Effect.provide(NodeNetwork.layer))
    )))

  it.live("the connection belongs to the caller's scope and not to the layer", () =>
    Loopback.leavesNoSocket(Effect.scoped(Effect.gen(function*() {
      const listener = yield* Loopback.listen()
      const connection = yield* Effect.provide(Dialer.dial(`tcp://${listener.address}`), NodeNetwork.layer)
      const peer = yield* listener.accept
      yield* connection.write("still open")
      expect(Loopback.text(yield* peer.read(10))).toBe("still open")
    }))))

  it.live("over other names it is the same: a name server of its own, reached over its own sockets", () =>
    Loopback.leavesNoSocket(Effect.scoped(
      Effect.gen(function*() {
        const listener = yield* Loopback.listen({ host: "127.0.0.7" })
        const server = yield* serve({ "db.test": { A: ["127.0.0.7"] } })
        const network = NodeNetwork.layerOver(DnsResolver.layerServers({ servers: [server.address] }))
        const endpoint = `db.test:${Loopback.portNumber(listener.address)}`
        const connection = yield* Effect.provide(Dialer.dial(endpoint), network)
        expect(String(connection.remoteAddress)).toBe(String(listener.address))
      })
    )))

  it.live("a part is replaced by another layer in its place: pinned names over real sockets", () =>
    Loopback.leavesNoSocket(Effect.scoped(
      Effect.gen(function*() {
        const listener = yield* Loopback.listen({ host: "127.0.0.7" })
        const pinned = Dialer.layer.pipe(
          Layer.provide(Layer.merge(
            Resolver.layerStatic({ "db.internal": [Address.unsafeParse("127.0.0.7")] }),
            NodeTransport.layer
          ))
        )
        const endpoint = `db.internal:${Loopback.portNumber(listener.address)}`
        const connection = yield* Effect.provide(Dialer.dial(endpoint), pinned)
        expect(String(connection.remoteAddress)).toBe(String(listener.address))
      })
    )))
})
