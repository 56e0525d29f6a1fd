import { type Context, Effect, type Scope, type Stream } from "effect"
import { expect, test } from "tstyche"
import * as Attempt from "../../src/Attempt.js"
import type { Connection } from "../../src/Connection.js"
import * as Connector from "../../src/Connector.js"
import * as Dialer from "../../src/Dialer.js"
import type {
  AttemptError,
  ConnectionLost,
  ConnectStopped,
  DialError,
  InvalidEndpoint,
  ResolveError
} from "../../src/DialError.js"
import * as HappyEyeballs from "../../src/HappyEyeballs.js"
import type { Resolver } from "../../src/Resolver.js"
import type { OpenRequest, SocketHandle, Transport } from "../../src/Transport.js"

declare const request: OpenRequest

type Shape<T> = T extends Context.Tag<infer _Id, infer Service> ? Service : never

test("one attempt needs a Transport and a Scope, and fails with an AttemptError", () => {
  expect(Attempt.connect(request)).type.toBe<
    Effect.Effect<Connection, AttemptError, Transport | Scope.Scope>
  >()
  expect(Attempt.connect(request, { timeout: "1 second" })).type.toBe<
    Effect.Effect<Connection, AttemptError, Transport | Scope.Scope>
  >()
})

test("a race infers the value, the error and the needs of its attempts", () => {
  class Database extends Effect.Service<Database>()("Database", { succeed: {} }) {}
  const race = HappyEyeballs.race({
    candidates: [1, 2, 3],
    attempt: (candidate) =>
      Effect.flatMap(Database, () => candidate > 2 ? Effect.succeed("won") : Effect.fail(candidate))
  })
  expect<Effect.Effect.Success<typeof race>>().type.toBe<string>()
  expect<Effect.Effect.Error<typeof race>>().type.toBe<
    HappyEyeballs.RaceFailed<number, number> | HappyEyeballs.RaceTimeout
  >()
  expect<Effect.Effect.Context<typeof race>>().type.toBe<Database | Scope.Scope>()
})

test("a race's failures are its candidates and their errors", () => {
  expect<HappyEyeballs.RaceFailed<number, "no">["failures"][number]>().type.toBeAssignableTo<
    { readonly candidate: number; readonly error: "no" }
  >()
})

test("a race whose attempts cannot fail still can be without a candidate", () => {
  const race = HappyEyeballs.race({ candidates: ["a"], attempt: () => Effect.succeed(1) })
  expect<Effect.Effect.Error<typeof race>>().type.toBe<
    HappyEyeballs.RaceFailed<string, never> | HappyEyeballs.RaceTimeout
  >()
})

test("a connection fails with ConnectionLost and nothing else", () => {
  expect<Effect.Effect.Error<Connection["read"]>>().type.toBe<ConnectionLost>()
  expect<Effect.Effect.Error<ReturnType<Connection["write"]>>>().type.toBe<ConnectionLost>()
  expect<Effect.Effect.Error<Connection["end"]>>().type.toBe<ConnectionLost>()
  expect<Stream.Stream.Error<Connection["stream"]>>().type.toBe<ConnectionLost>()
  expect<Effect.Effect.Error<ReturnType<Connection["close"]>>>().type.toBe<never>()
  expect<Effect.Effect.Error<Connection["abort"]>>().type.toBe<never>()
  expect<Connection["lost"]>().type.toBe<Effect.Effect<ConnectionLost>>()
})

test("a connector's calls fail with what they say", () => {
  expect(Connector.make("example.com:80")).type.toBe<
    Effect.Effect<Connector.Connector, InvalidEndpoint, Dialer.Dialer | Scope.Scope>
  >()
  expect<Connector.Connector["connect"]>().type.toBe<
    Effect.Effect<Connection, DialError | ConnectStopped | Connector.WrongState>
  >()
  expect<Connector.Connector["stopConnecting"]>().type.toBe<Effect.Effect<void, Connector.WrongState>>()
  expect<Connector.Connector["disconnect"]>().type.toBe<Effect.Effect<void>>()
})

test("the ports fail with what they say", () => {
  expect<ReturnType<Shape<typeof Transport>["open"]>>().type.toBe<Effect.Effect<SocketHandle, AttemptError>>()
  expect<Stream.Stream.Error<ReturnType<Shape<typeof Resolver>["resolve"]>>>().type.toBe<ResolveError>()
})

test("a dial's errors can be told apart to the last one", () => {
  const dialed = Dialer.dial("example.com:80").pipe(
    Effect.catchTags({
      InvalidEndpoint: () => Effect.void,
      ResolveError: () => Effect.void,
      AllAttemptsFailed: () => Effect.void,
      DialTimeout: () => Effect.void
    })
  )
  expect<Effect.Effect.Error<typeof dialed>>().type.toBe<never>()
})
