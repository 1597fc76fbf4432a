/** The filter against the cases that are known to go wrong, and against a model of a log whose fates are known. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../base/index.ts'
import { type AbortedTransaction, AbortedTransactionFilter, type FilteredBatch } from './aborted-transaction-filter.ts'
import { BatchReader } from './batch-reader.ts'
import { BatchWriter } from './batch-writer.ts'
import { transactionMarkerBatch } from './control-batch.ts'

const data = (lastOffset: number, producerId: number, isTransactional = true): FilteredBatch => ({
  lastOffset,
  producerId,
  isTransactional,
  isControl: false,
  controlType: null,
})
const marker = (lastOffset: number, producerId: number, controlType: 'abort' | 'commit'): FilteredBatch => ({
  lastOffset,
  producerId,
  isTransactional: true,
  isControl: true,
  controlType,
})

/** The last offsets of the batches that a response shows. */
function shown(
  filter: AbortedTransactionFilter,
  list: AbortedTransaction[] | null,
  batches: FilteredBatch[],
): number[] {
  filter.beginResponse(list)
  return batches.filter((batch) => filter.shows(batch)).map((batch) => batch.lastOffset)
}

test('two aborts of one producer in one response hide both, and the commits around them are shown', () => {
  const batches = [
    data(1, 7),
    marker(2, 7, 'commit'),
    data(4, 7),
    marker(5, 7, 'abort'),
    data(7, 7),
    marker(8, 7, 'abort'),
  ]
  const more = [data(9, 7), marker(10, 7, 'commit')]
  const list = [
    { producerId: 7, firstOffset: 3 },
    { producerId: 7, firstOffset: 6 },
  ]
  assert.deepEqual(shown(new AbortedTransactionFilter(), list, [...batches, ...more]), [1, 9])
})

test('a list in the order of the markers, as brokers send it, is taken in the order of first offsets', () => {
  const list = [
    { producerId: 2, firstOffset: 4 },
    { producerId: 1, firstOffset: 0 },
  ]
  const batches = [data(0, 1), data(3, 2, false), data(4, 2), marker(5, 2, 'abort'), data(6, 1), marker(7, 1, 'abort')]
  assert.deepEqual(shown(new AbortedTransactionFilter(), list, batches), [3])
})

test('an abort marker in a later response than its data ends the abort there', () => {
  const filter = new AbortedTransactionFilter()
  const list = [{ producerId: 7, firstOffset: 10 }]
  assert.deepEqual(shown(filter, list, [data(10, 7), data(11, 7)]), [])
  assert.deepEqual(
    shown(filter, list, [data(12, 7), marker(13, 7, 'abort'), data(14, 7), marker(15, 7, 'commit')]),
    [14],
  )
})

test('a transaction listed but not reached in one response does not hide what is before it in the next', () => {
  const filter = new AbortedTransactionFilter()
  assert.deepEqual(shown(filter, [{ producerId: 7, firstOffset: 50 }], [data(10, 7), marker(11, 7, 'commit')]), [10])
  assert.deepEqual(shown(filter, null, [data(12, 7), marker(13, 7, 'commit')]), [12])
})

test('an abort whose marker was compacted away between two responses does not hide the next transaction', () => {
  const filter = new AbortedTransactionFilter()
  assert.deepEqual(shown(filter, [{ producerId: 7, firstOffset: 10 }], [data(10, 7)]), [])
  assert.deepEqual(shown(filter, [], [data(20, 7), marker(21, 7, 'commit')]), [20])
})

test('batches without a transaction are shown even of an aborted producer, markers never', () => {
  const list = [{ producerId: 7, firstOffset: 0 }]
  const batches = [data(0, 7), data(1, 7, false), marker(2, 8, 'abort'), data(3, 7), marker(4, 7, 'abort'), data(5, 7)]
  assert.deepEqual(shown(new AbortedTransactionFilter(), list, batches), [1, 5])
})

interface LoggedBatch extends FilteredBatch {
  readonly baseOffset: number
  readonly visible: boolean
  /** The number of the aborted transaction that it belongs to, data and marker. */
  readonly abort: number | null
}

interface Log {
  batches: LoggedBatch[]
  aborted: (AbortedTransaction & { readonly markerOffset: number; readonly number: number })[]
}

