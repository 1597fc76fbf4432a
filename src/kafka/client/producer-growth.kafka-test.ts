/**
 * Against Apache Kafka: a topic gets partitions while a producer and a fetcher are at work; a background refresh of the
 * metadata (metadata.max.age.ms) shows them to the producer, which spreads the same keys as Java's.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { KafkaServer } from '../../testing/index.ts'
import { connect, readTopic } from './fetcher-reading.test-double.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { parseProducerOptions } from './options.ts'
import { partitionOfKey } from './partitioner.ts'
import { Producer } from './producer.ts'
import { initProducerId } from './transactions.ts'

describe('a topic that grows', () => {
  let server: KafkaServer
  let cluster: KafkaCluster
  before(async () => {
    server = await KafkaServer.start()
    cluster = connect(server.bootstrapServers, { 'metadata.max.age.ms': 300 })
  })
  after(async () => {
    await cluster?.close()
    await server?.close()
  })

  for (const kind of ['plain', 'transactional'] as const) {
    test(`${kind}: new partitions are written to without anybody asking, nothing is lost, keys go as Java sends them`, async () => {
      const name = `grows-${kind}`
      await server.createTopic(name, { partitions: 2 })
      const producer = new Producer(cluster, parseProducerOptions({}))
      const topic = await producer.topic(name)
      if (kind === 'transactional') producer.beginTransaction(name, 2, initProducerId(cluster, name, 600_000))
      const written: string[] = []
      const write = (count: number): void => {
        for (let i = 0; i < count; i++) {
          const key = `key ${written.length}`
          topic.append(-1, 1, key, String(topic.partitionCount))
          written.push(key)
        }
      }
      write(100)
      await server.java.createPartitions(name, 6)
      const until = performance.now() + 120_000
      while (topic.partitionCount < 6) {
        assert.ok(performance.now() < until, `within 120 s, not ${topic.partitionCount} partitions`)
        write(1)
        await cluster.ports.clock.sleep(20)
      }
      write(100)
      const { handle } = await producer.seal()
      assert.equal(handle === undefined, kind === 'plain')
      await producer.close()
      const read = (await readTopic(cluster, name, 'read_uncommitted')).flat()
      assert.deepEqual(read.map((record) => record.key).sort(), [...written].sort())
      for (const { key, value, partition } of read.filter((record) => record.value === '6')) {
        assert.equal(partition, partitionOfKey(key ?? '', Number(value)))
      }
      assert.equal(new Set(read.map((record) => record.partition)).size, 6)
    })
  }
})
