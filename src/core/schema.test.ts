import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { MillraceError } from '../base/index.ts'
import { JsonSchema, SimpleStringSchema, type StandardSchema } from './schema.ts'

const Order = z.object({ id: z.number(), user: z.object({ name: z.string() }) })

test('text goes both ways unchanged and a null value is left out', () => {
  const schema = new SimpleStringSchema()
  assert.equal(schema.deserialize(Buffer.from('grün')), 'grün')
  assert.equal(schema.deserializeText('grün'), 'grün')
  assert.equal(schema.serialize('grün'), 'grün')
  assert.equal(schema.deserialize(null), undefined)
  assert.throws(() => schema.serialize(7 as never), { code: 'SERIALIZATION_FAILED' })
})

test('JSON without a schema is a cast', () => {
  const schema = new JsonSchema<{ id: number }>()
  assert.deepEqual(schema.deserialize(Buffer.from('{"id":1}')), { id: 1 })
  assert.equal(schema.serialize({ id: 1 }), '{"id":1}')
  assert.equal(schema.deserialize(Buffer.from('null')), null)
})

test('JSON with a schema infers its type and gives what the schema makes of the value', () => {
  const schema = new JsonSchema(z.object({ id: z.number(), tag: z.string().default('none') }))
  const value = schema.deserializeText('{"id":1,"extra":2}')
  const typed: { id: number; tag: string } = value
  assert.deepEqual(typed, { id: 1, tag: 'none' })
})

test('errors name the place of what is wrong and never the contents', () => {
  const schema = new JsonSchema(Order)
  for (const [text, wanted] of [
    ['{"id":"secret-7","user":{"name":5}}', /2 problems at id, user\.name/],
    ['secret-7', /8 characters is not JSON/],
    ['{"id":1,"user":secret-7}', /24 characters is not JSON/],
    ['"secret-7', /from position 9 on/],
    ['"secret-7"', /1 problem at the root/],
  ] as const) {
    assert.throws(
      () => schema.deserializeText(text),
      (error) =>
        MillraceError.is(error) &&
        error.code === 'DESERIALIZATION_FAILED' &&
        wanted.test(error.message) &&
        !error.message.includes('secret') &&
        error.cause === undefined,
      text,
    )
  }
})

test('a schema that answers with a promise is an error', () => {
  const schema = new JsonSchema(z.number().refine(async () => true))
  assert.throws(() => schema.deserializeText('1'), { code: 'USER_FUNCTION_ASYNC' })
})

test('what is not a Standard Schema is refused at once', () => {
  assert.throws(() => new JsonSchema({} as StandardSchema<number>), { code: 'OPTION_INVALID' })
})

test('what JSON cannot express is refused', () => {
  assert.throws(() => new JsonSchema().serialize(undefined), { code: 'SERIALIZATION_FAILED' })
})
