/** Shapes: whatever is read by them is what JSON.parse reads, and everything else is left to it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { type AsciiText, JsonShapes } from './json-shape.ts'
import { JsonSchema } from './schema.ts'

/** The text among others, as in a batch: what stands round it must not matter. */
function among(text: string, before = '}"1', after = '0"}'): { ascii: AsciiText; from: number; to: number } {
  const bytes = Buffer.from(`??${before}${text}${after}`, 'latin1')
  const from = 2 + before.length
  return { ascii: { bytes, text: bytes.toString('latin1', 2), offset: 2 }, from, to: from + text.length }
}

function outcome(read: () => unknown): { readonly value: unknown; readonly keys: string } | 'error' {
  try {
    const value = read()
    return { value, keys: JSON.stringify(value) }
  } catch {
    return 'error'
  }
}

function assertAsJson(shapes: JsonShapes, text: string): void {
  const { ascii, from, to } = among(text)
  const value = shapes.parse(ascii, from, to)
  if (value === undefined) return
  assert.deepStrictEqual(
    outcome(() => value),
    outcome(() => JSON.parse(text)),
    text,
  )
}

/** What is no longer held is not counted, whenever V8 would have looked for it. */
function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}

function learnt(...texts: readonly string[]): JsonShapes {
  const shapes = new JsonShapes()
  for (const text of texts) shapes.learn(text)
  return shapes
}

const EXAMPLE = '{"id":17,"user":"u432","ok":true,"none":null,"at":{"x":-1.5, "y" : 0},"pad":"nrsrucebenquwdwjniqvib"}'

test('a text of a known shape is read without JSON.parse, and gives the same', () => {
  const shapes = learnt(EXAMPLE)
  for (const text of [
    EXAMPLE,
    '{"id":0,"user":"","ok":false,"none":null,"at":{"x":-0, "y" : 123456789012345},"pad":"a longer one than twelve"}',
    '{"id":-12,"user":"a b","ok":true,"none":null,"at":{"x":93.10, "y" : 0.000001},"pad":"short"}',
  ]) {
    const { ascii, from, to } = among(text)
    const value = shapes.parse(ascii, from, to)
    assert.notEqual(value, undefined, text)
    assert.deepStrictEqual(value, JSON.parse(text))
    assert.equal(JSON.stringify(value), JSON.stringify(JSON.parse(text)), 'the order of keys, too')
  }
})

test('what does not fit exactly is left to JSON.parse', () => {
  const shapes = learnt('{"a":1,"b":"x"}')
  for (const text of [
    '{"a":01,"b":"x"}',
    '{"a":-,"b":"x"}',
    '{"a":1.,"b":"x"}',
    '{"a":.5,"b":"x"}',
    '{"a":1e3,"b":"x"}',
    '{"a":1234567890123456,"b":"x"}',
    '{"a":0.1234567890123456,"b":"x"}',
    '{"a":1,"b":"x\\n"}',
    '{"a":1,"b":"x\n"}',
    '{"a":1,"b":"x}',
    '{"a":1,"b":"x"',
    '{"a":1,"b":"x"}}',
    '{"a":1,"b":"x"} ',
    ' {"a":1,"b":"x"}',
    '{"b":"x","a":1}',
    '{"a":null,"b":"x"}',
    '',
    '{',
  ]) {
    const { ascii, from, to } = among(text)
    assert.equal(shapes.parse(ascii, from, to), undefined, text)
  }
})

test('keys that a literal would treat otherwise are never learnt', () => {
  for (const text of [
    '{"__proto__":1}',
    '{"a":{"__proto__":1}}',
    '{"a":1,"a":2}',
    '[1]',
    '{"a":[1]}',
    '{}',
    '7',
    '"x"',
  ]) {
    const { ascii, from, to } = among(text)
    assert.equal(learnt(text).parse(ascii, from, to), undefined, text)
  }
})

const ascii = fc.string({ unit: 'binary-ascii', maxLength: 20 })
const leaf = fc.oneof(ascii, fc.double(), fc.integer(), fc.boolean(), fc.constant(null))
const tree = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, leaf, tie('object'), fc.array(leaf, { maxLength: 2 })),
  object: fc.dictionary(fc.oneof(ascii, fc.constantFrom('a', '1', 'b c')), tie('value'), { maxKeys: 5 }),
}))

test('any objects, read by the shapes of any others, are those of JSON.parse', () => {
  fc.assert(
    fc.property(fc.array(tree.object, { minLength: 1, maxLength: 6 }), fc.nat(3), (objects, indent) => {
      const texts = objects.map((object) => JSON.stringify(object, undefined, indent))
      const shapes = learnt(...texts)
      for (const text of texts) assertAsJson(shapes, text)
    }),
  )
})

test('a text of a shape with any byte changed is read as JSON.parse reads it, or not at all', () => {
  const shapes = learnt(EXAMPLE)
  fc.assert(
    fc.property(fc.nat(EXAMPLE.length - 1), fc.integer({ min: 0, max: 127 }), (at, code) => {
      assertAsJson(shapes, EXAMPLE.slice(0, at) + String.fromCharCode(code) + EXAMPLE.slice(at + 1))
    }),
    { numRuns: 2_000 },
  )
})

test('numbers of up to fifteen digits are read to the last bit', () => {
  const shapes = learnt('{"n":1}', '{"n":-1}')
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 17 })
  fc.assert(
    fc.property(digits, fc.option(digits), fc.boolean(), (whole, fraction, negative) => {
      assertAsJson(shapes, `{"n":${negative ? '-' : ''}${whole}${fraction === null ? '' : `.${fraction}`}}`)
    }),
    { numRuns: 2_000 },
  )
})

test('texts that never look alike cost little: after a while no shape is tried', () => {
  const shapes = new JsonShapes()
  const another = (index: number): string => `{"k${index}":${index}}`
  for (let index = 0; index < 300; index++) {
    const { ascii: text, from, to } = among(another(index))
    if (shapes.parse(text, from, to) === undefined) shapes.learn(another(index))
  }
  const { ascii: known, from, to } = among(another(0))
  assert.equal(shapes.parse(known, from, to), undefined, 'a shape that was learnt first is not tried now')
})

test('the schema reads a changing stream of shapes like JSON.parse, errors included', () => {
  const schema = new JsonSchema()
  const texts = ['{"a":1}', '{"a":2}', '{"a":"x"}', '{"a":3}', '{"b":[1,2]}', '{"a":', '{"a":4}', 'null', '{"a":"y"}']
  for (const text of texts) {
    const { ascii: given, from, to } = among(text)
    assert.deepStrictEqual(
      outcome(() => schema.deserializeAscii(given, from, to)),
      outcome(() => JSON.parse(text)),
      text,
    )
  }
})

test('a string that is kept does not keep the text alive that it was read from', () => {
  const shapes = learnt('{"s":"x"}')
  const kept: unknown[] = []
  const collect = collector()
  collect()
  const before = process.memoryUsage().heapUsed
  for (let index = 0; index < 1_000; index++) {
    const { ascii: text, from, to } = among(`{"s":"a string of more than twelve ${index}"}`, ' '.repeat(100_000))
    kept.push(shapes.parse(text, from, to))
  }
  collect()
  const grownMb = (process.memoryUsage().heapUsed - before) / 1e6
  assert.equal(kept.length, 1_000)
  assert.ok(grownMb < 10, `${grownMb} MB for 1,000 strings of 100,000-character texts`)
})
