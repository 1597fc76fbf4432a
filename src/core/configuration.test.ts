/** Options: what their texts mean, and that a wrong one is refused by name before anything runs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import { Configuration } from './configuration.ts'
import { parseDuration, parseSize } from './option-types.ts'
import { OPTIONS } from './options.ts'

test('durations: units in any case, with or without a space; bare is milliseconds', () => {
  const cases = {
    '0': 0,
    '250': 250,
    '10 s': 10_000,
    '10s': 10_000,
    '1 min': 60_000,
    '2M': 120_000,
    '1.5 h': 5_400_000,
    '1 d': 86_400_000,
    ' 7 MS ': 7,
  }
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseDuration(text), ms, text)
  for (const text of ['', 's', '-1', '1 week', '1 s 2', 'ten', '1e3', '1,5 s'])
    assert.throws(() => parseDuration(text), RangeError, text)
})

test('sizes: powers of 1024; bare is bytes', () => {
  const cases = { '1': 1, '16 kb': 16_384, '64mb': 67_108_864, '1 g': 1_073_741_824, '1.5k': 1_536 }
  for (const [text, bytes] of Object.entries(cases)) assert.equal(parseSize(text), bytes, text)
  for (const text of ['', 'mb', '1 tb', '-1']) assert.throws(() => parseSize(text), RangeError, text)
})

test('whole numbers: exact ones only', () => {
  const key = 'parallelism.default'
  assert.equal(new Configuration({ [key]: ' 12 ' }).get('parallelism'), 12)
  for (const text of ['', ' ', '1.5', 'x', '9007199254740993']) {
    assert.throws(() => new Configuration({ [key]: text }), /is not a whole number/, text)
  }
})

test('an unknown key is refused, with the key that was meant when there is one', () => {
  const refused = (key: string): string => {
    try {
      new Configuration({ [key]: '1' })
    } catch (error) {
      assert.ok(MillraceError.is(error) && error.code === 'OPTION_INVALID')
      return error.message
    }
    return assert.fail(`${key} was taken`)
  }
  assert.match(refused('execution.checkpointing.intervall'), /did you mean "execution\.checkpointing\.interval"\?/)
  assert.match(refused('execution.checkpoint.timeout'), /did you mean "execution\.checkpointing\.timeout"\?/)
  assert.doesNotMatch(refused('zzz'), /did you mean/)
})

test('a bad value is refused with its key', () => {
  for (const [key, value] of [
    ['parallelism.default', '0'],
    ['parallelism.default', 'many'],
    ['execution.checkpointing.interval', 'soon'],
    ['restart-strategy.type', 'sometimes'],
    ['execution.checkpointing.tolerable-failed-checkpoints', '-1'],
  ] as const) {
    assert.throws(
      () => new Configuration().set(key, value),
      (error) => MillraceError.is(error) && error.message.startsWith(`${key}: `),
    )
  }
})

test('choices are taken in any case, with either dash, and by the other names that Flink has for them', () => {
  const read = (text: string): unknown => new Configuration({ 'restart-strategy.type': text }).get('restartStrategy')
  assert.deepEqual(['none', 'OFF', 'disable', 'fixeddelay', 'Failure_Rate', 'exponential-delay'].map(read), [
    'none',
    'none',
    'none',
    'fixed-delay',
    'failure-rate',
    'exponential-delay',
  ])
  assert.equal(
    new Configuration({ 'execution.checkpointing.mode': 'AT_LEAST_ONCE' }).get('checkpointingMode'),
    'at-least-once',
  )
})

test('a refusal names the place where the setting was written', () => {
  const refused = (key: string, value: string): string => {
    try {
      new Configuration().set(key, value, 'millrace.yaml:7')
    } catch (error) {
      return MillraceError.is(error) ? error.message : ''
    }
    return assert.fail(`${key} was taken`)
  }
  assert.match(
    refused('parallelism.defualt', '1'),
    /^millrace\.yaml:7: unknown configuration key .*did you mean "parallelism\.default"\?/,
  )
  assert.match(
    refused('parallelism.default', 'many'),
    /^millrace\.yaml:7: parallelism\.default: "many" is not a whole number/,
  )
})

test('an option that is not set has its default; a set one its value, and says that it is set', () => {
  const configuration = new Configuration({ 'execution.checkpointing.interval': '10 s', 'parallelism.default': 4 })
  assert.equal(configuration.get('checkpointIntervalMs'), 10_000)
  assert.equal(configuration.get('parallelism'), 4)
  assert.equal(configuration.get('checkpointTimeoutMs'), 600_000)
  assert.equal(configuration.has('parallelism'), true)
  assert.equal(configuration.has('checkpointTimeoutMs'), false)
})

test('merged, the other wins, and neither of the two is changed', () => {
  const [low, high] = [
    new Configuration({ 'parallelism.default': 1, 'pipeline.max-parallelism': 64 }),
    new Configuration({ 'parallelism.default': 2 }),
  ]
  const merged = low.with(high)
  assert.deepEqual(
    [...merged.entries()],
    [
      ['parallelism.default', '2'],
      ['pipeline.max-parallelism', '64'],
    ],
  )
  assert.equal(low.get('parallelism'), 1)
  assert.equal(high.has('maxParallelism'), false)
})

test('every option takes its own default as text, and has a key and a description of its own', () => {
  const keys = Object.values(OPTIONS).map(({ key }) => key)
  assert.equal(new Set(keys).size, keys.length)
  for (const { key, defaultValue, defaultText, description, parse } of Object.values(OPTIONS)) {
    assert.ok(description.endsWith('.'), key)
    if (defaultValue !== undefined) assert.equal(parse(defaultText), defaultValue, key)
  }
})
