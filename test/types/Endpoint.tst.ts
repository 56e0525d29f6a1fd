import type { Either } from "effect"
import { expect, test } from "tstyche"
import type { IpAddress } from "../../src/Address.js"
import type { InvalidEndpoint } from "../../src/DialError.js"
import * as Endpoint from "../../src/Endpoint.js"

declare const endpoint: Endpoint.Endpoint

test("an endpoint is one of these four, by their tags", () => {
  expect<Endpoint.Endpoint["_tag"]>().type.toBe<"Tcp" | "Tls" | "Udp" | "Unix">()
  if (endpoint._tag === "Unix") expect(endpoint).type.toBe<Endpoint.UnixEndpoint>()
  if (endpoint._tag === "Tls") expect(endpoint).type.toBe<Endpoint.TlsEndpoint>()
  if (endpoint._tag !== "Unix") expect(endpoint.host).type.toBe<Endpoint.Host>()
})

test("what needs resolution has a name, and the rest has none", () => {
  if (Endpoint.requiresResolution(endpoint)) expect(endpoint.host).type.toBe<Endpoint.DomainName>()
  else if (endpoint._tag !== "Unix") expect(endpoint.host).type.toBe<IpAddress>()
})

test("a constructor gives its own kind", () => {
  expect(Endpoint.tcp("a", 1)).type.toBe<Either.Either<Endpoint.TcpEndpoint, InvalidEndpoint>>()
  expect(Endpoint.tls("a", 1)).type.toBe<Either.Either<Endpoint.TlsEndpoint, InvalidEndpoint>>()
  expect(Endpoint.udp("a", 1)).type.toBe<Either.Either<Endpoint.UdpEndpoint, InvalidEndpoint>>()
})

test("what carries an endpoint is never TLS", () => {
  expect(Endpoint.transport(endpoint)["_tag"]).type.toBe<"Tcp" | "Udp" | "Unix">()
})
