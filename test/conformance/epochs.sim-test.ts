/** The epochs of a transactional id used up, on the embedded broker. */
import { test } from 'node:test'
import { SystemClock, SystemRandom } from '../../src/base/index.ts'
import { EmbeddedBroker } from '../../src/broker/index.ts'
import { transactionsOverTheLastEpoch } from './epochs.ts'

for (const transactionVersion of [1, 2] as const) {
  test(`when the epochs are used up, transactions of version ${transactionVersion} go on under another producer id`, {
    timeout: 600_000,
  }, async () => {
    const options = { clock: new SystemClock(), random: new SystemRandom(), nodes: 1, transactionVersion }
    const broker = new EmbeddedBroker(options)
    const { bootstrapServers, network } = broker
    try {
      await transactionsOverTheLastEpoch({
        name: 'the embedded broker',
        bootstrapServers,
        network,
        close: () => broker.close(),
      })
    } finally {
      await broker.close()
    }
  })
}
