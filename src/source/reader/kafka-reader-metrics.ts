/**
 * The reader's metrics under Flink's names. Counters are fields added to once for each stretch walked; everything else is read
 * when somebody looks.
 */
import { type Counter, type MetricGroup, NO_TIMESTAMP } from '../../core/index.ts'
import type { KafkaMetrics } from '../../kafka/index.ts'
import type { SourceFetcher } from '../source-client.ts'
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
  /** Undefined where `register.consumer.metrics` is false. */
  readonly #consumer: MetricGroup | undefined
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
    this.#consumer = figures.registerConsumerMetrics ? this.#kafka.group('KafkaConsumer') : undefined
  }

  /** The client's own metrics, from the moment there is one. */
  addClient(...sets: readonly KafkaMetrics[]): void {
    for (const set of sets) for (const [name, read] of set) this.#consumer?.gauge(name, read)
  }

  /** Java's client has these by tags, and Flink drops the tags; here each partition has a name of its own, so that none hides another. */
  addSplit(reading: SplitReading<unknown>, fetcher: () => SourceFetcher | undefined): void {
    const { topic, partition } = reading
    const group = ofPartition(this.#kafka, reading)
    group.gauge('currentOffset', () => reading.lastOffset)
    group.gauge('committedOffset', () => reading.committedOffset)
    if (this.#consumer === undefined) return
    const consumer = ofPartition(this.#consumer, reading)
    consumer.gauge('records-lag', () => fetcher()?.lag(topic, partition) ?? Number.NaN)
    consumer.gauge('records-lead', () => fetcher()?.lead(topic, partition) ?? Number.NaN)
    consumer.gauge('preferred-read-replica', () => fetcher()?.preferredReadReplica(topic, partition) ?? -1)
  }

  noteEmitted(count: number, nowMs: number, timestamp: number): void {
    this.#records.value += count
    if (timestamp !== NO_TIMESTAMP) this.#emitEventTimeLagMs = nowMs - timestamp
  }
}

function ofPartition(group: MetricGroup, { topic, partition }: SplitReading<unknown>): MetricGroup {
  return group.group('topic').group(topic).group('partition').group(String(partition))
}
