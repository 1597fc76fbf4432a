/** Against batches that Kafka's Java code wrote: written byte for byte the same, read back as what went in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type GoldenRecord,
  goldenFile,
  manyRecords,
  mixedRecords,
} from '../../../test/golden/records/golden-records.ts'
import { BatchReader } from './batch-reader.ts'
import { type BatchCloseOptions, BatchWriter } from './batch-writer.ts'
import type { CompressionCodec } from './compression.ts'
import { transactionMarkerBatch } from './control-batch.ts'

const PLAIN: BatchCloseOptions = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false }

function build(records: readonly GoldenRecord[], options: BatchCloseOptions, asBytes = false): Buffer {
  const writer = new BatchWriter(1 << 20)
  for (const record of records) {
    const key = asBytes && record.key !== null ? Buffer.from(record.key) : record.key
    const value = asBytes && record.value !== null ? Buffer.from(record.value) : record.value
    assert.equal(writer.append(record.timestamp, key, value, record.headers), true)
  }
  return writer.close(options)
}

function readAll(bytes: Buffer, fetchOffset = 0): { records: GoldenRecord[]; offsets: number[]; reader: BatchReader } {
  const reader = new BatchReader()
  const records: GoldenRecord[] = []
  const offsets: number[] = []
  reader.reset('golden', 3, bytes, fetchOffset)
  while (reader.nextBatch()) {
    while (reader.next()) {
      offsets.push(reader.offset)
      const headers = reader.headers().map((header) => ({ ...header }))
      const record = { timestamp: reader.timestamp, key: reader.keyString(), value: reader.valueString() }
      assert.equal(reader.transientValueString(), record.value)
      assert.equal(reader.key()?.toString() ?? null, record.key)
      assert.equal(reader.value()?.toString() ?? null, record.value)
      records.push(headers.length === 0 ? record : { ...record, headers })
    }
  }
  return { records, offsets, reader }
}

const written: readonly [string, readonly GoldenRecord[], BatchCloseOptions][] = [
  ['mixed', mixedRecords, PLAIN],
  ['many', manyRecords, PLAIN],
  ['idempotent', mixedRecords, { producerId: 4242, producerEpoch: 7, baseSequence: 123, transactional: false }],
  [
    'transactional',
    mixedRecords,
    { producerId: 2 ** 40, producerEpoch: 32767, baseSequence: 2147483647, transactional: true },
  ],
]

for (const [name, records, options] of written) {
  test(`${name}: written from strings and from bytes as Java writes it`, () => {
    const golden = goldenFile(name)
    assert.deepEqual(build(records, options), golden)
    assert.deepEqual(build(records, options, true), golden)
  })

  test(`${name}: read as it was written`, () => {
    const { records: read, offsets, reader } = readAll(goldenFile(name))
    assert.deepEqual(read, records)
    assert.deepEqual(
      offsets,
      records.map((_, index) => index),
    )
    assert.equal(reader.nextFetchOffset, records.length)
    assert.equal(reader.producerId, options.producerId)
    assert.equal(reader.producerEpoch, options.producerEpoch)
    assert.equal(reader.baseSequence, options.baseSequence)
    assert.equal(reader.isTransactional, options.transactional)
    assert.equal(reader.timestampType, 'CreateTime')
  })
}

test('a restamped batch is the one that would have been built with that identity', () => {
  const writer = new BatchWriter(1 << 20)
  for (const record of mixedRecords) writer.append(record.timestamp, record.key, record.value, record.headers)
  writer.close({ producerId: 1, producerEpoch: 1, baseSequence: 1, transactional: false })
  const restamped = writer.restamp({ producerId: 4242, producerEpoch: 7, baseSequence: 123 })
  assert.deepEqual(restamped, goldenFile('idempotent'))
})

for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as CompressionCodec[]) {
  test(`${codec}: what Java compressed is read, what we compress is read back`, () => {
    const golden = goldenFile(codec)
    assert.deepEqual(readAll(golden).records, manyRecords)
    const own = build(manyRecords, { ...PLAIN, compression: codec })
    const { records, reader } = readAll(own)
    assert.deepEqual(records, manyRecords)
    assert.equal(reader.compression, codec)
    assert.ok(own.length < goldenFile('many').length / 2, `${own.length} bytes`)
    // All header fields but length, checksum and those that follow from them are Java's.
    assert.deepEqual(own.subarray(21, 61), golden.subarray(21, 61))
  })
}

test('log append time is the time of every record, and a base offset above 2^32 is read', () => {
  const { records, offsets, reader } = readAll(goldenFile('log-append-time'), 5_000_000_003)
  assert.equal(reader.timestampType, 'LogAppendTime')
  assert.deepEqual(
    records.map((record) => record.timestamp),
    Array.from({ length: 6 }, () => 1_700_000_000_999),
  )
  assert.deepEqual(
    offsets,
    [3, 4, 5, 6, 7, 8].map((delta) => 5_000_000_000 + delta),
  )
  assert.equal(reader.leaderEpoch, 9)
})

test('transaction markers are written and read as Java does', () => {
  const marker = {
    producerId: 4242,
    producerEpoch: 7,
    coordinatorEpoch: 11,
    timestamp: 1_700_000_000_000,
    leaderEpoch: 3,
  }
  for (const [type, baseOffset] of [
    ['commit', 77],
    ['abort', 78],
  ] as const) {
    const golden = goldenFile(type)
    const own = transactionMarkerBatch({ ...marker, type })
    own.writeBigInt64BE(BigInt(baseOffset), 0)
    assert.deepEqual(own, golden)
    const reader = new BatchReader()
    reader.reset('t', 0, golden, 5)
    assert.equal(reader.nextBatch(), true)
    assert.deepEqual([reader.isControl, reader.controlType, reader.next()], [true, type, false])
    assert.equal(reader.nextFetchOffset, baseOffset + 1)
  }
})
