/**
 * A look at the headers of the batches in one partition's part of a fetch response: how far it is complete and sound, before
 * anybody walks its records. It costs one step per batch, and one checksum where asked for.
 *
 * What it finds wrong it does not judge: the part before it is handed out, and the partition is fetched again from there, so
 * that a bad batch is at the front when the BatchReader says what is wrong with it.
 */
import * as layout from '../records/batch-layout.ts'
import { crc32c } from '../records/crc32c.ts'

export interface BatchesSeen {
  /** Bytes of the complete batches from the start. */
  readonly bytes: number
  /** The offset behind them; the offset asked for when there are none. */
  readonly endOffset: number
  /** The leader epoch of the last of them; -1 when there are none. */
  readonly endEpoch: number
  /** What follows them: nothing, the beginning of a batch, or something that is not one. */
  readonly tail: 'nothing' | 'part of a batch' | 'malformed'
  /** Bytes that the batch cut off at the end takes in all; 0 when that is not known. */
  readonly tailBytes: number
}

/** The complete batches of `records`, judged by their headers alone. */
export function seeBatches(records: Buffer, fetchOffset: number): BatchesSeen {
  let at = 0
  let endOffset = fetchOffset
  let endEpoch = -1
  while (at < records.length) {
    const left = records.length - at
    if (left < layout.MAGIC + 1) return { bytes: at, endOffset, endEpoch, tail: 'part of a batch', tailBytes: 0 }
    const size = layout.LENGTH_OVERHEAD + records.readInt32BE(at + layout.BATCH_LENGTH)
    if (records[at + layout.MAGIC] !== 2 || size < layout.HEADER_BYTES) {
      return { bytes: at, endOffset, endEpoch, tail: 'malformed', tailBytes: 0 }
    }
    if (size > left) return { bytes: at, endOffset, endEpoch, tail: 'part of a batch', tailBytes: size }
    const next = layout.readInt64(records, at) + records.readInt32BE(at + layout.LAST_OFFSET_DELTA) + 1
    // An old batch at the front may lie below the offset; going backwards within a response is impossible.
    if (!Number.isSafeInteger(next)) return { bytes: at, endOffset, endEpoch, tail: 'malformed', tailBytes: 0 }
    endOffset = Math.max(endOffset, next)
    endEpoch = records.readInt32BE(at + layout.LEADER_EPOCH)
    at += size
  }
  return { bytes: at, endOffset, endEpoch, tail: 'nothing', tailBytes: 0 }
}

/** Where the first batch with a wrong checksum begins, and the offset to fetch it from; undefined when all are right. */
export function firstWrongChecksum(
  records: Buffer,
  fetchOffset: number,
): { readonly bytes: number; readonly endOffset: number; readonly endEpoch: number } | undefined {
  let at = 0
  let endOffset = fetchOffset
  let endEpoch = -1
  while (at < records.length) {
    const end = at + layout.LENGTH_OVERHEAD + records.readInt32BE(at + layout.BATCH_LENGTH)
    const expected = records.readUInt32BE(at + layout.CRC)
    if (crc32c(records, at + layout.ATTRIBUTES, end) !== expected) return { bytes: at, endOffset, endEpoch }
    endOffset = Math.max(
      endOffset,
      layout.readInt64(records, at) + records.readInt32BE(at + layout.LAST_OFFSET_DELTA) + 1,
    )
    endEpoch = records.readInt32BE(at + layout.LEADER_EPOCH)
    at = end
  }
  return undefined
}