/** Producers take turns at random, with plain batches between them; every transaction ends. */
function makeLog(random: SeededRandom, steps: number): Log {
  const log: Log = { batches: [], aborted: [] }
  const pick = (count: number): number => Math.floor(random.next() * count)
  const open = new Map<number, { first: number; number: number; batches: number[] }>()
  let offset = pick(100)
  let number = 0
  const end = (producerId: number): void => {
    const transaction = open.get(producerId)
    if (transaction === undefined) return
    open.delete(producerId)
    const abort = random.next() < 0.5
    if (abort)
      log.aborted.push({ producerId, firstOffset: transaction.first, markerOffset: offset, number: transaction.number })
    for (const at of transaction.batches) {
      const batch = log.batches[at]
      if (batch !== undefined) log.batches[at] = { ...batch, visible: !abort, abort: abort ? transaction.number : null }
    }
    const type = abort ? 'abort' : 'commit'
    const fate = { baseOffset: offset, visible: false, abort: abort ? transaction.number : null }
    log.batches.push({ ...marker(offset++, producerId, type), ...fate })
  }
  for (let step = 0; step < steps; step++) {
    const producerId = pick(4)
    const dice = random.next()
    if (dice < 0.25) end(producerId)
    else {
      const isTransactional = dice < 0.85
      const baseOffset = offset
      offset += 1 + pick(5)
      if (isTransactional) {
        const transaction = open.get(producerId) ?? { first: baseOffset, number: number++, batches: [] }
        open.set(producerId, transaction)
        transaction.batches.push(log.batches.length)
      }
      log.batches.push({ ...data(offset - 1, producerId, isTransactional), baseOffset, visible: true, abort: null })
    }
    // Compaction leaves holes between batches.
    if (random.next() < 0.1) offset += pick(10)
  }
  for (const producerId of [...open.keys()]) end(producerId)
  return log
}

/** Takes an aborted transaction out of the log, as the cleaner does once nothing of its data is left. */
function compact(log: Log, number: number): Log {
  return {
    batches: log.batches.filter((batch) => batch.abort !== number),
    aborted: log.aborted.filter((transaction) => transaction.number !== number),
  }
}

/** Some batches from `fetchOffset` on, with the list that a broker would put beside them. */
function fetch(
  log: Log,
  fetchOffset: number,
  random: SeededRandom,
): { batches: LoggedBatch[]; list: AbortedTransaction[] } {
  const from = log.batches.findIndex((batch) => batch.lastOffset >= fetchOffset)
  const batches = from < 0 ? [] : log.batches.slice(from, from + 1 + Math.floor(random.next() * 8))
  // A broker's upper bound may lie far beyond what fits the response.
  const upperBound = (batches.at(-1)?.lastOffset ?? 0) + 1 + (random.next() < 0.3 ? Math.floor(random.next() * 200) : 0)
  const overlaps = (transaction: { firstOffset: number; markerOffset: number }): boolean =>
    transaction.markerOffset >= fetchOffset && transaction.firstOffset < upperBound
  return { batches, list: log.aborted.filter(overlaps) }
}

test('random logs, cut into responses anywhere, restarted anywhere and compacted between, show exactly what was committed', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed)
    let log = makeLog(random, 120)
    const filter = new AbortedTransactionFilter()
    const end = (log.batches.at(-1)?.lastOffset ?? 0) + 1
    let offset = 0
    let restarts = 5
    let shownOffsets: number[] = []
    let start = 0
    while (offset < end) {
      const { batches, list } = fetch(log, offset, random)
      if (batches.length === 0) break
      filter.beginResponse(list)
      for (const batch of batches) {
        const shows = filter.shows(batch)
        assert.equal(shows, batch.visible, `seed ${seed}, response from ${offset}, batch ${JSON.stringify(batch)}`)
        for (let at = batch.baseOffset; at <= batch.lastOffset; at++) if (shows && at >= offset) shownOffsets.push(at)
        offset = batch.lastOffset + 1
      }
      if (random.next() < 0.1) log = compact(log, Math.floor(random.next() * 30))
      if (restarts > 0 && random.next() < 0.1) {
        restarts--
        offset = start = Math.floor(random.next() * end)
        shownOffsets = []
        if (random.next() < 0.5) filter.reset()
      }
    }
    const expected: number[] = []
    for (const batch of log.batches) {
      for (let at = batch.baseOffset; at <= batch.lastOffset; at++) if (batch.visible && at >= start) expected.push(at)
    }
    assert.deepEqual(shownOffsets, expected, `seed ${seed}`)
  }
})

test('with real batches: an aborted one is passed over without being decompressed, and the position moves over it', () => {
  const batch = (text: string, baseOffset: number, producerId: number): Buffer => {
    const writer = new BatchWriter(1000)
    writer.append(1, null, text)
    const stamp = { producerId, producerEpoch: 0, baseSequence: 0, transactional: true, compression: 'zstd' as const }
    const bytes = Buffer.from(writer.close(stamp))
    bytes.writeInt32BE(baseOffset, 4)
    return bytes
  }
  const end = (type: 'abort' | 'commit', baseOffset: number, producerId: number): Buffer => {
    const bytes = transactionMarkerBatch({ type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 })
    bytes.writeInt32BE(baseOffset, 4)
    return bytes
  }
  const log = [
    batch('a', 0, 1),
    batch('b', 1, 2),
    end('abort', 2, 1),
    end('commit', 3, 2),
    batch('c', 4, 1),
    end('commit', 5, 1),
  ]
  const reader = new BatchReader()
  const filter = new AbortedTransactionFilter()
  const seen: string[] = []
  reader.reset('t', 0, Buffer.concat(log), 0)
  filter.beginResponse([{ producerId: 1, firstOffset: 0 }])
  while (reader.nextBatch()) {
    if (!filter.shows(reader)) continue
    while (reader.next()) seen.push(`${reader.offset} ${reader.valueString()}`)
  }
  assert.deepEqual(seen, ['1 b', '4 c'])
  assert.equal(reader.nextFetchOffset, 6)
})
