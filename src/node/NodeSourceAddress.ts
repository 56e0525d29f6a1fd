/**
 * From where this machine would reach a destination: a connected UDP socket, which sends nothing, and its own name.
 *
 * The kernel takes its routing decision at `connect`; no packet leaves for it. That costs what a socket costs, and as
 * many descriptors as there are questions, so equal questions under way are one, and an answer is kept for
 * {@link keptFor}: a burst of dials to one host asks once. It is not kept longer, as a network can change.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Dgram from "node:dgram"
import * as Net from "node:net"
import * as Address from "../Address.js"
import { SourceAddress } from "../SourceAddress.js"

/**
 * The kernel's own choice of source.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Address, SourceAddress } from "effect-dial"
 * import { NodeSourceAddress } from "effect-dial/node"
 * import * as assert from "node:assert"
 *
 * const source = await Effect.flatMap(
 *   SourceAddress.SourceAddress,
 *   ({ sourceFor }) => sourceFor(Address.unsafeParse("127.0.0.1"))
 * ).pipe(Effect.provide(NodeSourceAddress.layer), Effect.runPromise)
 * assert.deepStrictEqual(Option.map(source, String), Option.some("127.0.0.1"))
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer: Layer.Layer<SourceAddress> = Layer.sync(SourceAddress, () => {
  const questions = new Questions()
  return {
    sourceFor: (destination) =>
      Effect.suspend(() => {
        // A zone that is no interface here makes it a name to Node.
        if (Net.isIP(destination.toString()) === 0) return Effect.succeedNone
        const known = questions.answerTo(destination)
        return known === undefined
          ? Effect.async((resume) => questions.ask(destination, (source) => resume(Effect.succeed(source))))
          : Effect.succeed(known)
      })
  }
})

/**
 * How long a source address is kept.
 *
 * @since 0.2.0
 * @category defaults
 */
export const keptFor: Duration.DurationInput = "1 second"

/** How many are kept, the newest. */
const mostKept = 1024

type Source = Option.Option<Address.IpAddress>
type Tell = (source: Source) => void

/** The questions under way, and the answers of the last second. */
class Questions {
  private readonly underWay = new Map<string, { readonly askers: Set<Tell>; readonly giveUp: () => void }>()
  /** Oldest first. */
  private readonly kept = new Map<string, { readonly source: Source; readonly until: number }>()
  private readonly keptMillis = Duration.toMillis(keptFor)

  answerTo(destination: Address.IpAddress): Source | undefined {
    const answer = this.kept.get(destination.toString())
    return answer !== undefined && performance.now() < answer.until ? answer.source : undefined
  }

  /** What leaves the question, whose socket is closed when all have. */
  ask(destination: Address.IpAddress, tell: Tell): Effect.Effect<void> {
    const key = destination.toString()
    const known = this.underWay.get(key)
    const askers = known?.askers ?? new Set()
    askers.add(tell)
    if (known === undefined) {
      this.underWay.set(key, {
        askers,
        giveUp: open(destination, (source, certain) => {
          this.underWay.delete(key)
          if (certain) this.keep(key, source)
          for (const tell of askers) tell(source)
        })
      })
    }
    return Effect.sync(() => {
      const question = this.underWay.get(key)
      if (!askers.delete(tell) || askers.size > 0 || question?.askers !== askers) return
      this.underWay.delete(key)
      question.giveUp()
    })
  }

  private keep(key: string, source: Source): void {
    const now = performance.now()
    this.kept.delete(key)
    this.kept.set(key, { source, until: now + this.keptMillis })
    for (const [oldest, { until }] of this.kept) {
      if (until > now && this.kept.size <= mostKept) return
      this.kept.delete(oldest)
    }
  }
}

/** Any port but 0, which is not connected to. */
const discard = 9

/** Tells the source, later, and whether that is certain; the result closes the socket before that. */
const open = (
  destination: Address.IpAddress,
  tell: (source: Source, certain: boolean) => void
): () => void => {
  const host = destination.toString()
  const socket = Dgram.createSocket({
    type: destination.family === "inet6" ? "udp6" : "udp4",
    lookup: (name, options, callback?: (error: null, address: string, family: number) => void) => {
      const done = callback ?? options as unknown as typeof callback
      done?.(null, name, Net.isIP(name))
    }
  })
  socket.unref()
  let ended = false
  const end = (source: Source, certain: boolean) => {
    if (ended) return
    ended = true
    socket.close()
    tell(source, certain)
  }
  // No descriptor left says nothing about the way.
  const failed = ({ code }: NodeJS.ErrnoException) => end(Option.none(), code !== "EMFILE" && code !== "ENFILE")
  socket.on("error", failed)
  queueMicrotask(() => {
    if (ended) return
    try {
      socket.connect(discard, host, (error?: Error) => {
        if (error) failed(error)
        else if (!ended) end(known(socket.address().address), true)
      })
    } catch (error) {
      failed(error as Error)
    }
  })
  return () => {
    if (ended) return
    ended = true
    socket.close()
  }
}

/** An address that is none is what the kernel says when it cannot tell: for a link-local destination without a zone. */
const known = (address: string): Option.Option<Address.IpAddress> => {
  const source = Address.unsafeParse(address)
  return Address.isUnspecified(source) ? Option.none() : Option.some(source)
}
