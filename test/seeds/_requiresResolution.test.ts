/**
 * _requiresResolution: "A flag indicating whether the address of this client will require name resolution. True if the
 * hostname of said address indicates a name that must be resolved by hostname lookup, False if it indicates an IP
 * address literal."
 */
import { describe, expect, it } from "@effect/vitest"
import * as Endpoint from "../../src/Endpoint.js"

describe("_requiresResolution", () => {
  for (
    const name of [
      "localhost:80",
      "example.com.:80",
      "tcp://bücher.example:80",
      "_sip._tcp.example:80",
      "tls://example:443",
      "udp://example:53"
    ]
  ) {
    it(`is true of ${name}`, () => {
      expect(Endpoint.requiresResolution(Endpoint.unsafeParse(name))).toBe(true)
    })
  }
  for (
    const literal of [
      "127.0.0.1:80",
      "[::1]:80",
      "[fe80::1%eth0]:80",
      "udp://[::1]:53",
      "unix:/run/db.sock",
      "unix:@db"
    ]
  ) {
    it(`is false of ${literal}`, () => {
      expect(Endpoint.requiresResolution(Endpoint.unsafeParse(literal))).toBe(false)
    })
  }
})
