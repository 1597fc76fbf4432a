/** What records add up to, and that a base adds up to the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../base/index.ts'
import { JobHistory } from './job-history.ts'
import type { AttemptSink, Lineage, LogRecord, NumberedRecord } from './job-log-record.ts'

const FRESH: Lineage = { id: 'first', begin: { kind: 'fresh' } }
const SINK: AttemptSink = {
  uid: 'out',
  clusterId: 'c',
  prefix: 'p',
  naming: 'POOLING',
  parallelism: 2,
  poolBound: 3,
}

/** Records with their numbers; a record belongs to the latest attempt. */
function numbered(...records: readonly LogRecord[]): NumberedRecord[] {
  let attempt = 0
  return records.map((record, index) => {
    if (record.kind === 'attempt') attempt = index + 1
    return { number: index + 1, attempt, at: 0, record }
  })
}

const attempt = (firstCheckpoint: number, lineage = FRESH): LogRecord => ({
  kind: 'attempt',
  lineage,
  sinks: [SINK],
  firstCheckpoint,
})

function completed(
  checkpoint: number,
  more: { committed?: number; fencedBelow?: number; lineage?: string; final?: boolean } = {},
): LogRecord {
  return {
    kind: 'completed',
    checkpoint,
    lineage: 'first',
    folder: `chk-${checkpoint}`,
    digest: '',
    final: false,
    records: {},
    ...more,
  }
}

const numbersOf = (past: readonly { record: { checkpoint: number } }[]): number[] =>
  past.map(({ record }) => record.checkpoint)

test('nothing was ever said: empty, running, no checkpoint', () => {
  const history = new JobHistory()
  assert.equal(history.empty, true)
  assert.equal(history.lineage, undefined)
  assert.equal(history.last, undefined)
  assert.equal(history.highestCheckpoint, 0)
  assert.equal(history.lastAttempt, 0)
  assert.deepEqual(history.unfenced(100), [])
})

test('a completed checkpoint is unsettled until a committed one covers it, alone or riding', () => {
  const records = numbered(attempt(1), completed(1), completed(2, { committed: 1 }), completed(3))
  const history = JobHistory.of(records)
  assert.deepEqual(numbersOf(history.unsettled), [2, 3])
  assert.equal(history.last?.record.checkpoint, 3)
  history.apply({ number: 5, attempt: 1, at: 0, record: { kind: 'committed', checkpoint: 3 } })
  assert.deepEqual(history.unsettled, [])
  assert.deepEqual(numbersOf(history.completed), [1, 2, 3])
})

test('a void checkpoint is gone, its number is not, and the predecessor is the last', () => {
  const history = JobHistory.of(
    numbered(attempt(1), completed(1), completed(2, { committed: 1 }), { kind: 'void', checkpoint: 2 }),
  )
  assert.equal(history.last?.record.checkpoint, 1)
  assert.equal(history.highestCheckpoint, 2)
  assert.deepEqual(history.unsettled, [])
})

test('the highest void checkpoint of the lineage is known until a higher one is committed, or another lineage begins', () => {
  const history = JobHistory.of(
    numbered(attempt(1), completed(1), { kind: 'void', checkpoint: 1 }, attempt(2), completed(2)),
  )
  let number = 5
  const apply = (record: LogRecord): number | undefined => {
    history.apply({ number: ++number, attempt: 4, at: 0, record })
    return history.voided?.checkpoint
  }
  assert.equal(history.voided?.folder, 'chk-1')
  assert.equal(apply({ kind: 'void', checkpoint: 2 }), 2)
  assert.equal(apply(completed(3)), 2)
  assert.equal(apply(completed(4, { committed: 3 })), undefined)
  assert.equal(apply({ kind: 'void', checkpoint: 4 }), 4)
  // One that is damaged is voided below it.
  assert.equal(apply({ kind: 'void', checkpoint: 3 }), 4)
  assert.equal(apply(attempt(5, { id: 'second', begin: { kind: 'fresh' } })), undefined)
})

test('a folder is settled when its checkpoint is committed, and stays so when the log has forgotten the rest; a void one never is', () => {
  const records: LogRecord[] = [
    attempt(1),
    completed(1),
    completed(2, { committed: 1 }),
    { kind: 'void', checkpoint: 2 },
  ]
  for (let checkpoint = 3; checkpoint <= 40; checkpoint++) {
    records.push(completed(checkpoint, { committed: checkpoint === 3 ? 1 : checkpoint - 1 }))
  }
  const history = JobHistory.of(numbered(...records))
  const based = new JobHistory()
  based.apply({ number: 50, attempt: 1, at: 0, record: { kind: 'base', state: history.compact() } })
  for (const known of [history, based]) {
    assert.ok(known.completed.length < 20, 'most are forgotten')
    for (const settled of ['chk-1', 'chk-3', 'chk-39']) assert.equal(known.isSettled(settled), true, settled)
    for (const not of ['chk-2', 'chk-40', 'chk-41']) assert.equal(known.isSettled(not), false, not)
  }
  const { settled: _absent, ...older } = history.compact()
  const ofAnOlderRelease = new JobHistory()
  ofAnOlderRelease.apply({ number: 50, attempt: 1, at: 0, record: { kind: 'base', state: older } })
  assert.equal(ofAnOlderRelease.isSettled('chk-39'), true)
  assert.equal(ofAnOlderRelease.isSettled('chk-3'), false, 'nobody knows it any more')
})

