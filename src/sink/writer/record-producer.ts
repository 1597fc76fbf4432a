/**
 * What the writer needs of a Kafka producer. The real one is `Producer` of room kafka; tests of the protocol use a model
 * beside the model of the transaction coordinator.
 */
import type { MillraceError } from '../../base/index.ts'
import type { KafkaMetrics } from '../../kafka/index.ts'
import type { ProducerRecordHeader } from '../serializer/kafka-record-serialization-schema.ts'
import type { TransactionHandle } from '../transaction/transaction-gateway.ts'

/** A topic whose partitions are known; appending is synchronous and copies the bytes. */
export interface RecordTopic {
  readonly name: string
  readonly partitionCount: number
  /** Partition -1: the default partitioner decides. */
  append(
    partition: number,
    timestamp: number,
    key: Uint8Array | string | null,
    value: Uint8Array | string | null,
    headers?: readonly ProducerRecordHeader[],
  ): void
}

export interface SealedRecords {
  /** Undefined outside of transactions. */
  readonly handle: TransactionHandle | undefined
  readonly records: ReadonlyMap<string, number>
  readonly beganAtMs: number
}

export interface RecordProducer {
  /** Rejects with KAFKA_UNKNOWN_TOPIC. */
  topic(name: string): Promise<RecordTopic>
  readonly blocked: boolean
  writable(): Promise<void>
  readonly failure: MillraceError | undefined
  /** Sends what waits for more records, to partitions that nothing is on its way to. */
  nudge(): void
  /** Records appended from now on belong to this transaction. Nothing is sent before `begin` resolves. */
  beginTransaction(transactionalId: string, begin: Promise<TransactionHandle>): void
  /** Resolves when everything appended before the call is acknowledged. */
  seal(): Promise<SealedRecords>
  close(options: { readonly discard: boolean }): Promise<void>
  metrics(): RecordProducerMetrics
  /** Of the producer and its connections, under Java's names. */
  readonly kafkaMetrics: KafkaMetrics
}

export interface RecordProducerMetrics {
  readonly bytesSent: number
  readonly recordErrors: number
  /** Milliseconds from append to acknowledgement of what was acknowledged last; -1 before that. */
  readonly sendTimeMs: number
}
