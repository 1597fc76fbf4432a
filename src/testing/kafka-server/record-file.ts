// Records in a file, the way they travel between this process and KafkaTools: partition, offset, timestamp, type of
// timestamp, key, value, headers; lengths before bytes, -1 for null, all numbers big-endian.
//
// Why a file: half a million records as lines of JSON through a pipe would measure the pipe.

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/** A record as Kafka's own Java consumer returned it. */
export interface KafkaRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime' | 'NoTimestampType'
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly KafkaHeader[]
}

export interface KafkaHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** A record to be sent by Kafka's own Java producer; text is sent as UTF-8. */
export interface RecordToProduce {
  readonly key?: string | Uint8Array | null
  readonly value: string | Uint8Array | null
  readonly partition?: number
  readonly timestamp?: number
  readonly headers?: readonly { readonly key: string; readonly value: string | Uint8Array | null }[]
}

const CHUNK_BYTES = 1 << 20
const FIXED_BYTES = 4 + 8 + 8 + 1
const NO_HEADERS: readonly KafkaHeader[] = Object.freeze([])

/** Writes the records and answers how many there were. */
export function writeRecordFile(path: string, records: Iterable<RecordToProduce>): number {
  const writer = new RecordFileWriter(path)
  try {
    let count = 0
    for (const record of records) {
      writer.write(record)
      count++
    }
    writer.flush()
    return count
  } finally {
    writer.close()
  }
}

class RecordFileWriter {
  readonly #file: number
  #chunk: Buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  #at = 0

  constructor(path: string) {
    this.#file = openSync(path, 'w')
  }

  write(record: RecordToProduce): void {
    this.#reserve(FIXED_BYTES)
    this.#at = this.#chunk.writeInt32BE(record.partition ?? -1, this.#at)
    this.#at = this.#chunk.writeBigInt64BE(-1n, this.#at)
    this.#at = this.#chunk.writeBigInt64BE(BigInt(record.timestamp ?? -1), this.#at)
    this.#at = this.#chunk.writeInt8(-1, this.#at)
    this.#bytes(record.key ?? null)
    this.#bytes(record.value)
    const headers = record.headers ?? []
    this.#reserve(4)
    this.#at = this.#chunk.writeInt32BE(headers.length, this.#at)
    for (const header of headers) {
      this.#bytes(header.key)
      this.#bytes(header.value)
    }
  }

  flush(): void {
    let written = 0
    while (written < this.#at) written += writeSync(this.#file, this.#chunk, written, this.#at - written)
    this.#at = 0
  }

  close(): void {
    closeSync(this.#file)
  }

  #bytes(bytes: string | Uint8Array | null): void {
    const length = bytes === null ? -1 : typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length
    this.#reserve(4 + Math.max(0, length))
    this.#at = this.#chunk.writeInt32BE(length, this.#at)
    if (typeof bytes === 'string') this.#at += this.#chunk.write(bytes, this.#at)
    else if (bytes !== null) {
      this.#chunk.set(bytes, this.#at)
      this.#at += length
    }
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#chunk.length) return
    this.flush()
    if (bytes > this.#chunk.length) this.#chunk = Buffer.allocUnsafe(bytes)
  }
}

/** Reads all records of a file; keys and values are views of its bytes. */
export function readRecordFile(path: string): KafkaRecord[] {
  const bytes = readFileSync(path)
  const records: KafkaRecord[] = []
  let at = 0
  const int32 = (): number => {
    at += 4
    return bytes.readInt32BE(at - 4)
  }
  const int64 = (): number => {
    at += 8
    return Number(bytes.readBigInt64BE(at - 8))
  }
  const view = (): Buffer | null => {
    const length = int32()
    if (length < 0) return null
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const partition = int32()
    const offset = int64()
    const timestamp = int64()
    const type = bytes.readInt8(at++)
    const timestampType = type === 0 ? 'CreateTime' : type === 1 ? 'LogAppendTime' : 'NoTimestampType'
    const key = view()
    const value = view()
    const headerCount = int32()
    const headers =
      headerCount === 0
        ? NO_HEADERS
        : Array.from({ length: headerCount }, () => ({ key: view()?.toString() ?? '', value: view() }))
    records.push({ partition, offset, timestamp, timestampType, key, value, headers })
  }
  return records
}
