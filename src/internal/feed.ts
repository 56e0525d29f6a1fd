/**
 * A Stream that can also be had without running it.
 *
 * To run a Stream takes 100 microseconds of CPU however little is in it, as much as all the rest of a dial; to call a
 * function with each element takes none. So our own resolvers make their Streams of a {@link Feed}, which the Dialer
 * finds on them; a Stream of anybody else is run.
 */
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { endAll } from "./endAll.js"
import { Inbox } from "./inbox.js"

/**
 * Begins to give elements to `tell`, and its end to `ended`: at once or later, from within any fiber or none. The Effect
 * waits for nothing, is not to be interrupted, and gives what leaves the feed: after it nobody is told anything that
 * matters, and what the feed held is gone.
 */
export type Feed<A, E = never> = (
  tell: (element: A) => void,
  ended: (exit: Exit.Exit<void, E>) => void
) => Effect.Effect<Effect.Effect<void>>

const feedOf: unique symbol = Symbol("effect-dial/feed")

type Fed<A, E> = Stream.Stream<A, E> & { readonly [feedOf]?: Feed<A, E> }

/** The Stream of a feed: begun by each run, left when that is over. */
export const toStream = <A, E>(feed: Feed<A, E>): Stream.Stream<A, E> => {
  const channel = Channel.suspend(() => {
    const inbox = new Inbox<Exit.Exit<void, E> | Element<A>>()
    const leave = { effect: Effect.void }
    const begin = Effect.map(begun(feed, inbox), (effect) => {
      leave.effect = effect
    })
    return Channel.ensuring(
      Channel.flatMap(Channel.fromEffect(Effect.uninterruptible(begin)), () => emit(inbox)),
      Effect.suspend(() => leave.effect)
    )
  })
  return Object.assign(Stream.fromChannel(channel), { [feedOf]: feed })
}

/** The feed of a Stream. */
export const fromStream = <A, E>(stream: Stream.Stream<A, E>): Feed<A, E> =>
  (stream as Fed<A, E>)[feedOf] ?? ((tell, ended) =>
    Effect.map(
      Effect.forkDaemon(Effect.interruptible(Stream.runForEach(stream, (element) => Effect.sync(() => tell(element))))),
      (fiber) => {
        fiber.addObserver(ended)
        return endAll([fiber])
      }
    ))

/** What `Stream.runForEach` does, without running a Stream that has a feed. */
export const runForEach = <A, E, E2>(
  stream: Stream.Stream<A, E>,
  use: (element: A) => Effect.Effect<void, E2>
): Effect.Effect<void, E | E2> =>
  Effect.suspend(() => {
    const inbox = new Inbox<Exit.Exit<void, E> | Element<A>>()
    return Effect.acquireUseRelease(
      begun(fromStream(stream), inbox),
      () => consume(inbox, use),
      (leave) => leave
    )
  })

class Element<A> {
  readonly _tag = "Element"
  constructor(readonly value: A) {}
}

const begun = <A, E>(
  feed: Feed<A, E>,
  inbox: Inbox<Exit.Exit<void, E> | Element<A>>
): Effect.Effect<Effect.Effect<void>> =>
  Effect.suspend(() => feed((element) => inbox.post(new Element(element)), (exit) => inbox.post(exit)))

const consume = <A, E, E2>(
  inbox: Inbox<Exit.Exit<void, E> | Element<A>>,
  use: (element: A) => Effect.Effect<void, E2>
): Effect.Effect<void, E | E2> =>
  Effect.flatMap(
    inbox.take,
    (next) => next._tag === "Element" ? Effect.zipRight(use(next.value), consume(inbox, use)) : next
  )

const emit = <A, E>(inbox: Inbox<Exit.Exit<void, E> | Element<A>>): Channel.Channel<
  Chunk.Chunk<A>,
  unknown,
  E
> =>
  Channel.flatMap(Channel.fromEffect(inbox.take), (next): Channel.Channel<Chunk.Chunk<A>, unknown, E> => {
    if (next._tag === "Element") {
      return Channel.flatMap(Channel.write(Chunk.of(next.value)), () => emit(inbox))
    }
    return Exit.isSuccess(next) ? Channel.void : Channel.failCause(next.cause)
  })
