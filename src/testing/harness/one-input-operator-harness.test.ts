/** Steps of a stream in the hands of a test: elements, event time, timers, state and failures. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import type { OperatorFactory } from '../../core/index.ts'
import { WatermarkStrategy } from '../../stream/index.ts'
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
