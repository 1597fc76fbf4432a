import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { MillraceError } from '../../base/index.ts'
import { DEPTH_MAX } from './block-format.ts'
import { BlockReader } from './block-reader.ts'
import { BlockWriter } from './block-writer.ts'
import { ReaderShapes } from './reader-shapes.ts'

function through(values: readonly unknown[], writer = new BlockWriter(), shapes = new ReaderShapes()): unknown[] {
  for (const value of values) writer.write(value)
  assert.equal(writer.count, values.length)
  const block = writer.finish()
  assert.equal(writer.empty, true)
  const reader = new BlockReader(block, { shapes })
  assert.equal(reader.count, values.length)
  const read = values.map(() => reader.read())
  assert.equal(reader.done, true)
  return read
}

/** deepStrictEqual, and the same order of keys everywhere. */
function assertSame(actual: unknown, expected: unknown): void {
  assert.deepStrictEqual(actual, expected)
  assert.deepEqual(keysOf(actual), keysOf(expected))
}

function keysOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return null
  if (value instanceof Map) return [...value].map(keysOf)
  if (value instanceof Set) return [...value].map(keysOf)
  return Object.entries(value).map(([key, item]) => [key, keysOf(item)])
}

const text = (): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: 'grapheme-ascii' }),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\ud800', 'é', '\u0000'),
  )
const leaf = (): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.constantFrom(null, undefined, true, false, 0, -0, Number.NaN, Infinity, -Infinity, 2 ** 31, -(2 ** 31), 2 ** 53),
    fc.integer(),
    fc.double(),
    text(),
    fc.bigInt(),
    fc.date(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.uint8Array(),
    fc.uint8Array().map((bytes) => bytes.buffer),
    fc.float64Array(),
    fc.int16Array(),
    fc.bigInt64Array(),
    fc.uint8ClampedArray(),
  )
const anything = (): fc.Arbitrary<unknown> =>
  fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf(),
      fc.array(tie('any'), { maxLength: 5 }),
      fc.sparseArray(tie('any'), { maxNumElements: 3, maxLength: 6 }),
      fc.dictionary(fc.oneof(fc.constantFrom('a', 'b', '7', '__proto__', 'constructor', ''), text()), tie('any'), {
        maxKeys: 6,
        noNullPrototype: false,
      }),
      fc.array(fc.tuple(leaf(), tie('any')), { maxLength: 3 }).map((entries) => new Map(entries)),
      fc.array(tie('any'), { maxLength: 3 }).map((items) => new Set(items)),
    ),
  })).any

test('every value comes back as it was, in its order, with its keys in theirs', () => {
  const writer = new BlockWriter()
  const shapes = new ReaderShapes()
  fc.assert(
    fc.property(fc.array(anything(), { maxLength: 8 }), (values) => {
      // Three times, so that keys met before become shapes, also in the blocks that follow.
      const repeated = [...values, ...values, ...values]
      assertSame(through(repeated, writer, shapes), repeated)
    }),
    { numRuns: 120 },
  )
})

test('objects of one shape come back when their fields change type', () => {
  const field = fc.oneof(fc.integer(), fc.double(), text(), fc.constantFrom(undefined, null, -0), fc.boolean())
  const record = fc.record({ user: field, amount: field, ts: field, 'a"b': field, ['__proto__']: field })
  fc.assert(
    fc.property(fc.array(record, { minLength: 2, maxLength: 40 }), (values) => assertSame(through(values), values)),
    { numRuns: 200 },
  )
})

test('a shape that is used often is compiled and says the same', () => {
  const values = Array.from({ length: 2_000 }, (_, i) => ({
    user: `user-${i % 97}`,
    amount: i / 8,
    n: i,
    __proto: null,
    nested: { at: new Date(i), big: BigInt(i) << 40n, deep: { tags: [`t${i}`] } },
    ['__proto__']: i,
    'quote"\u2028\\': 'x',
  }))
  assertSame(through(values), values)
})

