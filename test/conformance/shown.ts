/**
 * How records and bytes stand in an answer: short ones as they are, long ones as a digest, times of the broker as 'now'.
 * Recorder.java shows them in the same way, byte for byte; a change here is a change there and a new recording.
 */
import { createHash } from 'node:crypto'
import type { Bytes } from './scenario.ts'

const RECORDS_SHOWN = 30
const BYTES_SHOWN = 64
const DAY_MS = 86_400_000

export interface SeenRecord {
  readonly offset: number
  readonly timestamp: number
  readonly timestampType: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array | null }[]
}

export function bytesOf(bytes: Bytes): Buffer | null {
  if (bytes === null) return null
  if (typeof bytes === 'string') return Buffer.from(bytes)
  if ('hex' in bytes) return Buffer.from(bytes.hex, 'hex')
  return Buffer.from(bytes.repeat.repeat(bytes.times))
}

export function shownRecords(records: readonly SeenRecord[]): Readonly<Record<string, unknown>> {
  const [first, last] = [records[0], records.at(-1)]
  if (records.length <= RECORDS_SHOWN || first === undefined || last === undefined) {
    return { records: records.map(shownRecord) }
  }
  const chunks: Uint8Array[] = []
  for (const record of records) {
    const head = Buffer.alloc(16)
    head.writeBigInt64BE(BigInt(record.offset), 0)
    head.writeBigInt64BE(BigInt(record.timestampType === 'LogAppendTime' ? -1 : record.timestamp), 8)
    chunks.push(head, ...withLength(record.key), ...withLength(record.value), int32(record.headers.length))
    for (const { key, value } of record.headers) chunks.push(...withLength(Buffer.from(key)), ...withLength(value))
  }
  const all = digest(Buffer.concat(chunks))
  return { count: records.length, first: shownRecord(first), last: shownRecord(last), digest: all }
}

export function shownRecord(record: SeenRecord): Readonly<Record<string, unknown>> {
  const { offset, timestamp, timestampType, key, value, headers } = record
  return {
    offset,
    timestamp: shownTime(timestamp),
    ...(timestampType === 'CreateTime' ? {} : { timestampType }),
    key: shownBytes(key),
    value: shownBytes(value),
    ...(headers.length === 0
      ? {}
      : { headers: headers.map((one) => [shownBytes(Buffer.from(one.key)), shownBytes(one.value)]) }),
  }
}

/** The time of the run is not an answer. */
export function shownTime(timestamp: number): number | 'now' {
  return Math.abs(Date.now() - timestamp) < DAY_MS ? 'now' : timestamp
}

function shownBytes(bytes: Uint8Array | null): string | null {
  if (bytes === null) return null
  if (bytes.length > BYTES_SHOWN) return `${bytes.length} bytes ${digest(bytes)}`
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return `hex ${Buffer.from(bytes).toString('hex')}`
  }
}

function withLength(bytes: Uint8Array | null): Uint8Array[] {
  return bytes === null ? [int32(-1)] : [int32(bytes.length), bytes]
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16)
}
