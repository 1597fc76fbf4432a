import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { checkpointId, NO_TIMESTAMP, SimpleStringSchema, type SourceReader } from '../../core/index.ts'
import type { KafkaSourceBuilder } from '../kafka-source-builder.ts'
import { ScriptedKafka } from '../scripted-kafka.test-double.ts'
import { describeSplit, drive, ReaderHarness, settle, testPorts } from '../source-harness.test-double.ts'
import type { KafkaPartitionSplit } from '../split/kafka-partition-split.ts'

type Reader = SourceReader<KafkaPartitionSplit>

interface Options<T> {
  readonly configure?: (builder: KafkaSourceBuilder<string>) => KafkaSourceBuilder<T>
  readonly checkpointing?: boolean
}

function readerOf<T = string>(kafka: ScriptedKafka, options: Options<T> = {}) {
  const builder = kafka.sourceBuilder().setTopics('orders').setValueOnlyDeserializer(new SimpleStringSchema())
  const configure = options.configure ?? ((same) => same as unknown as KafkaSourceBuilder<T>)
  const ports = testPorts()
  const harness = new ReaderHarness<T>({ ports, checkpointing: options.checkpointing ?? true })
  return { reader: configure(builder).build().createReader(harness.context), harness, ports }
}

const from = (partition: number, offset: number | 'earliest', stoppingOffset?: number): KafkaPartitionSplit => ({
  topic: 'orders',
  partition,
  startingOffset: offset === 'earliest' ? { kind: 'earliest' } : { kind: 'at', offset },
  stoppingOffset,
})

const positions = (reader: Reader): string[] => reader.snapshotState(checkpointId(99)).map(describeSplit)

/** Polls until nothing is left to do at this moment. */
async function drain(reader: Reader): Promise<string> {
  await settle()
  let status = reader.poll(100)
  while (status === 'more') status = reader.poll(100)
  return status
}

test('records come in order, once each, with their timestamps, by the output of their split', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  kafka.log('orders', 0).append('a', 'b').append('c')
  kafka.log('orders', 1).append({ value: 'x', timestamp: 77 })
  const { reader, harness } = readerOf(kafka)
  reader.addSplits([from(0, 1), from(1, 'earliest')])
  assert.equal(await drain(reader), 'waiting')
  assert.deepEqual(
    harness.emitted.toSorted((left, right) => left.split.localeCompare(right.split)),
    [
      { split: 'orders-0', value: 'b', timestamp: 1_000 },
      { split: 'orders-0', value: 'c', timestamp: 1_002 },
      { split: 'orders-1', value: 'x', timestamp: 77 },
    ],
  )
  assert.deepEqual(positions(reader), ['orders-0 3..', 'orders-1 1..'])
  assert.deepEqual(harness.outputsMade, ['orders-0', 'orders-1'], 'one output a split, not one a record')
  await reader.close()
  assert.equal(kafka.openClients, 0)
})

test('a budget is kept, and the position between two polls is that of the next record', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b', 'c').append('d', 'e')
  const { reader, harness } = readerOf(kafka)
  reader.addSplits([from(0, 0)])
  const seen: string[] = []
  for (let poll = 0; poll < 4; poll++) {
    reader.poll(2)
    seen.push(`${harness.values.join('')} ${positions(reader)[0]}`)
  }
  assert.deepEqual(seen, ['ab orders-0 2..', 'abcd orders-0 4..', 'abcde orders-0 5..', 'abcde orders-0 5..'])
})

test('max.poll.records bounds what one poll emits, and bounds nothing unless set', async () => {
  for (const [set, expected] of [
    ['2', 2],
    ['9', 5],
    [undefined, 5],
  ] as const) {
    const kafka = new ScriptedKafka().topic('orders', 1)
    kafka.log('orders', 0).append('a', 'b', 'c', 'd').append('e')
    const { reader, harness } = readerOf(kafka, {
      configure: (builder) => (set === undefined ? builder : builder.setProperty('max.poll.records', set)),
    })
    reader.addSplits([from(0, 0)])
    await settle()
    const status = reader.poll(100)
    assert.equal(harness.values.length, expected)
    assert.equal(status, expected === 2 ? 'more' : 'waiting')
    await drain(reader)
    assert.deepEqual(harness.values, ['a', 'b', 'c', 'd', 'e'])
  }
})

