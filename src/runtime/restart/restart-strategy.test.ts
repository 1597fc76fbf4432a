/** Whether and when a failed job goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError, SeededRandom } from '../../base/index.ts'
import { Configuration } from '../../core/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import { backoffOf, longestPauseMs, RestartStrategy } from './restart-strategy.ts'

const BROKEN = new Error('broken')

function strategy(
  settings: Readonly<Record<string, string | number>> = {},
  checkpointing = true,
): [RestartStrategy, SimulatedClock] {
  const clock = new SimulatedClock()
  const configuration = new Configuration(settings)
  return [new RestartStrategy(backoffOf(configuration, checkpointing, clock, new SeededRandom(1))), clock]
}

const exponential = (settings: Readonly<Record<string, string | number>> = {}): [RestartStrategy, SimulatedClock] =>
  strategy({
    'restart-strategy.type': 'exponential-delay',
    'restart-strategy.exponential-delay.jitter-factor': 0,
    ...settings,
  })

/** Fails, waits the pause out and runs for `ranMs`, again and again. */
function pauses([restarts, clock]: [RestartStrategy, SimulatedClock], count: number, ranMs = 1): unknown[] {
  return Array.from({ length: count }, () => {
    const pauseMs = restarts.onFailure(BROKEN, true)
    clock.advance((pauseMs ?? 0) + ranMs)
    return pauseMs
  })
}

test('nothing configured: with checkpoints the pause grows from a second to a minute, for ever, give or take a tenth', () => {
  const found = pauses(strategy(), 40) as number[]
  let wanted = 1_000
  for (const [index, pauseMs] of found.entries()) {
    const least = Math.max(1_000, wanted * 0.9)
    assert.ok(pauseMs >= least - 1 && pauseMs <= Math.min(60_000, wanted * 1.1) + 1, `pause ${index}: ${pauseMs}`)
    wanted = Math.min(60_000, wanted * 1.5)
  }
  assert.ok(
    found.some((pauseMs, index) => index > 15 && pauseMs !== 60_000),
    'the jitter is there',
  )
})

test('nothing configured and no checkpoints: none, because a restart would repeat what was written', () => {
  assert.deepEqual(pauses(strategy({}, false), 1), [undefined])
  assert.deepEqual(pauses(strategy({ 'restart-strategy.fixed-delay.attempts': 9 }, false), 1), [undefined])
  assert.deepEqual(pauses(strategy({ 'restart-strategy.type': 'fixed-delay' }, false), 2), [1_000, undefined])
})

test('exponential-delay: the pause grows by the factor up to its bound', () => {
  const settings = {
    'restart-strategy.exponential-delay.initial-backoff': '10 ms',
    'restart-strategy.exponential-delay.backoff-multiplier': 2,
    'restart-strategy.exponential-delay.max-backoff': '70 ms',
  }
  assert.deepEqual(pauses(exponential(settings), 5), [10, 20, 40, 70, 70])
})

test('exponential-delay: running for the threshold since the restart begins it anew, a failure before does not', () => {
  const [restarts, clock] = exponential()
  assert.deepEqual(pauses([restarts, clock], 2, 3_600_000 - 1), [1_000, 1_500])
  clock.advance(1)
  assert.deepEqual(pauses([restarts, clock], 1), [1_000])
  assert.equal(restarts.restarts, 3)
})

test('exponential-delay: attempts are counted until the threshold begins them anew', () => {
  const settings = { 'restart-strategy.exponential-delay.attempts-before-reset-backoff': 2 }
  const [restarts, clock] = exponential(settings)
  assert.deepEqual(pauses([restarts, clock], 2), [1_000, 1_500])
  clock.advance(3_600_000)
  assert.deepEqual(pauses([restarts, clock], 3), [1_000, 1_500, undefined])
})

test('exponential-delay: a first pause above the longest is refused by name', () => {
  const settings = { 'restart-strategy.exponential-delay.initial-backoff': '2 min' }
  assert.throws(() => exponential(settings), /initial-backoff: 120000 ms is more than the max-backoff of 60000 ms/)
})

