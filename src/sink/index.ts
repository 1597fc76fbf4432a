export { type KafkaCommittable, KafkaCommittableSerializer } from './committer/kafka-committable.ts'
export { DeliveryGuarantee, TransactionNamingStrategy } from './delivery-guarantee.ts'
export { KafkaSink } from './kafka-sink.ts'
export { KafkaSinkBuilder, type KafkaSinkOptions } from './kafka-sink-builder.ts'
export { FlinkFixedPartitioner, type KafkaPartitioner } from './serializer/kafka-partitioner.ts'
export {
  type HeaderProvider,
  KafkaRecordSerializationSchema,
  type KafkaRecordSerializationSchemaBuilder,
  type KafkaSinkContext,
  type ProducerRecord,
  type ProducerRecordHeader,
  type SerializationFunction,
  type TimestampProvider,
  type TopicSelector,
} from './serializer/kafka-record-serialization-schema.ts'
export {
  ByteArraySerializer,
  DoubleSerializer,
  IntegerSerializer,
  LongSerializer,
  Serializer,
  type SerializerClass,
  StringSerializer,
} from './serializer/kafka-serializer.ts'