test('a blocked output ends the poll at once, and nothing is lost or repeated when it goes on', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b', 'c')
  const { reader, harness } = readerOf(kafka)
  reader.addSplits([from(0, 0)])
  harness.blockAfter = 2
  assert.equal(reader.poll(100), 'more')
  assert.deepEqual(harness.values, ['a', 'b'])
  assert.equal(reader.poll(100), 'more')
  assert.deepEqual(harness.values, ['a', 'b'])
  assert.deepEqual(positions(reader), ['orders-0 2..'])
  harness.blockAfter = Number.POSITIVE_INFINITY
  assert.equal(await drain(reader), 'waiting')
  assert.deepEqual(harness.values, ['a', 'b', 'c'])
})

test('the stop offset is exclusive and ends the split by position, wherever it lies', async () => {
  const cases: readonly (readonly [string, (kafka: ScriptedKafka) => void, number, string])[] = [
    ['inside a batch', (kafka) => kafka.log('orders', 0).append('a', 'b', 'c', 'd'), 2, 'ab'],
    ['at the end of a batch', (kafka) => kafka.log('orders', 0).append('a', 'b').append('c'), 2, 'ab'],
    ['at the end of the log', (kafka) => kafka.log('orders', 0).append('a', 'b'), 2, 'ab'],
    ['behind a marker', (kafka) => kafka.log('orders', 0).append('a').marker(), 2, 'a'],
    ['between two markers', (kafka) => kafka.log('orders', 0).append('a').marker().marker(), 2, 'a'],
    ['in a gap', (kafka) => kafka.log('orders', 0).append('a').gap(5).append('b'), 3, 'a'],
    ['nothing but markers', (kafka) => kafka.log('orders', 0).marker().marker(), 2, ''],
  ]
  for (const [name, write, stop, expected] of cases) {
    const kafka = new ScriptedKafka().topic('orders', 1)
    write(kafka)
    const { reader, harness } = readerOf(kafka)
    reader.addSplits([from(0, 0, stop)])
    reader.noMoreSplits()
    assert.equal(await drain(reader), 'ended', name)
    assert.equal(harness.values.join(''), expected, name)
    assert.deepEqual(positions(reader), [`orders-0 ${stop}..${stop}`], name)
    assert.deepEqual(harness.released, ['orders-0'], name)
  }
})

test('a split that starts at or behind its stop ends without a connection', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  const { reader, harness } = readerOf(kafka)
  reader.addSplits([from(0, 5, 5), from(1, 7, 5)])
  assert.equal(reader.poll(1), 'waiting')
  reader.noMoreSplits()
  assert.equal(reader.poll(1), 'ended')
  assert.equal(kafka.clients.length, 0)
  assert.deepEqual(positions(reader), ['orders-0 5..5', 'orders-1 7..5'], 'finished splits stay in the snapshot')
  assert.deepEqual(harness.released, ['orders-0', 'orders-1'])
})

test('a stop below the start of the log ends the split', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b', 'c').deleteTo(3)
  const { reader, harness } = readerOf(kafka)
  reader.addSplits([from(0, 'earliest', 2)])
  reader.noMoreSplits()
  await drive(reader)
  assert.deepEqual(harness.values, [])
})

test('without splits a reader waits, and ends when none will come', async () => {
  const { reader } = readerOf(new ScriptedKafka())
  assert.equal(reader.poll(1), 'waiting')
  const waiting = reader.available()
  reader.noMoreSplits()
  await waiting
  assert.equal(reader.poll(1), 'ended')
})

test('available tells of new data and of being closed', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  const { reader, harness } = readerOf(kafka)
  reader.addSplits([from(0, 0)])
  assert.equal(reader.poll(10), 'waiting')
  let told = 0
  void reader.available().then(() => told++)
  await settle()
  assert.equal(told, 0)
  kafka.log('orders', 0).append('a')
  await settle()
  assert.equal(told, 1)
  assert.equal(await drain(reader), 'waiting')
  assert.deepEqual(harness.values, ['a'])
  const last = reader.available()
  await reader.close()
  await last
})

