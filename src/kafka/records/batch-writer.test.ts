/** What fits, what grows, and that text and bytes give the same batch. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionFailed, SeededRandom } from '../../base/index.ts'
import { BatchReader } from './batch-reader.ts'
import { BatchWriter } from './batch-writer.ts'
import type { RecordHeaderInput } from './record-headers.ts'

const PLAIN = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false }

test('a batch never grows beyond its limit while it has another record, and says so by false', () => {
  for (const cell of ['v'.repeat(100), 'é'.repeat(50), Buffer.alloc(100, 'v')]) {
    const writer = new BatchWriter(1000)
    let count = 0
    while (writer.append(1, 'key', cell)) count++
    assert.equal(writer.recordCount, count)
    assert.ok(writer.sizeBytes <= 1000 && writer.sizeBytes > 880, `${writer.sizeBytes}`)
    assert.equal(writer.close(PLAIN).length, writer.sizeBytes)
  }
})

test('a record larger than the limit makes a batch of its own, and the next one is an ordinary one', () => {
  const writer = new BatchWriter(1000)
  assert.ok(writer.append(1, null, 'é'.repeat(50_000)))
  assert.equal(writer.append(1, null, 'x'), false)
  const reader = new BatchReader()
  reader.reset('t', 0, Buffer.from(writer.close(PLAIN)), 0)
  assert.ok(reader.nextBatch() && reader.next())
  assert.equal(reader.valueString(), 'é'.repeat(50_000))
  writer.reset()
  assert.ok(writer.isEmpty && !writer.isClosed)
  assert.ok(writer.append(2, null, 'x') && writer.append(1, null, 'y'))
  reader.reset('t', 0, writer.close(PLAIN), 0)
  assert.ok(reader.nextBatch() && reader.next() && reader.next())
  assert.deepEqual([reader.valueString(), reader.timestamp, reader.maxTimestamp], ['y', 1, 2])
})

test('any text and any timestamps give the same bytes as their UTF-8, and are read back', () => {
  const random = new SeededRandom(5)
  const pool = ['a', 'é', '値', '🚀', '\ud800', '\udc00x', '\u0100', '\u007f\u0080', 'plain text of some length, ', '']
  const text = (): string => {
    const parts = Math.floor(random.next() * 40)
    const choice = random.next() < 0.5 ? 1 : pool.length
    return Array.from({ length: parts }, () => pool[Math.floor(random.next() * choice)] ?? '').join('')
  }
  const reader = new BatchReader()
  for (let round = 0; round < 300; round++) {
    const fromText = new BatchWriter(20_000)
    const fromBytes = new BatchWriter(20_000)
    const expected: [number, string | null, string | null][] = []
    for (let record = 0; record < 30; record++) {
      const timestamp = Math.floor(random.next() * 2 ** (1 + Math.floor(random.next() * 52)))
      const key = random.next() < 0.2 ? null : text()
      const value = random.next() < 0.2 ? null : text()
      const headers: RecordHeaderInput[] = random.next() < 0.2 ? [{ key: text(), value: Buffer.from(text()) }] : []
      const added = fromText.append(timestamp, key, value, headers)
      const bytes = (cell: string | null): Buffer | null => (cell === null ? null : Buffer.from(cell))
      assert.equal(fromBytes.append(timestamp, bytes(key), bytes(value), headers), added)
      const seen = (cell: string | null): string | null => bytes(cell)?.toString() ?? null
      if (added) expected.push([timestamp, seen(key), seen(value)])
    }
    const batch = fromText.close(PLAIN)
    assert.deepEqual(batch, fromBytes.close(PLAIN), `round ${round}`)
    reader.reset('t', 0, batch, 0)
    const read: typeof expected = []
    while (reader.nextBatch())
      while (reader.next()) read.push([reader.timestamp, reader.keyString(), reader.valueString()])
    assert.deepEqual(read, expected, `round ${round}`)
  }
})

test('misuse is an assertion: closing an empty batch, closing twice, adding to a closed one, a broken timestamp', () => {
  const writer = new BatchWriter(1000)
  assert.throws(() => writer.close(PLAIN), AssertionFailed)
  assert.throws(() => writer.restamp(PLAIN), AssertionFailed)
  for (const timestamp of [Number.NaN, 1.5, Infinity])
    assert.throws(() => writer.append(timestamp, null, 'x'), AssertionFailed)
  writer.append(1, null, 'x')
  writer.close(PLAIN)
  assert.throws(() => writer.close(PLAIN), AssertionFailed)
  assert.throws(() => writer.append(1, null, 'x'), AssertionFailed)
})

test('a record whose headers push it over the limit leaves the batch as it was', () => {
  const writer = new BatchWriter(300)
  writer.append(1, null, 'first')
  const before = writer.sizeBytes
  assert.equal(writer.append(1, null, 'x', [{ key: 'h', value: Buffer.alloc(250) }]), false)
  assert.equal(writer.sizeBytes, before)
  assert.ok(writer.append(1, null, 'second'))
  const reader = new BatchReader()
  reader.reset('t', 0, writer.close(PLAIN), 0)
  assert.ok(reader.nextBatch() && reader.next() && reader.next() && !reader.next())
})
