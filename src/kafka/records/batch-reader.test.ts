/** Positions, offsets, cut-off responses and everything malformed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError, SeededRandom } from '../../base/index.ts'
import { BatchReader } from './batch-reader.ts'
import { BatchWriter } from './batch-writer.ts'
import type { CompressionCodec } from './compression.ts'
import { crc32c } from './crc32c.ts'

const PLAIN = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false }

function batchOf(
  values: readonly (string | Buffer | null)[],
  baseOffset = 0,
  compression: CompressionCodec = 'none',
): Buffer {
  const writer = new BatchWriter(1 << 20)
  for (const value of values) assert.ok(writer.append(1000, null, value))
  const bytes = Buffer.from(writer.close({ ...PLAIN, compression }))
  bytes.writeBigInt64BE(BigInt(baseOffset))
  return bytes
}

/** Changes a batch and makes its checksum right again. */
function changed(batch: Buffer, change: (batch: Buffer) => void): Buffer {
  const copy = Buffer.from(batch)
  change(copy)
  copy.writeUInt32BE(crc32c(copy, 21, copy.length), 17)
  return copy
}

function read(reader: BatchReader): [number, string | null][] {
  const records: [number, string | null][] = []
  while (reader.nextBatch()) while (reader.next()) records.push([reader.offset, reader.valueString()])
  return records
}

function readerOf(bytes: Buffer, fetchOffset = 0, options = {}): BatchReader {
  const reader = new BatchReader(options)
  reader.reset('orders', 3, bytes, fetchOffset)
  return reader
}

function errorOf(read: () => unknown): MillraceError {
  try {
    read()
  } catch (error) {
    if (MillraceError.is(error)) return error
    throw error
  }
  return assert.fail('nothing was thrown')
}

const two = Buffer.concat([batchOf(['a', 'b', 'c'], 10), batchOf(['d', 'e'], 13)])

test('records below the fetch offset are left out, wherever in the response it lies', () => {
  const all = [...'abcde'].map((value, index) => [10 + index, value])
  for (let from = 5; from <= 15; from++) {
    const reader = readerOf(two, from)
    assert.deepEqual(read(reader), all.slice(Math.max(0, from - 10)))
    assert.equal(reader.nextFetchOffset, 15)
  }
  const beyond = readerOf(two, 99)
  assert.deepEqual(read(beyond), [])
  assert.equal(beyond.nextFetchOffset, 99)
})

test('the next fetch offset follows the record handed out, the batch that is done and the one passed over', () => {
  const reader = readerOf(two, 11)
  assert.equal(reader.nextFetchOffset, 11)
  assert.ok(reader.nextBatch())
  assert.equal(reader.nextFetchOffset, 11)
  assert.ok(reader.next())
  assert.equal(reader.nextFetchOffset, 12)
  assert.ok(reader.nextBatch())
  assert.equal(reader.nextFetchOffset, 13)
  assert.ok(reader.next() && reader.next())
  assert.equal(reader.nextFetchOffset, 15)
  assert.ok(!reader.next() && !reader.next() && !reader.nextBatch() && !reader.nextBatch())
  assert.equal(reader.nextFetchOffset, 15)
})

test('a batch that compaction shortened or emptied moves the position over its offsets', () => {
  const shortened = changed(batchOf(['a', 'b'], 10), (batch) => batch.writeInt32BE(7, 23))
  const emptied = changed(batchOf(['x'], 18).subarray(0, 61), (batch) => {
    batch.writeInt32BE(49, 8)
    batch.writeInt32BE(4, 23)
    batch.writeInt32BE(0, 57)
    batch.writeInt16BE(1, 21)
  })
  const reader = readerOf(Buffer.concat([shortened, emptied]), 0)
  assert.deepEqual(read(reader), [
    [10, 'a'],
    [11, 'b'],
  ])
  assert.equal(reader.nextFetchOffset, 23)
})

