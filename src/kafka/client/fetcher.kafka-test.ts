/**
 * The fetcher (and the producer) against Apache Kafka where brokers and topics change under them: leaders that are killed in a
 * cluster of three, records deleted before they are read, a topic made anew, batches beyond the fetch size, Java's aborts.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { KafkaServer } from '../../testing/index.ts'
import { Fetcher, type PartitionTrouble } from './fetcher.ts'
import { connect, readTopic, values } from './fetcher-reading.test-double.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { parseFetcherOptions, parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
import { WatchedProduceCluster } from './producer-watched.test-double.ts'
import { endTransaction, initProducerId } from './transactions.ts'

const series = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`)
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Reads on until the condition holds; at most 120 s. */
async function readUntil(
  fetcher: Fetcher,
  into: string[],
  done: (trouble: PartitionTrouble | undefined) => boolean,
): Promise<PartitionTrouble | undefined> {
  let trouble: PartitionTrouble | undefined
  const until = performance.now() + 120_000
  while (!done(trouble)) {
    assert.ok(performance.now() < until, `within 120 s, not after ${into.length} records`)
    const got = fetcher.next()
    if (got === undefined) await Promise.race([fetcher.available(), pause(200)])
    else if (got.kind === 'trouble') trouble = got
    else while (got.reader.nextBatch()) while (got.reader.next()) into.push(got.reader.valueString() ?? '')
  }
  return trouble
}

describe('one broker', () => {
  let server: KafkaServer
  let cluster: KafkaCluster
  before(async () => {
    server = await KafkaServer.start()
    cluster = connect(server.bootstrapServers)
  })
  after(async () => {
    await cluster?.close()
    await server?.close()
  })

  test("Java's committed, aborted and open transactions are told apart, with the position behind their markers", async () => {
    await server.createTopic('java')
    const write = (name: string, end: 'commit' | 'abort' | 'open'): Promise<unknown> =>
      server.java.produce(
        'java',
        series(name, 50).map((value) => ({ value })),
        { transactionalId: name, end },
      )
    await write('a', 'commit')
    await write('b', 'abort')
    await write('c', 'open')
    await server.java.produce('java', [{ value: 'plain' }])
    assert.deepEqual((await readTopic(cluster, 'java', 'read_committed')).map(values), [series('a', 50)])
    const all = [...series('a', 50), ...series('b', 50), ...series('c', 50), 'plain']
    assert.deepEqual((await readTopic(cluster, 'java', 'read_uncommitted')).map(values), [all])
    await server.java.endTransaction('c', 'abort')
    const fetcher = new Fetcher(cluster, parseFetcherOptions({ 'isolation.level': 'read_committed' }))
    fetcher.add('java', 0, 0)
    const got: string[] = []
    // Until the marker is written, which is after the answer, all that is stable ends before the transaction.
    await readUntil(fetcher, got, () => got.length === 51 && fetcher.lag('java', 0) === 0)
    assert.deepEqual(got, [...series('a', 50), 'plain'])
    const [latest] = await server.java.offsets('java', 'latest')
    assert.equal(fetcher.position('java', 0), latest)
    await fetcher.close()
  })

  test('a broker killed and restarted under a reader: each record once, in order', async () => {
    await server.createTopic('restart')
    const expected = series('v', 3000)
    await server.java.produce(
      'restart',
      expected.slice(0, 2000).map((value) => ({ value })),
    )
    const fetcher = new Fetcher(cluster, parseFetcherOptions({ 'max.partition.fetch.bytes': 5000 }))
    fetcher.add('restart', 0, 0)
    const got: string[] = []
    await readUntil(fetcher, got, () => got.length >= 500)
    await server.nodes[0]?.kill()
    await pause(200)
    const started = server.nodes[0]?.start()
    await readUntil(fetcher, got, () => got.length >= 2000)
    await started
    await server.java.produce(
      'restart',
      expected.slice(2000).map((value) => ({ value })),
    )
    await readUntil(fetcher, got, () => got.length >= 3000)
    assert.deepEqual(got, expected)
    await fetcher.close()
  })

  test('records deleted before they were read are trouble with the range, and a seek goes on', async () => {
    await server.createTopic('deleted')
    await server.java.produce(
      'deleted',
      series('v', 100).map((value) => ({ value })),
    )
    await server.java.deleteRecords('deleted', 0, 40)
    const fetcher = new Fetcher(cluster, parseFetcherOptions({}))
    fetcher.add('deleted', 0, 10)
    const got: string[] = []
    const trouble = await readUntil(fetcher, got, (one) => one !== undefined)
    assert.equal(trouble?.error.code, 'KAFKA_OFFSET_OUT_OF_RANGE')
    assert.match(trouble?.error.message ?? '', /Offset 10 of deleted-0/)
    fetcher.seek('deleted', 0, 40)
    await readUntil(fetcher, got, () => got.length === 60)
    assert.equal(got[0], 'v40')
    await fetcher.close()
  })

  test('a topic made anew under a reader is trouble', async () => {
    await server.createTopic('anew')
    await server.java.produce('anew', [{ value: 'old' }])
    const fetcher = new Fetcher(cluster, parseFetcherOptions({}))
    fetcher.add('anew', 0, 0)
    const got: string[] = []
    await readUntil(fetcher, got, () => got.length === 1)
    await server.deleteTopic('anew')
    await server.createTopic('anew')
    await server.java.produce(
      'anew',
      series('new', 5).map((value) => ({ value })),
    )
    const trouble = await readUntil(fetcher, got, (one) => one !== undefined)
    assert.match(trouble?.error.message ?? '', /made anew/)
    assert.deepEqual(got, ['old'])
    await fetcher.close()
  })

  test('batches far beyond the fetch size come through, many partitions share one response', async () => {
    await server.createTopic('large', { partitions: 3 })
    const expected: string[][] = [[], [], []]
    const producer = new Producer(cluster, parseProducerOptions({ 'batch.size': 500_000 }))
    const topic = await producer.topic('large')
    for (let p = 0; p < 3; p++) {
      for (const value of series(`${p} ${'x'.repeat(1000)} `, 1500)) {
        topic.append(p, 1, null, value)
        expected[p]?.push(value)
      }
    }
    await producer.close()
    const limits = { 'max.partition.fetch.bytes': 1000, 'fetch.max.bytes': 2000 }
    assert.deepEqual((await readTopic(cluster, 'large', 'read_committed', limits)).map(values), expected)
  })
})

