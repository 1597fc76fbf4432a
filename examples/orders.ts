/**
 * The first job: orders in, large orders out, exactly once. Run it by `npx millrace run orders.ts -- --brokers host:9092`,
 * kill it at any moment, and run it by the same command again: it goes on where its last checkpoint completed.
 */
import { defineJob, WatermarkStrategy } from 'millrace'
import {
  DeliveryGuarantee,
  JsonSchema,
  KafkaRecordSerializationSchema,
  KafkaSink,
  KafkaSource,
  OffsetsInitializer,
} from 'millrace/kafka'
import { z } from 'zod'

const Order = z.object({ id: z.number(), user: z.string(), amount: z.number() })
type Order = z.infer<typeof Order>

export default defineJob('orders', (env, params) => {
  const brokers = params.get('brokers', 'localhost:9092')
  env.enableCheckpointing(params.get('checkpoint-ms', 1_000))

  const orders = KafkaSource.builder()
    .setBootstrapServers(brokers)
    .setTopics('orders')
    .setGroupId('orders-job')
    .setStartingOffsets(OffsetsInitializer.earliest())
    .setValueOnlyDeserializer(new JsonSchema(Order))
  // With --until-end the job reads what is there now and finishes; without it, it runs for ever.
  if (params.get('until-end', false)) orders.setBounded(OffsetsInitializer.latest())

  const largeOrders = KafkaSink.builder<Order>()
    .setBootstrapServers(brokers)
    .setRecordSerializer(
      KafkaRecordSerializationSchema.builder<Order>()
        .setTopic('large-orders')
        .setKeySerializationSchema((order) => Buffer.from(order.user))
        .setValueSerializationSchema(new JsonSchema<Order>())
        .build(),
    )
    .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
    .setTransactionalIdPrefix('orders-job')
    .build()

  env
    .fromSource(orders.build(), WatermarkStrategy.noWatermarks(), 'Orders')
    .uid('orders')
    .filter((order) => order.amount > 100)
    .uid('large')
    .sinkTo(largeOrders)
    .uid('large-orders')
})
