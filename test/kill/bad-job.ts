/** A job file with one mistake of using the builders, chosen by the parameter `mistake`. */
import { defineJob, type JobDefinition, WatermarkStrategy } from 'millrace'
import {
  DeliveryGuarantee,
  type KafkaDeserializerClass,
  KafkaRecordSerializationSchema,
  KafkaSink,
  KafkaSource,
  OffsetsInitializer,
  SimpleStringSchema,
  TopicPartition,
} from 'millrace/kafka'

class NotADeserializer {}

/** The source as it is meant to be, and each way to get it wrong. */
const SOURCES: Readonly<Record<string, () => KafkaSource<unknown>>> = {
  'no-bootstrap-servers': () => KafkaSource.builder().setTopics('in').setValueOnlyDeserializer(text()).build(),
  'no-subscriber': () => source().setValueOnlyDeserializer(text()).build(),
  'no-deserializer': () => source().setTopics('in').build(),
  'two-subscribers': () => source().setTopics('in').setTopicPattern(/in/).setValueOnlyDeserializer(text()).build(),
  'auto-commit-without-group': () => complete().setProperty('enable.auto.commit', true).build(),
  'commit-on-checkpoint-without-group': () => complete().setProperty('commit.offsets.on.checkpoint', true).build(),
  'start-at-committed-without-group': () =>
    complete().setStartingOffsets(OffsetsInitializer.committedOffsets()).build(),
  'stop-at-committed-without-group': () => complete().setBounded(OffsetsInitializer.committedOffsets()).build(),
  'offsets-of-committed-without-group': () => {
    const offsets: unknown = new Map([[new TopicPartition('in', 0), 'committed']])
    return complete()
      .setStartingOffsets(OffsetsInitializer.offsets(offsets as ReadonlyMap<TopicPartition, number>))
      .build()
  },
  'deserializer-property-not-bytes': () =>
    complete().setProperty('value.deserializer', 'org.apache.kafka.common.serialization.StringDeserializer').build(),
  'not-a-deserializer': () =>
    source()
      .setTopics('in')
      .setValueOnlyDeserializer(NotADeserializer as unknown as KafkaDeserializerClass<string>)
      .build(),
}

/** The sink likewise. */
const SINKS: Readonly<Record<string, () => KafkaSink<unknown>>> = {
  'no-prefix': () => sink().setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE).build(),
  'no-serializer': () => KafkaSink.builder<unknown>().setBootstrapServers('localhost:1').build(),
  'guarantee-on-the-serializer': () => {
    KafkaRecordSerializationSchema.builder<unknown>().setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
    return sink().build()
  },
}

const job: JobDefinition = defineJob('kill-job', (env, params) => {
  const mistake = params.required('mistake')
  if (mistake === 'throws') throw new TypeError('cannot read what is not there')
  if (mistake === 'two-sinks-one-prefix') {
    const stream = env.fromData(['a'])
    for (const uid of ['one', 'two']) {
      const exactly = sink().setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE).setTransactionalIdPrefix('same')
      stream.sinkTo(exactly.build()).uid(uid)
    }
    return
  }
  const from = (SOURCES[mistake] ?? (() => complete().build()))()
  const to = (SINKS[mistake] ?? (() => sink().build()))()
  env.fromSource(from, WatermarkStrategy.noWatermarks(), 'in').sinkTo(to)
})

export default job

export const MISTAKES: readonly string[] = [...Object.keys(SOURCES), ...Object.keys(SINKS), 'two-sinks-one-prefix']

function text(): SimpleStringSchema {
  return new SimpleStringSchema()
}

function source(): ReturnType<typeof KafkaSource.builder<unknown>> {
  return KafkaSource.builder<unknown>().setBootstrapServers('localhost:1')
}

function complete(): ReturnType<typeof KafkaSource.builder<string>> {
  return source().setTopics('in').setValueOnlyDeserializer(text())
}

function sink(): ReturnType<typeof KafkaSink.builder<unknown>> {
  const serializer = KafkaRecordSerializationSchema.builder<unknown>()
    .setTopic('out')
    .setValueSerializationSchema((value) => Buffer.from(String(value)))
    .build()
  return KafkaSink.builder<unknown>().setBootstrapServers('localhost:1').setRecordSerializer(serializer)
}
