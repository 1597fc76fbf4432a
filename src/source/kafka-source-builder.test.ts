import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { z } from 'zod'
import { MillraceError } from '../base/index.ts'
import { JsonSchema, SimpleStringSchema } from '../core/index.ts'
import {
  KafkaRecordDeserializationSchema,
  KafkaSource,
  OffsetResetStrategy,
  OffsetsInitializer,
  StringDeserializer,
  TopicPartition,
} from './index.ts'
import { KafkaSourceBuilder } from './kafka-source-builder.ts'
import type { KafkaSourceSettings } from './kafka-source-settings.ts'

function complete(): KafkaSourceBuilder<string> {
  return KafkaSource.builder()
    .setBootstrapServers('broker:9092')
    .setTopics('orders')
    .setValueOnlyDeserializer(new SimpleStringSchema())
}

/** What `build` makes of a builder's settings. */
function settingsOf(configure: (builder: KafkaSourceBuilder<unknown>) => unknown): KafkaSourceSettings<unknown> {
  let settings: KafkaSourceSettings<unknown> | undefined
  const builder = new KafkaSourceBuilder<unknown>((made) => {
    settings = made as unknown as KafkaSourceSettings<unknown>
    return new KafkaSource(made)
  })
  builder.setBootstrapServers('broker:9092').setTopics('orders').setValueOnlyDeserializer(new SimpleStringSchema())
  configure(builder)
  builder.build()
  assert.ok(settings)
  return settings
}

function refused(build: () => unknown, ...wanted: readonly RegExp[]): void {
  assert.throws(build, (error) => {
    assert.ok(MillraceError.is(error), String(error))
    assert.equal(error.code, 'OPTION_INVALID')
    for (const pattern of wanted) assert.match(error.message, pattern)
    return true
  })
}

test('bootstrap servers are required', () => {
  const builder = KafkaSource.builder().setTopics('orders').setValueOnlyDeserializer(new SimpleStringSchema())
  refused(() => builder.build(), /bootstrap\.servers/, /setBootstrapServers/)
  assert.ok(builder.setProperty('bootstrap.servers', 'broker:9092').build())
})

test('something to read is required', () => {
  const builder = KafkaSource.builder().setBootstrapServers('b:1').setValueOnlyDeserializer(new SimpleStringSchema())
  refused(() => builder.build(), /setTopics, setTopicPattern, setPartitions/)
})

test('a deserializer is required', () => {
  refused(
    () => KafkaSource.builder().setBootstrapServers('b:1').setTopics('orders').build(),
    /setDeserializer or setValueOnlyDeserializer/,
  )
  refused(() => complete().setDeserializer({} as never), /setDeserializer/)
  refused(() => complete().setValueOnlyDeserializer({} as never), /KafkaDeserializer/)
})

test('what to read is named once, by any method', () => {
  const named = (): KafkaSourceBuilder<unknown> => KafkaSource.builder().setTopics('orders')
  refused(() => named().setTopics('more'), /^KafkaSource: setTopics: .* by setTopics already/)
  refused(() => named().setTopicPattern(/x/), /setTopicPattern.*setTopics/)
  refused(() => named().setPartitions([{ topic: 'orders', partition: 0 }]), /setPartitions.*setTopics/)
  refused(() => named().setKafkaSubscriber({ getSubscribedTopicPartitions: async () => [] }), /setKafkaSubscriber/)
})

