import { describe, expect, it } from "@effect/vitest"
import { Duration } from "effect"
import * as DnsConfig from "../src/DnsConfig.js"

const conf = (...lines: ReadonlyArray<string>) => DnsConfig.parseResolvConf(lines.join("\n"))

describe("resolv.conf", () => {
  it("names at most three servers, of either family, at port 53", () => {
    const servers = ["192.0.2.1", "2001:db8::1", "fe80::1%2", "192.0.2.4"].map((ip) => `nameserver ${ip}`)
    expect(conf(...servers).servers.map(String)).toEqual(["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%2]:53"])
  })

  it("that names no server means this machine", () => {
    expect(conf("nameserver", "nameserver dns.example", "search a.test").servers.map(String)).toEqual(["127.0.0.1:53"])
  })

  it("has comments in lines of their own, blanks and line ends of any kind", () => {
    const { search, servers } = conf(
      "# nameserver 192.0.2.9",
      "; search b.test",
      "nameserver\t 192.0.2.1\r",
      "search  A.test. \r"
    )
    expect([servers.map(String), search]).toEqual([["192.0.2.1:53"], ["a.test"]])
  })

  it("searches where its last `search` or `domain` says; a domain is one", () => {
    expect(conf("search a.test b.test", "search c.test").search).toEqual(["c.test"])
    expect(conf("search a.test", "domain b.test c.test").search).toEqual(["b.test"])
    expect(conf("domain a.test", "search b.test -.test . c.test").search).toEqual(["b.test", "c.test"])
  })

  const options = (text: string) => {
    const { attempts, ndots, rotate, timeout } = conf(`options ${text}`)
    return [ndots, Duration.toSeconds(timeout), attempts, rotate]
  }

  it("has options over several lines, the last of a kind counting", () => {
    expect(options("ndots:2 timeout:3\noptions attempts:4 rotate ndots:4 edns0")).toEqual([4, 3, 4, true])
  })

  it("is held to glibc's limits, and what makes no sense is the default", () => {
    expect(options("ndots:99 timeout:99 attempts:99")).toEqual([15, 30, 5, false])
    expect(options("ndots:0 timeout:0 attempts:0")).toEqual([0, 1, 1, false])
    expect(options("ndots:-1 timeout:1s attempts")).toEqual([1, 5, 2, false])
  })
})

describe("the hosts file", () => {
  it("gives a name all its addresses in order, once each, whatever its case", () => {
    const hosts = DnsConfig.parseHosts(
      "192.0.2.1 Db.test db # first\n2001:db8::1 db.test\n192.0.2.1\tdb.TEST.\n# 192.0.2.9 db"
    )
    expect(hosts.get("db.test")?.map(String)).toEqual(["192.0.2.1", "2001:db8::1"])
    expect(hosts.get("db")?.map(String)).toEqual(["192.0.2.1"])
  })

  it("is read past lines that make no sense", () => {
    expect([...DnsConfig.parseHosts("db.test 192.0.2.1\n999.1.1.1 a.test\n192.0.2.1\n192.0.2.2 b.test").keys()])
      .toEqual([
        "b.test"
      ])
  })
})
