/**
 * Where reading begins, and where it ends, for partitions that have no position yet. An initializer is asked by the
 * enumerator, once for each partition; its answer becomes part of the split and is never asked for again, so that a restart
 * before the first record neither skips nor repeats anything.
 *
 * Facts as in Flink: `latest` is the high watermark whatever the isolation level; a timestamp after every record means the end
 * as it was before the question; a partition missing in `offsets` falls back to the group's offset, then to the reset strategy.
 */
import { MillraceError } from '../base/index.ts'
import { OffsetResetStrategy, parseOffsetResetStrategy } from './offset-reset-strategy.ts'
import type { PartitionOffsetsRetriever } from './partition-offsets-retriever.ts'
import { listPartitions, partitionName, type TopicPartition, TopicPartitionMap } from './topic-partition.ts'

/** An offset, or what still has to be looked up. Numbers below zero are Kafka's: -1 latest, -2 earliest, -3 committed. */
export type OffsetSpecification = number | bigint | 'earliest' | 'latest' | 'committed'

/** For a custom one: any object like this. Partitions left out of the answer begin by the reset strategy, or have no end. */
export interface OffsetsInitializer {
  getPartitionOffsets(
    partitions: readonly TopicPartition[],
    retriever: PartitionOffsetsRetriever,
  ): PartitionOffsets | Promise<PartitionOffsets>
  /** Where to go on when a position does not exist on the broker (any more). */
  readonly autoOffsetResetStrategy: OffsetResetStrategy
  /** Called when the source is built; throws when the source's properties do not suffice. */
  validate?(properties: Readonly<Record<string, string>>): void
  /** For messages and for the graph's hash. */
  toString(): string
}

export type PartitionOffsets = Iterable<readonly [TopicPartition, OffsetSpecification]>

/** What `offsets` takes. */
export type GivenOffsets =
  | Iterable<{ readonly topic: string; readonly partition: number; readonly offset: number | bigint }>
  | ReadonlyMap<TopicPartition, number | bigint>

export const OffsetsInitializer: {
  /** From the first record that the broker still has. The default. */
  earliest(): OffsetsInitializer
  /** From the end as it is at the job's first start; looked up again only as long as no checkpoint has completed. */
  latest(): OffsetsInitializer
  /** From the group's committed offsets; where there is none, by `reset` (NONE: the job fails). */
  committedOffsets(reset?: OffsetResetStrategy): OffsetsInitializer
  /** From the first record whose timestamp (ms) is this or later; where there is none, from the end. */
  timestamp(timestampMs: number): OffsetsInitializer
  /** From these offsets; partitions not given: the group's committed offset, else by `reset`. */
  offsets(offsets: GivenOffsets, reset?: OffsetResetStrategy): OffsetsInitializer
} = {
  earliest: () => uniform('earliest', OffsetResetStrategy.EARLIEST, 'earliest'),
  latest: () => uniform('latest', OffsetResetStrategy.LATEST, 'latest'),
  committedOffsets: (reset = OffsetResetStrategy.NONE) => {
    const strategy = parseOffsetResetStrategy(reset, 'OffsetsInitializer.committedOffsets(reset)')
    return { ...uniform('committed', strategy, `committedOffsets(${strategy})`), validate: requireGroup }
  },
  timestamp: (timestampMs) => {
    const value = Number(timestampMs)
    if (!Number.isSafeInteger(value)) {
      throw new MillraceError(
        'OPTION_INVALID',
        `OffsetsInitializer.timestamp(ms): ${String(timestampMs)} is not a whole number of milliseconds since 1970`,
      )
    }
    return new TimestampOffsets(value)
  },
  offsets: (offsets, reset = OffsetResetStrategy.EARLIEST) => new SpecifiedOffsets(offsets, reset),
}

function uniform(
  specification: OffsetSpecification,
  autoOffsetResetStrategy: OffsetResetStrategy,
  name: string,
): OffsetsInitializer {
  return {
    getPartitionOffsets: (partitions) => partitions.map((partition) => [partition, specification] as const),
    autoOffsetResetStrategy,
    toString: () => name,
  }
}

function requireGroup(properties: Readonly<Record<string, string>>): void {
  if (properties['group.id']) return
  throw new MillraceError(
    'OPTION_INVALID',
    'KafkaSource: group.id is missing, and a source that begins or ends at committed offsets needs it: call setGroupId',
  )
}

