import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as AddressPlan from "../src/AddressPlan.js"
import { ip } from "./support/addresses.js"

const planned = (addresses: ReadonlyArray<string>, firstFamily?: "inet" | "inet6", firstAddressFamilyCount?: number) =>
  AddressPlan.interleave(addresses.map(ip), { firstFamily, firstAddressFamilyCount }).map(String)

describe("RFC 8305 §4", () => {
  it("the family of the first address is followed by an address of the other", () => {
    expect(planned(["fd00::1", "fd00::2", "10.0.0.1"])).toEqual(["fd00::1", "10.0.0.1", "fd00::2"])
    expect(planned(["10.0.0.1", "10.0.0.2", "fd00::1"])).toEqual(["10.0.0.1", "fd00::1", "10.0.0.2"])
  })

  it("§8: the First Address Family Count is 1, and 2 favours the first family more", () => {
    expect(AddressPlan.defaultFirstAddressFamilyCount).toBe(1)
    const sorted = ["fd00::1", "fd00::2", "fd00::3", "fd00::4", "10.0.0.1", "10.0.0.2"]
    expect(planned(sorted, undefined, 2)).toEqual(["fd00::1", "fd00::2", "10.0.0.1", "fd00::3", "10.0.0.2", "fd00::4"])
    expect(planned(sorted, undefined, 9)).toEqual(sorted)
    expect(planned(sorted, undefined, 0)).toEqual(planned(sorted, undefined, 1))
  })

  it("addresses of both families alternate, and what one has more of comes last", () => {
    expect(planned(["fd00::1", "fd00::2", "fd00::3", "10.0.0.1"])).toEqual([
      "fd00::1",
      "10.0.0.1",
      "fd00::2",
      "fd00::3"
    ])
    expect(planned(["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"])).toEqual([
      "10.0.0.1",
      "fd00::1",
      "10.0.0.2",
      "10.0.0.3"
    ])
  })
})

describe("a plan", () => {
  it("can begin with IPv4", () => {
    expect(planned(["fd00::1", "fd00::2", "10.0.0.1"], "inet")).toEqual(["10.0.0.1", "fd00::1", "fd00::2"])
  })

  it("of one family is the list as it was given", () => {
    expect(planned(["10.0.0.2", "10.0.0.1"])).toEqual(["10.0.0.2", "10.0.0.1"])
    expect(planned(["fd00::2", "fd00::1"], "inet")).toEqual(["fd00::2", "fd00::1"])
  })

  it("of nothing is empty", () => {
    expect(planned([])).toEqual([])
  })

  it("holds an address once, at its first place, however it was written", () => {
    expect(planned(["10.0.0.1", "10.0.0.2", "10.0.0.1"])).toEqual(["10.0.0.1", "10.0.0.2"])
    expect(planned(["fd00::1", "fd00:0:0::1", "fd00::2"])).toEqual(["fd00::1", "fd00::2"])
  })

  it("keeps addresses apart that differ in their zone, or are the same host in another family", () => {
    expect(planned(["fe80::1%eth0", "fe80::1%eth1", "::ffff:10.0.0.1", "10.0.0.1"])).toEqual([
      "fe80::1%eth0",
      "10.0.0.1",
      "fe80::1%eth1",
      "::ffff:10.0.0.1"
    ])
  })

  const inet = fc.integer({ min: 1, max: 9 }).map((n) => `10.0.0.${n}`)
  const inet6 = fc.integer({ min: 1, max: 9 }).map((n) => `fd00::${n}`)
  const isInet6 = (text: string) => text.includes(":")

  it.prop(
    "of any list holds each address once, each family in its order, and no family waits while it has an address",
    [fc.array(fc.oneof(inet, inet6), { maxLength: 20 }), fc.constantFrom("inet" as const, "inet6" as const)],
    ([addresses, first]) => {
      const plan = planned(addresses, first)
      const unique = [...new Set(addresses)]
      expect(plan.filter(isInet6)).toEqual(unique.filter(isInet6))
      expect(plan.filter((text) => !isInet6(text))).toEqual(unique.filter((text) => !isInet6(text)))
      const scarce = Math.min(plan.filter(isInet6).length, plan.length - plan.filter(isInet6).length)
      plan.slice(0, 2 * scarce).forEach((text, index) => {
        expect(isInet6(text)).toBe((index % 2 === 0) === (first === "inet6"))
      })
    }
  )
})
