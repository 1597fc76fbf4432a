/**
 * Makes the plan of a seed that fails smaller: faults are left out, first many at once and then one by one, as long as what is
 * left still breaks one of the same rules.
 */
import type { RunPlan } from '../../src/testing/simulation/run-plan.ts'
import { runSeed, type SeedReport } from './run-seed.ts'

/** Answers the report of the smallest plan found. */
export async function shrink(report: SeedReport, bug?: string): Promise<SeedReport> {
  const rules = new Set(report.breaches.map(({ rule }) => rule))
  let smallest = report
  for (let size = Math.ceil(report.plan.faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.plan.faults.length; ) {
      const faults = smallest.plan.faults.filter((_, index) => index < at || index >= at + size)
      const plan: RunPlan = { ...smallest.plan, faults }
      const tried = await runSeed(plan.seed, { plan, settings: report.settings, ...(bug === undefined ? {} : { bug }) })
      if (tried.breaches.some(({ rule }) => rules.has(rule))) smallest = tried
      else at += size
    }
  }
  return smallest
}
