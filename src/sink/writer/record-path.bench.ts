/**
 * What the sink itself costs for a record, without the batch: `node src/sink/writer/record-path.bench.ts`. The topic counts
 * and throws away, so that the figure is the way from `write` to `append`; the producer's own bench has the rest.
 */
import type { SinkWriter } from '../../core/index.ts'
import type { KafkaCommittable } from '../committer/kafka-committable.ts'
import { KafkaSinkBuilder, type KafkaSinkOptions } from '../kafka-sink-builder.ts'
import type { SinkConnection } from '../sink-connector.ts'
import { ModelConnector, ModelProducer, TransactionModel } from '../transaction/transaction-model.test-double.ts'
import type { RecordTopic } from './record-producer.ts'
import { type TestWriterContext, writerContext } from './writer-context.test-double.ts'

interface Order {
  readonly user: string
  readonly text: string
}

const RECORDS = 3_000_000
const ROUNDS = 5

class CountingTopic implements RecordTopic {
  readonly name: string
  readonly partitionCount = 4
  units = 0

  constructor(name: string) {
    this.name = name
  }

  append(
    _partition: number,
    _timestamp: number,
    key: string | Uint8Array | null,
    value: string | Uint8Array | null,
  ): void {
    this.units += (key?.length ?? 0) + (value?.length ?? 0)
  }
}

class CountingProducer extends ModelProducer {
  override async topic(name: string): Promise<RecordTopic> {
    return new CountingTopic(name)
  }
}

class CountingConnector extends ModelConnector {
  override connect(...args: Parameters<ModelConnector['connect']>): SinkConnection {
    return { ...super.connect(...args), createProducer: () => new CountingProducer(this.model) }
  }
}

async function run(name: string, options: Partial<KafkaSinkOptions<Order>>): Promise<void> {
  const context: TestWriterContext = writerContext()
  const writer: SinkWriter<Order, KafkaCommittable> = new KafkaSinkBuilder<Order>('object')
    .setConnector(new CountingConnector(new TransactionModel()))
    .setAll({
      bootstrapServers: 'bench:1',
      deliveryGuarantee: 'EXACTLY_ONCE',
      transactionalIdPrefix: 'bench',
      ...options,
    })
    .build()
    .createWriter(context)
  await writer.open?.()
  const orders = Array.from({ length: 1024 }, (_, i): Order => ({ user: `u${i}`, text: `text of order ${i}` }))
  const first = orders[0]
  if (first === undefined) return
  writer.write(first)
  await new Promise((resolve) => setImmediate(resolve))
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now()
    for (let i = 0; i < RECORDS; i++) {
      context.time.timestamp = 1_700_000_000_000 + i
      const order = orders[i & 1023]
      if (order !== undefined) writer.write(order)
    }
    best = Math.min(best, performance.now() - began)
  }
  process.stdout.write(`${name}: ${((best * 1e6) / RECORDS).toFixed(1)} ns a record\n`)
  await writer.close({ abandon: true })
}

const key = (order: Order): string => order.user
const value = (order: Order): string => order.text
await run('built, fixed topic', { topic: 't', keySerializationSchema: key, valueSerializationSchema: value })
await run('built, topic selector', {
  topicSelector: () => 't',
  keySerializationSchema: key,
  valueSerializationSchema: value,
})
await run('own serialize', {
  recordSerializer: { serialize: (order) => ({ topic: 't', key: order.user, value: order.text, timestamp: 1 }) },
})
