/**
 * What happened on a simulated network, as data.
 *
 * An event holds nothing but text, numbers and booleans, so that two runs can be compared byte for byte: {@link format}.
 * Times (`at`) are milliseconds since the network was made.
 *
 * @since 0.1.0
 */
import type { SocketType } from "../Address.js"

/**
 * What travels between two hosts.
 *
 * @since 0.1.0
 * @category models
 */
export type PacketKind = "SYN" | "SYN-ACK" | "ACK" | "DATA" | "FIN" | "RST" | "DATAGRAM" | "UNREACHABLE"

/**
 * One thing that happened. Connections and lookups are numbered from 1 in the order they began.
 *
 * - `Packet`: something was sent. `arrives` is when it does, `null` when it is lost, or waits for a way to open
 * - `Opened`, `Closed`: a socket's descriptor was taken and given back, on `host`
 * - `Lost`: a connection ended at `host`, and why
 * - `Lookup`, `Answer`: a name was asked for, and what a family's answer was
 * - `Behaved`: a listener's behaviour failed
 * - `Steered`: someone changed the network, or a fault's time came
 * - `Dial`: a DialEvent of a dial under this network, with its own time, `event.at`
 *
 * @since 0.1.0
 * @category models
 */
export type NetworkEvent =
  | {
    readonly _tag: "Packet"
    readonly at: number
    readonly connection: number
    readonly kind: PacketKind
    readonly from: string
    readonly to: string
    readonly bytes: number
    readonly arrives: number | null
  }
  | {
    readonly _tag: "Opened"
    readonly at: number
    readonly host: string
    readonly connection: number
    readonly socketType: SocketType
    readonly address: string
  }
  | {
    readonly _tag: "Closed"
    readonly at: number
    readonly host: string
    readonly connection: number
    readonly mode: string
  }
  | {
    readonly _tag: "Lost"
    readonly at: number
    readonly host: string
    readonly connection: number
    readonly reason: string
  }
  | {
    readonly _tag: "Lookup"
    readonly at: number
    readonly host: string
    readonly lookup: number
    readonly name: string
  }
  | {
    readonly _tag: "Answer"
    readonly at: number
    readonly host: string
    readonly lookup: number
    readonly family: string
    readonly answer: string
  }
  | {
    readonly _tag: "Behaved"
    readonly at: number
    readonly host: string
    readonly connection: number
    readonly failure: string
  }
  | { readonly _tag: "Steered"; readonly at: number; readonly what: string }
  | {
    readonly _tag: "Dial"
    readonly at: number
    readonly dial: number
    readonly endpoint: string
    readonly event: { readonly _tag: string; readonly at: number; readonly [field: string]: unknown }
  }

/**
 * Everything that happened, in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Trace = ReadonlyArray<NetworkEvent>

/**
 * One JSON object a line.
 *
 * @since 0.1.0
 * @category formatting
 */
export const format = (trace: Trace): string => trace.map((event) => `${JSON.stringify(event)}\n`).join("")
