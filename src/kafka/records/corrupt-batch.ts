/**
 * The errors of reading batches, all in one place so that each names topic, partition and offset and says the same about
 * what may be lost: nothing, because a batch that is not understood is never skipped.
 */
import { MillraceError } from '../../base/index.ts'

export interface BatchPlace {
  readonly topic: string
  readonly partition: number
  /** The base offset of the batch, or the offset that was asked for when the batch gives none. */
  readonly offset: number
}

const where = (place: BatchPlace): string => `the batch at offset ${place.offset} of ${place.topic}-${place.partition}`

const NEXT = 'The reader stops before this batch and stays there; nothing is skipped.'

export function corruptBatch(place: BatchPlace, what: string, cause?: unknown): MillraceError {
  const text = `${where(place)} is malformed: ${what}. Nothing is lost so far, the position stays before it. Look at it with
 kafka-dump-log on the leader; if the log itself is damaged, restore that replica or start behind the batch.`
  return new MillraceError('KAFKA_CORRUPT_BATCH', text.replace('\n', ''), { next: NEXT, cause })
}

/** A wrong checksum alone may have happened on the way, so that fetching again can help. */
export function checksumMismatch(place: BatchPlace, expected: number, computed: number): MillraceError {
  const text = `${where(place)} does not match its checksum (it says ${expected}, computed ${computed}). Bytes changed on the
 way or in the broker's log. Nothing is lost so far; when fetching again gives the same, the log of the leader is damaged.`
  return new MillraceError('KAFKA_CORRUPT_BATCH', text.replace('\n', ''), { next: NEXT, retriable: true })
}

export function oldMessageFormat(place: BatchPlace, magic: number): MillraceError {
  const text = `${where(place)} has message format ${magic}; millrace reads format 2 (Kafka 0.11 and later). The topic holds
 records written before a message format conversion: copy them to a new topic with a current producer, or start behind them.`
  return new MillraceError('KAFKA_MESSAGE_FORMAT_UNSUPPORTED', text.replace('\n', ''), { next: NEXT })
}

export function batchTooLarge(place: BatchPlace, bytesMax: number): MillraceError {
  const text = `${where(place)} is larger than ${bytesMax} bytes when decompressed. Nothing is lost so far. If such batches are
 expected, raise the limit on decompressed batches.`
  return new MillraceError('KAFKA_RECORD_TOO_LARGE', text.replace('\n', ''), { next: NEXT })
}
