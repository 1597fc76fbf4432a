/**
 * The way of one partition: the batch that is appended to, behind it the closed ones in their order until acknowledged.
 *
 * What always holds:
 * - batches are sent in the order in which they were closed, the first time and every further time;
 * - those in flight are the first ones of `pending`, except after a failure: then nothing is sent until all in flight are
 *   answered, and what was not acknowledged is sent again from the first on;
 * - batches under different identities are never in flight together, so that a transaction's records lie behind those of the
 *   transaction before it, whatever is repeated;
 * - until the broker has acknowledged a batch under an identity, and again after a failure, only one is in flight: a broker that does not know a producer
 *   takes any sequence, so that behind a first batch that failed the second one would be taken for the beginning;
 * - what was never sent waits while something before it is sent again: that may be written already, and brokers recognise it
 *   only among the last five batches, which others would push it out of;
 * - sequences begin at 0 for each identity and grow by the records of each batch; they begin anew only when the broker has forgotten
 *   a plain producer together with all its records;
 * - the parts of a batch that was split stand in its place, and count as batches that failed.
 */
import { assert } from '../../base/index.ts'
import type { ProducerBatch } from './producer-batch.ts'

/** Brokers forget a producer a day after its last batch; long before that a lane does not count on being remembered. */
const REMEMBERED_MS = 15 * 60_000

/** Sequences are int32 and begin again at 0 after the largest. */
const SEQUENCE_MAX = 0x7fff_ffff

/** A topic whose limit made batches be split may have a higher one again: after so long full batches are tried. */
const LIMIT_REMEMBERED_MS = 5 * 60_000

/** The sequence of the record that is so many records behind `first`. */
export function sequenceAfter(first: number, records: number): number {
  const left = SEQUENCE_MAX - first
  return records > left ? records - left - 1 : first + records
}

export class ProducerLane {
  readonly topic: string
  readonly partition: number
  open: ProducerBatch | undefined = undefined
  readonly pending: ProducerBatch[] = []
  inFlight = 0
  /** A batch failed while others may still be in flight. */
  rewinding = false
  /** Monotonic time before which nothing is sent. */
  notBeforeMs = 0
  failures = 0
  /** The size of the last batch, from which the buffer of the next one is chosen. */
  lastBytes = 0
  /** What a batch may take without compression, as far as refusals have shown, and when the last one was. */
  #bytesMax: number = Number.POSITIVE_INFINITY
  #bytesMaxAtMs = 0
  #sequences: object | undefined
  /** The row of sequences that the broker has seen a batch of, and when the last one was acknowledged. */
  #confirmed: object | undefined
  #confirmedAtMs = 0
  /** Of the last record acknowledged under the row that is confirmed, or was; -1: none, or the broker did not say. */
  #lastOffset = -1
  /** The broker has forgotten the row: it begins again at 0 when nothing is in flight. */
  #beginsAnew = false
  #nextSequence = 0

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  /** Batches that are not on their way, the open one included. */
  get queued(): number {
    return this.pending.length - this.inFlight + (this.open === undefined ? 0 : 1)
  }

