/**
 * Changed and cut-off batches of every codec: whatever the bytes, the reader ends, throws nothing but its own errors, hands out
 * no more records than the bytes can hold, in rising offsets, and its position never goes back. With the checksum on, a
 * changed batch hands out nothing.
 *
 * Run: node src/kafka/records/batch-reader.fuzz.ts [seed] [seconds]
 */
import assert from 'node:assert/strict'
import { MillraceError, SeededRandom } from '../../base/index.ts'
import { AbortedTransactionFilter } from './aborted-transaction-filter.ts'
import { BatchReader } from './batch-reader.ts'
import { BatchWriter } from './batch-writer.ts'
import { COMPRESSION_CODECS } from './compression.ts'
import { transactionMarkerBatch } from './control-batch.ts'
import { crc32c } from './crc32c.ts'

const seed = Number(process.argv[2] ?? Date.now() % 1_000_000)
const seconds = Number(process.argv[3] ?? 5)
process.stdout.write(`batch-reader.fuzz: seed ${seed}, ${seconds} s\n`)

const EXPECTED = new Set(['KAFKA_CORRUPT_BATCH', 'KAFKA_MESSAGE_FORMAT_UNSUPPORTED', 'KAFKA_RECORD_TOO_LARGE'])
const random = new SeededRandom(seed)
const pick = (count: number): number => Math.floor(random.next() * count)

function makeBatch(baseOffset: number): Buffer {
  if (random.next() < 0.1) {
    const type = random.next() < 0.5 ? 'abort' : 'commit'
    return transactionMarkerBatch({ type, producerId: pick(3), producerEpoch: 0, coordinatorEpoch: 0, timestamp: 5 })
  }
  const writer = new BatchWriter(1 << 16)
  const records = 1 + pick(random.next() < 0.1 ? 2000 : 20)
  for (let index = 0; index < records; index++) {
    const text = random.next() < 0.9 ? 'x'.repeat(pick(40)) : 'é'.repeat(pick(200))
    const headers = random.next() < 0.2 ? [{ key: 'h', value: Buffer.from(text) }] : []
    writer.append(1000 + pick(100_000), random.next() < 0.5 ? null : text, random.next() < 0.1 ? null : text, headers)
  }
  const compression = COMPRESSION_CODECS[pick(5)] ?? 'none'
  const stamp = {
    producerId: pick(3),
    producerEpoch: 0,
    baseSequence: 0,
    transactional: random.next() < 0.5,
    compression,
  }
  const batch = Buffer.from(writer.close(stamp))
  batch.writeUInt32BE(baseOffset, 4)
  return batch
}

/** Where the batches of a response begin. */
function startsOf(response: Buffer): number[] {
  const starts: number[] = []
  for (let at = 0; at + 61 <= response.length; at += 12 + response.readInt32BE(at + 8)) starts.push(at)
  return starts
}

/** Changes bytes; `mended` batches get a right checksum again, so that what lies behind it is reached. */
function mutate(response: Buffer, mend: boolean): Buffer {
  const starts = startsOf(response)
  let bytes = Buffer.from(response)
  for (let change = 0; change <= pick(4); change++) {
    const at = pick(2) === 0 ? (starts[pick(starts.length)] ?? 0) + pick(90) : pick(bytes.length)
    const value = [0, 0xff, 0x7f, 0x80, pick(256)][pick(5)] ?? 0
    if (at < bytes.length) bytes[at] = value
    if (random.next() < 0.1) bytes.fill(value, Math.min(at, bytes.length), Math.min(at + pick(12), bytes.length))
  }
  if (mend) {
    for (const [index, start] of starts.entries()) {
      const end = starts[index + 1] ?? response.length
      bytes.writeInt32BE(end - start - 12, start + 8)
      bytes.writeUInt32BE(crc32c(bytes, start + 21, end), start + 17)
    }
  }
  if (random.next() < 0.3) bytes = bytes.subarray(0, pick(bytes.length + 1))
  return bytes
}

interface Outcome {
  records: number
  error: string | null
}

function readAll(reader: BatchReader, filter: AbortedTransactionFilter, bytes: Buffer, fetchOffset: number): Outcome {
  const outcome: Outcome = { records: 0, error: null }
  let position = fetchOffset
  let last = fetchOffset - 1
  reader.reset('fuzz', 0, bytes, fetchOffset)
  filter.beginResponse([{ producerId: 1, firstOffset: pick(100) }])
  try {
    for (let batches = 0; reader.nextBatch(); batches++) {
      assert.ok(batches <= bytes.length / 61, 'more batches than bytes')
      if (!filter.shows(reader)) continue
      while (reader.next()) {
        outcome.records++
        assert.ok(reader.offset > last && reader.offset <= reader.lastOffset, 'offsets rise')
        last = reader.offset
        assert.ok(reader.nextFetchOffset === last + 1 && last + 1 > position, 'the position rises')
        position = reader.nextFetchOffset
        assert.equal(reader.transientValueString(), reader.value()?.toString() ?? null)
        assert.equal(reader.keyString(), reader.key()?.toString() ?? null)
        if (reader.headerCount > 0) reader.headers()
      }
      assert.ok(outcome.records <= 100 * (bytes.length + 10_000), 'more records than bytes')
    }
  } catch (error) {
    if (!MillraceError.is(error)) throw error
    assert.ok(EXPECTED.has(error.code), error.code)
    outcome.error = error.code
  }
  assert.ok(reader.nextFetchOffset >= position, 'the position never goes back')
  return outcome
}

const checked = new BatchReader({ decompressedBytesMax: 1 << 20 })
const unchecked = new BatchReader({ checkCrcs: false, decompressedBytesMax: 1 << 20 })
const filter = new AbortedTransactionFilter()
const until = Date.now() + seconds * 1000
const counts: Record<string, number> = {}
let rounds = 0
// A machine that was busy elsewhere has done something all the same.
const ROUNDS_MIN = 100
for (; Date.now() < until || rounds < ROUNDS_MIN; rounds++) {
  const batches = Array.from({ length: 1 + pick(4) }, (_, index) => makeBatch(index * 2100))
  const response = Buffer.concat(batches)
  for (let variant = 0; variant < 20; variant++) {
    const mend = variant % 2 === 0
    const bytes = mutate(response, mend)
    const reader = mend ? checked : variant % 4 === 1 ? unchecked : checked
    const { error } = readAll(reader, filter, bytes, pick(3000))
    counts[error ?? 'read'] = (counts[error ?? 'read'] ?? 0) + 1
  }
}
process.stdout.write(`${rounds} rounds, ${JSON.stringify(counts)}\n`)
assert.ok((counts.KAFKA_CORRUPT_BATCH ?? 0) > 0 && (counts.read ?? 0) > 0, 'both outcomes were met')
