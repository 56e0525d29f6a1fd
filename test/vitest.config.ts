import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const source = (path: string): string => fileURLToPath(new URL(`../src/${path}`, import.meta.url))

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  resolve: {
    // A test that runs a program of a user, here, runs it on these sources and not on what was built of them.
    alias: [
      { find: /^effect-dial$/, replacement: source("index.ts") },
      { find: /^effect-dial\/(node|testing)$/, replacement: source("$1/index.ts") },
      { find: /^effect-dial\/node\/(\w+)$/, replacement: source("node/$1.ts") }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    // Tests of the library run on virtual time, so a slow one hangs; the tooling tests set their own bounds.
    testTimeout: 10_000
  }
})
