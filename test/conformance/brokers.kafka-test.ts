/**
 * The brokers that this client is tried on, from the oldest line to the newest: the same round of topics, plain records in each
 * codec, transactions and questions on each. What a broker lacks is undefined or a refusal that names it, and never a silent
 * other answer. docs/brokers.md tells the same to users; the whole conformance suite runs on them in the long form of the tests.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import {
  endTransaction,
  initProducerId,
  KafkaAdmin,
  type KafkaCluster,
  Producer,
  parseProducerOptions,
  type TransactionHandle,
  transactionVersion,
} from '../../src/kafka/index.ts'
import { KAFKA_VERSIONS, KafkaServer } from '../../src/testing/index.ts'
import { connect } from './connect.ts'
import { readRecords } from './read-records.ts'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** The records are of 1970. */
const KEEP = { 'retention.ms': -1 } as const
/** Before 3.0 brokers do not tell of transactions and producers, nor of the record with the highest timestamp. */
const TELLS: Readonly<Record<string, boolean>> = {
  [KAFKA_VERSIONS.oldest]: false,
  [KAFKA_VERSIONS.older]: true,
  [KAFKA_VERSIONS.newest]: true,
}
const TRANSACTION_VERSION: Readonly<Record<string, number>> = {
  [KAFKA_VERSIONS.oldest]: 1,
  [KAFKA_VERSIONS.older]: 1,
  [KAFKA_VERSIONS.newest]: 2,
}