test('a response cut off anywhere gives its complete batches and stays before the other', () => {
  const first = batchOf(['a', 'b', 'c'], 10).length
  for (let length = 0; length < two.length; length++) {
    const reader = readerOf(two.subarray(0, length), 10)
    const records = read(reader)
    assert.equal(records.length, length < first ? 0 : 3, `cut at ${length}`)
    assert.equal(reader.nextFetchOffset, length < first ? 10 : 13)
    assert.equal(reader.truncated, length !== 0 && length !== first)
  }
})

test('many stretches of records, of any size, come out whole and in order', () => {
  const random = new SeededRandom(7)
  const values = Array.from(
    { length: 5000 },
    (_, i) => `${i}-${'z'.repeat(random.next() < 0.01 ? 90_000 * random.next() : i % 50)}`,
  )
  for (const codec of ['none', 'zstd', 'lz4', 'snappy', 'gzip'] as const) {
    const writer = new BatchWriter(1 << 26)
    for (const [index, value] of values.entries()) writer.append(index, `k${index}`, value)
    const reader = readerOf(writer.close({ ...PLAIN, compression: codec }), 77)
    let index = 77
    assert.ok(reader.nextBatch())
    while (reader.next()) {
      assert.equal(reader.offset, index)
      assert.equal(reader.timestamp, index)
      assert.equal(reader.keyString(), `k${index}`)
      assert.equal(reader.transientValueString(), values[index])
      assert.equal(reader.valueString(), values[index])
      index++
    }
    assert.equal(index, 5000)
  }
})

test('strings are what Buffer.toString says, for any bytes and any mixture in a batch', () => {
  const random = new SeededRandom(11)
  for (let round = 0; round < 200; round++) {
    const pool = ['ascii', 'é', '値', '🚀', '', 'x'.repeat(70), Buffer.from([0xff, 0x41]), Buffer.from([0xe2, 0x82])]
    const values = Array.from({ length: 1 + Math.floor(random.next() * 12) }, () => {
      const parts = Array.from({ length: Math.floor(random.next() * 4) }, () => {
        const asciiOnly = round % 3 === 0
        return Buffer.from(pool[Math.floor(random.next() * (asciiOnly ? 1 : pool.length))] ?? '')
      })
      return Buffer.concat(parts)
    })
    const reader = readerOf(batchOf(values))
    assert.ok(reader.nextBatch())
    for (const value of values) {
      assert.ok(reader.next())
      assert.equal(reader.valueString(), value.toString())
      assert.equal(reader.transientValueString(), value.toString())
      assert.equal(reader.keyString(), null)
    }
  }
})

test('one byte changed anywhere behind the length is a corrupt batch, and worth another fetch', () => {
  for (let at = 17; at < two.length; at++) {
    if (at >= 61 + 24 && at < 61 + 24 + 17) continue
    const bytes = Buffer.from(two)
    bytes[at] = (bytes[at] ?? 0) ^ 0x10
    const reader = readerOf(bytes, 10)
    const error = errorOf(() => read(reader))
    assert.equal(error.code, 'KAFKA_CORRUPT_BATCH', `byte ${at}`)
    assert.match(error.message, /orders-3/)
  }
  const bytes = Buffer.from(two)
  bytes[70] = (bytes[70] ?? 0) ^ 1
  const error = errorOf(() => read(readerOf(bytes, 10)))
  assert.match(error.message, /offset 10 of orders-3.*checksum/)
  assert.equal(error.retriable, true)
})

test('checksums are not looked at when check.crcs is off', () => {
  const bytes = Buffer.from(two)
  bytes.writeUInt32BE(1, 17)
  assert.equal(read(readerOf(bytes, 10, { checkCrcs: false })).length, 5)
})

test('what came before a corrupt batch is handed out, the position stays before it, and asking again throws again', () => {
  const bytes = Buffer.from(two)
  bytes[two.length - 1] = 0x55
  const reader = readerOf(bytes, 10)
  assert.ok(reader.nextBatch() && reader.next() && reader.next() && reader.next())
  assert.equal(reader.next(), false)
  for (let again = 0; again < 3; again++) {
    assert.equal(errorOf(() => reader.nextBatch()).code, 'KAFKA_CORRUPT_BATCH')
    assert.equal(reader.nextFetchOffset, 13)
  }
})

