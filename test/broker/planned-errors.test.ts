/**
 * Every API can be made to answer with an error: what `faults.fail` plans for an API shows in its next answer and then no
 * more, and what it plans for a topic only in answers about that topic.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom, SystemClock } from '../../src/base/index.ts'
import { EmbeddedBroker } from '../../src/broker/index.ts'
import { ALL_APIS, KafkaErrorCode, metadataApi as METADATA } from '../../src/kafka/index.ts'
import { RawConnection } from './raw-connection.ts'
import { sampleRequest } from './sample-requests.ts'

/** An error that no sample request gets by itself. */
const PLANNED = 'KAFKA_STORAGE_ERROR'

/** Those whose answers have parts for topics; so has TxnOffsetCommit, but only within an open transaction. */
const BY_TOPIC: ReadonlySet<string> = new Set([
  ...['Produce', 'Fetch', 'ListOffsets', 'Metadata', 'OffsetCommit', 'OffsetFetch', 'OffsetForLeaderEpoch'],
  ...['CreateTopics', 'DeleteTopics', 'CreatePartitions', 'DeleteRecords', 'DescribeConfigs'],
  ...['IncrementalAlterConfigs', 'AddPartitionsToTxn', 'DescribeProducers', 'WriteTxnMarkers'],
])

/** All error codes in an answer, wherever they stand. */
function errorCodesIn(answer: unknown): number[] {
  if (answer === null || typeof answer !== 'object' || Buffer.isBuffer(answer)) return []
  return Object.entries(answer).flatMap(([name, value]) =>
    /errorCode$/i.test(name) && typeof value === 'number' ? [value] : errorCodesIn(value),
  )
}

for (const api of ALL_APIS) {
  const byTopic = BY_TOPIC.has(api.name)
  test(`${api.name} answers with the error that was planned, once${byTopic ? ', about its topic' : ''}`, async () => {
    const topics = { in: { partitions: 2 } }
    const broker = new EmbeddedBroker({ clock: new SystemClock(), random: new SeededRandom(3), topics })
    const raw = await RawConnection.open(broker.network, broker.bootstrapServers)
    const version = api.latestVersionUnstable ? api.maxVersion - 1 : api.maxVersion
    const described = (await raw.ask(METADATA, 12, { topics: [{ name: 'in' }] })) as { topics: { topicId: string }[] }
    const request = sampleRequest(api, version, { topicId: described.topics[0]?.topicId ?? '', producerId: 1_000 })
    const strikes = async (): Promise<boolean> =>
      errorCodesIn(await raw.ask(api, version, request)).includes(KafkaErrorCode[PLANNED])
    try {
      broker.faults.fail({ api: api.name, error: PLANNED })
      assert.ok(await strikes(), 'it did not strike')
      assert.equal(broker.faults.pending, 0)
      assert.ok(!(await strikes()), 'it struck twice')
      if (!byTopic) return
      broker.faults.fail({ api: api.name, error: PLANNED, topic: 'another' })
      assert.ok(!(await strikes()), 'it struck another topic')
      broker.faults.fail({ api: api.name, error: PLANNED, topic: api.name === 'DeleteTopics' ? 'absent' : 'in' })
      assert.ok(await strikes(), 'it did not strike the topic')
    } finally {
      raw.destroy()
      await broker.close()
    }
  })
}