test('more shapes in a block than tags have room for', () => {
  const values = Array.from({ length: 1_200 }, (_, i) => ({ [`field${i % 400}`]: i, x: 'x' }))
  assertSame(through(values), values)
  const many = Array.from({ length: 9_000 }, (_, i) => ({ [`key${i % 4_500}`]: i }))
  assertSame(through(many), many)
  const wide = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`w${i}`, i]))
  assertSame(through([wide, wide, wide]), [wide, wide, wide])
})

test('numbers and marks stand between values in one order', () => {
  const writer = new BlockWriter()
  for (let i = 0; i < 3_000; i++) {
    writer.writeMark(i % 16)
    writer.writeNumber(i / 3)
    writer.write({ i, text: 'é'.repeat(i % 30) })
  }
  const reader = new BlockReader(writer.finish())
  for (let i = 0; i < 3_000; i++) {
    assert.equal(reader.readMark(), i % 16)
    assert.equal(reader.readMark(), -1)
    assert.equal(reader.readNumber(), i / 3)
    assertSame(reader.read(), { i, text: 'é'.repeat(i % 30) })
  }
  assert.equal(reader.readMark(), -1)
  assert.equal(reader.done, true)
})

test('a block says how long it will be, near enough', () => {
  const writer = new BlockWriter()
  for (let i = 0; i < 500; i++) writer.write({ user: `user-${i}`, amount: i / 2, bytes: Buffer.alloc(i % 7) })
  const estimate = writer.byteLength
  const { byteLength } = writer.finish()
  assert.ok(Math.abs(byteLength - estimate) < 64, `${estimate} for ${byteLength}`)
})

test('a block lies in a buffer of its own that can be transferred, and offered again', () => {
  const writer = new BlockWriter()
  writer.write('a')
  const first = writer.finish()
  writer.write({ bytes: Buffer.from('abc') })
  const second = writer.finish()
  assert.notEqual(first.buffer, second.buffer)
  const moved = structuredClone(first, { transfer: [first.buffer] })
  assert.equal(new BlockReader(moved).read(), 'a')
  const room = new ArrayBuffer(10_000)
  writer.offer(room)
  writer.write('again')
  const third = writer.finish()
  assert.equal(third.buffer, room)
  assert.equal(new BlockReader(third).read(), 'again')
  assert.deepEqual(new BlockReader(second).read(), { bytes: Buffer.from('abc') })
})

test('bytes come back independent of the block, unless views are asked for and worth it', () => {
  const writer = new BlockWriter()
  const large = Buffer.alloc(10_000, 7)
  writer.write([large, Buffer.from('small'), new Float64Array([1, 2])])
  large.fill(0)
  const block = writer.finish()
  const independent = new BlockReader(block)
  const viewing = new BlockReader(block, { views: true })
  const [a] = independent.read() as Buffer[]
  const [b, c, d] = viewing.read() as [Buffer, Buffer, Float64Array]
  assert.equal(independent.viewed, false)
  assert.equal(viewing.viewed, true)
  assert.equal(b.buffer, block.buffer)
  assert.notEqual(c.buffer, block.buffer)
  block.fill(1)
  assert.deepEqual(a, Buffer.alloc(10_000, 7))
  assert.deepEqual(b, Buffer.alloc(10_000, 1))
  assert.deepEqual(c, Buffer.from('small'))
  assert.deepEqual(d, new Float64Array([1, 2]))
})

test('a block is read where it lies, at any place in a buffer', () => {
  const writer = new BlockWriter()
  writer.write([new Float64Array([1.5]), 2.5, 'text'])
  const block = writer.finish()
  for (const shift of [1, 8]) {
    // A Buffer's own `slice` makes no copy.
    for (const room of [new Uint8Array(block.byteLength + shift), Buffer.alloc(block.byteLength + shift)]) {
      const moved = room.subarray(shift)
      moved.set(block)
      assert.deepEqual(new BlockReader(moved).read(), [new Float64Array([1.5]), 2.5, 'text'])
    }
  }
})