test('what is named must be possible', () => {
  refused(() => KafkaSource.builder().setTopics(), /no topic/)
  refused(() => KafkaSource.builder().setTopics(''), /""/)
  refused(() => KafkaSource.builder().setTopicPattern('('), /setTopicPattern/)
  refused(() => KafkaSource.builder().setPartitions([]), /no partition/)
  refused(() => KafkaSource.builder().setPartitions([{ topic: 'orders', partition: -1 }]), /partition":-1/)
  refused(() => KafkaSource.builder().setKafkaSubscriber({} as never), /getSubscribedTopicPartitions/)
})

test('committing offsets explicitly needs a group', () => {
  for (const key of ['enable.auto.commit', 'commit.offsets.on.checkpoint']) {
    refused(() => complete().setProperty(key, 'true').build(), new RegExp(key), /setGroupId/)
    assert.ok(complete().setProperty(key, true).setGroupId('g').build())
    assert.ok(complete().setProperty(key, false).build())
    refused(() => complete().setProperty(key, 'maybe').build(), new RegExp(key), /neither true nor false/)
    refused(() => complete().setGroupId('g').setProperty(key, 'maybe').build(), new RegExp(key))
  }
})

test('committed offsets as start or stop need a group, also inside given offsets', () => {
  const committed = OffsetsInitializer.committedOffsets()
  const marked = OffsetsInitializer.offsets([{ topic: 'orders', partition: 0, offset: -3 }])
  for (const use of [
    () => complete().setStartingOffsets(committed),
    () => complete().setBounded(committed),
    () => complete().setUnbounded(committed),
    () => complete().setStartingOffsets(marked),
  ]) {
    refused(() => use().build(), /group\.id/, /setGroupId/)
    assert.ok(use().setGroupId('g').build())
  }
})

test('offsets that cannot be are refused where they are given', () => {
  refused(() => OffsetsInitializer.offsets([{ topic: 'orders', partition: 2, offset: -7 }]), /orders-2: -7/)
  refused(() => OffsetsInitializer.offsets([{ topic: 'orders', partition: 2, offset: 1.5 }]), /orders-2: 1\.5/)
  refused(() => OffsetsInitializer.offsets([], 'SOON' as never), /"SOON"/)
  refused(() => OffsetsInitializer.timestamp(Number.NaN), /NaN/)
  refused(() => complete().setStartingOffsets({} as never), /setStartingOffsets/)
})

test('Kafka deserializers as properties are refused unless they are the bytes', () => {
  const key = 'value.deserializer'
  assert.ok(complete().setProperty(key, 'org.apache.kafka.common.serialization.ByteArrayDeserializer').build())
  refused(
    () => complete().setProperty(key, 'org.apache.kafka.common.serialization.StringDeserializer').build(),
    /value\.deserializer/,
    /setDeserializer/,
  )
})

test('the later of setBounded and setUnbounded wins', () => {
  const bounded = settingsOf((builder) =>
    builder.setUnbounded(OffsetsInitializer.earliest()).setBounded(OffsetsInitializer.latest()),
  )
  assert.equal(bounded.boundedness, 'bounded')
  assert.equal(String(bounded.stoppingOffsets), 'latest')
  const unbounded = settingsOf((builder) =>
    builder.setBounded(OffsetsInitializer.latest()).setUnbounded(OffsetsInitializer.timestamp(5)),
  )
  assert.equal(unbounded.boundedness, 'continuous')
  assert.equal(String(unbounded.stoppingOffsets), 'timestamp(5)')
})

test('partitions are looked for every five minutes, as told, or once', () => {
  const key = 'partition.discovery.interval.ms'
  assert.equal(settingsOf(() => undefined).discoveryIntervalMs, 300_000)
  assert.equal(settingsOf((builder) => builder.setProperty(key, '10000')).discoveryIntervalMs, 10_000)
  assert.equal(settingsOf((builder) => builder.setProperty(key, '10 s')).discoveryIntervalMs, 10_000)
  for (const off of ['0', '-1', -5]) {
    assert.equal(settingsOf((builder) => builder.setProperty(key, off)).discoveryIntervalMs, undefined)
  }
  const bounded = settingsOf((builder) => builder.setProperty(key, 5).setBounded(OffsetsInitializer.latest()))
  assert.equal(bounded.discoveryIntervalMs, undefined)
  assert.equal(bounded.properties[key], '-1')
  refused(() => complete().setProperty(key, 'often').build(), /partition\.discovery\.interval\.ms: "often"/)
})

test('an explicit auto.offset.reset wins over that of the starting offsets', () => {
  const latest = OffsetsInitializer.latest()
  assert.equal(settingsOf(() => undefined).resetStrategy, 'EARLIEST')
  assert.equal(settingsOf((builder) => builder.setStartingOffsets(latest)).resetStrategy, 'LATEST')
  const explicit = settingsOf((builder) => builder.setStartingOffsets(latest).setProperty('auto.offset.reset', 'none'))
  assert.equal(explicit.resetStrategy, 'NONE')
  assert.equal(explicit.properties['auto.offset.reset'], 'none')
  refused(() => complete().setProperty('auto.offset.reset', 'by_duration:P1D').build(), /auto\.offset\.reset/)
})

test('offsets are committed on checkpoints exactly if there is a group and nobody said no', () => {
  assert.equal(settingsOf(() => undefined).commitOnCheckpoint, false)
  assert.equal(settingsOf((builder) => builder.setGroupId('g')).commitOnCheckpoint, true)
  assert.equal(settingsOf((builder) => builder.setGroupId('')).commitOnCheckpoint, false)
  const off = settingsOf((builder) => builder.setGroupId('g').setProperty('commit.offsets.on.checkpoint', 'false'))
  assert.equal(off.commitOnCheckpoint, false)
})

test('auto commit has an interval of five seconds or as told', () => {
  const on = (value?: string): number | undefined =>
    settingsOf((builder) => {
      builder.setGroupId('g').setProperty('enable.auto.commit', true)
      if (value !== undefined) builder.setProperty('auto.commit.interval.ms', value)
    }).autoCommitIntervalMs
  assert.equal(on(), 5_000)
  assert.equal(on('250'), 250)
  assert.equal(settingsOf((builder) => builder.setGroupId('g')).autoCommitIntervalMs, undefined)
  refused(() => on('0'), /auto\.commit\.interval\.ms/)
})

test('max.poll.records is a whole number from 1 on, and unbounded unless set', () => {
  const of = (value?: string | number): number =>
    settingsOf((builder) => (value === undefined ? builder : builder.setProperty('max.poll.records', value)))
      .maxPollRecords
  assert.equal(of(), Number.POSITIVE_INFINITY)
  assert.equal(of(500), 500)
  assert.equal(of(' 1 '), 1)
  for (const value of ['0', '-1', '1.5', 'many', '']) refused(() => of(value), /max\.poll\.records/)
})

test('Kafka options that cannot be are refused when the source is built', () => {
  refused(() => complete().setProperty('isolation.level', 'serializable').build(), /isolation\.level/)
  refused(() => complete().setProperty('fetch.max.bytes', 'much').build(), /fetch\.max\.bytes/)
  refused(
    () =>
      complete()
        .setProperty('request.timeout.ms', {} as never)
        .build(),
    /request\.timeout\.ms/,
  )
})

test('types follow from the schema', () => {
  const Order = z.object({ id: z.number() })
  const ofOrders: KafkaSource<{ id: number }> = complete().setValueOnlyDeserializer(new JsonSchema(Order)).build()
  const ofText: KafkaSource<string> = complete()
    .setDeserializer(KafkaRecordDeserializationSchema.valueOnly(StringDeserializer))
    .build()
  const ofLengths: KafkaSource<number> = complete()
    .setValueOnlyDeserializer((bytes) => bytes?.length)
    .build()
  const ofKeys: KafkaSource<bigint> = complete()
    .setDeserializer(KafkaRecordDeserializationSchema.of((record) => record.offset))
    .build()
  const fromObject: KafkaSource<{ id: number }> = KafkaSource.from({
    bootstrapServers: 'b:1',
    topics: ['orders'],
    valueOnlyDeserializer: new JsonSchema(Order),
  })
  for (const source of [ofOrders, ofText, ofLengths, ofKeys, fromObject]) assert.equal(source.boundedness, 'continuous')
})

test('one plain object does what the builder does', () => {
  const source = KafkaSource.from({
    bootstrapServers: 'broker:9092',
    partitions: [new TopicPartition('orders', 1), { topic: 'orders', partition: 0 }],
    groupId: 'g',
    startingOffsets: OffsetsInitializer.committedOffsets(OffsetResetStrategy.EARLIEST),
    bounded: OffsetsInitializer.latest(),
    valueOnlyDeserializer: new SimpleStringSchema(),
    clientIdPrefix: 'c',
    properties: { 'isolation.level': 'read_committed' },
  })
  assert.deepEqual(source.describe(), {
    kind: 'KafkaSource',
    subscription: 'partitions orders-0, orders-1',
    startingOffsets: 'committedOffsets(EARLIEST)',
    stoppingOffsets: 'latest',
    boundedness: 'bounded',
    deserializer: 'valueOnly(SimpleStringSchema)',
    properties: {
      'auto.offset.reset': 'earliest',
      'bootstrap.servers': 'broker:9092',
      'client.id.prefix': 'c',
      'group.id': 'g',
      'isolation.level': 'read_committed',
      'partition.discovery.interval.ms': '-1',
    },
  })
  refused(
    () => KafkaSource.from({ bootstrapServers: 'b:1', topic: 'orders' } as never),
    /KafkaSource\.from: unknown topic/,
  )
  refused(
    () =>
      KafkaSource.from({
        bootstrapServers: 'b:1',
        topics: 'orders',
        bounded: OffsetsInitializer.latest(),
        unbounded: OffsetsInitializer.latest(),
        valueOnlyDeserializer: new SimpleStringSchema(),
      }),
    /exclude each other/,
  )
})

test('neither description nor text nor inspection of source and builder shows a secret', () => {
  const builder = complete().setProperties({
    'sasl.jaas.config': 'module required password="hunter2";',
    'ssl.keystore.password': 'hunter2',
    'my.own.thing': 'hunter2',
  })
  const shown = [inspect(builder, { depth: 9, showHidden: true }), String(builder)]
  const source = new KafkaSource({
    ...settingsOf(() => undefined),
    properties: { 'bootstrap.servers': 'b:1', 'sasl.jaas.config': 'hunter2', 'my.own.thing': 'hunter2', 'x.ms': '5' },
  })
  shown.push(inspect(source, { depth: 9, showHidden: true }), String(source), JSON.stringify(source.describe()))
  for (const text of shown) assert.ok(!text.includes('hunter2'), text)
  assert.deepEqual(source.describe().properties, {
    'bootstrap.servers': 'b:1',
    'my.own.thing': '***',
    'sasl.jaas.config': '***',
    'x.ms': '5',
  })
})