test('a record that cannot be deserialized fails with its place and sizes, never its contents, and is not passed', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('1', { key: 'k', value: 'secret', timestamp: 5 }, '3')
  const { reader, harness } = readerOf(kafka, {
    configure: (builder) =>
      builder.setValueOnlyDeserializer((bytes) => {
        const value: unknown = JSON.parse(String(bytes))
        return value
      }),
  })
  reader.addSplits([from(0, 0)])
  assert.throws(
    () => reader.poll(10),
    (error) =>
      MillraceError.is(error) &&
      error.code === 'DESERIALIZATION_FAILED' &&
      /orders-0 at offset 1 \(timestamp 5, key 1 bytes, value 6 bytes\)/.test(error.message) &&
      !error.message.includes('secret') &&
      error.cause === undefined,
  )
  assert.deepEqual(harness.values, [1])
  assert.deepEqual(positions(reader), ['orders-0 1..'])
})

test('what the chain throws passes through untouched and the record is not passed', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b')
  const { KafkaRecordDeserializationSchema } = await import('../index.ts')
  const broken = new Error('the chain is broken')
  for (const configure of [
    (builder: KafkaSourceBuilder<string>) => builder,
    (builder: KafkaSourceBuilder<string>) => builder.setValueOnlyDeserializer((bytes) => String(bytes)),
    (builder: KafkaSourceBuilder<string>) =>
      builder.setDeserializer(KafkaRecordDeserializationSchema.of((record) => String(record.value))),
  ]) {
    const { reader, harness } = readerOf(kafka, { configure })
    harness.onEmit = (value) => {
      if (value === 'b') throw broken
    }
    reader.addSplits([from(0, 0)])
    assert.throws(() => reader.poll(10), broken)
    assert.deepEqual(positions(reader), ['orders-0 1..'])
  }
})

test('a record without outputs is passed', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', { value: null }, 'b')
  const { reader, harness } = readerOf(kafka)
  reader.addSplits([from(0, 0)])
  await drain(reader)
  assert.deepEqual(harness.values, ['a', 'b'])
  assert.deepEqual(positions(reader), ['orders-0 3..'])
  assert.equal(harness.metric('deserializer.nullValuesSkipped'), 1)
})

test('a record without a timestamp has none downstream', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append({ value: 'a', timestamp: -1 })
  const { reader, harness } = readerOf(kafka)
  reader.addSplits([from(0, 0)])
  await drain(reader)
  assert.equal(harness.emitted[0]?.timestamp, NO_TIMESTAMP)
})

test('an offset out of range follows the reset strategy, with a warning that names range and count', async () => {
  for (const [reset, expected, told] of [
    [
      'earliest',
      ['d', 'e'],
      /offset 1 is out of range, the broker has 3 to 5.*going on at 3 \(earliest\): 2 offsets are skipped/,
    ],
    ['latest', [], /going on at 5 \(latest\): 4 offsets are skipped/],
  ] as const) {
    const kafka = new ScriptedKafka().topic('orders', 1)
    kafka.log('orders', 0).append('a', 'b', 'c').append('d', 'e').deleteTo(3)
    const { reader, harness, ports } = readerOf(kafka, {
      configure: (builder) => builder.setProperty('auto.offset.reset', reset),
    })
    reader.addSplits([from(0, 1)])
    await drain(reader)
    await drain(reader)
    assert.deepEqual(harness.values, expected)
    assert.match(ports.logger.lines[0] ?? '', told)
    kafka.log('orders', 0).append('f')
    await drain(reader)
    assert.deepEqual(harness.values, [...expected, 'f'])
  }
})

test('an offset beyond the end is told as such', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b')
  const { reader, harness, ports } = readerOf(kafka)
  reader.addSplits([from(0, 9)])
  await drain(reader)
  await drain(reader)
  assert.deepEqual(harness.values, ['a', 'b'])
  assert.match(ports.logger.lines[0] ?? '', /going on at 0 \(earliest\): 9 offsets are read a second time/)
})

test('with the strategy none an offset out of range fails, and the position is kept', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b', 'c').append('d').deleteTo(3)
  const { reader } = readerOf(kafka, { configure: (builder) => builder.setProperty('auto.offset.reset', 'none') })
  reader.addSplits([from(0, 1)])
  await drain(reader)
  const failed = { code: 'KAFKA_OFFSET_OUT_OF_RANGE', message: /orders-0: offset 1 .*deleted 2 offsets/ }
  await assert.rejects(reader.available(), failed)
  assert.throws(() => reader.poll(1), failed)
  assert.deepEqual(positions(reader), ['orders-0 1..'])
})

