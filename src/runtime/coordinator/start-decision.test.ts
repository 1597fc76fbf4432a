/** The start table of the protocol, row by row. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JobHistory } from '../checkpoint/job-history.ts'
import type { LogRecord } from '../checkpoint/job-log-record.ts'
import { decideStart } from './start-decision.ts'

const ATTEMPT: LogRecord = {
  kind: 'attempt',
  lineage: { id: 'l', begin: { kind: 'fresh' } },
  sinks: [],
  firstCheckpoint: 1,
}

const completed = (final: boolean): LogRecord => ({
  kind: 'completed',
  checkpoint: 1,
  lineage: 'l',
  folder: '',
  digest: '',
  final,
  records: {},
})

const history = (...records: readonly LogRecord[]): JobHistory =>
  JobHistory.of(records.map((record, index) => ({ number: index + 1, attempt: 1, at: 0, record })))

const FRESH = { kind: 'begin', begin: { kind: 'fresh' } }

const ROWS: readonly (readonly [state: string, records: readonly LogRecord[], resume: object])[] = [
  ['empty', [], FRESH],
  ['attempts only', [ATTEMPT], { kind: 'continue' }],
  ['completed and crashed', [ATTEMPT, completed(false)], { kind: 'continue' }],
  ['failed', [ATTEMPT, completed(false), { kind: 'failed', message: '' }], { kind: 'continue' }],
  ['cancelled', [ATTEMPT, { kind: 'cancelled' }], { kind: 'continue' }],
  ['stopped', [ATTEMPT, completed(false), { kind: 'stopped' }], { kind: 'continue' }],
  ['the end of input completed', [ATTEMPT, completed(true)], { kind: 'settle-and-finish' }],
  ['the end of input voided', [ATTEMPT, completed(true), { kind: 'void', checkpoint: 1 }], { kind: 'continue' }],
  ['finished', [ATTEMPT, completed(true), { kind: 'finished' }], { kind: 'already-finished' }],
]

const AT_A: LogRecord = { ...ATTEMPT, lineage: { id: 's', begin: { kind: 'savepoint', id: 'A', path: '/a' } } }
const A = { id: 'A', path: '/a' }
const BEGIN_AT_A = { kind: 'begin', begin: { kind: 'savepoint', id: 'A', path: '/a' } }

test('a savepoint is begun at once: the same command goes on from there, and only a rewind goes back', () => {
  for (const [state, records] of ROWS) {
    assert.deepEqual(decideStart(history(...records), 'savepoint', A), BEGIN_AT_A, state)
    assert.deepEqual(decideStart(history(...records), 'rewind', A), BEGIN_AT_A, state)
  }
  const rest: typeof ROWS = ROWS.filter(([, records]) => records.length > 0)
  for (const [state, records, resume] of rest) {
    const begun: readonly LogRecord[] = [
      AT_A,
      ...records
        .slice(1)
        .map((record): LogRecord => (record.kind === 'completed' ? { ...record, lineage: 's' } : record)),
    ]
    assert.deepEqual(decideStart(history(...begun), 'savepoint', A), resume, state)
    assert.deepEqual(decideStart(history(...begun), 'resume'), resume, state)
    assert.deepEqual(decideStart(history(...begun), 'rewind', A), BEGIN_AT_A, state)
  }
})

for (const [state, records, resume] of ROWS) {
  test(`a log that is "${state}": the same command goes on, a fresh start begins anew`, () => {
    assert.deepEqual(decideStart(history(...records), 'resume'), resume)
    assert.deepEqual(decideStart(history(...records), 'fresh'), FRESH)
  })
}
