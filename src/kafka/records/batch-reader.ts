/**
 * Walks the record batches of one partition's fetch response in place. One reader is used again for every response; no object
 * is made per record. A caller loops `while (reader.nextBatch())`, decides by the batch's fields whether to read it (see
 * AbortedTransactionFilter), loops `while (reader.next())`, and takes what it needs of the record the reader stands on.
 *
 * What always holds:
 * - a batch is checked (format, length, CRC) before its fields are shown; anything malformed throws a MillraceError that
 *   names topic, partition and offset, and the reader then stays behind the last record it handed out;
 * - records below the wanted offset are left out, control batches show their type and no records;
 * - a batch that the response cuts off ends the walk (`truncated`) and is fetched again;
 * - `nextFetchOffset` is right at every moment: after the record handed out, or after the batch once it is done or passed
 *   over, so that compaction gaps, aborted data and markers move it too;
 * - views are of a copy of up to 64 KB round their record, made when the first of them is asked for: whoever keeps one keeps no response
 *   alive, and the response's memory can be used again. (Responses that had to stay, 8 MB each, made V8 collect everything for every
 *   20 MB read: from a broker 3.1 M/s with two views a record, 4.1 to 4.7 with the copies.)
 *
 * Records of 115-byte JSON, checksum included (batch-reader.bench.ts): positions 15 M/s (28 without the checksum), a view 9,
 * transientValueString 8.3, valueString 5.6; behind snappy, lz4, zstd and gzip 6.5, 5.5, 5.3 and 4.8.
 */
import { assert, MillraceError } from '../../base/index.ts'
import * as layout from './batch-layout.ts'
import { COMPRESSION_CODECS, type CompressionCodec, DecompressedTooLarge, decompress } from './compression.ts'
import { batchTooLarge, checksumMismatch, corruptBatch, oldMessageFormat } from './corrupt-batch.ts'
import { crc32c } from './crc32c.ts'
import { decodeHeaders, type RecordHeader } from './record-headers.ts'
import { RecordIndex } from './record-index.ts'
import { COPIED_LENGTH_MAX, RecordText } from './record-text.ts'
import { asTextBuffer } from './text-buffer.ts'
import { VarintCursor } from './varint.ts'

export type TimestampType = 'CreateTime' | 'LogAppendTime'

/** The type of a control batch; 'other' are the markers of the broker's own logs. */
export type ControlType = 'abort' | 'commit' | 'other'

export interface BatchReaderOptions {
  /** Kafka's `check.crcs`; default true. */
  readonly checkCrcs?: boolean
  /** What one batch may grow to when decompressed; default 512 MB. */
  readonly decompressedBytesMax?: number
}

/** The batch a reader stands in. */
export interface RecordBatchView {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly leaderEpoch: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly controlType: ControlType | null
}

/** The record a reader stands on, as a deserializer sees it. Valid until the reader moves; views and strings stay valid. */
export interface RecordView {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly timestampType: TimestampType
  readonly leaderEpoch: number
  /** What `key` and `value` are views of: a position is this much behind its place in there. */
  readonly viewed: Buffer
  readonly viewedStart: number
  readonly keyStart: number
  /** -1 is null. */
  readonly keyLength: number
  readonly valueStart: number
  /** -1 is null. */
  readonly valueLength: number
  readonly headerCount: number
  key(): Buffer | null
  value(): Buffer | null
  /** Independent strings. */
  keyString(): string | null
  valueString(): string | null
  /** Faster, but keeps up to 64 KB alive as long as the string lives: for parsing at once, see RecordText. */
  transientValueString(): string | null
  /** The text round this record where it is ASCII, until the reader moves; null where it is not. Take no view of its bytes. */
  readonly asciiText: RecordText | null
  headers(): RecordHeader[]
}

const EMPTY = Buffer.alloc(0)

export class BatchReader implements RecordBatchView, RecordView {
  topic = ''
  partition = 0

