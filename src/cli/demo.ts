/**
 * `dial demo`: a lab on loopback, and the waterfall of dialing each of its names; the last dial fails and tells its
 * story.
 */
import type * as Terminal from "@effect/platform/Terminal"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.js"
import * as Dialer from "../Dialer.js"
import * as DialError from "../DialError.js"
import * as NodeNetwork from "../node/NodeNetwork.js"
import * as Resolver from "../Resolver.js"
import * as Display from "./display.js"
import * as Lab from "./lab.js"
import { paint, type Part, part } from "./lines.js"
import { hasColour, type StdioError, write } from "./stdio.js"

/** Show it. Fails when the lab cannot be built; the dial that fails is part of the show. */
export const demo: Effect.Effect<void, Lab.LabError | StdioError, Terminal.Terminal> = Effect.scoped(
  Effect.gen(function*() {
    const ipv6 = yield* Lab.hasIpv6
    yield* say(part("effect-dial, dialing in a lab on loopback: real sockets, no network", "strong"))
    if (!ipv6) yield* say(part("this machine has no ::1, so the lab has IPv4 only", "stopped"))
    const scenes = yield* build(ipv6)
    yield* Effect.forEach(scenes, play, { discard: true })
  })
)

// -----------------------------------------------------------------------------
// the script
// -----------------------------------------------------------------------------

interface Scene {
  readonly name: string
  readonly port: number
  /** In the resolver's order, which is also that of RFC 6724 whose rule 9 likes a prefix shared with 127.0.0.1. */
  readonly addresses: ReadonlyArray<string>
  readonly shows: string
  readonly attemptTimeout?: Duration.DurationInput
}

const silent = "127.0.0.2"
const refusing = "127.0.0.4"
const good = "127.0.0.8"

/** The hosts' ports differ only because there is one ::1 to be good, refusing and silent. */
const build = (ipv6: boolean): Effect.Effect<ReadonlyArray<Scene>, Lab.LabError, Scope.Scope> => {
  const inet: Lab.Hosts = { [silent]: "silent", [refusing]: "refusing", [good]: "good" }
  const port = (behaviour: Lab.Behaviour) => Lab.build(ipv6 ? { ...inet, "::1": behaviour } : inet)
  return Effect.map(
    Effect.all([port("good"), port("refusing"), port("silent")]),
    ([allGood, noIpv6, silentIpv6]) => [
      {
        name: "good.lab",
        port: allGood,
        addresses: [...ipv6 ? ["::1"] : [], good],
        shows: "The first address connects. No other is tried."
      },
      {
        name: "refused-then-good.lab",
        port: noIpv6,
        addresses: [ipv6 ? "::1" : refusing, good],
        shows: "The first address refuses. The next starts at once."
      },
      {
        name: "silent-then-good.lab",
        port: silentIpv6,
        addresses: [ipv6 ? "::1" : silent, good],
        shows: "The first address is silent. After 250 ms the next starts beside it, and wins."
      },
      {
        name: "rough.lab",
        port: silentIpv6,
        addresses: [...ipv6 ? ["::1"] : [], silent, refusing, good],
        shows: "Silent, refusing and good hosts. Losers are closed before the winner is given."
      },
      {
        name: "dead.lab",
        port: noIpv6,
        addresses: [...ipv6 ? ["::1"] : [], silent, refusing],
        shows: "They refuse, or are silent past a limit of 600 ms. The error tells of each.",
        attemptTimeout: "600 millis"
      }
    ]
  )
}

// -----------------------------------------------------------------------------
// the show
// -----------------------------------------------------------------------------

const play = (scene: Scene): Effect.Effect<void, StdioError, Terminal.Terminal> =>
  Effect.gen(function*() {
    yield* say()
    yield* say(part(`${scene.name}:${scene.port}`, "strong"))
    yield* say(part(`  ${scene.shows}`, "faint"))
    yield* Dialer.dial(`${scene.name}:${scene.port}`, { attemptTimeout: scene.attemptTimeout }).pipe(
      Effect.asVoid,
      (dialing) => Display.watch(dialing, Display.waterfall),
      Effect.scoped,
      Effect.provide(network(scene)),
      Effect.catchIf((error) => error._tag !== "StdioError", tell)
    )
  })

/** Fresh, or the memo of layers would hand us the Dialer inside `NodeNetwork.layer`, which asks the system. */
const network = ({ addresses, name }: Scene): Layer.Layer<Dialer.Dialer> =>
  Layer.fresh(Dialer.layer).pipe(
    Layer.provide(Resolver.layerStatic({ [name]: addresses.map(Address.unsafeParse) })),
    Layer.provide(NodeNetwork.layer)
  )

const tell = (error: DialError.DialError): Effect.Effect<void, StdioError> =>
  Effect.zipRight(
    say(),
    Effect.forEach(DialError.pretty(error).split("\n"), (line) => say(part(line)), { discard: true })
  )

const say = (...parts: ReadonlyArray<Part>): Effect.Effect<void, StdioError> => write(`${paint(parts, hasColour())}\n`)
