/** What a producer did, under the names of Java's producer (`producer-metrics`); counted per batch and per request. */
import type { Clock } from '../../base/index.ts'
import type { KafkaMetrics } from './kafka-metrics.ts'
import { SampledStat } from './sampled-stat.ts'

export interface ProduceFigures {
  requestsInFlight(): number
  bufferBytesLimit(): number
  bufferBytesUsed(): number
}

export class ProduceMetrics {
  readonly #figures: ProduceFigures
  readonly #batchBytes: SampledStat
  readonly #recordBytes: SampledStat
  readonly #compression: SampledStat
  readonly #queueMs: SampledStat
  readonly #records: SampledStat
  readonly #latencyMs: SampledStat
  readonly #throttleMs: SampledStat
  readonly #retries: SampledStat
  readonly #errors: SampledStat
  readonly #splits: SampledStat
  #recordsTotal = 0
  #retriesTotal = 0
  #errorsTotal = 0
  #splitsTotal = 0

  constructor(clock: Clock, figures: ProduceFigures) {
    this.#figures = figures
    this.#batchBytes = new SampledStat(clock)
    this.#recordBytes = new SampledStat(clock)
    this.#compression = new SampledStat(clock)
    this.#queueMs = new SampledStat(clock)
    this.#records = new SampledStat(clock)
    this.#latencyMs = new SampledStat(clock)
    this.#throttleMs = new SampledStat(clock)
    this.#retries = new SampledStat(clock)
    this.#errors = new SampledStat(clock)
    this.#splits = new SampledStat(clock)
  }

  /** A batch leaves: `writtenBytes` before compression, `sentBytes` after it. */
  sent(records: number, writtenBytes: number, sentBytes: number, queuedMs: number): void {
    this.#recordsTotal += records
    this.#records.record(records)
    this.#batchBytes.record(sentBytes)
    this.#recordBytes.record(writtenBytes / records)
    this.#compression.record(sentBytes / writtenBytes)
    this.#queueMs.record(queuedMs)
  }

  answered(latencyMs: number, throttleMs: number): void {
    this.#latencyMs.record(latencyMs)
    this.#throttleMs.record(throttleMs)
  }

  retried(records: number): void {
    this.#retriesTotal += records
    this.#retries.record(records)
  }

  failed(records: number): void {
    this.#errorsTotal += records
    this.#errors.record(records)
  }

  split(): void {
    this.#splitsTotal++
    this.#splits.record(1)
  }

  get gauges(): KafkaMetrics {
    const { requestsInFlight, bufferBytesLimit, bufferBytesUsed } = this.#figures
    return new Map([
      ['record-send-total', () => this.#recordsTotal],
      ['record-send-rate', () => this.#records.sumRate],
      ['record-retry-total', () => this.#retriesTotal],
      ['record-retry-rate', () => this.#retries.sumRate],
      ['record-error-total', () => this.#errorsTotal],
      ['record-error-rate', () => this.#errors.sumRate],
      ['record-size-avg', () => this.#recordBytes.average],
      ['record-queue-time-avg', () => this.#queueMs.average],
      ['record-queue-time-max', () => this.#queueMs.maximum],
      ['records-per-request-avg', () => this.#records.sum / this.#latencyMs.count],
      ['batch-size-avg', () => this.#batchBytes.average],
      ['batch-size-max', () => this.#batchBytes.maximum],
      ['batch-split-total', () => this.#splitsTotal],
      ['batch-split-rate', () => this.#splits.countRate],
      ['compression-rate-avg', () => this.#compression.average],
      ['request-latency-avg', () => this.#latencyMs.average],
      ['request-latency-max', () => this.#latencyMs.maximum],
      ['produce-throttle-time-avg', () => this.#throttleMs.average],
      ['produce-throttle-time-max', () => this.#throttleMs.maximum],
      ['requests-in-flight', requestsInFlight],
      ['buffer-total-bytes', bufferBytesLimit],
      ['buffer-available-bytes', () => Math.max(0, bufferBytesLimit() - bufferBytesUsed())],
    ])
  }
}
