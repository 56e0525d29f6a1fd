/**
 * The idle timer of a socket, with the meaning of `net.Socket.setTimeout`: it rings once after so long without activity,
 * does nothing else, is rearmed by the next activity, and keeps no process alive.
 */
import { clearTimeout, setTimeout } from "node:timers"

export class IdleTimer {
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly ring: () => void) {}

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
    if (millis > 0) this.#timer = setTimeout(this.ring, Math.min(millis, longest)).unref()
  }

  /** There was activity. */
  touch(): void {
    this.#timer?.refresh()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

/** The longest that Node's timers know. */
const longest = 2 ** 31 - 1
