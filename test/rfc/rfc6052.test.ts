/** RFC 6052, IPv6 Addressing of IPv4/IPv6 Translators: its own examples. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc, Option } from "effect"
import type * as Address from "../../src/Address.js"
import * as Nat64 from "../../src/Nat64.js"
import { ip } from "../support/addresses.js"

const four = (text: string) => ip(text) as Address.Ipv4Address
const six = (text: string) => ip(text) as Address.Ipv6Address

describe("§2.4 Text Representation: the examples", () => {
  const examples: ReadonlyArray<readonly [string, Nat64.PrefixLength, string]> = [
    ["2001:db8::", 32, "2001:db8:c000:221::"],
    ["2001:db8:100::", 40, "2001:db8:1c0:2:21::"],
    ["2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"],
    ["2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"],
    ["2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"],
    ["2001:db8:122:344::", 96, "2001:db8:122:344::192.0.2.33"]
  ]
  for (const [prefix, length, expected] of examples) {
    it(`${prefix}/${length} and 192.0.2.33 are ${expected}`, () => {
      const made = Option.getOrThrow(Nat64.synthesize({ ip: six(prefix), length }, four("192.0.2.33")))
      expect(String(made)).toBe(String(ip(expected)))
      expect(String(Option.getOrThrow(Nat64.extract({ ip: six(prefix), length }, made)))).toBe("192.0.2.33")
    })
  }
})

describe("§2.2 and §3.1", () => {
  it.prop(
    "\"Bits 64 to 71 of the address ... MUST be set to zero\", and what was put in comes out",
    [fc.constantFrom<Nat64.PrefixLength>(32, 40, 48, 56, 64, 96), fc.ipV4()],
    ([length, text]) => {
      const prefix = { ip: six("2001:db8::"), length }
      const made = Option.getOrThrow(Nat64.synthesize(prefix, four(text)))
      expect(made.groups[4] >> 8).toBe(0)
      expect(String(Option.getOrThrow(Nat64.extract(prefix, made)))).toBe(text)
    }
  )

  for (
    const address of ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "224.0.0.1"]
  ) {
    it(`"The Well-Known Prefix MUST NOT be used to represent non-global IPv4 addresses": ${address}`, () => {
      expect(Nat64.synthesize(Nat64.wellKnownPrefix, four(address))).toEqual(Option.none())
    })
  }

  it("the Well-Known Prefix represents global addresses", () => {
    expect(String(Option.getOrThrow(Nat64.synthesize(Nat64.wellKnownPrefix, four("198.51.100.7"))))).toBe(
      String(ip("64:ff9b::198.51.100.7"))
    )
  })
})
