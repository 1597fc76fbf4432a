import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { TcpNetwork } from '../base/index.ts'
import { checkpointId, SimpleStringSchema } from '../core/index.ts'
import { KafkaServer } from '../testing/index.ts'
import {
  JsonKeyValueDeserializationSchema,
  KafkaRecordDeserializationSchema,
  KafkaSource,
  OffsetsInitializer,
} from './index.ts'
import type { KafkaSourceBuilder } from './kafka-source-builder.ts'
import { SourceExecution } from './source-execution.test-double.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a KafkaSource on a real broker', { timeout: 900_000 }, () => {
  let server: KafkaServer
  const executions: { close(): Promise<void> }[] = []
  before(async () => {
    server = await KafkaServer.start()
  })
  after(async () => {
    await Promise.all(executions.map((execution) => execution.close()))
    await server?.close()
  })

  const source = (
    topic: string,
    configure: (builder: KafkaSourceBuilder<string>) => KafkaSourceBuilder<string> = (same) => same,
  ): KafkaSource<string> =>
    configure(
      KafkaSource.builder()
        .setBootstrapServers(server.bootstrapServers)
        .setTopics(topic)
        .setValueOnlyDeserializer(new SimpleStringSchema()),
    ).build()

  async function execute<T>(
    of: KafkaSource<T>,
    restored?: ConstructorParameters<typeof SourceExecution<T>>[2],
  ): Promise<SourceExecution<T>> {
    const execution = new SourceExecution(of, new TcpNetwork(), restored)
    executions.push(execution)
    return execution.start()
  }

  /** Runs a bounded source to its end. */
  async function readAll<T>(of: KafkaSource<T>): Promise<T[]> {
    const execution = await execute(of)
    const values = await execution.run()
    await execution.close()
    return values
  }

  const numbered = (count: number, from = 0): { value: string; partition: number; timestamp: number }[] =>
    Array.from({ length: count }, (_, index) => ({
      value: String(from + index),
      partition: 0,
      timestamp: 1_000 * (from + index),
    }))

  it('reads every record once and in order per partition, empty partitions included, and ends', async () => {
    await server.createTopic('all', { partitions: 4 })
    const { count } = await server.java.produceGenerated(
      'all',
      { count: 3_000, value: '{i}', partitions: 3 },
      { compression: 'lz4' },
    )
    assert.equal(count, 3_000)
    const values = (await readAll(source('all', (builder) => builder.setBounded(OffsetsInitializer.latest())))).map(
      Number,
    )
    assert.deepEqual(
      values.toSorted((left, right) => left - right),
      Array.from({ length: 3_000 }, (_, index) => index),
    )
    for (const partition of [0, 1, 2]) {
      const own = values.filter((value) => value % 3 === partition)
      assert.deepEqual(
        own,
        own.toSorted((left, right) => left - right),
      )
    }
  })

  it('every start and every stop selects the same records as Kafka counts', async () => {
    await server.createTopic('matrix')
    await server.java.produce('matrix', numbered(100))
    await server.java.setGroupOffsets('matrix-group', [{ topic: 'matrix', partition: 0, offset: 30 }])
    const at = (offset: number) => OffsetsInitializer.offsets([{ topic: 'matrix', partition: 0, offset }])
    const starts = [
      [OffsetsInitializer.earliest(), 0],
      [OffsetsInitializer.latest(), 100],
      [OffsetsInitializer.committedOffsets(), 30],
      [OffsetsInitializer.timestamp(20_500), 21],
      [OffsetsInitializer.timestamp(1e9), 100],
      [at(7), 7],
    ] as const
    const stops = [
      [OffsetsInitializer.latest(), 100],
      [OffsetsInitializer.committedOffsets(), 30],
      [OffsetsInitializer.timestamp(50_000), 50],
      [at(99), 99],
      [at(7), 7],
    ] as const
    for (const [start, first] of starts) {
      for (const [stop, end] of stops) {
        const values = await readAll(
          source('matrix', (builder) => builder.setGroupId('matrix-group').setStartingOffsets(start).setBounded(stop)),
        )
        const expected = Array.from({ length: Math.max(0, end - first) }, (_, index) => String(first + index))
        assert.deepEqual(values, expected, `${start} to ${stop}`)
      }
    }
  })

  it('starts and stops in the midst of what was deleted', async () => {
    await server.createTopic('deleted')
    await server.java.produce('deleted', numbered(20))
    await server.java.deleteRecords('deleted', 0, 10)
    const between = (first: number, end: number) =>
      source('deleted', (builder) =>
        builder
          .setStartingOffsets(OffsetsInitializer.offsets([{ topic: 'deleted', partition: 0, offset: first }]))
          .setBounded(OffsetsInitializer.offsets([{ topic: 'deleted', partition: 0, offset: end }])),
      )
    assert.deepEqual(await readAll(between(2, 5)), [])
    const execution = await execute(between(2, 12))
    assert.deepEqual(await execution.run(), ['10', '11'])
    assert.match(
      execution.logger.lines.join(),
      /offset 2 is out of range, the broker has 10 to 20.*8 offsets are skipped/,
    )
    await execution.close()
  })

  it('ends at a stop that only markers and aborted records lie before', async () => {
    await server.createTopic('markers')
    await server.java.produce('markers', numbered(2), { transactionalId: 'm', end: 'commit' })
    await server.java.produce('markers', numbered(3, 2), { transactionalId: 'm', end: 'abort' })
    const [end] = await server.java.offsets('markers')
    assert.equal(end, 7)
    for (let stop = 0; stop <= 7; stop++) {
      const bounded = (isolation: string) =>
        source('markers', (builder) =>
          builder
            .setProperty('isolation.level', isolation)
            .setBounded(OffsetsInitializer.offsets([{ topic: 'markers', partition: 0, offset: stop }])),
        )
      // Offsets: 0 and 1 committed, 2 a marker, 3 to 5 aborted, 6 a marker.
      assert.deepEqual(await readAll(bounded('read_committed')), ['0', '1'].slice(0, stop), `committed up to ${stop}`)
      const all = ['0', '1', undefined, '2', '3', '4', undefined].slice(0, stop).filter((value) => value !== undefined)
      assert.deepEqual(await readAll(bounded('read_uncommitted')), all, `all up to ${stop}`)
    }
  })

  it('read_committed waits for the transaction that is open before the stop, read_uncommitted does not', async () => {
    await server.createTopic('open')
    await server.java.produce('open', numbered(2))
    await server.java.produce('open', numbered(2, 2), { transactionalId: 'o', end: 'open' })
    const bounded = (isolation: string) =>
      source('open', (builder) =>
        builder.setProperty('isolation.level', isolation).setBounded(OffsetsInitializer.latest()),
      )
    assert.deepEqual(await readAll(bounded('read_uncommitted')), ['0', '1', '2', '3'])
    const execution = await execute(bounded('read_committed'))
    let ended = false
    const running = execution.run().then((values) => {
      ended = true
      return values
    })
    const until = performance.now() + 60_000
    while (execution.harness.values.length < 2 && performance.now() < until) await pause(10)
    await pause(1_500)
    assert.equal(ended, false)
    assert.deepEqual(execution.harness.values, ['0', '1'])
    await server.java.endTransaction('o', 'commit')
    assert.deepEqual(await running, ['0', '1', '2', '3'])
    await execution.close()
  })

  it('group offsets follow completed checkpoints, over markers too', async () => {
    await server.createTopic('groups')
    await server.java.produce('groups', numbered(3), { transactionalId: 'g', end: 'commit' })
    const execution = await execute(source('groups', (builder) => builder.setGroupId('groups-group')))
    await execution.run(() => execution.harness.values.length === 3)
    assert.equal(execution.reader.poll(1), 'waiting', 'the marker is walked over')
    execution.snapshot(1)
    assert.deepEqual(await server.java.groupOffsets('groups-group'), [])
    await execution.reader.checkpointCompleted?.(checkpointId(1))
    const [committed] = await server.java.groupOffsets('groups-group')
    assert.deepEqual([committed?.topic, committed?.partition, committed?.offset], ['groups', 0, 4])
    await execution.close()
  })

  it('partitions and topics that appear later are read from their beginning', async () => {
    await server.createTopic('grow-a')
    const growing = KafkaSource.builder()
      .setBootstrapServers(server.bootstrapServers)
      .setTopicPattern('grow-.*')
      .setStartingOffsets(OffsetsInitializer.latest())
      .setProperty('partition.discovery.interval.ms', 300)
      .setProperty('metadata.max.age.ms', 300)
      .setValueOnlyDeserializer(new SimpleStringSchema())
      .build()
    const execution = await execute(growing)
    await server.java.createPartitions('grow-a', 2)
    await server.createTopic('grow-b')
    await server.java.produce('grow-a', [{ value: 'a1', partition: 1 }])
    await server.java.produce('grow-b', [{ value: 'b0', partition: 0 }])
    await execution.run(() => execution.harness.values.length === 2)
    assert.deepEqual(execution.harness.values.toSorted(), ['a1', 'b0'])
    await execution.close()
  })

  it('whole records carry key, headers, timestamp, null values and text beyond ASCII', async () => {
    await server.createTopic('whole')
    await server.java.produce('whole', [
      { key: 'ключ', value: '{"ü":1}', timestamp: 5, headers: [{ key: 'h', value: 'x' }] },
      { key: null, value: null },
    ])
    const common = { bootstrapServers: server.bootstrapServers, topics: 'whole', bounded: OffsetsInitializer.latest() }
    const seen = await readAll(
      KafkaSource.from({
        ...common,
        deserializer: KafkaRecordDeserializationSchema.of(({ key, value, timestamp, offset, headers }) => [
          key?.toString(),
          value?.toString(),
          offset === 0n ? timestamp : 'later',
          headers.map((header) => `${header.key}=${header.value?.toString()}`).join(),
        ]),
      }),
    )
    assert.deepEqual(seen, [
      ['ключ', '{"ü":1}', 5, 'h=x'],
      [undefined, undefined, 'later', ''],
    ])
    await server.createTopic('json')
    await server.java.produceJson('json', [{ a: 1 }], { key: () => '"k"' })
    const json = KafkaSource.from({
      ...common,
      topics: 'json',
      deserializer: new JsonKeyValueDeserializationSchema(true),
    })
    assert.deepEqual(await readAll(json), [
      { key: 'k', value: { a: 1 }, metadata: { offset: 0, topic: 'json', partition: 0 } },
    ])
  })
})
