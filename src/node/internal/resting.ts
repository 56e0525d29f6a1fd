/**
 * Who may not ask the kernel for more before the loop's next phase. libuv takes a hang-up that it sees while still inside
 * a read that did not fill its buffer for a clean end, and what was cut off by a reset looks whole; a read that begins in
 * the next phase is told the truth.
 */
// Not the global one, which a test of whoever uses this may have faked.
import { setImmediate } from "node:timers"

export interface Resting {
  /** The next phase has come. */
  readonly rested: () => void
}

/** One immediate wakes all of them. */
let resting: Array<Resting> = []

export const rest = (handle: Resting): void => {
  if (resting.push(handle) === 1) setImmediate(wake)
}

const wake = (): void => {
  const handles = resting
  resting = []
  for (const handle of handles) {
    try {
      handle.rested()
    } catch (defect) {
      // Nobody else's: the others wait for their turn.
      queueMicrotask(() => {
        throw defect
      })
    }
  }
}
