/** The epochs of a transactional id used up, on Apache Kafka: a minute for 32,767 initializations, in the long form. */
import { test } from 'node:test'
import { KAFKA_VERSIONS } from '../../src/testing/index.ts'
import { apacheKafka } from './broker-under-test.ts'
import { transactionsOverTheLastEpoch } from './epochs.ts'

const LONG = process.env.MILLRACE_LONG === '1'

for (const version of LONG ? Object.values(KAFKA_VERSIONS) : []) {
  test(`Apache Kafka ${version}: when the epochs are used up, transactions go on under another producer id`, {
    timeout: 600_000,
  }, async () => {
    const broker = await apacheKafka({ version, nodes: 1 })
    try {
      await transactionsOverTheLastEpoch(broker)
    } finally {
      await broker.close()
    }
  })
}
