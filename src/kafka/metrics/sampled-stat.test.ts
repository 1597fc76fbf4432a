/** Averages, maxima and rates over two samples of 30 seconds, as Kafka's clients compute them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../client/manual-clock.test-double.ts'
import { SampledStat } from './sampled-stat.ts'

test('what was recorded lately is averaged, and nothing recorded is NaN', () => {
  const stat = new SampledStat(new ManualClock())
  assert.ok(Number.isNaN(stat.average) && Number.isNaN(stat.maximum))
  for (const value of [1, 2, 6]) stat.record(value)
  assert.deepEqual([stat.average, stat.maximum, stat.count, stat.sum], [3, 6, 3, 9])
})

test('a sample counts for the next 30 seconds after its own, and is forgotten then', async () => {
  const clock = new ManualClock()
  const stat = new SampledStat(clock)
  stat.record(10)
  await clock.advance(30_000)
  stat.record(2)
  assert.deepEqual([stat.average, stat.maximum], [6, 10])
  await clock.advance(29_999)
  assert.equal(stat.maximum, 10)
  await clock.advance(1)
  assert.deepEqual([stat.maximum, stat.count], [2, 1])
  await clock.advance(30_000)
  assert.ok(Number.isNaN(stat.maximum))
  assert.equal(stat.count, 0)
})

test('a rate is over the time since the oldest sample began, of which a whole one is taken for granted', async () => {
  const clock = new ManualClock()
  const stat = new SampledStat(clock)
  stat.record(60)
  assert.equal(stat.sumRate, 2)
  await clock.advance(30_000)
  stat.record(60)
  await clock.advance(10_000)
  assert.equal(stat.sumRate, 3)
  assert.equal(stat.countRate, 0.05)
})