test('what cannot be written is refused with the path of the field, and the block stays as it was', () => {
  class Money {
    amount = 1
  }
  const circle: Record<string, unknown> = { a: 1 }
  circle.self = { inner: [circle] }
  let deep: unknown = 1
  for (let i = 0; i <= DEPTH_MAX; i++) deep = [deep]
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [() => 1, /: it is a function/],
    [{ a: { callback: function refresh() {} } }, /its field a\.callback is the function refresh/],
    [{ items: [1, { price: new Money() }] }, /its field items\[1\]\.price is an instance of Money/],
    [{ 'two words': Symbol('s') }, /its field \["two words"\] is a symbol/],
    [{ later: Promise.resolve(1) }, /its field later is an instance of Promise/],
    [new Map([[1, { f: () => 1 }]]), /its field <value 0>\.f is the function f/],
    [new Set([/x/]), /its field <element 0> is an instance of RegExp/],
    [circle, /its field self\.inner\[0\] is an object that contains itself/],
    [deep, /deeper than 400 levels/],
    [new Error('x'), /: it is an instance of Error/],
    [Object.assign(new (class Sub extends Array {})(), [1]), /an instance of Sub/],
  ]
  const writer = new BlockWriter({ owner: 'what operator "count" emits' })
  writer.write({ a: 1, b: 'b' })
  for (const [value, message] of cases) {
    assert.throws(
      () => writer.write({ bytes: Buffer.from('dropped'), text: 'dropped', n: 1.5, i: 1, value }),
      (error) => MillraceError.is(error) && error.code === 'RECORD_NOT_SERIALIZABLE' && /"count"/.test(error.message),
    )
    assert.throws(() => writer.write(value), message)
  }
  writer.write({ a: 2, b: Buffer.from('kept') })
  assert.equal(writer.count, 2)
  const reader = new BlockReader(writer.finish())
  assert.deepEqual(
    [reader.read(), reader.read()],
    [
      { a: 1, b: 'b' },
      { a: 2, b: Buffer.from('kept') },
    ],
  )
})

test('a version from the future is refused with words', () => {
  const block = new BlockWriter().finish()
  block[0] = 2
  assert.throws(
    () => new BlockReader(block),
    (error) => MillraceError.is(error) && error.code === 'STATE_INCOMPATIBLE',
  )
  assert.throws(() => new BlockReader(block.subarray(0, 5)), /damaged/)
})

test('a large block is followed by a small one', () => {
  const writer = new BlockWriter()
  const large = Array.from({ length: 300_000 }, (_, i) => [i, i / 2, true])
  writer.write(large)
  assertSame(new BlockReader(writer.finish()).read(), large)
  assertSame(through([{ a: 1, b: 0.5, c: 2n }], writer), [{ a: 1, b: 0.5, c: 2n }])
})

test('where code from strings is forbidden the same values come back', () => {
  const blocks = new URL('./', import.meta.url).href
  const program = `
    import { BlockReader } from '${blocks}block-reader.ts'
    import { BlockWriter } from '${blocks}block-writer.ts'
    const values = Array.from({ length: 3_000 }, (_, i) => ({ user: 'user-' + i, amount: i / 4, n: { i }, ['__proto__']: i }))
    const writer = new BlockWriter()
    for (const value of values) writer.write(value)
    const reader = new BlockReader(writer.finish())
    process.stdout.write(JSON.stringify(values) === JSON.stringify(values.map(() => reader.read())) ? 'the same' : 'others')
    try { new Function('')() } catch { process.stdout.write(', forbidden') }
  `
  const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '--no-warnings']
  const said = execFileSync(process.execPath, [...flags, '--eval', program], { encoding: 'utf8' })
  assert.equal(said, 'the same, forbidden')
})
