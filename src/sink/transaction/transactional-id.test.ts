import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTransactionalId, parseTransactionalId, partsWithPrefix } from './transactional-id.ts'

test('what is formatted is parsed back, whatever the prefix contains', () => {
  for (const prefix of ['a', 'a-1', 'orders-2-3-4', '-', '7', 'with space', 'ünï-códe', 'line\nbreak', 'a-b-']) {
    const id = formatTransactionalId(prefix, 12, 0, 345)
    assert.deepEqual(parseTransactionalId(id), { prefix, attempt: 12, subtask: 0, k: 345 })
    assert.deepEqual(partsWithPrefix(id, prefix), { prefix, attempt: 12, subtask: 0, k: 345 })
  }
})

test('a prefix owns neither the ids of a longer prefix nor those of one that ends in numbers', () => {
  assert.equal(partsWithPrefix('ab-1-0-0', 'a'), undefined)
  assert.equal(partsWithPrefix('a-1-2-0-0', 'a'), undefined)
  assert.equal(partsWithPrefix('a-1-0-0', 'a-1'), undefined)
  assert.ok(partsWithPrefix('a-1-2-0-0', 'a-1'))
})

test('names that this sink never makes are not parsed', () => {
  for (const id of ['', 'a', 'a-1-2', '1-2-3', '-1-2-3', 'a-01-0-0', 'a-1-0--1', 'a-1-0-x', 'a-1-0-0 ', 'a-1-0-1e3']) {
    assert.equal(parseTransactionalId(id), undefined, id)
  }
})
