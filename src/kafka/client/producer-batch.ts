/**
 * One batch on its way: open (records are appended), closed (in its partition's queue), in flight, acknowledged. It belongs to
 * one partition and one scope for ever, and once stamped its bytes never change: what is sent again is the same bytes under
 * the same sequence, so that a broker can tell a repetition. A batch that is too large for its topic ends as several smaller
 * ones, which take over its place and its sequence (producer-split.ts).
 */
import { assert } from '../../base/index.ts'
import type { BatchWriter } from '../records/batch-writer.ts'
import type { CompressionCodec } from '../records/compression.ts'
import type { ProducerLane } from './producer-lane.ts'
import type { ProducerScope } from './producer-scope.ts'

export class ProducerBatch {
  readonly lane: ProducerLane
  readonly scope: ProducerScope
  readonly writer: BatchWriter
  /** Monotonic. */
  readonly openedAtMs: number
  /** What it counts for in the producer's memory. */
  capacity: number
  inFlight = false
  /** Wanted to leave as soon as nothing is on its way to its leader. */
  nudged = false
  attempts = 0
  baseSequence = -1
  /** Its records without compression, with the header; known when stamped. */
  plainBytes = 0
  /** It is part of a batch that may have been written before it was refused: an attempt before that had no clear answer. */
  doubtful = false
  #sequenceIsGiven = false
  #bytes: Buffer | undefined

  constructor(lane: ProducerLane, scope: ProducerScope, writer: BatchWriter, capacity: number, openedAtMs: number) {
    this.lane = lane
    this.scope = scope
    this.writer = writer
    this.capacity = capacity
    this.openedAtMs = openedAtMs
  }

  /** The place in the sequence comes from the batch that this one is a part of. */
  takeOver(baseSequence: number): void {
    this.baseSequence = baseSequence
    this.#sequenceIsGiven = true
  }

  /** Another place in the sequence, for one that is not in flight. */
  renumber(baseSequence: number): void {
    const { identity } = this.scope
    assert(!this.inFlight && identity !== undefined, 'a batch in flight keeps its bytes')
    this.takeOver(baseSequence)
    if (this.#bytes === undefined) return
    const { producerId, epoch: producerEpoch } = identity
    this.#bytes = this.writer.restamp({ producerId, producerEpoch, baseSequence })
  }

  /** What it takes in a request, before compression. */
  get sizeBytes(): number {
    return this.#bytes?.length ?? this.writer.sizeBytes
  }

  /** The bytes to send; the first call gives the batch its identity and its place in the sequence. */
  stamped(compression: CompressionCodec): Buffer {
    if (this.#bytes !== undefined) return this.#bytes
    const { identity, transactionalId } = this.scope
    assert(identity !== undefined, 'a batch is stamped when its identity is known')
    this.plainBytes = this.writer.sizeBytes
    if (!this.#sequenceIsGiven && identity.producerId >= 0) {
      this.baseSequence = this.lane.takeSequences(this.scope.sequences, this.writer.recordCount)
    }
    this.#bytes = this.writer.close({
      producerId: identity.producerId,
      producerEpoch: identity.epoch,
      baseSequence: this.baseSequence,
      transactional: transactionalId !== undefined,
      compression,
    })
    return this.#bytes
  }
}
