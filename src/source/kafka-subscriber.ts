/**
 * Which partitions a source reads: asked at start and at every discovery. A topic or partition that was named and does not
 * exist is an error (a misspelt topic must not look like an empty one); a pattern may match nothing.
 */
import { MillraceError } from '../base/index.ts'
import type { SourceAdmin } from './source-client.ts'
import { comparePartitions, listPartitions, TopicPartition, TopicPartitionMap } from './topic-partition.ts'

/** For a custom one: any object like this. */
export interface KafkaSubscriber {
  getSubscribedTopicPartitions(admin: SourceAdmin): Promise<Iterable<TopicPartition>>
  /** For messages and for the graph's hash. */
  toString(): string
}

export class TopicListSubscriber implements KafkaSubscriber {
  readonly #topics: readonly string[]

  constructor(topics: readonly string[]) {
    this.#topics = topics
  }

  getSubscribedTopicPartitions(admin: SourceAdmin): Promise<TopicPartition[]> {
    return partitionsOf(admin, this.#topics)
  }

  toString(): string {
    return `topics ${this.#topics.join(', ')}`
  }
}

/** Every topic whose whole name matches; internal ones never do. */
export class TopicPatternSubscriber implements KafkaSubscriber {
  readonly #pattern: RegExp
  readonly #source: string

  constructor(pattern: RegExp) {
    // Neither `g` nor `y`: they would make the answer depend on the one before.
    this.#pattern = new RegExp(`^(?:${pattern.source})$`, pattern.flags.replace(/[gy]/g, ''))
    this.#source = String(pattern)
  }

  async getSubscribedTopicPartitions(admin: SourceAdmin): Promise<TopicPartition[]> {
    const topics = (await admin.listTopics()).filter((topic) => this.#pattern.test(topic))
    if (topics.length === 0) return []
    try {
      return await partitionsOf(admin, topics)
    } catch (error) {
      // A topic deleted between the two questions. Asking for each alone tells which.
      if (!MillraceError.is(error) || error.code !== 'KAFKA_UNKNOWN_TOPIC') throw error
      return (await Promise.all(topics.map((topic) => partitionsIfThere(admin, topic)))).flat()
    }
  }

  toString(): string {
    return `topics matching ${this.#source}`
  }
}

export class PartitionSetSubscriber implements KafkaSubscriber {
  readonly #partitions: TopicPartitionMap<true>

  constructor(partitions: Iterable<TopicPartition>) {
    this.#partitions = new TopicPartitionMap([...partitions].map((partition) => [partition, true] as const))
  }

  async getSubscribedTopicPartitions(admin: SourceAdmin): Promise<TopicPartition[]> {
    const wanted = [...this.#partitions.keys()]
    const existing = await partitionsOf(admin, [...new Set(wanted.map(({ topic }) => topic))])
    const known = new TopicPartitionMap(existing.map((partition) => [partition, true] as const))
    const missing = wanted.filter((partition) => !known.has(partition))
    if (missing.length > 0) {
      throw new MillraceError(
        'KAFKA_UNKNOWN_PARTITION',
        `setPartitions names partitions that do not exist: ${listPartitions(missing)}. Nothing was read; correct the numbers or add the partitions`,
      )
    }
    return wanted
  }

  toString(): string {
    return `partitions ${[...this.#partitions.keys()].sort(comparePartitions).join(', ')}`
  }
}

async function partitionsOf(admin: SourceAdmin, topics: readonly string[]): Promise<TopicPartition[]> {
  const descriptions = await admin.describeTopics(topics)
  return descriptions.flatMap(({ name, partitions }) =>
    partitions.map(({ partition }) => new TopicPartition(name, partition)),
  )
}

async function partitionsIfThere(admin: SourceAdmin, topic: string): Promise<TopicPartition[]> {
  try {
    return await partitionsOf(admin, [topic])
  } catch (error) {
    if (MillraceError.is(error) && error.code === 'KAFKA_UNKNOWN_TOPIC') return []
    throw error
  }
}
