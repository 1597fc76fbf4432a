/** The log of a partition by itself: offsets, searching by time, deleting within batches, memory given back. */
import assert from 'node:assert/strict'
import { beforeEach, suite, test } from 'node:test'
import { SeededRandom } from '../../base/index.ts'
import { BatchReader, BatchWriter } from '../../kafka/index.ts'
import { MemoryBudget } from '../cluster/memory-budget.ts'
import { IncomingBatches } from './incoming-batch.ts'
import { PartitionLog } from './partition-log.ts'

const RULES = {
  bytesMax: 1 << 20,
  zstdAllowed: true,
  timestampMin: Number.NEGATIVE_INFINITY,
  timestampMax: Number.POSITIVE_INFINITY,
  keyNeeded: false,
}
const OPTIONS = { leaderEpoch: 0, nowMs: 9_000, logAppendTime: false, bumpsEpochs: false }

suite('the log of a partition', () => {
  let budget: MemoryBudget
  let log: PartitionLog
  const batches = new IncomingBatches()

  beforeEach(() => {
    budget = new MemoryBudget(1 << 24)
    log = new PartitionLog(budget)
  })

  function append(timestamps: readonly number[], options: Partial<typeof OPTIONS> = {}, valueBytes = 10): number {
    const writer = new BatchWriter(1 << 20)
    for (const timestamp of timestamps) writer.append(timestamp, null, `${timestamp}`.padEnd(valueBytes))
    const closed = writer.close({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false })
    const batch = batches.check('t', 0, Buffer.from(closed), RULES)
    assert.ok(!('error' in batch), JSON.stringify(batch))
    const appended = log.append(batch, { ...OPTIONS, ...options })
    assert.ok(appended.kind === 'stored', JSON.stringify(appended))
    return appended.baseOffset
  }

  /** Offset and timestamp of all records from an offset on, as a reader sees them, checksums included. */
  function records(from: number): [number, number][] {
    const { pieces } = log.read(from, { bytesMax: Number.POSITIVE_INFINITY, atLeastOne: true, committedOnly: false })
    const reader = new BatchReader()
    reader.reset('t', 0, Buffer.concat(pieces), from)
    const seen: [number, number][] = []
    while (reader.nextBatch()) while (reader.next()) seen.push([reader.offset, reader.timestamp])
    return seen
  }

  test('what was appended is read from any offset, whatever the sizes, and a search by time finds the first', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new SeededRandom(seed)
      log = new PartitionLog(new MemoryBudget(1 << 24))
      const all: [number, number][] = []
      for (let count = 0; count < 30; count++) {
        const timestamps = Array.from({ length: 1 + Math.floor(random.next() * 5) }, () =>
          Math.floor(random.next() * 1_000),
        )
        append(timestamps, {}, Math.floor(random.next() * 3_000))
        for (const timestamp of timestamps) all.push([all.length, timestamp])
      }
      const start = Math.floor(random.next() * all.length)
      log.deleteBefore(start)
      const from = start + Math.floor(random.next() * (all.length - start))
      assert.deepEqual(records(from), all.slice(from), `seed ${seed}`)
      for (let question = 0; question < 30; question++) {
        const timestamp = Math.floor(random.next() * 1_100)
        const expected = all.find(([offset, at]) => offset >= start && at >= timestamp)
        const found = log.firstSince(timestamp, log.endOffset)
        assert.deepEqual(found && [found.offset, found.timestamp], expected, `seed ${seed}, time ${timestamp}`)
      }
    }
  })

  test('memory is given back as batches are deleted, all of it with the last', () => {
    for (let i = 0; i < 200; i++) append([i], {}, 5_000)
    const full = budget.used
    assert.ok(full >= 200 * 5_000)
    log.deleteBefore(150)
    assert.ok(budget.used < full, `${budget.used} of ${full}`)
    log.deleteBefore(log.endOffset)
    assert.equal(budget.used, 0)
    assert.equal(log.startOffset, 200)
    assert.equal(append([1]), 200)
    log.release()
    assert.equal(budget.used, 0)
  })

  test('bytes that were read stay as they are while the log goes on and is deleted', () => {
    append([1, 2], {}, 100)
    const { pieces } = log.read(0, { bytesMax: 1 << 20, atLeastOne: true, committedOnly: false })
    const before = Buffer.concat(pieces)
    for (let i = 0; i < 300; i++) append([i], {}, 4_000)
    log.deleteBefore(log.endOffset)
    append([5], {}, 100)
    assert.deepEqual(Buffer.concat(pieces), before)
  })

  test('a time that the broker sets stands in the batch, with a right checksum', () => {
    append([1, 2], { logAppendTime: true })
    assert.deepEqual(records(0), [
      [0, 9_000],
      [1, 9_000],
    ])
    assert.equal(log.firstSince(5_000, 2)?.offset, 0)
  })

  test('batches that readers could not read are refused, with the error that Kafka gives', () => {
    const writer = new BatchWriter(1 << 16)
    writer.append(1, null, 'value')
    const stamp = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false }
    const good = Buffer.from(writer.close(stamp))
    const refusal = (change: (bytes: Buffer) => Buffer | undefined, rules = RULES): number => {
      const bytes = Buffer.from(good)
      const checked = batches.check('t', 0, change(bytes) ?? bytes, rules)
      assert.ok('error' in checked)
      return checked.error
    }
    assert.equal(
      refusal((bytes) => void bytes.fill(7, 65)),
      2,
      'CORRUPT_MESSAGE',
    )
    assert.equal(
      refusal((bytes) => bytes.subarray(0, 40)),
      2,
    )
    assert.equal(
      refusal((bytes) => Buffer.concat([bytes, good])),
      87,
      'INVALID_RECORD: two batches',
    )
    assert.equal(
      refusal((bytes) => void bytes.writeInt8(1, 16)),
      87,
      'an old format',
    )
    assert.equal(
      refusal(() => Buffer.alloc(0)),
      87,
    )
    assert.equal(
      refusal((bytes) => bytes, { ...RULES, bytesMax: 20 }),
      10,
      'MESSAGE_TOO_LARGE',
    )
    assert.equal(
      refusal((bytes) => bytes, { ...RULES, keyNeeded: true }),
      87,
    )
    assert.equal(
      refusal((bytes) => bytes, { ...RULES, timestampMin: 2 }),
      32,
      'INVALID_TIMESTAMP',
    )
  })
})
