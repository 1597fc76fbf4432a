/**
 * What map, filter, flatMap and assignTimestampsAndWatermarks hold: what goes through, whose failure it is, and that a
 * promise is never passed on as an element.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, MillraceError, SeededRandom, silentLogger, sleepOn, type Timer } from '../base/index.ts'
import {
  AccumulatorRegistry,
  ElementTime,
  MAX_WATERMARK,
  MetricRegistry,
  NO_OUTPUT,
  NO_TIMESTAMP,
  type Operator,
  type OperatorContext,
  type OperatorFactory,
  type Output,
  subtaskIndex,
  type WatermarkPlan,
} from '../core/index.ts'
import { assignTimestampsAndWatermarks } from './assign-timestamps-operator.ts'
import { filterOperator } from './filter-operator.ts'
import { flatMapOperator } from './flat-map-operator.ts'
import { mapOperator } from './map-operator.ts'

/** A clock that stands until it is advanced; timers fire in order of their time. */
class SteppedClock implements Clock {
  nowMs = 0
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>()

  now(): number {
    return this.nowMs
  }

  monotonic(): number {
    return this.nowMs
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { atMs: this.nowMs + delayMs, callback }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal)
  }

  async nextTurn(): Promise<void> {}

  get timers(): number {
    return this.#timers.size
  }

  advance(byMs: number): void {
    const until = this.nowMs + byMs
    for (;;) {
      const [due] = [...this.#timers].filter((timer) => timer.atMs <= until).sort((a, b) => a.atMs - b.atMs)
      if (due === undefined) break
      this.#timers.delete(due)
      this.nowMs = due.atMs
      due.callback()
    }
    this.nowMs = until
  }
}

type Seen = ['element', unknown, number] | ['watermark', number] | ['idle', boolean]

class Catch implements Output<unknown> {
  readonly seen: Seen[] = []
  readonly #time: ElementTime
  failWith: Error | undefined

  constructor(time: ElementTime) {
    this.#time = time
  }

  get values(): unknown[] {
    return this.seen.filter((entry) => entry[0] === 'element').map((entry) => entry[1])
  }

