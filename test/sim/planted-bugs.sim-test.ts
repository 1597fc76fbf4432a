/**
 * Who watches the simulator: each planted bug is found by fewer than a thousand seeds of the standard run, and by the rule that it
 * breaks or by the output. A bug that is not found says that a fault or a rule is missing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLANTED_BUGS } from './planted-bugs.ts'
import { runSeed } from './run-seed.ts'
import { describeFailure } from './totals.ts'

const SEEDS_MAX = 999
/** For what hangs: the search is bounded by the number of seeds. */
const TIMEOUT_MS = 1_800_000
/** Of exactly-once. */
const RULES = Array.from({ length: 17 }, (_, n) => n + 1)

test('there is a planted bug for each rule', () => {
  const broken = new Set(PLANTED_BUGS.map(({ rule }) => rule))
  assert.deepEqual(
    RULES.filter((rule) => !broken.has(rule)),
    [],
  )
  assert.equal(new Set(PLANTED_BUGS.map(({ name }) => name)).size, PLANTED_BUGS.length)
})

for (const { name, how } of PLANTED_BUGS) {
  test(`a job that ${name.replaceAll('-', ' ')} is found out (planted ${how})`, {
    timeout: TIMEOUT_MS,
  }, async (context) => {
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      const report = await runSeed(seed, { bug: name })
      if (report.breaches.length === 0) continue
      context.diagnostic(`by seed ${seed}:\n${describeFailure(report).split('\n')[0]}`)
      return
    }
    assert.fail(`${SEEDS_MAX} seeds did not find it`)
  })
}
