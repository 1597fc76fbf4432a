/**
 * What the fetcher uses of a KafkaCluster: this much stands in for one in tests.
 */
import type { Api, Input } from '../protocol/api.ts'
import type { ClusterOptions, KafkaPorts } from './options.ts'

export interface FetcherConnection {
  version(api: Api<unknown, unknown>, range?: { min?: number; max?: number }): number
  /** Nothing of the response in this memory is looked at any more: it may be overwritten. */
  giveBack(memory: ArrayBufferLike): void
  send<Q, R>(api: Api<Q, R>, request: Input<Q>, options?: { version?: number; timeoutMs?: number }): Promise<R>
}

export interface FetcherMetadata {
  leader(topic: string, partition: number): { readonly nodeId: number; readonly leaderEpoch: number } | undefined
  partitionCount(topic: string): number | undefined
  topicId(topic: string): string | undefined
  ensure(topics: Iterable<string>, signal?: AbortSignal): Promise<void>
  refresh(): Promise<void>
}

export interface FetcherCluster {
  readonly ports: KafkaPorts
  readonly options: Pick<ClusterOptions, 'retryBackoffMs' | 'retryBackoffMaxMs' | 'metadataMaxAgeMs' | 'clientRack'>
  readonly metadata: FetcherMetadata
  connection(nodeId: number, purpose: 'fetch'): Promise<FetcherConnection>
}
