/**
 * Where the records of a stretch of one batch lie: fixed arrays filled in one tight loop and used again for ever, so that
 * walking a batch allocates nothing per record, whatever the batch claims to hold.
 *
 * A stretch is at most RECORDS_MAX records and ends early once it has STRETCH_BYTES bytes: it stays in the processor's cache
 * while it is used, and the text that may be made of it in one piece (see RecordText) stays small.
 *
 * A record is trusted only when its fields fill its length exactly; `fill` stops at the first that does not and says why.
 */
import { RECORD_BYTES_MIN } from './batch-layout.ts'
import { VarintCursor } from './varint.ts'

const RECORDS_MAX = 1024
const STRETCH_BYTES = 65_536

export class RecordIndex {
  readonly offsetDelta: Int32Array = new Int32Array(RECORDS_MAX)
  readonly timestampDelta: Float64Array = new Float64Array(RECORDS_MAX)
  readonly keyStart: Int32Array = new Int32Array(RECORDS_MAX)
  /** -1 is null. */
  readonly keyLength: Int32Array = new Int32Array(RECORDS_MAX)
  readonly valueStart: Int32Array = new Int32Array(RECORDS_MAX)
  /** -1 is null. */
  readonly valueLength: Int32Array = new Int32Array(RECORDS_MAX)
  readonly headersStart: Int32Array = new Int32Array(RECORDS_MAX)
  readonly headerCount: Int32Array = new Int32Array(RECORDS_MAX)
  readonly recordEnd: Int32Array = new Int32Array(RECORDS_MAX)

  /** Entries that are filled in. */
  count = 0
  /** Records that were walked, with those below the smallest wanted offset. */
  walked = 0
  /** The bytes walked: [start, end). */
  start = 0
  end = 0
  /** Bytes of keys, values and headers within them. */
  payloadBytes = 0
  /** The offset delta of the last record walked; the next one must be greater. */
  lastDelta = -1

  readonly #cursor: VarintCursor = new VarintCursor()

  /** Begins a batch. */
  reset(): void {
    this.count = this.walked = this.start = this.end = this.payloadBytes = 0
    this.lastDelta = -1
  }

  /**
   * Walks up to `records` records from `start` on, keeping those whose offset delta is at least `deltaMin`. Returns null, or
   * what is wrong with record number `walked` of the stretch. 28 ns a record of 115 bytes.
   */
  fill(bytes: Buffer, start: number, end: number, records: number, deltaMin: number, deltaMax: number): string | null {
    const cursor = this.#cursor
    cursor.bytes = bytes
    cursor.position = start
    const stretchEnd = Math.min(end, start + STRETCH_BYTES)
    const walkMax = Math.min(records, RECORDS_MAX)
    let count = 0
    let walked = 0
    let payload = 0
    let lastDelta = this.lastDelta
    let problem: string | null = null
    for (; walked < walkMax && cursor.position < stretchEnd; walked++) {
      const length = cursor.varint()
      const recordEnd = cursor.position + length
      if (length < RECORD_BYTES_MIN - 1 || recordEnd > end) {
        problem = `its length ${length} is not possible`
        break
      }
      cursor.position++
      const timestampDelta = cursor.varlong()
      const offsetDelta = cursor.varint()
      const keyLength = cursor.varint()
      const keyStart = cursor.position
      if (keyLength > 0) cursor.position = keyStart + keyLength
      const valueLength = cursor.varint()
      const valueStart = cursor.position
      if (valueLength > 0) cursor.position = valueStart + valueLength
      const headerCount = cursor.varint()
      const headersStart = cursor.position
      // Headers are looked at when somebody asks for them; that they have room is checked here.
      if (headerCount > 0) cursor.position = headersStart + 2 * headerCount <= recordEnd ? recordEnd : -1
      if (cursor.position !== recordEnd || keyLength < -1 || valueLength < -1 || headerCount < 0) {
        problem = 'its fields do not fill its length'
        break
      }
      if (offsetDelta <= lastDelta || offsetDelta > deltaMax) {
        problem = `its offset delta ${offsetDelta} is not between ${lastDelta} and ${deltaMax}`
        break
      }
      lastDelta = offsetDelta
      payload += recordEnd - headersStart
      if (keyLength > 0) payload += keyLength
      if (valueLength > 0) payload += valueLength
      if (offsetDelta < deltaMin) continue
      this.offsetDelta[count] = offsetDelta
      this.timestampDelta[count] = timestampDelta
      this.keyStart[count] = keyStart
      this.keyLength[count] = keyLength
      this.valueStart[count] = valueStart
      this.valueLength[count] = valueLength
      this.headersStart[count] = headersStart
      this.headerCount[count] = headerCount
      this.recordEnd[count] = recordEnd
      count++
    }
    this.count = count
    this.walked = walked
    this.start = start
    this.end = cursor.position
    this.payloadBytes = payload
    this.lastDelta = lastDelta
    return problem
  }
}
