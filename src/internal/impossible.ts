/**
 * What no socket can be made for, and why: what a kernel would not refuse, or not in words. The one place for all
 * Transports, so that a program meets the same refusals on a simulated network.
 */
import type { SocketAddress, SocketType } from "../Address.js"
import type { AttemptReason } from "../DialError.js"

/** The reason and the words; `undefined` when there is nothing against it. */
export const impossible = (
  { address, localAddress, socketType }: {
    readonly socketType: SocketType
    readonly address: SocketAddress
    readonly localAddress?: SocketAddress | undefined
  },
  maxPathBytes: number
): readonly [AttemptReason, string] | undefined => {
  if (localAddress !== undefined && localAddress.family !== address.family) {
    return ["InvalidArgument", `a local address of family ${localAddress.family}`]
  }
  if (address._tag !== "Unix") {
    return socketType === "dgram" && address.port === 0
      ? ["InvalidArgument", "a datagram socket and port 0"]
      : undefined
  }
  // Node has none, and what a test cannot do in production it must not do in a simulation.
  if (socketType === "dgram") return ["Unsupported", "UNIX datagram sockets"]
  if (localAddress !== undefined) return ["Unsupported", "a UNIX socket that is bound before it connects"]
  const name = address.path._tag === "Abstract" ? address.path.name : address.path.path
  const size = new TextEncoder().encode(name).length
  if (size === 0) return ["InvalidArgument", "a UNIX socket without a name"]
  return size > maxPathBytes
    ? ["InvalidArgument", `a UNIX socket path of ${size} bytes, more than the kernel can hold`]
    : undefined
}
