/**
 * Blocks lie in checkpoints. What their first version looked like is readable for ever and is still what is written; a new version
 * gets new files beside these, which never change.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { BlockReader } from './block-reader.ts'
import { BlockWriter } from './block-writer.ts'

const golden = (name: string): URL => new URL(`../../../test/golden/block/${name}`, import.meta.url)

const record = (i: number): unknown => ({
  user: `user-${i}`,
  amount: i / 4,
  ts: 1_700_000_000_000 + i,
  n: i,
  tag: null,
})
const BLOCKS: Readonly<Record<string, readonly unknown[]>> = {
  'leaves.v1': [
    ...[undefined, null, false, true, 0, -0, 1, -1, 2 ** 31, 0.1, Number.NaN, Infinity, '', 'text', 'größer'],
    ...[1n, -1n, 2n ** 70n, new Date(0), new Date(Number.NaN), Buffer.from('buffer'), new Uint8Array([1, 2])],
    ...[new Float64Array([1.5]), new Uint16Array([513]), new BigInt64Array([-2n]), new ArrayBuffer(3)],
    ...[new DataView(new ArrayBuffer(2)), new Int8Array([-1]), new Uint8ClampedArray([9]), new Int16Array([-3])],
    ...[new Int32Array([-4]), new Uint32Array([4]), new Float32Array([0.5]), new BigUint64Array([5n])],
  ],
  'wide-text.v1': ['\ud800', '世界', 'ascii', { schlüssel: '\u{1f600}' }],
  'nested.v1': [
    [],
    [1, [2, 'x'], { a: [] }],
    // biome-ignore lint/suspicious/noSparseArray: a hole is kept
    [1, , 3],
    new Map<unknown, unknown>([[{ k: 1 }, new Set([1, 'b'])]]),
    Object.assign(Object.create(null), { bare: true }),
    { ['__proto__']: 1, '': undefined, '9': 9 },
  ],
  'shapes.v1': [
    record(1),
    record(2),
    record(3),
    { ...(record(4) as object), amount: 'four' },
    record(5),
    [{ x: record(6) }],
  ],
}

for (const [name, values] of Object.entries(BLOCKS)) {
  test(`${name} is written as it was and read`, () => {
    const writer = new BlockWriter()
    for (const value of values) writer.write(value)
    writer.writeNumber(-0.5)
    writer.writeMark(3)
    const written = Buffer.from(writer.finish()).toString('base64')
    if (process.env.MILLRACE_WRITE_GOLDEN === '1') writeFileSync(golden(name), `${written}\n`, { flag: 'wx' })
    const kept = readFileSync(golden(name), 'utf8').trim()
    assert.equal(written, kept)
    const reader = new BlockReader(Buffer.from(kept, 'base64'))
    for (const value of values) assert.deepStrictEqual(reader.read(), value)
    assert.equal(reader.readNumber(), -0.5)
    assert.equal(reader.readMark(), 3)
    assert.equal(reader.done, true)
  })
}
