/**
 * RFC 6724, Default Address Selection, as far as it concerns destinations: the table of §2, the scopes of §3, the rules of
 * §6 by name, every worked example of §10.2, and those of §10.3, §10.4 and §10.6. Source addresses (§5) are the kernel's
 * to choose.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, FastCheck as fc, Option } from "effect"
import type * as Address from "../../src/Address.js"
import * as AddressSelection from "../../src/AddressSelection.js"
import { ip } from "../support/addresses.js"

type More = Omit<AddressSelection.Candidate, "address" | "source">

/** A destination and its source; `undefined` is no way to it. */
const candidate = (address: string, source: string | undefined, more?: More): AddressSelection.Candidate => ({
  address: ip(address),
  source: Option.map(Option.fromNullable(source), ip),
  ...more
})

/** Whichever order they come in, they are sorted as they are given here, by this rule. */
const sorted = (
  rule: AddressSelection.Rule,
  first: AddressSelection.Candidate,
  second: AddressSelection.Candidate,
  policy?: AddressSelection.Policy
) => {
  const texts = (list: ReadonlyArray<AddressSelection.Candidate>) => list.map(({ address }) => String(address))
  const wanted = texts([first, second])
  expect(texts(order([first, second], policy))).toEqual(wanted)
  expect(texts(order([second, first], policy))).toEqual(wanted)
  expect(AddressSelection.compare(first, second, policy)).toEqual({ order: -1, rule })
  expect(AddressSelection.compare(second, first, policy)).toEqual({ order: 1, rule })
}

/** Not `sort`, which in JavaScript sorts in place. */
const order = AddressSelection.sort

describe("§2.1 the default policy table", () => {
  it("has the RFC's prefixes, precedences and labels", () => {
    expect(
      AddressSelection.defaultPolicy.map(({ label, length, precedence, prefix }) =>
        `${prefix}/${length} ${precedence} ${label}`
      )
    ).toEqual([
      "::1/128 50 0",
      "::/0 40 1",
      "::ffff:0.0.0.0/96 35 4",
      "2002::/16 30 2",
      "2001::/32 5 5",
      "fc00::/7 3 13",
      "::/96 1 3",
      "fec0::/10 1 11",
      "3ffe::/16 1 12"
    ].map((text) => text.replace("::ffff:0.0.0.0", String(ip("::ffff:0:0")))))
  })
})

/** Reached from an address like itself, so that nothing before its precedence decides. */
const like = (address: string) => candidate(address, address)

describe("§2.1 Policy Table", () => {
  it("\"The policy table is a longest-matching-prefix lookup table\": every row of the default one, by its precedence", () => {
    // Of global scope each, down to a precedence of 1.
    const falling = ["2001:db8::1", "192.0.2.1", "2002:c000:201::1", "2001:0:1::1", "fc00::1", "3ffe::1"].map(like)
    for (const [index, first] of falling.entries()) {
      for (const second of falling.slice(index + 1)) sorted("PreferHigherPrecedence", first, second)
    }
    // IPv4-compatible, under ::/96 and not under ::/0.
    sorted("PreferHigherPrecedence", like("fd00::1"), like("::192.0.2.1"))
    // Of link-local scope: ::1/128 before fe80::1, which is under ::/0, and that before 127.0.0.1.
    sorted("PreferHigherPrecedence", like("::1"), like("fe80::1"))
    sorted("PreferHigherPrecedence", like("fe80::1"), like("127.0.0.1"))
  })

  it("\"IPv6 implementations SHOULD support configurable address selection via a mechanism at least as powerful as the policy tables defined here\"", () => {
    const policy: AddressSelection.Policy = [
      { prefix: ip("::") as Address.Ipv6Address, length: 0, precedence: 40, label: 1 },
      { prefix: ip("2001:db8:2::") as Address.Ipv6Address, length: 48, precedence: 41, label: 1 }
    ]
    sorted("PreferHigherPrecedence", like("2001:db8:2::1"), like("2001:db8:1::1"), policy)
    // No rule decides between these but the table; the default one has another opinion.
    sorted("PreferHigherPrecedence", like("2001:db8:2::1"), like("::1"), [
      ...policy,
      { prefix: ip("::1") as Address.Ipv6Address, length: 128, precedence: 1, label: 1 }
    ])
  })

  it("an address under no prefix has precedence 0", () => {
    const policy = [{ prefix: ip("2001:db8::") as Address.Ipv6Address, length: 32, precedence: 1, label: 0 }]
    sorted("PreferHigherPrecedence", like("2001:db8::1"), like("192.0.2.1"), policy)
  })
})

