/**
 * What is due, soonest first; equal times in the order in which they were added, so that a run repeats exactly.
 */
export interface Due {
  readonly time: number
  readonly order: number
}

const before = (self: Due, that: Due): boolean =>
  self.time < that.time || (self.time === that.time && self.order < that.order)

/** A binary heap. Entries are removed only from the front: what is cancelled is skipped when its time comes. */
export class Heap<A extends Due> {
  private readonly entries: Array<A> = []

  get size(): number {
    return this.entries.length
  }

  get first(): A | undefined {
    return this.entries[0]
  }

  add(entry: A): void {
    const { entries } = this
    let index = entries.length
    entries.push(entry)
    while (index > 0) {
      const above = (index - 1) >> 1
      const other = entries[above]!
      if (!before(entry, other)) break
      entries[index] = other
      index = above
    }
    entries[index] = entry
  }

  take(): A | undefined {
    const { entries } = this
    const first = entries[0]
    const last = entries.pop()
    if (first === undefined || last === undefined || entries.length === 0) return first
    let index = 0
    for (;;) {
      let below = index * 2 + 1
      const left = entries[below]
      if (left === undefined) break
      const right = entries[below + 1]
      let smaller = left
      if (right !== undefined && before(right, left)) {
        smaller = right
        below += 1
      }
      if (!before(smaller, last)) break
      entries[index] = smaller
      index = below
    }
    entries[index] = last
    return first
  }
}
