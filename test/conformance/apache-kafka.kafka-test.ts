/**
 * The conformance suite on the broker it was recorded on; in the long form also with transactions of version 1, on the older
 * line of Apache Kafka, and with Kafka's Java client, which must still answer as it did.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { KAFKA_VERSIONS, KafkaServer } from '../../src/testing/index.ts'
import { apacheKafka, conformanceServer } from './broker-under-test.ts'
import { readRecording, recordWithJava } from './recording.ts'
import { conformance } from './suite.ts'

const LONG = process.env.MILLRACE_LONG === '1'
const VERSION_ONE = {
  'a transaction that outlives its time limit is aborted, and its commit refused':
    'under version 1 the expiry moves the epoch, so that the late commit is fenced instead of finding no transaction',
}

conformance(() => apacheKafka())

if (LONG) {
  suite('with transactions of version 1', () => {
    conformance(async () => ({ ...(await apacheKafka({ transactionVersion: 1 })), differences: VERSION_ONE }))
  })
  suite('on the older line of Apache Kafka', () => {
    conformance(async () => ({
      ...(await apacheKafka({ version: KAFKA_VERSIONS.older })),
      differences: VERSION_ONE,
    }))
  })
}

if (LONG)
  test("Kafka's Java client gives the recorded answers", async () => {
    const server = await KafkaServer.start(conformanceServer())
    try {
      const { bootstrapServers } = server
      assert.deepEqual(await recordWithJava({ version: KAFKA_VERSIONS.newest, bootstrapServers }), readRecording())
    } finally {
      await server.close()
    }
  })
