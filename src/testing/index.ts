export {
  assertTopicContains,
  type TopicContainsOptions,
  type TopicReading,
} from './embedded-kafka/assert-topic-contains.ts'
export {
  EmbeddedKafka,
  type EmbeddedKafkaOptions,
  type EmbeddedProduceOptions,
  type EmbeddedReadOptions,
} from './embedded-kafka/embedded-kafka.ts'
export {
  type HarnessEvent,
  type HarnessOptions,
  type HarnessSnapshot,
  type HarnessState,
  OneInputOperatorHarness,
} from './harness/one-input-operator-harness.ts'
export {
  cacheDirectory,
  installKafka,
  KAFKA_VERSIONS,
  type KafkaInstallation,
} from './kafka-server/kafka-installation.ts'
export {
  type ActiveProducer,
  type GeneratedRecords,
  KafkaJavaTools,
  type ProduceOptions,
  type ProduceResult,
  type ReadOptions,
  type TopicDescription,
  type TopicPartitionOffset,
  type TransactionDescription,
  type TransactionListing,
} from './kafka-server/kafka-java-tools.ts'
export { KafkaServer, type KafkaServerOptions, type TopicOptions } from './kafka-server/kafka-server.ts'
export { KafkaServerError } from './kafka-server/kafka-server-error.ts'
export { KafkaServerNode } from './kafka-server/kafka-server-node.ts'
export { ParentGuard } from './kafka-server/parent-guard.ts'
export type { KafkaHeader, KafkaRecord, RecordToProduce } from './kafka-server/record-file.ts'
export type { SecurityProtocol } from './kafka-server/server-properties.ts'
export {
  MiniCluster,
  MiniClusterJob,
  type MiniClusterOptions,
  type MiniClusterStartOptions,
} from './mini-cluster/mini-cluster.ts'
export { SimulatedClock } from './simulated-clock.ts'
export {
  type SimulatedFault,
  type SimulatedRun,
  type SimulatedTopic,
  type SimulateOptions,
  SimulationFailure,
  type SimulationReport,
  simulate,
} from './simulation/simulate.ts'
