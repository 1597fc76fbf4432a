export { ConsumerRecord } from './deserializer/consumer-record.ts'
export {
  type JsonKeyValue,
  JsonKeyValueDeserializationSchema,
} from './deserializer/json-key-value-deserialization-schema.ts'
export {
  BooleanDeserializer,
  ByteArrayDeserializer,
  type DeserializerConfig,
  DoubleDeserializer,
  FloatDeserializer,
  IntegerDeserializer,
  KafkaDeserializer,
  type KafkaDeserializerClass,
  LongDeserializer,
  ShortDeserializer,
  StringDeserializer,
  UUIDDeserializer,
} from './deserializer/kafka-deserializer.ts'
export {
  KafkaRecordDeserializationSchema,
  type ValueDeserializer,
} from './deserializer/kafka-record-deserialization-schema.ts'
export {
  type KafkaSourceEnumeratorState,
  kafkaSourceEnumeratorStateSerializer,
} from './enumerator/kafka-source-enumerator-state.ts'
export { KafkaSource } from './kafka-source.ts'
export type { KafkaSourceBuilder } from './kafka-source-builder.ts'
export type { KafkaSourceDefinition } from './kafka-source-definition.ts'
export type { KafkaSubscriber } from './kafka-subscriber.ts'
export { OffsetResetStrategy } from './offset-reset-strategy.ts'
export {
  type GivenOffsets,
  type OffsetSpecification,
  OffsetsInitializer,
  type PartitionOffsets,
} from './offsets-initializer.ts'
export type { PartitionOffsetsRetriever } from './partition-offsets-retriever.ts'
export type { SourceAdmin } from './source-client.ts'
export {
  type KafkaPartitionSplit,
  kafkaPartitionSplitSerializer,
  type StartingOffset,
} from './split/kafka-partition-split.ts'
export { TopicPartition, TopicPartitionMap } from './topic-partition.ts'
