import assert from 'node:assert/strict'
import { test } from 'node:test'
import { phaseTableOf } from '../../../test/rules/phase-table.ts'
import { AssertionFailed } from '../../base/index.ts'
import { nextPhase, TRANSITIONS } from './transaction-phase.ts'

test('the table in SPEC.md is the table in the code', () => {
  const written = phaseTableOf(new URL('../committer/SPEC.md', import.meta.url), '## Phases by events')
  assert.deepEqual(written, TRANSITIONS)
})

test('what cannot happen stops the task', () => {
  assert.equal(nextPhase('sealed', 'acknowledged', 'p-1-0-0'), 'flushed')
  assert.throws(() => nextPhase('flushed', 'committed-durable', 'p-1-0-0'), AssertionFailed)
})
