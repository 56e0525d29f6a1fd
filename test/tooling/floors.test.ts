import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { expect, it } from "vitest"
import { root } from "./examples.js"

/** What the floors check says of a tree of sources: `rule: from -> to`. */
const violations = (sources: Readonly<Record<string, string>>): ReadonlyArray<string> => {
  const folder = mkdtempSync(join(tmpdir(), "effect-dial-floors-"))
  try {
    for (const [path, text] of Object.entries(sources)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    const { status, stderr, stdout } = spawnSync(
      join(root, "node_modules/.bin/depcruise"),
      ["src", "--config", join(root, ".dependency-cruiser.cjs"), "--output-type", "json"],
      { cwd: folder, encoding: "utf8" }
    )
    if (stdout === "") throw new Error(`depcruise ended with ${status}: ${stderr}`)
    const found: ReadonlyArray<
      { readonly rule: { readonly name: string }; readonly from: string; readonly to: string }
    > = JSON.parse(stdout).summary.violations
    return found.map(({ from, rule, to }) => `${rule.name}: ${from} -> ${to}`).toSorted()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

it("the floors check accepts imports that go down, stay on their floor, or are for the edges", () => {
  expect(violations({
    "src/Address.ts": `import type { Endpoint } from "./Endpoint.js"\nexport type Address = Endpoint`,
    "src/Endpoint.ts": `import type { Address } from "./Address.js"\nexport type Endpoint = { address: Address }`,
    "src/internal/text.ts": `export const text = 1`,
    "src/Attempt.ts":
      `import * as Address from "./Address.js"\nexport { text } from "./internal/text.js"\nexport { Address }`,
    "src/HappyEyeballs.ts": `export * as Attempt from "./Attempt.js"`,
    "src/node/NodeTransport.ts": `import * as Net from "node:net"\nexport { Net }`
  })).toEqual([])
}, 30_000)

it("the floors check refuses upward imports, the platform, circles and modules without a floor", () => {
  expect(violations({
    "src/Address.ts": `import type { Dialer } from "./Dialer.js"\nexport type Address = Dialer`,
    "src/DialError.ts": `import { b } from "./Endpoint.js"\nexport const a = b`,
    "src/Endpoint.ts": `import { a } from "./DialError.js"\nexport const b = a`,
    "src/Transport.ts": `import "@effect/platform-node"`,
    "src/Dialer.ts": `import "@effect/cli"\nexport type Dialer = 1`,
    "src/AddressPlan.ts": `export * as Attempt from "./Attempt.js"`,
    "src/Attempt.ts": `import type * as AddressPlan from "./AddressPlan.js"\nexport type { AddressPlan }`,
    "src/HappyEyeballs.ts": `import * as Net from "node:net"\nimport { lookup } from "dns"\nexport { lookup, Net }`,
    "src/internal/text.ts": `export * from "../Resolver.js"`,
    "src/Resolver.ts": `export const resolver = 1`,
    "src/Forgotten.ts": `export const forgotten = 1`,
    "src/node/NodeHttpClient.ts": `export const http = 1`,
    "src/node/index.ts": `export * as NodeHttpClient from "./NodeHttpClient.js"`,
    "src/index.ts": `export * from "./cli/main.js"`,
    "src/cli/main.ts": `export const main = 1`
  })).toEqual([
    "a-floor-for-every-lone-module: src/Forgotten.ts -> src/Forgotten.ts",
    "cli-libraries-only-in-the-cli: src/Dialer.ts -> @effect/cli",
    "floor-0-imports-only-down: src/Address.ts -> src/Dialer.ts",
    "internal-imports-only-floor-0: src/internal/text.ts -> src/Resolver.ts",
    "no-circles-of-values-in-floor-0: src/DialError.ts -> src/Endpoint.ts",
    "no-circles: src/AddressPlan.ts -> src/Attempt.ts",
    "no-unresolvable: src/Dialer.ts -> @effect/cli",
    "no-unresolvable: src/Transport.ts -> @effect/platform-node",
    "nobody-imports-the-cli: src/index.ts -> src/cli/main.ts",
    "node-builtins-only-at-the-edge: src/HappyEyeballs.ts -> dns",
    "node-builtins-only-at-the-edge: src/HappyEyeballs.ts -> net",
    "platform-node-only-in-the-cli-and-the-http-client: src/Transport.ts -> @effect/platform-node",
    "the-http-client-only-by-its-own-door: src/node/index.ts -> src/node/NodeHttpClient.ts"
  ])
}, 30_000)
