/** Accumulators of several subtasks as one result. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import {
  type Accumulator,
  AccumulatorRegistry,
  AverageAccumulator,
  accumulatorResult,
  Histogram,
  IntCounter,
  ListAccumulator,
  Maximum,
  Minimum,
  mergedAccumulators,
} from './accumulator.ts'

function subtask(accumulators: Readonly<Record<string, Accumulator<never>>>): AccumulatorRegistry {
  const registry = new AccumulatorRegistry()
  for (const [name, accumulator] of Object.entries(accumulators)) registry.add(name, accumulator)
  return registry
}

function filled<T, A extends Accumulator<T>>(accumulator: A, ...values: readonly T[]): A {
  for (const value of values) accumulator.add(value)
  return accumulator
}

test('accumulators of all subtasks make one result each, by the rule of their kind', () => {
  const of = (...values: number[]): AccumulatorRegistry =>
    subtask({
      sum: filled(new IntCounter(), ...values),
      min: filled(new Minimum(), ...values),
      max: filled(new Maximum(), ...values),
      mean: filled(new AverageAccumulator(), ...values),
      all: filled(new ListAccumulator<number>(), ...values),
      often: filled(new Histogram(), ...values),
    })
  const results = [...mergedAccumulators([of(1, 2), of(), of(2, 7)])].map(([name, value]) => [
    name,
    accumulatorResult(value),
  ])
  assert.deepEqual(Object.fromEntries(results), {
    sum: 12,
    min: 1,
    max: 7,
    mean: 3,
    all: [1, 2, 2, 7],
    often: new Map([
      [1, 1],
      [2, 2],
      [7, 1],
    ]),
  })
})

test('one object that several subtasks of a thread added counts once', () => {
  const shared = filled(new IntCounter(), 5)
  const merged = mergedAccumulators([subtask({ n: shared }), subtask({ n: shared })])
  assert.deepEqual([...merged], [['n', { kind: 'sum', sum: 5 }]])
})

test('a name used twice in a function is refused, and two kinds of one name are kept apart', () => {
  const refused = (error: unknown): boolean => MillraceError.is(error) && error.code === 'OPTION_INVALID'
  const registry = subtask({ n: new IntCounter() })
  assert.throws(() => registry.add('n', new IntCounter()), refused)
  assert.deepEqual(
    [...mergedAccumulators([registry, subtask({ n: filled(new Maximum(), 3) })])],
    [
      ['n', { kind: 'sum', sum: 0 }],
      ['n (maximum)', { kind: 'maximum', extreme: 3 }],
    ],
  )
})
