/**
 * Both ways with the programs that come with Apache Kafka: what this client writes, its console consumer and its log dumper
 * read as it was written; what its performance and verifiable producers, and its transactional producer in random runs,
 * write, this client reads as Kafka's own consumer does.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { SeededRandom } from '../../src/base/index.ts'
import {
  endTransaction,
  initProducerId,
  type KafkaCluster,
  Producer,
  parseProducerOptions,
  transactionVersion,
} from '../../src/kafka/index.ts'
import { KAFKA_VERSIONS, type KafkaRecord, KafkaServer } from '../../src/testing/index.ts'
import { installKafka } from '../../src/testing/kafka-server/kafka-installation.ts'
import { connect } from './connect.ts'
import { readRecords } from './read-records.ts'
import type { Isolation, Settings } from './scenario.ts'

const SEED = Number(process.env.MILLRACE_SEED ?? Date.now() % 1_000_000)
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const TOOLS = 'org.apache.kafka.tools'
const T0 = 1_700_000_000_000

let server: KafkaServer
let cluster: KafkaCluster

before(async () => {
  server = await KafkaServer.start({ properties: { 'log.cleaner.backoff.ms': 200 } })
  cluster = connect(server)
})

after(async () => {
  await cluster?.close()
  await server?.close()
})

/** What a program of Kafka's prints. */
async function java(program: string, ...args: readonly string[]): Promise<string> {
  const { java: command, classpath } = await installKafka(KAFKA_VERSIONS.newest)
  const flags = [
    '-Xmx300m',
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=off',
  ]
  const options = { env: { ...process.env, CLASSPATH: classpath }, timeout: 240_000, maxBuffer: 1 << 28 }
  return (await promisify(execFile)(command, [...flags, `${TOOLS}.${program}`, ...args], options)).stdout
}

interface Written {
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly { readonly key: string; readonly value: Buffer | null }[]
}

const WRITTEN: readonly Written[] = [
  { timestamp: T0, key: 'key', value: 'value', headers: [] },
  { timestamp: T0 + 1, key: null, value: 'no key', headers: [] },
  { timestamp: T0 + 2, key: 'no value', value: null, headers: [] },
  { timestamp: T0 - 9_000, key: '', value: 'earlier, grüße 日本語 🦄', headers: [] },
  {
    timestamp: T0 + 3,
    key: 'k',
    value: 'headers',
    headers: [
      { key: 'a', value: Buffer.from('1') },
      { key: 'a', value: null },
      { key: 'имя', value: Buffer.from('ü') },
    ],
  },
  ...Array.from({ length: 300 }, (_, i) => ({ timestamp: T0 + i, key: `k${i % 7}`, value: `value ${i}`, headers: [] })),
]

async function write(
  topic: string,
  partition: number,
  settings: Settings,
  transaction?: { readonly id: string; readonly commit: boolean },
): Promise<void> {
  const producer = new Producer(cluster, parseProducerOptions(settings))
  const handle = await producer.topic(topic)
  if (transaction !== undefined) {
    const version = await transactionVersion(cluster)
    producer.beginTransaction(transaction.id, version, initProducerId(cluster, transaction.id, 600_000))
  }
  for (const { timestamp, key, value, headers } of WRITTEN) handle.append(partition, timestamp, key, value, headers)
  const sealed = await producer.seal()
  if (transaction !== undefined) {
    assert.ok(sealed.handle !== undefined)
    // The second answer comes when the markers are written.
    for (let round = 0; round < 2; round++) {
      const outcome = await endTransaction(cluster, sealed.handle, transaction.commit, { deadlineMs: 120_000 })
      assert.equal(outcome.kind, 'ended')
    }
  }
  await producer.close()
}