describe("§2.2 Common Prefix Length", () => {
  it("\"CommonPrefixLen(fe80::1, fe80::2) is 64\": no more than the subnet of the source counts", () => {
    const order = AddressSelection.compare(candidate("fe80::1", "fe80::2"), candidate("fe80::ffff:ffff:1", "fe80::2"))
    expect(order).toEqual({ order: 0, rule: "LeaveTheOrder" })
  })
})

describe("§3 address properties", () => {
  /** Both are reached from an address of link-local scope: the one whose scope that is comes first. */
  const isLinkLocal = (address: string) => {
    const one = candidate(address, "fe80::9")
    const other = candidate("2001:db8::1", "fe80::9")
    return AddressSelection.compare(one, other).rule === "PreferMatchingScope"
  }

  it("§3.1: link-local unicast and multicast addresses are of one scope, site-local of the next, and then global", () => {
    expect(["fe80::1", "febf::1", "ff02::1"].map(isLinkLocal)).toEqual([true, true, true])
    expect(["fec0::1", "ff05::1", "ff0e::1", "2001:db8::2", "fd00::1"].map(isLinkLocal)).toEqual(
      [false, false, false, false, false]
    )
    sorted("PreferMatchingScope", candidate("ff05::1", "fec0::9"), candidate("ff0e::1", "fec0::9"))
  })

  it("§3.2: \"IPv4 auto-configuration addresses ... are assigned link-local scope\", and so is the loopback's prefix; private addresses are global", () => {
    expect(["169.254.1.1", "127.0.0.1", "127.9.9.9"].map(isLinkLocal)).toEqual([true, true, true])
    expect(["10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "192.0.2.1"].map(isLinkLocal)).toEqual(
      [false, false, false, false, false]
    )
  })

  it("§3.3: IPv6 addresses with an IPv4 one in them \"MUST be treated as having global scope\"", () => {
    expect(
      ["::ffff:169.254.1.1", "::ffff:127.0.0.1", "::ffff:224.0.0.1", "::127.0.0.1", "2002:7f00:1::1"].map(isLinkLocal)
    )
      .toEqual([false, false, false, false, false])
  })

  it("§3.4: \"The loopback address MUST be treated as having link-local scope\"", () => {
    expect(isLinkLocal("::1")).toBe(true)
  })
})

describe("§6 the rules", () => {
  const six = "2001:db8:1::2"

  it("Rule 1: Avoid unusable destinations", () => {
    sorted(
      "AvoidUnusableDestinations",
      candidate("198.51.100.1", "198.51.100.9"),
      candidate("2001:db8:1::1", undefined)
    )
  })

  it("Rule 2: Prefer matching scope", () => {
    sorted("PreferMatchingScope", candidate("198.51.100.1", "198.51.100.9"), candidate("2001:db8:1::1", "fe80::1"))
  })

  it("Rule 3: Avoid deprecated addresses", () => {
    sorted(
      "AvoidDeprecatedAddresses",
      candidate("2001:db8:9::1", six),
      candidate("2001:db8:1::1", six, { deprecated: true })
    )
  })

  it("Rule 4: Prefer home addresses", () => {
    sorted(
      "PreferHomeAddresses",
      candidate("2001:db8:9::1", six, { mobility: "home" }),
      candidate("2001:db8:1::1", six, { mobility: "care-of" })
    )
  })

  it("Rule 5: Prefer matching label", () => {
    sorted(
      "PreferMatchingLabel",
      candidate("2002:c633:6401::1", "2002:c633:6401::2"),
      candidate("2001:db8:1::1", "2002:c633:6401::2")
    )
  })

  it("Rule 6: Prefer higher precedence", () => {
    sorted("PreferHigherPrecedence", candidate("2001:db8:1::1", six), candidate("10.1.2.3", "10.1.2.4"))
  })

  it("Rule 7: Prefer native transport", () => {
    sorted(
      "PreferNativeTransport",
      candidate("2001:db8:9::1", six),
      candidate("2001:db8:1::1", six, { encapsulated: true })
    )
  })

  it("Rule 8: Prefer smaller scope", () => {
    sorted("PreferSmallerScope", candidate("fe80::1", "fe80::2"), candidate("2001:db8:1::1", six))
  })

  it("RFC 8305 §4: between rules 8 and 9, lower round-trip times, then addresses used before", () => {
    const near = { roundTrip: Duration.millis(20) }
    const far = { roundTrip: Duration.millis(80), used: true }
    sorted("PreferLowerRoundTrip", candidate("2001:db8:9::1", six, near), candidate("2001:db8:1::1", six, far))
    sorted("PreferUsed", candidate("2001:db8:9::1", six, { used: true }), candidate("2001:db8:1::1", six))
  })

  it("Rule 9: Use longest matching prefix, of IPv6", () => {
    sorted("UseLongestMatchingPrefix", candidate("2001:db8:1::1", six), candidate("2001:db8:9::1", six))
  })

  it("Rule 9 does not undo the round-robin of IPv4 (why: the module's docs)", () => {
    const far = candidate("203.0.113.1", "198.51.100.9")
    const near = candidate("198.51.100.1", "198.51.100.9")
    expect(order([far, near])).toEqual([far, near])
  })

  it("Rule 9 counts no further than the source's own prefix", () => {
    const one = candidate("2001:db8:1::ffff", six)
    const other = candidate("2001:db8:1::3", six)
    expect(AddressSelection.compare(one, other).rule).toBe("LeaveTheOrder")
  })

  it("Rule 10: Otherwise, leave the order unchanged", () => {
    const [a, b] = [candidate("198.51.100.7", "198.51.100.9"), candidate("198.51.100.3", "198.51.100.9")]
    expect(order([a, b])).toEqual([a, b])
    expect(order([b, a])).toEqual([b, a])
    expect(AddressSelection.compare(a, b)).toEqual({ order: 0, rule: "LeaveTheOrder" })
  })
})

describe("§10.2 Default Destination Address Selection", () => {
  it("2001:db8:1::1 (src 2001:db8:1::2) then 198.51.100.121 (src 169.254.13.78) (prefer matching scope)", () => {
    sorted(
      "PreferMatchingScope",
      candidate("2001:db8:1::1", "2001:db8:1::2"),
      candidate("198.51.100.121", "169.254.13.78")
    )
  })

  it("198.51.100.121 (src 198.51.100.117) then 2001:db8:1::1 (src fe80::1) (prefer matching scope)", () => {
    sorted("PreferMatchingScope", candidate("198.51.100.121", "198.51.100.117"), candidate("2001:db8:1::1", "fe80::1"))
  })

  it("2001:db8:1::1 (src 2001:db8:1::2) then 10.1.2.3 (src 10.1.2.4) (prefer higher precedence)", () => {
    sorted("PreferHigherPrecedence", candidate("2001:db8:1::1", "2001:db8:1::2"), candidate("10.1.2.3", "10.1.2.4"))
  })

  it("fe80::1 (src fe80::2) then 2001:db8:1::1 (src 2001:db8:1::2) (prefer smaller scope)", () => {
    sorted("PreferSmallerScope", candidate("fe80::1", "fe80::2"), candidate("2001:db8:1::1", "2001:db8:1::2"))
  })

  it("2001:db8:1::1 (src 2001:db8:3::1) then fe80::1 (src fe80::2) (prefer home address)", () => {
    sorted(
      "PreferHomeAddresses",
      candidate("2001:db8:1::1", "2001:db8:3::1", { mobility: "home" }),
      candidate("fe80::1", "fe80::2", { mobility: "care-of" })
    )
  })

  it("2001:db8:1::1 (src 2001:db8:1::2) then fe80::1 (src fe80::2) (avoid deprecated addresses)", () => {
    sorted(
      "AvoidDeprecatedAddresses",
      candidate("2001:db8:1::1", "2001:db8:1::2"),
      candidate("fe80::1", "fe80::2", { deprecated: true })
    )
  })

  it("2001:db8:1::1 (src 2001:db8:1::2) then 2001:db8:3ffe::1 (src 2001:db8:3f44::2) (longest matching prefix)", () => {
    sorted(
      "UseLongestMatchingPrefix",
      candidate("2001:db8:1::1", "2001:db8:1::2"),
      candidate("2001:db8:3ffe::1", "2001:db8:3f44::2")
    )
  })

  it("2002:c633:6401::1 (src 2002:c633:6401::2) then 2001:db8:1::1 (src 2002:c633:6401::2) (prefer matching label)", () => {
    sorted(
      "PreferMatchingLabel",
      candidate("2002:c633:6401::1", "2002:c633:6401::2"),
      candidate("2001:db8:1::1", "2002:c633:6401::2")
    )
  })

  it("2001:db8:1::1 (src 2001:db8:1::2) then 2002:c633:6401::1 (src 2002:c633:6401::2) (prefer higher precedence)", () => {
    sorted(
      "PreferHigherPrecedence",
      candidate("2001:db8:1::1", "2001:db8:1::2"),
      candidate("2002:c633:6401::1", "2002:c633:6401::2")
    )
  })
})

describe("§10.3 Configuring Preference for IPv6 or IPv4", () => {
  it("\"::ffff:0:0/96 100 4\" puts 10.1.2.3 (src 10.1.2.4) before 2001:db8:1::1 (src 2001:db8:1::2)", () => {
    const policy = AddressSelection.defaultPolicy.map((entry) =>
      entry.length === 96 && entry.label === 4 ? { ...entry, precedence: 100 } : entry
    )
    sorted(
      "PreferHigherPrecedence",
      candidate("10.1.2.3", "10.1.2.4"),
      candidate("2001:db8:1::1", "2001:db8:1::2"),
      policy
    )
  })
})

describe("§10.4 Configuring Preference for Link-Local Addresses", () => {
  const [global, local] = [candidate("2001:db8:1::1", "2001:db8:1::2"), candidate("fe80::1", "fe80::2")]
  const policy = [
    ...AddressSelection.defaultPolicy,
    { prefix: ip("fe80::") as Address.Ipv6Address, length: 10, precedence: 33, label: 1 }
  ]

  it("\"fe80::/10 33 1\" puts 2001:db8:1::1 (src 2001:db8:1::2) before fe80::1 (src fe80::2)", () => {
    sorted("PreferSmallerScope", local, global)
    sorted("PreferHigherPrecedence", global, local, policy)
  })

  it("and fe80::1 (src fe80::2) stays before 2001:db8:1::1 (src 2001:db8:1::2), when that source is deprecated", () => {
    sorted("AvoidDeprecatedAddresses", local, { ...global, deprecated: true }, policy)
  })
})

describe("§10.6 Configuring ULA Preference", () => {
  it("\"fd11:1111:1111::/48 45 14\" puts the site's own addresses before global ones", () => {
    const [global, own] = [
      candidate("2001:db8:1::1", "2001:db8:1::2"),
      candidate("fd11:1111:1111:1::1", "fd11:1111:1111:1::2")
    ]
    sorted("PreferHigherPrecedence", global, own)
    const prefix = ip("fd11:1111:1111::") as Address.Ipv6Address
    expect(AddressSelection.preferKnownLocal([{ prefix, length: 48 }]).at(-1)).toEqual({
      prefix,
      length: 48,
      precedence: 45,
      label: 14
    })
    sorted("PreferHigherPrecedence", own, global, AddressSelection.preferKnownLocal([{ prefix, length: 48 }]))
  })
})

describe("draft-ietf-6man-rfc6724-update", () => {
  const ula = candidate("fd11:1111:1111:1::1", "fd11:1111:1111:1::2")
  const four = candidate("10.1.2.3", "10.1.2.4")

  it("RFC 6724 itself puts a unique local address behind IPv4", () => {
    sorted("PreferHigherPrecedence", four, ula)
  })

  it("a unique local prefix known to be the site's own comes before IPv4 and global IPv6", () => {
    const prefix = ip("fd11:1111:1111::") as Address.Ipv6Address
    const policy = AddressSelection.preferKnownLocal([{ prefix, length: 48 }])
    sorted("PreferHigherPrecedence", ula, four, policy)
    sorted("PreferHigherPrecedence", ula, candidate("2001:db8:1::1", "2001:db8:1::2"), policy)
  })
})

describe("whatever the addresses", () => {
  const address = fc.constantFrom(
    "10.0.0.1",
    "10.0.0.2",
    "192.0.2.1",
    "127.0.0.1",
    "169.254.1.1",
    "::1",
    "fe80::1",
    "2001:db8::1",
    "2001:db8:1::1",
    "fd00::1",
    "2002::1",
    "2001::1",
    "ff02::1",
    "fec0::1",
    "3ffe::1"
  ).map(ip)
  const any: fc.Arbitrary<AddressSelection.Candidate> = fc.record({
    address,
    source: fc.constantFrom(undefined, Option.none(), Option.some(ip("10.0.0.9")), Option.some(ip("2001:db8::9"))),
    deprecated: fc.boolean()
  })

  it.prop(
    "a sort loses nothing, adds nothing, and sorting again changes nothing",
    [fc.array(any, { maxLength: 12 })],
    ([list]) => {
      const once = order(list)
      expect(new Set(once)).toEqual(new Set(list))
      expect(once.length).toBe(list.length)
      expect(order(once)).toEqual(once)
    }
  )

  it.prop("the order is one: what comes before another, and that before a third, comes before the third", [
    any,
    any,
    any
  ], ([a, b, c]) => {
    const before = (x: AddressSelection.Candidate, y: AddressSelection.Candidate) =>
      AddressSelection.compare(x, y).order < 0
    if (before(a, b) && before(b, c)) expect(before(a, c)).toBe(true)
    expect(AddressSelection.compare(a, b).order).toBe(-AddressSelection.compare(b, a).order || 0)
  })
})

describe("select", () => {
  it.effect("asks once for each address where it would be reached from, and not for one alone", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const sourceAddress = Option.some({
        sourceFor: (destination: Address.IpAddress) =>
          Effect.sync(() => {
            asked.push(String(destination))
            return destination.family === "inet" ? Option.some(ip("10.0.0.9")) : Option.none()
          })
      })
      const addresses = ["2001:db8::1", "192.0.2.1", "192.0.2.2"].map(ip)
      const chosen = yield* AddressSelection.select(addresses, { sourceAddress })
      expect(chosen.map(({ address }) => String(address))).toEqual(["192.0.2.1", "192.0.2.2", "2001:db8::1"])
      expect(asked).toEqual(["2001:db8::1", "192.0.2.1", "192.0.2.2"])
      yield* AddressSelection.select(addresses.slice(0, 1), { sourceAddress })
      expect(asked.length).toBe(3)
    }))

  it.effect("a link-local address without a zone is not called unusable: nobody can tell", () =>
    Effect.gen(function*() {
      const sourceAddress = Option.some({ sourceFor: () => Effect.succeedNone })
      const [first] = yield* AddressSelection.select(["192.0.2.1", "fe80::1"].map(ip), { sourceAddress })
      expect(String(first?.address)).toBe("fe80::1")
    }))

  it.effect("keeps the order where there is nobody to ask", () =>
    Effect.gen(function*() {
      const chosen = yield* AddressSelection.select(["192.0.2.1", "2001:db8::1"].map(ip), {
        sourceAddress: Option.none()
      })
      expect(chosen.map(({ address }) => String(address))).toEqual(["192.0.2.1", "2001:db8::1"])
    }))
})