class TimestampOffsets implements OffsetsInitializer {
  readonly autoOffsetResetStrategy: OffsetResetStrategy = OffsetResetStrategy.LATEST
  readonly #timestampMs: number

  constructor(timestampMs: number) {
    this.#timestampMs = timestampMs
  }

  async getPartitionOffsets(
    partitions: readonly TopicPartition[],
    retriever: PartitionOffsetsRetriever,
  ): Promise<PartitionOffsets> {
    // The end first: records that arrive between the two questions are then not skipped.
    const ends = await retriever.endOffsets(partitions)
    const found = await retriever.offsetsForTimes(
      partitions.map((partition) => [partition, this.#timestampMs] as const),
    )
    return partitions.map((partition) => {
      const offset = found.get(partition) ?? ends.get(partition)
      if (offset === undefined) throw missing([partition], 'no end offset')
      return [partition, offset] as const
    })
  }

  toString(): string {
    return `timestamp(${this.#timestampMs})`
  }
}

class SpecifiedOffsets implements OffsetsInitializer {
  readonly autoOffsetResetStrategy: OffsetResetStrategy
  readonly #offsets = new TopicPartitionMap<OffsetSpecification>()

  constructor(given: GivenOffsets, reset: OffsetResetStrategy) {
    const path = 'OffsetsInitializer.offsets(...)'
    this.autoOffsetResetStrategy = parseOffsetResetStrategy(reset, `${path} reset`)
    for (const item of given) {
      const [partition, offset] = Array.isArray(item) ? item : [item, item.offset]
      this.#offsets.set(partition, parseOffset(offset, `${path}: ${partitionName(partition)}`))
    }
  }

  async getPartitionOffsets(
    partitions: readonly TopicPartition[],
    retriever: PartitionOffsetsRetriever,
  ): Promise<PartitionOffsets> {
    const result = new TopicPartitionMap<OffsetSpecification>()
    const unnamed: TopicPartition[] = []
    for (const partition of partitions) {
      const offset = this.#offsets.get(partition)
      if (offset === undefined) unnamed.push(partition)
      else result.set(partition, offset)
    }
    if (unnamed.length === 0) return result
    for (const [partition, offset] of await retriever.committedOffsets(unnamed)) result.set(partition, offset)
    const unresolved = unnamed.filter((partition) => !result.has(partition))
    if (unresolved.length > 0 && this.autoOffsetResetStrategy === 'NONE') {
      throw missing(unresolved, 'neither given nor committed, and the reset strategy is NONE')
    }
    const fallback = this.autoOffsetResetStrategy === 'LATEST' ? 'latest' : 'earliest'
    for (const partition of unresolved) result.set(partition, fallback)
    return result
  }

  validate(properties: Readonly<Record<string, string>>): void {
    for (const offset of this.#offsets.values()) if (offset === 'committed') requireGroup(properties)
  }

  toString(): string {
    const pairs = [...this.#offsets].map(([partition, offset]) => `${partitionName(partition)}: ${offset}`).sort()
    return `offsets({${pairs.join(', ')}}, ${this.autoOffsetResetStrategy})`
  }
}

function missing(partitions: readonly TopicPartition[], why: string): MillraceError {
  return new MillraceError(
    'KAFKA_NO_OFFSET',
    `no offset can be found for ${listPartitions(partitions)}: ${why}. Nothing was read from there; give offsets for them or choose a reset strategy`,
  )
}

/** Reads what a user gave. Throws MillraceError OPTION_INVALID that begins with `path`. */
export function parseOffset(given: unknown, path: string): Exclude<OffsetSpecification, bigint> {
  if (given === 'earliest' || given === 'latest' || given === 'committed') return given
  const offset = typeof given === 'bigint' ? Number(given) : given
  if (offset === -1) return 'latest'
  if (offset === -2) return 'earliest'
  if (offset === -3) return 'committed'
  if (typeof offset === 'number' && Number.isSafeInteger(offset) && offset >= 0) return offset
  throw new MillraceError(
    'OPTION_INVALID',
    `${path}: ${String(given)} is no offset; an offset is a whole number from 0 on, 'earliest', 'latest' or 'committed'`,
  )
}
