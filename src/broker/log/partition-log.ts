/**
 * The log of one partition: batches as they were sent, with what Kafka's leader keeps beside them. One replica is all there
 * is behind the virtual nodes, so what is stored is also replicated: the high watermark is the end.
 *
 * What always holds: offsets grow without gaps; beginning <= last stable offset <= end; a batch of a producer is stored once;
 * the last stable offset does not pass the first open transaction.
 */
import {
  BatchReader,
  KafkaErrorCode,
  stampBatch,
  stampLogAppendTime,
  transactionMarkerBatch,
} from '../../kafka/index.ts'
import type { MemoryBudget } from '../cluster/memory-budget.ts'
import { ProducerStates } from '../producer-state/producer-states.ts'
import { type AbortedSpan, AbortedTransactions } from './aborted-transactions.ts'
import type { IncomingBatch, Refusal } from './incoming-batch.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { LogSegments, piecesOf, type StoredBatch } from './log-segments.ts'

export type Appended =
  | { readonly kind: 'stored'; readonly baseOffset: number; readonly logAppendTime: number }
  | ({ readonly kind: 'refused' } & Refusal)

export interface AppendOptions {
  readonly leaderEpoch: number
  readonly nowMs: number
  /** message.timestamp.type is LogAppendTime. */
  readonly logAppendTime: boolean
  /** Every transaction of this producer has an epoch of its own (version 2). */
  readonly bumpsEpochs: boolean
}

export interface Marker {
  readonly type: 'commit' | 'abort'
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly timestamp: number
  readonly leaderEpoch: number
}

export interface ReadOptions {
  readonly bytesMax: number
  /** The first batch is given whatever its size. */
  readonly atLeastOne: boolean
  readonly committedOnly: boolean
}

export interface ReadResult {
  readonly pieces: readonly Buffer[]
  readonly bytes: number
  /** Undefined to readers of everything. */
  readonly aborted: readonly AbortedSpan[] | undefined
}

export interface TimestampedOffset {
  readonly offset: number
  readonly timestamp: number
  readonly leaderEpoch: number
}

export class PartitionLog {
  readonly producers: ProducerStates = new ProducerStates()
  readonly epochs: LeaderEpochs = new LeaderEpochs()
  readonly #segments: LogSegments
  readonly #aborted: AbortedTransactions = new AbortedTransactions()
  readonly #budget: MemoryBudget
  #startOffset = 0
  #endOffset = 0

  constructor(budget: MemoryBudget) {
    this.#budget = budget
    this.#segments = new LogSegments(budget)
  }

  get startOffset(): number {
    return this.#startOffset
  }

  /** Also the high watermark. */
  get endOffset(): number {
    return this.#endOffset
  }

