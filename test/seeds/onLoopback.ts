/** What every seed on real sockets shares. */
import { it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type * as Address from "../../src/Address.js"
import * as Attempt from "../../src/Attempt.js"
import type * as Dialer from "../../src/Dialer.js"
import * as NodeNetwork from "../../src/node/NodeNetwork.js"
import type { Resolver } from "../../src/Resolver.js"
import * as SocketOptions from "../../src/SocketOptions.js"
import type { Transport } from "../../src/Transport.js"
import * as Loopback from "../support/loopback.js"

/** A test on this machine's network. Each socket it opened must be closed when it is over. */
export const onLoopback = (
  name: string,
  self: () => Effect.Effect<void, unknown, Dialer.Dialer | Resolver | Transport | Scope.Scope>
): void => it.live(name, () => Loopback.leavesNoSocket(Effect.scoped(Effect.provide(self(), NodeNetwork.layer))))

export const attempt = (address: Address.SocketAddress, localAddress?: Address.SocketAddress) =>
  Attempt.connect({ socketType: "stream", address, localAddress, options: SocketOptions.defaults })
