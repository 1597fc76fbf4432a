/**
 * The simulator's standard run: seeds of a world in which an exactly-once job is killed, put to sleep and lied to in every way
 * that a plan can think of. Each must end with the output that was known before, and without breaking a rule on the way.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FAULT_KINDS } from '../../src/testing/simulation/run-plan.ts'
import { runSeeds, runSeedsInWorkers } from './many-seeds.ts'
import { planOf, runSeed } from './run-seed.ts'
import { describeFailure, describeTotals } from './totals.ts'

const LONG = process.env.MILLRACE_LONG === '1'
const SEEDS = LONG ? 10_000 : 300
const WORKERS = 2
/** Rules that a run can look at; 14 is about savepoints, 11 and 17 about what a run ends with. */
const LOOKED_AT = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16]

test(`${SEEDS} seeds: whatever happens, every record comes out once, in order, and no rule is broken`, async (context) => {
  const beganMs = performance.now()
  const range = { from: 1, count: SEEDS }
  const totals = LONG ? await runSeedsInWorkers(range, WORKERS) : await runSeeds(range)
  const said = `${describeTotals(totals)}\n${((performance.now() - beganMs) / 1000).toFixed(0)} s on Node ${process.version}\n`
  if (LONG) writeFileSync(join(import.meta.dirname, '../results/sim-long.log'), said)
  context.diagnostic(said)
  const failed = totals.failed.map(
    (report) => `seed ${report.seed} (npm run sim -- --seed ${report.seed}):\n${describeFailure(report)}`,
  )
  assert.deepEqual(failed, [])
  assert.deepEqual(
    FAULT_KINDS.filter((kind) => kind !== 'parallelism' && kind !== 'fresh-start' && totals.struck[kind] === undefined),
    [],
    'every kind of fault struck',
  )
  assert.deepEqual(
    LOOKED_AT.filter((rule) => totals.looks[rule] === undefined),
    [],
    'every rule that can be watched had something to look at',
  )
})

test('a seed replays exactly: the hash of all events is the same again, and another without one of its faults', async () => {
  for (const seed of [3, 11, 42]) {
    const first = await runSeed(seed)
    assert.equal((await runSeed(seed)).hash, first.hash)
    const plan = planOf(seed)
    const fewer = await runSeed(seed, { plan: { ...plan, faults: plan.faults.slice(1) } })
    assert.notEqual(fewer.hash, first.hash)
  }
})
