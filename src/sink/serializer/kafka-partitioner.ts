/**
 * Who decides the partition of a record. Without a partitioner it is Java's default: the hash of the key, and for records
 * without a key one partition for a whole batch.
 */
import { MillraceError } from '../../base/index.ts'

export interface KafkaPartitioner<T> {
  /** Another one like it. Offered by partitioners that keep what `open` told them, so that each subtask has its own. */
  copy?(): KafkaPartitioner<T>
  open?(parallelInstanceId: number, parallelInstances: number): void
  /** One of `partitions`. `key` and `value` are as the schemas made them: bytes, text or null. */
  partition(
    element: T,
    key: Uint8Array | string | null,
    value: Uint8Array | string | null,
    targetTopic: string,
    partitions: readonly number[],
  ): number
}

/** Every subtask writes to one partition: its own number, modulo the partitions. With few subtasks some stay empty. */
export class FlinkFixedPartitioner<T = unknown> implements KafkaPartitioner<T> {
  #subtask = 0

  copy(): FlinkFixedPartitioner<T> {
    return new FlinkFixedPartitioner()
  }

  open(parallelInstanceId: number, _parallelInstances: number): void {
    this.#subtask = parallelInstanceId
  }

  partition(
    _element: T,
    _key: Uint8Array | string | null,
    _value: Uint8Array | string | null,
    targetTopic: string,
    partitions: readonly number[],
  ): number {
    const partition = partitions[this.#subtask % partitions.length]
    if (partition === undefined) {
      throw new MillraceError('KAFKA_UNKNOWN_PARTITION', `topic "${targetTopic}" has no partitions`)
    }
    return partition
  }
}
