// The scenarios of test/races.test.ts that loopback can have: what stands at each address of a name, when the name
// server tells of it, and what the dial takes at best, in milliseconds (RFC 8305: a Resolution Delay of 50, a Connection
// Attempt Delay of 250 and never less than 10).

/** In the order of its file: loopback has one IPv6 address, so where many of one family are needed, IPv4 is preferred. */
export const scenarios = [
  { title: "both good", hosts: { "::1": "good", "127.0.0.2": "good" }, best: 0 },
  { title: "AAAA never answered", hosts: { "127.0.0.2": "good" }, delays: { AAAA: "never" }, best: 50 },
  {
    title: "AAAA 1 s late",
    hosts: { "::1": "good", "127.0.0.2": "good" },
    delays: { AAAA: 1000 },
    best: 50
  },
  { title: "A 1 s late", hosts: { "::1": "good", "127.0.0.2": "good" }, delays: { A: 1000 }, best: 0 },
  // Two spaces of 10 between three attempts. Who leaves no space is below it.
  {
    title: "all refuse (fails)",
    hosts: { "::1": "refusing", "127.0.0.2": "refusing", "127.0.0.3": "refusing" },
    connects: false,
    best: 20
  },
  { title: "preferred silent", hosts: { "::1": "silent", "127.0.0.2": "good" }, best: 250 },
  {
    title: "four preferred silent",
    hosts: {
      "127.0.0.2": "silent",
      "127.0.0.3": "silent",
      "127.0.0.4": "silent",
      "127.0.0.5": "silent",
      "::1": "good"
    },
    families: ["inet", "inet6"],
    best: 250
  }
]

/** What the processes of others are warmed up with, and ours. */
export const warmUp = { title: "warm-up", hosts: { "::1": "good", "127.0.0.2": "good" }, best: 0 }
