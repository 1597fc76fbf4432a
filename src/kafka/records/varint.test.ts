/** Varints against BigInt arithmetic, and malformed ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../base/index.ts'
import { VarintCursor, varintSize, varlongSize, writeVarint, writeVarlong } from './varint.ts'

/** Zigzag and base 128 by the book. */
function encode(value: bigint): number[] {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  const bytes: number[] = []
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  return [...bytes, Number(rest)]
}

function interesting(bits: number): number[] {
  const values = [0]
  for (let bit = 0; bit < bits; bit++) {
    for (const near of [-2, -1, 0, 1, 2]) values.push(2 ** bit + near, -(2 ** bit) + near)
  }
  return values
}

function cursorOf(bytes: readonly number[]): VarintCursor {
  const cursor = new VarintCursor()
  cursor.bytes = Buffer.from(bytes)
  return cursor
}

test('every int32 near a power of two, and random ones, are written as zigzag says and read back', () => {
  const random = new SeededRandom(1)
  const values = interesting(31).filter((value) => value === (value | 0))
  for (let i = 0; i < 5000; i++) values.push((random.next() * 2 ** 32) | 0)
  for (const value of [...values, 2147483647, -2147483648]) {
    const target = Buffer.alloc(12, 0xee)
    const end = writeVarint(target, 2, value)
    assert.deepEqual([...target.subarray(2, end)], encode(BigInt(value)), String(value))
    assert.equal(varintSize(value), end - 2)
    const cursor = cursorOf([...target])
    cursor.position = 2
    assert.equal(cursor.varint(), value)
    assert.equal(cursor.position, end)
  }
})

test('every safe integer near a power of two, and random ones, are written as a varlong and read back', () => {
  const random = new SeededRandom(2)
  const values = interesting(53).filter(Number.isSafeInteger)
  for (let i = 0; i < 5000; i++)
    values.push(Math.floor((random.next() - 0.5) * 2 ** (1 + Math.floor(random.next() * 53))))
  for (const value of [...values, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    const target = Buffer.alloc(16, 0xee)
    const end = writeVarlong(target, 1, value)
    assert.deepEqual([...target.subarray(1, end)], encode(BigInt(value)), String(value))
    assert.equal(varlongSize(value), end - 1)
    const cursor = cursorOf([...target])
    cursor.position = 1
    assert.ok(cursor.varlong() === value, String(value))
    assert.equal(cursor.position, end)
  }
})

test('a varlong beyond 2^53 is read as the nearest number', () => {
  for (const value of [2n ** 63n - 1n, -(2n ** 63n), 1_700_000_000_123_456_789n, -(2n ** 60n) - 77n]) {
    const cursor = cursorOf(encode(value))
    assert.equal(cursor.varlong(), Number(value))
    assert.equal(cursor.position, cursor.bytes.length)
  }
})

test('a varint that is cut off or overlong puts the cursor past the end', () => {
  const ff = (count: number): number[] => Array.from({ length: count }, () => 0xff)
  const malformed = [[], [0x80], [0x80, 0x80], ff(4), [...ff(4), 0x10], [...ff(4), 0x80, 0], ff(20)]
  for (const bytes of malformed) {
    const cursor = cursorOf(bytes)
    assert.equal(cursor.varint(), 0)
    assert.ok(cursor.position > cursor.bytes.length, String(bytes))
  }
  for (const bytes of [[], [0x80], ff(9), [...ff(9), 2], [...ff(9), 0x80, 0], ff(20)]) {
    const cursor = cursorOf(bytes)
    assert.equal(cursor.varlong(), 0)
    assert.ok(cursor.position > cursor.bytes.length, String(bytes))
  }
})

test('a varint padded with zero bits is accepted, as Java does', () => {
  const cursor = cursorOf([0x82, 0x80, 0x00])
  assert.equal(cursor.varint(), 1)
  assert.equal(cursor.position, 3)
})
