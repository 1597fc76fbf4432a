/**
 * A split while a reader has it. Its position is the next offset to read: behind the last record whose outputs have all been
 * emitted, and behind markers, aborted data and compacted gaps that followed it. It is right between two calls of `poll`.
 */
import type { SplitOutput } from '../../core/index.ts'
import { type KafkaPartitionSplit, splitId } from '../split/kafka-partition-split.ts'

export class SplitReading<T> {
  readonly id: string
  readonly topic: string
  readonly partition: number
  /** The first offset not read any more; infinite when there is no end. */
  readonly stop: number
  readonly output: SplitOutput<T>
  /** Undefined: the earliest offset, which is being looked up. */
  position: number | undefined
  /** Began at the earliest offset and nothing was read yet: if that is deleted meanwhile, the new earliest one is meant. */
  fromEarliest: boolean
  finished = false
  /** The offset of the last record emitted; -1 before the first. */
  lastOffset = -1
  /** What the group's committed offset was last set to by this reader; -1 before that. */
  committedOffset = -1
  /** Where the broker said last that there is nothing: said twice, it is believed whatever the range. */
  outOfRangeAt = -1

  constructor(split: KafkaPartitionSplit, output: SplitOutput<T>) {
    this.id = splitId(split)
    this.topic = split.topic
    this.partition = split.partition
    this.stop = split.stoppingOffset ?? Number.POSITIVE_INFINITY
    this.output = output
    this.position = split.startingOffset.kind === 'at' ? split.startingOffset.offset : undefined
    this.fromEarliest = split.startingOffset.kind === 'earliest'
  }

  get atEnd(): boolean {
    return (this.position ?? 0) >= this.stop
  }

  toSplit(): KafkaPartitionSplit {
    return {
      topic: this.topic,
      partition: this.partition,
      startingOffset: this.position === undefined ? { kind: 'earliest' } : { kind: 'at', offset: this.position },
      stoppingOffset: this.stop === Number.POSITIVE_INFINITY ? undefined : this.stop,
    }
  }
}
