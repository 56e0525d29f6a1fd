/**
 * What `--help` prints, in 80 columns: @effect/cli's own is three lines an option, wider than a terminal, and has no
 * examples. Pure.
 */
import { type Command, commands } from "./arguments.js"

/** What each option takes and means. */
export const options: { readonly [option: string]: readonly [value: string | undefined, text: string] } = {
  "--timeout": ["TIME", "the whole dial's deadline, 10s if not told: 500ms, 1m"],
  "--attempt-delay": ["TIME", "between the starts of two attempts, 250ms if not told"],
  "--resolution-delay": ["TIME", "how long an A waits for a AAAA, 50ms if not told"],
  "--family": ["FAMILY", "any, inet6, inet, inet6-first or inet-first"],
  "--resolver": ["WHO", "who is asked for names: system, dns or doh=URL"],
  "--server": ["ADDRESS", "the name server to ask: 192.0.2.53 or [::1]:5353"],
  "--type": ["TYPE", "the records to ask for: AAAA, SRV, HTTPS"],
  "--ca": ["FILE", "the certificates to trust, PEM, instead of Node's own"],
  "--servername": ["NAME", "who the certificate has to be for, if not the host"],
  "--alpn": ["NAMES", "the application protocols to offer: h2,http/1.1"],
  "--cert": ["FILE", "the certificate to show, PEM, its issuers behind it"],
  "--key": ["FILE", "the key of --cert, PEM, without a passphrase"],
  "--json": [undefined, "one JSON object a line and nothing else"]
}

interface Page {
  readonly summary: string
  readonly about: ReadonlyArray<string>
  readonly notes: ReadonlyArray<string>
  readonly examples: ReadonlyArray<string>
}

const pages: { readonly [C in Command["name"]]: Page } = {
  connect: {
    summary: "relay standard input to it, and what it sends back",
    about: ["Relay standard input to an endpoint, and what it sends to standard output."],
    notes: [
      "The end of the input ends that half of a stream; it is over when the peer has",
      "ended the other. Over UDP each piece of the input, a line of a terminal, is a",
      "datagram; it is over when the input is and a second has brought none."
    ],
    examples: [
      "printf 'HEAD / HTTP/1.0\\r\\nHost: example.com\\r\\n\\r\\n' |",
      "  dial connect tls://example.com:443",
      "dial connect tls://127.0.0.1:5433 --ca ca.pem --servername db.internal",
      "dial connect udp://192.0.2.7:514 < message",
      "dial connect unix:/run/app.sock"
    ]
  },
  trace: {
    summary: "show what a dial of it does, and when",
    about: ["Dial an endpoint, show what happened when, and close."],
    notes: [
      "On a terminal a picture that moves, elsewhere a line for each event. Under TLS",
      "1.3 a peer tells only after the handshake that it refuses a certificate, or the",
      "lack of one: here that looks connected, and connect shows it."
    ],
    examples: [
      "dial trace example.com:80",
      "dial trace tls://example.com:443 --alpn h2,http/1.1",
      "dial trace tls://10.0.0.7:443 --ca ca.pem --servername db.internal --json",
      "dial trace example.com:443 --resolver doh=https://dns.example/dns-query",
      "dial trace udp://[2001:db8::53]:53",
      "dial trace unix:/run/app.sock"
    ]
  },
  resolve: {
    summary: "show its addresses, in the order of a dial",
    about: [
      "Show what a name resolves to, and the order in which a dial would attempt it,",
      "and why; with --type, the records of one type."
    ],
    notes: [],
    examples: [
      "dial resolve example.com",
      "dial resolve example.com --resolver dns --server 192.0.2.53",
      "dial resolve _imaps._tcp.example.com --type SRV"
    ]
  },
  demo: {
    summary: "dial in a small lab on loopback",
    about: ["Dial the names of a small lab on loopback: good, refusing and silent hosts."],
    notes: [],
    examples: ["dial demo"]
  }
}

const endpoints = [
  ["example.com:80", "a name or an address, and a port: TCP"],
  ["tcp://[2001:db8::1]:80", "TCP too"],
  ["tls://example.com:443", "TLS over TCP"],
  ["udp://192.0.2.53:53", "UDP"],
  ["unix:/run/app.sock", "a UNIX socket; unix:@name is one without a file"]
] as const

const exitCodes = [
  ["0", "connected, or shown what was asked for"],
  ["1", "not connected, or the connection was lost: standard error says why"],
  ["2", "the command line cannot mean anything: standard error says what"],
  ["130", "Ctrl-C (143: SIGTERM; 141: nobody reads the output any more)"]
] as const

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> => [
  "",
  title,
  ...lines.map((line) => line === "" ? "" : `  ${line}`)
]

/** Two columns. */
const rows = (cells: ReadonlyArray<readonly [string, string]>): ReadonlyArray<string> => {
  const width = Math.max(...cells.map(([first]) => first.length))
  return cells.map(([first, second]) => `${first.padEnd(width)}  ${second}`)
}

const pageOf = ({ name, options: taken, takes }: Command): ReadonlyArray<string> => {
  const { about, examples, notes } = pages[name]
  const own = Object.keys(taken).map((option) => {
    const [value, text] = options[option] ?? [undefined, ""]
    return [value === undefined ? option : `${option} ${value}`, text] as const
  })
  const usage = [
    "dial",
    name,
    ...own.length === 0 ? [] : ["[option ...]"],
    ...takes === undefined ? [] : [takes[0].toUpperCase()]
  ]
  return [
    ...about,
    "",
    `  ${usage.join(" ")}`,
    ...notes.length === 0 ? [] : ["", ...notes],
    ...takes?.[0] === "endpoint" ? section("Endpoints", rows(endpoints)) : [],
    ...own.length === 0 ? [] : section("Options", rows(own)),
    ...section("Examples", examples),
    ...section("Exit code", rows(exitCodes))
  ]
}

const overview: ReadonlyArray<string> = [
  "Dial an endpoint: resolve its name, race its addresses, tell the whole story.",
  ...section(
    "Commands",
    rows(commands.map(({ name, takes }) => [
      `dial ${name}${takes === undefined ? "" : ` ${takes[0].toUpperCase()}`}`,
      pages[name].summary
    ]))
  ),
  ...section("Endpoints", rows(endpoints)),
  ...section(
    "Options",
    rows([
      ["COMMAND --help", "its options, and examples"],
      ["--version", "the version"],
      ["--completions SHELL", "a script of completions for sh, bash, fish or zsh"]
    ])
  )
]

/** The help that a command line asks for, which is also that of an empty one. */
export const helpFor = (words: ReadonlyArray<string>): string | undefined => {
  const [name] = words
  if (name !== undefined && !words.some((word) => word === "-h" || word === "--help")) return undefined
  const command = commands.find((command) => command.name === name)
  return `${(command === undefined ? overview : pageOf(command)).join("\n")}\n`
}