for (const version of Object.values(KAFKA_VERSIONS)) {
  suite(`Apache Kafka ${version}`, () => {
    let server: KafkaServer
    let cluster: KafkaCluster
    let admin: KafkaAdmin
    before(async () => {
      // None is killed here, and one that stands still for a moment must not be taken for dead.
      server = await KafkaServer.start({ version, properties: { 'broker.session.timeout.ms': 15_000 } })
      cluster = connect(server)
      admin = new KafkaAdmin(cluster, { timeoutMs: 120_000 })
    })
    after(async () => {
      await cluster?.close()
      await server?.close()
    })

    test('plain records in every codec are written and read, here and by the Java client', async () => {
      await admin.createTopics([{ name: 'plain', partitions: 2, replicationFactor: 1, config: KEEP }])
      const [described] = await admin.describeTopics(['plain'])
      assert.equal(described?.partitions.length, 2)
      for (const codec of CODECS) {
        const producer = new Producer(cluster, parseProducerOptions({ 'compression.type': codec }))
        const topic = await producer.topic('plain')
        for (let i = 0; i < 50; i++) topic.append(i % 2, 1_000 + i, `k${i}`, `${codec} ${i}`)
        await producer.seal()
        await producer.close()
      }
      const expected = CODECS.flatMap((codec) => Array.from({ length: 50 }, (_, i) => `${codec} ${i}`))
      const seen = await read('plain')
      assert.deepEqual(seen.sort(), [...expected].sort())
      const byJava = await server.java.readAll('plain')
      assert.deepEqual(byJava.map(({ value }) => String(value)).sort(), [...expected].sort())
    })

    test('transactions of the version the broker has are committed, aborted, resumed and fenced', async () => {
      await admin.createTopics([{ name: 'exact', partitions: 1, replicationFactor: 1, config: KEEP }])
      assert.equal(await transactionVersion(cluster), TRANSACTION_VERSION[version])
      const committed = await write('id', 'kept')
      assert.equal((await endTransaction(cluster, committed, true, { deadlineMs: 120_000 })).kind, 'ended')
      // As after a crash: whoever resumes it knows its identity alone.
      assert.equal((await endTransaction(cluster, committed, true, { deadlineMs: 120_000 })).kind, 'ended', 'again')
      const aborted = await write('id', 'gone')
      assert.equal((await endTransaction(cluster, aborted, false, { deadlineMs: 120_000 })).kind, 'ended')
      const fenced = await write('id', 'fenced')
      await initProducerId(cluster, 'id', 600_000)
      assert.equal((await endTransaction(cluster, fenced, true, { deadlineMs: 120_000 })).kind, 'refused')
      const last = await write('id', 'last')
      assert.equal((await endTransaction(cluster, last, true, { deadlineMs: 120_000 })).kind, 'ended')
      assert.equal(
        (await endTransaction(cluster, last, true, { deadlineMs: 120_000 })).kind,
        'ended',
        'markers written',
      )
      assert.deepEqual(await read('exact'), ['kept', 'last'])
      assert.deepEqual(
        (await server.java.readAll('exact')).map(({ value }) => String(value)),
        ['kept', 'last'],
      )
    })

    test('offsets are told by place and time, groups keep theirs', async () => {
      await admin.createTopics([{ name: 'asked', partitions: 1, replicationFactor: 1, config: KEEP }])
      await server.java.produceGenerated('asked', { count: 10, value: '{i}', timestampFrom: 5_000 })
      const at = async (place: 'earliest' | 'latest' | 'maxTimestamp' | number): Promise<number | undefined> => {
        const question = typeof place === 'number' ? { timestamp: place } : place
        return (await admin.listOffsets([{ topic: 'asked', partition: 0, at: question }]))[0]?.offset
      }
      assert.deepEqual([await at('earliest'), await at('latest'), await at(5_004), await at(9_000)], [0, 10, 4, -1])
      if (TELLS[version] === true) assert.equal(await at('maxTimestamp'), 9)
      else
        await assert.rejects(at('maxTimestamp'), { code: 'KAFKA_VERSION_UNSUPPORTED', message: /ListOffsets 0 to 4/ })
      await admin.commitGroupOffsets('group', [{ topic: 'asked', partition: 0, offset: 7 }])
      assert.equal((await admin.groupOffsets('group'))[0]?.offset, 7)
      assert.equal((await admin.describeConfigs({ type: 'topic', name: 'asked' }, ['cleanup.policy'])).size, 1)
      assert.equal(await admin.transactionMaxTimeoutMs(), 900_000)
    })

    test('what the broker knows of transactions and producers is told, or undefined', async () => {
      await admin.createTopics([{ name: 'told', partitions: 1, replicationFactor: 1, config: KEEP }])
      const handle = await write('told-id', 'v', 'told')
      const described = await admin.describeTransactions(['told-id'])
      const listed = await admin.listTransactions({ states: ['Ongoing'] })
      const producers = await admin.describeProducers([{ topic: 'told', partition: 0 }])
      if (TELLS[version] === true) {
        assert.equal(described?.[0]?.state, 'Ongoing')
        assert.deepEqual(
          listed?.map(({ transactionalId }) => transactionalId),
          ['told-id'],
        )
        const [one] = producers?.[0]?.producers ?? []
        assert.equal(one?.producerId, handle.producerId)
        assert.equal(one?.transactionStartOffset, 0)
      } else assert.deepEqual([described, listed, producers], [undefined, undefined, undefined])
      assert.equal((await endTransaction(cluster, handle, false, { deadlineMs: 120_000 })).kind, 'ended')
    })

    test('a topic gets more partitions', async () => {
      await admin.createTopics([{ name: 'grows', partitions: 1, replicationFactor: 1, config: KEEP }])
      await admin.createPartitions([{ name: 'grows', total: 3 }])
      // The controller answers before the broker tells of them.
      let partitions = 0
      for (const until = performance.now() + 60_000; partitions !== 3 && performance.now() < until; ) {
        partitions = (await admin.describeTopics(['grows']))[0]?.partitions.length ?? 0
      }
      assert.equal(partitions, 3)
      await assert.rejects(admin.createPartitions([{ name: 'grows', total: 2 }]), { code: 'OPTION_INVALID' })
    })

    if (version === KAFKA_VERSIONS.oldest)
      test('records of the format from before 0.11 are refused, with the way to convert them', async () => {
        const config = { ...KEEP, 'message.format.version': '0.10.2' }
        await admin.createTopics([{ name: 'format', partitions: 1, replicationFactor: 1, config }])
        const properties = { 'enable.idempotence': false }
        await server.java.produceGenerated('format', { count: 3, value: '{i}' }, { properties })
        await assert.rejects(readRecords(cluster, 'format', 'read_committed'), {
          code: 'KAFKA_MESSAGE_FORMAT_UNSUPPORTED',
          message: /format-0 has message format 1.*copy them to a new topic/,
        })
        const producer = new Producer(cluster, parseProducerOptions({}))
        ;(await producer.topic('format')).append(0, 1_000, null, 'v')
        await assert.rejects(producer.seal(), { code: 'KAFKA_MESSAGE_FORMAT_UNSUPPORTED' })
        await producer.close({ discard: true })
      })

    async function write(id: string, value: string, topic = 'exact'): Promise<TransactionHandle> {
      const producer = new Producer(cluster, parseProducerOptions({}))
      const handle = await producer.topic(topic)
      producer.beginTransaction(id, await transactionVersion(cluster), initProducerId(cluster, id, 600_000))
      handle.append(0, 1_000, null, value)
      const sealed = await producer.seal()
      await producer.close()
      assert.ok(sealed.handle !== undefined)
      return sealed.handle
    }

    async function read(topic: string): Promise<string[]> {
      return (await readRecords(cluster, topic, 'read_committed')).flat().map(({ value }) => String(value))
    }
  })
}
