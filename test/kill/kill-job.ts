/**
 * The job that is killed: copies a topic exactly once, slowed by its own function so that many checkpoints fall into its
 * life. With `--keyed yes` each record gets the running count of its key and the worker that counted it, so that state that is
 * lost or repeated shows in every record behind. Every parameter is given by the test, the same at each start.
 */
import { defineJob, type JobDefinition, WatermarkStrategy } from 'millrace'
import {
  DeliveryGuarantee,
  KafkaRecordDeserializationSchema,
  KafkaRecordSerializationSchema,
  KafkaSink,
  KafkaSource,
  OffsetsInitializer,
  TransactionNamingStrategy,
} from 'millrace/kafka'
import { type Copied, RunningCount, slowly } from './kill-functions.ts'

const job: JobDefinition = defineJob('kill-job', (env, params) => {
  const brokers = params.required('brokers')
  const poison = params.get('poison')
  const patience = { 'default.api.timeout.ms': params.get('api-timeout-ms', 60_000) }
  const source = KafkaSource.builder()
    .setBootstrapServers(brokers)
    .setTopics(params.required('in'))
    .setGroupId(params.required('prefix'))
    .setStartingOffsets(OffsetsInitializer.earliest())
    .setBounded(OffsetsInitializer.latest())
    .setProperties(patience)
    .setDeserializer(
      KafkaRecordDeserializationSchema.of<Copied>(({ key, value }) => {
        if (poison !== undefined && String(value) === poison) throw new RangeError('this value is not what was agreed')
        return { key, value }
      }),
    )
    .build()

  const timeoutMs = params.get('transaction-timeout-ms')
  const sink = KafkaSink.builder<Copied>()
    .setBootstrapServers(brokers)
    .setRecordSerializer(
      KafkaRecordSerializationSchema.builder<Copied>()
        .setTopic(params.required('out'))
        .setKeySerializationSchema((copied) => copied.key)
        .setValueSerializationSchema((copied) => copied.value)
        .build(),
    )
    .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
    .setTransactionalIdPrefix(params.required('prefix'))
    .setTransactionNamingStrategy(
      params.get('naming', 'POOLING') === 'POOLING'
        ? TransactionNamingStrategy.POOLING
        : TransactionNamingStrategy.INCREMENTING,
    )
    .setProperties(patience)
    .setProperties(timeoutMs === undefined ? {} : { 'transaction.timeout.ms': timeoutMs })
    .build()

  // Slow before the edge: behind it, a barrier would wait for all that lies in the edge's buffers.
  const copied = env
    .fromSource(source, WatermarkStrategy.noWatermarks(), 'in')
    .uid('in')
    .map(slowly(params.get('records-per-checkpoint', 500), 5))
    .uid('slow')
  const keyed = (): typeof copied =>
    copied
      .keyBy(({ key }) => String(key))
      .process(new RunningCount())
      .uid('count')
  const counted = params.get('keyed') === 'yes' ? keyed() : copied
  counted.sinkTo(sink).uid('out')
})

export default job
