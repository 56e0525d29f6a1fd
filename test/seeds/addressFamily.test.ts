/**
 * addressFamily: "The address family constant (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX) of the underlying
 * socket of this client connection."
 */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import * as Loopback from "../support/loopback.js"
import { attempt, onLoopback } from "./onLoopback.js"

describe("addressFamily", () => {
  for (const [family, host] of [["inet", "127.0.0.1"], ...(Loopback.hasIpv6 ? [["inet6", "::1"]] : [])] as const) {
    onLoopback(`a connection to ${host} is of family ${family} at both ends`, () =>
      Effect.gen(function*() {
        const { address } = yield* Loopback.listen({ host: String(host) })
        const connection = yield* attempt(address)
        expect(connection.remoteAddress.family).toBe(family)
        expect(connection.localAddress.family).toBe(family)
      }))
  }

  onLoopback("a connection to a UNIX socket is of family unix at both ends", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen({ path: Loopback.abstractName() })
      const connection = yield* attempt(address)
      expect(connection.remoteAddress.family).toBe("unix")
      expect(connection.localAddress.family).toBe("unix")
    }))
})
