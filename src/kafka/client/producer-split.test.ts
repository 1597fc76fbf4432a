/**
 * Batches that are too large for their topic: against a cluster in memory that answers by script, for what is in flight beside
 * them, and against the embedded broker, for what is in the log in the end. The numbers are those of producer-SPEC.md.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { SystemClock, SystemRandom, silentLogger } from '../../base/index.ts'
import { EmbeddedBroker } from '../../broker/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { incrementalAlterConfigsApi } from '../protocol/generated/incremental-alter-configs.ts'
import { BatchReader } from '../records/batch-reader.ts'
import { BatchWriter } from '../records/batch-writer.ts'
import { COMPRESSION_CODECS, type CompressionCodec } from '../records/compression.ts'
import type { RecordHeader } from '../records/record-headers.ts'
import { type ReadRecord, readTopic, values } from './fetcher-reading.test-double.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { type KafkaProperties, parseClusterOptions, parseProducerOptions } from './options.ts'
import { DoubleCluster } from './producer.test-double.ts'
import { Producer } from './producer.ts'
import { ProducerBatch } from './producer-batch.ts'
import { ProducerLane } from './producer-lane.ts'
import { ProducerMemory } from './producer-memory.ts'
import { ProducerScope } from './producer-scope.ts'
import { splitBatch } from './producer-split.ts'
import { endTransaction, initProducerId } from './transactions.ts'

const series = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`)

/** Moves the clock until the promise is settled; fails after 60 s of its time. */
async function within<T>(cluster: DoubleCluster, promise: Promise<T>): Promise<T> {
  let done = false
  promise.then(
    () => void (done = true),
    () => void (done = true),
  )
  for (let step = 0; step < 6000 && !done; step++) await cluster.clock.advance(10)
  assert.ok(done, 'settled within 60 s')
  return promise
}

function newProducer(cluster: DoubleCluster, properties: KafkaProperties = {}): Producer {
  const all = { 'batch.size': 400, 'max.request.size': 500, 'delivery.timeout.ms': 10_000, ...properties }
  return new Producer(cluster, parseProducerOptions(all))
}

async function append(producer: Producer, topic: string, partition: number, all: readonly string[]): Promise<void> {
  const handle = await producer.topic(topic)
  for (const value of all) handle.append(partition, 1000, null, value)
}

type Shown = readonly [timestamp: number, key: string | null, value: string | null, headers: readonly RecordHeader[]]

function shown(bytes: Buffer): Shown[] {
  const reader = new BatchReader()
  reader.reset('t', 0, bytes, 0)
  assert.ok(reader.nextBatch())
  const all: Shown[] = []
  while (reader.next()) {
    const headers = reader
      .headers()
      .map(({ key, value }) => ({ key, value: value === null ? null : Buffer.from(value) }))
    all.push([reader.timestamp, reader.keyString(), reader.valueString(), headers])
  }
  return all
}

/** A batch of records of every shape, as it was sent. */
function sentBatch(compression: CompressionCodec, baseSequence: number): { batch: ProducerBatch; records: Shown[] } {
  const lane = new ProducerLane('t', 0)
  const scope = new ProducerScope({ transactionalId: 'id', version: 2, beganAtMs: 0 })
  scope.identity = { producerId: 7, epoch: 3 }
  const writer = new BatchWriter(100_000)
  const records: Shown[] = []
  for (let at = 0; at < 40; at++) {
    const headers =
      at % 3 === 0
        ? [
            { key: 'h', value: Buffer.from(`${at}`) },
            { key: 'h', value: null },
          ]
        : []
    const record: Shown = [
      9000 - at * 7,
      at % 4 === 0 ? null : `key ${at}`,
      at % 5 === 0 ? null : 'v'.repeat(at * 9),
      headers,
    ]
    records.push(record)
    writer.append(...record)
  }
  const batch = new ProducerBatch(lane, scope, writer, 128 * 1024, 77)
  batch.takeOver(baseSequence)
  batch.stamped(compression)
  return { batch, records }
}

for (const compression of COMPRESSION_CODECS) {
  test(`13: the parts of a batch (${compression}) hold its records and their sequences, beyond the largest one too`, () => {
    const { batch, records } = sentBatch(compression, 0x7fff_fff0)
    const memory = new ProducerMemory(1 << 20, 100_000)
    const parts = splitBatch(batch, Math.ceil(batch.plainBytes / 2), memory, compression)
    const got = parts.flatMap((part) => shown(part.stamped(compression)))
    assert.deepEqual(got, records)
    let sequence = 0x7fff_fff0
    for (const part of parts) {
      assert.equal(part.baseSequence, sequence)
      assert.equal(part.stamped(compression).readInt32BE(53), sequence)
      assert.ok(part.plainBytes <= Math.ceil(batch.plainBytes / 2) || part.writer.recordCount === 1)
      assert.equal(part.openedAtMs, batch.openedAtMs)
      for (let record = 0; record < part.writer.recordCount; record++) {
        sequence = sequence === 0x7fff_ffff ? 0 : sequence + 1
      }
    }
    assert.ok(parts.length >= 2)
    assert.equal(
      memory.usedBytes,
      parts.reduce((sum, { capacity }) => sum + capacity, 0),
    )
  })
}

