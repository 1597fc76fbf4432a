/**
 * The expected figures come from `org.apache.kafka.common.utils.Utils` of kafka-clients 4.3.1 (murmur2 and toPositive).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { murmur2, murmur2OfText, partitionOfKey } from './partitioner.ts'

const JAVA: readonly (readonly [key: string, hash: number, of7: number, of100: number])[] = [
  ['', 275646681, 2, 81],
  ['a', -1563381124, 5, 24],
  ['ab', 316155434, 0, 34],
  ['abc', 479470107, 4, 7],
  ['abcd', -1323649548, 5, 0],
  ['abcde', 461995741, 4, 41],
  ['user-1', 1404122828, 3, 28],
  ['u9999', 202662080, 5, 80],
  ['key-12345678', -17148984, 3, 64],
  ['grüße', 1943707148, 5, 48],
  ['日本語', 1431860170, 6, 70],
  ['emoji 😀 key', -419047331, 6, 17],
  ['0123456789abcdef0123456789abcdef', 81657833, 5, 33],
]

test('keys hash and go to the partitions that Java gives them, as text and as bytes', () => {
  for (const [key, hash, of7, of100] of JAVA) {
    assert.equal(murmur2(Buffer.from(key)), hash, key)
    assert.equal(murmur2OfText(key), hash, key)
    assert.equal(partitionOfKey(key, 7), of7, key)
    assert.equal(partitionOfKey(Buffer.from(key), 100), of100, key)
  }
})

test('bytes above 127 hash as Java does', () => {
  assert.equal(murmur2(Buffer.from('ff', 'hex')), -311467685)
  assert.equal(murmur2(Buffer.from('80ff0001', 'hex')), 682733991)
  assert.equal(murmur2(Buffer.from('ffffffffffffff', 'hex')), -71293549)
  assert.equal(murmur2(Buffer.alloc(33)), -1165231347)
})

test('a part of a buffer hashes like the same bytes alone', () => {
  const bytes = Buffer.from('xxkey-12345678yy')
  assert.equal(murmur2(bytes, 2, 14), -17148984)
})
