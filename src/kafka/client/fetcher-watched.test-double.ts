/**
 * For tests against a real broker: a cluster whose fetch requests and answers are seen on their way, and may be changed.
 */
import type { Api, Input } from '../protocol/api.ts'
import { type FetchRequest, type FetchResponse, fetchApi } from '../protocol/generated/fetch.ts'
import type { FetcherCluster, FetcherConnection } from './fetcher-cluster.ts'
import type { KafkaCluster } from './kafka-cluster.ts'

export interface SeenFetch {
  readonly node: number
  readonly sessionId: number
  readonly sessionEpoch: number
  /** Partitions that the request names. */
  readonly named: number
  readonly forgotten: number
  /** -1 while it is under way. */
  errorCode: number
  /** Partitions that the answer names. */
  told: number
  bytes: number
}

export class WatchedCluster implements FetcherCluster {
  readonly ports: FetcherCluster['ports']
  readonly options: FetcherCluster['options']
  readonly metadata: FetcherCluster['metadata']
  readonly fetches: SeenFetch[] = []
  /** Other requests by the name of their API. */
  readonly others: string[] = []
  change: (request: Input<FetchRequest>) => Input<FetchRequest> = (request) => request
  readonly #cluster: KafkaCluster
  readonly #watched: WeakMap<FetcherConnection, FetcherConnection> = new WeakMap()

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster
    this.ports = cluster.ports
    this.options = cluster.options
    this.metadata = cluster.metadata
  }

  async connection(nodeId: number): Promise<FetcherConnection> {
    const real: FetcherConnection = await this.#cluster.connection(nodeId, 'fetch')
    let watched = this.#watched.get(real)
    if (watched === undefined) this.#watched.set(real, (watched = this.#watch(nodeId, real)))
    return watched
  }

  #watch(node: number, real: FetcherConnection): FetcherConnection {
    const send = async <Q, R>(
      api: Api<Q, R>,
      request: Input<Q>,
      options?: { version?: number; timeoutMs?: number },
    ): Promise<R> => {
      if (api.key !== fetchApi.key) {
        this.others.push(api.name)
        return real.send(api, request, options)
      }
      const sent = this.change(request as Input<FetchRequest>)
      const count = (topics: readonly { readonly partitions?: readonly unknown[] | undefined }[] = []): number =>
        topics.reduce((sum, { partitions = [] }) => sum + partitions.length, 0)
      const seen: SeenFetch = {
        node,
        sessionId: sent.sessionId ?? 0,
        sessionEpoch: sent.sessionEpoch ?? -1,
        named: count(sent.topics),
        forgotten: count(sent.forgottenTopicsData),
        errorCode: -1,
        told: 0,
        bytes: 0,
      }
      this.fetches.push(seen)
      const response: FetchResponse = await real.send(fetchApi, sent, options)
      seen.errorCode = response.errorCode
      seen.told = count(response.responses)
      for (const { partitions } of response.responses) {
        for (const { records } of partitions) seen.bytes += records?.length ?? 0
      }
      return response as R
    }
    return { version: (api, range) => real.version(api, range), giveBack: (memory) => real.giveBack(memory), send }
  }
}