test('a log that lost its end is gone on with where the logs part, with a warning; with the strategy none it fails', async () => {
  for (const reset of ['earliest', 'latest', 'none']) {
    const kafka = new ScriptedKafka().topic('orders', 1)
    const log = kafka.log('orders', 0).append('a').append('b', 'c')
    const { reader, harness, ports } = readerOf(kafka, {
      configure: (builder) => builder.setProperty('auto.offset.reset', reset),
    })
    reader.addSplits([from(0, 0)])
    await drain(reader)
    assert.deepEqual(harness.values, ['a', 'b', 'c'])
    log.truncateTo(1).append('d', 'e', 'f')
    await drain(reader)
    if (reset === 'none') {
      const failed = { code: 'KAFKA_LOG_TRUNCATED', message: /orders-0 was read up to 3.*strategy is NONE/ }
      await assert.rejects(reader.available(), failed)
      assert.throws(() => reader.poll(1), failed)
      assert.deepEqual(positions(reader), ['orders-0 3..'])
      continue
    }
    await drain(reader)
    assert.deepEqual(harness.values, ['a', 'b', 'c', 'd', 'e', 'f'])
    assert.match(ports.logger.lines[0] ?? '', /orders-0 was read up to 3.*Going on at 1/)
    assert.deepEqual(positions(reader), ['orders-0 4..'])
  }
})

test('a split that begins at the earliest offset survives retention before its first record, whatever the strategy', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b').append('c')
  const { reader, harness } = readerOf(kafka, {
    configure: (builder) => builder.setProperty('auto.offset.reset', 'none'),
  })
  reader.addSplits([from(0, 'earliest')])
  assert.deepEqual(positions(reader), ['orders-0 earliest..'], 'nothing is read yet')
  await settle()
  assert.deepEqual(positions(reader), ['orders-0 0..'])
  kafka.log('orders', 0).deleteTo(2)
  await drain(reader)
  await drain(reader)
  assert.deepEqual(harness.values, ['c'])
})

test('a partition whose range cannot be looked up delays only itself', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  kafka.log('orders', 0).append('a')
  kafka.log('orders', 1).append('b')
  kafka.failure = (call) =>
    call.includes('orders-0') ? new MillraceError('KAFKA_TIMEOUT', 'no leader', { retriable: true }) : undefined
  const { reader, harness, ports } = readerOf(kafka)
  reader.addSplits([from(0, 'earliest'), from(1, 'earliest')])
  await drain(reader)
  assert.deepEqual(harness.values, ['b'])
  kafka.failure = () => undefined
  await ports.clock.advance(1_000)
  await drain(reader)
  assert.deepEqual(harness.values, ['b', 'a'])
})

test('offsets are committed when a checkpoint completes, as they were at its snapshot', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  kafka.log('orders', 0).append('a', 'b')
  const { reader, harness } = readerOf(kafka, { configure: (builder) => builder.setGroupId('g') })
  reader.addSplits([from(0, 0), from(1, 'earliest', 0)])
  await drain(reader)
  reader.snapshotState(checkpointId(1))
  kafka.log('orders', 0).append('c').marker()
  await drain(reader)
  assert.equal(kafka.groups.size, 0, 'nothing is committed before a checkpoint is complete')
  reader.snapshotState(checkpointId(2))
  await reader.checkpointCompleted?.(checkpointId(1))
  assert.equal(kafka.groups.get('g')?.get('orders-0'), 2)
  await reader.checkpointCompleted?.(checkpointId(2))
  assert.equal(kafka.groups.get('g')?.get('orders-0'), 4, 'the marker is behind the committed offset')
  await reader.checkpointCompleted?.(checkpointId(2))
  assert.equal(harness.metric('KafkaSourceReader.commitsSucceeded'), 2)
  assert.equal(harness.metric('KafkaSourceReader.topic.orders.partition.0.committedOffset'), 4)
  assert.equal(harness.metric('KafkaSourceReader.topic.orders.partition.0.currentOffset'), 2)
})

test('completed checkpoints told late do not take committed offsets back', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a')
  const { reader } = readerOf(kafka, { configure: (builder) => builder.setGroupId('g') })
  reader.addSplits([from(0, 0)])
  reader.snapshotState(checkpointId(1))
  await drain(reader)
  reader.snapshotState(checkpointId(2))
  await reader.checkpointCompleted?.(checkpointId(2))
  await reader.checkpointCompleted?.(checkpointId(1))
  assert.deepEqual(
    kafka.calls.filter((call) => call.startsWith('commit')),
    ['commit orders-0:1'],
  )
})