test('failure-rate: as many failures as allowed within the interval, and one more is too many', () => {
  const settings = {
    'restart-strategy.type': 'failure-rate',
    'restart-strategy.failure-rate.max-failures-per-interval': 2,
    'restart-strategy.failure-rate.failure-rate-interval': '10 s',
    'restart-strategy.failure-rate.delay': '3 s',
  }
  assert.deepEqual(pauses(strategy(settings), 3), [3_000, 3_000, undefined])
  assert.deepEqual(pauses(strategy(settings), 5, 3_000), [3_000, 3_000, 3_000, 3_000, 3_000])
  assert.deepEqual(pauses(strategy({ 'restart-strategy.type': 'failure-rate' }), 2), [1_000, undefined])
})

test('fixed-delay: as many attempts as configured, for ever counted', () => {
  const [restarts, clock] = strategy({
    'restart-strategy.type': 'fixed-delay',
    'restart-strategy.fixed-delay.attempts': 2,
    'restart-strategy.fixed-delay.delay': '5 s',
  })
  assert.equal(restarts.onFailure(BROKEN, true), 5_000)
  clock.advance(86_400_000)
  assert.equal(restarts.onFailure(BROKEN, true), 5_000)
  assert.equal(restarts.onFailure(BROKEN, true), undefined)
  assert.equal(restarts.restarts, 2)
})

test('none: never', () => {
  assert.deepEqual(pauses(strategy({ 'restart-strategy.type': 'none' }), 1), [undefined])
})

test('the longest pause of each strategy is known, for how long transactions must last', () => {
  const longest = (type?: string): number =>
    longestPauseMs(new Configuration(type === undefined ? {} : { 'restart-strategy.type': type }), true)
  assert.deepEqual([undefined, 'none', 'fixed-delay', 'failure-rate'].map(longest), [60_000, 0, 1_000, 1_000])
})

test('what no repetition can change fails at once; being away for a while is repeated', () => {
  for (const code of ['SUPERSEDED', 'LOG_DAMAGED', 'TASKS_LINGER', 'COMMIT_UNRESOLVED', 'OPTION_INVALID'] as const) {
    const [restarts] = exponential()
    assert.equal(restarts.onFailure(new MillraceError(code, ''), true), undefined, code)
  }
  for (const code of ['KAFKA_UNREACHABLE', 'STORAGE_FAILED', 'CHECKPOINT_FAILED', 'KAFKA_FENCED'] as const) {
    const [restarts] = exponential()
    assert.equal(restarts.onFailure(new MillraceError(code, ''), false), 1_000, code)
  }
})

test('a lost transaction seen by a running job is for recovery to decide; one that recovery saw is final', () => {
  for (const code of ['TRANSACTIONS_LOST', 'TRANSACTIONS_UNDECIDED'] as const) {
    const [restarts] = exponential()
    assert.equal(restarts.onFailure(new MillraceError(code, ''), true), 1_000)
    assert.equal(restarts.onFailure(new MillraceError(code, ''), false), undefined)
  }
})

test('a record that fails in the very same way three times in a row fails the job: its bytes will not change', () => {
  const poison = (offset: number): MillraceError =>
    new MillraceError('DESERIALIZATION_FAILED', `the record of orders-0 at offset ${offset} cannot be deserialized`)
  const [restarts] = exponential()
  const answers = [7, 7, 8, 8, 8].map((offset) => restarts.onFailure(poison(offset), true))
  assert.deepEqual(
    answers.map((pauseMs) => pauseMs === undefined),
    [false, false, false, false, true],
  )
})

test('another failure in between begins the count anew, and what depends on the outside is repeated for ever', () => {
  const poison = new MillraceError(
    'DESERIALIZATION_FAILED',
    'the record of orders-0 at offset 7 cannot be deserialized',
  )
  const [restarts] = exponential()
  for (const error of [poison, poison, BROKEN, poison, poison])
    assert.notEqual(restarts.onFailure(error, true), undefined)
  const user = new MillraceError('USER_FUNCTION_FAILED', 'map of operator "Price" threw: no connection')
  for (let time = 0; time < 20; time++) assert.notEqual(restarts.onFailure(user, true), undefined)
})
