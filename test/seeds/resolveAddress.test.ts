/**
 * resolveAddress: "Look up the name that was passed to this _BaseBaseClient, if necessary, and then move on to
 * attempting the connection once an address has been determined." Necessary, that is, unless it is a literal.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as Dialer from "../../src/Dialer.js"
import * as Endpoint from "../../src/Endpoint.js"
import { Resolver } from "../../src/Resolver.js"
import { onLoopback } from "./onLoopback.js"

const resolve = (endpoint: string) =>
  Effect.map(Dialer.resolveAddress(Endpoint.unsafeParse(endpoint)), (addresses) => addresses.map(String))

describe("resolveAddress", () => {
  it.effect("a literal is its own address, and no resolver is asked", () =>
    Effect.gen(function*() {
      expect(yield* resolve("127.0.0.1:80")).toEqual(["127.0.0.1:80"])
      expect(yield* resolve("unix:@db")).toEqual(["@db"])
    }).pipe(Effect.provide(Layer.succeed(Resolver, { resolve: () => Stream.dieMessage("the resolver was asked") }))))

  onLoopback("a name is looked up, by the system's resolver", () =>
    Effect.gen(function*() {
      expect(yield* resolve("localhost:80")).toContain("127.0.0.1:80")
    }))

  onLoopback("a name that does not exist is a ResolveError", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(resolve("does-not-exist.invalid:80"))
      expect(error).toMatchObject({ _tag: "ResolveError", host: "does-not-exist.invalid" })
    }))
})
