/** Watermarks per split, combined to the minimum of those that are not idle. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Counter,
  ElementTime,
  MAX_WATERMARK,
  type SplitOutput,
  type WatermarkGenerator,
  type WatermarkPlan,
} from '../../core/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import { SourceOutput } from './source-output.ts'

const NO_PLAN: WatermarkPlan<unknown> = {
  createGenerator: undefined,
  timestampAssigner: undefined,
  idleTimeoutMs: undefined,
  alignment: undefined,
}

/** A watermark one below the highest timestamp, with each element. */
const punctual = (): WatermarkGenerator<unknown> => ({
  onEvent: (_value, timestamp, output) => output.emitWatermark(timestamp - 1),
  onPeriodicEmit: () => undefined,
})

interface Setup {
  readonly output: SourceOutput
  readonly seen: string[]
  readonly clock: SimulatedClock
  readonly records: Counter
  readonly head: { blocked: boolean }
  element(split: SplitOutput<unknown>, timestamp: number): void
}

function setup(plan: Partial<WatermarkPlan<unknown>> = {}): Setup {
  const seen: string[] = []
  const time = new ElementTime()
  const head = {
    blocked: false,
    first: {
      emit: (value: unknown) => void seen.push(`${value}@${time.timestamp}`),
      emitWatermark: (timestamp: number) => void seen.push(`w${timestamp}`),
      emitIdle: (idle: boolean) => void seen.push(idle ? 'idle' : 'active'),
    },
  }
  const clock = new SimulatedClock()
  const records = new Counter()
  const output = new SourceOutput({ head, plan: { ...NO_PLAN, ...plan }, time, records, clock })
  const element = (split: SplitOutput<unknown>, timestamp: number): void => {
    time.timestamp = timestamp
    split.emit('e')
  }
  return { output, seen, clock, records, head, element }
}

test('without a strategy elements pass with their time, are counted, and no watermark is made', () => {
  const { output, seen, records, head, element } = setup()
  const split = output.forSplit('a')
  element(split, 5)
  split.emitWatermark(9)
  split.emitIdle(true)
  output.onPeriodicEmit()
  assert.deepEqual(seen, ['e@5'])
  assert.equal(records.value, 1)
  assert.equal(output.forSplit('a'), split, 'a split keeps its output')
  head.blocked = true
  assert.equal(split.blocked, true)
})

test('the watermark is the lowest of all splits, and never goes back', () => {
  const { output, seen, element } = setup({ createGenerator: punctual })
  const [a, b] = [output.forSplit('a'), output.forSplit('b')]
  element(a, 100)
  assert.deepEqual(seen, ['e@100'], 'b has said nothing yet')
  element(b, 50)
  element(a, 200)
  element(b, 40)
  element(b, 150)
  assert.deepEqual(
    seen.filter((one) => one.startsWith('w')),
    ['w49', 'w149'],
  )
})

test('an element goes out before the watermark that it makes', () => {
  const { output, seen, element } = setup({ createGenerator: punctual })
  element(output.forSplit('a'), 10)
  assert.deepEqual(seen, ['e@10', 'w9'])
})

test('the assigned timestamp is what the chain and the generator see', () => {
  const { output, seen, element } = setup({
    createGenerator: punctual,
    timestampAssigner: (_value, given) => given + 1_000,
  })
  element(output.forSplit('a'), 7)
  assert.deepEqual(seen, ['e@1007', 'w1006'])
})

test('a split that is quiet for the idle time holds the watermark back no longer, until its next element', () => {
  const { output, seen, clock, element } = setup({ createGenerator: punctual, idleTimeoutMs: 1_000 })
  const [a, b] = [output.forSplit('a'), output.forSplit('b')]
  element(a, 100)
  element(b, 10)
  output.onPeriodicEmit()
  clock.advance(999)
  element(a, 300)
  output.onPeriodicEmit()
  assert.deepEqual(seen.slice(-1), ['e@300'])
  clock.advance(1)
  output.onPeriodicEmit()
  assert.deepEqual(seen.slice(-1), ['w299'], 'b is idle, a is not')
  element(b, 50)
  element(a, 400)
  assert.deepEqual(seen.slice(-2), ['e@50', 'e@400'], 'b holds it back again, and it does not go back')
  element(b, 350)
  assert.equal(seen.at(-1), 'w349')
})

test('when every split is idle the chain is told so, once, and once when one wakes', () => {
  const { output, seen, clock, element } = setup({ createGenerator: punctual, idleTimeoutMs: 100 })
  const [a, b] = [output.forSplit('a'), output.forSplit('b')]
  element(a, 5)
  element(b, 5)
  for (const _ of [1, 2, 3]) {
    clock.advance(100)
    output.onPeriodicEmit()
  }
  assert.deepEqual(
    seen.filter((one) => one === 'idle' || one === 'active'),
    ['idle'],
  )
  element(a, 6)
  element(a, 7)
  assert.deepEqual(
    seen.filter((one) => one === 'idle' || one === 'active'),
    ['idle', 'active'],
  )
})

test('a split that is released holds the watermark back no longer; the last one leaves it as it is', () => {
  const { output, seen, element } = setup({ createGenerator: punctual })
  const [a, b] = [output.forSplit('a'), output.forSplit('b')]
  element(a, 100)
  element(b, 10)
  output.releaseSplit('b')
  assert.equal(seen.at(-1), 'w99')
  output.releaseSplit('a')
  assert.equal(seen.at(-1), 'w99')
  output.end()
  assert.equal(seen.at(-1), `w${MAX_WATERMARK}`)
})

test('periodic generators are asked at each interval, one a split', () => {
  let made = 0
  const createGenerator = (): WatermarkGenerator<unknown> => {
    let highest = Number.NEGATIVE_INFINITY
    made++
    return {
      onEvent: (_value, timestamp) => {
        highest = Math.max(highest, timestamp)
      },
      onPeriodicEmit: (output) => output.emitWatermark(highest),
    }
  }
  const { output, seen, element } = setup({ createGenerator })
  const [a, b] = [output.forSplit('a'), output.forSplit('b')]
  element(a, 3)
  element(b, 8)
  assert.deepEqual(seen, ['e@3', 'e@8'])
  output.onPeriodicEmit()
  assert.deepEqual([seen.at(-1), made], ['w3', 2])
})
