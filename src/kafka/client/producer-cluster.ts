/**
 * What the producer uses of a KafkaCluster: this much stands in for one in tests.
 */
import { MillraceError } from '../../base/index.ts'
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

/** Whether a failed exchange with a broker may succeed when it is tried again; everything else is for people or a bug. */
export function mayPass(error: unknown): boolean {
  if (!MillraceError.is(error)) return false
  return (
    error.retriable ||
    error.code === 'KAFKA_DISCONNECTED' ||
    error.code === 'KAFKA_UNREACHABLE' ||
    error.code === 'KAFKA_TIMEOUT'
  )
}

/** A pause after so many failures in a row: doubling, bounded, a fifth of it by chance. */
export function backoffMs(cluster: Pick<ProducerCluster, 'options' | 'ports'>, failures: number): number {
  const { retryBackoffMs, retryBackoffMaxMs } = cluster.options
  const delay = Math.min(retryBackoffMaxMs, retryBackoffMs * 2 ** Math.min(failures, 16))
  return delay * (0.8 + 0.4 * cluster.ports.random.next())
}
