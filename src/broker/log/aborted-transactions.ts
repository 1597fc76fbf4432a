/**
 * The aborted transactions of a partition, which its leader names to read_committed readers beside the data they overlap.
 * They stand in the order of their markers. One is kept as long as its marker is in the log.
 */
export interface AbortedSpan {
  readonly producerId: number
  readonly firstOffset: number
  /** Of the marker. */
  readonly lastOffset: number
}

export class AbortedTransactions {
  #spans: AbortedSpan[] = []

  add(span: AbortedSpan): void {
    this.#spans.push(span)
  }

  /** Those that reach into the offsets from `from` up to, and without, `to`. */
  overlapping(from: number, to: number): AbortedSpan[] {
    const found: AbortedSpan[] = []
    for (let at = this.#firstEndingAt(from); at < this.#spans.length; at++) {
      const span = this.#spans[at]
      if (span !== undefined && span.firstOffset < to) found.push(span)
    }
    return found
  }

  trim(logStartOffset: number): void {
    const kept = this.#firstEndingAt(logStartOffset)
    if (kept > 0) this.#spans = this.#spans.slice(kept)
  }

  #firstEndingAt(offset: number): number {
    let low = 0
    let high = this.#spans.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#spans[middle]?.lastOffset ?? 0) >= offset) high = middle
      else low = middle + 1
    }
    return low
  }
}
