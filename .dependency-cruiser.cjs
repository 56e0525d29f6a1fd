// The floors of the house: a module imports its own floor or one below, never above, and never in a circle.
// A new module in src gets its floor here; until then the check fails.
const floors = [
  [
    "Address",
    "Endpoint",
    "DialError",
    "DialEvent",
    "SocketOptions",
    "ServiceBinding",
    "DnsMessage",
    "Certificate",
    "TlsError",
    "TlsOptions",
    "TlsSession"
  ],
  ["Resolver", "Transport", "SourceAddress", "Connection", "DnsConfig"],
  ["AddressSelection", "History", "AddressPlan", "Resolution", "Attempt", "HappyEyeballs", "DnsExchange", "DnsHttps"],
  ["DialOptions", "Dialer", "DnsResolver", "Nat64"],
  ["Tls"],
  ["Connector"],
  ["index", "node/", "testing/", "platform/", "cli/"]
]

const pathOf = (floor) => `^src/(?:${floor.map((name) => (name.endsWith("/") ? name : `${name}\\.ts$`)).join("|")})`
const internal = "^src/internal/"
const assigned = [...floors.map(pathOf), internal]
const httpClient = ["^src/node/NodeHttpClient\\.ts$", "^src/node/internal/undiciClient\\.ts$"]
const unassigned = { path: "^src/", pathNot: assigned }

module.exports = {
  forbidden: [
    ...floors.slice(0, -1).map((floor, n) => ({
      name: `floor-${n}-imports-only-down`,
      severity: "error",
      from: { path: pathOf(floor) },
      to: { path: floors.slice(n + 1).map(pathOf) }
    })),
    {
      // Anyone may import internal/, so whatever it imports must lie below everyone: floor 0, or itself.
      name: "internal-imports-only-floor-0",
      severity: "error",
      from: { path: internal },
      to: { path: floors.slice(1).map(pathOf) }
    },
    {
      name: "nobody-imports-the-cli",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/cli/" },
      to: { path: "^src/cli/" }
    },
    {
      name: "node-builtins-only-at-the-edge",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(?:node|cli)/" },
      to: { dependencyTypes: ["core"] }
    },
    {
      // They are large and only the bin needs them; the library's Node layers stand on Node itself.
      name: "cli-libraries-only-in-the-cli",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/cli/" },
      to: { path: "@effect/(?:cli|printer)" }
    },
    {
      // It brings undici, seven megabytes of heap. The HTTP client is its own, over our connections, and pays for it.
      name: "platform-node-only-in-the-cli-and-the-http-client",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/cli/", ...httpClient] },
      to: { path: "@effect/platform-node" }
    },
    {
      name: "the-http-client-only-by-its-own-door",
      severity: "error",
      from: { path: "^src/", pathNot: httpClient },
      to: { path: httpClient }
    },
    {
      name: "no-circles",
      severity: "error",
      from: { path: "^src/", pathNot: pathOf(floors[0]) },
      to: { circular: true }
    },
    {
      // The vocabulary may speak of itself: two types that name each other are no circle at run time.
      name: "no-circles-of-values-in-floor-0",
      severity: "error",
      from: { path: pathOf(floors[0]) },
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } }
    },
    { name: "a-floor-for-every-module", severity: "error", from: unassigned, to: {} },
    { name: "a-floor-for-every-imported-module", severity: "error", from: {}, to: unassigned },
    { name: "a-floor-for-every-lone-module", severity: "error", from: { ...unassigned, orphan: true }, to: {} },
    { name: "no-unresolvable", severity: "error", from: {}, to: { couldNotResolve: true } }
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    // Types count: an upward `import type` is an upward dependency of the design.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: require("node:path").join(__dirname, "tsconfig.json") },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"] }
  }
}
