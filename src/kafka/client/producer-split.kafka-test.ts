/**
 * Apache Kafka refuses batches as too large while a producer writes: max.message.bytes is lowered, raised and lowered again
 * under it. What was acknowledged is there once and in order, for Kafka's own consumer too.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { KafkaServer } from '../../testing/index.ts'
import { connect, readTopic, values } from './fetcher-reading.test-double.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
import { endTransaction, initProducerId } from './transactions.ts'

let server: KafkaServer
let cluster: KafkaCluster

before(async () => {
  server = await KafkaServer.start({ transactionVersion: 2 })
  cluster = connect(server.bootstrapServers)
})
after(async () => {
  await cluster?.close()
  await server?.close()
})

const LIMITS = [30_000, 4_000, 1_000, 20_000, 500]

function newProducer(compression: 'none' | 'zstd'): Producer {
  const properties = { 'batch.size': 30_000, 'linger.ms': 5, 'compression.type': compression }
  return new Producer(cluster, parseProducerOptions(properties))
}

async function javaValues(topic: string): Promise<string[][]> {
  const byPartition: string[][] = []
  for (const record of await server.java.readAll(topic, { isolation: 'read_committed' })) {
    ;(byPartition[record.partition] ??= []).push(String(record.value))
  }
  return byPartition
}

/** Writes while each limit is being set and a little longer, and calls `between` now and then. */
async function writeUnderLimits(
  producer: Producer,
  topic: string,
  between: (round: number) => Promise<void>,
): Promise<string[][]> {
  const handle = await producer.topic(topic)
  const expected: string[][] = [[], []]
  let round = 0
  const write = async (): Promise<void> => {
    for (let p = 0; p < 2; p++) {
      for (let at = 0; at < 300; at++) {
        const value = `value ${round}-${p}-${at}`
        handle.append(p, Date.now(), null, value)
        expected[p]?.push(value)
      }
    }
    if (producer.blocked) await producer.writable()
    if (++round % 10 === 0) await between(round)
    else await new Promise((resolve) => setTimeout(resolve, 5))
  }
  for (const bytes of LIMITS) {
    let set = false
    const setting = server.java.setTopicConfig(topic, { 'max.message.bytes': bytes }).then(() => {
      set = true
    })
    for (let more = 40; more > 0 && !set; more--) await write()
    await setting
    for (let more = 4; more > 0; more--) await write()
  }
  // The controller answers before the broker goes by a limit.
  for (const until = performance.now() + 60_000; producer.metrics().splits === 0 && performance.now() < until; ) {
    await write()
  }
  return expected
}

for (const compression of ['none', 'zstd'] as const) {
  test(`plain records under a limit that is lowered meanwhile are there once and in order (${compression})`, async () => {
    const topic = `limited-${compression}`
    await server.createTopic(topic, { partitions: 2 })
    const producer = newProducer(compression)
    const expected = await writeUnderLimits(producer, topic, async () => void (await producer.seal()))
    await producer.close()
    assert.ok(producer.metrics().splits > 0, 'batches were refused')
    assert.deepEqual((await readTopic(cluster, topic, 'read_committed')).map(values), expected)
    assert.deepEqual(await javaValues(topic), expected)
  })
}

for (const version of [2, 1] as const) {
  test(`transactions (version ${version}) under a limit that is lowered meanwhile are there once and in order`, async () => {
    const topic = `limited-transactions-${version}`
    await server.createTopic(topic, { partitions: 2 })
    const producer = newProducer('none')
    const begin = (number: number): void => {
      const id = `limited-${version}-${number}`
      producer.beginTransaction(id, version, initProducerId(cluster, id, 600_000))
    }
    const end = async (): Promise<void> => {
      const { handle } = await producer.seal()
      assert.ok(handle !== undefined)
      for (let round = 0; round < 2; round++) {
        const outcome = await endTransaction(cluster, handle, true, { deadlineMs: 120_000 })
        assert.equal(outcome.kind, 'ended', JSON.stringify(outcome))
      }
    }
    begin(0)
    const expected = await writeUnderLimits(producer, topic, async (round) => {
      await end()
      begin(round)
    })
    await producer.topic(topic).then((handle) => handle.append(0, Date.now(), null, 'last'))
    expected[0]?.push('last')
    await end()
    await producer.close()
    assert.ok(producer.metrics().splits > 0, 'batches were refused')
    assert.deepEqual((await readTopic(cluster, topic, 'read_committed')).map(values), expected)
    assert.deepEqual(await javaValues(topic), expected)
  })
}

test('a single record above the limit fails with its place and size, and nothing behind it is written', async () => {
  await server.createTopic('small', { config: { 'max.message.bytes': 1000 } })
  const producer = newProducer('none')
  const handle = await producer.topic('small')
  for (const value of ['before', 'x'.repeat(1500), 'behind']) handle.append(0, 1, null, value)
  await assert.rejects(producer.seal(), {
    code: 'KAFKA_RECORD_TOO_LARGE',
    message: /single record for small-0.*MESSAGE_TOO_LARGE.*takes 15\d\d bytes.*Raise max\.message\.bytes/,
  })
  assert.deepEqual((await readTopic(cluster, 'small', 'read_committed')).map(values), [['before']])
})
