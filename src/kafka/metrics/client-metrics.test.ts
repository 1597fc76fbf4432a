/** What a client counts and tells while it reads from the embedded Kafka: metrics by Java's names, and diagnostics channels. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, test } from 'node:test'
import { SystemClock, SystemRandom, silentLogger } from '../../base/index.ts'
import { EmbeddedKafka } from '../../testing/index.ts'
import { Fetcher } from '../client/fetcher.ts'
import { KafkaAdmin } from '../client/kafka-admin.ts'
import { KafkaCluster } from '../client/kafka-cluster.ts'
import { type KafkaProperties, parseClusterOptions, parseFetcherOptions } from '../client/options.ts'
import type { ConnectionMessage, RequestMessage, RetryMessage } from './diagnostics.ts'
import type { KafkaMetrics } from './kafka-metrics.ts'

let kafka: EmbeddedKafka

before(async () => {
  kafka = await EmbeddedKafka.start({ tcp: false, topics: { in: { partitions: 2 }, aborted: {} } })
  await kafka.produce(
    'in',
    Array.from({ length: 30 }, (_, i) => ({ value: `value ${i}`, partition: 0 })),
  )
})
after(() => kafka.close())

function connect(properties: KafkaProperties = {}): KafkaCluster {
  const options = parseClusterOptions({ 'bootstrap.servers': kafka.bootstrapServers, ...properties })
  const ports = { clock: new SystemClock(), random: new SystemRandom(), logger: silentLogger }
  return new KafkaCluster(options, { network: kafka.network, ...ports })
}

async function readTo(fetcher: Fetcher, topic: string, offset: number): Promise<void> {
  for (let round = 0; fetcher.position(topic, 0) !== offset; round++) {
    assert.ok(round < 1_000, `stands at ${fetcher.position(topic, 0)}`)
    const got = fetcher.next()
    if (got === undefined) await fetcher.available()
    else if (got.kind === 'trouble') throw got.error
    else while (got.reader.nextBatch()) while (got.reader.next());
  }
  fetcher.next()
}

const reading = (metrics: KafkaMetrics, name: string): number => metrics.get(name)?.() ?? assert.fail(`no ${name}`)

test('a fetcher counts records, bytes, requests, lag and lead', async () => {
  const cluster = connect()
  const fetcher = new Fetcher(cluster, parseFetcherOptions({}))
  assert.equal(reading(fetcher.kafkaMetrics, 'records-consumed-total'), 0)
  assert.ok(Number.isNaN(reading(fetcher.kafkaMetrics, 'fetch-latency-avg')))
  fetcher.add('in', 0, 10)
  await readTo(fetcher, 'in', 30)
  const metrics = fetcher.kafkaMetrics
  assert.equal(reading(metrics, 'records-consumed-total'), 20, 'those below the first wanted offset are none')
  assert.ok(reading(metrics, 'bytes-consumed-total') > 20 * 'value 10'.length)
  assert.ok(reading(metrics, 'fetch-total') >= 1)
  assert.equal(reading(metrics, 'fetch-size-max'), reading(metrics, 'bytes-consumed-total'))
  assert.ok(reading(metrics, 'fetch-latency-max') >= reading(metrics, 'fetch-latency-avg'))
  assert.equal(reading(metrics, 'fetch-throttle-time-max'), 0)
  assert.equal(reading(metrics, 'records-lag-max'), 0)
  assert.equal(reading(metrics, 'records-lead-min'), 30)
  assert.deepEqual([fetcher.lag('in', 0), fetcher.lead('in', 0), fetcher.preferredReadReplica('in', 0)], [0, 30, -1])
  await kafka.produce('in', [{ value: 'late', partition: 1 }])
  await fetcher.close()
  await cluster.close()
})

test('connections are counted for the whole client', async () => {
  const cluster = connect()
  await new KafkaAdmin(cluster).listTopics()
  const metrics = cluster.connectionMetrics.gauges
  assert.equal(reading(metrics, 'connection-count'), 1)
  const requests = reading(metrics, 'request-total')
  assert.ok(requests >= 2, 'the versions and the question')
  assert.equal(reading(metrics, 'response-total'), requests)
  assert.ok(reading(metrics, 'outgoing-byte-total') >= requests * 8)
  assert.equal(reading(metrics, 'request-size-avg'), reading(metrics, 'outgoing-byte-total') / requests)
  assert.ok(reading(metrics, 'incoming-byte-total') > 0)
  await cluster.close()
  assert.equal(reading(metrics, 'connection-count'), 0)
  assert.equal(reading(metrics, 'connection-close-total'), reading(metrics, 'connection-creation-total'))
})

test('the channels tell of connections, requests and what is tried again, and name the error', async () => {
  const connections: ConnectionMessage[] = []
  const requests: RequestMessage[] = []
  const retries: RetryMessage[] = []
  const listeners = [
    ['millrace:kafka:connection', (message: unknown) => void connections.push(message as ConnectionMessage)],
    ['millrace:kafka:request', (message: unknown) => void requests.push(message as RequestMessage)],
    ['millrace:kafka:retry', (message: unknown) => void retries.push(message as RetryMessage)],
  ] as const
  for (const [name, listener] of listeners) subscribe(name, listener)
  try {
    const cluster = connect({ 'client.id': 'watched', 'retry.backoff.ms': 1 })
    const admin = new KafkaAdmin(cluster)
    kafka.broker.faults.drop({ api: 'Metadata', when: 'after' })
    await admin.listTopics()
    await cluster.close()
  } finally {
    for (const [name, listener] of listeners) unsubscribe(name, listener)
  }
  const [opened] = connections
  assert.deepEqual([opened?.event, opened?.clientId, opened?.byClient], ['opened', 'watched', undefined])
  const ends = connections.filter(({ event }) => event === 'closed').map(({ byClient }) => byClient)
  assert.deepEqual(ends, [false, true], 'the fault, and the end')
  const [first] = requests
  assert.deepEqual([first?.api, first?.correlationId, first?.error], ['ApiVersions', 0, undefined])
  assert.ok((first?.requestBytes ?? 0) > 0 && (first?.responseBytes ?? 0) > 0 && (first?.latencyMs ?? -1) >= 0)
  const failed = requests.find(({ error }) => error !== undefined)
  assert.deepEqual([failed?.api, failed?.responseBytes], ['Metadata', 0])
  assert.equal(retries.length, 1)
  assert.equal(retries[0]?.attempt, 1)
  assert.match(String(retries[0]?.error), /Metadata/)
})
