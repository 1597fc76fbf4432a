/** What a source does with any Kafka, shown on the embedded one; what rests on how Kafka itself answers is in `kafka-source.kafka-test.ts`. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SimpleStringSchema, type Source } from '../core/index.ts'
import { KafkaAdmin, KafkaCluster, parseClusterOptions } from '../kafka/index.ts'
import { EmbeddedKafka } from '../testing/index.ts'
import type { KafkaSourceEnumeratorState } from './enumerator/kafka-source-enumerator-state.ts'
import { KafkaSource, OffsetsInitializer } from './index.ts'
import type { KafkaSourceBuilder } from './kafka-source-builder.ts'
import { SourceExecution } from './source-execution.test-double.ts'
import type { KafkaPartitionSplit } from './split/kafka-partition-split.ts'

type KafkaTextSource = Source<string, KafkaPartitionSplit, KafkaSourceEnumeratorState>

let kafka: EmbeddedKafka
const executions: { close(): Promise<void> }[] = []

before(async () => {
  kafka = await EmbeddedKafka.start({ tcp: false })
})
after(async () => {
  await Promise.all(executions.map((execution) => execution.close()))
  await kafka.close()
})

function source(
  topic: string,
  configure: (builder: KafkaSourceBuilder<string>) => KafkaSourceBuilder<string> = (same) => same,
): KafkaSource<string> {
  const builder = KafkaSource.builder()
    .setBootstrapServers(kafka.bootstrapServers)
    .setTopics(topic)
    .setValueOnlyDeserializer(new SimpleStringSchema())
  return configure(builder).build()
}

async function execute<T>(
  of: KafkaSource<T>,
  restored?: ConstructorParameters<typeof SourceExecution<T>>[2],
): Promise<SourceExecution<T>> {
  const execution = new SourceExecution(of, kafka.network, restored)
  executions.push(execution)
  return execution.start()
}

const numbered = (count: number, from = 0): { value: string; partition: number }[] =>
  Array.from({ length: count }, (_, index) => ({ value: String(from + index), partition: 0 }))

test('an empty topic ends', async () => {
  kafka.createTopic('empty', { partitions: 3 })
  const execution = await execute(source('empty', (builder) => builder.setBounded(OffsetsInitializer.latest())))
  assert.deepEqual(await execution.run(), [])
  await execution.close()
})

test('restored from its own bytes it goes on where the snapshot was, and a finished split stays finished', async () => {
  kafka.createTopic('restore', { partitions: 2 })
  await kafka.produce('restore', [...numbered(10), { value: 'x', partition: 1 }])
  const bounded = source('restore', (builder) => builder.setBounded(OffsetsInitializer.latest()))
  const first = await execute(bounded)
  await first.run(() => first.harness.values.includes('4'), 1)
  const seen = first.harness.values.length
  const { state, splits } = first.snapshot()
  await first.close()
  await kafka.produce('restore', numbered(5, 10))
  const { splitSerializer, enumeratorStateSerializer } = bounded as KafkaTextSource
  const restored = {
    state: enumeratorStateSerializer.deserialize(
      enumeratorStateSerializer.version,
      enumeratorStateSerializer.serialize(state),
    ),
    splits: splits.map((split) => splitSerializer.deserialize(1, splitSerializer.serialize(split))),
  }
  const second = await execute(bounded, restored)
  const rest = await second.run()
  await second.close()
  assert.equal(seen + rest.length, 11, 'the stop offsets are those of the first start')
  assert.deepEqual(
    [...first.harness.values.slice(0, seen), ...rest].filter((value) => value !== 'x'),
    numbered(10).map(({ value }) => value),
  )
})

test('publishes the positions of a restored checkpoint', async () => {
  kafka.createTopic('publish')
  const published = source('publish', (builder) => builder.setGroupId('publish-group'))
  const splits = [
    { topic: 'publish', partition: 0, startingOffset: { kind: 'at', offset: 5 }, stoppingOffset: undefined } as const,
  ]
  const { clock, network, random, logger } = new SourceExecution(published, kafka.network).harness.ports
  const ports = { clock, network, random, logger }
  await published.publishPositions(splits, ports)
  const cluster = new KafkaCluster(parseClusterOptions({ 'bootstrap.servers': kafka.bootstrapServers }), ports)
  assert.equal((await new KafkaAdmin(cluster).groupOffsets('publish-group'))[0]?.offset, 5)
  await cluster.close()
})

test('a topic or partition that does not exist fails the start by name', async () => {
  await assert.rejects(execute(source('no-such-topic')), { code: 'KAFKA_UNKNOWN_TOPIC', message: /no-such-topic/ })
  kafka.createTopic('one-partition')
  const missing = KafkaSource.from({
    bootstrapServers: kafka.bootstrapServers,
    partitions: [{ topic: 'one-partition', partition: 3 }],
    valueOnlyDeserializer: new SimpleStringSchema(),
  })
  await assert.rejects(execute(missing), { code: 'KAFKA_UNKNOWN_PARTITION', message: /one-partition-3/ })
})

test('the metrics of the consumer are registered with the first split, each partition under its own name, unless told not to', async () => {
  kafka.createTopic('metered', { partitions: 2 })
  await kafka.produce('metered', [...numbered(4), { value: 'x', partition: 1 }])
  const ended = async (register: boolean): Promise<ReadonlyMap<string, number>> => {
    const execution = await execute(
      source('metered', (builder) =>
        builder.setBounded(OffsetsInitializer.latest()).setProperty('register.consumer.metrics', register),
      ),
    )
    await execution.run()
    const metrics = execution.harness.registry.read()
    await execution.close()
    return metrics
  }
  const scope = 'KafkaSourceReader.KafkaConsumer.'
  const metrics = await ended(true)
  assert.equal(metrics.get(`${scope}records-consumed-total`), 5)
  assert.ok((metrics.get(`${scope}request-total`) ?? 0) > 0)
  assert.ok(metrics.has(`${scope}topic.metered.partition.0.records-lag`))
  assert.ok(metrics.has(`${scope}topic.metered.partition.1.records-lead`))
  const without = await ended(false)
  assert.equal(without.get('numRecordsIn'), 5)
  assert.deepEqual(
    [...without.keys()].filter((name) => name.startsWith(scope)),
    [],
  )
})
