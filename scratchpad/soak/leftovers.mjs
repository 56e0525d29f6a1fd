// What this process still holds, as the kernel and Node tell it. Linux only, for /proc.
import { Effect, Fiber } from "effect"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

/** What each open descriptor is. */
export const openDescriptors = () =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      // The one that the listing itself was read from.
      return []
    }
  })

const synSent = "02"

/** How many sockets of this machine wait for the answer to a SYN they sent to this port of an IPv4 address. */
export const connecting = (port) => {
  const remotePort = port.toString(16).toUpperCase().padStart(4, "0")
  return readFileSync("/proc/net/tcp", "utf8").split("\n").filter((line) => {
    const [, , remote, state] = line.trim().split(/\s+/)
    return state === synSent && remote.endsWith(`:${remotePort}`)
  }).length
}

/** What keeps this process alive: timers, sockets, requests under way. */
export const activeResources = () => {
  const count = new Map()
  for (const kind of process.getActiveResourcesInfo()) count.set(kind, (count.get(kind) ?? 0) + 1)
  return Array.from(count, ([kind, n]) => `${n} ${kind}`).toSorted().join(", ")
}

/** How many fibers are alive that no other fiber waits for, the one that asks included. */
export const aliveFibers = () => Array.from(Effect.runSync(Fiber.roots)).length
