/**
 * What fetcher and producer have in common when a broker does not answer: whether to try again, and how long to wait before.
 */
import { MillraceError, type Random } from '../../base/index.ts'
import type { ClusterOptions } from './options.ts'

export interface Retrying {
  readonly options: Pick<ClusterOptions, 'retryBackoffMs' | 'retryBackoffMaxMs'>
  readonly ports: { readonly random: Random }
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
export function backoffMs(cluster: Retrying, failures: number): number {
  const { retryBackoffMs, retryBackoffMaxMs } = cluster.options
  const delay = Math.min(retryBackoffMaxMs, retryBackoffMs * 2 ** Math.min(failures, 16))
  return delay * (0.8 + 0.4 * cluster.ports.random.next())
}
