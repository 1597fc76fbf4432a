/** The producer's metrics in those of a job: forwarded by default, left out when told so, and a wrong word is an error. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MemoryStorage, SystemClock, SystemRandom, silentLogger } from '../base/index.ts'
import { defineJob, startJob } from '../stream/index.ts'
import { EmbeddedKafka } from '../testing/index.ts'
import { DeliveryGuarantee, KafkaRecordSerializationSchema, KafkaSink } from './index.ts'

let kafka: EmbeddedKafka

before(async () => {
  kafka = await EmbeddedKafka.start({ tcp: false, topics: { out: { partitions: 2 } } })
})
after(() => kafka.close())

function sink(properties: Readonly<Record<string, string | boolean>>): KafkaSink<string> {
  const schema = KafkaRecordSerializationSchema.builder<string>()
    .setTopic('out')
    .setValueSerializationSchema((value) => Buffer.from(value))
    .build()
  return KafkaSink.builder<string>()
    .setBootstrapServers(kafka.bootstrapServers)
    .setRecordSerializer(schema)
    .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
    .setProperties(properties)
    .build()
}

async function metricsOf(properties: Readonly<Record<string, string | boolean>>): Promise<Map<string, number>> {
  const job = defineJob('metered', (env) => {
    env.fromData(['a', 'b', 'c']).uid('in').sinkTo(sink(properties)).uid('out')
  })
  const ports = { clock: new SystemClock(), random: new SystemRandom(), network: kafka.network, logger: silentLogger }
  const client = await startJob(job, { ports, storage: new MemoryStorage() })
  await client.result()
  return client.metrics()
}

const forwarded = (metrics: Map<string, number>): string[] =>
  [...metrics.keys()].filter((name) => name.startsWith('out.0.KafkaProducer.'))

test("what Java's producer would count is counted", async () => {
  const metrics = await metricsOf({})
  const value = (name: string): number | undefined => metrics.get(`out.0.KafkaProducer.${name}`)
  assert.equal(value('record-send-total'), 3)
  assert.deepEqual([value('record-error-total'), value('record-retry-total'), value('batch-split-total')], [0, 0, 0])
  assert.ok((value('batch-size-avg') ?? 0) > 60, 'a batch has a header')
  assert.equal(value('compression-rate-avg'), 1)
  assert.ok((value('record-queue-time-max') ?? -1) >= (value('record-queue-time-avg') ?? 0))
  assert.equal(value('requests-in-flight'), 0)
  assert.ok((value('outgoing-byte-total') ?? 0) > (value('batch-size-avg') ?? 0))
  assert.equal(value('buffer-total-bytes'), 32 * 1024 * 1024)
})

test('compression shows in its rate', async () => {
  const rate = (await metricsOf({ 'compression.type': 'gzip' })).get('out.0.KafkaProducer.compression-rate-avg')
  assert.ok(rate !== undefined && rate !== 1, `${rate}`)
})

test('register.producer.metrics=false and flink.disable-metrics=true leave them out', async () => {
  assert.ok(forwarded(await metricsOf({})).length > 30)
  assert.deepEqual(forwarded(await metricsOf({ 'register.producer.metrics': false })), [])
  assert.deepEqual(forwarded(await metricsOf({ 'flink.disable-metrics': 'TRUE' })), [])
  assert.throws(() => sink({ 'register.producer.metrics': 'no' }), {
    code: 'OPTION_INVALID',
    message: /register\.producer\.metrics: "no" is neither true nor false/,
  })
})
