import { Duration, Either } from "effect"
import { describe, expect, it } from "vitest"
import { parseTimeout } from "../../src/cli/arguments.js"

describe("--timeout", () => {
  it.each([
    ["10s", 10_000],
    ["500ms", 500],
    ["1m", 60_000],
    ["1.5s", 1500],
    ["2h", 7_200_000],
    ["10 seconds", 10_000],
    ["250 millis", 250],
    ["1 minute", 60_000]
  ])("%j is a time", (text, millis) => {
    expect(Duration.toMillis(Either.getOrThrow(parseTimeout(text)))).toBe(millis)
  })

  it.each(["", "10", "0s", "0 seconds", "-1s", "-1 seconds", "10x", "s", "1e3s", "10S", "10s ", "soon", "10s20ms"])(
    "%j is refused in one line that quotes it",
    (text) => {
      const { message } = Either.getOrThrow(Either.flip(parseTimeout(text)))
      expect(message).toMatch(/^[^\n]+$/)
      expect(message).toContain(JSON.stringify(text))
    }
  )
})
