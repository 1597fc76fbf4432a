/**
 * What a producer sent for one partition, checked before anything of it is stored: one batch of the current format, its
 * length, checksum, offsets and every record in it, as Apache Kafka's leader does. What always holds: bytes of any kind end in
 * a batch that readers can read or in a refusal, never in an exception.
 */
import { MillraceError } from '../../base/index.ts'
import { BatchReader, KafkaErrorCode } from '../../kafka/index.ts'

export interface IncomingBatch {
  readonly bytes: Buffer
  readonly recordCount: number
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  /** -1 without idempotence. */
  readonly baseSequence: number
  readonly transactional: boolean
}

export interface Refusal {
  readonly error: number
  readonly message: string
}

export interface BatchRules {
  readonly bytesMax: number
  readonly zstdAllowed: boolean
  readonly timestampMin: number
  readonly timestampMax: number
  /** The topic is compacted, which goes by the key. */
  readonly keyNeeded: boolean
}

/** What one batch may grow to; a client is not allowed to fill the memory with a small compressed batch. */
const DECOMPRESSED_BYTES_MAX = 128 * 1024 * 1024

export class IncomingBatches {
  readonly #reader: BatchReader = new BatchReader({ decompressedBytesMax: DECOMPRESSED_BYTES_MAX })

  check(topic: string, partition: number, records: Buffer | null, rules: BatchRules): IncomingBatch | Refusal {
    if (records === null || records.length === 0) return invalid('there is no batch')
    if (records.length > rules.bytesMax) {
      const message = `a batch of ${records.length} bytes; max.message.bytes is ${rules.bytesMax}`
      return { error: KafkaErrorCode.MESSAGE_TOO_LARGE, message }
    }
    try {
      return this.#read(topic, partition, records, rules)
    } catch (error) {
      return refusalOf(error)
    } finally {
      this.#reader.reset('', 0, Buffer.alloc(0), 0)
    }
  }

  #read(topic: string, partition: number, records: Buffer, rules: BatchRules): IncomingBatch | Refusal {
    const reader = this.#reader
    reader.reset(topic, partition, records, 0)
    if (!reader.nextBatch()) return { error: KafkaErrorCode.CORRUPT_MESSAGE, message: 'the batch is cut off' }
    if (reader.isControl) return invalid('clients write no control batches')
    if (reader.compression === 'zstd' && !rules.zstdAllowed) {
      return { error: KafkaErrorCode.UNSUPPORTED_COMPRESSION_TYPE, message: 'zstd needs Produce version 7' }
    }
    const { baseOffset, lastOffset, recordCount, producerId, producerEpoch, baseSequence, isTransactional } = reader
    if (recordCount === 0 || lastOffset - baseOffset !== recordCount - 1) {
      return invalid(`${recordCount} records up to offset delta ${lastOffset - baseOffset}`)
    }
    if (isTransactional && producerId < 0) return invalid('a transactional batch has a producer id')
    if (producerId >= 0 && (producerEpoch < 0 || baseSequence < 0)) {
      return invalid(`producer id ${producerId} with epoch ${producerEpoch} and sequence ${baseSequence}`)
    }
    let maxTimestamp = -1
    let minTimestamp = Number.POSITIVE_INFINITY
    for (let at = 0; reader.next(); at++) {
      if (reader.offset - baseOffset !== at) return invalid(`record ${at} says it is ${reader.offset - baseOffset}`)
      if (rules.keyNeeded && reader.keyLength < 0) return invalid('a compacted topic takes no record without a key')
      if (reader.timestamp > maxTimestamp) maxTimestamp = reader.timestamp
      if (reader.timestamp < minTimestamp) minTimestamp = reader.timestamp
    }
    if (maxTimestamp > rules.timestampMax || minTimestamp < rules.timestampMin) {
      const message = `timestamps from ${minTimestamp} to ${maxTimestamp}; message.timestamp.before.max.ms and message.timestamp.after.max.ms allow ${rules.timestampMin} to ${rules.timestampMax}`
      return { error: KafkaErrorCode.INVALID_TIMESTAMP, message }
    }
    if (reader.nextBatch() || reader.truncated) return invalid('a produce request holds one batch for each partition')
    const sequence = producerId < 0 ? -1 : baseSequence
    const fields = { recordCount, maxTimestamp, producerId, producerEpoch, transactional: isTransactional }
    return { bytes: records, baseSequence: sequence, ...fields }
  }
}

function invalid(message: string): Refusal {
  return { error: KafkaErrorCode.INVALID_RECORD, message }
}

function refusalOf(error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error)
  if (!MillraceError.is(error)) return invalid(message)
  switch (error.code) {
    case 'NOT_SUPPORTED':
      return { error: KafkaErrorCode.UNSUPPORTED_COMPRESSION_TYPE, message }
    case 'KAFKA_RECORD_TOO_LARGE':
      return { error: KafkaErrorCode.MESSAGE_TOO_LARGE, message }
    case 'KAFKA_CORRUPT_BATCH':
      return { error: error.retriable ? KafkaErrorCode.CORRUPT_MESSAGE : KafkaErrorCode.INVALID_RECORD, message }
    default:
      return invalid(message)
  }
}
