import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Stream } from "effect"
import * as Endpoint from "../src/Endpoint.js"
import * as Resolver from "../src/Resolver.js"
import { ip } from "./support/addresses.js"

type Names = Parameters<typeof Resolver.layerStatic>[0]

/** The answers as lines: the addresses of a family, or why it has none. */
const resolve = (names: Names, name: string) =>
  Effect.flatMap(
    Resolver.Resolver,
    (resolver) => Stream.runCollect(resolver.resolve(Either.getOrThrow(Endpoint.domainName(name))))
  ).pipe(
    Effect.map((answers) =>
      [...answers].map((answer) =>
        answer._tag === "Addresses"
          ? `${answer.family}: ${answer.addresses.join(" ")}`
          : answer._tag === "Services"
          ? "services"
          : `${answer.family}: ${answer.error.host} ${answer.error.family} ${answer.error.reason}`
      )
    ),
    Effect.provide(Resolver.layerStatic(names))
  )

const names: Names = {
  "db.example": [ip("10.0.0.7"), ip("fd00::7"), ip("10.0.0.8")],
  "v4.example": [ip("10.0.0.9")]
}

describe("a static resolver", () => {
  it.effect("answers for both families, IPv6 first, each in the order given", () =>
    Effect.gen(function*() {
      expect(yield* resolve(names, "db.example")).toEqual(["inet6: fd00::7", "inet: 10.0.0.7 10.0.0.8"])
      expect(Resolver.families).toEqual(["inet6", "inet"])
    }))

  it.effect("says NotFound of a family the name does not have", () =>
    Effect.gen(function*() {
      expect(yield* resolve(names, "v4.example")).toEqual(["inet6: v4.example inet6 NotFound", "inet: 10.0.0.9"])
    }))

  it.effect("says NotFound of both families of a name it does not know", () =>
    Effect.gen(function*() {
      expect(yield* resolve(names, "other.example")).toEqual([
        "inet6: other.example inet6 NotFound",
        "inet: other.example inet NotFound"
      ])
      expect((yield* resolve(names, "constructor")).every((line) => line.endsWith("NotFound"))).toBe(true)
      expect((yield* resolve({ "empty.example": [] }, "empty.example")).length).toBe(2)
    }))

  it.effect("compares names without regard to case or a trailing dot, on either side", () =>
    Effect.gen(function*() {
      const expected = ["inet6: v4.example inet6 NotFound", "inet: 10.0.0.9"]
      expect(yield* resolve(names, "V4.Example")).toEqual(expected)
      expect(yield* resolve({ "V4.EXAMPLE.": [ip("10.0.0.9")] }, "v4.example")).toEqual(expected)
      expect((yield* resolve(names, "v4.example."))[1]).toBe("inet: 10.0.0.9")
    }))

  it.effect("knows an internationalised name however it is written", () =>
    Effect.gen(function*() {
      const addresses = [ip("10.0.0.9")]
      for (const key of ["bücher.example", "xn--bcher-kva.example"]) {
        for (const asked of ["bücher.example", "xn--bcher-kva.example"]) {
          expect((yield* resolve({ [key]: addresses }, asked))[1], `${key} asked as ${asked}`).toBe("inet: 10.0.0.9")
        }
      }
    }))
})
