/**
 * The reader's metrics under Flink's names. Counters are fields added to once for each stretch walked; everything else is read
 * when somebody looks.
 */
import { type Counter, type MetricGroup, NO_TIMESTAMP } from '../../core/index.ts'
import type { SplitReading } from './split-reading.ts'

export interface ReaderFigures {
  readonly pendingRecords: () => number | undefined
  readonly fetched: () => { readonly requests: number; readonly failures: number; readonly bytes: number } | undefined
  readonly nullsSkipped: () => number
  readonly registerConsumerMetrics: boolean
}

export class KafkaReaderMetrics {
  readonly commitsSucceeded: Counter
  readonly commitsFailed: Counter
  readonly #records: Counter
  readonly #kafka: MetricGroup
  #emitEventTimeLagMs = 0

  constructor(metrics: MetricGroup, figures: ReaderFigures) {
    this.#records = metrics.counter('numRecordsIn')
    metrics.gauge('numBytesIn', () => figures.fetched()?.bytes ?? 0)
    metrics.gauge('pendingRecords', () => figures.pendingRecords() ?? 0)
    metrics.gauge('currentEmitEventTimeLag', () => this.#emitEventTimeLagMs)
    metrics.group('deserializer').gauge('nullValuesSkipped', figures.nullsSkipped)
    this.#kafka = metrics.group('KafkaSourceReader')
    this.commitsSucceeded = this.#kafka.counter('commitsSucceeded')
    this.commitsFailed = this.#kafka.counter('commitsFailed')
    if (!figures.registerConsumerMetrics) return
    const consumer = this.#kafka.group('KafkaConsumer')
    consumer.gauge('records-consumed-total', () => this.#records.value)
    consumer.gauge('bytes-consumed-total', () => figures.fetched()?.bytes ?? 0)
    consumer.gauge('fetch-total', () => figures.fetched()?.requests ?? 0)
  }

  addSplit(reading: SplitReading<unknown>): void {
    const group = this.#kafka.group('topic').group(reading.topic).group('partition').group(String(reading.partition))
    group.gauge('currentOffset', () => reading.lastOffset)
    group.gauge('committedOffset', () => reading.committedOffset)
  }

  noteEmitted(count: number, nowMs: number, timestamp: number): void {
    this.#records.value += count
    if (timestamp !== NO_TIMESTAMP) this.#emitEventTimeLagMs = nowMs - timestamp
  }
}
