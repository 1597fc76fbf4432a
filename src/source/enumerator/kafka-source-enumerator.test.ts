import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { checkpointId, SimpleStringSchema, type SplitEnumerator } from '../../core/index.ts'
import { KafkaSource } from '../kafka-source.ts'
import type { KafkaSourceBuilder } from '../kafka-source-builder.ts'
import { OffsetsInitializer } from '../offsets-initializer.ts'
import { ScriptedKafka } from '../scripted-kafka.test-double.ts'
import { describeSplit, EnumeratorHarness, settle } from '../source-harness.test-double.ts'
import type { KafkaPartitionSplit } from '../split/kafka-partition-split.ts'
import type { KafkaSourceEnumeratorState } from './kafka-source-enumerator-state.ts'

interface Restored {
  readonly state: KafkaSourceEnumeratorState
  readonly splits: readonly KafkaPartitionSplit[]
}

const EMPTY: KafkaSourceEnumeratorState = { initialDiscoveryFinished: true, splits: [], initialOffsets: new Map() }

type Configure = (builder: KafkaSourceBuilder<unknown>) => KafkaSourceBuilder<unknown>
type Enumerator = SplitEnumerator<KafkaSourceEnumeratorState>

function enumeratorOf(
  kafka: ScriptedKafka,
  configure: Configure,
  options: { readonly parallelism?: number; readonly restored?: Restored } = {},
): { enumerator: Enumerator; harness: EnumeratorHarness } {
  const builder = configure(kafka.sourceBuilder())
  const source = builder.setValueOnlyDeserializer(new SimpleStringSchema()).build()
  const harness = new EnumeratorHarness(options.parallelism)
  return { enumerator: source.createEnumerator(harness, options.restored), harness }
}

const snapshot = (enumerator: Enumerator): KafkaSourceEnumeratorState => enumerator.snapshotState(checkpointId(1))
const start = (enumerator: Enumerator): Promise<void> => enumerator.start(new AbortController().signal)
const orders: Configure = (builder) => builder.setTopics('orders')

const split = (partition: number, offset: number, stoppingOffset?: number): KafkaPartitionSplit => ({
  topic: 'orders',
  partition,
  startingOffset: { kind: 'at', offset },
  stoppingOffset,
})

test('a fresh start assigns by topic as Flink does, sorted, and asks no offsets for earliest', async () => {
  const kafka = new ScriptedKafka().topic('orders', 3).topic('other', 1)
  const { enumerator, harness } = enumeratorOf(kafka, orders, { parallelism: 2 })
  await start(enumerator)
  assert.deepEqual(harness.story, ['orders-0 earliest.. @1', 'orders-2 earliest.. @1', 'orders-1 earliest.. @0'])
  assert.deepEqual(kafka.calls, ['describeTopics orders'])
  assert.equal(harness.noMoreSplits, 0)
  await enumerator.close()
  assert.equal(kafka.openClients, 0)
})

test('latest is looked up once and kept over a restart before the first record', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b')
  const latest: Configure = (builder) => orders(builder).setStartingOffsets(OffsetsInitializer.latest())
  const first = enumeratorOf(kafka, latest)
  await start(first.enumerator)
  assert.deepEqual(first.harness.story, ['orders-0 2.. @0'])
  const state = snapshot(first.enumerator)
  kafka.log('orders', 0).append('c')
  // Once as the runtime gives it back, once as if the assignment had never reached its reader.
  for (const splits of [first.harness.assigned.map((each) => each.split), []]) {
    const again = enumeratorOf(kafka, latest, { restored: { state, splits } })
    await start(again.enumerator)
    assert.deepEqual(again.harness.story, ['orders-0 2.. @0'])
  }
})

