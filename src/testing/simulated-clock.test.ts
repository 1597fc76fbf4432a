/** The clock of the tests: nothing fires by itself, and what fires does so in order. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedClock } from './simulated-clock.ts'

test('timers fire in the order of their time, and of their making where it is equal', () => {
  const clock = new SimulatedClock(1_000)
  const fired: string[] = []
  clock.setTimer(20, () => fired.push(`c@${clock.monotonic()}`))
  clock.setTimer(10, () => fired.push(`a@${clock.monotonic()}`))
  clock.setTimer(10, () => fired.push(`b@${clock.monotonic()}`))
  clock.advance(9)
  assert.deepEqual(fired, [])
  clock.advance(11)
  assert.deepEqual(fired, ['a@10', 'b@10', 'c@20'])
  assert.equal(clock.now(), 1_020)
})

test('a timer that a timer sets fires in the same advance when it falls due, and a cancelled one never', () => {
  const clock = new SimulatedClock()
  const fired: number[] = []
  const cancelled = clock.setTimer(7, () => fired.push(-1))
  clock.setTimer(5, () => {
    cancelled.cancel()
    clock.setTimer(5, () => fired.push(clock.monotonic()))
  })
  clock.advance(10)
  assert.deepEqual(fired, [10])
  assert.equal(clock.pendingTimers, 0)
})

test('an aborted sleep rejects with the reason and leaves no timer; pass lets promises set further timers', async () => {
  const clock = new SimulatedClock()
  const abort = new AbortController()
  const slept = clock.sleep(10, abort.signal)
  abort.abort(new Error('enough'))
  await assert.rejects(slept, /enough/)
  assert.equal(clock.pendingTimers, 0)
  let naps = 0
  const napping = (async () => {
    for (; naps < 5; naps++) await clock.sleep(10)
  })()
  await clock.pass(50)
  await napping
  assert.equal(naps, 5)
})

test('until lets time run from timer to timer while a promise is open, and says when time cannot help', async () => {
  const clock = new SimulatedClock()
  const nap = async (): Promise<string> => {
    for (let times = 0; times < 3; times++) {
      await clock.sleep(3_600_000)
      for (let turns = 0; turns < 10; turns++) await clock.nextTurn()
    }
    return 'rested'
  }
  const late = clock.sleep(100_000_000)
  assert.equal(await clock.until(nap()), 'rested')
  assert.equal(clock.monotonic(), 3 * 3_600_000)
  await assert.rejects(clock.until(Promise.reject(new Error('its own'))), /its own/)
  await assert.rejects(clock.until(clock.sleep(20_000), 10_000), /did not happen in 10000 ms/)
  await clock.until(late, 100_000_000)
  await assert.rejects(clock.until(new Promise(() => undefined)), /no timer is left/)
})
