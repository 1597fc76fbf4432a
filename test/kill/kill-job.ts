/**
 * The job that is killed: copies a topic exactly once, slowed by its own function so that many checkpoints fall into its
 * life. Every parameter of it is given by the test, on the command line, the same at each start.
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
import { KILLER_WORD, type KillerWord } from './killer-plan.ts'

interface Copied {
  readonly key: Buffer | null
  readonly value: Buffer | null
}

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

  env
    .fromSource(source, WatermarkStrategy.noWatermarks(), 'in')
    .uid('in')
    .map(slowly(params.get('records-per-checkpoint', 500)))
    .uid('slow')
    .sinkTo(sink)
    .uid('out')
})

export default job

/**
 * Fast up to so many records for each completed checkpoint, then slower and slower, as a function that blocks its thread: so
 * about as many checkpoints complete however fast or busy the machine is, and however long the brokers are away.
 */
function slowly(recordsPerCheckpoint: number): (copied: Copied) => Copied {
  const never = new Int32Array(new SharedArrayBuffer(4))
  const { [KILLER_WORD]: word = { throwNext: false, completedCheckpoints: 0 } } = globalThis as {
    [KILLER_WORD]?: KillerWord
  }
  let count = 0
  let completed = 0
  return (copied) => {
    if (word.throwNext) {
      word.throwNext = false
      throw new Error('the function throws, as planned')
    }
    if (completed !== word.completedCheckpoints) {
      completed = word.completedCheckpoints
      count = 0
    }
    count++
    if (count > 6 * recordsPerCheckpoint) Atomics.wait(never, 0, 0, 5)
    else if (count > recordsPerCheckpoint && count % 2 === 0) Atomics.wait(never, 0, 0, 1)
    return copied
  }
}
