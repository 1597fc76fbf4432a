import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProducerMemory } from './producer-memory.ts'

const KB = 1024
const VALUE = 'x'.repeat(10 * KB)

/** A writer grown to the size of a batch. */
function filled(memory: ProducerMemory): { writer: ReturnType<ProducerMemory['take']>['writer']; capacity: number } {
  const taken = memory.take(512 * KB)
  let { capacity } = taken
  while (taken.writer.append(1, null, VALUE)) {
    const grown = memory.capacityOf(taken.writer.sizeBytes)
    if (grown > capacity) memory.grown(grown - capacity)
    capacity = Math.max(capacity, grown)
  }
  return { writer: taken.writer, capacity }
}

test('after a slow time of the broker a quarter of the limit rests at most, and a single writer is used again', () => {
  const memory = new ProducerMemory(8192 * KB, 512 * KB)
  const all = Array.from({ length: 16 }, () => filled(memory))
  assert.equal(memory.usedBytes, 8192 * KB)
  assert.ok(memory.blocked)
  for (const { writer, capacity } of all) memory.give(writer, capacity, true)
  assert.equal(memory.usedBytes, 0)
  assert.equal(memory.restingBytes, 2048 * KB)
  const again = memory.take(512 * KB)
  assert.ok(all.some(({ writer }) => writer === again.writer))
  assert.equal(again.capacity, 512 * KB)
  assert.equal(memory.restingBytes, 1536 * KB)
})
