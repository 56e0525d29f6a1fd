/**
 * Two real name servers on loopback, with names that the tests know.
 *
 * - unbound as a resolver: `zone.test` from a zone file, asked by its own iterator, answered with what that made of it
 * - unbound for names of its own: `data.test` from `local-data`, one record set an answer
 * - dnsmasq for names of its own: `host.test` from its options and a hosts file
 * - dnsmasq as a forwarder: everything in `zone.test`, from unbound
 *
 * `data.test` and `host.test` are what the two serve at home: names of a router and its network.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { Resolver } from "node:dns/promises"
import type * as Address from "../../src/Address.js"
import { at } from "./addresses.js"
import * as Daemons from "./daemons.js"

export const unbound: Daemons.Program = { name: "unbound", package: "unbound" }

export const dnsmasq: Daemons.Program = { name: "dnsmasq", package: "dnsmasq-base" }

export interface NameServer extends Daemons.Daemon {
  readonly address: Address.SocketAddress
}

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, index) => index + 1)

export const four = (n: number): string => `192.0.2.${n}`

export const six = (n: number): string => `2001:db8::${n.toString(16)}`

/** A chain of aliases: `c1` is one of `both`, `c2` of `c1`, and so on. */
const links = numbers(17).map((n) => [`c${n}`, n === 1 ? "both" : `c${n - 1}`] as const)

/** A name of 253 octets in `zone.test`. */
export const longName = `${"x".repeat(61)}.${"x".repeat(61)}.${"x".repeat(61)}.${"x".repeat(57)}.zone.test`

/** What each test asks of these stands in the tests. The time to live is 300 s where it is not said. */
const zone: ReadonlyArray<readonly [name: string, data: string, timeToLive?: number]> = [
  ["@", "SOA ns mail.root 1 3600 600 86400 60", 3600],
  ["@", "NS ns"],
  ["@", "MX 10 both"],
  ["@", "TXT one two"],
  ["ns", "A 127.0.0.1"],
  ["a", `A ${four(1)}`],
  ["aaaa", `AAAA ${six(1)}`],
  ["both", `A ${four(1)}`],
  ["both", `AAAA ${six(1)}`],
  ["MiXeD", `A ${four(1)}`],
  ["here", "A 127.0.0.1"],
  ["here", "AAAA ::1"],
  [`${longName}.`, `A ${four(1)}`],
  ["www", "CNAME both", 100],
  ["lost", "CNAME nowhere"],
  ["round", "CNAME about"],
  ["about", "CNAME round"],
  ["old", "DNAME new"],
  ["a.new", `A ${four(2)}`],
  ...links.map(([name, target]) => [name, `CNAME ${target}`] as const),
  ...numbers(40).flatMap((n) => [["many", `A ${four(n)}`], ["many", `AAAA ${six(n)}`]] as const),
  ...numbers(200).map((n) => ["crowd", `A ${four(n)}`] as const),
  ["_chat._tcp", "SRV 20 0 5222 b"],
  ["_chat._tcp", "SRV 10 5 5223 a"],
  ["both", `HTTPS 1 . alpn=h2,h3 ipv4hint=${four(1)} port=8443`],
  ["both", "HTTPS 2 a.zone.test. alpn=h2"],
  ["alias", "HTTPS 0 both"],
  ["_dns", "SVCB 1 both alpn=dot"],
  ["9.2.0.192.in-addr", "PTR both"]
]

const zoneFile = `$ORIGIN zone.test.\n${zone.map(([name, data, ttl = 300]) => `${name} ${ttl} ${data}\n`).join("")}`

const localData: ReadonlyArray<string> = [
  "data.test. 3600 SOA ns.data.test. root.data.test. 1 3600 600 86400 60",
  `a.data.test. 300 A ${four(1)}`,
  `aaaa.data.test. 300 AAAA ${six(1)}`,
  `both.data.test. 300 A ${four(1)}`,
  `both.data.test. 300 AAAA ${six(1)}`,
  "www.data.test. 100 CNAME both.data.test.",
  "lost.data.test. 300 CNAME nowhere.data.test.",
  "round.data.test. 300 CNAME about.data.test.",
  "about.data.test. 300 CNAME round.data.test.",
  ...links.map(([name, target]) => `${name}.data.test. 300 CNAME ${target}.data.test.`),
  ...numbers(40).flatMap((n) => [`many.data.test. 300 A ${four(n)}`, `many.data.test. 300 AAAA ${six(n)}`]),
  "_chat._tcp.data.test. 300 SRV 20 0 5222 b.data.test.",
  "_chat._tcp.data.test. 300 SRV 10 5 5223 a.data.test.",
  "both.data.test. 300 HTTPS 1 . alpn=h2",
  // RFC 3597's form, for a type that a server has no name for: 2 a.data.test.
  String.raw`both.data.test. 300 TYPE65 \# 15 0002 01610464617461047465737400`
]