test('begun again at its beginning, it looks up nothing that it knew, however often it was restored since', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b')
  const configure: Configure = (builder) =>
    orders(builder).setStartingOffsets(OffsetsInitializer.latest()).setBounded(OffsetsInitializer.latest())
  const source = configure(kafka.sourceBuilder()).setValueOnlyDeserializer(new SimpleStringSchema()).build()
  const { enumeratorStateSerializer: serializer } = source
  const stored = (enumerator: Enumerator): KafkaSourceEnumeratorState =>
    serializer.deserialize(serializer.version, serializer.serialize(snapshot(enumerator)))
  const first = enumeratorOf(kafka, configure)
  await start(first.enumerator)
  const restored = enumeratorOf(kafka, configure, {
    restored: { state: stored(first.enumerator), splits: [split(0, 2, 2)] },
  })
  kafka.log('orders', 0).append('c')
  await start(restored.enumerator)
  const later = enumeratorOf(kafka, configure, {
    restored: { state: stored(restored.enumerator), splits: [split(0, 9, 2)] },
  })
  // What no state knows is found later than the first discovery, and begins at its earliest offset.
  kafka.topic('orders', 2)
  kafka.log('orders', 1).append('d')
  await start(later.enumerator)
  assert.deepEqual(later.harness.story, ['orders-1 earliest..1 @0', 'orders-0 9..2 @0'])
  for (const state of [first, restored, later].map(({ enumerator }) => stored(enumerator))) {
    const again = enumeratorOf(kafka, configure, { restored: { state: source.beginningOf(state), splits: [] } })
    await start(again.enumerator)
    assert.deepEqual(again.harness.story.toSorted(), ['orders-0 2..2 @0', 'orders-1 earliest..1 @0'])
  }
})

test('restored splits keep their positions and are spread evenly, whatever the topic says', async () => {
  const kafka = new ScriptedKafka().topic('orders', 5)
  const splits = [split(0, 10), split(1, 11), split(2, 12), split(3, 13)]
  const state = { ...EMPTY, splits: [0, 1, 2, 3].map((partition) => split(partition, 0)) }
  const { enumerator, harness } = enumeratorOf(kafka, orders, { parallelism: 3, restored: { state, splits } })
  await start(enumerator)
  assert.deepEqual(harness.story.toSorted(), [
    'orders-0 10.. @0',
    'orders-1 11.. @1',
    'orders-2 12.. @2',
    'orders-3 13.. @0',
    'orders-4 earliest.. @1',
  ])
})

test('finished splits do not count when the load is spread', async () => {
  const kafka = new ScriptedKafka().topic('orders', 4)
  const splits = [split(0, 5, 5), split(1, 5, 5), split(2, 1, 5), split(3, 1, 5)]
  const { enumerator, harness } = enumeratorOf(kafka, orders, {
    parallelism: 2,
    restored: { state: EMPTY, splits },
  })
  await start(enumerator)
  const owners = new Map(harness.assigned.map(({ subtask, split: each }) => [each.partition, subtask as number]))
  assert.notEqual(owners.get(2), owners.get(3))
})

test('a partition found later begins at its earliest offset whatever the starting offsets are', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  const { enumerator, harness } = enumeratorOf(kafka, (builder) =>
    orders(builder)
      .setStartingOffsets(OffsetsInitializer.latest())
      .setProperty('partition.discovery.interval.ms', '10 s'),
  )
  await start(enumerator)
  kafka.topic('orders', 2)
  kafka.log('orders', 1).append('early')
  await harness.clock.advance(9_999)
  assert.equal(harness.assigned.length, 1)
  await harness.clock.advance(1)
  assert.deepEqual(harness.story, ['orders-0 0.. @0', 'orders-1 earliest.. @0'])
  await enumerator.close()
  assert.equal(harness.clock.timers, 0)
})

test('a pattern that matched nothing at first uses the starting offsets for nothing', async () => {
  const kafka = new ScriptedKafka().topic('other', 1)
  const { enumerator, harness } = enumeratorOf(kafka, (builder) =>
    builder
      .setTopicPattern('ord.*')
      .setStartingOffsets(OffsetsInitializer.latest())
      .setProperty('partition.discovery.interval.ms', 1_000),
  )
  await start(enumerator)
  assert.deepEqual(harness.story, [])
  assert.equal(snapshot(enumerator).initialDiscoveryFinished, true)
  kafka.topic('orders', 1).topic('my-orders', 1)
  kafka.log('orders', 0).append('a')
  await harness.clock.advance(1_000)
  assert.deepEqual(harness.story, ['orders-0 earliest.. @0'])
})

