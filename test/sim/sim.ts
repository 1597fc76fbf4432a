/**
 * The simulator by hand:
 *
 *     npm run sim -- --seeds 1000 --seed 1     a thousand seeds from 1 on, on two threads
 *     npm run sim -- --seed 7 --trace          one seed, with what happens in it
 *     npm run sim -- --seed 7 --events         the same, with every event
 *     npm run sim -- --seeds 5 --hashes        the hash of each, which is the same on every machine
 *
 * A seed that fails is run again with fewer faults, as long as it fails, and written to test/sim/kept-seeds, where it is a test.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describePlan } from '../../src/testing/simulation/run-plan.ts'
import { runSeedsInWorkers } from './many-seeds.ts'
import { runSeed, type SeedReport } from './run-seed.ts'
import { shrink } from './shrink.ts'
import { addReport, describeFailure, describeTotals, noTotals, type Totals } from './totals.ts'

const WORKERS = 2

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    bug: { type: 'string' },
    trace: { type: 'boolean', default: false },
    events: { type: 'boolean', default: false },
    hashes: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
})

const print = (text: string): void => void process.stdout.write(`${text}\n`)
// Whoever reads only the beginning has seen enough.
process.stdout.on('error', () => process.exit(0))
const from = Number(values.seed)
const count = Number(values.seeds ?? 1)

async function one(seed: number): Promise<SeedReport> {
  const bug = values.bug === undefined ? {} : { bug: values.bug }
  const trace = values.trace || values.events ? { trace: print, events: values.events } : {}
  return runSeed(seed, {
    ...bug,
    ...trace,
    onPlan: values.hashes ? () => undefined : (plan) => print(describePlan(plan)),
  })
}

async function few(): Promise<Totals> {
  const totals = noTotals()
  for (let seed = from; seed < from + count; seed++) {
    const report = await one(seed)
    print(
      values.hashes
        ? `${seed} ${report.hash}`
        : `${report.lives.join(', ')}; ${report.checkpoints} checkpoints; hash ${report.hash}`,
    )
    addReport(totals, report)
  }
  return totals
}

function many(): Promise<Totals> {
  let told = 0
  const onProgress = ({ seeds, failed }: Totals): void => {
    if (seeds - told < 500) return
    told = seeds
    print(`${seeds} seeds, ${failed.length} failed`)
  }
  return runSeedsInWorkers({ from, count, onProgress }, WORKERS)
}

const beganMs = performance.now()
const totals = values.bug === undefined && count > 20 && !values.hashes ? await many() : await few()
for (const report of totals.failed) {
  print(`${describePlan(report.plan)}\nfails:\n${describeFailure(report)}`)
  const smallest = await shrink(report, values.bug)
  print(`with fewer faults:\n${describePlan(smallest.plan)}\n${describeFailure(smallest)}`)
  if (!values.keep) continue
  const path = join(import.meta.dirname, 'kept-seeds', `seed-${report.seed}.json`)
  writeFileSync(
    path,
    `${JSON.stringify({ why: describeFailure(smallest), plan: smallest.plan, settings: smallest.settings }, undefined, 2)}\n`,
  )
  print(`kept as ${path}`)
}
if (!values.hashes) print(`${describeTotals(totals)}\n${((performance.now() - beganMs) / 1000).toFixed(1)} s`)
process.exitCode = totals.failed.length === 0 ? 0 : 1
