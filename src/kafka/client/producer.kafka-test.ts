/**
 * The producer, with the fetcher and Kafka's own consumer as readers, against Apache Kafka: transactions of both versions,
 * overlapping ones, a broker that is killed in the middle, the default partitioner, every codec.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { KafkaServer } from '../../testing/index.ts'
import { connect, readTopic, values } from './fetcher-reading.test-double.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
import { WatchedProduceCluster } from './producer-watched.test-double.ts'
import { endTransaction, initProducerId, type TransactionHandle, transactionVersion } from './transactions.ts'

const series = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`)

let server: KafkaServer
let cluster: KafkaCluster

/** These end what hangs. */
const DEADLINE_MS = 120_000
const LIMIT_MS = 600_000

function newProducer(
  properties: Readonly<Record<string, string | number>> = {},
  of: KafkaCluster | WatchedProduceCluster = cluster,
): Producer {
  return new Producer(of, parseProducerOptions({ 'batch.size': 2000, 'linger.ms': 5, ...properties }))
}

async function end(handle: TransactionHandle | undefined, commit: boolean): Promise<void> {
  assert.ok(handle !== undefined)
  // Repeated until the markers are written: then everything is visible, or gone.
  for (let round = 0; round < 2; round++) {
    const outcome = await endTransaction(cluster, handle, commit, { deadlineMs: DEADLINE_MS })
    assert.equal(outcome.kind, 'ended', JSON.stringify(outcome))
  }
}

async function javaValues(topic: string, isolation: 'read_committed' | 'read_uncommitted'): Promise<string[][]> {
  const records = await server.java.readAll(topic, { isolation })
  const byPartition: string[][] = []
  for (const record of records) (byPartition[record.partition] ??= []).push(String(record.value))
  return byPartition
}

