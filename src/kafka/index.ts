export type {
  GroupOffset,
  GroupOffsetToCommit,
  TopicPartitionPlace,
} from './client/admin-groups.ts'
export type {
  ListedOffset,
  ListOffsetsOptions,
  ListOffsetsQuestion,
  OffsetPlace,
} from './client/admin-offsets.ts'
export type {
  TransactionDescription,
  TransactionFilter,
  TransactionListing,
  TransactionState,
} from './client/admin-transactions.ts'
export { ClusterMetadata, type KnownBroker, type PartitionLeader } from './client/cluster-metadata.ts'
export {
  brokerError,
  type Classified,
  classify,
  type ErrorClass,
  type ErrorContext,
  KAFKA_ERROR_CLASSES,
  type KafkaErrorClass,
} from './client/error-classes.ts'
export { type FetchedPartition, Fetcher, type FetcherMetrics, type PartitionTrouble } from './client/fetcher.ts'
export {
  type ConfigResource,
  KafkaAdmin,
  type NewTopic,
  type PartitionDescription,
  type TopicDescription,
} from './client/kafka-admin.ts'
export { type ConnectionPurpose, type CoordinatorKind, KafkaCluster } from './client/kafka-cluster.ts'
export {
  type BrokerAddress,
  type ClusterOptions,
  type FetcherOptions,
  type IsolationLevel,
  type KafkaPorts,
  type KafkaProperties,
  type ProducerOptions,
  parseClusterOptions,
  parseFetcherOptions,
  parseProducerOptions,
} from './client/options.ts'
export { murmur2, partitionOfKey } from './client/partitioner.ts'
export { Producer, type ProducerMetrics } from './client/producer.ts'
export type { SealedTransaction } from './client/producer-scope.ts'
export { ProducerTopic } from './client/producer-topic.ts'
export type { RetryLimits } from './client/retrying.ts'
export {
  type EndOutcome,
  type EndTransactionOptions,
  endTransaction,
  initProducerId,
  type ProducerIdentity,
  type TransactionHandle,
  type TransactionVersion,
  transactionVersion,
} from './client/transactions.ts'
export { BrokerConnection, type BrokerConnectionOptions, type SendOptions } from './connection/broker-connection.ts'
export type { VersionRange } from './connection/negotiated-versions.ts'
// The wire as it is, for the embedded broker and for tests: every API by its name.
export * from './protocol/index.ts'
export { type AbortedTransaction, AbortedTransactionFilter } from './records/aborted-transaction-filter.ts'
export { readInt64, stampBatch } from './records/batch-layout.ts'
export {
  BatchReader,
  type BatchReaderOptions,
  type ControlType,
  type RecordBatchView,
  type RecordView,
  type TimestampType,
} from './records/batch-reader.ts'
export { type BatchCloseOptions, BatchWriter, type ProducerStamp } from './records/batch-writer.ts'
export { COMPRESSION_CODECS, type CompressionCodec } from './records/compression.ts'
export { type TransactionMarker, transactionMarkerBatch } from './records/control-batch.ts'
export { crc32c } from './records/crc32c.ts'
export type { RecordHeader, RecordHeaderInput } from './records/record-headers.ts'