describe('three brokers', () => {
  let server: KafkaServer
  let cluster: KafkaCluster
  before(async () => {
    server = await KafkaServer.start({ nodes: 3, heapMb: 300 })
    cluster = connect(server.bootstrapServers)
  })
  after(async () => {
    await cluster?.close()
    await server?.close()
  })

  test('leaders killed one after the other: transactions and the reader go on, nothing lost, doubled or reordered', async () => {
    const config = { 'min.insync.replicas': 2 }
    await server.createTopic('moves', { partitions: 3, replicationFactor: 3, config })
    const watched = new WatchedProduceCluster(cluster)
    const producer = new Producer(watched, parseProducerOptions({ 'batch.size': 2000, 'delivery.timeout.ms': 240_000 }))
    const topic = await producer.topic('moves')
    const fetcher = new Fetcher(cluster, parseFetcherOptions({ 'isolation.level': 'read_committed' }))
    const got: string[] = []
    for (let p = 0; p < 3; p++) fetcher.add('moves', p, 0)
    const expected: string[][] = [[], [], []]
    let total = 0
    for (let round = 0; round < 4; round++) {
      producer.beginTransaction(`moves-${round}`, 2, initProducerId(cluster, `moves-${round}`, 600_000))
      const sent = watched.sent
      let node: (typeof server.nodes)[number] | undefined
      for (let part = 0; part < 10; part++) {
        // Paused before it is killed, so that requests it never answers are certainly under way when it dies.
        if (part === 5 && round % 2 === 1) {
          await watched.sentMoreThan(sent)
          const leader = cluster.metadata.leader('moves', round === 1 ? 0 : 1)?.nodeId
          node = server.nodes.find(({ id }) => id === leader)
          assert.ok(node !== undefined)
          node.pause()
        }
        for (let p = 0; p < 3; p++) {
          for (const value of series(`${p}/${round}-${part}-`, 100)) {
            topic.append(p, 1, null, value)
            expected[p]?.push(value)
            total++
          }
        }
        await pause(5)
        if (part === 5 && node !== undefined) {
          await watched.unansweredBy(node.id)
          await node.kill()
        }
      }
      const { handle } = await producer.seal()
      assert.ok(handle !== undefined)
      for (let repeat = 0; repeat < 2; repeat++) {
        const outcome = await endTransaction(cluster, handle, true, { deadlineMs: 120_000 })
        assert.equal(outcome.kind, 'ended', JSON.stringify(outcome))
      }
      await readUntil(fetcher, got, () => got.length >= total)
      await node?.start()
    }
    for (let p = 0; p < 3; p++) {
      const own = got.filter((value) => value.startsWith(`${p}/`))
      assert.deepEqual(own, expected[p])
    }
    assert.deepEqual((await readTopic(cluster, 'moves', 'read_uncommitted')).map(values), expected)
    assert.ok(producer.metrics().retries > 0, 'the kills were felt')
    await fetcher.close()
    await producer.close()
  })
})
