/**
 * What earlier dials learned of addresses: RFC 8305 §4's "history of expected RTTs" and of addresses used before.
 *
 * Off unless its {@link layer} is there when the Dialer's is built. What it remembers orders only what RFC 6724's rules
 * 1 to 8 leave equal: it never puts one family before the other.
 *
 * - an entry belongs to a destination and the source it was reached from; once the machine reaches the destination from
 *   another source, which is to say on another network, the entry is gone (RFC 8305 §4: "This historical data MUST NOT be
 *   used across different network interfaces and SHOULD be flushed whenever a device changes the network")
 * - the round-trip time is smoothed as RFC 6298 §2 does (one eighth of each new one), so that noise does not reorder
 * - a failure forgets the round-trip time and that the address was used; a success teaches both anew
 * - entries expire, and the oldest go when there are too many
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { IpAddress } from "./Address.js"

/**
 * How an attempt ended, as far as it teaches anything.
 *
 * @since 0.2.0
 * @category models
 */
export type Lesson =
  | { readonly _tag: "Connected"; readonly roundTrip: Duration.DurationInput }
  | { readonly _tag: "Failed" }

/**
 * What is remembered of an address.
 *
 * @since 0.2.0
 * @category models
 */
export interface Memory {
  readonly roundTrip?: Duration.Duration | undefined
  readonly used: boolean
}

/**
 * The memory of addresses.
 *
 * @since 0.2.0
 * @category service
 */
export class History extends Context.Tag("effect-dial/History")<History, {
  readonly learn: (address: IpAddress, source: IpAddress, lesson: Lesson) => Effect.Effect<void>
  readonly recall: (address: IpAddress, source: IpAddress) => Effect.Effect<Memory>
}>() {}

/**
 * How much is remembered, and how long.
 *
 * @since 0.2.0
 * @category models
 */
export interface HistoryOptions {
  /**
   * How many addresses are remembered.
   *
   * @default 1024
   */
  readonly capacity?: number | undefined
  /**
   * How long an entry is good for after its last lesson.
   *
   * @default "10 minutes"
   */
  readonly timeToLive?: Duration.DurationInput | undefined
}

interface Entry extends Memory {
  readonly source: string
  readonly learnedAt: number
}

const unknown: Memory = { used: false }

/** RFC 6298 §2.3's alpha. */
const gain = 1 / 8

/**
 * A memory of its own.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Dialer, History } from "effect-dial"
 * import { NodeResolver, NodeSourceAddress, NodeTransport } from "effect-dial/node"
 *
 * const ports = Layer.mergeAll(NodeResolver.layer, NodeSourceAddress.layer, NodeTransport.layer)
 *
 * export const network = Layer.provide(Dialer.layer, Layer.merge(ports, History.layer()))
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (options?: HistoryOptions): Layer.Layer<History> =>
  Layer.sync(History, () => {
    const capacity = Math.max(1, options?.capacity ?? 1024)
    const timeToLive = Duration.toMillis(options?.timeToLive ?? "10 minutes")
    // In the order of the last lesson.
    const entries = new Map<string, Entry>()
    const recall = (address: IpAddress, source: IpAddress, now: number): Memory => {
      const key = String(address)
      const entry = entries.get(key)
      if (entry === undefined) return unknown
      const { learnedAt, roundTrip, used } = entry
      if (entry.source === String(source) && now - learnedAt < timeToLive) return { roundTrip, used }
      entries.delete(key)
      return unknown
    }
    return {
      recall: (address, source) =>
        Effect.clockWith((clock) => Effect.succeed(recall(address, source, clock.unsafeCurrentTimeMillis()))),
      learn: (address, source, lesson) =>
        Effect.clockWith((clock) => {
          const now = clock.unsafeCurrentTimeMillis()
          const known = recall(address, source, now)
          entries.delete(String(address))
          entries.set(String(address), {
            source: String(source),
            learnedAt: now,
            ...lesson._tag === "Failed"
              ? { used: false }
              : { used: true, roundTrip: smoothed(known.roundTrip, Duration.decode(lesson.roundTrip)) }
          })
          const [oldest] = entries.keys()
          if (entries.size > capacity && oldest !== undefined) entries.delete(oldest)
          return Effect.void
        })
    }
  })

const smoothed = (known: Duration.Duration | undefined, sample: Duration.Duration): Duration.Duration =>
  known === undefined
    ? sample
    : Duration.millis(Duration.toMillis(known) * (1 - gain) + Duration.toMillis(sample) * gain)