test('13: a batch too large for its topic arrives in parts, in order, whatever is in flight behind it', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = newProducer(cluster)
  const log = cluster.log('t/0')
  await append(producer, 't', 0, series('first-', 100))
  await within(cluster, producer.seal())
  const whole = log.sizes.length
  log.bytesMax = 150
  await append(producer, 't', 0, series('second-', 200))
  await within(cluster, producer.seal())
  assert.deepEqual(log.values, [...series('first-', 100), ...series('second-', 200)])
  assert.ok(log.sizes.slice(whole).every((size) => size <= 150))
  assert.ok(producer.metrics().splits > 0)
  assert.equal(producer.metrics().bufferBytesUsed, 0)
  assert.equal(producer.metrics().recordsAcknowledged, 300)
})

test('13: batches behind the refused one that would fit wait for its parts', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = newProducer(cluster)
  const log = cluster.log('t/0')
  await append(producer, 't', 0, ['known'])
  await within(cluster, producer.seal())
  log.bytesMax = 200
  const handle = await producer.topic('t')
  // A full batch and two small ones leave together; the small ones meet a gap in the sequence.
  for (const value of series('large-', 20)) handle.append(0, 1000, null, value)
  producer.nudge()
  const sealed = [producer.seal()]
  for (const name of ['a', 'b']) {
    handle.append(0, 1000, null, name)
    sealed.push(producer.seal())
  }
  await within(cluster, Promise.all(sealed))
  assert.deepEqual(log.values, ['known', ...series('large-', 20), 'a', 'b'])
  assert.ok(producer.metrics().retries >= 2)
})

test('13: what was learnt of the limit makes later batches small, until it is forgotten', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = newProducer(cluster)
  const log = cluster.log('t/0')
  log.bytesMax = 150
  await append(producer, 't', 0, series('v', 200))
  await within(cluster, producer.seal())
  const { splits } = producer.metrics()
  await append(producer, 't', 0, series('w', 200))
  await within(cluster, producer.seal())
  assert.equal(producer.metrics().splits, splits)
  log.bytesMax = Number.POSITIVE_INFINITY
  await cluster.clock.advance(6 * 60_000)
  const before = log.sizes.length
  await append(producer, 't', 0, series('x', 200))
  await within(cluster, producer.seal())
  assert.ok(
    log.sizes.slice(before).some((size) => size > 300),
    'full batches again',
  )
  assert.equal(log.values.length, 600)
})

test('13: a transaction is sealed when all parts are acknowledged, with all its records', async () => {
  for (const version of [1, 2] as const) {
    const cluster = new DoubleCluster({ t: 2 }, 1)
    for (const log of cluster.logs.values()) log.bytesMax = 150
    const producer = newProducer(cluster)
    for (const [index, id] of ['a', 'b'].entries()) {
      producer.beginTransaction(id, version, Promise.resolve({ producerId: index, epoch: 0 }))
      for (let p = 0; p < 2; p++) await append(producer, 't', p, series(`${id}${p}-`, 80))
      const sealing = producer.seal()
      const sealed = await within(cluster, sealing)
      assert.deepEqual([...sealed.records], [['t', 160]])
      for (let p = 0; p < 2; p++) assert.equal(cluster.log(`t/${p}`).values.length, 80 * (index + 1))
    }
    for (let p = 0; p < 2; p++) {
      assert.deepEqual(cluster.log(`t/${p}`).values, [...series(`a${p}-`, 80), ...series(`b${p}-`, 80)])
    }
  }
})

test('13: without idempotence the parts keep the order too', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  cluster.log('t/0').bytesMax = 150
  const producer = newProducer(cluster, { 'enable.idempotence': 'false' })
  await append(producer, 't', 0, series('v', 200))
  await within(cluster, producer.seal())
  assert.deepEqual(cluster.log('t/0').values, series('v', 200))
})

test('14: a part that finds the whole batch written before is told as that, and nothing is written twice', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const log = cluster.log('t/0')
  cluster.fate = (request) => (request === 0 ? 'break after serving' : 'served')
  const producer = newProducer(cluster)
  await append(producer, 't', 0, series('v', 10))
  const sealed = producer.seal()
  sealed.catch(() => undefined)
  for (let turn = 0; turn < 100 && log.values.length === 0; turn++) await cluster.clock.advance(0)
  log.bytesMax = 100
  await assert.rejects(within(cluster, sealed), {
    code: 'KAFKA_PRODUCE_FAILED',
    message: /t-0.*part of a larger one.*max\.message\.bytes of the topic was lowered/,
  })
  assert.deepEqual(log.values, series('v', 10))
})

