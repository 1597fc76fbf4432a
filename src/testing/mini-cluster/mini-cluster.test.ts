/** Jobs in this process: each life on the same storage, crashes at joints, and every record once whatever the joint. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type JointName, MillraceError } from '../../base/index.ts'
import { SimpleStringSchema } from '../../core/index.ts'
import { DeliveryGuarantee, KafkaRecordSerializationSchema, KafkaSink } from '../../sink/index.ts'
import { KafkaSource, OffsetsInitializer } from '../../source/index.ts'
import { defineJob, type JobDefinition, WatermarkStrategy } from '../../stream/index.ts'
import { assertTopicContains } from '../embedded-kafka/assert-topic-contains.ts'
import { EmbeddedKafka } from '../embedded-kafka/embedded-kafka.ts'
import { SimulatedClock } from '../simulated-clock.ts'
import { MiniCluster, type MiniClusterJob } from './mini-cluster.ts'

const copy: JobDefinition = defineJob('copy', (env, params) => {
  const brokers = params.required('brokers')
  const source = KafkaSource.builder()
    .setBootstrapServers(brokers)
    .setTopics('in')
    .setGroupId('copy')
    .setStartingOffsets(OffsetsInitializer.earliest())
    .setValueOnlyDeserializer(new SimpleStringSchema())
    .build()
  const sink = KafkaSink.builder<string>()
    .setBootstrapServers(brokers)
    .setRecordSerializer(
      KafkaRecordSerializationSchema.builder<string>()
        .setTopic('out')
        .setValueSerializationSchema(new SimpleStringSchema())
        .build(),
    )
    .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
    .setTransactionalIdPrefix('copy')
    .build()
  env
    .fromSource(source, WatermarkStrategy.noWatermarks(), 'In')
    .uid('in')
    .map((text) => text.toUpperCase())
    .uid('upper')
    .sinkTo(sink)
    .uid('out')
})

/** A machine that others use too may need its time. */
const PATIENT = { timeoutMs: 60_000 }

async function hasRead(job: MiniClusterJob, records: number): Promise<void> {
  for (const beganMs = performance.now(); job.figures().recordsIn < records; await sleep(5)) {
    assert.ok(performance.now() - beganMs < 60_000, `${job.figures().recordsIn} of ${records} records were read`)
  }
}

const JOINTS: readonly JointName[] = ['flushed', 'completed-written', 'transaction-ended', 'all-ended']

for (const name of JOINTS) {
  test(`a job that crashes at ${name} and is started again has written every record once`, async () => {
    const topics = { in: { partitions: 2 }, out: { partitions: 2 } }
    const kafka = await EmbeddedKafka.start({ topics, tcp: false })
    const cluster = new MiniCluster({ network: kafka.network })
    const args = { brokers: kafka.bootstrapServers }
    try {
      await kafka.produce('in', ['a', 'b', 'c'])
      const first = await cluster.start(copy, { args })
      await first.failAt(name)
      await assert.rejects(first.result(), (error) => MillraceError.is(error))
      await kafka.produce('in', ['d'])
      const second = await cluster.start(copy, { args })
      await assertTopicContains(kafka, 'out', ['A', 'B', 'C', 'D'], PATIENT)
      await second.checkpoint()
      await second.stop()
      await assertTopicContains(kafka, 'out', ['A', 'B', 'C', 'D'], PATIENT)
    } finally {
      await cluster.close()
      await kafka.close()
    }
  })
}

test('checkpoint takes one at once, and what was read before it is committed', async () => {
  const kafka = await EmbeddedKafka.start({ topics: { in: {}, out: {} }, tcp: false })
  const cluster = new MiniCluster({ network: kafka.network, checkpointIntervalMs: 3_600_000 })
  const job = await cluster.start(copy, { args: { brokers: kafka.bootstrapServers } })
  await job.checkpoint()
  await kafka.produce('in', ['a'])
  await hasRead(job, 1)
  assert.equal((await kafka.readAll('out')).length, 0)
  await job.checkpoint()
  assert.equal((await kafka.readAll('out')).length, 1)
  assert.equal(job.figures().checkpoints.completed, 2)
  await assert.rejects(cluster.start(copy), /still runs/)
  await job.stop()
  await job.checkpoint()
  const again = await cluster.start(copy, { args: { brokers: kafka.bootstrapServers } })
  await cluster.close()
  assert.equal(again.status(), 'cancelled')
  await assert.rejects(again.checkpoint(), (error) => MillraceError.is(error) && error.code === 'CANCELLED')
  await kafka.close()
})

