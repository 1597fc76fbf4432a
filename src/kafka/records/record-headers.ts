/**
 * The headers of one record, decoded when somebody asks: most records have none, and most readers of those that do never look.
 * Values are views of the batch's bytes; keys are strings. The same key may come more than once, in the order written.
 */
import type { VarintCursor } from './varint.ts'

export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** What a writer takes. */
export interface RecordHeaderInput {
  readonly key: string
  readonly value: Uint8Array | null
}

/** Headers of `bytes` between `start` and `end`, or null when they do not fill exactly these bytes. */
export function decodeHeaders(
  cursor: VarintCursor,
  bytes: Buffer,
  start: number,
  end: number,
  count: number,
): RecordHeader[] | null {
  const headers: RecordHeader[] = []
  cursor.bytes = bytes
  cursor.position = start
  for (let index = 0; index < count; index++) {
    const keyLength = cursor.varint()
    const keyStart = cursor.position
    if (keyLength < 0 || keyStart + keyLength > end) return null
    cursor.position = keyStart + keyLength
    const valueLength = cursor.varint()
    const valueStart = cursor.position
    if (valueLength < -1 || valueStart + valueLength > end) return null
    if (valueLength >= 0) cursor.position = valueStart + valueLength
    headers.push({
      key: bytes.toString('utf8', keyStart, keyStart + keyLength),
      value: valueLength < 0 ? null : bytes.subarray(valueStart, valueStart + valueLength),
    })
  }
  return cursor.position === end ? headers : null
}
