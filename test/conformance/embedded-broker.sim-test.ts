/** The conformance suite on the embedded broker, in this process: it answers what Apache Kafka answers. */
import { SystemClock, SystemRandom } from '../../src/base/index.ts'
import { EmbeddedBroker } from '../../src/broker/index.ts'
import type { BrokerUnderTest } from './broker-under-test.ts'
import { conformance } from './suite.ts'

async function embedded(): Promise<BrokerUnderTest> {
  const broker = new EmbeddedBroker({ clock: new SystemClock(), random: new SystemRandom(), nodes: 3 })
  const { bootstrapServers, network } = broker
  return { name: 'the embedded broker', bootstrapServers, network, close: () => broker.close() }
}

conformance(embedded)
