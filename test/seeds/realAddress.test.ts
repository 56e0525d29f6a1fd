/**
 * realAddress: "Depending on whether this is an IPv4 or IPv6 connection attempt, a 2-tuple of (host, port) or a 4-tuple
 * of (host, port, flow, scope) … a fully resolved address."
 */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import * as Dialer from "../../src/Dialer.js"
import * as Loopback from "../support/loopback.js"
import { onLoopback } from "./onLoopback.js"

describe("realAddress", () => {
  onLoopback("of a name is the address it was resolved to and the port", () =>
    Effect.gen(function*() {
      const { address } = yield* Loopback.listen()
      const connection = yield* Dialer.dial(`localhost:${Loopback.portNumber(address)}`)
      expect(connection.remoteAddress).toMatchObject({ _tag: "Inet4", port: Loopback.portNumber(address) })
      expect(String(connection.remoteAddress)).toBe(String(address))
    }))

  if (Loopback.hasIpv6) {
    onLoopback("of an IPv6 address has flow and scope beside it", () =>
      Effect.gen(function*() {
        const { address } = yield* Loopback.listen({ host: "::1" })
        const connection = yield* Dialer.dial(`[::1]:${Loopback.portNumber(address)}`)
        expect(connection.remoteAddress).toMatchObject({ _tag: "Inet6", flowInfo: 0, scopeId: 0 })
        expect(String(connection.remoteAddress)).toBe(String(address))
      }))
  }

  onLoopback(
    "and the local one are as they were at connect after the connection is closed",
    () =>
      Effect.gen(function*() {
        const { accept, address } = yield* Loopback.listen()
        const connection = yield* Dialer.dial(String(address))
        const { socket } = yield* accept
        const local = `${socket.remoteAddress}:${socket.remotePort}`
        yield* connection.close()
        expect(String(connection.remoteAddress)).toBe(String(address))
        expect(String(connection.localAddress)).toBe(local)
      })
  )
})
