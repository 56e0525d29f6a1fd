/** Dials of one name on a scripted resolver and a {@link FakeTransport}, in virtual time, and what must be true of each. */
import { expect } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope, Stream, TestClock } from "effect"
import * as Dialer from "../../src/Dialer.js"
import { ResolveError } from "../../src/DialError.js"
import * as DialEvent from "../../src/DialEvent.js"
import type * as Endpoint from "../../src/Endpoint.js"
import * as Resolver from "../../src/Resolver.js"
import { SourceAddress } from "../../src/SourceAddress.js"
import { ip } from "./addresses.js"
import * as FakeTransport from "./FakeTransport.js"

export const host = "db.example"

export const endpoint = `${host}:5432`

export const found = (...addresses: ReadonlyArray<string>): Resolver.Answer => {
  const parsed = addresses.map(ip)
  return { _tag: "Addresses", family: parsed[0]?.family ?? "inet", addresses: parsed }
}

export const none = (family: Resolver.IpFamily, reason: ResolveError["reason"]): Resolver.Answer =>
  Resolver.noAddresses(family, new ResolveError({ host, family, reason }))

export type Script = ReadonlyArray<readonly [at: number, answer: Resolver.Answer | ResolveError | "never"]>

/** A resolver whose answers come at their moments (milliseconds since it was asked), and then end. */
export const answering = (script: Script): Layer.Layer<Resolver.Resolver> =>
  Layer.succeed(Resolver.Resolver, {
    resolve: () =>
      Stream.fromIterable(
        script.map(([at], index) => [at - (script[index - 1]?.[0] ?? 0), script[index]?.[1]] as const)
      )
        .pipe(Stream.mapEffect(([wait, answer]) =>
          Effect.zipRight(
            Effect.sleep(wait),
            answer === "never" || answer === undefined
              ? Effect.never
              : answer._tag === "ResolveError"
              ? Effect.fail(answer)
              : Effect.succeed(answer)
          )
        ))
  })

export const neverAsked = Layer.succeed(Resolver.Resolver, {
  resolve: () => Stream.dieMessage("the resolver was asked")
})

export interface Case {
  readonly to?: Endpoint.Input
  readonly answers?: Script
  readonly table?: { readonly [address: string]: FakeTransport.Scenario }
  readonly options?: Dialer.DialOptions
  /** How this machine tells from where it would reach an address; nobody is asked by default. */
  readonly sourceFor?: SourceAddress["Type"]["sourceFor"]
}

/** A dial in a Scope that outlives it. */
export const dialOf = ({ answers, options, sourceFor, table = {}, to = endpoint }: Case) => {
  const transport = FakeTransport.make(table)
  const events: Array<DialEvent.DialEvent> = []
  const sources = sourceFor === undefined ? Layer.empty : Layer.succeed(SourceAddress, { sourceFor })
  const ports = Layer.mergeAll(answers === undefined ? neverAsked : answering(answers), transport.layer, sources)
  // Built beforehand: an interruption at every step is to meet the dial, not the building of layers.
  const services = Effect.runSync(Effect.scoped(Layer.build(Layer.provide(Dialer.layer, ports))))
  const program = Effect.provide(
    DialEvent.observe(Dialer.dial(to, options), () => (event) => events.push(event)),
    services
  )
  return { transport, events, program }
}

/** Runs the dial to its end. What failed has left nothing open by then, though its Scope lives on. */
export const run = (input: Case) =>
  Effect.gen(function*() {
    const { events, program, transport } = dialOf(input)
    const scope = yield* Scope.make()
    const fiber = yield* Scope.extend(program, scope).pipe(
      Effect.exit,
      Effect.zip(TestClock.currentTimeMillis),
      Effect.fork
    )
    yield* TestClock.adjust("1 hour")
    const [exit, endedAt] = yield* Fiber.join(fiber)
    const winner = Exit.isSuccess(exit) ? [String(exit.value.remoteAddress)] : []
    expect(transport.sockets.filter(({ isOpen }) => isOpen).map(({ remoteAddress }) => String(remoteAddress))).toEqual(
      winner
    )
    for (const event of events) {
      if (event._tag !== "AttemptStarted") continue
      const told = events.filter((other) => "attempt" in other && other.attempt === event.attempt)
      expect(told.map(({ _tag }) => _tag)).toEqual([
        "AttemptStarted",
        expect.stringMatching(/^Attempt(?:Failed|Stopped|Connected)$/)
      ])
    }
    yield* Scope.close(scope, Exit.void)
    expect(transport.open()).toBe(0)
    expect(transport.sockets.every(({ operations }) => operations.at(-1) === "release")).toBe(true)
    return { exit, endedAt, transport, events, connectedTo: winner[0] }
  })

export const failed = (input: Case) =>
  Effect.map(run(input), (result) => {
    const { exit } = result
    if (Exit.isSuccess(exit) || exit.cause._tag !== "Fail") throw new Error(`expected a failure: ${exit}`)
    return { ...result, error: exit.cause.error }
  })

export const connected = (delay = 0): FakeTransport.Scenario => ({ delay, outcome: "connected" })

export const refused = (delay = 0): FakeTransport.Scenario => ({ delay, outcome: "Refused" })

export const never: FakeTransport.Scenario = { outcome: "never" }
