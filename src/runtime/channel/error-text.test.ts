/** An error that crosses a thread boundary says the same on the other side. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionFailed, describeError, MillraceError } from '../../base/index.ts'
import { errorOf, textOf } from './error-text.ts'

const across = (error: unknown): Error => errorOf(structuredClone(textOf(error)))

test('an operating error keeps its code, what happens next, whether it may be retried, its stack and its causes', () => {
  const cause = new MillraceError('KAFKA_TIMEOUT', 'no answer', { retriable: true, cause: new TypeError('deepest') })
  const error = new MillraceError('CHECKPOINT_FAILED', 'it failed', { next: 'The job goes on.', cause })
  const came = across(error)
  assert.ok(MillraceError.is(came))
  assert.deepEqual([came.code, came.retriable, came.next], ['CHECKPOINT_FAILED', false, 'The job goes on.'])
  assert.equal(came.stack, error.stack)
  assert.ok(MillraceError.is(came.cause) && came.cause.retriable)
  assert.equal((came.cause.cause as Error).name, 'TypeError')
  assert.equal(describeError(came), describeError(error))
})

test('other errors keep their name and what the system says; what is no error becomes one', () => {
  const system = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', port: 9092, socket: {} })
  const came = across(system) as Error & { code?: string; port?: number; socket?: unknown }
  assert.deepEqual([came.code, came.port, came.socket], ['ECONNREFUSED', 9092, undefined])
  assert.equal(across(new AssertionFailed('a bug')).name, 'AssertionFailed')
  assert.equal(across('just a text').message, 'just a text')
  assert.equal(across(undefined).message, 'undefined')
})

test('a circle of causes ends', () => {
  const error = new Error('round')
  error.cause = error
  assert.match(describeError(across(error)), /^round(: caused by: round)+$/)
})
