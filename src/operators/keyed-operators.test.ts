/** Steps behind keyBy: state, lists and timers of the key, the ready-made reductions, and what goes wrong in functions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import {
  type Collector,
  IntCounter,
  type KeyedProcessContext,
  type KeyedProcessFunction,
  type KeyedProcessFunctionContext,
  type ListState,
  ListStateDescriptor,
  type OnTimerContext,
  OutputTag,
  type ValueState,
  ValueStateDescriptor,
} from '../core/index.ts'
import type { DataStream } from '../stream/index.ts'
import { OneInputOperatorHarness, SimulatedClock } from '../testing/index.ts'
import { keyedProcessOperator } from './keyed-process-operator.ts'

interface Order {
  readonly user: string
  readonly amount: number
}

const late = new OutputTag<string>('late')

/** Counts a user's orders; tells of users who were quiet for a second, and of the total at a given event time. */
class Count implements KeyedProcessFunction<string, Order, string> {
  #count: ValueState<number> | undefined
  #quietAt: ValueState<number> | undefined
  #amounts: ListState<number> | undefined
  #seen: ListState<string> | undefined
  readonly #orders = new IntCounter()

  open(context: KeyedProcessFunctionContext): void {
    this.#count = context.getState(new ValueStateDescriptor<number>('count'))
    this.#quietAt = context.getState(new ValueStateDescriptor<number>('quiet-at'))
    this.#amounts = context.getListState(new ListStateDescriptor<number>('amounts'))
    this.#seen = context.getOperatorListState(new ListStateDescriptor<string>('seen'))
    context.addAccumulator('orders', this.#orders)
  }

  processElement(order: Order, context: KeyedProcessContext<string>, out: Collector<string>): void {
    const count = (this.#count?.value() ?? 0) + 1
    this.#count?.update(count)
    this.#amounts?.add(order.amount)
    this.#orders.add(1)
    if (count === 1) this.#seen?.add(order.user)
    const timers = context.timerService()
    const before = this.#quietAt?.value()
    if (before !== undefined) timers.deleteProcessingTimeTimer(before)
    const quietAt = timers.currentProcessingTime() + 1_000
    this.#quietAt?.update(quietAt)
    timers.registerProcessingTimeTimer(quietAt)
    timers.registerEventTimeTimer(500)
    if ((context.timestamp() ?? 0) > 500) context.output(late, order.user)
    out.collect(`${context.getCurrentKey()} ${count} of ${this.#seen?.get().length}`)
  }

  onTimer(timestamp: number, context: OnTimerContext<string>, out: Collector<string>): void {
    const amounts = this.#amounts?.get() ?? []
    const what = context.timeDomain() === 'event' ? amounts.join('+') : 'quiet'
    out.collect(`${context.getCurrentKey()} ${what} at ${timestamp}`)
  }
}

const countingOrders = (orders: DataStream<Order>): DataStream<string> =>
  orders.keyBy((order) => order.user).process(new Count())

test('state, lists and timers belong to the key of the element, and go with a snapshot', async () => {
  const first = await OneInputOperatorHarness.open(countingOrders, { clock: new SimulatedClock(0) })
  first.push({ user: 'a', amount: 1 }, 100)
  first.push({ user: 'b', amount: 2 })
  first.advance(400)
  first.push({ user: 'a', amount: 3 }, 600)
  const snapshot = await first.snapshot()
  first.advance(1_000)
  first.pushWatermark(499)
  first.pushWatermark(500)
  assert.deepEqual(first.output, [
    'a 1 of 1',
    'b 1 of 2',
    'a 2 of 2',
    'b quiet at 1000',
    'a quiet at 1400',
    'a 1+3 at 500',
    'b 2 at 500',
  ])
  assert.deepEqual(first.events.slice(3, 8), [
    { kind: 'element', value: 'b quiet at 1000', timestamp: undefined },
    { kind: 'element', value: 'a quiet at 1400', timestamp: undefined },
    { kind: 'watermark', timestamp: 499 },
    { kind: 'element', value: 'a 1+3 at 500', timestamp: 500 },
    { kind: 'element', value: 'b 2 at 500', timestamp: 500 },
  ])
  assert.deepEqual(first.sideOutput(late), ['a'])
  assert.deepEqual(first.accumulators, { orders: 3 })
  await first.close()
  assert.equal(first.clock.pendingTimers, 0)

  const second = await OneInputOperatorHarness.open(countingOrders, {
    clock: new SimulatedClock(0),
    restored: snapshot,
  })
  second.push({ user: 'a', amount: 5 })
  second.push({ user: 'c', amount: 1 })
  second.pushWatermark(Number.POSITIVE_INFINITY)
  assert.deepEqual(second.output.slice(0, 2), ['a 3 of 2', 'c 1 of 3'])
  assert.deepEqual(second.output.slice(2).sort(), ['a 1+3+5 at 500', 'b 2 at 500', 'c 1 at 500'])
  await second.close()
})

test('reduce, sum, min and max keep one element for each key and leave the elements alone', async () => {
  const orders = [
    { user: 'a', amount: 5 },
    { user: 'b', amount: 1 },
    { user: 'a', amount: 2 },
    { user: 'a', amount: 7 },
  ].map((order) => Object.freeze(order))
  const amounts = async (steps: (input: DataStream<Order>) => DataStream<Order>): Promise<string[]> => {
    const harness = await OneInputOperatorHarness.open(steps)
    for (const order of orders) harness.push(order)
    await harness.close()
    return harness.output.map(({ user, amount }) => user + amount)
  }
  const byUser = (input: DataStream<Order>) => input.keyBy((order) => order.user)
  assert.deepEqual(await amounts((input) => byUser(input).sum('amount')), ['a5', 'b1', 'a7', 'a14'])
  assert.deepEqual(await amounts((input) => byUser(input).min('amount')), ['a5', 'b1', 'a2', 'a2'])
  assert.deepEqual(await amounts((input) => byUser(input).max('amount')), ['a5', 'b1', 'a5', 'a7'])
  const last = (_left: Order, right: Order): Order => right
  assert.deepEqual(await amounts((input) => byUser(input).reduce(last)), ['a5', 'b1', 'a2', 'a7'])
})

const failure = (code: string, pattern: RegExp) => (error: unknown) =>
  MillraceError.is(error) && error.code === code && pattern.test(error.message)

test('functions that wait, throw, or answer no key fail the element, naming the step', async () => {
  const waiting = await OneInputOperatorHarness.open<Order, Order>((input) =>
    input.keyBy((order) => order.user).reduce((async (left: Order) => left) as never),
  )
  waiting.push({ user: 'a', amount: 1 })
  assert.throws(
    () => waiting.push({ user: 'a', amount: 1 }),
    failure('USER_FUNCTION_ASYNC', /reduce of operator "Keyed Reduce".*asyncMap/),
  )
  const timer = {
    processElement: (_order: Order, context: KeyedProcessContext<string>) =>
      context.timerService().registerEventTimeTimer(1),
    onTimer: (async () => undefined) as never,
  }
  const late = await OneInputOperatorHarness.open<Order, never>((input) =>
    input.keyBy((order) => order.user).process(timer),
  )
  late.push({ user: 'a', amount: 1 })
  assert.throws(() => late.pushWatermark(1), failure('USER_FUNCTION_ASYNC', /onTimer/))
  const keyless = await OneInputOperatorHarness.open<Order, Order>((input) =>
    input.keyBy((order) => order as never).max('amount'),
  )
  assert.throws(() => keyless.push({ user: 'a', amount: 1 }), failure('USER_FUNCTION_FAILED', /keyBy answered object/))
  const throwing = await OneInputOperatorHarness.open<Order, Order>((input) =>
    input.process<Order>(() => {
      throw new Error('no')
    }),
  )
  assert.throws(
    () => throwing.push({ user: 'a', amount: 1 }),
    failure('USER_FUNCTION_FAILED', /process of operator "Process"/),
  )
})

test('one function object serves several subtasks of a thread, each with its own state', async () => {
  const fn = new Count()
  const operator = keyedProcessOperator(fn)
  const keyOf = (order: Order): string => order.user
  const left = await OneInputOperatorHarness.openOperator(operator, { keyOf })
  const right = await OneInputOperatorHarness.openOperator(operator, { keyOf })
  for (const harness of [left, left, right, left, right]) harness.push({ user: 'a', amount: 1 })
  assert.deepEqual(
    [left.output, right.output],
    [
      ['a 1 of 1', 'a 2 of 1', 'a 3 of 1'],
      ['a 1 of 1', 'a 2 of 1'],
    ],
  )
})