suite("what this client writes, Kafka's programs read", () => {
  /** A partition for each codec, then one with an aborted and a committed transaction. */
  const TRANSACTIONS = CODECS.length
  before(async () => {
    await server.createTopic('own', { partitions: CODECS.length + 1 })
    for (const [partition, codec] of CODECS.entries()) {
      await write('own', partition, { 'compression.type': codec, 'batch.size': 1_000 })
    }
    const settings = { 'compression.type': 'lz4', 'batch.size': 1_000 }
    await write('own', TRANSACTIONS, settings, { id: 'gone', commit: false })
    await write('own', TRANSACTIONS, settings, { id: 'kept', commit: true })
  })

  /** Where the first record of the committed transaction is: behind as many aborted ones and their marker. */
  const firstOf = (partition: number): number => (partition === TRANSACTIONS ? WRITTEN.length + 1 : 0)

  test('the console consumer sees every record with its key, value, headers, time and place', async () => {
    const shown = ['timestamp', 'partition', 'offset', 'headers', 'key', 'value']
    const printed = await java(
      'consumer.ConsoleConsumer',
      ...['--bootstrap-server', server.bootstrapServers, '--topic', 'own', '--from-beginning'],
      ...['--isolation-level', 'read_committed', '--max-messages', `${WRITTEN.length * (CODECS.length + 1)}`],
      ...['--timeout-ms', '120000', ...shown.flatMap((what) => ['--formatter-property', `print.${what}=true`])],
    )
    const lines = printed.split('\n').filter((line) => line !== '')
    for (let partition = 0; partition <= TRANSACTIONS; partition++) {
      const own = lines.filter((line) => line.split('\t')[1] === `Partition:${partition}`)
      const expected = WRITTEN.map(({ timestamp, key, value, headers }, index) => {
        const pairs = headers.map((header) => `${header.key}:${header.value?.toString() ?? 'null'}`).join(',')
        const place = `CreateTime:${timestamp}\tPartition:${partition}\tOffset:${firstOf(partition) + index}`
        return `${place}\t${pairs === '' ? 'NO_HEADERS' : pairs}\t${key ?? 'null'}\t${value ?? 'null'}`
      })
      assert.deepEqual(own, expected, CODECS[partition] ?? 'transactions')
    }
  })

  test('the log dumper finds every batch valid, of its codec and its transaction, and the same records', async () => {
    const folder = server.nodes[0]?.dataDirectory ?? ''
    // A marker has the time of now, far from that of the records, so that it begins a new segment.
    const files = [...CODECS, 'transactions'].map((_, partition) => {
      const place = join(folder, `own-${partition}`)
      const segments = readdirSync(place).filter((name) => name.endsWith('.log'))
      return segments.sort().map((name) => join(place, name))
    })
    const printed = await java('DumpLogSegments', '--print-data-log', '--files', files.flat().join(','))
    const parts = printed.split(/^Dumping .*$/m).slice(1)
    assert.equal(parts.length, files.flat().length)
    const dumps = files.map((segments) => parts.splice(0, segments.length).join(''))
    for (const [partition, dump] of dumps.entries()) {
      const batches = dump.split('\n').filter((line) => line.startsWith('baseOffset:'))
      const data = batches.filter((line) => line.includes('isControl: false'))
      assert.ok(data.length > (partition === TRANSACTIONS ? 3 : 1), 'several batches')
      const transactional = partition === TRANSACTIONS
      for (const line of batches) assert.match(line, /magic: 2 .*isvalid: true/)
      for (const line of data) {
        assert.match(
          line,
          new RegExp(`isTransactional: ${transactional} .*compresscodec: ${CODECS[partition] ?? 'lz4'} `),
        )
      }
      assert.deepEqual(
        data.map((line) => Number(/ count: (\d+)/.exec(line)?.[1])).reduce((sum, count) => sum + count, 0),
        WRITTEN.length * (transactional ? 2 : 1),
      )
      const markers = [...dump.matchAll(/endTxnMarker: (\w+)/g)].map((match) => match[1])
      assert.deepEqual(markers, transactional ? ['ABORT', 'COMMIT'] : [])
      const records = dump.split('\n').filter((line) => line.startsWith('|') && line.includes('headerKeys:'))
      const expected = WRITTEN.map(({ timestamp, key, value, headers }, index) => {
        const keys = headers.map((header) => header.key).join(',')
        const text = `headerKeys: [${keys}]${key === null ? '' : ` key: ${key}`}${value === null ? '' : ` payload: ${value}`}`
        return { start: `| offset: ${firstOf(partition) + index} CreateTime: ${timestamp} `, text }
      })
      const committed = records.filter((line) => !line.includes('endTxnMarker')).slice(-WRITTEN.length)
      for (const [index, { start, text }] of expected.entries()) {
        assert.ok(committed[index]?.startsWith(start), `${committed[index]} begins with ${start}`)
        assert.ok(committed[index]?.endsWith(text), `${committed[index]} ends with ${text}`)
      }
    }
  })
})