test('a commit that fails is counted and logged and nothing else', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a')
  const { reader, harness, ports } = readerOf(kafka, { configure: (builder) => builder.setGroupId('g') })
  reader.addSplits([from(0, 0)])
  await drain(reader)
  reader.snapshotState(checkpointId(1))
  kafka.failure = () => new MillraceError('KAFKA_AUTHORIZATION_FAILED', 'not allowed')
  await reader.checkpointCompleted?.(checkpointId(1))
  assert.equal(harness.metric('KafkaSourceReader.commitsFailed'), 1)
  assert.match(ports.logger.lines[0] ?? '', /committing offsets failed.*not allowed/)
  assert.equal(await drain(reader), 'waiting')
})

test('no group, or commits switched off: nothing is committed', async () => {
  for (const configure of [
    (builder: KafkaSourceBuilder<string>) => builder,
    (builder: KafkaSourceBuilder<string>) => builder.setGroupId('g').setProperty('commit.offsets.on.checkpoint', false),
  ]) {
    const kafka = new ScriptedKafka().topic('orders', 1)
    kafka.log('orders', 0).append('a')
    const { reader } = readerOf(kafka, { configure })
    reader.addSplits([from(0, 0)])
    await drain(reader)
    reader.snapshotState(checkpointId(1))
    await reader.checkpointCompleted?.(checkpointId(1))
    await reader.close()
    assert.deepEqual(
      kafka.calls.filter((call) => call.startsWith('commit')),
      [],
    )
  }
})

test('without checkpoints and with enable.auto.commit positions are committed by time and at the end', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a')
  const configure = (builder: KafkaSourceBuilder<string>) =>
    builder.setGroupId('g').setProperty('enable.auto.commit', 'true').setProperty('auto.commit.interval.ms', '1 s')
  const { reader, ports } = readerOf(kafka, { configure, checkpointing: false })
  await reader.open?.()
  reader.addSplits([from(0, 0)])
  await drain(reader)
  await ports.clock.advance(1_000)
  assert.equal(kafka.groups.get('g')?.get('orders-0'), 1)
  kafka.log('orders', 0).append('b')
  await drain(reader)
  await reader.close()
  assert.equal(kafka.groups.get('g')?.get('orders-0'), 2)
  assert.equal(ports.clock.timers, 0)
  const checkpointed = readerOf(kafka, { configure, checkpointing: true })
  await checkpointed.reader.open?.()
  assert.equal(checkpointed.ports.clock.timers, 0, 'with checkpoints only those commit')
})

test('metrics count what was read and what is left', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.log('orders', 0).append('a', 'b', { value: 'c', timestamp: 999_900 })
  const { reader, harness } = readerOf(kafka)
  reader.addSplits([from(0, 0, 3)])
  assert.equal(harness.metric('KafkaSourceReader.topic.orders.partition.0.currentOffset'), -1)
  reader.poll(1)
  assert.equal(harness.metric('numRecordsIn'), 1)
  assert.equal(harness.metric('pendingRecords'), 2)
  await drain(reader)
  assert.equal(harness.metric('numRecordsIn'), 3)
  assert.equal(harness.metric('pendingRecords'), 0)
  assert.equal(harness.metric('currentEmitEventTimeLag'), 100)
})

test('client ids and the rack are told to the brokers, the rack asked in the reader', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  let asked = 0
  const { reader } = readerOf(kafka, {
    configure: (builder) =>
      builder.setClientIdPrefix('shop').setRackIdSupplier(() => {
        asked++
        return 'rack-1'
      }),
  })
  assert.equal(asked, 0)
  reader.addSplits([from(0, 'earliest')])
  assert.equal(asked, 1)
  assert.equal(kafka.clients[0]?.['client.id'], 'shop-0')
  assert.equal(kafka.clients[0]?.['client.rack'], 'rack-1')
})

test('closing twice, and while a position is looked up, is quiet', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1)
  kafka.failure = () => new MillraceError('KAFKA_TIMEOUT', 'no leader', { retriable: true })
  const { reader } = readerOf(kafka)
  reader.addSplits([from(0, 'earliest')])
  await settle()
  await Promise.all([reader.close(), reader.close()])
  await settle()
  assert.equal(kafka.openClients, 0)
})
