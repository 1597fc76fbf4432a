import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { AssertionFailed } from '../../base/index.ts'
import { CHECKPOINT_TRANSITIONS, nextPhase } from './checkpoint-phase.ts'

test('the table of checkpoints in SPEC.md is the table in the code', () => {
  const spec = readFileSync(new URL('./SPEC.md', import.meta.url), 'utf8')
  const lines = spec.slice(spec.indexOf('### Phases by events')).split('\n')
  const begin = lines.findIndex((line) => line.startsWith('|'))
  const [events, , ...phases] = lines.slice(begin, lines.indexOf('', begin)).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  const written = Object.fromEntries(
    phases.map(([phase, ...cells]) => [
      phase,
      Object.fromEntries(cells.map((cell, index) => [events?.[index + 1], cell === '-' ? 'impossible' : cell])),
    ]),
  )
  assert.deepEqual(written, CHECKPOINT_TRANSITIONS)
})

test('what cannot happen to a checkpoint fails the execution', () => {
  assert.equal(nextPhase('gathering', 'answered', 1), 'storing')
  assert.throws(() => nextPhase('stored', 'recorded', 1), AssertionFailed)
})
