/**
 * Where the fields of a record batch (magic 2) lie, counted from its first byte, and what its attribute bits mean.
 *
 *   0 baseOffset int64 | 8 batchLength int32 | 12 partitionLeaderEpoch int32 | 16 magic int8 | 17 crc uint32
 *   21 attributes int16 | 23 lastOffsetDelta int32 | 27 baseTimestamp int64 | 35 maxTimestamp int64
 *   43 producerId int64 | 51 producerEpoch int16 | 53 baseSequence int32 | 57 recordCount int32 | 61 records
 *
 * The length counts what follows itself; the checksum (CRC-32C) covers everything from the attributes on, so that a broker
 * can set the base offset and the leader epoch without computing it again.
 */
import { assert } from '../../base/index.ts'
import { crc32c } from './crc32c.ts'

export const BASE_OFFSET = 0
export const BATCH_LENGTH = 8
export const LEADER_EPOCH = 12
export const MAGIC = 16
export const CRC = 17
export const ATTRIBUTES = 21
export const LAST_OFFSET_DELTA = 23
export const BASE_TIMESTAMP = 27
export const MAX_TIMESTAMP = 35
export const PRODUCER_ID = 43
export const PRODUCER_EPOCH = 51
export const BASE_SEQUENCE = 53
export const RECORD_COUNT = 57
/** Bytes of a batch before its first record. */
export const HEADER_BYTES = 61
/** Bytes before the part that the batch length counts. */
export const LENGTH_OVERHEAD = 12
/** A record without key, value and headers: six varints of one byte and the attributes. */
export const RECORD_BYTES_MIN = 7

export const COMPRESSION_MASK = 0x07
export const LOG_APPEND_TIME_BIT = 0x08
export const TRANSACTIONAL_BIT = 0x10
export const CONTROL_BIT = 0x20

const TWO_32 = 4_294_967_296

/** A signed 64-bit integer as the nearest number; beyond 2^53 the caller decides whether rounding is acceptable. */
export function readInt64(bytes: Buffer, position: number): number {
  return bytes.readInt32BE(position) * TWO_32 + bytes.readUInt32BE(position + 4)
}

export function writeInt64(bytes: Buffer, position: number, value: number): void {
  assert(Number.isInteger(value) && value < 2 ** 63 && value >= -(2 ** 63), `${value} is not a 64-bit integer`)
  const high = Math.floor(value / TWO_32)
  bytes.writeInt32BE(high, position)
  bytes.writeUInt32BE(value - high * TWO_32, position + 4)
}

/** What a broker sets on a batch it appends. Neither field is covered by the checksum. */
export function stampBatch(batch: Buffer, stamp: { readonly baseOffset: number; readonly leaderEpoch: number }): void {
  writeInt64(batch, BASE_OFFSET, stamp.baseOffset)
  batch.writeInt32BE(stamp.leaderEpoch, LEADER_EPOCH)
}

/** What a broker sets when it decides the time of a batch (message.timestamp.type); the checksum is made anew. */
export function stampLogAppendTime(batch: Buffer, timestamp: number): void {
  batch.writeInt16BE(batch.readInt16BE(ATTRIBUTES) | LOG_APPEND_TIME_BIT, ATTRIBUTES)
  writeInt64(batch, MAX_TIMESTAMP, timestamp)
  batch.writeUInt32BE(crc32c(batch, ATTRIBUTES, batch.length), CRC)
}
