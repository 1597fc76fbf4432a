/**
 * The job of `millrace demo`: orders in, large orders with their shipping out, exactly once. The demo runs it by `millrace run`
 * in a process of its own and kills that. When the demo itself is gone, however it ended, the pipe on standard input ends:
 * then this process removes the demo's folder and ends too, so that nothing stays behind.
 */
import { rmSync } from 'node:fs'
import { type Collector, SimpleStringSchema } from '../../core/index.ts'
import { DeliveryGuarantee, KafkaRecordSerializationSchema, KafkaSink } from '../../sink/index.ts'
import { KafkaSource, OffsetsInitializer } from '../../source/index.ts'
import { defineJob, type JobDefinition, WatermarkStrategy } from '../../stream/index.ts'
import { GROUP_ID, LARGE_ORDERS_TOPIC, ORDERS_TOPIC } from './demo-topics.ts'
import { isLarge, type Order, type PricedOrder, parseOrder, priced } from './order.ts'

const CHECKPOINT_MS = 500

/** `parse`: what is made of a record, for the test of the account. */
export const demoJob = (parse: typeof parsed = parsed): JobDefinition =>
  defineJob('demo', (env, params) => {
    const brokers = params.required('brokers')
    const folder = params.get('until-parent-is-gone')
    if (folder !== undefined) endWithParent(folder)
    env.enableCheckpointing(CHECKPOINT_MS)

    const orders = KafkaSource.builder()
      .setBootstrapServers(brokers)
      .setTopics(ORDERS_TOPIC)
      .setGroupId(GROUP_ID)
      .setStartingOffsets(OffsetsInitializer.earliest())
      .setValueOnlyDeserializer(new SimpleStringSchema())
      .build()

    const largeOrders = KafkaSink.builder<PricedOrder>()
      .setBootstrapServers(brokers)
      .setRecordSerializer(
        KafkaRecordSerializationSchema.builder<PricedOrder>()
          .setTopic(LARGE_ORDERS_TOPIC)
          .setKeySerializationSchema((order) => Buffer.from(order.user))
          .setValueSerializationSchema((order) => Buffer.from(JSON.stringify(order)))
          .build(),
      )
      .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
      .setTransactionalIdPrefix('millrace-demo')
      .build()

    env
      .fromSource(orders, WatermarkStrategy.noWatermarks(), 'Orders')
      .uid('orders')
      .flatMap(parse)
      .uid('parse')
      .filter(isLarge)
      .uid('large')
      .map(priced)
      .uid('shipping')
      .sinkTo(largeOrders)
      .uid('large-orders')
  })

export function parsed(text: string, out: Collector<Order>): void {
  const order = parseOrder(text)
  if (order !== undefined) out.collect(order)
}

function endWithParent(folder: string): void {
  process.stdin.on('end', () => {
    // A checkpoint that is being written may put a file into a folder that is just being removed.
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
    process.exit(1)
  })
  process.stdin.on('error', () => process.exit(1))
  process.stdin.resume()
}

const job: JobDefinition = demoJob()
export default job
