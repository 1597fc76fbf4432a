/**
 * The pauses between attempts, by Java's rule (ExponentialBackoff): doubling, a fifth of chance, never above the bound.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError, SeededRandom, silentLogger } from '../../base/index.ts'
import { ManualClock } from './manual-clock.test-double.ts'
import { backoffMs, retrying } from './retrying.ts'

const OPTIONS = { retryBackoffMs: 100, retryBackoffMaxMs: 1_000, defaultApiTimeoutMs: 30_000 }

test('pauses double from retry.backoff.ms with a fifth of chance, and never exceed retry.backoff.max.ms', () => {
  const random = new SeededRandom(1)
  for (let failures = 0; failures < 40; failures++) {
    const wanted = Math.min(1_000, 100 * 2 ** failures)
    const pauses = Array.from({ length: 200 }, () => backoffMs(OPTIONS, random, failures))
    const [least, most] = [Math.min(...pauses), Math.max(...pauses)]
    assert.ok(least >= wanted * 0.8 && most <= Math.min(1_000, wanted * 1.2), `${failures}: ${least} to ${most}`)
    assert.ok(most - least > wanted * 0.15, `${failures}: spread over ${most - least} ms`)
  }
})

test('what may pass is tried again after growing pauses, until the time limit names the last error', async () => {
  const clock = new ManualClock()
  const ports = { clock, random: new SeededRandom(2), logger: silentLogger }
  const times: number[] = []
  const doing = retrying({ ports, options: OPTIONS }, 'Doing it', () => {
    times.push(clock.monotonic())
    return Promise.reject(new MillraceError('KAFKA_RETRIABLE', 'not now', { retriable: true }))
  })
  const failed = assert.rejects(doing, { code: 'KAFKA_TIMEOUT', message: /Doing it.*30000 ms.*not now/ })
  await clock.advance(31_000)
  await failed
  const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  assert.ok((pauses[0] ?? 0) <= 120 && pauses.slice(5).every((pause) => pause >= 800 && pause <= 1_000), pauses.join())
})

test('what cannot pass is tried once', async () => {
  const ports = { clock: new ManualClock(), random: new SeededRandom(2), logger: silentLogger }
  let attempts = 0
  const attempt = (): Promise<never> => {
    attempts++
    return Promise.reject(new MillraceError('KAFKA_FATAL', 'never'))
  }
  await assert.rejects(retrying({ ports, options: OPTIONS }, 'Doing it', attempt), { code: 'KAFKA_FATAL' })
  assert.equal(attempts, 1)
})