  baseOffset = -1
  lastOffset = -1
  leaderEpoch = -1
  producerId = -1
  producerEpoch = -1
  baseSequence = -1
  recordCount = 0
  isTransactional = false
  isControl = false
  controlType: ControlType | null = null
  compression: CompressionCodec = 'none'
  timestampType: TimestampType = 'CreateTime'
  maxTimestamp = -1
  /** Records that were within reach of `next`, of everything that this reader has walked. */
  recordsReached = 0
  /** Whether the response ended within a batch. With no batch before it, the fetch size was too small for it. */
  truncated = false

  readonly #checkCrcs: boolean
  readonly #decompressedBytesMax: number
  readonly #index: RecordIndex = new RecordIndex()
  readonly #text: RecordText = new RecordText()
  readonly #cursor: VarintCursor = new VarintCursor()

  #response: Buffer = EMPTY
  /** The response, or the decompressed records. */
  #bytes: Buffer = EMPTY
  #position = 0
  #baseTimestamp = 0
  #isLogAppendTime = false
  #open = false
  #deltaMin = 0
  #recordsStart = 0
  #recordsEnd = 0
  #recordsLeft = 0
  #at = -1
  #textOpen = false
  /** What views are taken of: a copy from `#copyStart` on, made when needed, or the decompressed records themselves. */
  #copy: Buffer = EMPTY
  #copyStart = -1
  #stretchStart = 0
  #nextOffset = 0

  constructor(options: BatchReaderOptions = {}) {
    this.#checkCrcs = options.checkCrcs ?? true
    this.#decompressedBytesMax = options.decompressedBytesMax ?? 512 * 1024 * 1024
  }

  /** Begins with the `records` of one partition of a fetch response, which stay as they are until the next `reset`. */
  reset(topic: string, partition: number, records: Buffer, fetchOffset: number): void {
    this.topic = topic
    this.partition = partition
    this.truncated = false
    this.#response = records
    this.#position = 0
    this.#nextOffset = fetchOffset
    this.#open = false
    this.#endRecords()
    this.#bytes = EMPTY
  }

  /** The offset to fetch from when everything handed out so far has been taken care of. */
  get nextFetchOffset(): number {
    return this.#open && this.#at >= 0 ? this.offset + 1 : this.#nextOffset
  }

