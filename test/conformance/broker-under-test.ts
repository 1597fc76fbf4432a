/**
 * What the conformance suite needs of a broker: an address, a way to it, and a word on what it cannot do. Everything else is
 * asked over the wire, so that any broker that speaks Kafka's protocol can be put in Apache Kafka's place.
 */
import type { Network } from '../../src/base/index.ts'
import { TcpNetwork } from '../../src/base/index.ts'
import { KafkaServer, type KafkaServerOptions } from '../../src/testing/index.ts'
import type { Capability } from './scenario.ts'

export interface BrokerUnderTest {
  /** For the names of the tests. */
  readonly name: string
  readonly bootstrapServers: string
  /** The way to the addresses it names; TCP for a broker outside this process. */
  readonly network: Network
  /** What it has; scenarios that need more are skipped by name. Undefined: everything. */
  readonly capabilities?: ReadonlySet<Capability>
  /** Scenarios in which it is known to answer otherwise, each with the reason: the test then wants a difference. */
  readonly differences?: Readonly<Record<string, string>>
  close(): Promise<void>
}

/** Three nodes; transactions that outlive their limit are ended soon. */
export function conformanceServer(options: KafkaServerOptions = {}): KafkaServerOptions {
  return {
    nodes: 3,
    heapMb: 300,
    ...options,
    properties: {
      'transaction.abort.timed.out.transaction.cleanup.interval.ms': 300,
      // None is killed here, and one that is only slow for a moment must not be taken for dead.
      'broker.session.timeout.ms': 15_000,
      ...options.properties,
    },
  }
}

export async function apacheKafka(options: KafkaServerOptions = {}): Promise<BrokerUnderTest> {
  const server = await KafkaServer.start(conformanceServer(options))
  return {
    name: `Apache Kafka ${server.version}`,
    bootstrapServers: server.bootstrapServers,
    network: new TcpNetwork(),
    close: () => server.close(),
  }
}
