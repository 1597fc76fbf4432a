/**
 * What `acks` means, against the embedded broker and one that answers by script: with 0 nothing is answered and a batch counts
 * as acknowledged when it is handed to the network, with 1 and all by the leader's answer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SystemClock, SystemRandom, silentLogger } from '../../base/index.ts'
import { EmbeddedBroker } from '../../broker/index.ts'
import { produceApi } from '../protocol/generated/produce.ts'
import { readTopic, values } from './fetcher-reading.test-double.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { parseClusterOptions, parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
import { ScriptedCluster, topicIdOf } from './scripted-cluster.test-double.ts'

const series = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`)

for (const acks of [0, 1, 'all'] as const) {
  test(`acks=${acks}: everything is in the log, once and in order`, async (context) => {
    const ports = { clock: new SystemClock(), random: new SystemRandom(), logger: silentLogger }
    const broker = new EmbeddedBroker(ports)
    broker.createTopic('t', { partitions: 2 })
    const options = parseClusterOptions({ 'bootstrap.servers': broker.bootstrapServers })
    const cluster = new KafkaCluster(options, { ...ports, network: broker.network })
    context.after(async () => {
      await cluster.close()
      await broker.close()
    })
    const producer = new Producer(cluster, parseProducerOptions({ acks, 'batch.size': 2_000, 'linger.ms': 1 }))
    const handle = await producer.topic('t')
    for (let round = 0; round < 5; round++) {
      for (let p = 0; p < 2; p++) for (const value of series(`${round}-${p}-`, 400)) handle.append(p, 1, null, value)
      await producer.seal()
    }
    assert.equal(producer.metrics().recordsAcknowledged, 4_000)
    await producer.close()
    // Reading goes over another connection than the last request without an answer.
    const admin = new KafkaAdmin(cluster)
    const ends = async (): Promise<number[]> =>
      (await admin.listOffsets([0, 1].map((partition) => ({ topic: 't', partition, at: 'latest' as const })))).map(
        ({ offset }) => offset,
      )
    for (let tries = 0; tries < 1_000 && (await ends()).some((end) => end < 2_000); tries++) await ports.clock.sleep(1)
    const expected = [0, 1].map((p) => [0, 1, 2, 3, 4].flatMap((round) => series(`${round}-${p}-`, 400)))
    assert.deepEqual((await readTopic(cluster, 't', 'read_uncommitted')).map(values), expected)
  })
}

test('acks=0: a seal resolves without an answer, and the request says that none is wanted', async () => {
  const world = new ScriptedCluster({}, [1])
  world.topics.set('t', { topicId: topicIdOf('A'), leaders: [[1, 0]] })
  const { cluster } = world
  const producer = new Producer(cluster, parseProducerOptions({ acks: 0, 'linger.ms': 0 }))
  const handle = await producer.topic('t')
  handle.append(0, 1, null, 'v')
  let sealed = false
  void producer.seal().then(() => {
    sealed = true
  })
  for (let turn = 0; turn < 50 && !sealed; turn++) await world.clock.advance(10)
  assert.ok(sealed)
  const sent = world.requests.filter(({ request }) => request.api.key === produceApi.key)
  assert.deepEqual(
    sent.map(({ request }) => (request.body as { acks: number }).acks),
    [0],
  )
  await producer.close()
  await cluster.close()
})
