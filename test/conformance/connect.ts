/** A client of the broker under test, on the real clock. */
import { type Network, SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../../src/base/index.ts'
import { KafkaCluster, type KafkaProperties, parseClusterOptions } from '../../src/kafka/index.ts'

export function connect(
  broker: { readonly bootstrapServers: string; readonly network?: Network },
  properties: KafkaProperties = {},
): KafkaCluster {
  const options = parseClusterOptions({ ...properties, 'bootstrap.servers': broker.bootstrapServers })
  return new KafkaCluster(options, {
    network: broker.network ?? new TcpNetwork(),
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: silentLogger,
  })
}
