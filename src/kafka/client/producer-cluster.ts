/**
 * What the producer uses of a KafkaCluster: this much stands in for one in tests.
 */
import type { AnyApi, Api, Input } from '../protocol/api.ts'
import type { ClusterOptions, KafkaPorts } from './options.ts'

export interface ProducerConnection {
  readonly closed: boolean
  version(api: AnyApi, range?: { min?: number; max?: number }): number
  send<Q, R>(
    api: Api<Q, R>,
    request: Input<Q>,
    options?: { version?: number; timeoutMs?: number; expectNoResponse?: boolean },
  ): Promise<R>
}

export interface ProducerMetadata {
  leader(topic: string, partition: number): { readonly nodeId: number; readonly leaderEpoch: number } | undefined
  partitionCount(topic: string): number | undefined
  topicId(topic: string): string | undefined
  ensure(topics: Iterable<string>, signal?: AbortSignal): Promise<void>
  refresh(): Promise<void>
}

export interface ProducerCluster {
  readonly ports: KafkaPorts
  readonly options: Pick<ClusterOptions, 'retryBackoffMs' | 'retryBackoffMaxMs'>
  readonly metadata: ProducerMetadata
  connection(nodeId: number, purpose: 'produce'): Promise<ProducerConnection>
  anyConnection(): Promise<ProducerConnection>
  coordinator(kind: 'transaction', key: string): Promise<ProducerConnection>
  forgetCoordinator(kind: 'transaction', key: string): void
}