  /** The batch that may be sent now, if any. */
  sendable(nowMs: number, inFlightMax: number): ProducerBatch | undefined {
    const first = this.pending[0]
    if (first === undefined || this.rewinding || this.notBeforeMs > nowMs) return undefined
    if (this.inFlight >= (this.#isKnown(first, nowMs) ? inFlightMax : 1)) return undefined
    const batch = this.pending[this.inFlight]
    if (batch === undefined || batch.scope.sequences !== first.scope.sequences) return undefined
    if (batch.attempts === 0 && this.#repeats()) return undefined
    return batch.scope.admits(this) ? batch : undefined
  }

  sent(batch: ProducerBatch): void {
    assert(this.pending[this.inFlight] === batch && !batch.inFlight, 'batches are sent in their order')
    batch.inFlight = true
    batch.attempts++
    this.inFlight++
  }

  /** `lastOffset` is that of the batch's last record; -1 when the broker did not say. */
  acknowledged(batch: ProducerBatch, nowMs: number, lastOffset: number): void {
    const index = this.pending.indexOf(batch)
    assert(index >= 0 && batch.inFlight, 'what is acknowledged was in flight')
    this.pending.splice(index, 1)
    const behindAFailure = this.rewinding
    this.#lastOffset = Math.max(this.#lastOffset, lastOffset)
    this.#landed(batch)
    // One before it failed, perhaps after it was written: others must not pass it until the broker has forgotten it.
    if (behindAFailure) return
    this.failures = 0
    this.#confirmed = batch.scope.sequences
    this.#confirmedAtMs = nowMs
  }

  /** Was not acknowledged and is to be sent again, with all behind it. */
  failed(batch: ProducerBatch): void {
    assert(batch.inFlight, 'what failed was in flight')
    this.rewinding = true
    // Who answers next may be another leader, or one that was restarted: it too may not know this producer.
    this.#confirmed = undefined
    this.#landed(batch)
  }

  /** Was not acknowledged, as the broker does not know its producer any more. */
  forgotten(batch: ProducerBatch): void {
    this.#beginsAnew = true
    this.failed(batch)
  }

  /** Whether all that was acknowledged lies before this offset, where the log begins now: then its producer may be forgotten too. */
  allIsBefore(logStartOffset: number): boolean {
    return this.#lastOffset < logStartOffset
  }

  /** Was refused as too large: these take its place, in order. */
  split(batch: ProducerBatch, parts: readonly ProducerBatch[]): void {
    const index = this.pending.indexOf(batch)
    assert(index >= 0 && parts.length > 1, 'what is split was in flight, and its parts are smaller')
    this.failed(batch)
    this.pending.splice(index, 1, ...parts)
  }

  /** What a batch that is begun now may take: large ones would only be split again. */
  bytesMax(nowMs: number): number {
    if (nowMs - this.#bytesMaxAtMs >= LIMIT_REMEMBERED_MS) this.#bytesMax = Number.POSITIVE_INFINITY
    return this.#bytesMax
  }

  /** A batch of so many bytes was refused; returns what its parts may take. */
  refusedAsTooLarge(plainBytes: number, nowMs: number): number {
    this.#bytesMax = Math.min(this.bytesMax(nowMs), Math.ceil(plainBytes / 2))
    this.#bytesMaxAtMs = nowMs
    return this.#bytesMax
  }

  /** The first sequence of a batch with so many records, under this identity. */
  takeSequences(sequences: object, records: number): number {
    if (this.#sequences !== sequences) {
      this.#sequences = sequences
      this.#lastOffset = -1
      this.#nextSequence = 0
    }
    const first = this.#nextSequence
    this.#nextSequence = sequenceAfter(first, records)
    return first
  }

  /** Something in flight was sent before, and may be written already. */
  #repeats(): boolean {
    for (let at = 0; at < this.inFlight; at++) if ((this.pending[at]?.attempts ?? 0) > 1) return true
    return false
  }

  #isKnown(batch: ProducerBatch, nowMs: number): boolean {
    return this.#confirmed === batch.scope.sequences && nowMs - this.#confirmedAtMs < REMEMBERED_MS
  }

  #landed(batch: ProducerBatch): void {
    batch.inFlight = false
    this.inFlight--
    if (this.inFlight > 0) return
    this.rewinding = false
    if (this.#beginsAnew) this.#beginAnew()
  }

  #beginAnew(): void {
    this.#beginsAnew = false
    const row = this.pending[0]?.scope.sequences
    let next = 0
    for (const batch of this.pending) {
      if (batch.scope.sequences !== row || batch.baseSequence < 0) break
      batch.renumber(next)
      next = sequenceAfter(next, batch.writer.recordCount)
    }
    this.#nextSequence = next
  }
}
