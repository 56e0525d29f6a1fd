/**
 * The idle timer of a socket, with the meaning of `net.Socket.setTimeout`: it rings once after so long without activity,
 * does nothing else, is rearmed by the next activity, and keeps no process alive.
 */
import type * as Net from "node:net"
import { clearTimeout, setTimeout } from "node:timers"

export class IdleTimer {
  #timer: NodeJS.Timeout | undefined
  /** How many bytes were unsent when it last rang. */
  #queued = 0

  /** `socketOf` is the socket of Node under it, where there is one. */
  constructor(private readonly ring: () => void, private readonly socketOf: () => Net.Socket | undefined) {}

  /** Watch for so many milliseconds of idleness from now on; 0 for no more. Throws as Node does for what is no time. */
  start(millis: number): void {
    if (typeof millis !== "number") {
      throw Object.assign(new TypeError("The \"msecs\" argument must be of type number."), {
        code: "ERR_INVALID_ARG_TYPE"
      })
    }
    if (millis < 0 || !Number.isFinite(millis)) {
      throw Object.assign(new RangeError(`The value of "msecs" is out of range: ${millis}`), {
        code: "ERR_OUT_OF_RANGE"
      })
    }
    this.stop()
    if (millis > 0) this.#timer = setTimeout(() => this.#rang(), Math.min(millis, longest)).unref()
  }

  /** There was activity. */
  touch(): void {
    this.#timer?.refresh()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #rang(): void {
    // What was written and goes little by little is activity that calls nobody.
    const queued = queuedBytes(this.socketOf())
    if (queued > 0 && queued !== this.#queued) {
      this.#queued = queued
      this.touch()
    } else {
      this.ring()
    }
  }
}

/** The longest that Node's timers know. */
const longest = 2 ** 31 - 1

/** Private to Node, and needed for this alone, as by its own sockets: without it such a write is idleness. */
const queuedBytes = (socket: Net.Socket | undefined): number =>
  (socket as { readonly _handle?: { readonly writeQueueSize?: number } | null } | undefined)?._handle
    ?.writeQueueSize ?? 0
