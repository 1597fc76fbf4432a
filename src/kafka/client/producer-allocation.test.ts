/**
 * What a record costs in memory on its way into a batch: nothing. Records are appended in every way; what is left
 * belongs to batches and requests.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SystemClock, SystemRandom, silentLogger } from '../../base/index.ts'
import { bytesPerRecord } from './allocation.test-double.ts'
import { parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
import type { ProducerCluster, ProducerConnection } from './producer-cluster.ts'
import type { ProducerTopic } from './producer-topic.ts'

/** Acknowledges what it is sent, unread. */
function obliging(): ProducerCluster {
  const clock = new SystemClock()
  const connection: ProducerConnection = {
    closed: false,
    version: () => 12,
    send: async <R>(_api: unknown, request: unknown) => {
      await clock.nextTurn()
      const { topicData = [] } = request as { topicData?: { name: string; partitionData: { index: number }[] }[] }
      const responses = topicData.map((topic) => ({
        name: topic.name,
        partitionResponses: topic.partitionData.map(({ index }) => ({ index, errorCode: 0, logStartOffset: 0 })),
      }))
      return { errorCode: 0, producerId: 1, producerEpoch: 0, throttleTimeMs: 0, responses } as R
    },
  }
  const given = (): Promise<ProducerConnection> => Promise.resolve(connection)
  return {
    ports: {
      clock,
      random: new SystemRandom(),
      logger: silentLogger,
      network: { connect: () => Promise.reject(new Error('no network')) },
    },
    options: { retryBackoffMs: 1, retryBackoffMaxMs: 1 },
    metadata: {
      leader: () => ({ nodeId: 0, leaderEpoch: 0 }),
      partitionCount: () => 4,
      topicId: () => undefined,
      ensure: () => Promise.resolve(),
      refresh: () => Promise.resolve(),
    },
    connection: given,
    anyConnection: given,
    coordinator: given,
    forgetCoordinator: () => undefined,
  }
}

/** The smallest object is 16 bytes; batches and requests cost about 1 byte a record here. */
const BYTES_MAX = 8

const texts = Array.from({ length: 1024 }, (_, index) => `{"id":${index}}`.padEnd(115))
const values = texts.map((text) => Buffer.from(text))
const keys = texts.map((_, index) => `k${index}`)
const TIMESTAMP = 1_700_000_000_000

const WAYS: readonly (readonly [name: string, append: (topic: ProducerTopic, record: number) => void])[] = [
  ['bytes to a partition', (topic, record) => topic.append(record & 3, TIMESTAMP, null, values[record & 1023] ?? null)],
  [
    'text by key',
    (topic, record) => topic.append(-1, TIMESTAMP, keys[record & 1023] ?? '', texts[record & 1023] ?? ''),
  ],
  ['bytes without a key', (topic, record) => topic.append(-1, TIMESTAMP, null, values[record & 1023] ?? null)],
]

async function write(producer: Producer, append: (topic: ProducerTopic, record: number) => void, records: number) {
  const topic = await producer.topic('t')
  for (let done = 0; done < records; ) {
    for (const end = Math.min(records, done + 4000); done < end; done++) append(topic, done)
    if (producer.blocked) await producer.writable()
    else await new Promise<void>((resolve) => setImmediate(resolve))
  }
  await producer.seal()
}

for (const [name, append] of WAYS) {
  test(`a record appended as ${name} allocates nothing`, async () => {
    const producer = new Producer(obliging(), parseProducerOptions({ 'batch.size': 256 * 1024, 'linger.ms': 5 }))
    const bytes = await bytesPerRecord((records) => write(producer, append, records), BYTES_MAX)
    await producer.close({ discard: true })
    assert.ok(bytes < BYTES_MAX, `${bytes.toFixed(1)} bytes a record`)
  })
}
