/**
 * The expected frequencies are those of Kafka 4.3's BuiltInPartitioner for the same queues.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../base/index.ts'
import { likelihoods, type PartitionLoad, placeIn, StickyPartition } from './sticky-partition.ts'

/** How often each partition is chosen when every random number comes once. */
function frequencies(queues: readonly number[]): number[] {
  const sums = likelihoods(queues)
  const counts = queues.map(() => 0)
  for (let number = 0; number < (sums.at(-1) ?? 0); number++) {
    const place = placeIn(sums, number)
    counts[place] = (counts[place] ?? 0) + 1
  }
  return counts
}

test('the fewer batches of a partition wait, the more likely it is, by the figures of Java', () => {
  assert.deepEqual(likelihoods([0, 3, 1]), [4, 5, 8])
  assert.deepEqual(frequencies([0, 3, 1]), [4, 1, 3])
  assert.deepEqual(frequencies([5, 0, 3, 0, 1]), [1, 6, 3, 6, 5])
  assert.deepEqual(frequencies([0, 0, 0]), [1, 1, 1])
  assert.deepEqual(frequencies([7]), [1])
})

function load(queues: readonly number[], leaderless: readonly number[] = []): PartitionLoad {
  return {
    count: queues.length,
    hasLeader: (partition) => !leaderless.includes(partition),
    queued: (partition) => queues[partition] ?? 0,
  }
}

function chosen(sticky: StickyPartition, of: PartitionLoad, times: number): number[] {
  const counts = Array.from({ length: of.count }, () => 0)
  for (let time = 0; time < times; time++) {
    const partition = sticky.choose(of)
    counts[partition] = (counts[partition] ?? 0) + 1
  }
  return counts
}

const newSticky = (adaptive = true): StickyPartition =>
  new StickyPartition({ batchBytes: 100, adaptive, random: new SeededRandom(5) })

const near = (got: readonly number[], wanted: readonly number[]): void => {
  for (const [index, count] of got.entries()) {
    const expected = wanted[index] ?? 0
    assert.ok(Math.abs(count - expected) <= expected * 0.1, `${got.join()} instead of about ${wanted.join()}`)
  }
}

test('over many choices the partitions come as often as they are likely', () => {
  near(chosen(newSticky(), load([5, 0, 3, 0, 1]), 21_000), [1000, 6000, 3000, 6000, 5000])
  near(chosen(newSticky(), load([2, 2, 2]), 9_000), [3000, 3000, 3000])
})

test('without partitioner.adaptive.partitioning.enable all with a leader are alike', () => {
  near(chosen(newSticky(false), load([50, 0, 3], [2]), 6_000), [3000, 3000, 0])
})

test('a partition without a leader is passed over, unless none has one', () => {
  near(chosen(newSticky(), load([0, 0, 0], [1]), 6_000), [3000, 0, 3000])
  near(chosen(newSticky(), load([0, 9, 0], [0, 1, 2]), 9_000), [3000, 3000, 3000])
})

test('one goes on after batch.size bytes when no batch waits for more, and after twice as many in any case', () => {
  const sticky = newSticky()
  assert.equal(sticky.current, -1)
  assert.ok(sticky.isOver(false))
  sticky.choose(load([0, 0]))
  sticky.took(99)
  assert.deepEqual([sticky.isOver(true), sticky.isOver(false)], [false, false])
  sticky.took(1)
  assert.deepEqual([sticky.isOver(true), sticky.isOver(false)], [false, true])
  sticky.took(99)
  assert.equal(sticky.isOver(true), false)
  sticky.took(1)
  assert.ok(sticky.isOver(true))
  sticky.choose(load([0, 0]))
  assert.equal(sticky.isOver(false), false)
})
