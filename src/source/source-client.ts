/**
 * What the source needs of a Kafka client, as small interfaces: tests give doubles, everything else gets the kafka room's
 * client. One SourceClient is one set of connections, of one thread, with one client id.
 */
import type { RuntimePorts } from '../core/index.ts'
import {
  Fetcher,
  KafkaAdmin,
  KafkaCluster,
  type KafkaMetrics,
  type KafkaProperties,
  parseClusterOptions,
  parseFetcherOptions,
} from '../kafka/index.ts'

export type SourceAdmin = Pick<
  KafkaAdmin,
  'listTopics' | 'describeTopics' | 'listOffsets' | 'groupOffsets' | 'commitGroupOffsets'
>

export type SourceFetcher = Pick<
  Fetcher,
  | 'add'
  | 'remove'
  | 'seek'
  | 'next'
  | 'available'
  | 'endOffset'
  | 'lag'
  | 'lead'
  | 'preferredReadReplica'
  | 'metrics'
  | 'kafkaMetrics'
  | 'close'
>

export interface SourceClient {
  readonly admin: SourceAdmin
  /** Called at most once. */
  createFetcher(): SourceFetcher
  /** Of all its connections, under Java's names. */
  readonly connectionMetrics: KafkaMetrics
  /** Closes the fetcher as well. Idempotent. */
  close(): Promise<void>
}

export type ConnectSource = (properties: KafkaProperties, ports: RuntimePorts) => SourceClient

export const connectKafka: ConnectSource = (properties, ports) => {
  const { network, clock, random, logger } = ports
  const cluster = new KafkaCluster(parseClusterOptions(properties), { network, clock, random, logger })
  let fetcher: Fetcher | undefined
  return {
    admin: new KafkaAdmin(cluster),
    createFetcher: () => {
      fetcher = new Fetcher(cluster, parseFetcherOptions(properties))
      return fetcher
    },
    connectionMetrics: cluster.connectionMetrics.gauges,
    close: async () => {
      await fetcher?.close()
      await cluster.close()
    },
  }
}