/** A root server that must not be asked: nothing ever goes to the Internet's. */
const root = `. 3600 NS root.test.\nroot.test. 3600 A ${four(53)}\n`

const unboundConf = (directory: string, host: string, port: number): string => `
server:
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${directory}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  interface: ${host}@${port}
  num-threads: 1
  module-config: "iterator"
  root-hints: "${directory}/root"
  ede: yes
  do-not-query-address: 192.0.2.0/24
  local-zone: "test." nodefault
  local-zone: "refused.test." always_refuse
  local-zone: "data.test." static
${localData.map((record) => `  local-data: '${record}'`).join("\n")}
auth-zone:
  name: "zone.test."
  zonefile: "${directory}/zone"
  for-downstream: no
  for-upstream: yes
stub-zone:
  name: "broken.test."
  stub-addr: 192.0.2.53
remote-control:
  control-enable: no
`

/** Anywhere but at port 53 it needs no rights. */
export const startUnbound = (
  where: { readonly host: string; readonly port?: number } = { host: "127.0.0.1" }
): Effect.Effect<NameServer, never, Scope.Scope> =>
  Effect.map(
    Daemons.start(unbound, ({ directory, ports }) => {
      const port = where.port ?? ports[0]
      return {
        arguments: ["-d", "-c", `${directory}/unbound.conf`],
        files: { "unbound.conf": unboundConf(directory, where.host, port), zone: zoneFile, root },
        ready: answers(`${where.host}:${port}`, "a.data.test")
      }
    }),
    (daemon) => ({ ...daemon, address: at(`${where.host}:${where.port ?? daemon.ports[0]}`) })
  )

const dnsmasqConf = (directory: string, port: number, upstream: Address.SocketAddress): ReadonlyArray<string> => [
  "listen-address=127.0.0.1",
  "bind-interfaces",
  `port=${port}`,
  "user=root",
  "pid-file=",
  "no-resolv",
  "no-hosts",
  "local-ttl=300",
  "local=/host.test/",
  `addn-hosts=${directory}/hosts`,
  `host-record=a.host.test,${four(1)},200`,
  `host-record=aaaa.host.test,${six(1)}`,
  `host-record=both.host.test,${four(1)},${six(1)}`,
  "cname=www.host.test,both.host.test",
  ...links.map(([name, target]) => `cname=${name}.host.test,${target}.host.test`),
  "srv-host=_chat._tcp.host.test,b.host.test,5222,20,0",
  "srv-host=_chat._tcp.host.test,a.host.test,5223,10,5",
  // 1 . alpn=h2
  "dns-rr=both.host.test,65,00010000010003026832",
  ...["zone.test", "broken.test", "refused.test"].map((domain) =>
    `server=/${domain}/${String(upstream).replace(":", "#")}`
  )
]

const startDnsmasq = (upstream: Address.SocketAddress): Effect.Effect<NameServer, never, Scope.Scope> =>
  Effect.map(
    Daemons.start(dnsmasq, ({ directory, ports: [port] }) => ({
      arguments: ["--keep-in-foreground", "--log-facility=-", `--conf-file=${directory}/dnsmasq.conf`],
      files: {
        "dnsmasq.conf": `${dnsmasqConf(directory, port, upstream).join("\n")}\n`,
        hosts: numbers(40).map((n) => `${four(n)} many.host.test\n${six(n)} many.host.test\n`).join("")
      },
      ready: answers(`127.0.0.1:${port}`, "a.host.test")
    })),
    (daemon) => ({ ...daemon, address: at(`127.0.0.1:${daemon.ports[0]}`) })
  )

/** By a resolver that is not ours. */
const answers = (server: string, name: string): Effect.Effect<unknown, unknown> =>
  Effect.tryPromise(() => {
    const resolver = new Resolver({ timeout: 500, tries: 1 })
    resolver.setServers([server])
    return resolver.resolve4(name)
  })

/** Both, for as long as a file's tests run. */
export class Servers extends Context.Tag("Servers")<Servers, {
  readonly unbound: NameServer
  readonly dnsmasq: NameServer
}>() {}

export const servers = Layer.scoped(
  Servers,
  Effect.gen(function*() {
    const resolver = yield* startUnbound()
    return { unbound: resolver, dnsmasq: yield* startDnsmasq(resolver.address) }
  })
)