test('a crash between the completion and the effect of a checkpoint that was asked for loses and repeats nothing', async () => {
  const kafka = await EmbeddedKafka.start({ topics: { in: {}, out: {} }, tcp: false })
  const cluster = new MiniCluster({ network: kafka.network, checkpointIntervalMs: 3_600_000 })
  const args = { brokers: kafka.bootstrapServers }
  await kafka.produce('in', ['a', 'b'])
  const first = await cluster.start(copy, { args })
  await first.checkpoint()
  await kafka.produce('in', ['c'])
  await hasRead(first, 3)
  const crash = first.failAt('completed-written')
  await assert.rejects(first.checkpoint())
  await crash
  const second = await cluster.start(copy, { args })
  await second.checkpoint()
  await second.stop()
  await assertTopicContains(kafka, 'out', ['A', 'B', 'C'], PATIENT)
  await cluster.close()
  await kafka.close()
})

test('a checkpoint that cannot be taken says why to who asked for it', async () => {
  const cluster = new MiniCluster({ checkpointIntervalMs: 3_600_000 })
  const job = await cluster.start(
    defineJob('throws', (env) => {
      env
        .fromGenerator((index) => index, { elementsPerSecond: 1_000 })
        .map((value) => {
          if (value === 3) throw new Error('three')
          return value
        })
        .filter(() => false)
        .print()
    }),
  )
  await assert.rejects(job.result(), /three/)
  await assert.rejects(job.checkpoint(), /three/)
})

test('a job that ends before the joint says so', async () => {
  const cluster = new MiniCluster()
  const job = await cluster.start(
    defineJob(
      'short',
      (env) =>
        void env
          .fromData(1, 2)
          .filter(() => false)
          .print(),
    ),
  )
  await assert.rejects(job.failAt('sweep', 1_000), /never came to sweep/)
  assert.equal((await job.result()).recordsIn, 2)
})

test('on a simulated clock hours of a job pass at once', async () => {
  const clock = new SimulatedClock()
  const cluster = new MiniCluster({ clock, checkpointIntervalMs: 600_000 })
  const job = await cluster.start(
    defineJob('hours', (env) => {
      env
        .fromGenerator((index) => index, { elementsPerSecond: 0.01, count: 100 })
        .filter(() => false)
        .print()
    }),
  )
  for (let minute = 0; minute < 180 && !job.ended; minute++) await clock.pass(60_000)
  assert.equal((await job.result()).recordsIn, 100)
  assert.ok(job.figures().checkpoints.completed >= 10, `${job.figures().checkpoints.completed} checkpoints`)
  await cluster.close()
})

test('on virtual time a job and its Kafka pass half an hour with checkpoints, a crash and an outage at once', async () => {
  const before = process.cpuUsage()
  const clock = new SimulatedClock()
  const kafka = await EmbeddedKafka.start({ topics: { in: {}, out: {} }, clock })
  const cluster = new MiniCluster({ network: kafka.network, clock, checkpointIntervalMs: 60_000 })
  const args = { brokers: kafka.bootstrapServers }
  await clock.until(kafka.produce('in', ['a', 'b']))
  const first = await clock.until(cluster.start(copy, { args }))
  await clock.until(clock.sleep(15 * 60_000))
  assert.equal((await clock.until(kafka.readAll('out'))).length, 2)
  assert.ok(first.figures().checkpoints.completed >= 14, `${first.figures().checkpoints.completed} checkpoints`)
  await clock.until(first.failAt('completed-written'))
  await clock.until(kafka.produce('in', ['c']))
  const second = await clock.until(cluster.start(copy, { args }))
  kafka.broker.faults.fail({ api: 'Produce', error: 'NOT_LEADER_OR_FOLLOWER', times: 5 })
  await clock.until(clock.sleep(15 * 60_000))
  await clock.until(second.stop())
  await clock.until(assertTopicContains(kafka, 'out', ['A', 'B', 'C']))
  await clock.until(cluster.close())
  await clock.until(kafka.close())
  assert.ok(clock.monotonic() >= 1_800_000)
  const { user, system } = process.cpuUsage(before)
  assert.ok(
    (user + system) / 1_000 < 20_000,
    `half an hour takes seconds, here ${(user + system) / 1e6} of the processor`,
  )
})
