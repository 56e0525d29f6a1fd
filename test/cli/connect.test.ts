/** When `dial connect` is over, in virtual time. */
import { describe, expect } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { connect } from "../../src/cli/connect.js"
import { Endpoint } from "../../src/index.js"
import { Behaviour, type Topology } from "../../src/testing/index.js"
import { sim, text, timed } from "../testing/support.js"

/** Answers each datagram three times: at once, 900 ms and 1800 ms later. */
const thrice: Behaviour.Behaviour = (peer) =>
  Effect.forever(Effect.zipRight(
    peer.read,
    Effect.repeatN(Effect.zipRight(peer.write("."), Effect.sleep("900 millis")), 2)
  ))

const network: Topology.Topology = {
  hosts: {
    dns: {
      addresses: ["10.0.0.53"],
      listeners: { "dgram 53": thrice, "dgram 54": Behaviour.silent, 53: Behaviour.echo }
    }
  }
}

/** What is written in answer to pieces of input that come so many milliseconds apart, and how long it all took. */
const relayed = (endpoint: string, ...input: ReadonlyArray<readonly [after: number, piece: string]>) =>
  Effect.suspend(() => {
    const written: Array<string> = []
    const running = connect(Endpoint.unsafeParse(endpoint), {
      input: Stream.mapEffect(
        Stream.fromIterable(input),
        ([after, piece]) => Effect.delay(Effect.succeed(new TextEncoder().encode(piece)), after)
      ),
      write: (bytes) => Effect.sync(() => written.push(text(bytes)))
    })
    return Effect.map(timed(running), ([, took]) => [written, took])
  })

describe("dial connect", () => {
  sim("over UDP is over a second after its input and the last answer", network, () =>
    Effect.gen(function*() {
      expect(yield* relayed("udp://10.0.0.53:53", [0, "hello"])).toEqual([[".", ".", "."], 2800])
      expect(yield* relayed("udp://10.0.0.53:54", [0, "hello"])).toEqual([[], 1000])
      expect(yield* relayed("udp://10.0.0.53:54", [0, "hello"], [5000, "you"])).toEqual([[], 6000])
      expect(yield* relayed("udp://10.0.0.53:54")).toEqual([[], 1000])
    }))

  sim("over UDP fails when nobody listens there, though input is still to come", network, () =>
    Effect.gen(function*() {
      const lost = yield* Effect.flip(relayed("udp://10.0.0.53:9", [0, "hello"], [60_000, "you"]))
      expect(lost.message).toBe("connection to 10.0.0.53:9 lost: nobody listens there (ECONNREFUSED)")
    }))

  sim("over TCP is over when both halves have ended", network, () =>
    Effect.gen(function*() {
      expect(yield* relayed("10.0.0.53:53", [0, "hello "], [5000, "you"])).toEqual([["hello ", "you"], 5000])
    }))
})
