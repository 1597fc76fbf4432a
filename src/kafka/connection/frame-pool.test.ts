import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FramePool } from './frame-pool.ts'

test('memory that was given back is used for the next frame that fits, and for one frame at a time', () => {
  const pool = new FramePool()
  const first = pool.take(1_000_000)
  assert.equal(first.length, 1_000_000)
  const second = pool.take(1_000_000)
  assert.notEqual(second.buffer, first.buffer, 'lent memory is nobody else’s')
  pool.giveBack(first.buffer)
  pool.giveBack(first.buffer)
  const third = pool.take(1_010_000)
  assert.equal(third.buffer, first.buffer)
  assert.equal(third.length, 1_010_000)
  assert.notEqual(pool.take(1_000_000).buffer, first.buffer, 'given back twice counts once')
})

test('what is not lent from the pool is left alone', () => {
  const pool = new FramePool()
  const stranger = Buffer.allocUnsafeSlow(100_000)
  pool.giveBack(stranger.buffer)
  assert.notEqual(pool.take(100_000).buffer, stranger.buffer)
})

test('what waits is bounded in number and size', () => {
  const pool = new FramePool()
  const lent = Array.from({ length: 10 }, () => pool.take(200_000).buffer)
  for (const memory of lent) pool.giveBack(memory)
  const again = Array.from({ length: 10 }, () => pool.take(200_000).buffer)
  assert.equal(again.filter((memory) => lent.includes(memory)).length, 3)
  const huge = pool.take(17 * 1024 * 1024)
  assert.equal(huge.length, 17 * 1024 * 1024)
  pool.giveBack(huge.buffer)
  assert.notEqual(pool.take(17 * 1024 * 1024).buffer, huge.buffer)
})

test('sizes that grow replace the small memory, so that large frames are recycled too', () => {
  const pool = new FramePool()
  for (const bytes of [100_000, 200_000, 300_000]) pool.giveBack(pool.take(bytes).buffer)
  const large = pool.take(4_000_000)
  pool.giveBack(large.buffer)
  assert.equal(pool.take(4_000_000).buffer, large.buffer)
})