for (const code of [KafkaErrorCode.MESSAGE_TOO_LARGE, KafkaErrorCode.RECORD_LIST_TOO_LARGE]) {
  test(`14: a single record answered ${code} fails with its place, its size and what to do`, async () => {
    const cluster = new DoubleCluster({ t: 1 }, 1)
    cluster.fate = () => ({ refuse: code })
    const producer = newProducer(cluster, { 'compression.type': 'gzip' })
    await append(producer, 't', 0, ['v'.repeat(300)])
    const setting = code === KafkaErrorCode.MESSAGE_TOO_LARGE ? 'max\\.message\\.bytes' : 'segment\\.bytes'
    await assert.rejects(within(cluster, producer.seal()), {
      code: 'KAFKA_RECORD_TOO_LARGE',
      message: new RegExp(`single record for t-0.*takes \\d+ bytes \\(37\\d before compression\\).*Raise ${setting}`),
    })
    assert.deepEqual(cluster.log('t/0').values, [])
  })
}

function embedded(context: TestContext): { broker: EmbeddedBroker; cluster: KafkaCluster } {
  const ports = { clock: new SystemClock(), random: new SystemRandom(), logger: silentLogger }
  const broker = new EmbeddedBroker(ports)
  const options = parseClusterOptions({ 'bootstrap.servers': broker.bootstrapServers })
  const cluster = new KafkaCluster(options, { ...ports, network: broker.network })
  context.after(async () => {
    await cluster.close()
    await broker.close()
  })
  return { broker, cluster }
}

async function limit(cluster: KafkaCluster, topic: string, bytes: number): Promise<void> {
  const configs = [{ name: 'max.message.bytes', configOperation: 0, value: String(bytes) }]
  const resources = [{ resourceType: 2, resourceName: topic, configs }]
  const answer = await (await cluster.anyConnection()).send(incrementalAlterConfigsApi, {
    resources,
    validateOnly: false,
  })
  assert.equal(answer.responses[0]?.errorCode, 0)
}

const read = async (cluster: KafkaCluster, topic: string): Promise<string[][]> =>
  (await readTopic(cluster, topic, 'read_committed')).map((records: readonly ReadRecord[]) => values(records))

for (const compression of ['none', 'lz4'] as const) {
  test(`13: a limit that is lowered while a producer writes loses, repeats and reorders nothing (${compression})`, async (context) => {
    const { broker, cluster } = embedded(context)
    broker.createTopic('t', { partitions: 3 })
    const options = parseProducerOptions({ 'batch.size': 8_000, 'linger.ms': 0, 'compression.type': compression })
    const producer = new Producer(cluster, options)
    const handle = await producer.topic('t')
    const expected: string[][] = [[], [], []]
    for (const [round, bytes] of [8_000, 2_000, 600, 300, 5_000].entries()) {
      await limit(cluster, 't', bytes)
      for (let p = 0; p < 3; p++) {
        for (const value of series(`${round}-${p}-`, 700)) {
          handle.append(p, 1_700_000_000_000, null, value)
          expected[p]?.push(value)
        }
      }
      await cluster.ports.clock.nextTurn()
    }
    await producer.close()
    assert.deepEqual(await read(cluster, 't'), expected)
    assert.ok(producer.metrics().splits > 0)
  })
}

test('13: transactions over a limit commit all their records, once and in order', async (context) => {
  const { broker, cluster } = embedded(context)
  broker.createTopic('t', { partitions: 2, config: { 'max.message.bytes': 500 } })
  const producer = new Producer(cluster, parseProducerOptions({ 'batch.size': 8_000, 'linger.ms': 0 }))
  const handle = await producer.topic('t')
  const expected: string[][] = [[], []]
  for (let round = 0; round < 4; round++) {
    const id = `id-${round}`
    producer.beginTransaction(id, 2, initProducerId(cluster, id, 60_000))
    for (let p = 0; p < 2; p++) {
      for (const value of series(`${round}-${p}-`, 500)) {
        handle.append(p, 1_700_000_000_000, null, value)
        if (round !== 2) expected[p]?.push(value)
      }
    }
    const sealed = await producer.seal()
    assert.deepEqual([...sealed.records], [['t', 1000]])
    assert.ok(sealed.handle !== undefined)
    // The second answer comes when the markers are written.
    for (let asked = 0; asked < 2; asked++) {
      const outcome = await endTransaction(cluster, sealed.handle, round !== 2, { deadlineMs: 10_000 })
      assert.equal(outcome.kind, 'ended')
    }
  }
  await producer.close()
  assert.deepEqual(await read(cluster, 't'), expected)
})

test('14: a record above max.message.bytes of the topic fails the writer, naming place and limit', async (context) => {
  const { broker, cluster } = embedded(context)
  broker.createTopic('t', { config: { 'max.message.bytes': 500 } })
  const producer = new Producer(cluster, parseProducerOptions({ 'linger.ms': 0 }))
  const handle = await producer.topic('t')
  for (const value of ['before', 'x'.repeat(600), 'behind']) handle.append(0, 1_700_000_000_000, null, value)
  await assert.rejects(producer.seal(), {
    code: 'KAFKA_RECORD_TOO_LARGE',
    message: /single record for t-0.*max\.message\.bytes is 500.*takes 6\d\d bytes/,
  })
  assert.deepEqual(await read(cluster, 't'), [['before']])
})
