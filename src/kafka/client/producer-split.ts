/**
 * A batch that the broker refuses as too large becomes several smaller ones with the same records, as Java's producer does it
 * (RecordAccumulator.splitAndReenqueue): max.message.bytes of a topic is not known to producers, can be below batch.size, and
 * can be lowered while they write.
 *
 * What always holds: the parts hold the records of the batch in their order, each once, with the same timestamps and headers;
 * each takes the sequences that its records had, so that a broker which has one of them already knows it; there are at least
 * two, so that splitting comes to an end. Java splits first at batch.size, which often changes nothing, and halves from then
 * on; here each part has at most half of the bytes at once.
 */
import { assert } from '../../base/index.ts'
import { BatchReader } from '../records/batch-reader.ts'
import type { CompressionCodec } from '../records/compression.ts'
import { ProducerBatch } from './producer-batch.ts'
import { sequenceAfter } from './producer-lane.ts'
import type { ProducerMemory } from './producer-memory.ts'

/** The parts, each of at most `partBytes` unless it is a single record; their memory is counted, the batch's still too. */
export function splitBatch(
  batch: ProducerBatch,
  partBytes: number,
  memory: ProducerMemory,
  compression: CompressionCodec,
): ProducerBatch[] {
  const { lane, scope } = batch
  const reader = new BatchReader({ checkCrcs: false })
  reader.reset(lane.topic, lane.partition, batch.stamped(compression), 0)
  assert(reader.nextBatch(), 'a stamped batch can be read')
  const parts: ProducerBatch[] = []
  let part: ProducerBatch | undefined
  let sequence = batch.baseSequence
  const finish = (done: ProducerBatch): void => {
    if (sequence >= 0) {
      done.takeOver(sequence)
      sequence = sequenceAfter(sequence, done.writer.recordCount)
    }
    done.doubtful = batch.doubtful || batch.attempts > 1
    const capacity = memory.capacityOf(done.writer.sizeBytes)
    if (capacity <= done.capacity) return
    memory.grown(capacity - done.capacity)
    done.capacity = capacity
  }
  while (reader.next()) {
    const { timestamp } = reader
    const key = reader.key()
    const value = reader.value()
    const headers = reader.headers()
    if (part?.writer.append(timestamp, key, value, headers) === true) continue
    if (part !== undefined) finish(part)
    const { writer, capacity } = memory.take(partBytes)
    writer.limitTo(partBytes)
    part = new ProducerBatch(lane, scope, writer, capacity, batch.openedAtMs)
    writer.append(timestamp, key, value, headers)
    parts.push(part)
  }
  if (part !== undefined) finish(part)
  const records = parts.reduce((sum, { writer }) => sum + writer.recordCount, 0)
  assert(records === batch.writer.recordCount && parts.length > 1, 'the parts hold all records of the batch')
  return parts
}
