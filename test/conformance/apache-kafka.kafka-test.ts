/** The conformance suite on the broker it was recorded on. In the long form, Kafka's Java client must still answer as it did. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KAFKA_VERSIONS, KafkaServer } from '../../src/testing/index.ts'
import { apacheKafka, conformanceServer } from './broker-under-test.ts'
import { readRecording, recordWithJava } from './recording.ts'
import { conformance } from './suite.ts'

conformance(() => apacheKafka())

test("Kafka's Java client gives the recorded answers", { skip: process.env.MILLRACE_LONG !== '1' }, async () => {
  const server = await KafkaServer.start(conformanceServer())
  try {
    const { bootstrapServers } = server
    assert.deepEqual(await recordWithJava({ version: KAFKA_VERSIONS.newest, bootstrapServers }), readRecording())
  } finally {
    await server.close()
  }
})
