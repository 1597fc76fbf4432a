/**
 * A partition of a topic as a value. Wherever partitions are given or asked for they are compared by topic and number, never
 * by identity, so that plain objects serve as well as instances. Its name, `orders-3`, is unambiguous: the part after the
 * last dash is always the number.
 */
export class TopicPartition {
  readonly topic: string
  readonly partition: number

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  toString(): string {
    return `${this.topic}-${this.partition}`
  }
}

/** The name of a partition; also the name of the split that reads it. */
export function partitionName(of: TopicPartition): string {
  return `${of.topic}-${of.partition}`
}

/** By topic, then by number: the order in which splits are assigned and listed. */
export function comparePartitions(left: TopicPartition, right: TopicPartition): number {
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1
  return left.partition - right.partition
}

/** At most a few names, for messages. */
export function listPartitions(partitions: Iterable<TopicPartition>): string {
  const names = [...partitions].map(partitionName)
  return names.length <= 10 ? names.join(', ') : `${names.slice(0, 10).join(', ')} and ${names.length - 10} more`
}

/** A map whose keys are compared by value. */
export class TopicPartitionMap<V> implements Iterable<[TopicPartition, V]> {
  readonly #entries = new Map<string, [TopicPartition, V]>()

  constructor(entries: Iterable<readonly [TopicPartition, V]> = []) {
    for (const [partition, value] of entries) this.set(partition, value)
  }

  get size(): number {
    return this.#entries.size
  }

  get(partition: TopicPartition): V | undefined {
    return this.#entries.get(partitionName(partition))?.[1]
  }

  has(partition: TopicPartition): boolean {
    return this.#entries.has(partitionName(partition))
  }

  set(partition: TopicPartition, value: V): this {
    this.#entries.set(partitionName(partition), [new TopicPartition(partition.topic, partition.partition), value])
    return this
  }

  *keys(): Generator<TopicPartition> {
    for (const [partition] of this.#entries.values()) yield partition
  }

  *values(): Generator<V> {
    for (const [, value] of this.#entries.values()) yield value
  }

  [Symbol.iterator](): Iterator<[TopicPartition, V]> {
    return this.#entries.values()
  }
}