/** Waits until nothing is open: a program that committed has ended before the markers are written. */
async function whenStable(topic: string): Promise<void> {
  const places = async (): Promise<string[]> =>
    Promise.all((['last-stable', 'latest'] as const).map(async (at) => (await server.java.offsets(topic, at)).join()))
  const until = performance.now() + 60_000
  for (let found = await places(); found[0] !== found[1]; found = await places()) {
    assert.ok(performance.now() < until, `${topic}: last stable ${found[0]}, latest ${found[1]}`)
    await sleep(20)
  }
}

/** Ours and Java's reading of a topic, to the last byte. */
async function assertReadAsByJava(
  topic: string,
  isolation: Isolation,
  settings: Settings = {},
): Promise<KafkaRecord[]> {
  const theirs = await server.java.readAll(topic, { isolation })
  const byPartition: string[][] = []
  for (const record of theirs) (byPartition[record.partition] ??= []).push(line(record))
  const ours = await readRecords(cluster, topic, isolation, settings)
  for (const [partition, records] of ours.entries()) {
    const message = `${topic}-${partition}, ${isolation}, ${JSON.stringify(settings)}`
    assert.deepEqual(records.map(line), byPartition[partition] ?? [], message)
  }
  return theirs
}

function line(
  record: Omit<KafkaRecord, 'partition'> | Awaited<ReturnType<typeof readRecords>>[number][number],
): string {
  const { offset, timestamp, timestampType, key, value, headers } = record
  const text = (bytes: Uint8Array | null): string => (bytes === null ? 'null' : Buffer.from(bytes).toString('latin1'))
  const pairs = headers.map((header) => `${header.key}=${text(header.value)}`).join()
  return `${offset} ${timestampType} ${timestamp} [${pairs}] ${text(key)}: ${text(value)}`
}

