/** What a fetcher did, under the names of Java's consumer (`consumer-fetch-manager-metrics`); counted per response and per part of it. */
import type { Clock } from '../../base/index.ts'
import type { KafkaMetrics } from './kafka-metrics.ts'
import { SampledStat } from './sampled-stat.ts'

export class FetchMetrics {
  readonly #latencyMs: SampledStat
  readonly #bytes: SampledStat
  readonly #throttleMs: SampledStat
  readonly #records: SampledStat
  readonly #lag: SampledStat
  readonly #lead: SampledStat
  #fetches = 0
  #bytesTotal = 0
  #recordsTotal = 0

  constructor(clock: Clock) {
    this.#latencyMs = new SampledStat(clock)
    this.#bytes = new SampledStat(clock)
    this.#throttleMs = new SampledStat(clock)
    this.#records = new SampledStat(clock)
    this.#lag = new SampledStat(clock)
    this.#lead = new SampledStat(clock)
  }

  /** One response; `bytes` of records are in it. */
  fetched(bytes: number, latencyMs: number, throttleMs: number): void {
    this.#fetches++
    this.#bytesTotal += bytes
    this.#bytes.record(bytes)
    this.#latencyMs.record(latencyMs)
    this.#throttleMs.record(throttleMs)
  }

  /** One partition's part of a response was walked; lag and lead are those behind it. */
  walked(records: number, lag: number, lead: number): void {
    this.#recordsTotal += records
    this.#records.record(records)
    this.#lag.record(lag)
    // The least lead is the greatest of their negatives.
    this.#lead.record(-lead)
  }

  get gauges(): KafkaMetrics {
    return new Map([
      ['records-consumed-total', () => this.#recordsTotal],
      ['records-consumed-rate', () => this.#records.sumRate],
      ['records-per-request-avg', () => this.#records.sum / this.#latencyMs.count],
      ['bytes-consumed-total', () => this.#bytesTotal],
      ['bytes-consumed-rate', () => this.#bytes.sumRate],
      ['fetch-total', () => this.#fetches],
      ['fetch-rate', () => this.#latencyMs.countRate],
      ['fetch-size-avg', () => this.#bytes.average],
      ['fetch-size-max', () => this.#bytes.maximum],
      ['fetch-latency-avg', () => this.#latencyMs.average],
      ['fetch-latency-max', () => this.#latencyMs.maximum],
      ['fetch-throttle-time-avg', () => this.#throttleMs.average],
      ['fetch-throttle-time-max', () => this.#throttleMs.maximum],
      ['records-lag-max', () => this.#lag.maximum],
      ['records-lead-min', () => -this.#lead.maximum],
    ])
  }
}
