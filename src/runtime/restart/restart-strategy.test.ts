/** Whether and when a failed job goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { Configuration } from '../../core/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import { RestartStrategy } from './restart-strategy.ts'

const BROKEN = new Error('broken')

function strategy(
  settings: Readonly<Record<string, string | number>> = {},
  checkpointing = true,
): [RestartStrategy, SimulatedClock] {
  const clock = new SimulatedClock()
  return [new RestartStrategy(new Configuration(settings), clock, checkpointing), clock]
}

test('nothing configured: three restarts a second apart, counted anew after ten quiet minutes', () => {
  const [restarts, clock] = strategy()
  assert.deepEqual(
    [1, 2, 3, 4].map(() => restarts.onFailure(BROKEN, true)),
    [1_000, 1_000, 1_000, undefined],
  )
  assert.equal(restarts.restarts, 3)
  clock.advance(10 * 60_000 - 1)
  assert.equal(restarts.onFailure(BROKEN, true), undefined)
  clock.advance(10 * 60_000)
  assert.equal(restarts.onFailure(BROKEN, true), 1_000)
  assert.equal(restarts.restarts, 4)
})

test('nothing configured and no checkpoints: none, because a restart would repeat what was written', () => {
  const [restarts] = strategy({}, false)
  assert.equal(restarts.onFailure(BROKEN, true), undefined)
  const [asked] = strategy({ 'restart-strategy.fixed-delay.attempts': 1 }, false)
  assert.deepEqual(
    [1, 2].map(() => asked.onFailure(BROKEN, true)),
    [1_000, undefined],
  )
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
})

test('fixed-delay with nothing else has the one attempt of its default', () => {
  const [restarts] = strategy({ 'restart-strategy.type': 'fixed-delay' })
  assert.deepEqual(
    [1, 2].map(() => restarts.onFailure(BROKEN, true)),
    [1_000, undefined],
  )
})

test('none: never', () => {
  const [restarts] = strategy({ 'restart-strategy.type': 'none', 'restart-strategy.fixed-delay.attempts': 5 })
  assert.equal(restarts.onFailure(BROKEN, true), undefined)
})

test('what no repetition can change fails at once; being away for a while is repeated', () => {
  for (const code of ['SUPERSEDED', 'LOG_DAMAGED', 'TASKS_LINGER', 'COMMIT_UNRESOLVED', 'OPTION_INVALID'] as const) {
    const [restarts] = strategy()
    assert.equal(restarts.onFailure(new MillraceError(code, ''), true), undefined, code)
  }
  for (const code of ['KAFKA_UNREACHABLE', 'STORAGE_FAILED', 'CHECKPOINT_FAILED', 'KAFKA_FENCED'] as const) {
    const [restarts] = strategy()
    assert.equal(restarts.onFailure(new MillraceError(code, ''), false), 1_000, code)
  }
})

test('a lost transaction seen by a running job is for recovery to decide; one that recovery saw is final', () => {
  for (const code of ['TRANSACTIONS_LOST', 'TRANSACTIONS_UNDECIDED'] as const) {
    const [restarts] = strategy()
    assert.equal(restarts.onFailure(new MillraceError(code, ''), true), 1_000)
    assert.equal(restarts.onFailure(new MillraceError(code, ''), false), undefined)
  }
})
