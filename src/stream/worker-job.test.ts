/** What a job on worker threads asks for is checked before a thread is started. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobGraph } from '../core/index.ts'
import { ownFlags, threadsOf } from './worker-job.ts'

const graphOf = (...parallelisms: readonly number[]): JobGraph =>
  ({ jobName: 'job', nodes: parallelisms.map((parallelism) => ({ parallelism })) }) as unknown as JobGraph

test('a job of parallelism 1, and one whose file is not known, runs on the thread of the caller', () => {
  assert.equal(threadsOf(graphOf(1, 1), 'file:///job.ts', undefined), 0)
  assert.equal(threadsOf(graphOf(4), undefined, undefined), 0)
  assert.equal(threadsOf(graphOf(4), undefined, 0), 0)
  assert.equal(threadsOf(graphOf(4), 'file:///job.ts', 0), 0)
})

test('there are no more threads than subtasks of the widest step, and no more than cores unless they are asked for', () => {
  assert.ok(threadsOf(graphOf(1, 64), 'file:///job.ts', undefined) <= 64)
  assert.ok(threadsOf(graphOf(1, 2), 'file:///job.ts', undefined) >= 1)
  assert.equal(threadsOf(graphOf(2, 3, 1), 'file:///job.ts', 64), 3)
  assert.equal(threadsOf(graphOf(1), 'file:///job.ts', 1), 1)
})

test('threads without a file to import, and numbers that are none, are refused', () => {
  assert.throws(() => threadsOf(graphOf(4), undefined, 2), {
    code: 'OPTION_INVALID',
    message: /module: import\.meta\.url/,
  })
  for (const threads of [-1, 1.5, Number.NaN]) {
    assert.throws(() => threadsOf(graphOf(4), 'file:///job.ts', threads), { code: 'OPTION_INVALID' })
  }
})

test('of the flags of the process, a thread with flags of its own gets those that it may have', () => {
  assert.deepEqual(
    ownFlags([
      '--conditions=millrace-source',
      '--max-old-space-size=4096',
      '--import',
      './a.ts',
      '--no-warnings',
      '--inspect',
      '-r',
      'b',
    ]),
    ['--conditions=millrace-source', '--import', './a.ts', '--no-warnings', '-r', 'b'],
  )
})
