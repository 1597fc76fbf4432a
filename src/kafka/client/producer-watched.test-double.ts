/**
 * For tests against a real broker: a cluster whose produce requests are seen on their way, so that a test can pause or kill a
 * broker while it certainly has one of them.
 */
import type { AnyApi, Api, Input } from '../protocol/api.ts'
import { produceApi } from '../protocol/generated/produce.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import type { ProducerCluster, ProducerConnection } from './producer-cluster.ts'

/** What a paused broker had answered before comes in sooner. */
const UNANSWERED_MS = 100
const TIMEOUT_MS = 60_000

export class WatchedProduceCluster implements ProducerCluster {
  readonly ports: ProducerCluster['ports']
  readonly options: ProducerCluster['options']
  readonly metadata: ProducerCluster['metadata']
  /** Produce requests so far. */
  sent = 0
  readonly #cluster: KafkaCluster
  readonly #underWay: Set<{ readonly nodeId: number; readonly sentMs: number }> = new Set()
  readonly #watched: WeakMap<ProducerConnection, ProducerConnection> = new WeakMap()

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster
    this.ports = cluster.ports
    this.options = cluster.options
    this.metadata = cluster.metadata
  }

  async connection(nodeId: number): Promise<ProducerConnection> {
    const real: ProducerConnection = await this.#cluster.connection(nodeId, 'produce')
    let watched = this.#watched.get(real)
    if (watched === undefined) this.#watched.set(real, (watched = this.#watch(nodeId, real)))
    return watched
  }

  anyConnection(): Promise<ProducerConnection> {
    return this.#cluster.anyConnection()
  }

  coordinator(kind: 'transaction', key: string): Promise<ProducerConnection> {
    return this.#cluster.coordinator(kind, key)
  }

  forgetCoordinator(kind: 'transaction', key: string): void {
    this.#cluster.forgetCoordinator(kind, key)
  }

  /** Waits until more than so many produce requests were sent. */
  async sentMoreThan(count: number): Promise<void> {
    await this.#until(() => this.sent > count, `more than ${count} produce requests are sent, not ${this.sent}`)
  }

  /** Waits until this broker, paused by now, has a produce request that it does not answer. */
  async unansweredBy(nodeId: number): Promise<void> {
    const unanswered = (): boolean => {
      const before = performance.now() - UNANSWERED_MS
      return [...this.#underWay].some((one) => one.nodeId === nodeId && one.sentMs < before)
    }
    await this.#until(unanswered, `a produce request is under way to broker ${nodeId}`)
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    for (const until = performance.now() + TIMEOUT_MS; !holds(); await this.ports.clock.sleep(5)) {
      if (performance.now() > until) throw new Error(`not within ${TIMEOUT_MS} ms: ${what}`)
    }
  }

  #watch(nodeId: number, real: ProducerConnection): ProducerConnection {
    const send = async <Q, R>(
      api: Api<Q, R>,
      request: Input<Q>,
      options?: { version?: number; timeoutMs?: number; expectNoResponse?: boolean },
    ): Promise<R> => {
      if (api.key !== produceApi.key) return real.send(api, request, options)
      this.sent++
      const one = { nodeId, sentMs: performance.now() }
      this.#underWay.add(one)
      try {
        return await real.send(api, request, options)
      } finally {
        this.#underWay.delete(one)
      }
    }
    return {
      get closed() {
        return real.closed
      },
      version: (api: AnyApi, range?: { min?: number; max?: number }) => real.version(api, range),
      send,
    }
  }
}
