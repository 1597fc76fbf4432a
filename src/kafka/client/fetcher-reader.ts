/**
 * The reader that a fetcher hands out: a BatchReader that passes over markers, and under read_committed over the data of
 * aborted transactions. What is passed over moves `nextFetchOffset` as records do. Checksums were checked before, so that a
 * wrong one is the fetcher's business; a batch malformed in another way throws from `nextBatch` or `next`, naming its place.
 */
import { type AbortedTransaction, AbortedTransactionFilter } from '../records/aborted-transaction-filter.ts'
import { BatchReader } from '../records/batch-reader.ts'

export class FetcherReader extends BatchReader {
  readonly #filter: AbortedTransactionFilter | undefined

  constructor(isolation: 'read_uncommitted' | 'read_committed') {
    super({ checkCrcs: false })
    this.#filter = isolation === 'read_committed' ? new AbortedTransactionFilter() : undefined
  }

  /** Begins with what a response holds of one partition. */
  begin(
    topic: string,
    partition: number,
    records: Buffer,
    fetchOffset: number,
    aborted: readonly AbortedTransaction[] | null,
  ): void {
    this.reset(topic, partition, records, fetchOffset)
    this.#filter?.beginResponse(aborted)
  }

  override nextBatch(): boolean {
    const filter = this.#filter
    while (super.nextBatch()) {
      // The filter must see every batch, markers included.
      if (filter === undefined ? !this.isControl : filter.shows(this)) return true
    }
    return false
  }
}
