/** The real clock: what the ports promise of time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SystemClock } from './clock.ts'

const clock = new SystemClock()

test('a timer fires once, not before its time; a cancelled one never', async () => {
  const fired: string[] = []
  const began = clock.monotonic()
  clock.setTimer(5, () => fired.push('cancelled')).cancel()
  const timer = clock.setTimer(10, () => fired.push('fired'))
  await clock.sleep(30)
  assert.deepEqual(fired, ['fired'])
  assert.ok(clock.monotonic() - began >= 29)
  timer.cancel()
})

test('a delay longer than the system timer can take does not fire at once', async () => {
  let fired = 0
  const timers = [2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER].map((delay) => clock.setTimer(delay, () => fired++))
  await clock.sleep(10)
  assert.equal(fired, 0)
  for (const timer of timers) timer.cancel()
})

test('an aborted sleep rejects with the reason, before or during it, and leaves no listener', async () => {
  const abort = new AbortController()
  let listeners = 0
  const { signal } = abort
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
  signal.addEventListener = (...args: Parameters<typeof add>): void => {
    listeners++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
    listeners--
    remove(...args)
  }
  await clock.sleep(1, signal)
  assert.equal(listeners, 0)
  const sleeping = clock.sleep(60_000, signal)
  abort.abort(new Error('enough'))
  await assert.rejects(sleeping, /enough/)
  await assert.rejects(clock.sleep(1, signal), /enough/)
})

test('the next turn comes after promises that are ready, and monotonic time never goes back', async () => {
  const order: string[] = []
  const turn = clock.nextTurn().then(() => order.push('turn'))
  await Promise.resolve().then(() => order.push('promise'))
  await turn
  assert.deepEqual(order, ['promise', 'turn'])
  let last = clock.monotonic()
  for (let i = 0; i < 1_000; i++) {
    const now = clock.monotonic()
    assert.ok(now >= last)
    last = now
  }
})
