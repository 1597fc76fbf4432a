/**
 * The batches of a partition, as they were sent, one behind the other in large buffers, so that a fetch is answered with a few
 * views and no copy. What always holds: bytes once stored never change or move, so that an answer under way may refer to
 * them; a buffer's memory is given back when its last batch is dropped; batches are in the order of their offsets.
 */
import { assert } from '../../base/index.ts'
import type { MemoryBudget } from '../cluster/memory-budget.ts'

const FIRST_SEGMENT_BYTES = 4 * 1024
const SEGMENT_BYTES_MAX = 1024 * 1024
/** Dropped batches at the front of the list are cut off when there are this many. */
const DROPPED_BATCHES_MAX = 1_024

interface Segment {
  readonly buffer: Buffer
  used: number
  batches: number
}

export interface StoredBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly leaderEpoch: number
  readonly producerId: number
  readonly control: boolean
  readonly maxTimestamp: number
  /** The largest timestamp from the beginning of the log to here: grows only, so that it can be searched. */
  readonly maxTimestampSoFar: number
  readonly bytes: Buffer
  readonly segment: Segment
}

export type BatchFields = Omit<StoredBatch, 'bytes' | 'segment' | 'maxTimestampSoFar'>

export class LogSegments {
  readonly #budget: MemoryBudget
  #batches: StoredBatch[] = []
  /** Where the batches that are not dropped begin. */
  #head = 0
  #segment: Segment | undefined
  #bytes = 0

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  /** Of the batches, not of the memory taken for them. */
  get bytes(): number {
    return this.#bytes
  }

  get first(): StoredBatch | undefined {
    return this.#batches[this.#head]
  }

  get last(): StoredBatch | undefined {
    return this.#head === this.#batches.length ? undefined : this.#batches.at(-1)
  }

  /** Room for a batch of this size, to be filled in by `add`; undefined when the memory for it may not be taken. */
  room(bytes: number): Buffer | undefined {
    const before = this.#segment
    if (before === undefined || before.used + bytes > before.buffer.length) {
      const wanted = before === undefined ? FIRST_SEGMENT_BYTES : before.buffer.length * 2
      const capacity = Math.max(bytes, Math.min(SEGMENT_BYTES_MAX, wanted))
      if (!this.#budget.reserve(capacity)) return undefined
      this.#begin(capacity)
    }
    return this.#free(bytes)
  }

  /** The same for what is small and must be stored in any case. */
  roomAlways(bytes: number): Buffer {
    const before = this.#segment
    if (before === undefined || before.used + bytes > before.buffer.length) {
      const capacity = Math.max(bytes, FIRST_SEGMENT_BYTES)
      this.#budget.take(capacity)
      this.#begin(capacity)
    }
    return this.#free(bytes)
  }

  /** Takes in what `room` was asked for last. */
  add(bytes: Buffer, fields: BatchFields): void {
    const segment = this.#segment
    assert(segment !== undefined, 'a batch is added where room was asked for')
    const before = this.last?.maxTimestampSoFar ?? -1
    segment.used += bytes.length
    segment.batches++
    this.#bytes += bytes.length
    const maxTimestampSoFar = Math.max(before, fields.maxTimestamp)
    this.#batches.push({ ...fields, bytes, segment, maxTimestampSoFar })
  }

  /** The batches from the one that holds the offset, or the next one there is. */
  *from(offset: number): Generator<StoredBatch> {
    const batches = this.#batches
    for (let at = this.#find((batch) => batch.lastOffset >= offset); at < batches.length; at++) {
      yield batches[at] as StoredBatch
    }
  }

  /** The first batch with a timestamp of at least this, at or above the offset. */
  firstSince(timestamp: number, offset: number): StoredBatch | undefined {
    const at = this.#find((batch) => batch.maxTimestampSoFar >= timestamp)
    const batch = this.#batches[at]
    if (batch === undefined || batch.lastOffset >= offset) return batch
    for (const later of this.from(offset)) if (later.maxTimestamp >= timestamp) return later
    return undefined
  }

  /** Drops whole batches at the front, as long as the condition says so. */
  dropWhile(condition: (batch: StoredBatch) => boolean): void {
    for (let batch = this.first; batch !== undefined && condition(batch); batch = this.first) this.#dropFirst(batch)
    if (this.#head < DROPPED_BATCHES_MAX && this.#head < this.#batches.length) return
    this.#batches.splice(0, this.#head)
    this.#head = 0
  }

  #begin(capacity: number): void {
    if (this.#segment?.batches === 0) this.#budget.release(this.#segment.buffer.length)
    this.#segment = { buffer: Buffer.allocUnsafeSlow(capacity), used: 0, batches: 0 }
  }

  #free(bytes: number): Buffer {
    const segment = this.#segment
    assert(segment !== undefined, 'there is a buffer to store in')
    return segment.buffer.subarray(segment.used, segment.used + bytes)
  }

  #dropFirst(batch: StoredBatch): void {
    this.#head++
    this.#bytes -= batch.bytes.length
    const { segment } = batch
    if (--segment.batches > 0) return
    if (segment === this.#segment) this.#segment = undefined
    this.#budget.release(segment.buffer.length)
  }

  /** The index of the first batch for which it is true; the condition turns from false to true once along the log. */
  #find(condition: (batch: StoredBatch) => boolean): number {
    let low = this.#head
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (condition(this.#batches[middle] as StoredBatch)) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** The bytes of batches that follow each other, in as few pieces as they lie in. */
export function piecesOf(batches: readonly StoredBatch[]): Buffer[] {
  const pieces: Buffer[] = []
  let open: { segment: Segment; start: number; end: number } | undefined
  const close = (): void => {
    if (open !== undefined) pieces.push(open.segment.buffer.subarray(open.start, open.end))
  }
  for (const { bytes, segment } of batches) {
    const start = bytes.byteOffset - segment.buffer.byteOffset
    if (open?.segment === segment && open.end === start) open.end += bytes.length
    else {
      close()
      open = { segment, start, end: start + bytes.length }
    }
  }
  close()
  return pieces
}
