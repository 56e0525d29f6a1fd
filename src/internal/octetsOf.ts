import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/**
 * All octets of a stream that has at most `most` of them; `None` of one that has more, which is left as soon as it is
 * known: whoever sends without end fills no memory.
 */
export const octetsOf = <E, R>(
  stream: Stream.Stream<Uint8Array, E, R>,
  most: number
): Effect.Effect<Option.Option<Uint8Array>, E, R> =>
  Effect.map(
    Stream.runFoldWhile(
      stream,
      { parts: Chunk.empty<Uint8Array>(), length: 0 },
      ({ length }) => length <= most,
      ({ length, parts }, part) => ({ parts: Chunk.append(parts, part), length: length + part.length })
    ),
    ({ length, parts }) => length > most ? Option.none() : Option.some(joined(parts, length))
  )

const joined = (parts: Chunk.Chunk<Uint8Array>, length: number): Uint8Array => {
  const octets = new Uint8Array(length)
  Chunk.reduce(parts, 0, (at, part) => {
    octets.set(part, at)
    return at + part.length
  })
  return octets
}
