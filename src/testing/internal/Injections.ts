/**
 * The faults that are in force in a simulated network, and which of them befalls what.
 */
import * as Duration from "effect/Duration"
import { type ConnectFault, type Injection, isStreamFault, type StreamFault } from "../Fault.js"
import type { Places } from "./Places.js"
import type { SimSocket } from "./Socket.js"

interface Active {
  readonly injection: Injection
  timesLeft: number
  active: boolean
}

export class Injections {
  private readonly entries: Array<Active> = []

  constructor(private readonly places: Places) {}

  /** Add a fault; gives the way to take it back. */
  inject(injection: Injection): () => void {
    const entry: Active = { injection, timesLeft: injection.times ?? Infinity, active: false }
    this.entries.push(entry)
    const begin = () => {
      entry.active = true
      const { fault } = injection
      if (!isStreamFault(fault)) return
      for (const host of this.places.hosts.values()) {
        for (const socket of host.sockets) {
          if (socket.dialed && socket.state === "connected" && this.applies(entry, socket)) {
            this.strike(entry, fault, socket)
          }
        }
      }
    }
    const stop = () => {
      entry.active = false
    }
    const at = injection.at === undefined ? 0 : Duration.toMillis(injection.at)
    if (at > 0) {
      this.places.agenda.after(at, () => {
        this.places.steered(`${injection.fault._tag} begins on ${injection.target}`)
        begin()
      })
    } else {
      begin()
    }
    if (injection.lasting !== undefined) this.places.agenda.after(at + Duration.toMillis(injection.lasting), stop)
    return stop
  }

  private applies({ active, injection: { target }, timesLeft }: Active, socket: SimSocket): boolean {
    if (!active || timesLeft <= 0) return false
    if (target === "*") return true
    const { address } = socket.request
    if (target === String(address)) return true
    if (address._tag === "Unix") return target === socket.host
    if (target === String(address.ip)) return true
    const owner = this.places.owner(address.ip, this.places.host(socket.host))?.name
    return owner !== undefined && (target === owner || target === `${owner}:${address.port}`)
  }

  /** The first connect fault of these kinds that befalls a socket now. */
  connectFault(socket: SimSocket, befalls: (fault: ConnectFault) => boolean): ConnectFault | undefined {
    for (const entry of this.entries) {
      const { fault } = entry.injection
      if (isStreamFault(fault) || !befalls(fault) || !this.applies(entry, socket)) continue
      entry.timesLeft -= 1
      return fault
    }
    return undefined
  }

  private strike(entry: Active, fault: StreamFault, socket: SimSocket): void {
    entry.timesLeft -= 1
    const { afterBytes, direction } = entry.injection
    const channel = direction === "sent" ? socket.outgoing : socket.incoming
    channel?.inject(fault, afterBytes ?? 0)
  }

  strikeAll(socket: SimSocket): void {
    for (const entry of this.entries) {
      const { fault } = entry.injection
      if (isStreamFault(fault) && this.applies(entry, socket)) this.strike(entry, fault, socket)
    }
  }
}
