import assert from 'node:assert/strict'
import { test } from 'node:test'
import { phaseTableOf } from '../../../test/rules/phase-table.ts'
import { AssertionFailed } from '../../base/index.ts'
import { CHECKPOINT_TRANSITIONS, nextPhase } from './checkpoint-phase.ts'

test('the table of checkpoints in SPEC.md is the table in the code', () => {
  const written = phaseTableOf(new URL('./SPEC.md', import.meta.url), '### Phases by events')
  assert.deepEqual(written, CHECKPOINT_TRANSITIONS)
})

test('what cannot happen to a checkpoint fails the execution', () => {
  assert.equal(nextPhase('gathering', 'answered', 1), 'storing')
  assert.throws(() => nextPhase('stored', 'recorded', 1), AssertionFailed)
})