test('a new lineage has no last checkpoint, but what the former one left unsettled stays to be settled', () => {
  const second: Lineage = { id: 'second', begin: { kind: 'savepoint', id: 's1', path: '/s1' } }
  const history = JobHistory.of(numbered(attempt(1), completed(1), attempt(2, second)))
  assert.equal(history.last, undefined)
  assert.deepEqual(numbersOf(history.unsettled), [1])
  assert.equal(history.beganAt('s1'), true)
  assert.equal(history.beganAt('s2'), false)
  history.apply({ number: 4, attempt: 3, at: 0, record: completed(2, { lineage: 'second' }) })
  assert.deepEqual(numbersOf(history.last === undefined ? [] : [history.last]), [2])
})

test('the end is what was said last, and an attempt after it runs again', () => {
  const ends = ['stopped', 'cancelled', 'finished'] as const
  for (const kind of ends) {
    const history = JobHistory.of(numbered(attempt(1), { kind }))
    assert.equal(history.end, kind)
    history.apply({ number: 3, attempt: 3, at: 0, record: attempt(1) })
    assert.equal(history.end, 'running')
  }
  assert.equal(JobHistory.of(numbered(attempt(1), { kind: 'failed', message: 'x' })).end, 'failed')
})

test('attempts stay unfenced until a completed record says that they need no sweep', () => {
  const history = JobHistory.of(numbered(attempt(1), completed(1), attempt(2), attempt(2)))
  assert.deepEqual(
    history.unfenced(4).map((past) => past.attempt),
    [1, 3],
  )
  assert.deepEqual(history.unfenced(4)[0], { attempt: 1, sinks: [SINK], firstCheckpoint: 1, highestCompleted: 1 })
  assert.equal(history.unfenced(4)[1]?.highestCompleted, 1, 'one below its first while it completed none')
  history.apply({ number: 5, attempt: 4, at: 0, record: completed(2, { fencedBelow: 4 }) })
  assert.deepEqual(
    history.unfenced(9).map((past) => past.attempt),
    [4],
  )
  history.apply({ number: 6, attempt: 4, at: 0, record: completed(3, { fencedBelow: 2 }) })
  assert.deepEqual(
    history.unfenced(9).map((past) => past.attempt),
    [4],
    'it never goes back',
  )
})

test('checkpoint numbers that do not rise are a bug, found when they are said', () => {
  assert.throws(() => JobHistory.of(numbered(attempt(1), completed(2), completed(2))), /out of order/)
  assert.throws(() => JobHistory.of(numbered(attempt(1), completed(2), attempt(2))), /reuse checkpoint numbers/)
})

test('wherever a base is put, recovery learns the same from what follows', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SeededRandom(seed)
    const pick = (below: number): number => Math.floor(random.next() * below)
    const [plain, based] = [new JobHistory(), new JobHistory()]
    let own = 0
    for (let number = 1; number <= 30; number++) {
      const kinds =
        number === 1 ? ['attempt'] : ['attempt', 'completed', 'completed', 'completed', 'commit', 'void', 'end']
      const kind = kinds[pick(kinds.length)]
      const last = plain.completed.at(-1)?.record.checkpoint
      let record: LogRecord = { kind: 'stopped' }
      if (kind === 'attempt') {
        const lineage =
          pick(4) === 0 ? { id: `l${number}`, begin: { kind: 'fresh' } as const } : (plain.lineage ?? FRESH)
        record = attempt(plain.highestCheckpoint + 1, lineage)
        own = number
      } else if (kind === 'completed') {
        record = completed(plain.highestCheckpoint + 1, {
          lineage: plain.lineage?.id ?? '',
          ...(last !== undefined ? { committed: last } : {}),
          ...(pick(5) === 0 ? { fencedBelow: own } : {}),
        })
      } else if (kind === 'commit' && last !== undefined) record = { kind: 'committed', checkpoint: last }
      // Recovery settles before anything else: only the newest can be void.
      else if (kind === 'void' && plain.completed.at(-1)?.committed === false)
        record = { kind: 'void', checkpoint: last ?? 0 }
      for (const history of [plain, based]) history.apply({ number, attempt: own, at: 0, record })
      if (pick(6) === 0) based.apply({ number, attempt: own, at: 0, record: { kind: 'base', state: based.compact() } })
      for (const ask of [
        (history: JobHistory) => history.lineage,
        (history: JobHistory) => history.end,
        (history: JobHistory) => history.highestCheckpoint,
        (history: JobHistory) => history.lastAttempt,
        (history: JobHistory) => history.unsettled,
        (history: JobHistory) => history.unfenced(number + 1),
        (history: JobHistory) => history.completed.at(-1),
        (history: JobHistory) => history.voided,
        (history: JobHistory) => Array.from({ length: number }, (_, n) => history.isSettled(`chk-${n}`)),
      ]) {
        assert.deepEqual(ask(based), ask(plain), `seed ${seed}, record ${number}`)
      }
    }
  }
})
