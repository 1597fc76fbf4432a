/** Plans of seeds that failed once, with why: what they found was mended, and must not come back. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunPlan } from '../../src/testing/simulation/run-plan.ts'
import type { CopySettings } from './copy-job.ts'
import { runSeed } from './run-seed.ts'
import { describeFailure } from './totals.ts'

interface KeptSeed {
  readonly why: string
  readonly plan: RunPlan
  readonly settings: CopySettings
}

for (const file of globSync('kept-seeds/*.json', { cwd: import.meta.dirname }).sort()) {
  const { why, plan, settings } = JSON.parse(readFileSync(join(import.meta.dirname, file), 'utf8')) as KeptSeed
  test(`${file}: ${why}`, async () => {
    const report = await runSeed(plan.seed, { plan, settings })
    assert.equal(report.breaches.length, 0, describeFailure(report))
  })
}
