/**
 * Which batches of a partition a read_committed reader must leave out. A broker gives, beside the records of a fetch response,
 * the aborted transactions that overlap it: producer id and first offset of each. It never gives records of an undecided one.
 *
 * Invariants:
 * 1. A producer is aborted from the first batch whose last offset reaches the first offset of one of its aborted transactions
 *    until its abort marker. Several aborts of one producer in one response take their turns, since each waits for its offset.
 * 2. A transactional batch is left out exactly while its producer is aborted. Batches without a transaction never are, even of
 *    the same producer.
 * 3. Everything known comes from the list of the current response, because a broker repeats a transaction in every response
 *    that lies between its data and its marker, marker included. So an abort whose marker is in a later response, a seek
 *    and a fetch from the middle of a transaction need no memory. Remembering would be wrong: compaction may remove data and
 *    marker between two fetches, and a producer still held as aborted would hide its next, committed transaction.
 * 4. Every batch is shown to the filter in the order of the log, those below the wanted offset and markers included.
 *
 * The same as Kafka's consumer (CompletedFetch), which also begins each response with an empty set.
 */

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** What the filter looks at; a BatchReader fits. */
export interface FilteredBatch {
  readonly lastOffset: number
  readonly producerId: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly controlType: 'abort' | 'commit' | 'other' | null
}

const NONE: readonly AbortedTransaction[] = []

export class AbortedTransactionFilter {
  #aborted: Set<number> = new Set()
  /** Ordered by first offset; those before `#next` have been reached. */
  #listed: readonly AbortedTransaction[] = NONE
  #next = 0

  /** Begins a response. Null, which brokers send for "none" and to read_uncommitted, is an empty list. */
  beginResponse(abortedTransactions: readonly AbortedTransaction[] | null): void {
    this.reset()
    if (abortedTransactions === null || abortedTransactions.length === 0) return
    this.#listed = isOrdered(abortedTransactions)
      ? abortedTransactions
      : [...abortedTransactions].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** Forgets the response: after a seek, or when the partition is given away. */
  reset(): void {
    if (this.#aborted.size > 0) this.#aborted.clear()
    this.#listed = NONE
    this.#next = 0
  }

  /** Whether the records of this batch are for the reader: false for markers and for aborted data. */
  shows(batch: FilteredBatch): boolean {
    this.#reach(batch.lastOffset)
    if (batch.isControl) {
      if (batch.controlType === 'abort') this.#aborted.delete(batch.producerId)
      return false
    }
    return !(batch.isTransactional && this.#aborted.size > 0 && this.#aborted.has(batch.producerId))
  }

  #reach(lastOffset: number): void {
    const listed = this.#listed
    for (let next = listed[this.#next]; next !== undefined && next.firstOffset <= lastOffset; ) {
      this.#aborted.add(next.producerId)
      next = listed[++this.#next]
    }
  }
}

function isOrdered(list: readonly AbortedTransaction[]): boolean {
  for (let index = 1; index < list.length; index++) {
    const before = list[index - 1]
    const current = list[index]
    if (before !== undefined && current !== undefined && before.firstOffset > current.firstOffset) return false
  }
  return true
}
