/** Every metric here carries a name that Kafka's own Java clients have: asked from those clients. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SystemClock } from '../../base/index.ts'
import { KafkaServer } from '../../testing/index.ts'
import { ConnectionMetrics } from './connection-metrics.ts'
import { FetchMetrics } from './fetch-metrics.ts'
import { ProduceMetrics } from './produce-metrics.ts'

test("metrics have the names of Java's consumer and producer", { timeout: 600_000 }, async () => {
  const server = await KafkaServer.start()
  try {
    await server.createTopic('named')
    const answer = await server.java.request('metricNames', { topic: 'named' })
    const names = answer as { readonly consumer: readonly string[]; readonly producer: readonly string[] }
    const clock = new SystemClock()
    const none = { requestsInFlight: () => 0, bufferBytesLimit: () => 0, bufferBytesUsed: () => 0 }
    const ofPartitions = ['records-lag', 'records-lead', 'preferred-read-replica']
    const connection = [...new ConnectionMetrics(clock).gauges.keys()]
    const consumer = [...connection, ...new FetchMetrics(clock).gauges.keys(), ...ofPartitions]
    const producer = [...connection, ...new ProduceMetrics(clock, none).gauges.keys()]
    assert.deepEqual(
      consumer.filter((name) => !names.consumer.includes(name)),
      [],
    )
    assert.deepEqual(
      producer.filter((name) => !names.producer.includes(name)),
      [],
    )
  } finally {
    await server.close()
  }
})
