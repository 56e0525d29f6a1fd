import { describe, expect, it } from "vitest"
import * as Json from "../../src/cli/json.js"
import { Address, DialError, type DialEvent, Endpoint } from "../../src/index.js"
import { connected, failed, secured } from "./events.js"

const parsed = (events: ReadonlyArray<DialEvent.DialEvent>) => events.map((event) => JSON.parse(Json.line(event)))

describe("dial events as JSON", () => {
  it("tell a dial of a name with several addresses, field by field", () => {
    const silent = { attempt: 0, address: "2001:db8::1", port: 443, family: "inet6" }
    const refusing = { attempt: 1, address: "192.0.2.1", port: 443, family: "inet" }
    const good = { attempt: 2, address: "192.0.2.2", port: 443, family: "inet" }
    expect(parsed(connected)).toStrictEqual([
      { _tag: "ResolutionStarted", at: 0, name: "db.example" },
      { _tag: "AddressesResolved", at: 10, name: "db.example", family: "inet6", addresses: ["2001:db8::1"] },
      { _tag: "AttemptStarted", at: 10.5, ...silent },
      { _tag: "AddressesResolved", at: 20, name: "db.example", family: "inet", addresses: ["192.0.2.1", "192.0.2.2"] },
      { _tag: "AttemptStarted", at: 260.5, ...refusing },
      {
        _tag: "AttemptFailed",
        at: 270.5,
        ...refusing,
        reason: "Refused",
        code: "ECONNREFUSED",
        message: "connect to 192.0.2.1:443: connection refused (ECONNREFUSED)"
      },
      { _tag: "AttemptStarted", at: 270.5, ...good },
      { _tag: "AttemptConnected", at: 290, ...good },
      { _tag: "AttemptStopped", at: 290.5, ...silent },
      {
        _tag: "Connected",
        at: 291,
        address: "192.0.2.2",
        port: 443,
        family: "inet",
        localAddress: "192.0.2.77",
        localPort: 50_000,
        elapsedMillis: 291
      }
    ])
  })

  it("tell a failed dial with the outcome of every address", () => {
    const events = parsed(failed)
    expect(events[1]).toMatchObject({
      _tag: "ResolutionFailed",
      family: "inet6",
      reason: "NotFound",
      code: "ENOTFOUND"
    })
    expect(events.at(-1)).toStrictEqual({
      _tag: "DialFailed",
      at: 15.5,
      error: "AllAttemptsFailed",
      message: expect.stringContaining("192.0.2.1:443 connection refused (ECONNREFUSED)"),
      attempts: [
        {
          attempt: 0,
          address: "192.0.2.1",
          port: 443,
          family: "inet",
          outcome: "Failed",
          startedAt: 5,
          endedAt: 15.25,
          reason: "Refused",
          code: "ECONNREFUSED"
        },
        {
          address: "192.0.2.2",
          port: 443,
          family: "inet",
          outcome: "NeverTried",
          why: "the dial ended before its turn"
        }
      ],
      unresolved: [{
        family: "inet6",
        reason: "NotFound",
        code: "ENOTFOUND",
        message: "resolve db.example (AAAA): no such name or no address of this kind (ENOTFOUND)"
      }]
    })
  })

  const shown = {
    subject: "CN=db.example",
    issuer: "CN=Example CA",
    names: ["db.example"],
    validFrom: "2025-01-01T00:00:00.000Z",
    validTo: "2026-01-01T00:00:00.000Z",
    serialNumber: "01",
    fingerprint: "fingerprint",
    pin: "pin"
  }

  it("tell what was agreed on in a handshake, and why one failed", () => {
    const [, establishing, refused, , , agreed] = parsed(secured)
    const bad = { attempt: 0, address: "192.0.2.1", port: 443, family: "inet" }
    expect(establishing).toStrictEqual({
      _tag: "AttemptEstablishing",
      at: 10,
      ...bad,
      localAddress: "192.0.2.77",
      localPort: 50_000
    })
    expect(refused).toStrictEqual({
      _tag: "AttemptFailed",
      at: 30,
      ...bad,
      reason: "NotEstablished",
      message: expect.stringContaining("the certificate has expired"),
      tls: { reason: "Expired", code: "CERT_HAS_EXPIRED", expected: "db.example", certificate: shown }
    })
    expect(agreed).toStrictEqual({
      _tag: "AttemptSecured",
      at: 59,
      attempt: 1,
      address: "192.0.2.2",
      port: 443,
      family: "inet",
      protocol: "TLSv1.3",
      cipher: "TLS_AES_128_GCM_SHA256",
      alpn: "h2",
      serverName: "db.example",
      expected: "db.example",
      resumed: false,
      verified: true,
      certificates: [shown]
    })
  })

  it("have no family when the whole name failed, and no attempts when none was made", () => {
    const error = new DialError.ResolveError({ host: "db.example", reason: "ServerFailure" })
    expect(parsed([
      { _tag: "ResolutionFailed", at: 1, name: "db.example", error },
      { _tag: "DialFailed", at: 2, error }
    ])).toStrictEqual([
      { _tag: "ResolutionFailed", at: 1, name: "db.example", reason: "ServerFailure", message: error.message },
      {
        _tag: "DialFailed",
        at: 2,
        error: "ResolveError",
        message: error.message,
        attempts: [],
        unresolved: [{ reason: "ServerFailure", message: error.message }]
      }
    ])
  })

  it("have the path and no port on a UNIX socket", () => {
    const endpoint = Endpoint.unsafeParse("unix:@lab")
    if (endpoint._tag !== "Unix") throw new Error("not a UNIX endpoint")
    const address = Address.unix(endpoint.path)
    expect(parsed([
      { _tag: "AttemptStarted", at: 0, attempt: 0, address },
      { _tag: "Connected", at: 1, address, localAddress: Address.unnamed }
    ])).toStrictEqual([
      { _tag: "AttemptStarted", at: 0, attempt: 0, address: "@lab", family: "unix" },
      { _tag: "Connected", at: 1, address: "@lab", family: "unix", localAddress: "", elapsedMillis: 1 }
    ])
  })

  it("are one line that no terminal obeys, whatever a path holds", () => {
    const endpoint = Endpoint.unsafeParse("unix:/tmp/a\nb\u2028\u001B[31m\u009B31m\u007F\u202E\u{E0041}")
    if (endpoint._tag !== "Unix") throw new Error("not a UNIX endpoint")
    const line = Json.line({ _tag: "AttemptStarted", at: 0, attempt: 0, address: Address.unix(endpoint.path) })
    expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    expect(JSON.parse(line).address).toBe("/tmp/a\nb\u2028\u001B[31m\u009B31m\u007F\u202E\u{E0041}")
  })
})
