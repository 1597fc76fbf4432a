/**
 * The batch that ends a transaction in a partition: one record that says commit or abort, written by brokers. Here for the
 * embedded broker and for tests.
 *
 *   key: version int16 0 | type int16 (0 abort, 1 commit)     value: version int16 0 | coordinatorEpoch int32
 */
import { BatchWriter } from './batch-writer.ts'

export interface TransactionMarker {
  readonly type: 'abort' | 'commit'
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly timestamp: number
  readonly leaderEpoch?: number
}

export function transactionMarkerBatch(marker: TransactionMarker): Buffer {
  const key = Buffer.alloc(4)
  key.writeInt16BE(marker.type === 'commit' ? 1 : 0, 2)
  const value = Buffer.alloc(6)
  value.writeInt32BE(marker.coordinatorEpoch, 2)
  const writer = new BatchWriter(128)
  writer.append(marker.timestamp, key, value)
  const { producerId, producerEpoch, leaderEpoch = -1 } = marker
  return writer.close({ producerId, producerEpoch, baseSequence: -1, transactional: true, control: true, leaderEpoch })
}