test('malformed records name the record, and neither they nor what follows in the batch move the position', () => {
  const good = batchOf(['aaaa', 'bbbb', 'cccc'], 10)
  const record = 61 + 11
  const cases: [string, (batch: Buffer) => void, RegExp][] = [
    ['length too small', (batch) => batch.writeInt8(2, record), /record 1 of 3: its length 1/],
    ['length negative', (batch) => batch.writeInt8(1, record), /record 1 of 3: its length -1/],
    ['length beyond the batch', (batch) => batch.writeInt8(126, record), /record 1 of 3: its length 63/],
    ['overlong varint', (batch) => batch.fill(0xff, record, record + 11), /record 1 of 3: its length/],
    ['key length below -1', (batch) => batch.writeInt8(3, record + 4), /record 1 of 3: its fields/],
    ['value length below -1', (batch) => batch.writeInt8(3, record + 5), /record 1 of 3: its fields/],
    ['value too long', (batch) => batch.writeInt8(10, record + 5), /record 1 of 3: its fields/],
    ['header count negative', (batch) => batch.writeInt8(1, record + 10), /record 1 of 3: its fields/],
    ['header count too large', (batch) => batch.writeInt8(2, record + 10), /record 1 of 3: its fields/],
    ['offset delta repeated', (batch) => batch.writeInt8(0, record + 3), /record 1 of 3: its offset delta 0/],
    ['offset delta beyond the last', (batch) => batch.writeInt8(6, record + 3), /record 1 of 3: its offset delta 3/],
  ]
  for (const [name, change, message] of cases) {
    const reader = readerOf(changed(good, change), 10)
    assert.ok(reader.nextBatch(), name)
    const error = errorOf(() => reader.next())
    assert.equal(error.code, 'KAFKA_CORRUPT_BATCH', name)
    assert.match(error.message, message, name)
    assert.equal(error.retriable, false)
    assert.equal(reader.nextFetchOffset, 10)
    assert.equal(reader.next(), false)
    assert.equal(reader.nextBatch(), false)
    assert.equal(reader.nextFetchOffset, 10)
  }
})

test('a header that cannot be is refused before any record', () => {
  const good = batchOf(['aaaa', 'bbbb'], 10)
  const cases: [string, (batch: Buffer) => void, RegExp][] = [
    ['count too large', (batch) => batch.writeInt32BE(3, 57), /cannot hold 3 records/],
    ['count negative', (batch) => batch.writeInt32BE(-1, 57), /cannot hold -1 records/],
    ['last delta negative', (batch) => batch.writeInt32BE(-1, 23), /offsets 10 \+ -1/],
    ['offset negative', (batch) => batch.writeInt32BE(-1, 0), /not possible/],
    ['offset beyond 2^53', (batch) => batch.writeInt32BE(0x7fffffff, 0), /not possible/],
    ['producer id beyond 2^53', (batch) => batch.writeInt32BE(0x7fffffff, 43), /producer id/],
    ['compression unknown', (batch) => batch.writeInt16BE(5, 21), /compression 5/],
    ['length too small', (batch) => batch.writeInt32BE(48, 8), /length 48/],
    ['length negative', (batch) => batch.writeInt32BE(-1, 8), /length -1/],
    ['format 3', (batch) => batch.writeInt8(3, 16), /format is 3/],
  ]
  for (const [name, change, message] of cases) {
    const error = errorOf(() => readerOf(changed(good, change), 0).nextBatch())
    assert.equal(error.code, 'KAFKA_CORRUPT_BATCH', name)
    assert.match(error.message, message, name)
  }
})

test('a count that does not agree with the records is found at the end of the batch', () => {
  const good = batchOf(['aaaa', 'bbbb'], 10)
  const fewer = readerOf(changed(good, (batch) => batch.writeInt32BE(1, 57)))
  assert.ok(fewer.nextBatch())
  assert.match(errorOf(() => fewer.next()).message, /bytes are left after its 1 records/)
  const more = readerOf(
    changed(good, (batch) => {
      batch.writeInt32BE(5, 57)
      batch.writeInt32BE(9, 23)
    }),
  )
  assert.ok(more.nextBatch() && more.next() && more.next())
  assert.match(errorOf(() => more.next()).message, /ends 3 records before its count/)
  assert.equal(more.nextFetchOffset, 12)
})

