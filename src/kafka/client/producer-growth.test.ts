/**
 * A topic that gets partitions while it is written to: they are used once the metadata has them, by key as Java would.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseProducerOptions } from './options.ts'
import { partitionOfKey } from './partitioner.ts'
import { DoubleCluster } from './producer.test-double.ts'
import { Producer } from './producer.ts'

async function growing(): Promise<{ cluster: DoubleCluster; producer: Producer }> {
  const cluster = new DoubleCluster({ t: 2 })
  return { cluster, producer: new Producer(cluster, parseProducerOptions({ 'batch.size': 200 })) }
}

async function sealed(cluster: DoubleCluster, producer: Producer): Promise<void> {
  let done = false
  const sealing = producer.seal().then(() => void (done = true))
  for (let step = 0; step < 1000 && !done; step++) await cluster.clock.advance(10)
  assert.ok(done)
  await sealing
}

test('partitions that came later are used by key, by chance and by number once the metadata has them', async () => {
  const { cluster, producer } = await growing()
  const topic = await producer.topic('t')
  for (let i = 0; i < 50; i++) topic.append(-1, 1000, `key ${i}`, 'before')
  await sealed(cluster, producer)
  cluster.grow('t', 5)
  for (let i = 0; i < 50; i++) topic.append(-1, 1000, `key ${i}`, 'not known yet')
  assert.equal(topic.partitionCount, 2)
  await sealed(cluster, producer)
  await cluster.metadata.refresh()
  topic.append(4, 1000, null, 'by number')
  assert.equal(topic.partitionCount, 5)
  for (let i = 0; i < 50; i++) topic.append(-1, 1000, `key ${i}`, `${partitionOfKey(`key ${i}`, 5)}`)
  for (let i = 0; i < 200; i++) topic.append(-1, 1000, null, 'by chance '.repeat(5))
  await sealed(cluster, producer)
  assert.ok(cluster.log('t/4').values.includes('by number'))
  for (let p = 0; p < 5; p++) {
    const { values } = cluster.log(`t/${p}`)
    assert.deepEqual([...new Set(values.filter((value) => /^\d$/.test(value)))], [`${p}`])
    assert.ok(values.includes('by chance '.repeat(5)), `partition ${p} is chosen`)
  }
  await producer.close()
})

test('a partition that never came is refused, and a count that shrinks takes nothing away', async () => {
  const { cluster, producer } = await growing()
  const topic = await producer.topic('t')
  assert.throws(() => topic.append(2, 1000, null, 'v'), { code: 'KAFKA_UNKNOWN_PARTITION' })
  cluster.grow('t', 1)
  await cluster.metadata.refresh()
  topic.append(1, 1000, null, 'v')
  assert.equal(topic.partitionCount, 2)
  await sealed(cluster, producer)
  assert.deepEqual(cluster.log('t/1').values, ['v'])
  await producer.close()
})