test('a topic that does not exist fails the start by name', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  const { enumerator } = enumeratorOf(kafka, (builder) => builder.setTopics('orders', 'oders'))
  await assert.rejects(start(enumerator), { code: 'KAFKA_UNKNOWN_TOPIC', message: /oders/ })
})

test('a partition that does not exist fails the start by name', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  const { enumerator } = enumeratorOf(kafka, (builder) =>
    builder.setPartitions([
      { topic: 'orders', partition: 1 },
      { topic: 'orders', partition: 2 },
    ]),
  )
  await assert.rejects(start(enumerator), { code: 'KAFKA_UNKNOWN_PARTITION', message: /orders-2/ })
})

test('a later discovery that fails is logged and tried again sooner, and the job goes on', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  const { enumerator, harness } = enumeratorOf(kafka, orders)
  await start(enumerator)
  kafka.failure = () => new MillraceError('KAFKA_UNREACHABLE', 'no broker answers', { retriable: true })
  await harness.clock.advance(300_000)
  assert.equal(harness.logger.lines.length, 1)
  assert.match(harness.logger.lines[0] ?? '', /looking for new partitions failed.*no broker answers/)
  kafka.failure = () => undefined
  kafka.topic('orders', 2)
  await harness.clock.advance(30_000)
  assert.deepEqual(harness.story, ['orders-0 earliest.. @0', 'orders-1 earliest.. @0'])
  assert.deepEqual(harness.failures, [])
  await enumerator.close()
})

test('the first discovery that fails fails the start', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.failure = () => new MillraceError('KAFKA_UNREACHABLE', 'no broker answers', { retriable: true })
  const { enumerator } = enumeratorOf(kafka, orders)
  await assert.rejects(start(enumerator), { code: 'KAFKA_UNREACHABLE' })
})

test('bounded input is fixed at the start: stop offsets are numbers, the end is told once and nothing is looked for again', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  kafka.log('orders', 0).append('a', 'b')
  const bounded: Configure = (builder) =>
    orders(builder).setBounded(OffsetsInitializer.latest()).setProperty('partition.discovery.interval.ms', 1_000)
  const first = enumeratorOf(kafka, bounded)
  await start(first.enumerator)
  assert.deepEqual(first.harness.story, ['orders-0 earliest..2 @0', 'orders-1 earliest..0 @0'])
  assert.equal(first.harness.noMoreSplits, 1)
  kafka.topic('orders', 3)
  await first.harness.clock.advance(1_000_000)
  assert.equal(first.harness.assigned.length, 2)
  assert.equal(first.harness.noMoreSplits, 1)
  kafka.log('orders', 0).append('c')
  const restored = { state: snapshot(first.enumerator), splits: [split(0, 1, 2), split(1, 0, 0)] }
  kafka.logs.delete('orders-2')
  const again = enumeratorOf(kafka, bounded, { restored })
  await start(again.enumerator)
  assert.deepEqual(again.harness.story, ['orders-0 1..2 @0', 'orders-1 0..0 @0'])
  assert.equal(again.harness.noMoreSplits, 1)
})

test('bounded input without any partition ends too', async () => {
  const { enumerator, harness } = enumeratorOf(new ScriptedKafka(), (builder) =>
    builder.setTopicPattern(/none/).setBounded(OffsetsInitializer.latest()),
  )
  await start(enumerator)
  assert.deepEqual([harness.assigned.length, harness.noMoreSplits], [0, 1])
})