  emit(value: unknown): void {
    if (this.failWith !== undefined) throw this.failWith
    this.seen.push(['element', value, this.#time.timestamp])
  }

  emitWatermark(timestamp: number): void {
    this.seen.push(['watermark', timestamp])
  }

  emitIdle(idle: boolean): void {
    this.seen.push(['idle', idle])
  }
}

function open<In, Out>(
  factory: OperatorFactory<In, Out>,
): { operator: Operator<In>; output: Catch; clock: SteppedClock; time: ElementTime } {
  const clock = new SteppedClock()
  const time = new ElementTime()
  const context: OperatorContext = {
    jobName: 'job',
    operatorName: 'Price',
    uid: 'price-1',
    subtask: subtaskIndex(3),
    parallelism: 4,
    maxParallelism: 128,
    metrics: new MetricRegistry(),
    clock,
    random: new SeededRandom(1),
    network: { connect: () => Promise.reject(new Error('no network in this test')) },
    logger: silentLogger,
    time,
    restored: [],
    sideOutput: () => NO_OUTPUT,
    accumulators: new AccumulatorRegistry(),
    operatorList: () => assert.fail('no state here'),
  }
  const output = new Catch(time)
  return { operator: factory.create(context, output), output, clock, time }
}

function emitAll<T>(operator: Operator<T>, values: readonly T[]): void {
  for (const value of values) operator.emit(value)
}

const named = (code: string) => (error: unknown) =>
  MillraceError.is(error) && error.code === code && /operator "Price" \(uid price-1, subtask 3\)/.test(error.message)

test('map passes on what the function answers, with the timestamp of the element it came from', () => {
  const { operator, output, time } = open(mapOperator((value: number) => value * 2))
  time.timestamp = 1_700_000_000_000
  operator.emit(4)
  operator.emitWatermark(7)
  operator.emitIdle(true)
  assert.deepEqual(output.seen, [
    ['element', 8, 1_700_000_000_000],
    ['watermark', 7],
    ['idle', true],
  ])
})

test('filter passes on exactly the elements for which the function answers yes', () => {
  const { operator, output } = open(filterOperator((value: number) => value % 2 === 0))
  emitAll(operator, [1, 2, 3, 4])
  assert.deepEqual(output.values, [2, 4])
})

test('flatMap passes on what is collected and what is returned, in that order, and nothing else', () => {
  const { operator, output } = open(
    flatMapOperator<string, string>((line, out) => {
      if (line === '') return undefined
      out.collect(line.toUpperCase())
      return line.split(' ')
    }),
  )
  emitAll(operator, ['a b', '', 'c'])
  assert.deepEqual(output.values, ['A B', 'a', 'b', 'C', 'c'])
})

test('a function object is opened with the context before elements, called as a method, and closed', async () => {
  const calls: string[] = []
  const rich = {
    factor: 0,
    async open(context: { readonly uid: string }) {
      calls.push(`open ${context.uid}`)
      this.factor = 10
    },
    map(value: number) {
      return value * this.factor
    },
    close() {
      calls.push('close')
    },
  }
  const { operator, output } = open(mapOperator<number, number>(rich))
  await operator.open?.()
  operator.emit(5)
  await operator.close?.({ abandon: false })
  assert.deepEqual(output.values, [50])
  assert.deepEqual(calls, ['open price-1', 'close'])
})

test('a function that throws fails the task with the operator named and the cause kept', () => {
  const cause = new TypeError('amount is undefined')
  const fail = (): never => {
    throw cause
  }
  for (const factory of [mapOperator(fail), filterOperator(fail), flatMapOperator(fail)]) {
    const { operator, output } = open<unknown, unknown>(factory as OperatorFactory<unknown, unknown>)
    assert.throws(
      () => operator.emit(1),
      (error) =>
        named('USER_FUNCTION_FAILED')(error) &&
        (error as Error).cause === cause &&
        /amount is undefined/.test((error as Error).message),
    )
    assert.deepEqual(output.seen, [])
  }
})

test('an open that rejects names the operator too', async () => {
  const { operator } = open(
    filterOperator<number>({ open: () => Promise.reject(new Error('no rules')), filter: () => true }),
  )
  await assert.rejects(async () => operator.open?.(), named('USER_FUNCTION_FAILED'))
})

test('a failure further down the chain passes through unwrapped', () => {
  const failure = new Error('the disk is full')
  const factories = [
    mapOperator((value: number) => value),
    filterOperator(() => true),
    flatMapOperator((value: number) => [value]),
    flatMapOperator((value: number, out) => out.collect(value)),
  ]
  for (const factory of factories) {
    const { operator, output } = open<number, number>(factory as OperatorFactory<number, number>)
    output.failWith = failure
    assert.throws(
      () => operator.emit(1),
      (error) => error === failure,
    )
  }
})

test('a flatMap that catches what collect threw does not hide the failure', () => {
  const failure = new Error('the disk is full')
  const { operator, output } = open(
    flatMapOperator<number, number>((value, out) => {
      try {
        out.collect(value)
      } catch {
        // Catching everything is what some users do.
      }
    }),
  )
  output.failWith = failure
  assert.throws(
    () => operator.emit(1),
    (error) => error === failure,
  )
})

test('a promise is refused naming the operator and asyncMap, and is not passed on', () => {
  const later = (async () => true) as () => never
  for (const factory of [mapOperator(later), filterOperator(later), flatMapOperator(later)]) {
    const { operator, output } = open<unknown, unknown>(factory as OperatorFactory<unknown, unknown>)
    assert.throws(
      () => operator.emit(1),
      (error) => named('USER_FUNCTION_ASYNC')(error) && /asyncMap/.test((error as Error).message),
    )
    assert.deepEqual(output.seen, [])
  }
})

test('the rejection of a refused promise does not end the process', async () => {
  const later = (() => Promise.reject(new Error('late'))) as () => never
  const { operator } = open(mapOperator(later))
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => {
    unhandled.push(reason)
  }
  process.on('unhandledRejection', note)
  assert.throws(() => operator.emit(1), named('USER_FUNCTION_ASYNC'))
  await new Promise((resolve) => setTimeout(resolve, 5))
  process.off('unhandledRejection', note)
  assert.deepEqual(unhandled, [])
})

test('an object with a field named then is an element like any other', () => {
  const value = JSON.parse('{"then":1}') as object
  const { operator, output } = open(mapOperator(() => value))
  operator.emit(1)
  assert.deepEqual(output.values, [value])
})

test('collecting after flatMap has returned is refused and fails the next element', () => {
  let kept: { collect(value: number): void } | undefined
  const { operator, output } = open(
    flatMapOperator<number, number>((_value, out) => {
      kept = out
    }),
  )
  operator.emit(1)
  assert.throws(() => kept?.collect(2), named('USER_FUNCTION_ASYNC'))
  assert.throws(() => operator.emit(3), named('USER_FUNCTION_ASYNC'))
  assert.deepEqual(output.values, [])
})

const noPlan = {
  createGenerator: undefined,
  timestampAssigner: undefined,
  idleTimeoutMs: undefined,
  alignment: undefined,
}

/** Watermarks one below the highest timestamp seen. */
function risingPlan(parts: Partial<WatermarkPlan<{ at: number }>> = {}): WatermarkPlan<{ at: number }> {
  return {
    ...noPlan,
    timestampAssigner: (value) => value.at,
    createGenerator: () => {
      let highest = NO_TIMESTAMP
      return {
        onEvent: (_value, timestamp) => {
          highest = Math.max(highest, timestamp)
        },
        onPeriodicEmit: (output) => output.emitWatermark(highest - 1),
      }
    },
    ...parts,
  }
}

const every200 = { watermarkIntervalMs: 200 }

test('elements get the assigned timestamp for what follows, and the old one is back afterwards', () => {
  const { operator, output, time } = open(assignTimestampsAndWatermarks(risingPlan(), every200))
  time.timestamp = 5
  operator.emit({ at: 70 })
  assert.deepEqual(output.seen, [['element', { at: 70 }, 70]])
  assert.equal(time.timestamp, 5)
})

test('watermarks come at the interval, only rise, and those from before end here', async () => {
  const { operator, output, clock } = open(assignTimestampsAndWatermarks(risingPlan(), every200))
  await operator.open?.()
  clock.advance(200)
  operator.emit({ at: 70 })
  operator.emitWatermark(1_000_000)
  operator.emitIdle(true)
  clock.advance(200)
  operator.emit({ at: 50 })
  clock.advance(400)
  operator.emit({ at: 90 })
  await operator.finish?.()
  operator.emitWatermark(MAX_WATERMARK)
  await operator.close?.({ abandon: false })
  assert.deepEqual(
    output.seen.filter((entry) => entry[0] !== 'element'),
    [
      ['watermark', 69],
      ['watermark', 89],
      ['watermark', MAX_WATERMARK],
    ],
  )
  assert.equal(clock.timers, 0)
})

test('no element for the idle timeout marks the stream idle, the next one active again', async () => {
  const { operator, output, clock } = open(
    assignTimestampsAndWatermarks(risingPlan({ idleTimeoutMs: 1_000 }), every200),
  )
  await operator.open?.()
  operator.emit({ at: 70 })
  clock.advance(1_100)
  assert.deepEqual(output.seen.slice(1), [['watermark', 69]])
  clock.advance(200)
  operator.emit({ at: 80 })
  assert.deepEqual(output.seen.slice(2), [
    ['idle', true],
    ['idle', false],
    ['element', { at: 80 }, 80],
  ])
  await operator.close?.({ abandon: false })
})

test('an assigner that answers with anything but a number fails the task', () => {
  for (const wrong of [Number.NaN, undefined, '12', 12n]) {
    const plan = risingPlan({ timestampAssigner: () => wrong as number })
    const { operator } = open(assignTimestampsAndWatermarks(plan, every200))
    assert.throws(() => operator.emit({ at: 1 }), named('USER_FUNCTION_FAILED'))
  }
})

test('a generator that throws in its periodic call fails the task with the next call', async () => {
  const plan = risingPlan({
    createGenerator: () => ({
      onEvent: () => undefined,
      onPeriodicEmit: () => {
        throw new Error('no idea')
      },
    }),
  })
  const { operator, clock } = open(assignTimestampsAndWatermarks(plan, every200))
  await operator.open?.()
  clock.advance(200)
  assert.throws(() => operator.emit({ at: 1 }), named('USER_FUNCTION_FAILED'))
  assert.equal(clock.timers, 0)
})
