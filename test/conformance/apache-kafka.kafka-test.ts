/**
 * The conformance suite on the broker it was recorded on; in the long form also with transactions of version 1, on the older and
 * the oldest line of Apache Kafka, and with Kafka's Java client, which must still answer as it did.
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

/** What the oldest brokers answer otherwise. A passing refusal that later ones give for good makes the client try for long. */
const OLDEST = {
  ...VERSION_ONE,
  'what the broker says of a transaction on its way': 'brokers tell of transactions since 3.0',
  ...Object.fromEntries(
    [
      'offsets by place and by time',
      'times that go back and forth, with none',
      'times that go back and forth, with zstd',
      'times are searched from the log start on',
      'a time behind the records finds the marker, which has one of its own',
    ].map((scenario) => [scenario, 'the record with the highest timestamp can be asked for since 3.0']),
  ),
  'a compacted topic refuses a record without a key':
    'before 2.4 it is answered CORRUPT_MESSAGE, as what is damaged on its way',
  'a record too old for its topic': 'the property of the topic is of 3.6',
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
  suite('on the oldest line of Apache Kafka', () => {
    const properties = { 'min.insync.replicas': 1, 'message.max.bytes': 1_048_588 }
    conformance(async () => ({
      ...(await apacheKafka({ version: KAFKA_VERSIONS.oldest, properties })),
      differences: OLDEST,
    }))
  })

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
