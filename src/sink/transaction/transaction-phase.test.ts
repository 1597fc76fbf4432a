import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { AssertionFailed } from '../../base/index.ts'
import { nextPhase, TRANSITIONS } from './transaction-phase.ts'

test('the table in SPEC.md is the table in the code', () => {
  const spec = readFileSync(new URL('../committer/SPEC.md', import.meta.url), 'utf8')
  const rows = spec
    .slice(spec.indexOf('## Phases by events'))
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(0, 9)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  const [events, , ...phases] = rows
  const written = Object.fromEntries(
    phases.map(([phase, ...cells]) => [
      phase,
      Object.fromEntries(cells.map((cell, index) => [events?.[index + 1], cell === '-' ? 'impossible' : cell])),
    ]),
  )
  assert.deepEqual(written, TRANSITIONS)
})

test('what cannot happen stops the task', () => {
  assert.equal(nextPhase('sealed', 'acknowledged', 'p-1-0-0'), 'flushed')
  assert.throws(() => nextPhase('flushed', 'committed-durable', 'p-1-0-0'), AssertionFailed)
})
