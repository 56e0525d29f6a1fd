/**
 * What dials tell, as events of the network's trace.
 */
import type * as DialEvent from "../../DialEvent.js"
import * as Endpoint from "../../Endpoint.js"
import type { Network } from "./Network.js"

/** Dials become part of the trace. */
export const observing = (network: Network): DialEvent.Observe => {
  let dials = 0
  return (endpoint) => {
    const dial = ++dials
    const text = Endpoint.format(endpoint)
    return (event) =>
      network.record({ _tag: "Dial", at: network.agenda.now, dial, endpoint: text, event: plainEvent(event) })
  }
}

/** An event without anything but text and numbers: an error by its message. */
const plainEvent = (event: DialEvent.DialEvent) =>
  Object.fromEntries(
    Object.entries(event).map(([field, value]) => [field, plain(value)])
  ) as { readonly _tag: DialEvent.DialEvent["_tag"]; readonly at: number }

const plain = (value: unknown): unknown =>
  value instanceof Error
    ? value.message
    : Array.isArray(value)
    ? value.map(String)
    : typeof value === "object"
    ? String(value)
    : value
