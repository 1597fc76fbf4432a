/** The history of runs: bounded, written by who owns the directory only, readable for ever. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { MemoryStorage, MillraceError, silentLogger } from '../base/index.ts'
import { decodeRuns, encodeRuns, type Run, RunHistory, type RunView, readRuns } from './run-history.ts'

const FAILURE = { at: 3, attempt: 7, task: { uid: 'orders', subtask: 1 }, code: 'KAFKA_TIMEOUT', message: 'no answer' }
const view: RunView = {
  figures: () => ({
    recordsIn: 10,
    recordsOut: 9,
    pendingRecords: undefined,
    restarts: 1,
    checkpoints: { inProgress: 0, completed: 4, failed: 1, last: undefined },
  }),
  failures: () => [FAILURE],
}
const history = (storage: MemoryStorage, beganAt: number): RunHistory =>
  new RunHistory({ storage, logger: silentLogger, run: { pid: 77, beganAt } })

test('a run is written when it has an attempt, again with each other, and with its end', async () => {
  const storage = new MemoryStorage()
  const runs = history(storage, 1)
  runs.attempt(7, view)
  runs.attempt(12, view)
  await runs.end(view, { outcome: 'failed', at: 9, error: new Error('broken', { cause: new Error('inside') }) })
  const [only, ...more] = await readRuns(storage)
  assert.deepEqual(more, [])
  assert.deepEqual(only, {
    pid: 77,
    beganAt: 1,
    endedAt: 9,
    outcome: 'failed',
    message: 'broken: caused by: inside',
    firstAttempt: 7,
    lastAttempt: 12,
    restarts: 1,
    completedCheckpoints: 4,
    failedCheckpoints: 1,
    recordsIn: 10,
    recordsOut: 9,
    failures: [FAILURE],
  })
})

test('the last twenty are kept, and a run that was killed keeps no end', async () => {
  const storage = new MemoryStorage()
  for (let n = 1; n <= 25; n++) {
    const runs = history(storage, n)
    runs.attempt(n, view)
    if (n === 24) await new Promise((resolve) => setImmediate(resolve))
    else await runs.end(view, { outcome: 'stopped', at: n })
  }
  const kept = await readRuns(storage)
  assert.deepEqual(
    kept.map(({ beganAt }) => beganAt),
    Array.from({ length: 20 }, (_, index) => index + 6),
  )
  assert.deepEqual(
    kept.filter(({ outcome }) => outcome === undefined).map(({ beganAt }) => beganAt),
    [24],
  )
})

test('a start that never got its place in the log writes nothing; a storage that fails is no failure of the job', async () => {
  const storage = new MemoryStorage()
  await history(storage, 1).end(view, { outcome: 'failed', at: 2, error: new Error('another one owns it') })
  assert.deepEqual(await readRuns(storage), [])
  storage.write = () => Promise.reject(new MillraceError('STORAGE_FAILED', 'disk full'))
  const runs = history(storage, 1)
  runs.attempt(1, view)
  await runs.end(view, { outcome: 'stopped', at: 2 })
})

test('a history of version 1 is readable and is written as ever; what is not one counts as none', async () => {
  const runs: Run[] = [
    {
      pid: 12,
      beganAt: 1_700_000_000_000,
      endedAt: 1_700_000_060_000,
      outcome: 'failed',
      message: 'no answer',
      firstAttempt: 1,
      lastAttempt: 4,
      restarts: 3,
      completedCheckpoints: 59,
      failedCheckpoints: 1,
      recordsIn: 1_000,
      recordsOut: 999,
      failures: [FAILURE],
    },
  ]
  const golden = readFileSync(new URL('../../test/golden/runtime/runs.v1', import.meta.url))
  assert.equal(encodeRuns(runs).toString(), golden.toString())
  assert.deepEqual(decodeRuns(golden), runs)
  const storage = new MemoryStorage()
  for (const text of ['', '{', '{"v":2,"runs":[]}']) {
    await storage.write('runs.json', Buffer.from(text))
    assert.deepEqual(await readRuns(storage), [])
  }
})
