import type { Effect, Layer, Scope } from "effect"
import { expect, test } from "tstyche"
import type * as Address from "../../src/Address.js"
import type { Connection } from "../../src/Connection.js"
import * as Dialer from "../../src/Dialer.js"
import type { AllAttemptsFailed, DialError, DialTimeout, InvalidEndpoint, ResolveError } from "../../src/DialError.js"
import type * as Endpoint from "../../src/Endpoint.js"
import type { NodeNetwork } from "../../src/node/index.js"
import type { Resolver } from "../../src/Resolver.js"
import type { SourceAddress } from "../../src/SourceAddress.js"
import * as Tls from "../../src/Tls.js"
import type { Transport } from "../../src/Transport.js"

declare const endpoint: Endpoint.Endpoint

test("a Dialer needs the two ports and nothing else: what more it could do is another layer", () => {
  expect(Dialer.layer).type.toBe<Layer.Layer<Dialer.Dialer, never, Resolver | Transport>>()
})

test("a dial needs a Dialer and a Scope, and fails with a DialError", () => {
  expect(Dialer.dial("example.com:80")).type.toBe<
    Effect.Effect<Connection, DialError, Dialer.Dialer | Scope.Scope>
  >()
  expect(Dialer.dial(endpoint, { timeout: "5 seconds" })).type.toBe<
    Effect.Effect<Connection, DialError, Dialer.Dialer | Scope.Scope>
  >()
})

test("the dial of the service needs only a Scope", () => {
  expect<ReturnType<Dialer.Dialer["Type"]["dial"]>>().type.toBe<Effect.Effect<Connection, DialError, Scope.Scope>>()
})

test("DialError is these four, by their tags", () => {
  expect<DialError>().type.toBe<InvalidEndpoint | ResolveError | AllAttemptsFailed | DialTimeout>()
  expect<DialError["_tag"]>().type.toBe<"InvalidEndpoint" | "ResolveError" | "AllAttemptsFailed" | "DialTimeout">()
})

test("resolveAddress needs a Resolver alone", () => {
  expect(Dialer.resolveAddress(endpoint)).type.toBe<
    Effect.Effect<ReadonlyArray<Address.SocketAddress>, ResolveError, Resolver>
  >()
})

test("an endpoint is text or an Endpoint, and a duration has a unit", () => {
  expect(Dialer.dial).type.not.toBeCallableWith(80)
  expect(Dialer.dial).type.not.toBeCallableWith(undefined)
  expect(Dialer.dial).type.not.toBeCallableWith("example.com:80", { timeout: "5" })
  expect(Dialer.dial).type.not.toBeCallableWith("example.com:80", { timeOut: "5 seconds" })
})

test("the network of Node gives the Dialer and its ports, and needs nothing", () => {
  expect<typeof NodeNetwork.layer>().type.toBe<
    Layer.Layer<Dialer.Dialer | Resolver | SourceAddress | Tls.Tls | Transport>
  >()
})

test("TLS is a Dialer made from a Dialer, and a dial with it gives a connection that is known to be secured", () => {
  expect(Tls.layer).type.toBe<Layer.Layer<Dialer.Dialer, never, Dialer.Dialer | Tls.Tls>>()
  expect(Tls.dial("tls://example.com:443", { alpn: ["h2"], timeout: "5 seconds" })).type.toBe<
    Effect.Effect<Tls.Secured, DialError, Dialer.Dialer | Tls.Tls | Scope.Scope>
  >()
})
