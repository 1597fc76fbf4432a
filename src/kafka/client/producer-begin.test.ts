import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { parseProducerOptions } from './options.ts'
import { DoubleCluster } from './producer.test-double.ts'
import { Producer } from './producer.ts'

for (const version of [1, 2] as const) {
  test(`a version ${version} that comes with the identity decides how records are sent, and nothing is sent before`, async () => {
    const cluster = new DoubleCluster({ t: 2 }, 1)
    const producer = new Producer(cluster, parseProducerOptions({ 'linger.ms': 0 }))
    const topic = await producer.topic('t')
    const begin = Promise.withResolvers<{ producerId: number; epoch: number; version: 1 | 2 }>()
    producer.beginTransaction('id', undefined, begin.promise)
    topic.append(0, 1, null, 'a')
    topic.append(1, 1, null, 'b')
    const sealed = producer.seal()
    await cluster.clock.advance(1000)
    assert.equal(cluster.produceRequests.length + cluster.enlistRequests.length, 0)
    begin.resolve({ producerId: 4, epoch: 2, version })
    await cluster.clock.advance(1000)
    assert.deepEqual((await sealed).handle, { transactionalId: 'id', version, producerId: 4, epoch: 2 })
    assert.equal(cluster.enlistRequests.length, version === 1 ? 1 : 0)
    assert.ok(cluster.produceRequests.every((request) => request.version >= 12 === (version === 2)))
    assert.deepEqual([cluster.log('t/0').values, cluster.log('t/1').values], [['a'], ['b']])
    assert.ok(producer.metrics().sendTimeMs >= 1000)
  })
}

test('whoever asked is told once of what made the producer fail, and not of its closing', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const told: MillraceError[] = []
  const refused = new MillraceError('KAFKA_AUTHORIZATION_FAILED', 'no')
  const failing = new Producer(cluster, parseProducerOptions({}), (error) => told.push(error))
  failing.beginTransaction('id', undefined, Promise.reject(refused))
  await cluster.clock.advance(10)
  await failing.close({ discard: true })
  assert.deepEqual(told, [refused])
  const closed = new Producer(cluster, parseProducerOptions({}), (error) => told.push(error))
  await closed.close({ discard: true })
  assert.equal(told.length, 1)
})