test('message formats 0 and 1 have an error of their own', () => {
  for (const magic of [0, 1]) {
    const error = errorOf(() => readerOf(changed(two, (batch) => batch.writeInt8(magic, 16))).nextBatch())
    assert.equal(error.code, 'KAFKA_MESSAGE_FORMAT_UNSUPPORTED')
    assert.match(error.message, new RegExp(`offset 10 of orders-3 has message format ${magic}.*format conversion`))
  }
})

test('headers that do not fill their record are refused when they are read, and the reader goes on', () => {
  const writer = new BatchWriter(1000)
  writer.append(1, null, 'a', [{ key: 'k', value: Buffer.from('v') }])
  writer.append(1, null, 'b', [{ key: 'k', value: Buffer.from('v') }])
  const good = Buffer.from(writer.close(PLAIN))
  const header = 61 + 1 + 1 + 1 + 1 + 1 + 2 + 1
  const reader = readerOf(changed(good, (batch) => batch.writeInt8(8, header)))
  assert.ok(reader.nextBatch() && reader.next())
  assert.equal(errorOf(() => reader.headers()).code, 'KAFKA_CORRUPT_BATCH')
  assert.ok(reader.next())
  assert.deepEqual(reader.headers(), [{ key: 'k', value: Buffer.from('v') }])
})

test('compressed bytes that cannot be decompressed are a corrupt batch and not passed over', () => {
  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const good = batchOf(['a'.repeat(1000), 'b'.repeat(1000)], 10, codec)
    const damaged = readerOf(
      changed(good, (batch) => batch.fill(0x5a, 61 + 4, 61 + 30)),
      10,
    )
    assert.ok(damaged.nextBatch())
    const error = errorOf(() => damaged.next())
    assert.equal(error.code, 'KAFKA_CORRUPT_BATCH', codec)
    assert.match(error.message, new RegExp(`its ${codec} bytes cannot be decompressed`))
    assert.equal(damaged.nextBatch(), false)
    assert.equal(damaged.nextFetchOffset, 10)
  }
})

test('a batch that grows beyond the limit when decompressed is refused, one at the limit is read', () => {
  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const bytes = batchOf(['a'.repeat(500_000), 'b'.repeat(500_000)], 10, codec)
    const records = batchOf(['a'.repeat(500_000), 'b'.repeat(500_000)]).length - 61
    const refused = readerOf(bytes, 10, { decompressedBytesMax: records - 1 })
    assert.ok(refused.nextBatch())
    assert.equal(errorOf(() => refused.next()).code, 'KAFKA_RECORD_TOO_LARGE', codec)
    assert.equal(refused.nextFetchOffset, 10)
    assert.equal(read(readerOf(bytes, 10, { decompressedBytesMax: records })).length, 2, codec)
  }
})

test('what a reader handed out stays right when the memory of the response is written to again, compressed or not', () => {
  for (const compression of ['none', 'lz4'] as const) {
    const writer = new BatchWriter(1 << 20)
    const big = 'b'.repeat(100_000)
    for (const value of ['first', big, 'third']) {
      assert.ok(writer.append(1000, `key of ${value[0]}`, value, [{ key: 'header', value: Buffer.from('its value') }]))
    }
    const bytes = Buffer.from(writer.close({ ...PLAIN, compression }))
    const reader = readerOf(bytes)
    const got: unknown[] = []
    assert.ok(reader.nextBatch())
    while (reader.next()) got.push([reader.headers()[0]?.value, reader.key(), reader.value(), reader.valueString()])
    reader.reset('', -1, Buffer.alloc(0), 0)
    bytes.fill(0xee)
    const expected = ['first', big, 'third'].map((value) => ['its value', `key of ${value[0]}`, value, value])
    assert.deepEqual(
      got.map((record) => (record as unknown[]).map(String)),
      expected,
      compression,
    )
  }
})
