import { Effect } from "effect"
import { expect, test } from "tstyche"

test("an effect that cannot fail says so in its type", () => {
  expect(Effect.succeed(1)).type.toBe<Effect.Effect<number>>()
})
