/**
 * The copy of W2, W3 and L: JSON in, without `noise`, with a fee, JSON out under the same key. Two forms of adding the fee are
 * idiomatic, and the parameter `form` chooses: `spread` makes a new object, as the contract that records are not changed
 * asks of every job; `in-place` writes into the parsed object, as Flink's object reuse does in the job measured beside.
 */
import type { DataStream, JobParameters, StreamExecutionEnvironment } from 'millrace'
import { WatermarkStrategy } from 'millrace'
import {
  type DeliveryGuarantee,
  JsonSchema,
  KafkaRecordSerializationSchema,
  KafkaSink,
  KafkaSource,
  OffsetsInitializer,
} from 'millrace/kafka'
import { reportAtExit, seen } from './meter.ts'

interface Event {
  id: number
  user: string
  type: string
  ts: number
  amount: number
  pad: string
  fee?: number
}

export interface CopyOptions {
  readonly guarantee: DeliveryGuarantee
  readonly bounded: boolean
}

export async function buildCopy(
  env: StreamExecutionEnvironment,
  params: JobParameters,
  options: CopyOptions,
): Promise<void> {
  await reportAtExit(env)
  const brokers = params.required('brokers')
  const out = params.required('out')
  const linger = params.get('linger-ms')
  env.enableCheckpointing(params.get('checkpoint-ms', 1_000))

  const source = KafkaSource.builder()
    .setBootstrapServers(brokers)
    .setTopics(params.required('in'))
    .setGroupId(params.required('group'))
    .setStartingOffsets(OffsetsInitializer.earliest())
    .setValueOnlyDeserializer(new JsonSchema<Event>())
  if (options.bounded) source.setBounded(OffsetsInitializer.latest())

  const sink = KafkaSink.builder<Event>()
    .setBootstrapServers(brokers)
    .setRecordSerializer(
      KafkaRecordSerializationSchema.builder<Event>()
        .setTopic(out)
        .setKeySerializationSchema((event) => event.user)
        .setValueSerializationSchema(new JsonSchema<Event>())
        .build(),
    )
    .setDeliveryGuarantee(options.guarantee)
    .setTransactionalIdPrefix(out)
    .setProperties(linger === undefined ? {} : { 'linger.ms': linger })
    .build()

  const kept = env
    .fromSource(source.build(), WatermarkStrategy.noWatermarks(), 'in')
    .uid('in')
    .filter((event) => {
      seen()
      return event.type !== 'noise'
    })
    .uid('kept')
  withFee(kept, params.get('form', 'spread')).uid('fee').sinkTo(sink).uid('out')
}

function withFee(events: DataStream<Event>, form: string): DataStream<Event> {
  switch (form) {
    case 'spread':
      return events.map((event) => ({ ...event, fee: event.amount * 0.01 }))
    case 'in-place':
      return events.map((event) => {
        event.fee = event.amount * 0.01
        return event
      })
    default:
      throw new RangeError(`--form ${form}: spread or in-place`)
  }
}