test('unbounded with stop offsets ends when nothing can be found any more, and runs on when told to look', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  const stopping: Configure = (builder) => orders(builder).setUnbounded(OffsetsInitializer.latest())
  const ending = enumeratorOf(kafka, stopping)
  await start(ending.enumerator)
  assert.equal(ending.harness.noMoreSplits, 1)
  const looking = enumeratorOf(kafka, (builder) =>
    stopping(builder).setProperty('partition.discovery.interval.ms', 1_000),
  )
  await start(looking.enumerator)
  assert.equal(looking.harness.noMoreSplits, 0)
  kafka.topic('orders', 2)
  await looking.harness.clock.advance(1_000)
  assert.deepEqual(looking.harness.story, ['orders-0 earliest..0 @0', 'orders-1 earliest..0 @0'])
  await looking.enumerator.close()
})

test('committed offsets become numbers, and where there is none the reset strategy decides', async () => {
  const kafka = new ScriptedKafka().topic('orders', 3)
  kafka.log('orders', 2).append('a', 'b', 'c')
  kafka.groups.set('g', new Map([['orders-0', 7]]))
  const from = (reset: 'NONE' | 'EARLIEST' | 'LATEST', explicit?: string) =>
    enumeratorOf(kafka, (builder) => {
      orders(builder).setGroupId('g').setStartingOffsets(OffsetsInitializer.committedOffsets(reset))
      return explicit === undefined ? builder : builder.setProperty('auto.offset.reset', explicit)
    })
  await assert.rejects(start(from('NONE').enumerator), {
    code: 'KAFKA_NO_OFFSET',
    message: /orders-1, orders-2.*group "g"/,
  })
  for (const [reset, explicit, third] of [
    ['EARLIEST', undefined, 'earliest'],
    ['LATEST', undefined, '3'],
    ['NONE', 'latest', '3'],
  ] as const) {
    const { enumerator, harness } = from(reset, explicit)
    await start(enumerator)
    assert.equal(harness.story[0], 'orders-0 7.. @0')
    assert.equal(harness.story[2], `orders-2 ${third}.. @0`)
  }
})

test('a stop at committed offsets needs them', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  kafka.groups.set('g', new Map([['orders-0', 7]]))
  const make = () =>
    enumeratorOf(kafka, (builder) => orders(builder).setGroupId('g').setBounded(OffsetsInitializer.committedOffsets()))
  await assert.rejects(start(make().enumerator), { code: 'KAFKA_NO_OFFSET', message: /orders-1 is to stop at.*"g"/ })
  kafka.groups.get('g')?.set('orders-1', 0)
  const { enumerator, harness } = make()
  await start(enumerator)
  assert.deepEqual(harness.story, ['orders-0 earliest..7 @0', 'orders-1 earliest..0 @0'])
})

test('a timestamp is the first record from then on, or the end where there is none', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  kafka
    .log('orders', 0)
    .append({ value: 'a', timestamp: 100 }, { value: 'b', timestamp: 200 }, { value: 'c', timestamp: 300 })
  kafka.log('orders', 1).append({ value: 'a', timestamp: 100 })
  const { enumerator, harness } = enumeratorOf(kafka, (builder) =>
    orders(builder).setStartingOffsets(OffsetsInitializer.timestamp(150)),
  )
  await start(enumerator)
  assert.deepEqual(harness.story, ['orders-0 1.. @0', 'orders-1 1.. @0'])
  const ends = kafka.calls.findIndex((call) => call.includes('"latest"'))
  const times = kafka.calls.findIndex((call) => call.includes('timestamp'))
  assert.ok(ends >= 0 && ends < times, 'the end is asked for first')
})

test('given offsets win, then committed ones, then the reset strategy', async () => {
  const kafka = new ScriptedKafka().topic('orders', 3)
  kafka.groups.set('g', new Map([['orders-1', 5]]))
  const from = (reset: 'EARLIEST' | 'NONE') =>
    enumeratorOf(kafka, (builder) =>
      orders(builder)
        .setGroupId('g')
        .setStartingOffsets(OffsetsInitializer.offsets([{ topic: 'orders', partition: 0, offset: 3n }], reset)),
    )
  const { enumerator, harness } = from('EARLIEST')
  await start(enumerator)
  assert.deepEqual(harness.story, ['orders-0 3.. @0', 'orders-1 5.. @0', 'orders-2 earliest.. @0'])
  await assert.rejects(start(from('NONE').enumerator), { code: 'KAFKA_NO_OFFSET', message: /orders-2: neither given/ })
})

