/**
 * The exactly-once protocol without its code: job, log and broker as a model, gone through state by state, with crashes, sleeps
 * and troubles between any two steps. No record is lost or doubled, no transaction is left open, nobody who was superseded does
 * harm, group offsets never run ahead, and every run comes to its end.
 *
 * What the model is. A state is what the log says, the broker's view of each subtask's transactional ids (broker-lane.ts), two
 * processes with the memory that decides what they do (job-process.ts, running-job.ts), and the troubles that may still come. A
 * step is one request to the broker or one call to the storage, so that a crash between any two steps of the protocol is a step
 * of its own, and a process that sleeps is one whose steps are not taken for a while. Rules 1 to 14 and 16 are in it, both
 * transaction versions, overlapping and failing checkpoints, restarts within a process, copies of requests that arrive late.
 *
 * What it leaves out. Rule 15 is about time and rule 17 about other jobs: there is one job in one directory, and no clock, so
 * that what is bounded by a timeout (the repeated sweep, retries) is only that it may happen. A flush is one step with its
 * barrier; requests are answered or never made; a record of the log is whole or not there. Two subtasks, a chain from source to
 * sink each: what lies between them changes positions and state, not transactions. Rule 7's "proven gone" shows as harmless
 * here, because a task that lingers is a process that sleeps.
 *
 * How it is made small. States that differ only by which subtask or which process is called the first are one; a log is what it
 * says, not how it came to say it; ids of attempts that nobody holds any more are forgotten once fenced.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACTIONS, type Action, type Exploration, explore } from './explorer.ts'
import type { Scope } from './model-state.ts'
import { PLANTED, type Planted } from './planted.ts'
import { LONG, SHORT, versionsOf } from './scopes.ts'

const STATES_MAX = 9_000_000
const long: boolean = process.env.MILLRACE_LONG === '1'

function sound(scope: Scope): Exploration {
  const explored = explore(scope, STATES_MAX)
  const { violation } = explored
  if (violation !== undefined) assert.fail([violation.message, ...violation.trace].join('\n'))
  return explored
}

test('whatever crashes, sleeps or fails between any two steps, the rules lose and double nothing and leave nothing open', (context) => {
  const taken = new Map<Action, number>()
  let states = 0
  for (const shape of [...Object.values(SHORT), ...(long ? Object.values(LONG) : [])]) {
    for (const version of versionsOf(shape, long)) {
      const explored = sound({ ...shape, version })
      states += explored.states
      for (const [action, times] of explored.taken) taken.set(action, (taken.get(action) ?? 0) + times)
      const ends = [...explored.ends].map(([end, times]) => `${times} ${end}`).join(', ')
      context.diagnostic(
        `${shape.name}, version ${version}: ${explored.states} states, ${explored.steps} steps, up to ${explored.depth} deep; ends: ${ends}`,
      )
      assert.ok((explored.ends.get('finished') ?? 0) > 0, `${shape.name} never finishes`)
    }
  }
  context.diagnostic(`${states} states; steps by action:`)
  for (const action of ACTIONS) context.diagnostic(`${String(taken.get(action) ?? 0).padStart(10)} ${action}`)
  assert.deepEqual(
    ACTIONS.filter((action) => (taken.get(action) ?? 0) === 0),
    [],
    'steps that were never taken',
  )
})

/** In which scope a mistake shows, and what it is seen by. */
const FOUND: Readonly<Record<Planted, readonly [scope: keyof typeof SHORT, version: 1 | 2, seen: RegExp]>> = {
  'a barrier passes before the flush': ['crash', 1, /lost/],
  'a snapshot lists only what its own barrier flushed': ['crash', 1, /lost/],
  'a failed checkpoint aborts what it flushed': ['crash', 2, /lost/],
  'a slot is free as soon as its transaction ended': ['crash', 2, /cannot tell/],
  'a pool has a slot for each checkpoint under way, each failure, and two': ['pool', 2, /slots of a pool/],
  'version 1 begins a transaction without InitProducerId': ['repeat', 1, /doubled|lost/],
  'transactions are ended before `completed` is in the log': ['crash', 1, /doubled/],
  '`completed` is written before the folder': ['crash', 2, /stopped as damaged/],
  'an older checkpoint completes after a younger one': ['overlap', 2, /was removed|doubled/],
  'the predecessor is removed before the commit': ['broker', 1, /was removed/],
  'two attempts share a folder': ['twoCrash', 2, /stopped as damaged/],
  '`committed` is written before the transactions are ended': ['again', 2, /lost|left open/],
  'recovery ends what an older commit covers': ['overlap', 2, /cannot tell/],
  'a restart goes on in its old attempt': ['restart', 2, /left open/],
  'the restore point is not chosen again': ['two', 2, /doubled|lost|left open|cannot tell/],
  'recovery fences before it ends': ['crash', 2, /cannot tell/],
  'recovery fences nothing': ['crash', 1, /left open/],
  'a checkpoint is void although some of it was seen': ['broker', 2, /doubled/],
  'what is gone is left out of a recovered checkpoint': ['broker', 1, /lost/],
  'a commit after the takeover': ['two', 2, /doubled/],
  'a pruned slot is taken again': ['twoPrune', 2, /doubled|ahead/],
  'the fence takes every attempt': ['two', 2, /lost|cannot tell/],
  'an older checkpoint stands in for one that cannot be read': ['broker', 2, /doubled/],
  'a folder without a record is restored': ['crash', 2, /lost/],
  'a refused commit is taken for done': ['broker', 2, /lost/],
  'the result is given before it is visible': ['broker', 1, /visible/],
  'the end of input is no checkpoint': ['crash', 2, /lost/],
  'a savepoint is settled before its transactions ended': ['savepoint', 2, /savepoint/],
  'group offsets go with the barrier': ['crash', 1, /ahead/],
}

for (const [name, rule] of Object.entries(PLANTED)) {
  const mistake = name as Planted
  test(`the model finds the mistake of rule ${rule}: ${mistake}`, (context) => {
    const [scope, version, seen] = FOUND[mistake]
    const { violation, states } = explore({ ...SHORT[scope], version, planted: mistake }, STATES_MAX)
    assert.ok(violation !== undefined, `not found in ${states} states`)
    assert.match(violation.message, seen)
    context.diagnostic(`after ${states} states: ${violation.message}`)
  })
}

test('at least 15 of the 17 rules have a mistake that the model finds', () => {
  assert.ok(new Set(Object.values(PLANTED)).size >= 15)
})
