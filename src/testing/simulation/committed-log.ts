/**
 * What a partition's log says to a reader of committed records, worked out from the batches alone: the records of a producer
 * count from its commit marker on, and those before an abort marker never. It shares nothing with the client that jobs read
 * with, so that a mistake there is not made here as well.
 */
import type { EmbeddedBroker } from '../../broker/index.ts'
import { BatchReader } from '../../kafka/index.ts'

export interface CommittedRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  /** Of its transaction; -1 outside of one. */
  readonly producerId: number
  readonly producerEpoch: number
}

export interface PartitionReading {
  readonly committed: readonly CommittedRecord[]
  readonly aborted: readonly CommittedRecord[]
  /** In transactions that nobody has ended. */
  readonly open: readonly CommittedRecord[]
}

export function readCommitted(broker: EmbeddedBroker, topic: string, partition: number): PartitionReading {
  const reader = new BatchReader()
  const committed: CommittedRecord[] = []
  const aborted: CommittedRecord[] = []
  const open: Map<number, CommittedRecord[]> = new Map()
  for (const bytes of broker.batchesOf(topic, partition)) {
    reader.reset(topic, partition, bytes, 0)
    while (reader.nextBatch()) {
      const { producerId, producerEpoch } = reader
      if (reader.isControl) {
        const ended = open.get(producerId) ?? []
        open.delete(producerId)
        for (const record of ended) (reader.controlType === 'commit' ? committed : aborted).push(record)
        continue
      }
      const target = reader.isTransactional ? (open.get(producerId) ?? []) : committed
      if (reader.isTransactional) open.set(producerId, target)
      while (reader.next()) {
        const { offset } = reader
        target.push({
          partition,
          offset,
          key: reader.keyString(),
          value: reader.valueString(),
          producerId,
          producerEpoch,
        })
      }
    }
  }
  committed.sort((left, right) => left.offset - right.offset)
  return { committed, aborted, open: [...open.values()].flat() }
}