for (const version of [2, 1] as const) {
  describe(`transaction version ${version}`, () => {
    before(async () => {
      server = await KafkaServer.start({ transactionVersion: version })
      cluster = connect(server.bootstrapServers)
    })
    after(async () => {
      await cluster?.close()
      await server?.close()
    })

    test('committed records are seen by both readers, aborted ones by neither but uncommitted', async () => {
      assert.equal(await transactionVersion(cluster), version)
      const topic = `commit-abort-${version}`
      await server.createTopic(topic, { partitions: 3 })
      const producer = newProducer()
      const handle = await producer.topic(topic)
      const all: string[][] = [[], [], []]
      const committed: string[][] = [[], [], []]
      for (const [round, commit] of [true, false, true, false, true].entries()) {
        producer.beginTransaction(`tx-${round}`, version, initProducerId(cluster, `tx-${round}`, LIMIT_MS))
        for (let p = 0; p < 3; p++) {
          for (const value of series(`${round}-${p}-`, 300)) {
            handle.append(p, 1000 + round, null, value)
            all[p]?.push(value)
            if (commit) committed[p]?.push(value)
          }
        }
        const sealed = await producer.seal()
        assert.deepEqual([...sealed.records], [[topic, 900]])
        await end(sealed.handle, commit)
      }
      const own = await readTopic(cluster, topic, 'read_committed')
      assert.deepEqual(own.map(values), committed)
      assert.deepEqual((await readTopic(cluster, topic, 'read_uncommitted')).map(values), all)
      assert.deepEqual(await javaValues(topic, 'read_committed'), committed)
      assert.deepEqual(await javaValues(topic, 'read_uncommitted'), all)
      // In pieces so small that no abort marker shares a response with its data.
      const small = await readTopic(cluster, topic, 'read_committed', { 'max.partition.fetch.bytes': 100 })
      assert.deepEqual(small.map(values), committed)
      await producer.close()
    })

    test('an id goes on with the identity it was given, transaction after transaction', async () => {
      const topic = `chain-${version}`
      await server.createTopic(topic)
      const producer = newProducer()
      const handle = await producer.topic(topic)
      const expected: string[] = []
      let next = await initProducerId(cluster, 'chain', LIMIT_MS)
      for (let round = 0; round < 10; round++) {
        producer.beginTransaction('chain', version, Promise.resolve(next))
        for (const value of series(`${round}-`, 200)) {
          handle.append(0, 1, 'key', value)
          expected.push(value)
        }
        const sealed = await producer.seal()
        assert.ok(sealed.handle !== undefined)
        const outcome = await endTransaction(cluster, sealed.handle, true, { deadlineMs: DEADLINE_MS })
        assert.ok(outcome.kind === 'ended', JSON.stringify(outcome))
        // Version 1 waits here until the markers are written; the end of the last one of version 2 is repeated for that.
        next = outcome.next ?? (await initProducerId(cluster, 'chain', LIMIT_MS))
        if (round === 9 && outcome.next !== undefined) await end(sealed.handle, true)
      }
      assert.deepEqual(await javaValues(topic, 'read_committed'), [expected])
      assert.deepEqual((await readTopic(cluster, topic, 'read_committed')).map(values), [expected])
      await producer.close()
    })

    test('transactions sealed while the one before is not ended keep the order of each partition', async () => {
      const topic = `overlap-${version}`
      await server.createTopic(topic, { partitions: 2 })
      const producer = newProducer({ 'linger.ms': 0 })
      const handle = await producer.topic(topic)
      const expected: string[][] = [[], []]
      const seals = []
      for (let round = 0; round < 4; round++) {
        const id = `overlap-${round}`
        producer.beginTransaction(id, version, initProducerId(cluster, id, LIMIT_MS))
        for (let p = 0; p < 2; p++) {
          for (const value of series(`${round}-${p}-`, 2000)) {
            handle.append(p, 1, null, value)
            expected[p]?.push(value)
          }
        }
        seals.push(producer.seal())
      }
      for (const sealed of await Promise.all(seals)) await end(sealed.handle, true)
      assert.deepEqual(await javaValues(topic, 'read_committed'), expected)
      assert.deepEqual((await readTopic(cluster, topic, 'read_committed')).map(values), expected)
      await producer.close()
    })

    test('a writer whose id was taken by somebody else fails as fenced', async () => {
      const topic = `fenced-${version}`
      await server.createTopic(topic)
      const producer = newProducer()
      const handle = await producer.topic(topic)
      producer.beginTransaction('taken', version, initProducerId(cluster, 'taken', LIMIT_MS))
      handle.append(0, 1, null, 'first')
      const until = performance.now() + DEADLINE_MS
      while (producer.metrics().recordsAcknowledged < 1) {
        assert.ok(performance.now() < until, 'the first record is written')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await initProducerId(cluster, 'taken', LIMIT_MS)
      handle.append(0, 1, null, 'second')
      await assert.rejects(producer.seal(), (error: { code?: string; message?: string }) => {
        assert.match(error.code ?? '', /KAFKA_FENCED|KAFKA_TRANSACTION_ABORTED/)
        assert.match(error.message ?? '', /transactional id taken \(producer id \d+, epoch 0\)/)
        return true
      })
      assert.deepEqual((await readTopic(cluster, topic, 'read_committed')).map(values), [[]])
    })

    test('a broker killed and restarted in the middle of transactions: nothing lost, doubled or reordered', async () => {
      const topic = `killed-${version}`
      await server.createTopic(topic, { partitions: 2 })
      const watched = new WatchedProduceCluster(cluster)
      const producer = newProducer({ 'delivery.timeout.ms': 240_000 }, watched)
      const handle = await producer.topic(topic)
      const expected: string[][] = [[], []]
      let restarted: Promise<void> | undefined
      for (let round = 0; round < 4; round++) {
        const id = `killed-${round}`
        const { sent } = watched
        producer.beginTransaction(id, version, initProducerId(cluster, id, LIMIT_MS))
        for (let part = 0; part < 20; part++) {
          for (let p = 0; p < 2; p++) {
            for (const value of series(`${round}-${part}-${p}-`, 200)) {
              handle.append(p, 1, null, value)
              expected[p]?.push(value)
            }
          }
          if (round === 1 && part === 9) {
            await watched.sentMoreThan(sent)
            server.nodes[0]?.pause()
          }
          await new Promise((resolve) => setTimeout(resolve, 2))
          if (round === 1 && part === 10) restarted = restart(watched)
        }
        await end((await producer.seal()).handle, true)
      }
      await restarted
      assert.deepEqual((await readTopic(cluster, topic, 'read_committed')).map(values), expected)
      assert.deepEqual((await readTopic(cluster, topic, 'read_uncommitted')).map(values), expected)
      assert.deepEqual(await javaValues(topic, 'read_committed'), expected)
      assert.ok(producer.metrics().retries > 0, 'the kill was felt')
      await producer.close()
    })

    if (version === 1) return

    test('a broker killed and restarted in the middle of an idempotent write: nothing lost, doubled or reordered', async () => {
      const topic = 'killed-plain'
      await server.createTopic(topic, { partitions: 2 })
      const watched = new WatchedProduceCluster(cluster)
      const producer = newProducer({ 'delivery.timeout.ms': 240_000 }, watched)
      const handle = await producer.topic(topic)
      const expected: string[][] = [[], []]
      let restarted: Promise<void> | undefined
      for (let part = 0; part < 60; part++) {
        for (let p = 0; p < 2; p++) {
          for (const value of series(`${part}-${p}-`, 200)) {
            // Brokers forget a plain producer by the time of its last record: with an old one a kill can double a batch.
            handle.append(p, Date.now(), null, value)
            expected[p]?.push(value)
          }
        }
        if (part === 20) server.nodes[0]?.pause()
        await new Promise((resolve) => setTimeout(resolve, 2))
        if (part === 21) restarted = restart(watched)
        if (part % 20 === 19) await producer.seal()
      }
      await producer.close()
      await restarted
      assert.deepEqual((await readTopic(cluster, topic, 'read_uncommitted')).map(values), expected)
      assert.deepEqual(await javaValues(topic, 'read_committed'), expected)
      assert.ok(producer.metrics().retries > 0, 'the kill was felt')
    })

    test("keyed records go where Java's producer sends them", async () => {
      const keys = [...series('key-', 200), '', 'grüße', '日本語']
      await server.createTopic('java-keys', { partitions: 7 })
      await server.createTopic('own-keys', { partitions: 7 })
      await server.java.produce(
        'java-keys',
        keys.map((key) => ({ key, value: key })),
      )
      const producer = newProducer()
      const handle = await producer.topic('own-keys')
      for (const [index, key] of keys.entries()) handle.append(-1, 1, index % 2 === 0 ? key : Buffer.from(key), key)
      await producer.close()
      const sorted = (byPartition: string[][]): string[][] => byPartition.map((list) => [...list].sort())
      assert.deepEqual(
        sorted(await javaValues('own-keys', 'read_committed')),
        sorted(await javaValues('java-keys', 'read_committed')),
      )
    })

    for (const acks of [0, 1] as const) {
      test(`with acks=${acks} everything is there, in order`, async () => {
        const topic = `acks-${acks}`
        await server.createTopic(topic)
        const producer = newProducer({ acks })
        const handle = await producer.topic(topic)
        const expected = series('value ', 5000)
        for (const value of expected) handle.append(0, 1, null, value)
        await producer.close()
        // Nobody answers with acks=0: what is on its way may take a moment.
        const until = Date.now() + DEADLINE_MS
        let read: string[][] = []
        while (read[0]?.length !== expected.length && Date.now() < until) {
          read = (await readTopic(cluster, topic, 'read_uncommitted')).map(values)
        }
        assert.deepEqual(read, [expected])
      })
    }

    for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
      test(`batches compressed with ${codec} are read by Java and by the fetcher`, async () => {
        const topic = `codec-${codec}`
        await server.createTopic(topic)
        const producer = newProducer({ 'compression.type': codec, 'batch.size': 50_000 })
        const handle = await producer.topic(topic)
        const expected = series('a value that repeats itself and so compresses ', 5000)
        for (const value of expected) handle.append(0, 1, 'k', value, [{ key: 'h', value: Buffer.from('x') }])
        await producer.close()
        assert.deepEqual(await javaValues(topic, 'read_committed'), [expected])
        assert.deepEqual((await readTopic(cluster, topic, 'read_committed')).map(values), [expected])
      })
    }

    test('a missing topic fails by its name', async () => {
      await assert.rejects(newProducer().topic('missing-topic'), {
        code: 'KAFKA_UNKNOWN_TOPIC',
        message: /missing-topic/,
      })
    })
  })
}

/** Kills the node, paused by then, when a request that it never answers is certainly under way, and starts it again. */
async function restart(watched: WatchedProduceCluster): Promise<void> {
  const [node] = server.nodes
  assert.ok(node !== undefined)
  await watched.unansweredBy(node.id)
  await node.kill()
  await new Promise((resolve) => setTimeout(resolve, 300))
  await node.start()
}
