/**
 * Looks offsets up for an initializer: the group's, the beginning, the end, and by time. Each question is one call for all
 * partitions. What has no answer is missing in the result. End offsets are high watermarks whatever the isolation level,
 * as in Flink: a stop offset must not depend on a transaction that happens to be open.
 */
import { MillraceError } from '../base/index.ts'
import type { SourceAdmin } from './source-client.ts'
import { type TopicPartition, TopicPartitionMap } from './topic-partition.ts'

export interface PartitionOffsetsRetriever {
  /** Offsets that the source's group has committed. */
  committedOffsets(partitions: readonly TopicPartition[]): Promise<TopicPartitionMap<number>>
  beginningOffsets(partitions: readonly TopicPartition[]): Promise<TopicPartitionMap<number>>
  endOffsets(partitions: readonly TopicPartition[]): Promise<TopicPartitionMap<number>>
  /** The first offset with this timestamp (ms) or a later one. */
  offsetsForTimes(times: Iterable<readonly [TopicPartition, number]>): Promise<TopicPartitionMap<number>>
}

export class AdminOffsetsRetriever implements PartitionOffsetsRetriever {
  readonly #admin: SourceAdmin
  readonly #groupId: string | undefined

  constructor(options: { readonly admin: SourceAdmin; readonly groupId: string | undefined }) {
    this.#admin = options.admin
    this.#groupId = options.groupId
  }

  async committedOffsets(partitions: readonly TopicPartition[]): Promise<TopicPartitionMap<number>> {
    const found = new TopicPartitionMap<number>()
    if (this.#groupId === undefined || partitions.length === 0) return found
    const wanted = new TopicPartitionMap(partitions.map((partition) => [partition, true] as const))
    for (const answer of await this.#admin.groupOffsets(this.#groupId, partitions)) {
      if (wanted.has(answer) && answer.offset >= 0) found.set(answer, answer.offset)
    }
    return found
  }

  beginningOffsets(partitions: readonly TopicPartition[]): Promise<TopicPartitionMap<number>> {
    return this.#list(partitions.map((partition) => [partition, 'earliest'] as const))
  }

  endOffsets(partitions: readonly TopicPartition[]): Promise<TopicPartitionMap<number>> {
    return this.#list(partitions.map((partition) => [partition, 'latest'] as const))
  }

  offsetsForTimes(times: Iterable<readonly [TopicPartition, number]>): Promise<TopicPartitionMap<number>> {
    return this.#list([...times].map(([partition, timestamp]) => [partition, { timestamp }] as const))
  }

  async #list(
    questions: readonly (readonly [TopicPartition, 'earliest' | 'latest' | { readonly timestamp: number }])[],
  ): Promise<TopicPartitionMap<number>> {
    const found = new TopicPartitionMap<number>()
    if (questions.length === 0) return found
    for (const [, at] of questions) {
      if (typeof at === 'object' && !Number.isSafeInteger(at.timestamp)) {
        throw new MillraceError('OPTION_INVALID', `${at.timestamp} is not a timestamp in milliseconds`)
      }
    }
    // A negative time comes before every record; on the wire it would mean something else.
    const request = questions.map(([{ topic, partition }, at]) =>
      typeof at === 'object'
        ? { topic, partition, at: { timestamp: Math.max(0, at.timestamp) } }
        : { topic, partition, at },
    )
    for (const answer of await this.#admin.listOffsets(request, { isolation: 'read_uncommitted' })) {
      if (answer.offset >= 0) found.set(answer, answer.offset)
    }
    return found
  }
}
