/**
 * What a client's connections did, under the names of Kafka's Java clients (their network selector's metrics): of all brokers
 * together, counted per request.
 */
import type { Clock } from '../../base/index.ts'
import type { KafkaMetrics } from './kafka-metrics.ts'
import { SampledStat } from './sampled-stat.ts'

export class ConnectionMetrics {
  readonly #requestBytes: SampledStat
  readonly #responseBytes: SampledStat
  readonly #latencyMs: SampledStat
  readonly #opened: SampledStat
  readonly #closed: SampledStat
  #openedTotal = 0
  #closedTotal = 0
  #requestsTotal = 0
  #responsesTotal = 0
  #requestBytesTotal = 0
  #responseBytesTotal = 0

  constructor(clock: Clock) {
    this.#requestBytes = new SampledStat(clock)
    this.#responseBytes = new SampledStat(clock)
    this.#latencyMs = new SampledStat(clock)
    this.#opened = new SampledStat(clock)
    this.#closed = new SampledStat(clock)
  }

  opened(): void {
    this.#openedTotal++
    this.#opened.record(1)
  }

  closed(): void {
    this.#closedTotal++
    this.#closed.record(1)
  }

  sent(bytes: number): void {
    this.#requestsTotal++
    this.#requestBytesTotal += bytes
    this.#requestBytes.record(bytes)
  }

  answered(bytes: number, latencyMs: number): void {
    this.#responsesTotal++
    this.#responseBytesTotal += bytes
    this.#responseBytes.record(bytes)
    this.#latencyMs.record(latencyMs)
  }

  get gauges(): KafkaMetrics {
    return new Map([
      ['connection-count', () => this.#openedTotal - this.#closedTotal],
      ['connection-creation-total', () => this.#openedTotal],
      ['connection-creation-rate', () => this.#opened.countRate],
      ['connection-close-total', () => this.#closedTotal],
      ['connection-close-rate', () => this.#closed.countRate],
      ['network-io-total', () => this.#requestsTotal + this.#responsesTotal],
      ['network-io-rate', () => this.#requestBytes.countRate + this.#responseBytes.countRate],
      ['request-total', () => this.#requestsTotal],
      ['request-rate', () => this.#requestBytes.countRate],
      ['request-size-avg', () => this.#requestBytes.average],
      ['request-size-max', () => this.#requestBytes.maximum],
      ['outgoing-byte-total', () => this.#requestBytesTotal],
      ['outgoing-byte-rate', () => this.#requestBytes.sumRate],
      ['response-total', () => this.#responsesTotal],
      ['response-rate', () => this.#responseBytes.countRate],
      ['incoming-byte-total', () => this.#responseBytesTotal],
      ['incoming-byte-rate', () => this.#responseBytes.sumRate],
      ['request-latency-avg', () => this.#latencyMs.average],
      ['request-latency-max', () => this.#latencyMs.maximum],
    ])
  }
}