  get lastStableOffset(): number {
    return Math.max(this.#startOffset, this.producers.firstOpenOffset ?? this.#endOffset)
  }

  get bytes(): number {
    return this.#segments.bytes
  }

  append(batch: IncomingBatch, options: AppendOptions): Appended {
    const check = this.producers.check(batch, options.bumpsEpochs)
    if (check.kind === 'refused') return check
    const { logAppendTime, nowMs } = options
    if (check.kind === 'duplicate') {
      const { baseOffset, timestamp } = check
      return { kind: 'stored', baseOffset, logAppendTime: logAppendTime ? timestamp : -1 }
    }
    const bytes = this.#segments.room(batch.bytes.length)
    if (bytes === undefined) return { kind: 'refused', ...this.#full(batch.bytes.length) }
    const baseOffset = this.#endOffset
    batch.bytes.copy(bytes)
    stampBatch(bytes, { baseOffset, leaderEpoch: options.leaderEpoch })
    if (logAppendTime) stampLogAppendTime(bytes, nowMs)
    const maxTimestamp = logAppendTime ? nowMs : batch.maxTimestamp
    this.#store(bytes, batch.recordCount, options.leaderEpoch, batch.producerId, false, maxTimestamp)
    this.producers.record(batch, baseOffset, maxTimestamp)
    return { kind: 'stored', baseOffset, logAppendTime: logAppendTime ? nowMs : -1 }
  }

  /** Ends a transaction here, also when memory is used up: what is open must be able to end. */
  appendMarker(marker: Marker): void {
    const batch = transactionMarkerBatch(marker)
    const bytes = this.#segments.roomAlways(batch.length)
    const offset = this.#endOffset
    batch.copy(bytes)
    stampBatch(bytes, { baseOffset: offset, leaderEpoch: marker.leaderEpoch })
    const { type, producerId, producerEpoch, coordinatorEpoch, timestamp } = marker
    this.#store(bytes, 1, marker.leaderEpoch, producerId, true, timestamp)
    const firstOffset = this.producers.end(producerId, producerEpoch, coordinatorEpoch, timestamp)
    if (type === 'abort' && firstOffset !== undefined)
      this.#aborted.add({ producerId, firstOffset, lastOffset: offset })
  }

  /** From the batch that holds the offset, which lies between beginning and end. */
  read(offset: number, options: ReadOptions): ReadResult {
    const upTo = options.committedOnly ? this.lastStableOffset : this.#endOffset
    const batches: StoredBatch[] = []
    let bytes = 0
    if (offset < upTo) {
      for (const batch of this.#segments.from(offset)) {
        const first = batches.length === 0 && options.atLeastOne
        if (batch.baseOffset >= upTo || (!first && bytes + batch.bytes.length > options.bytesMax)) break
        batches.push(batch)
        bytes += batch.bytes.length
      }
    }
    const end = (batches.at(-1)?.lastOffset ?? offset - 1) + 1
    const aborted = options.committedOnly ? this.#aborted.overlapping(offset, end) : undefined
    return { pieces: piecesOf(batches), bytes, aborted }
  }

  /** The first record with a timestamp of at least this. */
  firstSince(timestamp: number, upTo: number): TimestampedOffset | undefined {
    const batch = this.#segments.firstSince(timestamp, this.#startOffset)
    if (batch === undefined || batch.baseOffset >= upTo) return undefined
    const found = this.#recordIn(batch, (recordTimestamp) => recordTimestamp >= timestamp)
    if (found !== undefined) return found.offset < upTo ? found : undefined
    // The record lies before a beginning that was moved into this batch: the next batch has it, or none.
    return this.#sinceBehind(batch, timestamp, upTo)
  }

  /** The record with the largest timestamp, the first of them. */
  newest(): TimestampedOffset | undefined {
    const largest = this.#segments.last?.maxTimestampSoFar
    return largest === undefined ? undefined : this.firstSince(largest, this.#endOffset)
  }

  /** Moves the beginning; what lies before it is gone. */
  deleteBefore(offset: number): void {
    if (offset <= this.#startOffset) return
    this.#startOffset = offset
    this.#segments.dropWhile((batch) => batch.lastOffset < offset)
    this.#aborted.trim(offset)
    this.epochs.trim(offset)
  }

  /** Removes batches that are too old, or too many bytes, from the beginning; never what an open transaction needs. */
  retain(olderThanMs: number | undefined, bytesMax: number | undefined): void {
    let start = this.#startOffset
    let bytes = this.#segments.bytes
    for (const batch of this.#segments.from(start)) {
      const old = olderThanMs !== undefined && batch.maxTimestamp < olderThanMs
      const much = bytesMax !== undefined && bytes > bytesMax
      if ((!old && !much) || batch.lastOffset >= this.lastStableOffset) break
      start = batch.lastOffset + 1
      bytes -= batch.bytes.length
    }
    this.deleteBefore(start)
  }

  /** Gives all memory back: the topic is deleted. */
  release(): void {
    this.#segments.dropWhile(() => true)
  }

  #store(
    bytes: Buffer,
    records: number,
    leaderEpoch: number,
    producerId: number,
    control: boolean,
    maxTimestamp: number,
  ): void {
    const baseOffset = this.#endOffset
    const lastOffset = baseOffset + records - 1
    this.epochs.begin(leaderEpoch, baseOffset)
    this.#segments.add(bytes, { baseOffset, lastOffset, leaderEpoch, producerId, control, maxTimestamp })
    this.#endOffset = lastOffset + 1
  }

  #sinceBehind(batch: StoredBatch, timestamp: number, upTo: number): TimestampedOffset | undefined {
    for (const later of this.#segments.from(batch.lastOffset + 1)) {
      if (later.baseOffset >= upTo) return undefined
      if (later.maxTimestamp < timestamp) continue
      const found = this.#recordIn(later, (recordTimestamp) => recordTimestamp >= timestamp)
      if (found !== undefined) return found.offset < upTo ? found : undefined
    }
    return undefined
  }

  #recordIn(batch: StoredBatch, wanted: (timestamp: number) => boolean): TimestampedOffset | undefined {
    const { leaderEpoch } = batch
    if (batch.control) return { offset: batch.baseOffset, timestamp: batch.maxTimestamp, leaderEpoch }
    const reader = new BatchReader({ checkCrcs: false })
    reader.reset('', 0, batch.bytes, this.#startOffset)
    if (!reader.nextBatch()) return undefined
    while (reader.next()) {
      if (wanted(reader.timestamp)) return { offset: reader.offset, timestamp: reader.timestamp, leaderEpoch }
    }
    return undefined
  }

  #full(bytes: number): Refusal {
    const { used, bytesMax } = this.#budget
    const message = `the embedded broker holds ${used} of ${bytesMax} bytes and takes no ${bytes} more; delete records or topics, set retention.bytes, or raise memoryBytesMax`
    return { error: KafkaErrorCode.POLICY_VIOLATION, message }
  }
}
