/**
 * The simulator's standard run: seeds of a world in which an exactly-once job is killed, put to sleep and lied to in every way
 * that a plan can think of. Each must end with the output that was known before, and without breaking a rule on the way.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { CHECKPOINT_TRANSITIONS } from '../../src/runtime/coordinator/checkpoint-phase.ts'
import { TRANSITIONS } from '../../src/sink/transaction/transaction-phase.ts'
import { API_ERRORS } from '../../src/testing/simulation/api-errors.ts'
import { FAULT_KINDS } from '../../src/testing/simulation/run-plan.ts'
import { MOVES } from './house-mover.ts'
import { runSeeds, runSeedsInWorkers } from './many-seeds.ts'
import { planOf, runSeed } from './run-seed.ts'
import { addTotals, describeFailure, describeTotals, type Totals } from './totals.ts'

const LONG = process.env.MILLRACE_LONG === '1'
const SEEDS = LONG ? 10_000 : 300
const WORKERS = 2
/** Seeds beyond those, until everything was visited. */
const MORE_MAX = 1_200
const MORE_AT_ONCE = 20
/** Rules that a run can look at; 11 is about what a run ends with. */
const LOOKED_AT = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17]

/** Cells of the written tables that a run must visit, as `machine: from, event -> to`; the job's are its statuses. */
const CELLS: readonly string[] = [
  ...cellsOf('transaction', TRANSITIONS),
  ...cellsOf('checkpoint', CHECKPOINT_TRANSITIONS),
  'task: opening, opened -> running',
  'task: opening, failure -> failed',
  'task: running, barrier -> running',
  'task: running, final barrier -> held',
  'task: running, end of input -> drained',
  'task: running, failure -> failed',
  'task: running, close -> closing',
  'task: drained, barrier -> drained',
  'task: drained, final barrier -> held',
  'task: drained, close -> closing',
  'task: held, close -> closing',
  'task: failed, close -> closing',
  'job: created, goes on -> recovering',
  'job: created, goes on -> failed',
  'job: recovering, goes on -> running',
  'job: recovering, goes on -> failed',
  'job: recovering, goes on -> finished',
  'job: running, goes on -> restarting',
  'job: running, goes on -> stopping',
  'job: running, goes on -> finished',
  'job: running, goes on -> cancelled',
  'job: running, goes on -> failed',
  'job: restarting, goes on -> recovering',
  'job: stopping, goes on -> stopped',
]

/** Cells that no run of a job comes to, and why. */
const NEVER_VISITED: Readonly<Record<string, string>> = {
  'transaction: sealed, empty -> settled': 'needs a record that is too large, which fails the task here',
  'transaction: flushed, close -> flushed': 'a closing writer steps only what it abandons',
  'transaction: ended, close -> ended': 'a closing writer steps only what it abandons',
  'transaction: settled, close -> settled': 'a closing writer steps only what it abandons',
  'transaction: lost, close -> lost': 'a closing writer steps only what it abandons',
  'transaction: abandoned, close -> abandoned': 'a writer is closed once',
  'checkpoint: gathering, younger -> overtaken': 'a task answers its barriers in their order',
}

/** Cells that fewer than one run in three hundred comes to, and why; tests of the coordinator come to each of them. */
const TOO_SELDOM: Readonly<Record<string, string>> = {
  'checkpoint: gathering, declined -> gone': 'a flush that fails fails its task as well, and that is mostly told first',
  'checkpoint: settling, record-failed -> gone': 'one record in a run, and one write in a thousand fails',
  'checkpoint: settling, close -> settling': 'it is over in milliseconds, and little is left that could fail',
  'checkpoint: overtaken, write-failed -> overtaken': 'few are overtaken, and one write in a thousand fails',
  'checkpoint: overtaken, close -> overtaken': 'few are overtaken, and soon gone',
}

/** What fewer than one run in three hundred comes to, and why. */
const SELDOM_MOVES: Readonly<Record<string, string>> = {
  'refused as void': 'few are void, and their folders are soon removed; a test of the engine comes to it',
}

function cellsOf(machine: string, table: Readonly<Record<string, Readonly<Record<string, string>>>>): string[] {
  return Object.entries(table).flatMap(([from, row]) =>
    Object.entries(row).flatMap(([event, to]) =>
      to === 'impossible' ? [] : [`${machine}: ${from}, ${event} -> ${to}`],
    ),
  )
}

/** What nobody has visited yet, of faults, cells, rules and moves; the long form asks for every error of every API as well. */
function unvisited(totals: Totals): string[] {
  const kinds = FAULT_KINDS.filter((kind) => kind !== 'parallelism' && totals.struck[kind] === undefined)
  const excused = { ...NEVER_VISITED, ...TOO_SELDOM }
  const cells = CELLS.filter((cell) => totals.cells[cell] === undefined && excused[cell] === undefined)
  const rules = LOOKED_AT.filter((rule) => totals.looks[rule] === undefined).map((rule) => `rule ${rule}`)
  const moves = MOVES.filter((move) => totals.moves[move] === undefined && SELDOM_MOVES[move] === undefined)
  const errors = Object.entries(API_ERRORS).flatMap(([api, names]) => names.map((name) => `${api} ${name}`))
  const untold = LONG ? errors.filter((error) => totals.errors[error] === undefined) : []
  return [...kinds, ...cells, ...rules, ...moves.map((move) => `a move: ${move}`), ...untold]
}

/** Of both forms, on a machine that others use too. */
const SEEDS_TIMEOUT_MS = 2_400_000

test(`${SEEDS} seeds: whatever happens, every record comes out once, in order, and no rule is broken`, {
  timeout: SEEDS_TIMEOUT_MS,
}, async (context) => {
  const beganMs = performance.now()
  const range = { from: 1, count: SEEDS }
  const totals = LONG ? await runSeedsInWorkers(range, WORKERS) : await runSeeds(range)
  // What is rare may come later, but it must come.
  for (let more = 0; unvisited(totals).length > 0 && more < MORE_MAX; more += MORE_AT_ONCE) {
    addTotals(totals, await runSeeds({ from: SEEDS + more + 1, count: MORE_AT_ONCE }))
  }
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(0)
  const said = `${describeTotals(totals)}\n${seconds} s on Node ${process.version}\n`
  if (LONG) writeFileSync(join(import.meta.dirname, '../results/sim-long.log'), said)
  context.diagnostic(said)
  const failed = totals.failed.map(
    (report) => `seed ${report.seed} (npm run sim -- --seed ${report.seed}):\n${describeFailure(report)}`,
  )
  assert.deepEqual(failed, [])
  assert.deepEqual(unvisited(totals), [])
  const { fewCheckpoints, noCrash, seeds } = totals
  assert.ok(
    fewCheckpoints + noCrash <= seeds / 10,
    `${fewCheckpoints} runs of few checkpoints, ${noCrash} without a crash`,
  )
})

test('a seed replays exactly: the hash of all events is the same again, and another without one of its faults', {
  timeout: SEEDS_TIMEOUT_MS,
}, async () => {
  for (const seed of [3, 11, 42]) {
    const first = await runSeed(seed)
    assert.equal((await runSeed(seed)).hash, first.hash)
    const plan = planOf(seed)
    const fewer = await runSeed(seed, { plan: { ...plan, faults: plan.faults.slice(1) } })
    assert.notEqual(fewer.hash, first.hash)
  }
})
