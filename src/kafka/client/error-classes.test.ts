import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KafkaErrorCode, kafkaError } from '../protocol/errors.ts'
import { brokerError, classify, KAFKA_ERROR_CLASSES } from './error-classes.ts'

test('every code has one row at most, with a meaning for the data', () => {
  const names = KAFKA_ERROR_CLASSES.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  for (const { name, meaning } of KAFKA_ERROR_CLASSES) assert.ok(meaning.length > 10, name)
})

test('what Java tries again is tried again, and what it does not is not, with these exceptions', () => {
  const differing = KAFKA_ERROR_CLASSES.map(({ name }) => name).filter((name) => {
    const code = KafkaErrorCode[name]
    return (classify(code, 'admin').class === 'retriable') !== kafkaError(code).retriable
  })
  // The first two pass by themselves and did nothing; the third says that the batch is there already.
  assert.deepEqual(differing, ['BROKER_NOT_AVAILABLE', 'REBALANCE_IN_PROGRESS', 'DUPLICATE_SEQUENCE_NUMBER'])
})

test('a code from the future is fatal, and the error names it', () => {
  assert.equal(classify(9_999, 'transaction').class, 'fatal')
  const error = brokerError(9_999, { context: 'transaction', doing: 'Committing' })
  assert.equal(error.retriable, false)
  assert.match(error.message, /Committing was answered UNKNOWN_ERROR_9999/)
})

test('the same answer means different things by what was asked', () => {
  assert.equal(classify(KafkaErrorCode.CORRUPT_MESSAGE, 'produce').class, 'retriable')
  assert.equal(classify(KafkaErrorCode.CORRUPT_MESSAGE, 'fetch').class, 'fatal')
  assert.equal(classify(KafkaErrorCode.INVALID_TXN_STATE, 'produce').class, 'abortable')
  assert.equal(classify(KafkaErrorCode.INVALID_TXN_STATE, 'transaction').class, 'fenced')
})

test('a missing right is named with its resource', () => {
  const place = { context: 'admin', doing: 'Reading', right: 'READ on topic t' } as const
  assert.match(
    brokerError(KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED, place).message,
    /the right is missing \(READ on topic t\)/,
  )
  assert.doesNotMatch(brokerError(KafkaErrorCode.REQUEST_TIMED_OUT, place).message, /READ on/)
})
