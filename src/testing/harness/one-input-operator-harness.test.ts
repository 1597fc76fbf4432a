/** Steps of a stream in the hands of a test: elements, event time, timers, state and failures. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { type OperatorFactory, OutputTag } from '../../core/index.ts'

import { type DataStream, WatermarkStrategy } from '../../stream/index.ts'
import { SimulatedClock } from '../simulated-clock.ts'
import { OneInputOperatorHarness } from './one-input-operator-harness.ts'

test('elements go through all steps in order, with their timestamps, and functions are opened and closed', async () => {
  const journal: string[] = []
  const doubling = {
    open: () => void journal.push('open'),
    map: (value: number) => value * 2,
    close: () => void journal.push('close'),
  }
  const harness = await OneInputOperatorHarness.open<number, string>((input) =>
    input
      .map(doubling)
      .filter((value) => value > 2)
      .flatMap((value) => [`${value}`, `${value + 1}`]),
  )
  assert.deepEqual(journal, ['open'])
  harness.push(1)
  harness.push(2, 70)
  harness.pushWatermark(60)
  harness.push(3)
  assert.deepEqual(harness.output, ['4', '5', '6', '7'])
  assert.deepEqual(harness.events.slice(1, 4), [
    { kind: 'element', value: '5', timestamp: 70 },
    { kind: 'watermark', timestamp: 60 },
    { kind: 'element', value: '6', timestamp: undefined },
  ])
  await harness.close()
  await harness.close()
  assert.deepEqual(journal, ['open', 'close'])
  assert.throws(() => harness.push(1), /closed/)
})

test('watermarks come as time passes, and idleness', async () => {
  const strategy = WatermarkStrategy.forBoundedOutOfOrderness<{ at: number }>(10)
    .withTimestampAssigner((value) => value.at)
    .withIdleness(1_000)
  const harness = await OneInputOperatorHarness.open<{ at: number }, { at: number }>((input) =>
    input.assignTimestampsAndWatermarks(strategy),
  )
  harness.push({ at: 100 })
  assert.deepEqual(harness.watermarks, [])
  harness.advance(200)
  assert.deepEqual(harness.watermarks, [89])
  harness.advance(2_000)
  assert.deepEqual(harness.events.at(-1), { kind: 'idle', idle: true })
  await harness.finish()
  await harness.close()
  assert.equal(harness.clock.pendingTimers, 0)
})

test('what a function throws comes out of push, with the step that failed', async () => {
  const harness = await OneInputOperatorHarness.open<number, number>((input) =>
    input
      .map((value) => {
        if (value === 2) throw new Error('two')
        return value
      })
      .name('Careful'),
  )
  harness.push(1)
  assert.throws(
    () => harness.push(2),
    (error) => MillraceError.is(error) && error.code === 'USER_FUNCTION_FAILED' && /Careful/.test(error.message),
  )
})

/** Counts, with its count as state. */
const counting: OperatorFactory<string, string> = {
  create: (context, output) => {
    const [stored] = context.restored
    let count = stored === undefined ? 0 : Buffer.from(stored.bytes).readUInt8(0)
    return {
      emit: (value) => output.emit(`${value}${++count}`),
      emitWatermark: (timestamp) => output.emitWatermark(timestamp),
      emitIdle: (idle) => output.emitIdle(idle),
      snapshot: () => Promise.resolve({ version: 1, bytes: Buffer.from([count]) }),
    }
  },
}

test('a snapshot is of its moment, and another harness begins with it', async () => {
  const first = await OneInputOperatorHarness.openOperator(counting)
  first.push('a')
  const taking = first.snapshot()
  first.push('b')
  const second = await OneInputOperatorHarness.openOperator(counting, { restored: await taking })
  second.push('c')
  assert.deepEqual([first.output, second.output], [['a1', 'b2'], ['c2']])
})

interface Payment {
  readonly user: string
  readonly amount: number
}

const totals = (payments: DataStream<Payment>): DataStream<Payment> =>
  payments
    .filter(({ amount }) => amount > 0)
    .keyBy(({ user }) => user)
    .reduce((total, { user, amount }) => ({ user, amount: total.amount + amount }))

test('steps behind keyBy have the state of their key, and another harness goes on with it', async () => {
  const first = await OneInputOperatorHarness.open(totals)
  first.push({ user: 'a', amount: 1 })
  first.push({ user: 'b', amount: 5 })
  first.push({ user: 'a', amount: 2 })
  assert.deepEqual(
    first.output.map(({ user, amount }) => `${user}${amount}`),
    ['a1', 'b5', 'a3'],
  )
  const taking = first.snapshot()
  first.push({ user: 'a', amount: 100 })
  const second = await OneInputOperatorHarness.open(totals, { restored: await taking })
  second.push({ user: 'a', amount: 10 })
  assert.deepEqual(second.output, [{ user: 'a', amount: 13 }])
  await first.close()
  await second.close()
})

const LATE = new OutputTag<string>('late')

/** Says after 100 ms of event time what came, and after 1,000 ms of the clock that the key was silent. */
const watching = (names: DataStream<string>): DataStream<string> =>
  names
    .keyBy((name) => name)
    .process({
      processElement(name, context, out) {
        const timestamp = context.timestamp()
        if (timestamp === undefined) return context.output(LATE, name)
        const timers = context.timerService()
        timers.registerEventTimeTimer(timestamp + 100)
        timers.registerProcessingTimeTimer(timers.currentProcessingTime() + 1_000)
        out.collect(name)
      },
      onTimer(_, context, out) {
        out.collect(`${context.timeDomain()} of ${context.getCurrentKey()}`)
      },
    })

test('timers of both kinds fire as watermarks and the clock come to them, also those that were restored', async () => {
  const first = await OneInputOperatorHarness.open(watching)
  first.push('a', 1_000)
  first.push('b', 1_050)
  first.push('c')
  first.pushWatermark(1_100)
  assert.deepEqual(first.output, ['a', 'b', 'event of a'])
  assert.deepEqual(first.events.at(-1), { kind: 'watermark', timestamp: 1_100 }, 'timers come before the watermark')
  assert.deepEqual(first.sideOutput(LATE), ['c'])
  const clock = new SimulatedClock()
  const second = await OneInputOperatorHarness.open(watching, { clock, restored: await first.snapshot() })
  await first.close()
  assert.equal(first.clock.pendingTimers, 0)
  second.advance(999)
  assert.deepEqual(second.output, [])
  second.advance(1)
  assert.deepEqual(second.output.toSorted(), ['processing of a', 'processing of b'])
  second.pushWatermark(2_000)
  assert.equal(second.output.at(-1), 'event of b')
  await second.close()
})
