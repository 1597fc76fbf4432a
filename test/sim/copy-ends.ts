/**
 * Where jobs of tests begin and end that copy topic `in` to topic `out` in this process: the input up to where it ends now, in
 * small fetches, so that it comes in many, and the output under one prefix.
 */
import {
  type DeliveryGuarantee,
  type KafkaRecordSerializationSchemaBuilder,
  KafkaSink,
  type KafkaSinkBuilder,
} from '../../src/sink/index.ts'
import {
  type ConsumerRecord,
  KafkaRecordDeserializationSchema,
  KafkaSource,
  type KafkaSourceBuilder,
  OffsetsInitializer,
} from '../../src/source/index.ts'

export function fromIn<T>(
  brokers: string,
  fetchBytes: number,
  read: (record: ConsumerRecord) => T,
): KafkaSourceBuilder<T> {
  return KafkaSource.builder()
    .setBootstrapServers(brokers)
    .setTopics('in')
    .setGroupId('copy')
    .setStartingOffsets(OffsetsInitializer.earliest())
    .setBounded(OffsetsInitializer.latest())
    .setProperty('max.partition.fetch.bytes', `${fetchBytes}`)
    .setDeserializer(KafkaRecordDeserializationSchema.of(read))
}

export function toOut<T>(
  brokers: string,
  guarantee: DeliveryGuarantee,
  record: KafkaRecordSerializationSchemaBuilder<T>,
): KafkaSinkBuilder<T> {
  return KafkaSink.builder<T>()
    .setBootstrapServers(brokers)
    .setRecordSerializer(record.setTopic('out').build())
    .setDeliveryGuarantee(guarantee)
    .setTransactionalIdPrefix('copy')
}
