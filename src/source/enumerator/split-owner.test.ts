import assert from 'node:assert/strict'
import { test } from 'node:test'
import { javaHash, ownerByLoad, ownerByTopic } from './split-owner.ts'

test('the hash is that of Java, overflow included', () => {
  assert.equal(javaHash(''), 0)
  assert.equal(javaHash('a'), 97)
  assert.equal(javaHash('orders'), -1008770331)
  assert.equal(javaHash('polygenelubricants'), -2147483648)
  assert.equal(javaHash('ü€😀'), ((0xfc * 31 + 0x20ac) * 31 + 0xd83d) * 31 + 0xde00)
})

test('the partitions of a topic go round the subtasks from where its name says', () => {
  const owner = ownerByTopic(4)
  const start = Number(BigInt.asIntN(32, -1008770331n * 31n) & 0x7fffffffn) % 4
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((partition) => owner({ topic: 'orders', partition })),
    [0, 1, 2, 3, 4, 5].map((partition) => (start + partition) % 4),
  )
})

test('by load every subtask gets the same number, give or take one', () => {
  const owner = ownerByLoad(3)
  const counts = [0, 0, 0]
  for (let partition = 0; partition < 11; partition++) {
    const index = owner({ topic: 't', partition })
    counts[index] = (counts[index] ?? 0) + 1
  }
  assert.deepEqual(counts, [4, 4, 3])
})
