/**
 * One batch on its way: open (records are appended), closed (in its partition's queue), in flight, acknowledged. It belongs to
 * one partition and one scope for ever, and once stamped its bytes never change: what is sent again is the same bytes under
 * the same sequence, so that a broker can tell a repetition.
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
  /** Wanted to leave as soon as nothing is on its way before it. */
  nudged = false
  attempts = 0
  baseSequence = -1
  #bytes: Buffer | undefined

  constructor(lane: ProducerLane, scope: ProducerScope, writer: BatchWriter, capacity: number, openedAtMs: number) {
    this.lane = lane
    this.scope = scope
    this.writer = writer
    this.capacity = capacity
    this.openedAtMs = openedAtMs
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
    this.baseSequence =
      identity.producerId < 0 ? -1 : this.lane.takeSequences(this.scope.sequences, this.writer.recordCount)
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
