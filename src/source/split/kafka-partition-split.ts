/**
 * One partition as a unit of reading, with its position. The enumerator makes it with where to start; the reader's snapshots
 * are the same splits with `startingOffset` moved to the next record to read. That position alone decides where a restored
 * job resumes.
 *
 * `earliest` stands only in a split from which nothing was read: looking it up again after a restart skips nothing that was
 * not already deleted. Everything else (latest, committed, by time, stop offsets) is looked up once and stored as a number.
 */
import type { VersionedSerializer } from '../../core/index.ts'
import { partitionName } from '../topic-partition.ts'
import { StateReader, StateWriter, unknownVersion } from './state-bytes.ts'

export type StartingOffset = { readonly kind: 'earliest' } | { readonly kind: 'at'; readonly offset: number }

export interface KafkaPartitionSplit {
  readonly topic: string
  readonly partition: number
  readonly startingOffset: StartingOffset
  /** The first offset that is not read any more; undefined: there is no end. */
  readonly stoppingOffset: number | undefined
}

export function splitId(split: KafkaPartitionSplit): string {
  return partitionName(split)
}

/** Whether the split's position has reached its end. */
export function isFinished(split: KafkaPartitionSplit): boolean {
  const { startingOffset, stoppingOffset } = split
  if (stoppingOffset === undefined) return false
  return stoppingOffset <= (startingOffset.kind === 'at' ? startingOffset.offset : 0)
}

/** topic, partition, start kind (0 earliest, 1 at) and offset, stop (0 none, 1 present) and offset. */
const VERSION_1 = 1

export const kafkaPartitionSplitSerializer: VersionedSerializer<KafkaPartitionSplit> = {
  version: VERSION_1,

  serialize(split: KafkaPartitionSplit): Uint8Array {
    const writer = new StateWriter()
    writer.text(split.topic)
    writer.uint32(split.partition)
    writeStartingOffset(writer, split.startingOffset)
    writer.uint8(split.stoppingOffset === undefined ? 0 : 1)
    if (split.stoppingOffset !== undefined) writer.int64(split.stoppingOffset)
    return writer.finish()
  },

  deserialize(version: number, bytes: Uint8Array): KafkaPartitionSplit {
    if (version !== VERSION_1) throw unknownVersion('Kafka partition split', version, VERSION_1)
    const reader = new StateReader(bytes, 'Kafka partition split')
    const topic = reader.text()
    const partition = reader.uint32()
    const startingOffset = readStartingOffset(reader)
    const hasStop = reader.uint8()
    if (hasStop > 1) throw reader.damaged(`stop kind ${hasStop} is unknown`)
    const stoppingOffset = hasStop === 1 ? reader.int64() : undefined
    reader.finish()
    return { topic, partition, startingOffset, stoppingOffset }
  },
}

/** Kind (0 earliest, 1 at) and offset. */
export function writeStartingOffset(writer: StateWriter, startingOffset: StartingOffset): void {
  writer.uint8(startingOffset.kind === 'at' ? 1 : 0)
  if (startingOffset.kind === 'at') writer.int64(startingOffset.offset)
}

export function readStartingOffset(reader: StateReader): StartingOffset {
  const kind = reader.uint8()
  if (kind > 1) throw reader.damaged(`start kind ${kind} is unknown`)
  return kind === 1 ? { kind: 'at', offset: reader.int64() } : { kind: 'earliest' }
}