suite("what Kafka's programs write, this client reads", () => {
  test('ProducerPerformance, plain and in transactions', async () => {
    const runs: readonly (readonly [topic: string, ...args: string[]])[] = [
      ['perf-plain', '--command-property', 'compression.type=lz4', 'batch.size=30000'],
      ['perf-transactions', '--transactional-id', 'perf', '--transaction-duration-ms', '50'],
    ]
    for (const [topic] of runs) await server.createTopic(topic, { partitions: 3 })
    const address = ['--bootstrap-server', server.bootstrapServers]
    await Promise.all(
      runs.map(([topic, ...args]) =>
        java(
          'ProducerPerformance',
          ...address,
          '--topic',
          topic,
          ...'--num-records 20000 --record-size 100 --throughput -1'.split(' '),
          ...args,
        ),
      ),
    )
    for (const [topic] of runs) {
      await whenStable(topic)
      for (const isolation of ['read_committed', 'read_uncommitted'] as const) {
        assert.equal((await assertReadAsByJava(topic, isolation)).length, 20_000)
      }
    }
  })

  test('VerifiableProducer: every acknowledgement it printed is at its place', async () => {
    await server.createTopic('verifiable', { partitions: 2 })
    const printed = await java(
      'VerifiableProducer',
      ...['--bootstrap-server', server.bootstrapServers, '--topic', 'verifiable', '--max-messages', '2000'],
      ...['--value-prefix', '7', '--repeating-keys', '10'],
    )
    interface Event {
      readonly name: string
      readonly key: string
      readonly value: string
      readonly partition: number
      readonly offset: number
    }
    const events = printed.split('\n').flatMap((text) => (text === '' ? [] : [JSON.parse(text) as Event]))
    const acknowledged = events.filter(({ name }) => name === 'producer_send_success')
    assert.equal(acknowledged.length, 2_000)
    const records = await readRecords(cluster, 'verifiable', 'read_committed')
    assert.equal(records.flat().length, 2_000)
    for (const { partition, offset, key, value } of acknowledged) {
      const record = records[partition]?.[offset]
      assert.deepEqual([record?.offset, record?.key?.toString(), record?.value?.toString()], [offset, key, value])
    }
  })

  test(`committed, aborted, open and plain records of several Java producers in a random run (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED)
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random.next() * from.length)] as T
    await server.createTopic('mixed', { partitions: 3 })
    const open = new Set<string>()
    for (let step = 0; step < 45; step++) {
      const id = pick(['', 'red', 'green', 'blue'])
      const count = 1 + Math.floor(random.next() * 40)
      const partition = Math.floor(random.next() * 4)
      const records = Array.from({ length: count }, (_, i) => ({
        key: i % 5 === 0 ? null : `${step}`,
        value: i % 11 === 0 ? null : `${id} ${step} ${i} ${'.'.repeat(Math.floor(random.next() * 60))}`,
        partition: partition === 3 ? i % 3 : partition,
        timestamp: T0 + step * 1_000 + i,
        headers: i % 7 === 0 ? [{ key: 'step', value: `${step}` }] : [],
      }))
      const compression = pick(CODECS)
      if (id === '') await server.java.produce('mixed', records, { compression })
      else {
        const end = pick(['open', 'open', 'commit', 'abort'] as const)
        await server.java.produce('mixed', records, { compression, transactionalId: id, end })
        if (end === 'open') open.add(id)
        else open.delete(id)
      }
    }
    const compare = async (): Promise<void> => {
      for (const isolation of ['read_committed', 'read_uncommitted'] as const) {
        await assertReadAsByJava('mixed', isolation)
        await assertReadAsByJava('mixed', isolation, { 'max.partition.fetch.bytes': 100, 'fetch.max.bytes': 300 })
      }
    }
    await compare()
    for (const id of open) await server.java.endTransaction(id, pick(['commit', 'abort'] as const))
    await compare()
  })

  test('a log that the cleaner has compacted, with holes in its batches', async () => {
    const config = {
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': 0.01,
      'segment.ms': 300,
      'max.compaction.lag.ms': 300,
      'delete.retention.ms': 100,
    }
    await server.createTopic('compacted', { config })
    const now = Date.now()
    const records = Array.from({ length: 500 }, (_, i) => ({
      key: `k${i % (i < 250 ? 40 : 7)}`,
      value: i % 13 === 0 ? null : `v${i}`,
      timestamp: now + i,
    }))
    await server.java.produce('compacted', records.slice(0, 250), { compression: 'lz4' })
    await server.java.produce('compacted', records.slice(250), { transactionalId: 'cleaned' })
    const until = performance.now() + 120_000
    for (let round = 0; ; round++) {
      // A segment is closed by what comes after it.
      await server.java.produce('compacted', [{ key: 'k0', value: `round ${round}` }])
      await sleep(400)
      if ((await readRecords(cluster, 'compacted', 'read_committed')).flat().length < 200) break
      assert.ok(performance.now() < until, 'the cleaner comes within 120 s')
    }
    // It may come again between the two readings.
    for (let attempt = 0; ; attempt++) {
      try {
        await assertReadAsByJava('compacted', 'read_committed')
        await assertReadAsByJava('compacted', 'read_uncommitted', { 'max.partition.fetch.bytes': 100 })
        return
      } catch (error) {
        if (attempt === 20) throw error
        await sleep(500)
      }
    }
  })
})
