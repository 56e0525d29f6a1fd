/**
 * The laws as suites for `@effect/vitest`, which has to be installed to import this module.
 *
 * Whoever writes a Transport or a Resolver calls the suite with a layer of it in a test file. The layer is built anew
 * for each law, and provides beside the implementation what the laws need of the place: an `Arena` with listeners to
 * dial, or the `KnownNames`.
 *
 * @example
 * ```ts no-run
 * import { Effect, Layer } from "effect"
 * import { SimNetwork } from "effect-dial/testing"
 * import { KnownNames, resolverLaws } from "effect-dial/testing/laws"
 *
 * resolverLaws(
 *   "the simulated network",
 *   Layer.merge(
 *     SimNetwork.layer({ names: { "web.test": ["10.0.0.2"] } }),
 *     Layer.succeed(KnownNames, { known: "web.test", unknown: "nobody.test" })
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Resolver } from "../Resolver.js"
import type { Transport } from "../Transport.js"
import { connection } from "./laws/connection.js"
import { datagram } from "./laws/datagram.js"
import { type Arena, type Law, type LawBroken } from "./laws/Law.js"
import { type KnownNames, resolver } from "./laws/resolver.js"
import { transport } from "./laws/transport.js"

export {
  /**
   * @since 0.1.0
   * @category arena
   */
  Arena,
  /**
   * @since 0.1.0
   * @category laws
   */
  type Law,
  /**
   * @since 0.1.0
   * @category laws
   */
  LawBroken
} from "./laws/Law.js"

export {
  /**
   * @since 0.1.0
   * @category arena
   */
  KnownNames
} from "./laws/resolver.js"

/**
 * How to run the laws.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Runs each law's program: `Simulation.run` for an implementation in virtual time. */
  readonly run?: (<A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, unknown>) | undefined
  /**
   * The longest one law may take, in milliseconds of real time.
   *
   * @default 10000
   */
  readonly timeout?: number | undefined
}

/**
 * What every Transport owes to those who drive its handles, and what `Attempt` makes of them.
 *
 * @since 0.1.0
 * @category suites
 */
export const transportLaws = <E>(
  name: string,
  layer: Layer.Layer<Transport | Arena, E>,
  options?: Options
): void => suite(`the laws of a Transport: ${name}`, transport, layer, options)

/**
 * What every connection owes, over the Transport in the layer.
 *
 * @since 0.1.0
 * @category suites
 */
export const connectionLaws = <E>(
  name: string,
  layer: Layer.Layer<Transport | Arena, E>,
  options?: Options
): void => suite(`the laws of a Connection: ${name}`, connection, layer, options)

/**
 * What every connected datagram socket owes, over the Transport in the layer.
 *
 * @since 0.2.0
 * @category suites
 */
export const datagramLaws = <E>(
  name: string,
  layer: Layer.Layer<Transport | Arena, E>,
  options?: Options
): void => suite(`the laws of a datagram socket: ${name}`, datagram, layer, options)

/**
 * What every Resolver owes.
 *
 * @since 0.1.0
 * @category suites
 */
export const resolverLaws = <E>(
  name: string,
  layer: Layer.Layer<Resolver | KnownNames, E>,
  options?: Options
): void => suite(`the laws of a Resolver: ${name}`, resolver, layer, options)

const suite = <R, E>(
  name: string,
  laws: ReadonlyArray<Law<R>>,
  layer: Layer.Layer<R, E>,
  { run, timeout = 10_000 }: Options = {}
): void => {
  describe(name, () => {
    for (const { check, name } of laws) {
      const program: Effect.Effect<void, E | LawBroken> = Effect.provide(check, layer)
      it.live(name, () => run === undefined ? program : run(program), timeout)
    }
  })
}