  /** Goes to the next batch, leaving out what is unread of this one. False: no complete batch is left. */
  nextBatch(): boolean {
    this.#closeBatch()
    const response = this.#response
    const start = this.#position
    const left = response.length - start
    if (left === 0) return false
    if (left > layout.MAGIC && response[start + layout.MAGIC] !== 2) {
      const magic = response[start + layout.MAGIC] as number
      throw magic < 2
        ? oldMessageFormat(this.#place(start), magic)
        : this.#corrupt(start, `its format is ${magic}, not 2`)
    }
    const length = left < layout.LENGTH_OVERHEAD ? 0 : response.readInt32BE(start + layout.BATCH_LENGTH)
    if (left >= layout.LENGTH_OVERHEAD && length < layout.HEADER_BYTES - layout.LENGTH_OVERHEAD) {
      throw this.#corrupt(start, `its length ${length} is too small`)
    }
    if (left < layout.LENGTH_OVERHEAD + length || left < layout.HEADER_BYTES) {
      this.truncated = true
      this.#position = response.length
      return false
    }
    const end = start + layout.LENGTH_OVERHEAD + length
    this.#check(start, end)
    this.#readHeader(start)
    this.#openRecords(start, end)
    this.#position = end
    this.#open = true
    return true
  }

  /** Goes to the next record of this batch at or above the wanted offset. */
  next(): boolean {
    const at = this.#at + 1
    if (at < this.#index.count) {
      this.#at = at
      return true
    }
    return this.#nextStretch()
  }

  get viewed(): Buffer {
    if (this.#copyStart < 0) this.#openCopy()
    return this.#copy
  }

  get viewedStart(): number {
    if (this.#copyStart < 0) this.#openCopy()
    return this.#copyStart
  }

  get offset(): number {
    return this.baseOffset + (this.#index.offsetDelta[this.#at] as number)
  }

  get timestamp(): number {
    if (this.#isLogAppendTime) return this.maxTimestamp
    return this.#baseTimestamp + (this.#index.timestampDelta[this.#at] as number)
  }

  /**
   * The timestamp, put where it is wanted, or `absent` for a record that has none. For the record path: a number beyond 31
   * bits that a call answers with is an allocation wherever V8 does not inline the call.
   */
  putTimestamp(into: { timestamp: number }, absent: number): void {
    // Stored where it is computed: what comes from one of two places is an object again.
    if (this.#isLogAppendTime) into.timestamp = this.maxTimestamp
    else into.timestamp = this.#baseTimestamp + (this.#index.timestampDelta[this.#at] as number)
    if (into.timestamp < 0) into.timestamp = absent
  }

  get keyStart(): number {
    return this.#index.keyStart[this.#at] as number
  }

  get keyLength(): number {
    return this.#index.keyLength[this.#at] as number
  }

  get valueStart(): number {
    return this.#index.valueStart[this.#at] as number
  }

  get valueLength(): number {
    return this.#index.valueLength[this.#at] as number
  }

  get headerCount(): number {
    return this.#index.headerCount[this.#at] as number
  }

  key(): Buffer | null {
    const length = this.keyLength
    return length < 0 ? null : this.#view(this.keyStart, length)
  }

  value(): Buffer | null {
    const length = this.valueLength
    return length < 0 ? null : this.#view(this.valueStart, length)
  }

  keyString(): string | null {
    const length = this.keyLength
    return length < 0 ? null : this.#independentString(this.keyStart, length)
  }

  valueString(): string | null {
    const length = this.valueLength
    return length < 0 ? null : this.#independentString(this.valueStart, length)
  }

  transientValueString(): string | null {
    const length = this.valueLength
    if (!this.#textOpen) this.#openText()
    return length < 0 ? null : this.#text.transient(this.valueStart, length)
  }

  get asciiText(): RecordText | null {
    if (!this.#textOpen) this.#openText()
    return this.#text.ascii ? this.#text : null
  }

  headers(): RecordHeader[] {
    const count = this.headerCount
    if (count === 0) return []
    const index = this.#index
    const start = index.headersStart[this.#at] as number
    const end = index.recordEnd[this.#at] as number
    if (this.#copyStart < 0) this.#openCopy()
    const from = this.#copyStart
    const headers = decodeHeaders(this.#cursor, this.#copy, start - from, end - from, count)
    if (headers !== null) return headers
    throw corruptBatch(this.#batchPlace(), `the headers of the record at offset ${this.offset} do not fill its length`)
  }

  #check(start: number, end: number): void {
    if (!this.#checkCrcs) return
    const expected = this.#response.readUInt32BE(start + layout.CRC)
    const computed = crc32c(this.#response, start + layout.ATTRIBUTES, end)
    if (expected !== computed) throw checksumMismatch(this.#place(start), expected, computed)
  }

  #readHeader(start: number): void {
    const bytes = this.#response
    const attributes = bytes.readInt16BE(start + layout.ATTRIBUTES)
    const codec = COMPRESSION_CODECS[attributes & layout.COMPRESSION_MASK]
    const lastDelta = bytes.readInt32BE(start + layout.LAST_OFFSET_DELTA)
    const baseOffset = layout.readInt64(bytes, start + layout.BASE_OFFSET)
    const producerId = layout.readInt64(bytes, start + layout.PRODUCER_ID)
    const recordCount = bytes.readInt32BE(start + layout.RECORD_COUNT)
    if (codec === undefined) throw this.#corrupt(start, `its compression ${attributes & 7} is unknown`)
    if (baseOffset < 0 || lastDelta < 0 || !Number.isSafeInteger(baseOffset + lastDelta)) {
      throw this.#corrupt(start, `its offsets ${baseOffset} + ${lastDelta} are not possible`)
    }
    if (recordCount < 0 || recordCount > lastDelta + 1) {
      throw this.#corrupt(start, `it cannot hold ${recordCount} records up to offset delta ${lastDelta}`)
    }
    if (!Number.isSafeInteger(producerId)) throw this.#corrupt(start, `its producer id ${producerId} is not possible`)
    this.compression = codec
    this.baseOffset = baseOffset
    this.lastOffset = baseOffset + lastDelta
    this.leaderEpoch = bytes.readInt32BE(start + layout.LEADER_EPOCH)
    this.producerId = producerId
    this.producerEpoch = bytes.readInt16BE(start + layout.PRODUCER_EPOCH)
    this.baseSequence = bytes.readInt32BE(start + layout.BASE_SEQUENCE)
    this.recordCount = recordCount
    this.isTransactional = (attributes & layout.TRANSACTIONAL_BIT) !== 0
    this.isControl = (attributes & layout.CONTROL_BIT) !== 0
    this.#isLogAppendTime = (attributes & layout.LOG_APPEND_TIME_BIT) !== 0
    this.timestampType = this.#isLogAppendTime ? 'LogAppendTime' : 'CreateTime'
    this.maxTimestamp = layout.readInt64(bytes, start + layout.MAX_TIMESTAMP)
    this.#baseTimestamp = layout.readInt64(bytes, start + layout.BASE_TIMESTAMP)
    this.#deltaMin = this.#nextOffset - baseOffset
  }

  /** Decompression waits for the first `next`, so that a batch passed over (aborted, below the offset) costs nothing. */
  #openRecords(start: number, end: number): void {
    this.#index.reset()
    this.#at = -1
    this.#textOpen = false
    this.#bytes = this.#response
    this.#recordsStart = start + layout.HEADER_BYTES
    this.#recordsEnd = end
    this.#recordsLeft = this.recordCount
    this.controlType = this.isControl ? this.#readControlType() : null
    if (this.isControl || this.lastOffset < this.#nextOffset) this.#recordsLeft = 0
  }

  #readControlType(): ControlType {
    if (this.compression !== 'none' || this.recordCount === 0) return 'other'
    const index = this.#index
    const problem = index.fill(
      this.#bytes,
      this.#recordsStart,
      this.#recordsEnd,
      1,
      0,
      this.lastOffset - this.baseOffset,
    )
    const keyStart = index.keyStart[0] as number
    const keyLength = index.keyLength[0] as number
    index.count = 0
    if (problem !== null || keyLength < 4) throw this.#corruptHere('its control record cannot be read')
    const type = this.#bytes.readInt16BE(keyStart + 2)
    return type === 0 ? 'abort' : type === 1 ? 'commit' : 'other'
  }

  #nextStretch(): boolean {
    const index = this.#index
    while (this.#recordsLeft > 0) {
      if (this.#bytes === this.#response && this.compression !== 'none') this.#decompress()
      // `nextFetchOffset` stays right while there is no current record.
      if (this.#at >= 0) this.#nextOffset = this.offset + 1
      this.#at = -1
      this.#textOpen = false
      this.#copyStart = -1
      this.#stretchStart = this.#recordsStart
      const lastDelta = this.lastOffset - this.baseOffset
      const problem = index.fill(
        this.#bytes,
        this.#recordsStart,
        this.#recordsEnd,
        this.#recordsLeft,
        this.#deltaMin,
        lastDelta,
      )
      if (problem !== null) {
        const number = this.recordCount - this.#recordsLeft + index.walked
        throw this.#corruptHere(`record ${number} of ${this.recordCount}: ${problem}`)
      }
      if (index.walked === 0) throw this.#corruptHere(`it ends ${this.#recordsLeft} records before its count`)
      this.#recordsStart = index.end
      this.#recordsLeft -= index.walked
      if (this.#recordsLeft === 0 && index.end !== this.#recordsEnd) {
        throw this.#corruptHere(`bytes are left after its ${this.recordCount} records`)
      }
      if (index.count > 0) {
        this.recordsReached += index.count
        this.#at = 0
        return true
      }
    }
    this.#closeBatch()
    return false
  }

  #decompress(): void {
    const compressed = this.#response.subarray(this.#recordsStart, this.#recordsEnd)
    try {
      this.#bytes = decompress(this.compression, compressed, this.#decompressedBytesMax)
    } catch (error) {
      this.#giveUp()
      if (MillraceError.is(error)) throw error
      if (error instanceof DecompressedTooLarge) throw batchTooLarge(this.#batchPlace(), this.#decompressedBytesMax)
      throw corruptBatch(this.#batchPlace(), `its ${this.compression} bytes cannot be decompressed`, error)
    }
    this.#recordsStart = 0
    this.#recordsEnd = this.#bytes.length
  }

  /** Short strings pay for the proof of ASCII, longer ones only gain from it once it is there (5.4 without, 4.9 M/s with). */
  #independentString(start: number, length: number): string {
    if (this.#textOpen) return this.#text.slice(start, length)
    if (length > COPIED_LENGTH_MAX) return asTextBuffer(this.#bytes).utf8Slice(start, start + length)
    this.#openText()
    return this.#text.slice(start, length)
  }

  #view(start: number, length: number): Buffer {
    if (this.#copyStart < 0) this.#openCopy()
    const from = start - this.#copyStart
    return this.#copy.subarray(from, from + length)
  }

  #openCopy(): void {
    assert(this.#at >= 0, 'a reader that stands on no record has no views')
    if (this.#bytes !== this.#response) {
      this.#copy = this.#bytes
      this.#copyStart = 0
      return
    }
    const { end } = this.#index
    this.#copy = Buffer.allocUnsafe(end - this.#stretchStart)
    this.#bytes.copy(this.#copy, 0, this.#stretchStart, end)
    this.#copyStart = this.#stretchStart
  }

  #openText(): void {
    assert(this.#at >= 0, 'a reader that stands on no record has no text')
    this.#text.open(this.#bytes, this.#index)
    this.#textOpen = true
  }

  /** The batch is done or passed over: the position goes behind it, over offsets that compaction left empty too. */
  #closeBatch(): void {
    if (this.#open) this.#nextOffset = Math.max(this.#nextOffset, this.lastOffset + 1)
    this.#open = false
    this.#endRecords()
  }

  #endRecords(): void {
    this.#recordsLeft = 0
    this.#index.count = 0
    this.#at = -1
    this.#textOpen = false
    this.#copyStart = -1
    this.#copy = EMPTY
    this.#text.close()
  }

  #place(start: number): { topic: string; partition: number; offset: number } {
    const known = this.#response.length >= start + layout.BATCH_LENGTH
    const offset = known ? layout.readInt64(this.#response, start + layout.BASE_OFFSET) : this.#nextOffset
    return { topic: this.topic, partition: this.partition, offset }
  }

  #batchPlace(): { topic: string; partition: number; offset: number } {
    return { topic: this.topic, partition: this.partition, offset: this.baseOffset }
  }

  #corrupt(start: number, what: string): MillraceError {
    return corruptBatch(this.#place(start), what)
  }

  /** After malformed records nothing more is handed out, and `nextFetchOffset` stays before them. */
  #giveUp(): void {
    this.#open = false
    this.#endRecords()
    this.#position = this.#response.length
  }

  #corruptHere(what: string): MillraceError {
    this.#giveUp()
    return corruptBatch(this.#batchPlace(), what)
  }
}
