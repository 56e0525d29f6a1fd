/**
 * What every value of the vocabulary that has a text form shares: how it prints, in JSON and at a console.
 *
 * The text is made on demand and not kept. Most addresses are printed at most once, a cached text would cost each of
 * them a field, and two equal values would no longer have equal fields.
 */
import type * as Equal from "effect/Equal"
import type * as Hash from "effect/Hash"
import { type Inspectable, NodeInspectSymbol } from "effect/Inspectable"

export abstract class Textual implements Inspectable, Equal.Equal {
  abstract readonly _tag: string

  abstract [Equal.symbol](that: Equal.Equal): boolean

  abstract [Hash.symbol](): number

  abstract toString(): string

  toJSON(): string {
    return this.toString()
  }

  [NodeInspectSymbol](): string {
    return `${this._tag}(${this.toString()})`
  }
}
