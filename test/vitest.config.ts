import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    include: ["test/**/*.test.ts"],
    // Tests of the library run on virtual time, so a slow one hangs; the tooling tests set their own bounds.
    testTimeout: 10_000
  }
})
