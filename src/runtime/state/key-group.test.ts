import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Key } from '../../core/index.ts'
import { GOLDEN_FILE, GOLDEN_KEYS, GOLDEN_PARALLELISMS } from './golden-keys.fixture.ts'
import { KeyGrouping, serializeKey, subtaskOfKeyGroup } from './key-group.ts'

const part = (): fc.Arbitrary<string | number | bigint | boolean> =>
  fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.double(), fc.integer(), fc.bigInt(), fc.boolean())
const key = (): fc.Arbitrary<Key> => fc.oneof(part(), fc.array(part(), { maxLength: 4 }))

/** Java's Arrays.hashCode, as its documentation says it. */
function hashCode(bytes: Uint8Array): number {
  let hash = 1n
  for (const byte of bytes) hash = BigInt.asIntN(32, 31n * hash + BigInt.asIntN(8, BigInt(byte)))
  return Number(hash)
}

/** Flink's MathUtils.murmurHash in arithmetic that cannot overflow. */
function murmur(hash: number): number {
  const int = (value: bigint): bigint => BigInt.asIntN(32, value)
  const rotate = (value: bigint, by: bigint): bigint =>
    int((BigInt.asUintN(32, value) << by) | (BigInt.asUintN(32, value) >> (32n - by)))
  const mix = (value: bigint, by: bigint): bigint => int(value ^ (BigInt.asUintN(32, value) >> by))
  let code = int(BigInt(hash) * 0xcc9e2d51n)
  code = int(rotate(code, 15n) * 0x1b873593n)
  code = int(rotate(code, 13n) * 5n + 0xe6546b64n) ^ 4n
  code = int(mix(code, 16n) * 0x85ebca6bn)
  code = int(mix(code, 13n) * 0xc2b2ae35n)
  code = mix(code, 16n)
  if (code >= 0n) return Number(code)
  return code === -(2n ** 31n) ? 0 : Number(-code)
}

test('the group of a key is that of its bytes, however it is computed', () => {
  const grouping = new KeyGrouping(1 << 15)
  fc.assert(
    fc.property(key(), (value) => {
      assert.equal(grouping.groupOf(value), murmur(hashCode(serializeKey(value))) % (1 << 15))
    }),
    { numRuns: 300 },
  )
})

test('keys that are equal have the same bytes, others do not', () => {
  const same = (a: Key, b: Key): boolean => Buffer.compare(serializeKey(a), serializeKey(b)) === 0
  assert.ok(same(0, -0))
  assert.ok(same(Number.NaN, -Number.NaN))
  const different: readonly Key[] = [
    ...['', '1', 'a', '\ud800', '\udc00', '\ufffd', 1, 0, 1n, 0n, -1n, 128n, -128n, 255n, true, false],
    ...[[], [''], ['a'], ['a', 'b'], ['ab', ''], ['', 'ab'], [1, 'a'], [['a'].join()]].slice(0, 7),
  ]
  for (const [i, a] of different.entries())
    for (const [j, b] of different.entries()) assert.equal(same(a, b), i === j, `${String(a)} and ${String(b)}`)
})

test('every key group has one subtask, and each subtask a run of them', () => {
  for (const parallelism of [1, 2, 3, 7, 128]) {
    const subtasks = Array.from({ length: 128 }, (_, group) => subtaskOfKeyGroup(128, parallelism, group))
    assert.deepEqual(
      subtasks,
      [...subtasks].sort((a, b) => a - b),
    )
    assert.equal(new Set(subtasks).size, parallelism)
  }
})

test('keys have the bytes, groups and subtasks that Flink said for the first version', () => {
  const lines = GOLDEN_KEYS.flatMap((key) => {
    const bytes = Buffer.from(serializeKey(key)).toString('hex')
    return GOLDEN_PARALLELISMS.map(({ maxParallelism, parallelism }) => {
      const group = new KeyGrouping(maxParallelism).groupOf(key)
      const subtask = subtaskOfKeyGroup(maxParallelism, parallelism, group)
      return `${bytes} ${maxParallelism} ${parallelism} -> ${group} ${subtask}\n`
    })
  })
  assert.equal(lines.join(''), readFileSync(GOLDEN_FILE, 'utf8'))
})