test('a custom initializer may answer with offsets, names or nothing', async () => {
  const kafka = new ScriptedKafka().topic('orders', 4)
  kafka.log('orders', 1).append('a', 'b')
  const { enumerator, harness } = enumeratorOf(kafka, (builder) =>
    orders(builder).setStartingOffsets({
      autoOffsetResetStrategy: 'LATEST',
      getPartitionOffsets: async (partitions, retriever) => {
        const ends = await retriever.endOffsets(partitions)
        assert.equal(ends.get({ topic: 'orders', partition: 1 }), 2)
        return new Map(
          partitions.slice(0, 3).map((partition, index) => [partition, [9, 'latest', -2][index] as number]),
        )
      },
    }),
  )
  await start(enumerator)
  assert.deepEqual(harness.story, ['orders-0 9.. @0', 'orders-1 2.. @0', 'orders-2 earliest.. @0', 'orders-3 0.. @0'])
})

test('a restored partition that is not subscribed rests with its position until it is subscribed again', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1).topic('old', 1)
  const old: KafkaPartitionSplit = { ...split(0, 77), topic: 'old' }
  const restored = { state: EMPTY, splits: [split(0, 5), old] }
  const { enumerator, harness } = enumeratorOf(kafka, orders, { restored })
  await start(enumerator)
  assert.deepEqual(harness.story, ['orders-0 5.. @0'])
  assert.match(harness.logger.lines[0] ?? '', /old-0 of the restored state are not subscribed.*old-0 at 77/)
  const state = snapshot(enumerator)
  assert.ok(state.splits.map(describeSplit).includes('old-0 77..'))
  const both = enumeratorOf(kafka, (builder) => builder.setTopics(['orders', 'old']), {
    restored: { state, splits: [split(0, 9)] },
  })
  await start(both.enumerator)
  assert.deepEqual(both.harness.story, ['old-0 77.. @0', 'orders-0 9.. @0'])
})

test('a partition that disappears is told once and its split stays', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1).topic('orders-old', 1)
  const { enumerator, harness } = enumeratorOf(kafka, (builder) =>
    builder.setTopicPattern('orders.*').setProperty('partition.discovery.interval.ms', 1_000),
  )
  await start(enumerator)
  kafka.deleteTopic('orders-old')
  await harness.clock.advance(1_000)
  await harness.clock.advance(1_000)
  assert.equal(harness.logger.lines.filter((line) => line.includes('orders-old-0')).length, 1)
  assert.equal(snapshot(enumerator).splits.length, 2)
  await enumerator.close()
})

test('closing while a discovery is under way assigns nothing afterwards', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  const held = Promise.withResolvers<void>()
  kafka.delay = () => held.promise
  const { enumerator, harness } = enumeratorOf(kafka, orders)
  const starting = start(enumerator)
  const closing = enumerator.close()
  held.resolve()
  await Promise.all([starting, closing])
  await settle()
  assert.deepEqual(harness.story, [])
  assert.equal(harness.clock.timers, 0)
})

test('an aborted start rejects with the reason and lets go of the connection', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  const held = Promise.withResolvers<void>()
  kafka.delay = () => held.promise
  const { enumerator } = enumeratorOf(kafka, orders)
  const abort = new AbortController()
  const starting = enumerator.start(abort.signal)
  abort.abort(new Error('enough'))
  held.resolve()
  await assert.rejects(starting, { message: 'enough' })
  await settle()
  assert.equal(kafka.openClients, 0)
})

test('what is snapshotted is read back equal', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  const { enumerator } = enumeratorOf(kafka, orders)
  await start(enumerator)
  const source = KafkaSource.from({ bootstrapServers: 'b:1', topics: 'x', valueOnlyDeserializer: (bytes) => bytes })
  const { enumeratorStateSerializer: serializer } = source
  const state = snapshot(enumerator)
  assert.deepEqual(serializer.deserialize(serializer.version, serializer.serialize(state)), state)
})
