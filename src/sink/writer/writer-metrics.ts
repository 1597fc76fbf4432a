/** The metrics of a sink writer and of its commits, under Flink's names and their later synonyms. */
import type { Counter, MetricGroup } from '../../core/index.ts'
import type { RecordProducer } from './record-producer.ts'

export interface WriterMetrics {
  readonly recordsSent: Counter
  /** Elements for which the serialization schema answered null. */
  readonly recordsSkipped: Counter
  readonly totalCommittables: Counter
  readonly successfulCommittables: Counter
  readonly failedCommittables: Counter
  /** Ends that had to be asked for again because the coordinator was busy with the id. */
  readonly retriedCommittables: Counter
  readonly alreadyCommittedCommittables: Counter
}

export function registerWriterMetrics(
  group: MetricGroup,
  producer: RecordProducer,
  pendingCommittables: () => number,
  registerProducerMetrics: boolean,
): WriterMetrics {
  const metrics: WriterMetrics = {
    recordsSent: group.counter('numRecordsSend'),
    recordsSkipped: group.counter('numRecordsSkipped'),
    totalCommittables: group.counter('totalCommittables'),
    successfulCommittables: group.counter('successfulCommittables'),
    failedCommittables: group.counter('failedCommittables'),
    retriedCommittables: group.counter('retriedCommittables'),
    alreadyCommittedCommittables: group.counter('alreadyCommittedCommittables'),
  }
  const bytesSent = (): number => producer.metrics().bytesSent
  const errors = (): number => producer.metrics().recordErrors
  group.gauge('numRecordsOut', () => metrics.recordsSent.value)
  group.gauge('numBytesSend', bytesSent)
  group.gauge('numBytesOut', bytesSent)
  group.gauge('numRecordsOutErrors', errors)
  group.gauge('numRecordsSendErrors', errors)
  group.gauge('currentSendTime', () => producer.metrics().sendTimeMs)
  group.gauge('pendingCommittables', pendingCommittables)
  if (!registerProducerMetrics) return metrics
  const forwarded = group.group('KafkaProducer')
  for (const [name, read] of producer.kafkaMetrics) forwarded.gauge(name, read)
  return metrics
}
